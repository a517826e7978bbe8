//! Deletes files whose time is over, with their bytes: uploads and results after `keep.files_days`, announced files whose
//! bytes did not come, and what was deleted by a request, with its session or with its project.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::file::Files;
use crate::error::Result;

/// The job.
pub(super) struct DeleteFiles(pub Arc<Files>);

impl Job for DeleteFiles {
    const NAME: &'static str = "delete_files";
    const INTERVAL: Duration = Duration::from_mins(1);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        let files = self.0.delete_expired().await?;
        if files > 0 {
            tracing::info!(files, "deleted files");
        }
        Ok(files)
    }
}
