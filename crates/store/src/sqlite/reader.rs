//! Read-only connections, one per thread and database, with cached statements.

use std::cell::RefCell;
use std::path::Path;

use rusqlite::Connection;

use super::{Reading, open_reader, unavailable};
use crate::ReadError;
use crate::read_counts::ReadCounter;

thread_local! {
    /// Connections of this thread by store number. A process has one store; tests have a few.
    static CONNECTIONS: RefCell<Vec<(u64, Connection)>> = const { RefCell::new(Vec::new()) };
}

/// Maximum number of open databases per thread; the oldest is closed first.
const MAX_CONNECTIONS: usize = 4;

/// Runs a read on this thread's connection, opening it on first use.
pub(super) fn with<T>(
    store: u64,
    path: &Path,
    counter: &ReadCounter,
    read: impl FnOnce(&Reading<'_>) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    CONNECTIONS.with_borrow_mut(|connections| {
        if let Some((_, connection)) = connections.iter().find(|(number, _)| *number == store) {
            return read(&Reading { connection, counter });
        }
        let connection = open_reader(path).map_err(|error| unavailable(&error))?;
        if connections.len() == MAX_CONNECTIONS {
            connections.remove(0);
        }
        let result = read(&Reading { connection: &connection, counter });
        connections.push((store, connection));
        result
    })
}
