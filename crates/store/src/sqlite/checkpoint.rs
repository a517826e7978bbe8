//! Checkpoints on their own thread: the writer never waits for pages to move (best p99 measured).

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;

use super::BUSY_TIMEOUT;

/// Between passive checkpoints, which disturb nobody.
const INTERVAL: Duration = Duration::from_millis(500);
/// WAL pages of 4 KiB past which the file itself is cut back (128 MiB).
const TRUNCATE_PAGES: i64 = 32_768;

/// Ends its thread when dropped.
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
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let result = match &connection {
            Some(connection) => checkpoint(connection),
            None => open(path).map(|opened| connection = Some(opened)),
        };
        if let Err(error) = result {
            tracing::warn!(error = %error, "checkpoint failed; the next one tries again");
        }
    }
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    let pages = run_pragma(connection, "PRAGMA wal_checkpoint(PASSIVE)")?;
    if pages > TRUNCATE_PAGES {
        run_pragma(connection, "PRAGMA wal_checkpoint(TRUNCATE)")?;
    }
    Ok(())
}

/// Returns the number of pages in the WAL.
fn run_pragma(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(1))
}
