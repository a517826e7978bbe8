//! Credentials that were deleted are revoked at their providers.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::revocation::{Queue, Revocations};
use crate::error::Result;

/// The job.
pub(super) struct RevokeCredentials {
    revocations: Arc<Revocations>,
    queue: Queue,
}

impl RevokeCredentials {
    pub(super) fn new(revocations: Arc<Revocations>) -> Self {
        Self { revocations, queue: Queue::default() }
    }
}

impl Job for RevokeCredentials {
    const NAME: &'static str = "revoke_credentials";
    const INTERVAL: Duration = Duration::from_secs(2);

    async fn activate(&mut self, stop: &CancellationToken) -> Result<usize> {
        self.revocations.start_due(&mut self.queue, stop).await
    }

    async fn woken(&self) {
        self.revocations.woken().await;
    }
}
