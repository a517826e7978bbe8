//! SQLite: one writer thread with group commit, point reads inline on thread-local connections, and scans on
//! the threads of `scans.rs`.

mod checkpoint;
mod file_size;
mod generations;
mod plan;
mod reader;
mod reading;
mod scans;
mod write_queue;
mod writer;

pub use generations::{Generation, Topic};
pub(crate) use reading::{Reading, skip_inconsistent};

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use thiserror::Error;

use crate::migrate::{self, MigrationError};
use crate::read_counts::ReadCounter;
use crate::{ReadError, Row, Unit, Value, WriteError};

use generations::Generations;
use scans::Scans;

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between attempts to change the journal mode.
const WAL_PAUSE: Duration = Duration::from_millis(20);
/// Page cache of each connection, in KiB.
const CACHE_KIB: i64 = 8 << 10;

/// Rows that are read by key on the caller's thread; each takes microseconds.
const MAX_INLINE_KEYS: usize = 20;

static NEXT_STORE: AtomicU64 = AtomicU64::new(1);

/// Why a database could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The engine refused the file.
    #[error("cannot open database {path}")]
    Engine {
        /// The file.
        path: String,
        /// Error of SQLite.
        source: rusqlite::Error,
    },
    /// The engine ignores a setting that the store relies on: it was built without, or the file system lacks it.
    #[error("cannot use database {path}: the setting {setting} is {found}")]
    Setting {
        /// The file.
        path: String,
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        found: String,
    },
    /// The schema could not be migrated.
    #[error("cannot use database {path}")]
    Migration {
        /// The file.
        path: String,
        /// The reason.
        source: MigrationError,
    },
    /// The file of the generations beside the database cannot be used.
    #[error("cannot use {path}.generations")]
    Generations {
        /// The database file.
        path: String,
        /// The reason.
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the database's threads")]
    Thread(#[from] std::io::Error),
}

/// A handle to the database. Cheap to clone; the writer stops with the last clone.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Distinguishes the thread-local readers of several databases.
    number: u64,
    path: PathBuf,
    writer: writer::Writer,
    generations: Arc<Generations>,
    scans: Scans,
    reads: Arc<ReadCounter>,
    checkpointer: checkpoint::Checkpointer,
    missing_build_option: Option<&'static str>,
}

impl Store {
    /// Opens or creates the database file and migrates its schema.
    ///
    /// Commits are durable: `synchronous=FULL` waits for the disk before a write is acknowledged.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let shown = path.display().to_string();
        let engine = |source| OpenError::Engine { path: shown.clone(), source };
        let mut connection = Connection::open(path).map_err(engine)?;
        configure_writer(&connection).map_err(engine)?;
        if let Some((setting, found)) = ignored_setting(&connection).map_err(engine)? {
            return Err(OpenError::Setting { path: shown, setting, found });
        }
        migrate::run(&mut connection).map_err(|source| OpenError::Migration { path: shown.clone(), source })?;
        // Statement journals stay in memory: by default each large group would write a file. A migration that builds a
        // large index needs the files.
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(engine)?;
        let number = NEXT_STORE.fetch_add(1, Ordering::Relaxed);
        let reads = Arc::new(ReadCounter::default());
        let scans = Scans::start(number, path, Arc::clone(&reads))?;
        let missing_build_option = missing_build_option(&connection).map_err(engine)?;
        let (checkpointer, log) = checkpoint::Checkpointer::start(path, scans.holder())?;
        log.watch(&mut connection).map_err(engine)?;
        let generations = Generations::open(path);
        let generations = generations.map_err(|source| OpenError::Generations { path: shown.clone(), source })?;
        let generations = Arc::new(generations);
        let writer = writer::Writer::start(connection, log, Arc::clone(&generations))?;
        let path = path.to_owned();
        let shared = Shared { number, path, writer, generations, scans, reads, checkpointer, missing_build_option };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The same for a command that may run beside a server. Refuses to migrate an older database that another
    /// process has open.
    pub fn open_beside_a_server(path: &Path) -> Result<Self, OpenError> {
        let shown = path.display().to_string();
        migrate::check_exclusive(path).map_err(|source| OpenError::Migration { path: shown, source })?;
        Self::open(path)
    }

    /// Applies a unit durably and atomically. Returns the number of rows changed by each statement; 0 for a lock or
    /// check.
    pub async fn apply(&self, unit: Unit) -> Result<Vec<usize>, WriteError> {
        self.shared.writer.apply(unit).await
    }

    /// Applies units in one commit, each by itself: one that is refused takes nothing of the others. Returns the
    /// results in order, each as of [`Store::apply`].
    pub async fn apply_each(&self, units: Vec<Unit>) -> Vec<Result<Vec<usize>, WriteError>> {
        self.shared.writer.apply_each(units).await
    }

    /// An option that SQLite was built without, so that every write takes longer. Nothing else depends on it.
    pub fn missing_build_option(&self) -> Option<&'static str> {
        self.shared.missing_build_option
    }

    /// Commits since the database was opened, by this process.
    pub fn commits(&self) -> u64 {
        self.shared.checkpointer.log().commits()
    }

    /// Truncates the write-ahead log, so that nothing erased remains in it (R75). For shutdown; takes up to
    /// the busy timeout while another process reads.
    pub fn finish(&self) {
        if let Err(error) = checkpoint::finish(&self.shared.path) {
            tracing::warn!(error = %error, "the write-ahead log was not emptied");
        }
    }

    /// The generation of a topic, for caches ([`crate::Versioned`]). None means that nothing may be remembered now.
    pub(crate) fn generation(&self, topic: Topic) -> Option<Generation> {
        self.shared.generations.read(topic)
    }

    /// A point read: the first row of a query that uses an index. SQLite answers in microseconds, so that it
    /// runs inline: a thread switch would take longer.
    #[expect(clippy::unused_async, reason = "an engine behind a network answers later; callers are ready for it")]
    pub(crate) async fn one<T>(
        &self,
        sql: &'static str,
        args: &[Value],
        read: impl FnOnce(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        self.inline(|reading| reading.one(sql, args, read))
    }

    /// The same for a few rows: the query must have a small `LIMIT`.
    #[expect(clippy::unused_async, reason = "an engine behind a network answers later; callers are ready for it")]
    pub(crate) async fn few<T>(
        &self,
        sql: &'static str,
        args: &[Value],
        read: impl Fn(&Row<'_>) -> Result<T, ReadError>,
    ) -> Result<Vec<T>, ReadError> {
        self.inline(|reading| reading.all(sql, args, read))
    }

    /// Rows by their keys: inline for [`MAX_INLINE_KEYS`], as a scan for more. Unreadable rows are logged and
    /// omitted.
    pub(crate) async fn by_keys<T: Send + 'static>(
        &self,
        project: &str,
        keys: usize,
        sql: String,
        args: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<Vec<T>, ReadError> {
        if keys > MAX_INLINE_KEYS {
            return self.list(project, sql, args, read).await;
        }
        self.inline(|reading| reading.all_consistent(&sql, &args, read))
    }

    fn inline<T>(&self, read: impl FnOnce(&Reading<'_>) -> Result<T, ReadError>) -> Result<T, ReadError> {
        self.shared.reads.count_read();
        reader::with(self.shared.number, &self.shared.path, &self.shared.reads, read)
    }

    pub(crate) fn read_counter(&self) -> &ReadCounter {
        &self.shared.reads
    }

    /// A scan: a read that may take long, such as a list. It runs on a thread of its own, queued by
    /// `project`; empty for the server's own work (see `scans.rs`). Refused as [`ReadError::Busy`] when too
    /// many reads of the project are queued.
    pub(crate) async fn scan<T: Send + 'static>(
        &self,
        project: &str,
        read: impl FnOnce(&Reading<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        self.shared.reads.count_read();
        self.shared.scans.run(project, read).await
    }

    /// The rows of one query, as a scan. Unreadable rows are logged and omitted.
    pub(crate) async fn list<T: Send + 'static>(
        &self,
        project: &str,
        sql: impl Into<Cow<'static, str>> + Send,
        args: Vec<Value>,
        read: impl Fn(&Row<'_>) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<Vec<T>, ReadError> {
        let sql = sql.into();
        self.scan(project, move |reading| reading.all_consistent(&sql, &args, read)).await
    }
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    switch_to_wal(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Deleted credentials leave no bytes in the file (R75).
    connection.pragma_update(None, "secure_delete", true)?;
    // `checkpoint.rs` decides when: in the writer they would dominate the p99.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    read_pages(connection)?;
    keep_plans(connection)
}

/// A setting without which data could be lost or left behind, with its value, if the engine did not take it. This
/// does not depend on how SQLite was compiled: what it lacks, it ignores. That it may be used from several threads is
/// checked by rusqlite.
fn ignored_setting(connection: &Connection) -> rusqlite::Result<Option<(&'static str, String)>> {
    for (setting, needed) in
        [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1"), ("secure_delete", "1")]
    {
        let mut found = String::from("unknown");
        connection.pragma_query(None, setting, |row| {
            found = match row.get_ref(0)? {
                ValueRef::Integer(number) => number.to_string(),
                other => other.as_str().unwrap_or_default().to_owned(),
            };
            Ok(())
        })?;
        if found != needed {
            return Ok(Some((setting, found)));
        }
    }
    Ok(None)
}

/// The options of `.cargo/config.toml` come together, and SQLite tells of this one.
fn missing_build_option(connection: &Connection) -> rusqlite::Result<Option<&'static str>> {
    const OPTION: &str = "DEFAULT_MEMSTATUS=0";
    let is_there =
        connection.prepare("SELECT 1 FROM pragma_compile_options WHERE compile_options = ?1")?.exists([OPTION])?;
    Ok((!is_there).then_some(OPTION))
}

/// Changes the journal mode. If two processes create the database at the same moment, SQLite does not apply
/// the busy timeout here, so that the later one must retry.
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

/// Disables memory mapping. A failed read is then an error, not a SIGBUS that kills the process, and no map
/// has to be renewed after each commit.
fn read_pages(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)
}

/// Plans that depend on bound values are rebuilt with every use; our statements do not need that.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_is_ignored_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let connection = Connection::open(folder.path().join("test.db")).unwrap();
        configure_writer(&connection).unwrap();
        assert_eq!(ignored_setting(&connection).unwrap(), None);
        assert_eq!(missing_build_option(&connection).unwrap(), None, "of this repository");
        connection.pragma_update(None, "foreign_keys", false).unwrap();
        assert_eq!(ignored_setting(&connection).unwrap(), Some(("foreign_keys", "0".to_owned())));
        // A database in memory has no write-ahead log.
        let memory = Connection::open_in_memory().unwrap();
        configure_writer(&memory).unwrap();
        assert_eq!(ignored_setting(&memory).unwrap(), Some(("journal_mode", "memory".to_owned())));
    }
}
