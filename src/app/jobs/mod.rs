//! Background jobs. Links past their time end, what is over goes, credentials are
//! refreshed before they end and revoked at their providers, providers are asked whether a user has entered
//! a code, the audit log is sealed, counters of rate limits that are whole again are forgotten, toolkit
//! files that changed are read again.

pub mod retention;
pub mod supervision;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use switchboard_store::links::{LinkPurpose, LinkRow};
use switchboard_store::{WriteError, links};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Actor, App, audit, connect, revocation};
use crate::app::base::catalog;
use crate::app::base::core::Core;
use crate::app::connect::Connector;
use crate::app::refresh::scheduler;
use crate::error::Result;

/// A code that came back may take this long to become a credential, in milliseconds.
const EXCHANGE_TIME: i64 = 11 * 60 * 1_000;
/// A job, from its start to its end.
type Job = fn(Arc<App>, CancellationToken) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Between sweeps.
const INTERVAL: Duration = Duration::from_secs(2);
/// Links ended by one sweep.
const BATCH: i64 = 500;

/// What ends or goes after its time.
pub struct Sweeps {
    core: Arc<Core>,
    connector: Arc<Connector>,
}

crate::redacted_debug!(Sweeps);

impl Sweeps {
    /// With the services that it calls.
    pub fn new(core: Arc<Core>, connector: Arc<Connector>) -> Self {
        Self { core, connector }
    }
}

impl Sweeps {
    /// Ends overdue links: their accounts become EXPIRED and their aliases free. Returns how many.
    /// A link that cannot be ended now does not keep the others.
    pub async fn expire_links(&self) -> Result<usize> {
        let now = self.core.now();
        let overdue = self.core.store.overdue_links(now, now - EXCHANGE_TIME, BATCH).await?;
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
        let seconds = self.core.settings.link_ttl.as_secs();
        let time =
            if seconds.is_multiple_of(60) { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") };
        let reason = format!("Connection initiation did not complete within {time}");
        if let Some(account) = self.core.store.account(&link.project_id, &link.account_id).await? {
            // The last attempt has failed, and its reason is the account's.
            let failed = account.status_reason.clone().filter(|_| link.purpose == LinkPurpose::Connect);
            let (outcome, reason) = match failed {
                Some(reason) if !reason.starts_with("expired_token") => ("failed", reason),
                Some(reason) => ("expired", reason),
                None => ("expired", reason),
            };
            if self.connector.end_link(&actor, link, &account, outcome, &reason).await? {
                return Ok(());
            }
        }
        // Its account is gone, or was connected otherwise: the link ends alone.
        match self.core.store.apply(links::end(&link.id, "expired", self.core.now())).await {
            Ok(_) | Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Runs the jobs until told to stop, and until each has stopped. Whatever happens to one of them, the
/// others go on ([`supervision`]).
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut jobs = JoinSet::new();
    let mut start = |name, job: Job| {
        let (app, stop) = (Arc::clone(&app), stop.clone());
        jobs.spawn(async move {
            let start = || job(Arc::clone(&app), stop.clone());
            supervision::supervise(&app.jobs, &stop, &supervision::PACE, name, start).await;
        });
    };
    start("expire_links", |app, stop| Box::pin(expire_links(app, stop)));
    start("empty_deleted_projects", |app, stop| Box::pin(empty_deleted_projects(app, stop)));
    start("prune_rate_limits", |app, stop| Box::pin(prune_rate_limits(app, stop)));
    start("ask_providers", |app, stop| Box::pin(connect::ask_providers(Arc::clone(&app.connector), stop)));
    start("seal_audit_log", |app, stop| Box::pin(audit::run(Arc::clone(&app.audit_log), stop)));
    start("drop_what_is_over", |app, stop| Box::pin(retention::run(app, stop)));
    start("revoke_credentials", |app, stop| Box::pin(revocation::run(Arc::clone(&app.revocations), stop)));
    if app.core.catalog.has_folders() {
        start("watch_toolkits", |app, stop| Box::pin(catalog::watch(Arc::clone(&app.core), stop)));
    }
    if app.core.settings.keep_accounts_alive {
        start("refresh_accounts", |app, stop| Box::pin(scheduler::run(Arc::clone(&app.refresher), stop)));
    }
    while jobs.join_next().await.is_some() {}
}

/// Waits for the next round of a job; false when it is to stop.
async fn is_due(stop: &CancellationToken, pause: Duration) -> bool {
    stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
}

async fn expire_links(app: Arc<App>, stop: CancellationToken) {
    while is_due(&stop, INTERVAL).await {
        if let Err(error) = app.sweeps.expire_links().await {
            tracing::error!(error = error.message(), cause = error.causes(), "sweeping links failed");
        }
    }
}

/// Only what was cut short is left to do.
async fn empty_deleted_projects(app: Arc<App>, stop: CancellationToken) {
    let mut pause = INTERVAL;
    while is_due(&stop, pause).await {
        pause = Duration::from_mins(1);
        if let Err(error) = app.project_deletion.empty_deleted().await {
            tracing::error!(error = error.message(), cause = error.causes(), "emptying deleted projects failed");
        }
    }
}

async fn prune_rate_limits(app: Arc<App>, stop: CancellationToken) {
    while is_due(&stop, INTERVAL).await {
        app.limits.prune();
    }
}
