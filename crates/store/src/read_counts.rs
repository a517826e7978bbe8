//! How often the database is read: what a call costs on an engine behind a network.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Store;

/// Reads since the database was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCounts {
    /// Point reads and scans. A scan is one, no matter how many queries it makes.
    pub reads: u64,
    /// SQL queries of all reads.
    pub queries: u64,
}

/// The counters. Relaxed: they are compared only by who knows that no read is running.
#[derive(Debug, Default)]
pub(crate) struct ReadCounter {
    reads: AtomicU64,
    queries: AtomicU64,
}

impl ReadCounter {
    /// Counts a read.
    pub(crate) fn count_read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a query of a read.
    pub(crate) fn count_query(&self) {
        self.queries.fetch_add(1, Ordering::Relaxed);
    }

    fn now(&self) -> ReadCounts {
        ReadCounts { reads: self.reads.load(Ordering::Relaxed), queries: self.queries.load(Ordering::Relaxed) }
    }
}

impl Store {
    /// Reads since the database was opened, by this process.
    pub fn read_counts(&self) -> ReadCounts {
        self.read_counter().now()
    }
}
