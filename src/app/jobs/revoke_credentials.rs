//! Revokes deleted credentials at their providers.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::revocation::{RevocationQueue, Revocations};
use crate::error::Result;

/// The job.
pub(super) struct RevokeCredentials {
    revocations: Arc<Revocations>,
    queue: RevocationQueue,
}

impl RevokeCredentials {
    pub(super) fn new(revocations: Arc<Revocations>) -> Self {
        Self { revocations, queue: RevocationQueue::default() }
    }
}

impl Job for RevokeCredentials {
    const NAME: &'static str = "revoke_credentials";
    const INTERVAL: Duration = Duration::from_secs(2);

    async fn activate(&mut self, stop: &CancellationToken) -> Result<usize> {
        self.revocations.start_due_revocations(&mut self.queue, stop).await
    }

    async fn woken(&self) {
        self.revocations.woken().await;
    }
}
