//! Remembers which keys' uses were recorded lately. Of all requests with a key within a minute, only one writes
//! the time of last use, even if they arrive at once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use switchboard_types::Timestamp;

/// One minute: the precision of a key's time of last use.
pub const INTERVAL: Duration = Duration::from_mins(1);
/// Maximum number of keys remembered.
const CAPACITY: usize = 10_000;

/// When this server last recorded the use of each key.
#[derive(Debug, Default)]
pub struct KeyUses(Mutex<HashMap<String, Timestamp>>);

impl KeyUses {
    /// Whether the use of a key must be recorded now: once per [`INTERVAL`].
    pub fn should_record(&self, id: &str, now: Timestamp) -> bool {
        let mut recorded = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |at: Timestamp| (at..at + INTERVAL).contains(&now);
        if recorded.get(id).copied().is_some_and(is_recent) {
            return false;
        }
        if recorded.len() >= CAPACITY {
            recorded.retain(|_, at| is_recent(*at));
        }
        if recorded.len() >= CAPACITY {
            recorded.clear();
        }
        recorded.insert(id.to_owned(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn each_key_is_recorded_once_a_minute() {
        let uses = KeyUses::default();
        let recorded: Vec<bool> = (0..5).map(|_| uses.should_record("key_1", at(1_000))).collect();
        assert_eq!(recorded, [true, false, false, false, false]);
        assert!(uses.should_record("key_2", at(1_000)));
        assert!(!uses.should_record("key_1", at(60_999)));
        assert!(uses.should_record("key_1", at(61_000)));
        // Uses are recorded even if the clock was set back.
        assert!(uses.should_record("key_1", at(500)));
    }

    #[test]
    fn it_never_exceeds_its_capacity() {
        let uses = KeyUses::default();
        for number in 0..3 * CAPACITY {
            assert!(uses.should_record(&format!("key_{number}"), at(1)));
        }
        assert!(uses.0.lock().unwrap().len() <= CAPACITY);
    }
}
