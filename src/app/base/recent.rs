//! A cache of sessions and auth configs, which nearly every request reads.
//!
//! A change made by this process is visible at once, because every writer calls [`Recent::forget`]. A change
//! made by another server is visible after [`LIFETIME`]. Contains ids and policies, never keys, tokens or
//! sealed values; keys and accounts are remembered exactly ([`switchboard_store::Versioned`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an entry is valid.
pub const LIFETIME: Duration = Duration::from_secs(1);
/// Maximum number of entries. If so many are added within a second, the cache is cleared.
const CAPACITY: usize = 4_096;

/// A small cache with a short lifetime.
#[derive(Debug)]
pub struct Recent<K, V>(Mutex<Entries<K, V>>);

#[derive(Debug)]
struct Entries<K, V> {
    by_key: HashMap<K, (Instant, V)>,
    /// Incremented by every change made here. A read that began before a change is not cached.
    changes: u64,
}

/// The state of the cache before a read. [`Recent::put`] takes it with the value that was read.
#[derive(Clone, Copy, Debug)]
pub struct ReadStart {
    at: Instant,
    changes: u64,
}

impl<K, V> Default for Recent<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Entries { by_key: HashMap::new(), changes: 0 }))
    }
}

impl<K: Eq + Hash, V: Clone> Recent<K, V> {
    /// The value, if it was read within the last second.
    pub fn get(&self, key: &K) -> Option<V> {
        let entries = self.lock();
        let (read_at, value) = entries.by_key.get(key)?;
        (read_at.elapsed() < LIFETIME).then(|| value.clone())
    }

    /// Call this before reading a value for [`Self::put`].
    pub fn before(&self) -> ReadStart {
        ReadStart { at: Instant::now(), changes: self.lock().changes }
    }

    /// Caches a value that was read after `before`, unless something was changed meanwhile.
    pub fn put(&self, key: K, before: ReadStart, value: V) {
        let mut entries = self.lock();
        if entries.changes != before.changes {
            return;
        }
        if entries.by_key.len() >= CAPACITY {
            entries.by_key.retain(|_, (read_at, _)| read_at.elapsed() < LIFETIME);
            if entries.by_key.len() >= CAPACITY {
                entries.by_key.clear();
            }
        }
        entries.by_key.insert(key, (before.at, value));
    }

    /// Removes an entry that was changed.
    pub fn forget(&self, key: &K) {
        let mut entries = self.lock();
        entries.changes += 1;
        entries.by_key.remove(key);
    }

    /// Removes all entries that a change may affect.
    pub fn forget_where(&self, touched: impl Fn(&V) -> bool) {
        let mut entries = self.lock();
        entries.changes += 1;
        entries.by_key.retain(|_, (_, value)| !touched(value));
    }

    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_expire_after_a_second_or_when_forgotten() {
        let recent: Recent<u32, u32> = Recent::default();
        recent.put(1, recent.before(), 10);
        assert_eq!(recent.get(&1), Some(10));
        recent.forget(&1);
        assert_eq!(recent.get(&1), None);
        recent.put(3, recent.before(), 30);
        recent.forget_where(|value| *value == 30);
        assert_eq!(recent.get(&3), None);
        let Some(long_ago) = Instant::now().checked_sub(LIFETIME) else { return };
        recent.put(2, ReadStart { at: long_ago, ..recent.before() }, 20);
        assert_eq!(recent.get(&2), None, "too old");
    }

    #[test]
    fn a_value_read_before_a_change_is_not_cached() {
        let recent: Recent<u32, u32> = Recent::default();
        let before = recent.before();
        recent.forget(&1);
        recent.put(1, before, 10);
        assert_eq!(recent.get(&1), None);
    }

    #[test]
    fn the_cache_never_exceeds_its_capacity() {
        let recent: Recent<usize, ()> = Recent::default();
        for key in 0..3 * CAPACITY {
            recent.put(key, recent.before(), ());
        }
        assert!(recent.lock().by_key.len() <= CAPACITY);
    }
}
