//! When a job that failed is run again.

use std::time::Duration;

use switchboard_store::jobs::JobRow;
use switchboard_types::Timestamp;

use super::Policy;
use crate::app::base::core::Core;

/// The next run of a job. A service gets one from [`super::LeasedJob::retry`] only, so that no job is retried after
/// its deadline.
#[derive(Debug)]
pub(in crate::app) struct Retry {
    pub(super) run_at: Timestamp,
    /// Why the run before failed.
    pub(super) detail: String,
}

impl Policy {
    /// When to run a job again after a failure at `now`: not before `retry_after` has passed, and for the last
    /// time at the deadline. None if there is no further run.
    pub(super) fn next_run_at(
        &self,
        job: &JobRow,
        now: Timestamp,
        retry_after: Option<Duration>,
        jitter: u8,
    ) -> Option<Timestamp> {
        let deadline = job.created_at + self.deadline;
        let earliest = now + retry_after.unwrap_or_default();
        let run_at = (now + self.pause(job.tries, jitter)).max(earliest).min(deadline);
        (now < deadline && earliest <= deadline).then_some(run_at)
    }

    /// The pause after run number `tries`. It doubles with each run; `jitter` shortens it to half at most, so that
    /// jobs that failed together do not come back together.
    pub(super) fn pause(&self, tries: i64, jitter: u8) -> Duration {
        let exponent = u32::try_from((tries - 1).clamp(0, 16)).unwrap_or(16);
        let max_pause = self.initial_backoff.saturating_mul(1 << exponent).min(self.max_backoff);
        max_pause / 2 + max_pause / 2 * u32::from(jitter) / 255
    }
}

/// A random number for [`Policy::pause`].
pub(super) fn jitter(core: &Core) -> u8 {
    let mut byte = [0];
    core.entropy.fill(&mut byte);
    byte[0]
}

#[cfg(test)]
mod tests {
    use switchboard_store::jobs::JobKind;

    use super::*;

    const POLICY: Policy = Policy {
        max_concurrent: 1,
        max_concurrent_per_lane: 1,
        lease: Duration::from_secs(1),
        initial_backoff: Duration::from_secs(5),
        max_backoff: Duration::from_mins(30),
        deadline: Duration::from_hours(24),
    };
    const DEADLINE: i64 = 24 * 60 * 60 * 1_000;

    fn tried(tries: i64) -> JobRow {
        JobRow {
            kind: JobKind::Revocation,
            key: "rvk_1".to_owned(),
            project_id: "pr_1".into(),
            lane: "github".to_owned(),
            tries,
            fence: switchboard_types::Fence(tries),
            created_at: Timestamp::EPOCH,
        }
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_are_never_shorter_than_half() {
        let longest = [1, 2, 3, 9, 10, 11, 1_000].map(|tries| POLICY.pause(tries, u8::MAX).as_secs());
        assert_eq!(longest, [5, 10, 20, 1_280, 1_800, 1_800, 1_800]);
        let shortest = [1, 2, 10].map(|tries| POLICY.pause(tries, 0).as_millis());
        assert_eq!(shortest, [2_500, 5_000, 900_000]);
    }

    #[test]
    fn a_job_is_not_run_before_its_provider_wants_and_for_the_last_time_at_its_deadline() {
        let at = |now, retry_after: Option<i64>| {
            let retry_after = retry_after.map(|millis| Duration::from_millis(millis.unsigned_abs()));
            let next = POLICY.next_run_at(&tried(1), Timestamp::from_millis(now), retry_after, u8::MAX);
            next.map(Timestamp::as_millis)
        };
        assert_eq!(at(1_000, None), Some(6_000));
        assert_eq!(at(1_000, Some(60_000)), Some(61_000));
        assert_eq!(at(1_000, Some(10)), Some(6_000), "the pause is kept");
        assert_eq!(at(DEADLINE - 1, None), Some(DEADLINE));
        assert_eq!(at(DEADLINE, None), None);
        assert_eq!(at(1_000, Some(DEADLINE)), None, "the provider wants more time than there is");
        assert_eq!(at(1_000, Some(i64::MAX)), None);
    }
}
