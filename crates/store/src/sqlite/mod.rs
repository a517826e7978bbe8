//! SQLite: one writer thread with group commit; point reads inline on thread-local connections, and
//! everything that may read many rows on the threads of `scans.rs`.

mod checkpoint;
mod file_size;
mod plan;
mod reader;
mod reading;
mod scans;
mod writer;

pub(crate) use reading::{Reading, left_out_unless_readable};

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use crate::migrate::{self, MigrationError};
use crate::{ReadError, Row, Unit, Value, WriteError};

use scans::Scans;

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to change the journal mode.
const WAL_PAUSE: Duration = Duration::from_millis(20);
/// Memory for pages, of each connection, in KiB.
const CACHE_KIB: i64 = 8 << 10;

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
    scans: Scans,
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
        let scans = Scans::start(number, path)?;
        let shared = Shared { number, path: path.to_owned(), writer, scans, _checkpointer: checkpointer };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The same for a command that may run beside a server. A database of an older version that another
    /// process has open is refused, not migrated.
    pub fn open_beside_a_server(path: &Path) -> Result<Self, OpenError> {
        let shown = path.display().to_string();
        migrate::check_alone(path).map_err(|source| OpenError::Migration { path: shown, source })?;
        Self::open(path)
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

    /// First row of a query that finds it by an index: the point door. On SQLite this runs inline: such a
    /// read takes microseconds, less than handing it to another thread would.
    #[expect(clippy::unused_async, reason = "an engine behind a network answers later; callers are ready for it")]
    pub(crate) async fn one<T>(
        &self,
        sql: &'static str,
        args: &[Value],
        read: impl FnOnce(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        reader::with(self.shared.number, &self.shared.path, |reading| reading.one(sql, args, read))
    }

    /// The same for a handful of rows: the `LIMIT` is a small number, whatever the table holds.
    #[expect(clippy::unused_async, reason = "an engine behind a network answers later; callers are ready for it")]
    pub(crate) async fn few<T>(
        &self,
        sql: &'static str,
        args: &[Value],
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        reader::with(self.shared.number, &self.shared.path, |reading| reading.all(sql, args, read))
    }

    /// The scan door: reads that may take long, as lists do, run on threads of their own. `project` is
    /// whose turn they take, empty for the server's own work: see `scans.rs`. Refused as
    /// [`ReadError::Busy`] when too many of the project's wait.
    pub(crate) async fn scan<T: Send + 'static>(
        &self,
        project: &str,
        read: impl FnOnce(&Reading<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.shared.scans.run(project, read).await
    }

    /// Work on what a list gave, such as decrypting and rendering a thousand rows: on the threads of the
    /// scan door, in the same turns.
    ///
    /// # Errors
    /// As of any read; and where the work panicked.
    pub async fn work<T: Send + 'static>(
        &self,
        project: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        self.scan(project, move |_| Ok(work())).await
    }

    /// The rows of one query through the scan door; rows that cannot be read are logged and left out.
    pub(crate) async fn list<T: Send + 'static>(
        &self,
        project: &str,
        sql: impl Into<Cow<'static, str>> + Send,
        args: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<Vec<T>, ReadError> {
        let sql = sql.into();
        self.scan(project, move |reading| reading.readable(&sql, &args, read)).await
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
    read_pages(connection)?;
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

/// Pages are read, not mapped: a read that fails is an error then, where a map would end the process by a
/// signal (SIGBUS), and no map has to be made anew after each commit of the writer.
fn read_pages(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)
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
    read_pages(&connection)?;
    keep_plans(&connection)?;
    Ok(connection)
}

fn unavailable(error: &rusqlite::Error) -> ReadError {
    ReadError::Unavailable(error.to_string())
}
