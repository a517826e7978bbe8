//! Pauses that providers ask for are stored, so that a restart keeps them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use switchboard_store::{Unit, provider_pauses};

use super::host::Host;
use super::{Caller, ProviderLimits};
use crate::error::Result;

/// A shorter pause is over before a server has started again.
const MIN_STORED: Duration = Duration::from_secs(2);

impl ProviderLimits {
    /// Stores a pause that has begun. The call that was refused does not wait for it.
    pub(super) fn store_pause(&self, caller: Caller<'_>, host: &Host, until: Instant) {
        let pause = until.saturating_duration_since(Instant::now());
        if pause < MIN_STORED || !host.is_longer(until) {
            return;
        }
        let statement = provider_pauses::put(caller.account, caller.host, self.core.now() + pause);
        let core = Arc::clone(&self.core);
        self.core.tasks.spawn(async move {
            if let Err(error) = core.store.apply(Unit::new().with(statement)).await {
                tracing::warn!(%error, "a provider's pause was not stored; it ends with this process");
            }
        });
    }

    /// Takes over the pauses that were stored. Call it once, before calls are served.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn load_pauses(&self) -> Result<()> {
        let now = self.core.now();
        for pause in self.core.store.provider_pauses(now).await? {
            let caller = Caller { account: &pause.account, host: &pause.host, kind: 0, weight: 1 };
            let host = Arc::new(Host::default());
            host.pause_until(Instant::now() + pause.until.since(now));
            let mut hosts = self.lock();
            hosts.put(self.key(caller), host);
            self.known.store(hosts.len(), Ordering::Relaxed);
        }
        Ok(())
    }
}
