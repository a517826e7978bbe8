//! What was read in the last second: sessions and auth configs, which nearly every request needs.
//!
//! A change made by this process is seen at once (whoever makes it calls [`Recent::forget`]), one
//! made by another server on the same database within [`LIFETIME`]. Holds ids and policies, never a
//! key, a token or anything sealed; keys and accounts are read each time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long something read may be taken for true.
pub const LIFETIME: Duration = Duration::from_secs(1);
/// Entries; past this many in a second the cache starts over.
const CAPACITY: usize = 4_096;

/// A small cache with a short memory.
#[derive(Debug)]
pub struct Recent<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// What was remembered in the last second.
    pub fn get(&self, key: &K) -> Option<V> {
        let entries = self.lock();
        let (read_at, value) = entries.get(key)?;
        (read_at.elapsed() < LIFETIME).then(|| value.clone())
    }

    /// Remembers what was read. `read_at` is from before the read, so that a change during it is not
    /// hidden for longer than a second.
    pub fn put(&self, key: K, read_at: Instant, value: V) {
        let mut entries = self.lock();
        if entries.len() >= CAPACITY {
            entries.retain(|_, (read_at, _)| read_at.elapsed() < LIFETIME);
            if entries.len() >= CAPACITY {
                entries.clear();
            }
        }
        entries.insert(key, (read_at, value));
    }

    /// Forgets one entry: it was changed here.
    pub fn forget(&self, key: &K) {
        self.lock().remove(key);
    }

    /// Forgets all entries that a change here may have touched.
    pub fn forget_where(&self, touched: impl Fn(&V) -> bool) {
        self.lock().retain(|_, (_, value)| !touched(value));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (Instant, V)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_live_a_second_or_until_they_are_forgotten() {
        let recent: Recent<u32, u32> = Recent::default();
        let now = Instant::now();
        recent.put(1, now, 10);
        assert_eq!(recent.get(&1), Some(10));
        recent.forget(&1);
        assert_eq!(recent.get(&1), None);
        let Some(long_ago) = now.checked_sub(LIFETIME) else { return };
        recent.put(2, long_ago, 20);
        assert_eq!(recent.get(&2), None, "too old");
        recent.put(3, now, 30);
        recent.forget_where(|value| *value == 30);
        assert_eq!(recent.get(&3), None);
    }

    #[test]
    fn it_never_grows_past_its_capacity() {
        let recent: Recent<usize, ()> = Recent::default();
        for key in 0..3 * CAPACITY {
            recent.put(key, Instant::now(), ());
        }
        assert!(recent.lock().len() <= CAPACITY);
    }
}
