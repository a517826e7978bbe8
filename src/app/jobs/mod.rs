//! Background jobs, one per file.
//!
//! All share one runner ([`runner`]): a job does a bounded amount of work, then sleeps until its interval is over
//! or it is woken. It waits longer after a failure. Each job runs in its own task, so that none delays another. A
//! job that panics is restarted ([`supervision`]).

mod delete_files;
mod delete_old_rows;
mod empty_deleted_projects;
mod expire_links;
mod forget_credentials;
mod poll_device_codes;
mod prune_rate_limits;
mod refresh_accounts;
mod revoke_credentials;
pub mod runner;
mod seal_audit_log;
pub mod supervision;
mod watch_toolkits;
mod write_call_log;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::App;
use crate::app::base::core::Core;
use crate::app::connect::Connector;
use crate::app::tool_versions::ToolVersions;

use delete_files::DeleteFiles;
use delete_old_rows::DeleteOldRows;
use empty_deleted_projects::EmptyDeletedProjects;
use expire_links::ExpireLinks;
use forget_credentials::ForgetCredentials;
use poll_device_codes::PollDeviceCodes;
use prune_rate_limits::PruneRateLimits;
use refresh_accounts::RefreshAccounts;
use revoke_credentials::RevokeCredentials;
use runner::Job;
use seal_audit_log::SealAuditLog;
use watch_toolkits::WatchToolkits;
use write_call_log::WriteCallLog;

/// Ends and deletes rows after their time.
pub struct Sweeps {
    core: Arc<Core>,
    connector: Arc<Connector>,
    versions: Arc<ToolVersions>,
    /// The sweep of links has seen all that are older than this process, which may have another lifetime.
    has_seen_old_links: AtomicBool,
}

crate::redacted_debug!(Sweeps);

impl Sweeps {
    /// Creates the service from the services that it uses.
    pub fn new(core: Arc<Core>, connector: Arc<Connector>, versions: Arc<ToolVersions>) -> Self {
        Self { core, connector, versions, has_seen_old_links: AtomicBool::new(false) }
    }
}

/// Runs the jobs until `stop` is cancelled and each of them has ended.
pub async fn run(app: Arc<App>, stop: CancellationToken) {
    let mut running = Running { app: Arc::clone(&app), stop, tasks: JoinSet::new() };
    running.start(|app| ExpireLinks::new(Arc::clone(&app.sweeps)));
    running.start(|app| DeleteOldRows(Arc::clone(&app.sweeps)));
    running.start(|app| DeleteFiles(Arc::clone(&app.files)));
    running.start(|app| EmptyDeletedProjects(Arc::clone(&app.project_deletion)));
    running.start(|app| PruneRateLimits(Arc::clone(&app.limits)));
    running.start(|app| ForgetCredentials { executor: Arc::clone(&app.executor), accounts: Arc::clone(&app.accounts) });
    running.start(|app| PollDeviceCodes::new(Arc::clone(&app.connector)));
    running.start(|app| SealAuditLog::new(Arc::clone(&app.audit_log)));
    running.start(|app| WriteCallLog(Arc::clone(&app.call_log)));
    running.start(|app| RevokeCredentials::new(&app.revocations));
    if app.core.catalog.has_folders() {
        running.start(|app| WatchToolkits(Arc::clone(&app.core)));
    }
    if app.core.settings.keep_accounts_alive {
        running.start(|app| RefreshAccounts::new(Arc::clone(&app.refresher)));
    }
    while running.tasks.join_next().await.is_some() {}
}

/// The running jobs.
struct Running {
    app: Arc<App>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    /// Starts a job. `new` creates it, and creates it again after a panic.
    fn start<J: Job>(&mut self, new: fn(&App) -> J) {
        let (app, stop) = (Arc::clone(&self.app), self.stop.clone());
        self.tasks.spawn(async move {
            let start = || {
                let (app, stop) = (Arc::clone(&app), stop.clone());
                async move { runner::run(new(&app), &app.core.metrics, &*app.core.clock, &stop).await }
            };
            supervision::supervise(&app.jobs, &stop, &supervision::RESTART_POLICY, J::NAME, start).await;
        });
    }
}
