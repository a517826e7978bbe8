//! The queue of jobs: work that is done once, in the background, with as many runs as it takes.
//!
//! A service implements [`QueuedJob`] for one kind of job: how a job is run, and within which limits. A
//! [`Worker`] starts the jobs that are due, each with a lease, stores the outcome of a run, and runs again what
//! failed (`worker.rs`). Pauses between runs grow until the deadline (`backoff.rs`). `status.rs` reports on the
//! queue.
//!
//! Only work that must survive a restart of the server is a job of the queue. Rows that an index finds when they
//! are due, such as links that expire, need none.

mod backoff;
pub mod status;
mod worker;

use std::time::Duration;

use switchboard_store::Unit;
use switchboard_store::jobs::{JobKind, JobRow};
use tokio::sync::Notify;

pub(in crate::app) use backoff::Retry;
pub(in crate::app) use worker::Worker;

use switchboard_types::ProjectId;

use crate::app::base::core::Core;
use crate::error::Result;

/// One kind of job.
pub(in crate::app) trait QueuedJob: Send + Sync + 'static {
    /// Its kind in the queue.
    const KIND: JobKind;
    /// Its limits.
    const POLICY: Policy;
    /// What a run holds until its outcome is stored, such as a lock.
    type Held: Default + Send;

    /// Notified when a job was added; the worker notifies it when a run has ended.
    fn wake(&self) -> &Notify;

    /// Runs a job once. A run that does not end before its lease is aborted.
    ///
    /// # Errors
    /// If the job cannot be run here and now, for a reason that is not its own: the database cannot be read, or
    /// the row of the job. It is run again after a pause, without a deadline.
    fn run(&self, job: &LeasedJob<'_>, held: &mut Self::Held) -> impl Future<Output = Result<Outcome>> + Send;
}

/// The limits of a kind of job.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) struct Policy {
    /// Maximum number of concurrent runs of a server.
    pub(in crate::app) max_concurrent: usize,
    /// Maximum number of concurrent runs of one lane.
    pub(in crate::app) max_concurrent_per_lane: usize,
    /// Maximum time of a run. The job of a server that died is run again after it.
    pub(in crate::app) lease: Duration,
    /// Pause after the first failure; doubled with each further one.
    pub(in crate::app) initial_backoff: Duration,
    /// Maximum pause between two runs, unless the run asks for more.
    pub(in crate::app) max_backoff: Duration,
    /// How long a job is retried, from its creation.
    pub(in crate::app) deadline: Duration,
}

/// A job that this server has for one run.
#[derive(Clone, Copy)]
pub(in crate::app) struct LeasedJob<'a> {
    row: &'a JobRow,
    policy: Policy,
    core: &'a Core,
}

impl LeasedJob<'_> {
    /// Owner.
    pub(in crate::app) fn project_id(&self) -> &ProjectId {
        &self.row.project_id
    }

    /// Id of the row that holds the payload.
    pub(in crate::app) fn key(&self) -> &str {
        &self.row.key
    }

    /// Number of runs, including this one.
    pub(in crate::app) fn tries(&self) -> i64 {
        self.row.tries
    }

    /// Another run, because this one failed; `detail` says why, without secrets. Not before `retry_after`
    /// milliseconds have passed, if a provider asked for that. None if the deadline leaves no further run: then
    /// the job has to end.
    pub(in crate::app) fn retry(&self, detail: &str, retry_after: Option<Duration>) -> Option<Retry> {
        let run_at = self.policy.next_run_at(self.row, self.core.now(), retry_after, backoff::jitter(self.core))?;
        Some(Retry { run_at, detail: detail.to_owned() })
    }
}

/// What a run came to. The unit is applied together with the change of the job, if this server still has it.
#[derive(Debug)]
pub(in crate::app) enum Outcome {
    /// The job is over.
    Done(Unit),
    /// The job runs again; see [`LeasedJob::retry`]. The unit stores what the run achieved.
    Retry(Retry, Unit),
}
