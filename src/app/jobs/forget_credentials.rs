//! Wipes opened credentials that were remembered for calls, so that none is remembered for more than five seconds, and
//! drops remembered responses.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::runner::Job;
use crate::app::account::Accounts;
use crate::app::execute::Executor;
use crate::error::Result;

/// The job.
pub(super) struct ForgetCredentials {
    pub executor: Arc<Executor>,
    pub accounts: Arc<Accounts>,
}

impl Job for ForgetCredentials {
    const NAME: &'static str = "forget_credentials";
    const INTERVAL: Duration = Duration::from_secs(1);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        self.accounts.forget_old();
        Ok(self.executor.forget_old_credentials())
    }
}
