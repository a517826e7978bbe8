//! Supervises the background jobs, each in its own task. A job that panics or ends unexpectedly is restarted
//! after a pause that grows. `/readyz` names it until it has run for a while.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a job may take to stop; then it is aborted at its next await point. Its writes are atomic, and work
/// that must not be lost runs in tasks that shutdown waits for.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// When a job is restarted.
pub(in crate::app) struct RestartPolicy {
    /// Pause before the first restart; doubled with each further one.
    initial_backoff: Duration,
    max_backoff: Duration,
    /// How long a job must run after a restart to count as running.
    stable_after: Duration,
}

/// The policy of the server.
pub(in crate::app) const RESTART_POLICY: RestartPolicy = RestartPolicy {
    initial_backoff: Duration::from_secs(1),
    max_backoff: Duration::from_mins(1),
    stable_after: Duration::from_secs(5),
};

/// The jobs that do not run.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<BTreeSet<&'static str>>);

impl Jobs {
    /// The first job that does not run, if any.
    pub fn first_stopped(&self) -> Option<&'static str> {
        self.stopped().first().copied()
    }

    /// Records that a job has stopped.
    pub fn mark_stopped(&self, name: &'static str) {
        self.stopped().insert(name);
    }

    /// Records that a job runs.
    pub fn mark_running(&self, name: &'static str) {
        self.stopped().remove(name);
    }

    fn stopped(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs one job until `stop` is cancelled, and restarts it if it ends before.
pub(in crate::app) async fn supervise<F: Future<Output = ()> + Send + 'static>(
    jobs: &Jobs,
    stop: &CancellationToken,
    policy: &RestartPolicy,
    name: &'static str,
    start: impl Fn() -> F,
) {
    let mut pause = policy.initial_backoff;
    loop {
        // Dropping the set aborts the task.
        let mut task = JoinSet::new();
        task.spawn(start());
        let ended = tokio::select! {
            ended = task.join_next() => ended,
            () = tokio::time::sleep(policy.stable_after) => {
                jobs.mark_running(name);
                pause = policy.initial_backoff;
                tokio::select! {
                    ended = task.join_next() => ended,
                    () = stop_timeout(stop) => return,
                }
            }
            () = stop_timeout(stop) => return,
        };
        if stop.is_cancelled() {
            return;
        }
        jobs.mark_stopped(name);
        let has_panicked = matches!(ended, Some(Err(_)));
        tracing::error!(
            job = name,
            has_panicked,
            pause_ms = pause.as_millis(),
            "a background job ended; it is started again"
        );
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
        pause = (pause * 2).min(policy.max_backoff);
    }
}

/// Resolves when the time to stop is over.
async fn stop_timeout(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_TIMEOUT).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    const QUICK: RestartPolicy = RestartPolicy {
        initial_backoff: Duration::from_millis(10),
        max_backoff: Duration::from_millis(40),
        stable_after: Duration::from_millis(100),
    };

    async fn wait_until(expectation: &str, condition: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < end, "{expectation}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn a_job_that_panics_or_ends_is_reported_and_restarted() {
        let (jobs, stop) = (Arc::new(Jobs::default()), CancellationToken::new());
        let starts = Arc::new(AtomicUsize::new(0));
        let supervising = tokio::spawn({
            let (jobs, stop, starts) = (Arc::clone(&jobs), stop.clone(), Arc::clone(&starts));
            async move {
                let start = || {
                    let (stop, number) = (stop.clone(), starts.fetch_add(1, Ordering::SeqCst));
                    async move {
                        match number {
                            0 => panic!("a job panics"),
                            1 => {}
                            _ => stop.cancelled().await,
                        }
                    }
                };
                supervise(&jobs, &stop, &QUICK, "a_job", start).await;
            }
        });
        wait_until("the job is reported", || jobs.first_stopped() == Some("a_job")).await;
        wait_until("a third start", || starts.load(Ordering::SeqCst) == 3).await;
        wait_until("the job counts as running", || jobs.first_stopped().is_none()).await;
        stop.cancel();
        supervising.await.unwrap();
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_job_that_does_not_stop_is_aborted() {
        let (jobs, stop) = (Jobs::default(), CancellationToken::new());
        stop.cancel();
        let started = Instant::now();
        supervise(&jobs, &stop, &QUICK, "a_job", std::future::pending::<()>).await;
        assert!(started.elapsed() >= STOP_TIMEOUT && jobs.first_stopped().is_none());
    }
}
