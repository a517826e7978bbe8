//! Caches that are exact: what was changed by any process is never returned again once the change was acknowledged.
//!
//! An entry is valid while its topic has the generation that was current before the entry was read. Under SQLite
//! the generations are in a file beside the database (`sqlite/generations.rs`).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::{Generation, Store, Topic};

/// Maximum number of entries. A cache that is full is cleared.
const CAPACITY: usize = 4_096;

/// A cache of what depends on the rows of one topic.
///
/// Entries also have a short lifetime: a change that is made to the database by other means than a [`Store`], such as
/// a restored copy, is seen at its end.
#[derive(Debug)]
pub struct Versioned<K, V> {
    topic: Topic,
    lifetime: Duration,
    /// Whether a value is small enough to be kept.
    fits: fn(&V) -> bool,
    entries: Mutex<Entries<K, V>>,
}

#[derive(Debug)]
struct Entries<K, V> {
    generation: Option<Generation>,
    by_key: HashMap<K, (Instant, V)>,
}

impl<K: Eq + Hash, V: Clone> Versioned<K, V> {
    /// An empty cache whose entries depend on a topic. A value that does not fit is read each time.
    pub fn new(topic: Topic, lifetime: Duration, fits: fn(&V) -> bool) -> Self {
        let entries = Entries { generation: None, by_key: HashMap::new() };
        Self { topic, lifetime, fits, entries: Mutex::new(entries) }
    }

    /// Removes the entries whose lifetime is over.
    pub fn forget_old(&self) {
        self.lock().by_key.retain(|_, (read_at, _)| read_at.elapsed() < self.lifetime);
    }

    /// The value of a key: the one that was read before if nothing of the topic was changed since, otherwise what
    /// `read` finds. A missing value is not kept.
    ///
    /// # Errors
    /// Those of `read`.
    pub async fn get<E>(
        &self,
        store: &Store,
        key: K,
        read: impl AsyncFnOnce() -> Result<Option<V>, E>,
    ) -> Result<Option<V>, E> {
        // Before the read: a change that comes after it makes the entry invalid.
        let Some(generation) = store.generation(self.topic) else { return read().await };
        if let Some(value) = self.current(generation).find(&key, self.lifetime) {
            return Ok(Some(value));
        }
        let read_at = Instant::now();
        let found = read().await?;
        if let Some(value) = found.as_ref().filter(|value| (self.fits)(value)) {
            let mut entries = self.lock();
            // Otherwise the read was late, and what is there is newer.
            if entries.generation == Some(generation) {
                entries.insert(key, (read_at, value.clone()));
            }
        }
        Ok(found)
    }

    /// The entries of a generation; none remain of another one.
    fn current(&self, generation: Generation) -> MutexGuard<'_, Entries<K, V>> {
        let mut entries = self.lock();
        if entries.generation != Some(generation) {
            entries.generation = Some(generation);
            entries.by_key.clear();
        }
        entries
    }

    fn lock(&self) -> MutexGuard<'_, Entries<K, V>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash, V: Clone> Entries<K, V> {
    fn find(&self, key: &K, lifetime: Duration) -> Option<V> {
        let (read_at, value) = self.by_key.get(key)?;
        (read_at.elapsed() < lifetime).then(|| value.clone())
    }

    fn insert(&mut self, key: K, value: (Instant, V)) {
        if self.by_key.len() >= CAPACITY {
            self.by_key.clear();
        }
        self.by_key.insert(key, value);
    }
}
