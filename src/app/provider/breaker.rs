//! A provider that is down is asked by one request at a time, not by every account that waits for it
//! (R40, F16): after a few outages in a row its token endpoint is left alone for a while that grows,
//! or for as long as it asks; then one request tries, and an answer lets all others through.
//!
//! What a try says of the provider is [`Health`], which is another thing than what it means for the
//! account: a refusal is the answer of a provider that is well.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::time::Millis;

/// Outages in a row before an endpoint is left alone.
const TOLERATED: u32 = 5;
/// First pause; it doubles with every further outage.
const FIRST_PAUSE: Millis = 2_000;
/// Longest pause of our own, and the longest that a provider may ask for.
const LONGEST_PAUSE: Millis = 60_000;
const LONGEST_ASKED: Millis = 5 * 60_000;

/// Endpoints remembered; past this many, those that are not left alone at present are forgotten.
const CAPACITY: usize = 4_096;

/// What one try says of a provider, whoever it was for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Health {
    /// It cannot be reached, breaks off, or says that it is unwell; `asked` is how long it wants to be
    /// left alone, in milliseconds.
    Outage {
        /// `Retry-After`.
        asked: Option<Millis>,
    },
    /// It answered, and be it with a refusal.
    Answered,
    /// It was not asked: the fault is ours.
    NotAsked,
}

/// The state of the token endpoints that this process talks to.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<HashMap<String, Breaker>>);

#[derive(Debug, Default)]
struct Breaker {
    outages: u32,
    /// Nobody asks before that: the breaker is open.
    open_until: Millis,
}

impl Breakers {
    /// Whether an endpoint may be asked now; else how long to wait. While it is unwell, whoever is let
    /// through keeps the others away until its answer is known.
    pub fn admit(&self, endpoint: &str, now: Millis) -> Result<(), Millis> {
        let mut breakers = self.lock();
        let Some(breaker) = breakers.get_mut(endpoint).filter(|breaker| breaker.outages >= TOLERATED) else {
            return Ok(());
        };
        // One that is longer than any we give comes from a clock that was set back.
        if now < breaker.open_until && breaker.open_until <= now + LONGEST_ASKED {
            return Err(breaker.open_until - now);
        }
        breaker.open_until = now + pause(breaker.outages);
        Ok(())
    }

    /// The toolkits whose one endpoint nobody may ask now; endpoints of single hosts are not among them.
    pub fn open_toolkits(&self, now: Millis) -> Vec<String> {
        let is_open = |breaker: &Breaker| {
            breaker.outages >= TOLERATED && now < breaker.open_until && breaker.open_until <= now + LONGEST_ASKED
        };
        let breakers = self.lock();
        let open = breakers.iter().filter(|(endpoint, breaker)| !endpoint.contains(' ') && is_open(breaker));
        open.map(|(endpoint, _)| endpoint.clone()).collect()
    }

    /// How long an endpoint is left alone still; none while it is well. Asks for nothing.
    pub fn pause_of(&self, endpoint: &str, now: Millis) -> Option<Millis> {
        let breakers = self.lock();
        let breaker = breakers.get(endpoint).filter(|breaker| breaker.outages >= TOLERATED)?;
        let rest = breaker.open_until - now;
        (1..=LONGEST_ASKED).contains(&rest).then_some(rest)
    }

    /// Takes note of what a try said of the provider.
    pub fn note(&self, endpoint: &str, health: Health, now: Millis) {
        match health {
            Health::Outage { asked } => self.failed(endpoint, asked, now),
            Health::Answered => {
                self.lock().remove(endpoint);
            }
            // Whoever was let through did not ask after all: the next one may.
            Health::NotAsked => {
                if let Some(breaker) = self.lock().get_mut(endpoint) {
                    breaker.open_until = breaker.open_until.min(now);
                }
            }
        }
    }

    fn failed(&self, endpoint: &str, asked: Option<Millis>, now: Millis) {
        let mut breakers = self.lock();
        if breakers.len() >= CAPACITY {
            breakers.retain(|_, breaker| breaker.open_until > now);
        }
        let breaker = breakers.entry(endpoint.to_owned()).or_default();
        breaker.outages = breaker.outages.saturating_add(1);
        if let Some(asked) = asked {
            // Asked to wait, we wait, whether or not it is the first time.
            breaker.outages = breaker.outages.max(TOLERATED);
            breaker.open_until = breaker.open_until.max(now + asked.clamp(0, LONGEST_ASKED));
        }
        if breaker.outages >= TOLERATED {
            breaker.open_until = breaker.open_until.max(now + pause(breaker.outages));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Breaker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(outages: u32) -> Millis {
    let doublings = outages.saturating_sub(TOLERATED).min(10);
    (FIRST_PAUSE << doublings).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_is_down_is_asked_once_in_a_while() {
        let breakers = Breakers::default();
        let mut asked = 0;
        // Ten minutes in which somebody wants something every 100 ms, and everything fails.
        for tick in 0..6_000 {
            let now = tick * 100;
            if breakers.admit("https://p.example", now).is_ok() {
                asked += 1;
                breakers.note("https://p.example", Health::Outage { asked: None }, now);
            }
        }
        assert!((10..=25).contains(&asked), "{asked}");
        assert!(breakers.admit("https://other.example", 600_000).is_ok());
        breakers.note("https://p.example", Health::Answered, 600_000);
        assert!(breakers.admit("https://p.example", 600_000).is_ok());
    }

    #[test]
    fn what_the_provider_asks_for_is_honoured_within_reason() {
        let breakers = Breakers::default();
        assert_eq!(breakers.pause_of("p", 0), None);
        breakers.note("p", Health::Outage { asked: Some(90_000) }, 0);
        assert_eq!((breakers.pause_of("p", 1_000), breakers.pause_of("p", 90_000)), (Some(89_000), None));
        assert_eq!(breakers.admit("p", 1_000), Err(89_000));
        assert!(breakers.admit("p", 90_000).is_ok());
        assert!(breakers.admit("p", 90_001).is_err(), "one at a time");
        breakers.note("q", Health::Outage { asked: Some(i64::MAX) }, 0);
        assert!(breakers.admit("q", LONGEST_ASKED).is_ok());
        assert!(breakers.admit("q", 0).is_err() || breakers.admit("q", 1).is_err());
    }

    #[test]
    fn what_was_not_asked_says_nothing_of_a_provider() {
        let breakers = Breakers::default();
        for _ in 0..TOLERATED {
            assert!(breakers.admit("p", 0).is_ok());
            breakers.note("p", Health::NotAsked, 0);
            breakers.note("p", Health::Outage { asked: None }, 0);
        }
        assert_eq!(breakers.admit("p", 1), Err(FIRST_PAUSE - 1), "our own faults close nothing");
        assert!(breakers.admit("p", FIRST_PAUSE).is_ok());
        breakers.note("p", Health::NotAsked, FIRST_PAUSE);
        assert!(breakers.admit("p", FIRST_PAUSE).is_ok(), "and keep nobody from asking");
        breakers.note("p", Health::Answered, FIRST_PAUSE);
        assert_eq!(breakers.pause_of("p", FIRST_PAUSE), None);
    }
}
