//! Credentials are refreshed before they end, so that accounts stay alive.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::refresh::Refresher;
use crate::app::refresh::scheduler::UnderWay;
use crate::error::Result;

/// The job.
pub(super) struct RefreshAccounts {
    refresher: Arc<Refresher>,
    under_way: Arc<UnderWay>,
}

impl RefreshAccounts {
    pub(super) fn new(refresher: Arc<Refresher>) -> Self {
        Self { refresher, under_way: Arc::new(UnderWay::new()) }
    }
}

impl Job for RefreshAccounts {
    const NAME: &'static str = "refresh_accounts";
    const INTERVAL: Duration = Duration::from_secs(1);

    async fn activate(&mut self, stop: &CancellationToken) -> Result<usize> {
        self.refresher.start_due_refreshes(&self.under_way, stop).await
    }

    async fn woken(&self) {
        self.under_way.has_room().await;
    }
}
