//! A circuit breaker per token endpoint (R40, F16). After several outages in a row, or when the provider asks
//! for it, the breaker opens: no requests are sent for a growing pause. Then one request at a time probes the
//! endpoint, and a response closes the breaker.
//!
//! [`Health`] says what an attempt means for the provider, which is not what it means for the account: a
//! refusal is the response of a healthy provider.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::time::Millis;

/// Outages in a row before the breaker opens.
const FAILURE_THRESHOLD: u32 = 5;
/// First pause; it doubles with every further outage.
const INITIAL_PAUSE: Millis = 2_000;
/// Maximum pause of our own, and maximum pause that a provider may request.
const MAX_PAUSE: Millis = 60_000;
const MAX_RETRY_AFTER: Millis = 5 * 60_000;

/// Maximum number of endpoints tracked. Beyond it, closed breakers are forgotten.
const CAPACITY: usize = 4_096;

/// What one attempt says about a provider, regardless of the account.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// The provider cannot be reached, breaks the connection or reports a failure of its own.
    Outage {
        /// Value of `Retry-After`, in milliseconds.
        retry_after: Option<Millis>,
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
    open_until: Millis,
}

impl Breakers {
    /// Whether a request may be sent now; otherwise how long to wait. While the provider is unhealthy, an
    /// admitted request keeps the breaker open for others until its result is known.
    pub fn admit(&self, endpoint: &str, now: Millis) -> Result<(), Millis> {
        let mut breakers = self.lock();
        let Some(breaker) = breakers.get_mut(endpoint).filter(|breaker| breaker.outages >= FAILURE_THRESHOLD) else {
            return Ok(());
        };
        // A longer pause than any we set means that the clock was set back.
        if now < breaker.open_until && breaker.open_until <= now + MAX_RETRY_AFTER {
            return Err(breaker.open_until - now);
        }
        breaker.open_until = now + pause(breaker.outages);
        Ok(())
    }

    /// Toolkits whose only endpoint has an open breaker. Endpoints of single hosts are not included.
    pub fn open_toolkits(&self, now: Millis) -> Vec<String> {
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
    pub fn remaining_pause(&self, endpoint: &str, now: Millis) -> Option<Millis> {
        let breakers = self.lock();
        let breaker = breakers.get(endpoint).filter(|breaker| breaker.outages >= FAILURE_THRESHOLD)?;
        let rest = breaker.open_until - now;
        (1..=MAX_RETRY_AFTER).contains(&rest).then_some(rest)
    }

    /// Records the result of an attempt.
    pub fn record(&self, endpoint: &str, health: Health, now: Millis) {
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

    fn record_outage(&self, endpoint: &str, retry_after: Option<Millis>, now: Millis) {
        let mut breakers = self.lock();
        if breakers.len() >= CAPACITY {
            breakers.retain(|_, breaker| breaker.open_until > now);
        }
        let breaker = breakers.entry(endpoint.to_owned()).or_default();
        breaker.outages = breaker.outages.saturating_add(1);
        if let Some(retry_after) = retry_after {
            // A requested pause applies from the first time on.
            breaker.outages = breaker.outages.max(FAILURE_THRESHOLD);
            breaker.open_until = breaker.open_until.max(now + retry_after.clamp(0, MAX_RETRY_AFTER));
        }
        if breaker.outages >= FAILURE_THRESHOLD {
            breaker.open_until = breaker.open_until.max(now + pause(breaker.outages));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(outages: u32) -> Millis {
    let doublings = outages.saturating_sub(FAILURE_THRESHOLD).min(10);
    (INITIAL_PAUSE << doublings).min(MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_endpoint_is_probed_occasionally() {
        let breakers = Breakers::default();
        let mut attempts = 0;
        // Ten minutes with a request every 100 ms, all of which fail.
        for tick in 0..6_000 {
            let now = tick * 100;
            if breakers.admit("https://p.example", now).is_ok() {
                attempts += 1;
                breakers.record("https://p.example", Health::Outage { retry_after: None }, now);
            }
        }
        assert!((10..=25).contains(&attempts), "{attempts}");
        assert!(breakers.admit("https://other.example", 600_000).is_ok());
        breakers.record("https://p.example", Health::Answered, 600_000);
        assert!(breakers.admit("https://p.example", 600_000).is_ok());
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_limit() {
        let breakers = Breakers::default();
        assert_eq!(breakers.remaining_pause("p", 0), None);
        breakers.record("p", Health::Outage { retry_after: Some(90_000) }, 0);
        assert_eq!((breakers.remaining_pause("p", 1_000), breakers.remaining_pause("p", 90_000)), (Some(89_000), None));
        assert_eq!(breakers.admit("p", 1_000), Err(89_000));
        assert!(breakers.admit("p", 90_000).is_ok());
        assert!(breakers.admit("p", 90_001).is_err(), "one at a time");
        breakers.record("q", Health::Outage { retry_after: Some(i64::MAX) }, 0);
        assert!(breakers.admit("q", MAX_RETRY_AFTER).is_ok());
        assert!(breakers.admit("q", 0).is_err() || breakers.admit("q", 1).is_err());
    }

    #[test]
    fn an_unsent_request_does_not_count_as_an_outage() {
        let breakers = Breakers::default();
        for _ in 0..FAILURE_THRESHOLD {
            assert!(breakers.admit("p", 0).is_ok());
            breakers.record("p", Health::NotSent, 0);
            breakers.record("p", Health::Outage { retry_after: None }, 0);
        }
        assert_eq!(breakers.admit("p", 1), Err(INITIAL_PAUSE - 1), "our own faults do not count as outages");
        assert!(breakers.admit("p", INITIAL_PAUSE).is_ok());
        breakers.record("p", Health::NotSent, INITIAL_PAUSE);
        assert!(breakers.admit("p", INITIAL_PAUSE).is_ok(), "and do not keep the breaker open");
        breakers.record("p", Health::Answered, INITIAL_PAUSE);
        assert_eq!(breakers.remaining_pause("p", INITIAL_PAUSE), None);
    }
}
