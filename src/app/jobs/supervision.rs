//! Jobs that run for as long as the server does: each is a task of its own. One that panics, or ends
//! although nobody told it to, is started again after a pause that grows; meanwhile, and until it has
//! run for a while, `/readyz` names it.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long a job may take to stop; then it is cut off at its next pause. What it writes is written
/// whole or not at all, and what must not be lost runs in tasks that shutdown waits for.
pub const STOP_TIME: Duration = Duration::from_secs(5);

/// When a job is started again.
pub(in crate::app) struct Pace {
    /// Pause before the first new start; doubled with each further one.
    first_pause: Duration,
    longest_pause: Duration,
    /// How long a job must have run to count as running again.
    proven: Duration,
}

/// That of a server.
pub(in crate::app) const PACE: Pace =
    Pace { first_pause: Duration::from_secs(1), longest_pause: Duration::from_mins(1), proven: Duration::from_secs(5) };

/// Jobs that do not run.
#[derive(Debug, Default)]
pub struct Jobs(Mutex<BTreeSet<&'static str>>);

impl Jobs {
    /// One that does not run, if there is any.
    pub fn down(&self) -> Option<&'static str> {
        self.set().first().copied()
    }

    /// Notes that a job has ended.
    pub fn ended(&self, name: &'static str) {
        self.set().insert(name);
    }

    /// Notes that a job runs.
    pub fn runs(&self, name: &'static str) {
        self.set().remove(name);
    }

    fn set(&self) -> MutexGuard<'_, BTreeSet<&'static str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs one job until told to stop.
pub(in crate::app) async fn supervise<F: Future<Output = ()> + Send + 'static>(
    jobs: &Jobs,
    stop: &CancellationToken,
    pace: &Pace,
    name: &'static str,
    start: impl Fn() -> F,
) {
    let mut pause = pace.first_pause;
    loop {
        // Ends the task when this is dropped.
        let mut task = JoinSet::new();
        task.spawn(start());
        let ended = tokio::select! {
            ended = task.join_next() => ended,
            () = tokio::time::sleep(pace.proven) => {
                jobs.runs(name);
                pause = pace.first_pause;
                tokio::select! {
                    ended = task.join_next() => ended,
                    () = overdue(stop) => return,
                }
            }
            () = overdue(stop) => return,
        };
        if stop.is_cancelled() {
            return;
        }
        jobs.ended(name);
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
        pause = (pause * 2).min(pace.longest_pause);
    }
}

/// Comes when a job should have stopped by now.
async fn overdue(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_TIME).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    const QUICK: Pace = Pace {
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_millis(40),
        proven: Duration::from_millis(100),
    };

    async fn until(what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(20);
        while !is_so() {
            assert!(Instant::now() < end, "{what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    #[tokio::test]
    async fn a_job_that_panics_or_ends_is_named_and_started_again() {
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
        until("it is named", || jobs.down() == Some("a_job")).await;
        until("a third start", || starts.load(Ordering::SeqCst) == 3).await;
        until("it has proven itself", || jobs.down().is_none()).await;
        stop.cancel();
        supervising.await.unwrap();
        assert_eq!(starts.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_job_that_does_not_stop_is_cut_off() {
        let (jobs, stop) = (Jobs::default(), CancellationToken::new());
        stop.cancel();
        let started = Instant::now();
        supervise(&jobs, &stop, &QUICK, "a_job", std::future::pending::<()>).await;
        assert!(started.elapsed() >= STOP_TIME && jobs.down().is_none());
    }
}
