//! Completes deletions of projects that a stop of the server interrupted.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::project_deletion::ProjectDeletion;
use crate::error::Result;

/// The job.
pub(super) struct EmptyDeletedProjects(pub Arc<ProjectDeletion>);

impl Job for EmptyDeletedProjects {
    const NAME: &'static str = "empty_deleted_projects";
    const INTERVAL: Duration = Duration::from_mins(1);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        self.0.empty_deleted().await
    }
}
