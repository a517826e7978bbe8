//! Rate limits of keys, addresses, accounts and links (R86).
//!
//! Each has a budget that requests consume and that is replenished evenly (GCRA). A burst of one minute's
//! budget is allowed; after it, requests are admitted at the limit's rate.

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use switchboard_types::{AccountId, CompactString, Timestamp};

use crate::client_address::counted_as;
use crate::error::{Code, Error, Result};
use crate::metrics::Metrics;
use crate::time::Clock;

/// Credential submissions of one link: the burst, and the number in ten minutes.
const LINK_SUBMISSIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);
/// Time to replenish one submission.
const LINK_REPLENISH_PERIOD: Duration = Duration::from_mins(1);

/// Below this number of entries, shrinking the map is not worth it.
const MIN_SHRINK_SIZE: usize = 1_024;

/// The operator's limits, in requests per minute; none means no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct RateLimits {
    /// Per API key.
    pub per_key: Option<NonZeroU32>,
    /// Per address, for requests without a key and failed authentication.
    pub per_address: Option<NonZeroU32>,
    /// Per account, for calls to its provider.
    pub per_account: Option<NonZeroU32>,
}

/// The state of a limit after a request was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests per minute.
    pub limit: u32,
    /// Requests that would be admitted now.
    pub remaining: u32,
}

/// A request exceeded its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Requests per minute.
    pub limit: u32,
    /// Seconds until the next request is admitted, at least 1.
    pub retry_after: u64,
}

/// All counters of a process.
pub struct Limits {
    key: Option<Limiter<CompactString>>,
    address: Option<Limiter<IpAddr>>,
    account: Option<Limiter<CompactString>>,
    link: Limiter<CompactString>,
    metrics: Arc<Metrics>,
}

crate::redacted_debug!(Limits);

impl Limits {
    /// Creates the counters, all unused.
    pub fn new(rates: RateLimits, clock: Arc<dyn Clock>, metrics: Arc<Metrics>) -> Self {
        let clock = SteadyClock::new(clock);
        let link = Quota::with_period(LINK_REPLENISH_PERIOD).unwrap_or(Quota::per_minute(NonZeroU32::MIN));
        Self {
            key: Limiter::per_minute(rates.per_key, &clock),
            address: Limiter::per_minute(rates.per_address, &clock),
            account: Limiter::per_minute(rates.per_account, &clock),
            link: Limiter::new(link.allow_burst(LINK_SUBMISSIONS), LINK_SUBMISSIONS, &clock),
            metrics,
        }
    }

    /// Removes entries whose budget is full again.
    pub fn prune(&self) {
        let strings = [self.key.as_ref(), self.account.as_ref(), Some(&self.link)];
        strings.into_iter().flatten().for_each(Limiter::prune);
        self.address.iter().for_each(Limiter::prune);
    }

    /// How many keys, addresses, accounts and links are tracked.
    pub fn remembered(&self) -> usize {
        let strings = [self.key.as_ref(), self.account.as_ref(), Some(&self.link)];
        let addresses = self.address.as_ref().map_or(0, |limiter| limiter.inner.len());
        strings.into_iter().flatten().map(|limiter| limiter.inner.len()).sum::<usize>() + addresses
    }
}

impl Limits {
    /// Counts a request of an authenticated key. None if there is no limit.
    pub fn count_key(&self, key_id: &str) -> std::result::Result<Option<RateLimitStatus>, Exceeded> {
        let Some(limiter) = &self.key else { return Ok(None) };
        self.counted("key", limiter.take(&key_id.into())).map(Some)
    }

    /// Counts a request without a valid key. None if there is no limit.
    pub fn count_address(&self, address: IpAddr) -> std::result::Result<Option<RateLimitStatus>, Exceeded> {
        let Some(limiter) = &self.address else { return Ok(None) };
        self.counted("address", limiter.take(&counted_as(address))).map(Some)
    }

    /// Counts a call to a provider with an account.
    pub fn count_account(&self, account_id: &AccountId) -> Result<()> {
        let Some(limiter) = &self.account else { return Ok(()) };
        let counted = self.counted("account", limiter.take(&account_id.into()));
        counted.map(drop).map_err(|exceeded| {
            exceeded.error(&format!("connected account {account_id} (`rate_limit_per_account_per_minute`)"))
        })
    }

    /// Counts a credential entered on a link's page. The provider's response could be used to probe for valid
    /// keys, so the limit is per link and not per client address.
    pub fn count_link_submission(&self, link_id: &str) -> Result<()> {
        let counted = self.counted("link", self.link.take(&link_id.into()));
        counted.map(drop).map_err(|exceeded| {
            Error::new(Code::TooManyRequests, "Too many credentials were entered on this link")
                .fix("Wait a minute, check the credential, and open the link again.")
                .retry_after(exceeded.retry_after)
        })
    }

    /// Counts an attempt started on a link. Each may request a device code, register a client or push a
    /// request, so the limit is per link and not per client address.
    pub fn count_link_start(&self, link_id: &str) -> Result<()> {
        let counted = self.counted("link", self.link.take(&link_id.into()));
        counted.map(drop).map_err(|exceeded| {
            Error::new(Code::TooManyRequests, "This link was begun too often")
                .fix("Wait a minute, then open the link again.")
                .retry_after(exceeded.retry_after)
        })
    }

    fn counted<T>(
        &self,
        kind: &'static str,
        outcome: std::result::Result<T, Exceeded>,
    ) -> std::result::Result<T, Exceeded> {
        if outcome.is_err() {
            self.metrics.rate_limited(kind);
        }
        outcome
    }
}

impl Exceeded {
    /// The error response. `whose` names the owner of the limit and the setting.
    pub fn error(self, whose: &str) -> Error {
        let fix = format!(
            "Wait {} s, as the Retry-After header says. The limit is this server's own, for {whose}; no provider set it.",
            self.retry_after
        );
        Error::of(Code::TooManyRequests, &[("limit", &self.limit)]).fix(fix).retry_after(self.retry_after)
    }
}

struct Limiter<K: Hash + Eq + Clone> {
    limit: u32,
    clock: SteadyClock,
    /// The highest number of entries since the map was last shrunk.
    peak: AtomicUsize,
    inner: RateLimiter<K, HashMapStateStore<K>, SteadyClock, StateInformationMiddleware>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(quota: Quota, limit: NonZeroU32, clock: &SteadyClock) -> Self {
        let inner = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self { limit: limit.get(), clock: clock.clone(), peak: AtomicUsize::new(0), inner }
    }

    fn per_minute(limit: Option<NonZeroU32>, clock: &SteadyClock) -> Option<Self> {
        limit.map(|limit| Self::new(Quota::per_minute(limit), limit, clock))
    }

    fn take(&self, key: &K) -> std::result::Result<RateLimitStatus, Exceeded> {
        match self.inner.check_key(key) {
            Ok(state) => Ok(RateLimitStatus { limit: self.limit, remaining: state.remaining_burst_capacity() }),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
                Err(Exceeded { limit: self.limit, retry_after: seconds.max(1) })
            }
        }
    }

    /// Shrinks the map only if most of it is unused. Shrinking moves all entries and blocks counting meanwhile.
    fn prune(&self) {
        let before = self.inner.len();
        self.inner.retain_recent();
        let peak = self.peak.fetch_max(before, Ordering::Relaxed).max(before);
        let left = self.inner.len();
        if peak > MIN_SHRINK_SIZE && left < peak / 4 {
            self.inner.shrink_to_fit();
            self.peak.store(left, Ordering::Relaxed);
        }
    }
}

/// The application's clock as a monotonic duration since the start. If the system time is set back, budgets
/// keep being replenished.
#[derive(Clone)]
struct SteadyClock {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<(Timestamp, Duration)>>,
}

impl SteadyClock {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self { clock, state: Arc::new(Mutex::new((now, Duration::ZERO))) }
    }
}

impl GovernorClock for SteadyClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        *state = (now, state.1.saturating_add(now.since(state.0)));
        state.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicI64;

    #[derive(Default)]
    struct TestClock(AtomicI64);

    impl Clock for TestClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    fn limits(per_address: u32) -> (Arc<TestClock>, Limits) {
        let clock = Arc::new(TestClock::default());
        clock.0.store(1_000_000, Ordering::SeqCst);
        let rates = RateLimits { per_address: NonZeroU32::new(per_address), ..RateLimits::default() };
        (Arc::clone(&clock), Limits::new(rates, clock, Arc::default()))
    }

    fn take(limits: &Limits, last: u8) -> std::result::Result<RateLimitStatus, Exceeded> {
        limits.address.as_ref().unwrap().take(&IpAddr::from([192, 0, 2, last]))
    }

    #[test]
    fn a_burst_of_one_minute_is_allowed_and_replenished() {
        let (clock, limits) = limits(3);
        for remaining in [2, 1, 0] {
            assert_eq!(take(&limits, 1), Ok(RateLimitStatus { limit: 3, remaining }));
        }
        assert_eq!(take(&limits, 1), Err(Exceeded { limit: 3, retry_after: 20 }));
        assert_eq!(take(&limits, 2), Ok(RateLimitStatus { limit: 3, remaining: 2 }));
        clock.0.fetch_add(19_500, Ordering::SeqCst);
        assert_eq!(take(&limits, 1), Err(Exceeded { limit: 3, retry_after: 1 }));
        clock.0.fetch_add(500, Ordering::SeqCst);
        assert_eq!(take(&limits, 1), Ok(RateLimitStatus { limit: 3, remaining: 0 }));
        clock.0.fetch_add(60_000, Ordering::SeqCst);
        assert_eq!(take(&limits, 1), Ok(RateLimitStatus { limit: 3, remaining: 2 }));
    }

    #[test]
    fn setting_the_clock_back_blocks_no_client() {
        let (clock, limits) = limits(1);
        assert!(take(&limits, 1).is_ok());
        clock.0.store(0, Ordering::SeqCst);
        assert_eq!(take(&limits, 1), Err(Exceeded { limit: 1, retry_after: 60 }));
        clock.0.store(60_000, Ordering::SeqCst);
        assert!(take(&limits, 1).is_ok());
    }

    #[test]
    fn entries_with_a_full_budget_are_removed() {
        let (clock, limits) = limits(60);
        for last in 0..100 {
            assert!(take(&limits, last).is_ok());
        }
        limits.prune();
        assert_eq!(limits.remembered(), 100);
        clock.0.fetch_add(3_000, Ordering::SeqCst);
        limits.prune();
        assert_eq!(limits.remembered(), 0);
    }
}
