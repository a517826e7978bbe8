//! SQLite: one writer thread with group commit, readers inline on thread-local connections.

mod checkpoint;
mod file_size;
mod reader;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use crate::migrate::{self, MigrationError};
use crate::{ReadError, Row, Unit, Value, WriteError};

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to change the journal mode.
const WAL_PAUSE: Duration = Duration::from_millis(20);
/// Address space for memory-mapped reads: more than most databases, reclaimable pages only.
const MMAP_BYTES: i64 = 16 << 30;

static NEXT_STORE: AtomicU64 = AtomicU64::new(1);

/// Why a database could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The engine refused the file.
    #[error("cannot open database {path}")]
    Engine {
        /// The file.
        path: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The schema could not be brought up to date.
    #[error("cannot use database {path}")]
    Migration {
        /// The file.
        path: String,
        /// Why not.
        source: MigrationError,
    },
    /// No writer thread.
    #[error("cannot start the database's threads")]
    Thread(#[from] std::io::Error),
}

/// A handle on the database. Cheap to clone; the writer ends when the last one is gone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Tells this database's thread-local readers from another's.
    number: u64,
    path: PathBuf,
    writer: writer::Writer,
    _checkpointer: checkpoint::Checkpointer,
}

impl Store {
    /// Opens (or creates) the database file and brings its schema up to date.
    ///
    /// Commits are durable: `synchronous=FULL` waits for the disk before a write is acknowledged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let shown = path.display().to_string();
        let engine = |source| OpenError::Engine { path: shown.clone(), source };
        let mut connection = Connection::open(path).map_err(engine)?;
        configure_writer(&connection).map_err(engine)?;
        migrate::run(&mut connection).map_err(|source| OpenError::Migration { path: shown.clone(), source })?;
        let writer = writer::Writer::start(connection)?;
        let checkpointer = checkpoint::Checkpointer::start(path)?;
        let number = NEXT_STORE.fetch_add(1, Ordering::Relaxed);
        Ok(Self { shared: Arc::new(Shared { number, path: path.to_owned(), writer, _checkpointer: checkpointer }) })
    }

    /// Applies a unit: all of it durably, or nothing. Returns the rows changed by each statement.
    pub async fn apply(&self, unit: Unit) -> Result<Vec<usize>, WriteError> {
        self.shared.writer.apply(unit).await
    }

    /// Empties the write-ahead log into the database file; nothing erased stays behind in it (R75).
    /// For the end of a process; takes up to the busy timeout while another process reads.
    pub fn finish(&self) {
        if let Err(error) = checkpoint::finish(&self.shared.path) {
            tracing::warn!(error = %error, "the write-ahead log was not emptied");
        }
    }

    /// First row of a query. On SQLite this runs inline: an indexed read takes microseconds, less
    /// than handing it to another thread would.
    #[expect(clippy::unused_async, reason = "an engine behind a network answers later; callers are ready for it")]
    pub(crate) async fn one<T>(
        &self,
        sql: &'static str,
        args: &[Value],
        read: impl FnOnce(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        reader::with(self.shared.number, &self.shared.path, |connection| {
            let mut statement = connection.prepare_cached(sql).map_err(|error| unavailable(&error))?;
            writer::bind(&mut statement, args).map_err(|error| unavailable(&error))?;
            let mut rows = statement.raw_query();
            match rows.next().map_err(|error| unavailable(&error))? {
                Some(row) => read(&Row(row)).map(Some),
                None => Ok(None),
            }
        })
    }

    /// All rows of a query. Callers bound it with LIMIT.
    #[expect(clippy::unused_async, reason = "an engine behind a network answers later; callers are ready for it")]
    pub(crate) async fn all<T>(
        &self,
        sql: &str,
        args: &[Value],
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        reader::with(self.shared.number, &self.shared.path, |connection| {
            let mut statement = connection.prepare_cached(sql).map_err(|error| unavailable(&error))?;
            writer::bind(&mut statement, args).map_err(|error| unavailable(&error))?;
            let mut rows = statement.raw_query();
            let mut found = Vec::new();
            while let Some(row) = rows.next().map_err(|error| unavailable(&error))? {
                found.push(read(&Row(row))?);
            }
            Ok(found)
        })
    }

    /// The number that a `SELECT COUNT(*)` gives.
    pub(crate) async fn count(&self, sql: &str, args: &[Value]) -> Result<i64, ReadError> {
        Ok(self.all(sql, args, |row| row.int(0)).await?.first().copied().unwrap_or(0))
    }
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    switch_to_wal(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Deleted credentials leave no bytes behind in the file (R75).
    connection.pragma_update(None, "secure_delete", true)?;
    // Checkpoints run on their own thread: in the writer they would be the p99.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "mmap_size", MMAP_BYTES)?;
    // Statement journals stay in memory; the default writes a file for each large group.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    keep_plans(connection)
}

/// Two processes that make the database at the same moment both change its journal mode. SQLite does
/// not wait there, however long the busy timeout is: the later one tries again.
fn switch_to_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && waited < BUSY_TIMEOUT => {
                std::thread::sleep(WAL_PAUSE);
                waited += WAL_PAUSE;
            }
            done => return done,
        }
    }
}

/// Plans that depend on bound values are made anew with every use; ours never need to.
fn keep_plans(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "mmap_size", MMAP_BYTES)?;
    keep_plans(&connection)?;
    Ok(connection)
}

fn unavailable(error: &rusqlite::Error) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
