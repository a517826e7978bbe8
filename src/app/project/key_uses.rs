//! Remembers which keys' uses were recorded lately. Of all requests with a key within a minute, only one writes
//! the time of last use, even if they arrive at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::time::Millis;

/// One minute: the precision of a key's time of last use.
pub const INTERVAL: Millis = 60_000;
/// Maximum number of keys remembered.
const CAPACITY: usize = 10_000;

/// When this server last recorded the use of each key.
#[derive(Debug, Default)]
pub struct KeyUses(Mutex<HashMap<String, Millis>>);

impl KeyUses {
    /// Whether the use of a key must be recorded now: once per [`INTERVAL`].
    pub fn is_to_be_noted(&self, id: &str, now: Millis) -> bool {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: Millis| (at..at.saturating_add(INTERVAL)).contains(&now);
        if noted.get(id).copied().is_some_and(is_recent) {
            return false;
        }
        if noted.len() >= CAPACITY {
            noted.retain(|_, at| is_recent(*at));
        }
        if noted.len() >= CAPACITY {
            noted.clear();
        }
        noted.insert(id.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_use_in_a_minute_is_noted_for_each_key() {
        let uses = KeyUses::default();
        let noted: Vec<bool> = (0..5).map(|_| uses.is_to_be_noted("key_1", 1_000)).collect();
        assert_eq!(noted, [true, false, false, false, false]);
        assert!(uses.is_to_be_noted("key_2", 1_000));
        assert!(!uses.is_to_be_noted("key_1", 60_999));
        assert!(uses.is_to_be_noted("key_1", 61_000));
        // Uses are recorded even if the clock was set back.
        assert!(uses.is_to_be_noted("key_1", 500));
    }

    #[test]
    fn it_never_grows_past_its_capacity() {
        let uses = KeyUses::default();
        for number in 0..3 * CAPACITY {
            assert!(uses.is_to_be_noted(&format!("key_{number}"), 1));
        }
        assert!(uses.0.lock().unwrap().len() <= CAPACITY);
    }
}
