//! What an operator sees of the queue: metrics, which are read when a collector asks, and the report of
//! `switchboard jobs`.

use std::time::Duration;

use serde::Serialize;
use switchboard_store::jobs::{FailedJob, JobCounts, JobKind};
use switchboard_types::ProjectId;

use crate::app::base::core::Core;
use crate::error::Result;
use crate::time::iso;

/// How long a collector of metrics waits for the counts.
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);
/// Failed jobs in a report, per kind.
const FAILED_JOBS: i64 = 10;

/// The jobs of one kind.
#[derive(Debug, Serialize)]
pub struct KindReport {
    /// The kind.
    pub kind: &'static str,
    /// Not due yet.
    pub waiting: i64,
    /// Due, and not running.
    pub due: i64,
    /// A server runs them.
    pub leased: i64,
    /// Since when the oldest due job is due.
    pub oldest_due_at: Option<String>,
    /// Jobs whose last run failed, those with the highest number of tries first.
    pub failed: Vec<FailedJobReport>,
}

/// A job whose last run failed.
#[derive(Debug, Serialize)]
pub struct FailedJobReport {
    /// Id of what the job is about, such as a revocation.
    pub id: String,
    /// Owner.
    pub project_id: ProjectId,
    /// What its concurrency is limited by, such as the toolkit.
    pub lane: String,
    /// Number of runs.
    pub tries: i64,
    /// Time of the next run.
    pub next_run_at: String,
    /// Why the last run failed.
    pub detail: String,
}

impl From<FailedJob> for FailedJobReport {
    fn from(job: FailedJob) -> Self {
        let FailedJob { key, project_id, lane, tries, next_run_at, detail } = job;
        Self { id: key, project_id, lane, tries, next_run_at: iso(next_run_at), detail }
    }
}

/// The state of the queue, by kind.
///
/// # Errors
/// If the database cannot be read.
pub async fn report(core: &Core) -> Result<Vec<KindReport>> {
    let mut kinds = Vec::new();
    for kind in JobKind::ALL {
        let JobCounts { waiting, due, leased, oldest_due_at } = core.store.job_counts(kind, core.now()).await?;
        let failed = core.store.failed_jobs(kind, FAILED_JOBS).await?;
        kinds.push(KindReport {
            kind: kind.as_str(),
            waiting,
            due,
            leased,
            oldest_due_at: oldest_due_at.map(iso),
            failed: failed.into_iter().map(FailedJobReport::from).collect(),
        });
    }
    Ok(kinds)
}

/// Sets the metrics of the queue. Without counts there is no metric, since an old one would look like a queue
/// that stands still.
pub async fn record_metrics(core: &Core) {
    for kind in JobKind::ALL {
        let now = core.now();
        let counts = tokio::time::timeout(COUNT_TIMEOUT, core.store.job_counts(kind, now)).await;
        let counts = counts.ok().and_then(|counts| {
            counts.inspect_err(|error| tracing::warn!(error = %error, "the queue of jobs could not be counted")).ok()
        });
        let Some(JobCounts { waiting, due, leased, oldest_due_at }) = counts else {
            core.metrics.forget_queue();
            return;
        };
        let oldest_age = oldest_due_at.map_or(Duration::ZERO, |since| now.since(since));
        core.metrics.queue(kind.as_str(), [("waiting", waiting), ("due", due), ("leased", leased)], oldest_age);
    }
}
