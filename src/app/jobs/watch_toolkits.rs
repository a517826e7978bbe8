//! Reloads toolkit files that changed.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::base::catalog::reload;
use crate::app::base::core::Core;
use crate::error::Result;

/// The job.
pub(super) struct WatchToolkits(pub Arc<Core>);

impl Job for WatchToolkits {
    const NAME: &'static str = "watch_toolkits";
    const INTERVAL: Duration = Duration::from_secs(2);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        reload(&self.0).await
    }
}
