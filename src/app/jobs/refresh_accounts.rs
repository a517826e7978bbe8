//! Refreshes credentials before they expire, so that accounts stay ACTIVE.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::refresh::Refresher;
use crate::app::refresh::scheduler::RefreshQueue;
use crate::error::Result;

/// The job.
pub(super) struct RefreshAccounts {
    refresher: Arc<Refresher>,
    queue: Arc<RefreshQueue>,
}

impl RefreshAccounts {
    pub(super) fn new(refresher: Arc<Refresher>) -> Self {
        Self { refresher, queue: Arc::new(RefreshQueue::new()) }
    }
}

impl Job for RefreshAccounts {
    const NAME: &'static str = "refresh_accounts";
    const INTERVAL: Duration = Duration::from_secs(1);

    async fn activate(&mut self, stop: &CancellationToken) -> Result<usize> {
        self.refresher.start_due_refreshes(&self.queue, stop).await
    }

    async fn woken(&self) {
        self.queue.has_capacity().await;
    }
}
