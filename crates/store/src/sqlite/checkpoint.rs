//! Checkpoints run on a thread of their own, so that the writer never waits for them (best p99 measured).

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::BUSY_TIMEOUT;

/// Interval of passive checkpoints, which block no reader or writer.
const INTERVAL: Duration = Duration::from_millis(500);
/// Above this number of WAL pages of 4 KiB (128 MiB), the file is truncated.
const TRUNCATE_PAGES: i64 = 32_768;

/// Stops its thread when dropped.
#[derive(Debug)]
pub(super) struct Checkpointer {
    _stop: mpsc::Sender<()>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let path = path.to_owned();
        thread::Builder::new().name("store-checkpoint".to_owned()).spawn(move || run(&path, &stopped))?;
        Ok(Self { _stop: stop })
    }
}

fn run(path: &Path, stopped: &mpsc::Receiver<()>) {
    let mut connection = None;
    let mut last = 0;
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let result = match &connection {
            Some(connection) => checkpoint(connection, last),
            None => open(path).map(|opened| {
                connection = Some(opened);
                0
            }),
        };
        match result {
            Ok(pages) => last = pages,
            Err(error) => tracing::warn!(error = %error, "checkpoint failed; the next one tries again"),
        }
    }
}

/// Moves everything into the database file and truncates the WAL. For shutdown.
pub(super) fn finish(path: &Path) -> rusqlite::Result<()> {
    run_pragma(&open(path)?, "PRAGMA wal_checkpoint(TRUNCATE)").map(drop)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Checkpoints and returns the number of pages in the WAL. The WAL is truncated when it is large, and when
/// nothing was written since the last round, so that erased credentials leave it (R75).
fn checkpoint(connection: &Connection, last: i64) -> rusqlite::Result<i64> {
    let pages = run_pragma(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    if pages > TRUNCATE_PAGES || (pages > 0 && pages == last) {
        return run_pragma(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
    }
    Ok(pages)
}

/// Returns the number of pages in the WAL, or -1 without a WAL.
fn run_pragma(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(1))
}
