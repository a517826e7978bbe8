//! The file size limit of the process (`ulimit -f`). SQLite reports a write beyond it as a generic I/O error;
//! the operator should see that storage is full.

use std::path::Path;

use rlimit::{INFINITY, Resource};
use rusqlite::Connection;

/// Upper bound for the size of one write: a page and its header, with a margin.
const MAX_WRITE: u64 = 64 << 10;

/// Whether the database or its write-ahead log may have reached the process's limit.
pub(super) fn is_reached(connection: &Connection) -> bool {
    let limit = Resource::FSIZE.get_soft().unwrap_or(INFINITY);
    if limit == INFINITY {
        return false;
    }
    let Some(path) = connection.path() else { return false };
    let length = |path: &str| Path::new(path).metadata().map_or(0, |file| file.len());
    [length(path), length(&format!("{path}-wal"))].into_iter().any(|size| size.saturating_add(MAX_WRITE) > limit)
}
