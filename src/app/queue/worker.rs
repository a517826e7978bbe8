//! Runs the jobs of one kind that are due: within the limits, each with a lease.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use switchboard_store::jobs::{self, JobLease, JobRow};
use switchboard_store::{Refusal, Unit, WriteError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{LeasedJob, Outcome, QueuedJob, Retry, backoff};
use crate::app::base::core::Core;
use crate::app::spool::Spool;
use crate::error::{Code, Error, Result};

/// Jobs read with one query.
const PAGE: i64 = 32;
/// How long before its lease a run is aborted: the clocks of two servers may differ.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// The runs of one kind of job on this server.
pub(in crate::app) struct Worker<J> {
    core: Arc<Core>,
    spool: Arc<Spool>,
    job: Arc<J>,
    running: Arc<Semaphore>,
    by_lane: HashMap<String, Arc<Semaphore>>,
}

impl<J: QueuedJob> Worker<J> {
    pub(in crate::app) fn new(core: Arc<Core>, spool: Arc<Spool>, job: Arc<J>) -> Self {
        let running = Arc::new(Semaphore::new(J::POLICY.max_concurrent));
        Self { core, spool, job, running, by_lane: HashMap::new() }
    }

    /// Resolves when a job was added, or a run has ended.
    pub(in crate::app) async fn woken(&self) {
        self.job.wake().notified().await;
    }

    /// Starts the jobs that are due, within the limits. Returns how many.
    pub(in crate::app) async fn start_due(&mut self, stop: &CancellationToken) -> Result<usize> {
        let mut started = 0;
        self.by_lane.retain(|_, permits| permits.available_permits() < J::POLICY.max_concurrent_per_lane);
        while !stop.is_cancelled() {
            let full = self.full_lanes();
            let mut is_started = false;
            for row in self.core.store.due_jobs(J::KIND, self.core.now(), &full, PAGE).await? {
                let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() else { return Ok(started) };
                let Some(lane_permit) = self.lane_permit(&row.lane) else { continue };
                if self.start(row, (permit, lane_permit)).await? {
                    is_started = true;
                    started += 1;
                }
            }
            if !is_started {
                break;
            }
        }
        Ok(started)
    }

    fn full_lanes(&self) -> Vec<String> {
        let full = self.by_lane.iter().filter(|(_, permits)| permits.available_permits() == 0);
        full.map(|(lane, _)| lane.clone()).collect()
    }

    fn lane_permit(&mut self, lane: &str) -> Option<OwnedSemaphorePermit> {
        let permits = self
            .by_lane
            .entry(lane.to_owned())
            .or_insert_with(|| Arc::new(Semaphore::new(J::POLICY.max_concurrent_per_lane)));
        Arc::clone(permits).try_acquire_owned().ok()
    }

    /// Takes a job and runs it in a task of its own. False if another server was faster.
    async fn start(&self, mut row: JobRow, permits: (OwnedSemaphorePermit, OwnedSemaphorePermit)) -> Result<bool> {
        let end = Instant::now() + J::POLICY.lease.saturating_sub(LEASE_MARGIN);
        let now = self.core.now();
        let (statement, lease) = jobs::lease(&row, now, now + J::POLICY.lease);
        match self.core.store.apply(Unit::new().with(statement)).await {
            Ok(_) => row.tries += 1,
            Err(WriteError::Refused(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        let (core, spool, job) = (Arc::clone(&self.core), Arc::clone(&self.spool), Arc::clone(&self.job));
        let run = Run { core, spool, job, lease, end };
        // Shutdown waits for this task, so that its outcome is not lost.
        self.core.tasks.spawn(async move {
            run.run(&row).await;
            drop(permits);
            run.job.wake().notify_one();
        });
        Ok(true)
    }
}

/// One run of a job.
struct Run<J> {
    core: Arc<Core>,
    spool: Arc<Spool>,
    job: Arc<J>,
    lease: JobLease,
    /// When it is aborted.
    end: Instant,
}

impl<J: QueuedJob> Run<J> {
    /// Runs the job, and stores the outcome.
    async fn run(&self, row: &JobRow) {
        let job = LeasedJob { row, policy: J::POLICY, core: &self.core };
        let mut held = J::Held::default();
        let result = match tokio::time::timeout_at(self.end, self.job.run(&job, &mut held)).await {
            Ok(result) => result,
            // Another server may have the job soon.
            Err(_) => Err(Error::new(Code::Internal, "The run took longer than its lease")),
        };
        let outcome = result.unwrap_or_else(|error| {
            tracing::error!(
                kind = J::KIND.as_str(),
                job.key = %row.key,
                tries = row.tries,
                error = error.message(),
                cause = error.causes(),
                "a queued job could not be run; it is tried again"
            );
            let run_at = self.core.now() + J::POLICY.pause(row.tries, backoff::jitter(&self.core));
            Outcome::Retry(Retry { run_at, detail: error.message().to_owned() }, Unit::new())
        });
        self.store(row, outcome).await;
        drop(held);
    }

    /// Stores the outcome. It waits for the database if need be: what the run has done cannot be undone.
    async fn store(&self, row: &JobRow, outcome: Outcome) {
        let unit = match outcome {
            Outcome::Done(unit) => Unit::new().with(jobs::finish(&self.lease)).and(unit),
            Outcome::Retry(retry, unit) => {
                Unit::new().with(jobs::reschedule(&self.lease, retry.run_at, &retry.detail)).and(unit)
            }
        };
        let kind = J::KIND.as_str();
        match self.spool.apply_with_retry(unit).await {
            // The lease had run out, and another server stores the outcome of its own run.
            Ok(()) | Err(WriteError::Refused(Refusal::JobLeaseLost)) => {}
            Err(error) => {
                tracing::error!(kind, job.key = %row.key, error = %error, "the outcome of a queued job could not be stored");
            }
        }
    }
}
