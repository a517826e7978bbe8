//! Polls the token endpoints of providers for device codes that users may have entered (RFC 8628).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::connect::Connector;
use crate::error::Result;

/// Maximum number of concurrent polls.
const MAX_IN_FLIGHT: usize = 256;

/// The job.
pub(super) struct PollDeviceCodes {
    connector: Arc<Connector>,
    in_flight: Arc<Semaphore>,
}

impl PollDeviceCodes {
    pub(super) fn new(connector: Arc<Connector>) -> Self {
        Self { connector, in_flight: Arc::new(Semaphore::new(MAX_IN_FLIGHT)) }
    }
}

impl Job for PollDeviceCodes {
    const NAME: &'static str = "poll_device_codes";
    const INTERVAL: Duration = Duration::from_secs(1);

    async fn activate(&mut self, stop: &CancellationToken) -> Result<usize> {
        // Slow providers must not delay a stop of the server.
        let polled = stop.run_until_cancelled(self.connector.poll_due_attempts(&self.in_flight)).await;
        polled.unwrap_or(Ok(0))
    }
}
