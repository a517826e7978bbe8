//! Work that nobody asks for: links past their time end, what is over goes, credentials are
//! refreshed before they end and revoked at their providers, providers are asked whether a user has entered
//! a code, the audit log is sealed, counters of rate limits that are whole again are forgotten, toolkit
//! files that changed are read again.

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::links::LinkRow;
use switchboard_store::{WriteError, links};
use tokio_util::sync::CancellationToken;

use super::{Actor, App, audit, catalog, connect, keep_alive, retention, revocation};
use crate::error::Result;

/// A code that came back may take this long to become a credential, in milliseconds.
const EXCHANGE_TIME: i64 = 11 * 60 * 1_000;
/// Between sweeps.
const INTERVAL: Duration = Duration::from_secs(2);
/// Links ended by one sweep.
const BATCH: i64 = 500;

impl App {
    /// Ends overdue links: their accounts become EXPIRED and their aliases free. Returns how many.
    /// A link that cannot be ended now does not keep the others.
    pub async fn sweep_links(&self) -> Result<usize> {
        let now = self.now();
        let overdue = self.store.overdue_links(now, now - EXCHANGE_TIME, BATCH).await?;
        let mut ended = 0;
        for link in &overdue {
            match self.expire_link(link).await {
                Ok(()) => ended += 1,
                Err(error) => {
                    tracing::error!(link.id = %link.id, error = error.message(), cause = error.causes(), "a link could not be ended");
                }
            }
        }
        Ok(ended)
    }

    async fn expire_link(&self, link: &LinkRow) -> Result<()> {
        let actor = Actor::system(&link.project_id);
        let seconds = self.settings.link_ttl.as_secs();
        let time =
            if seconds.is_multiple_of(60) { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") };
        let reason = format!("Connection initiation did not complete within {time}");
        if let Some(account) = self.store.account(&link.project_id, &link.account_id).await?
            && self.end_link(&actor, link, &account, "expired", &reason).await?
        {
            return Ok(());
        }
        // Its account is gone, or was connected otherwise: the link ends alone.
        match self.store.apply(links::end(&link.id, "expired", self.now())).await {
            Ok(_) | Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Runs the jobs until told to stop. A failure is logged; the next round tries again.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    tokio::join!(
        sweep(Arc::clone(&app), stop.clone()),
        catalog::watch(Arc::clone(&app), stop.clone()),
        keep_alive::run(Arc::clone(&app), stop.clone()),
        connect::ask_providers(Arc::clone(&app), stop.clone()),
        audit::run(Arc::clone(&app), stop.clone()),
        retention::run(Arc::clone(&app), stop.clone()),
        revocation::run(app, stop)
    );
}

async fn sweep(app: Arc<App>, stop: CancellationToken) {
    let mut rounds: u64 = 0;
    while stop.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        if let Err(error) = app.sweep_links().await {
            tracing::error!(error = error.message(), cause = error.causes(), "sweeping links failed");
        }
        // Once a minute: only what was cut short is left to do.
        if rounds.is_multiple_of(30)
            && let Err(error) = app.empty_deleted_projects().await
        {
            tracing::error!(error = error.message(), cause = error.causes(), "emptying deleted projects failed");
        }
        app.limits.prune();
        rounds += 1;
    }
}
