//! Starts the revocations of deleted credentials that are due in the queue.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::queue::Worker;
use crate::app::revocation::Revocations;
use crate::error::Result;

/// The job.
pub(super) struct RevokeCredentials(Worker<Revocations>);

impl RevokeCredentials {
    pub(super) fn new(revocations: &Arc<Revocations>) -> Self {
        Self(revocations.worker())
    }
}

impl Job for RevokeCredentials {
    const NAME: &'static str = "revoke_credentials";
    const INTERVAL: Duration = Duration::from_secs(2);

    async fn activate(&mut self, stop: &CancellationToken) -> Result<usize> {
        self.0.start_due(stop).await
    }

    async fn woken(&self) {
        self.0.woken().await;
    }
}
