//! A circuit breaker per token endpoint (R40, F16). After several outages in a row, or when the provider asks
//! for it, the breaker opens: no requests are sent for a growing pause. Then one request at a time probes the
//! endpoint, and a response closes the breaker.
//!
//! [`Health`] says what an attempt means for the provider, which is not what it means for the account: a
//! refusal is the response of a healthy provider.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use switchboard_types::Timestamp;

/// Outages in a row before the breaker opens.
const FAILURE_THRESHOLD: u32 = 5;
/// First pause; it doubles with every further outage.
const INITIAL_PAUSE: Duration = Duration::from_secs(2);
/// Maximum pause of our own, and maximum pause that a provider may request.
const MAX_PAUSE: Duration = Duration::from_mins(1);
const MAX_RETRY_AFTER: Duration = Duration::from_mins(5);

/// Maximum number of endpoints tracked. Beyond it, closed breakers are forgotten.
const CAPACITY: usize = 4_096;

/// What one attempt says about a provider, regardless of the account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// The provider cannot be reached, breaks the connection or reports a failure of its own.
    Outage {
        /// Value of `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// The provider responded, possibly with a refusal.
    Answered,
    /// No request was sent, because of a fault on our side.
    NotSent,
}

/// The circuit breakers of this process, by token endpoint.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<HashMap<String, Breaker>>);

#[derive(Debug, Default)]
struct Breaker {
    outages: u32,
    /// While the breaker is open, no request is sent before this time.
    open_until: Timestamp,
}

impl Breakers {
    /// Whether a request may be sent now; otherwise how long to wait. While the provider is unhealthy, an
    /// admitted request keeps the breaker open for others until its result is known.
    pub fn admit(&self, endpoint: &str, now: Timestamp) -> Result<(), Duration> {
        let mut breakers = self.lock();
        let Some(breaker) = breakers.get_mut(endpoint).filter(|breaker| breaker.outages >= FAILURE_THRESHOLD) else {
            return Ok(());
        };
        // A longer pause than any we set means that the clock was set back.
        if now < breaker.open_until && breaker.open_until <= now + MAX_RETRY_AFTER {
            return Err(breaker.open_until.since(now));
        }
        breaker.open_until = now + pause(breaker.outages);
        Ok(())
    }

    /// Toolkits whose only endpoint has an open breaker. Endpoints of single hosts are not included.
    pub fn open_toolkits(&self, now: Timestamp) -> Vec<String> {
        let is_open = |breaker: &Breaker| {
            breaker.outages >= FAILURE_THRESHOLD
                && now < breaker.open_until
                && breaker.open_until <= now + MAX_RETRY_AFTER
        };
        let breakers = self.lock();
        let open = breakers.iter().filter(|(endpoint, breaker)| !endpoint.contains(' ') && is_open(breaker));
        open.map(|(endpoint, _)| endpoint.clone()).collect()
    }

    /// The remaining pause of an endpoint; none if its breaker is closed. Does not admit a request.
    pub fn remaining_pause(&self, endpoint: &str, now: Timestamp) -> Option<Duration> {
        let breakers = self.lock();
        let breaker = breakers.get(endpoint).filter(|breaker| breaker.outages >= FAILURE_THRESHOLD)?;
        let rest = breaker.open_until.since(now);
        (!rest.is_zero() && rest <= MAX_RETRY_AFTER).then_some(rest)
    }

    /// Records the result of an attempt.
    pub fn record(&self, endpoint: &str, health: Health, now: Timestamp) {
        match health {
            Health::Outage { retry_after } => self.record_outage(endpoint, retry_after, now),
            Health::Answered => {
                self.lock().remove(endpoint);
            }
            // The admitted request was not sent: let the next one through.
            Health::NotSent => {
                if let Some(breaker) = self.lock().get_mut(endpoint) {
                    breaker.open_until = breaker.open_until.min(now);
                }
            }
        }
    }

    fn record_outage(&self, endpoint: &str, retry_after: Option<Duration>, now: Timestamp) {
        let mut breakers = self.lock();
        if breakers.len() >= CAPACITY {
            breakers.retain(|_, breaker| breaker.open_until > now);
        }
        let breaker = breakers.entry(endpoint.to_owned()).or_default();
        breaker.outages = breaker.outages.saturating_add(1);
        if let Some(retry_after) = retry_after {
            // A requested pause applies from the first time on.
            breaker.outages = breaker.outages.max(FAILURE_THRESHOLD);
            breaker.open_until = breaker.open_until.max(now + retry_after.min(MAX_RETRY_AFTER));
        }
        if breaker.outages >= FAILURE_THRESHOLD {
            breaker.open_until = breaker.open_until.max(now + pause(breaker.outages));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(outages: u32) -> Duration {
    let doublings = outages.saturating_sub(FAILURE_THRESHOLD).min(10);
    (INITIAL_PAUSE * (1 << doublings)).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment of the test.
    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_failing_endpoint_is_probed_occasionally() {
        let breakers = Breakers::default();
        let mut attempts = 0;
        // Ten minutes with a request every 100 ms, all of which fail.
        for tick in 0..6_000 {
            let now = at(tick * 100);
            if breakers.admit("https://p.example", now).is_ok() {
                attempts += 1;
                breakers.record("https://p.example", Health::Outage { retry_after: None }, now);
            }
        }
        assert!((10..=25).contains(&attempts), "{attempts}");
        assert!(breakers.admit("https://other.example", at(600_000)).is_ok());
        breakers.record("https://p.example", Health::Answered, at(600_000));
        assert!(breakers.admit("https://p.example", at(600_000)).is_ok());
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_limit() {
        let breakers = Breakers::default();
        assert_eq!(breakers.remaining_pause("p", at(0)), None);
        breakers.record("p", Health::Outage { retry_after: Some(Duration::from_secs(90)) }, at(0));
        assert_eq!(
            (breakers.remaining_pause("p", at(1_000)), breakers.remaining_pause("p", at(90_000))),
            (Some(Duration::from_secs(89)), None)
        );
        assert_eq!(breakers.admit("p", at(1_000)), Err(Duration::from_secs(89)));
        assert!(breakers.admit("p", at(90_000)).is_ok());
        assert!(breakers.admit("p", at(90_001)).is_err(), "one at a time");
        breakers.record("q", Health::Outage { retry_after: Some(Duration::MAX) }, at(0));
        assert!(breakers.admit("q", at(0) + MAX_RETRY_AFTER).is_ok());
        assert!(breakers.admit("q", at(0)).is_err() || breakers.admit("q", at(1)).is_err());
    }

    #[test]
    fn an_unsent_request_does_not_count_as_an_outage() {
        let breakers = Breakers::default();
        for _ in 0..FAILURE_THRESHOLD {
            assert!(breakers.admit("p", at(0)).is_ok());
            breakers.record("p", Health::NotSent, at(0));
            breakers.record("p", Health::Outage { retry_after: None }, at(0));
        }
        let rest = INITIAL_PAUSE.saturating_sub(Duration::from_millis(1));
        assert_eq!(breakers.admit("p", at(1)), Err(rest), "our own faults do not count as outages");
        let later = at(0) + INITIAL_PAUSE;
        assert!(breakers.admit("p", later).is_ok());
        breakers.record("p", Health::NotSent, later);
        assert!(breakers.admit("p", later).is_ok(), "and do not keep the breaker open");
        breakers.record("p", Health::Answered, later);
        assert_eq!(breakers.remaining_pause("p", later), None);
    }
}
