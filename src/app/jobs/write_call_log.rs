//! Writes the calls that have ended to their log, a quarter of a second after the first of them.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::call_log::CallLog;
use crate::error::Result;

/// The job.
pub(super) struct WriteCallLog(pub Arc<CallLog>);

impl Job for WriteCallLog {
    const NAME: &'static str = "write_call_log";
    const INTERVAL: Duration = Duration::from_mins(1);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        self.0.write().await
    }

    async fn woken(&self) {
        self.0.has_waiting().await;
    }
}
