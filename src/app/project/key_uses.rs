//! Which keys' uses were noted lately: of all requests with a key within a minute, one writes that it was
//! used, however many come in the same moment.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::time::Millis;

/// A minute: the time of a key's last use is no more precise.
pub const INTERVAL: Millis = 60_000;
/// Keys that are remembered; past that, those of earlier minutes are forgotten.
const CAPACITY: usize = 10_000;

/// When this server last noted the use of each key.
#[derive(Debug, Default)]
pub struct KeyUses(Mutex<HashMap<String, Millis>>);

impl KeyUses {
    /// Whether the use of a key is to be noted now: once in [`INTERVAL`].
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
        // A clock that was set back does not keep uses from being noted.
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
