//! Removes rate limit counters whose allowance is full again.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::base::rate_limits::Limits;
use crate::error::Result;

/// The job.
pub(super) struct PruneRateLimits(pub Arc<Limits>);

impl Job for PruneRateLimits {
    const NAME: &'static str = "prune_rate_limits";
    const INTERVAL: Duration = Duration::from_secs(2);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        let before = self.0.remembered();
        self.0.prune();
        Ok(before.saturating_sub(self.0.remembered()))
    }
}
