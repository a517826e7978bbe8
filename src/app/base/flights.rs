//! Locks of accounts and auth configs within this process, held during refreshes, revocations and choices.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// One lock per account or auth config.
#[derive(Debug, Default)]
pub struct Flights(Mutex<Locks>);

#[derive(Debug, Default)]
struct Locks {
    by_account: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    /// How many locks there may be before unused ones are removed.
    next_look: usize,
}

impl Flights {
    /// The lock of one account or auth config.
    pub(in crate::app) fn lock_of(&self, account: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Unused locks are removed here lazily instead of on drop. The threshold doubles with the locks in use,
        // so the amortised cost stays small.
        if locks.by_account.len() >= locks.next_look.max(256) {
            locks.by_account.retain(|_, lock| Arc::strong_count(lock) > 1);
            locks.next_look = locks.by_account.len() * 2;
        }
        Arc::clone(locks.by_account.entry(account.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_that_nobody_has_are_forgotten_and_looked_for_seldom() {
        let flights = Flights::default();
        let held: Vec<_> = (0..1_000).map(|number| flights.lock_of(&format!("held {number}"))).collect();
        for number in 0..10_000 {
            flights.lock_of(&format!("dropped {number}"));
        }
        let locks = flights.0.lock().unwrap();
        assert!(locks.by_account.len() <= 2_001, "{}", locks.by_account.len());
        assert!(locks.next_look >= 2 * held.len(), "unused locks are not searched for at each call");
    }
}
