//! Runs a background job: its interval, the backoff after failures, and its metrics.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::error::Result;
use crate::metrics::Metrics;
use crate::time::Clock;

/// Maximum pause after failures, for jobs with a shorter interval.
const MAX_BACKOFF: Duration = Duration::from_secs(15);

/// Recurring background work. One activation does a bounded amount.
pub trait Job: Send + 'static {
    /// Its name in `/readyz`, the metrics and the log.
    const NAME: &'static str;
    /// The pause between two activations.
    const INTERVAL: Duration;

    /// Does the work that is due, or a bounded part of it. Returns the number of items completed or started.
    ///
    /// # Errors
    /// If the work cannot be done now. It is tried again after a pause that grows with each failure.
    fn activate(&mut self, stop: &CancellationToken) -> impl Future<Output = Result<usize>> + Send;

    /// Resolves if there is work before the interval is over.
    fn woken(&self) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

/// Activates a job until `stop` is cancelled: at once, then after each interval, or earlier if it is woken.
pub async fn run<J: Job>(mut job: J, metrics: &Metrics, clock: &dyn Clock, stop: &CancellationToken) {
    let mut failures = 0;
    while !stop.is_cancelled() {
        let started = Instant::now();
        let outcome = job.activate(stop).await;
        metrics.job_activated(J::NAME, &outcome, started.elapsed(), clock.now());
        match outcome {
            Ok(_) => failures = 0,
            Err(error) => {
                failures += 1;
                tracing::error!(
                    job = J::NAME,
                    failures,
                    error = error.message(),
                    cause = error.causes(),
                    "a background job failed; it is tried again"
                );
            }
        }
        let pause = tokio::time::sleep(pause_after(J::INTERVAL, failures));
        tokio::select! {
            () = pause => {}
            // After a failure the pause is kept, even if the job is woken.
            () = job.woken(), if failures == 0 => {}
            () = stop.cancelled() => {}
        }
    }
}

/// The interval, doubled with each consecutive failure.
fn pause_after(interval: Duration, failures: u32) -> Duration {
    let max_pause = interval.max(MAX_BACKOFF);
    interval.saturating_mul(2_u32.saturating_pow(failures.min(16))).min(max_pause)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;
    use crate::error::Error;
    use crate::time::SystemClock;

    #[test]
    fn pauses_grow_with_failures_up_to_a_limit() {
        let pauses = [0, 1, 2, 3, 4, 60].map(|failures| pause_after(Duration::from_secs(2), failures).as_secs());
        assert_eq!(pauses, [2, 4, 8, 15, 15, 15]);
        assert_eq!(pause_after(Duration::from_mins(10), 3), Duration::from_mins(10));
    }

    /// A job whose first activation fails.
    struct FailsOnce<const INTERVAL_MS: u64> {
        activations: Arc<AtomicUsize>,
        wake: Arc<Notify>,
    }

    impl<const INTERVAL_MS: u64> Job for FailsOnce<INTERVAL_MS> {
        const NAME: &'static str = "fails_once";
        const INTERVAL: Duration = Duration::from_millis(INTERVAL_MS);

        async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
            match self.activations.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::internal("no disk")),
                _ => Ok(1),
            }
        }

        async fn woken(&self) {
            self.wake.notified().await;
        }
    }

    async fn run_until<const INTERVAL_MS: u64>(first: usize, activations: usize) {
        let (count, wake, stop) =
            (Arc::new(AtomicUsize::new(first)), Arc::new(Notify::new()), CancellationToken::new());
        let job = FailsOnce::<INTERVAL_MS> { activations: Arc::clone(&count), wake: Arc::clone(&wake) };
        let running = tokio::spawn({
            let stop = stop.clone();
            async move { run(job, &Metrics::default(), &SystemClock, &stop).await }
        });
        let end = Instant::now() + Duration::from_secs(20);
        while count.load(Ordering::SeqCst) < activations {
            assert!(Instant::now() < end, "too few activations");
            wake.notify_one();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.cancel();
        running.await.unwrap();
    }

    #[tokio::test]
    async fn a_job_that_failed_is_activated_again() {
        run_until::<1>(0, 3).await;
    }

    #[tokio::test]
    async fn a_job_that_is_woken_does_not_wait_for_its_interval() {
        run_until::<3_600_000>(1, 4).await;
    }
}
