//! Checkpoints: the write-ahead log is copied into the database file in small steps, so that no write waits long.
//!
//! SQLite starts the log again at its beginning when all of it was copied and no reader uses it. Under load this does not
//! happen by itself: while pages are copied, the writer adds more. So there are three steps. The writer reports that
//! the log has grown by [`STEP_PAGES`]. The thread here copies it beside the writer and syncs the database file. Then
//! the writer copies the small rest between two groups, and its next commit starts the log again ([`LogWriter`]).
//! The file is overwritten, not truncated: a commit allocates no blocks, and none waits for `ftruncate`, which took
//! up to 132 ms. Without load, the file is emptied, so that erased credentials leave it (R75).
//!
//! A reader that began before the copy ended keeps the log from starting again. Reads by key end within microseconds.
//! If scans always overlap, the next ones wait at [`HOLD_PAGES`] until the log has started again.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use thiserror::Error;

use super::BUSY_TIMEOUT;
use super::scans::Holder;

/// Interval of checkpoints while the log grows slowly.
const INTERVAL: Duration = Duration::from_millis(500);
/// Pages of 4 KiB by which the log grows before it is copied (8 MiB). More of them are changed twice and copied once,
/// but syncing them delays commits for longer.
const STEP_PAGES: u32 = 2_048;
/// The writer is asked to copy the rest when it has no more pages than this, which takes about a millisecond.
const REST_PAGES: u32 = 128;
/// Passes of one step. Each leaves what the writer added meanwhile.
const MAX_PASSES: usize = 3;
/// Above this number of pages (64 MiB), scans wait until the log has started again.
const HOLD_PAGES: u32 = 16_384;
/// Longest time for which scans wait.
const MAX_HOLD: Duration = Duration::from_secs(1);
/// Without a commit for so long, the load is over.
const IDLE: Duration = Duration::from_millis(100);
/// Pause between two attempts to start the log again.
const RETRY_PAUSE: Duration = Duration::from_millis(5);
/// How long the thread waits for a lock. It holds back writes while it waits for readers, and can try again later.
const LOCK_TIMEOUT: Duration = Duration::from_millis(5);

/// The log as the writer and the thread see it.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// Pages in the log after the newest commit of this process.
    pages: AtomicU32,
    /// Commits of this process.
    commits: AtomicU64,
    /// One of the steps below.
    step: AtomicU8,
}

/// Nothing is to be done.
const NONE: u8 = 0;
/// The thread copies.
const COPY: u8 = 1;
/// The writer copies the rest.
const REST: u8 = 2;

impl Log {
    /// Commits since the database was opened.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Takes the step from one value to another. False if it had a different one.
    fn advance(&self, from: u8, to: u8) -> bool {
        self.step.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// The writer's part.
#[derive(Debug)]
pub(super) struct LogWriter {
    log: Arc<Log>,
    wake: SyncSender<()>,
    /// Pages in the log when it was last copied; 0 after it has started again.
    copied: u32,
}

impl LogWriter {
    /// Watches the commits of the writer's connection.
    pub(super) fn watch(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let log = Arc::clone(&self.log);
        connection.wal_hook(Some(move |_: &mut Wal, pages: std::ffi::c_int| {
            log.pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            log.commits.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }))
    }

    /// Called after each group: copies the rest if it is time, or reports that the log has grown.
    pub(super) fn after_group(&mut self, connection: &Connection) {
        let pages = self.log.pages();
        if pages < self.copied {
            self.copied = 0;
        }
        if self.log.step.load(Ordering::Acquire) == REST {
            if let Err(error) = copy(connection) {
                tracing::warn!(error = %error, "the rest of the write-ahead log was not copied");
            }
            self.copied = pages;
            self.log.advance(REST, NONE);
        } else if pages - self.copied >= STEP_PAGES && self.log.advance(NONE, COPY) {
            // The channel holds one message: if it is full, the thread is awake.
            let _ = self.wake.try_send(());
        }
    }
}

/// The thread. It stops when this and the [`LogWriter`] are dropped.
#[derive(Debug)]
pub(super) struct Checkpointer {
    log: Arc<Log>,
    _wake: SyncSender<()>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path, scans: Holder) -> std::io::Result<(Self, LogWriter)> {
        let (wake, woken) = mpsc::sync_channel(1);
        let log = Arc::new(Log::default());
        let (path, shared) = (path.to_owned(), Arc::clone(&log));
        thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || run(&path, &shared, &scans, &woken))?;
        let writer = LogWriter { log: Arc::clone(&log), wake: wake.clone(), copied: 0 };
        Ok((Self { log, _wake: wake }, writer))
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }
}

fn run(path: &Path, log: &Log, scans: &Holder, woken: &Receiver<()>) {
    let mut copier = None;
    loop {
        let is_step = match woken.recv_timeout(INTERVAL) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let opened = match copier.take() {
            Some(opened) => Ok(opened),
            None => Copier::open(path, scans),
        };
        let done = opened.and_then(|opened| {
            let copier = copier.insert(opened);
            if is_step { copier.step(log) } else { copier.round(log) }
        });
        if let Err(error) = done {
            tracing::warn!(error = %error, "checkpoint failed; the next one tries again");
        }
        if is_step {
            // Also after a failure: the writer reports again when the log has grown further.
            log.advance(COPY, REST);
        }
    }
}

/// Moves everything into the database file and truncates the log. For shutdown.
pub(super) fn finish(path: &Path) -> rusqlite::Result<()> {
    let connection = open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    truncate(&connection).map(drop)
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

/// Why a checkpoint failed.
#[derive(Debug, Error)]
enum CheckpointError {
    #[error(transparent)]
    Engine(#[from] rusqlite::Error),
    #[error("cannot sync the database file: {0}")]
    File(#[from] std::io::Error),
}

/// What the thread works with.
struct Copier<'a> {
    connection: Connection,
    /// The database file, for syncing it. Never closed: closing it would release the locks that SQLite holds on the
    /// file in this process.
    file: ManuallyDrop<File>,
    scans: &'a Holder,
    /// Scans wait when the log has more pages than this.
    hold_at: u32,
    /// Pages and commits at the last round.
    last: (u32, u64),
}

impl<'a> Copier<'a> {
    fn open(path: &Path, scans: &'a Holder) -> Result<Self, CheckpointError> {
        let connection = open(path)?;
        let file = ManuallyDrop::new(File::open(path)?);
        Ok(Self { connection, file, scans, hold_at: HOLD_PAGES, last: (0, 0) })
    }

    /// Without load: copies, and truncates the log if nothing was written since the last round.
    fn round(&mut self, log: &Log) -> Result<(), CheckpointError> {
        let commits = log.commits();
        let (mut pages, _) = copy(&self.connection)?;
        if pages > 0 && (pages, commits) == self.last {
            pages = truncate(&self.connection)?;
            if pages == 0 {
                log.advance(REST, NONE);
            }
        }
        self.last = (pages, commits);
        Ok(())
    }

    /// Under load: copies almost everything. The writer copies the rest.
    fn step(&mut self, log: &Log) -> Result<(), CheckpointError> {
        self.copy_and_sync(log)?;
        if log.pages() <= HOLD_PAGES {
            self.hold_at = HOLD_PAGES;
        }
        if log.pages() <= self.hold_at {
            return Ok(());
        }
        let _held = self.scans.hold();
        let began = Instant::now();
        let mut newest = (log.commits(), began);
        while log.pages() > self.hold_at {
            if log.commits() != newest.0 {
                newest = (log.commits(), Instant::now());
            } else if newest.1.elapsed() > IDLE {
                // Nothing is written any more: the next round empties the log.
                break;
            }
            if began.elapsed() > MAX_HOLD {
                // A reader that is not held, such as a command: scans do not wait for it again soon.
                tracing::warn!(pages = log.pages(), "a reader keeps the write-ahead log from starting again");
                self.hold_at = log.pages().saturating_mul(2);
                break;
            }
            log.advance(COPY, REST);
            thread::sleep(RETRY_PAUSE);
            // The writer may have asked for a copy meanwhile.
            if log.advance(NONE, COPY) || log.step.load(Ordering::Acquire) == COPY {
                self.copy_and_sync(log)?;
            }
        }
        Ok(())
    }

    /// SQLite itself syncs the file only when it has copied everything, which would then be a lot.
    fn copy_and_sync(&self, log: &Log) -> Result<(), CheckpointError> {
        for _ in 0..MAX_PASSES {
            let (_, copied) = copy(&self.connection)?;
            self.file.sync_data()?;
            if log.pages().saturating_sub(copied) <= REST_PAGES {
                break;
            }
        }
        Ok(())
    }
}

/// A checkpoint that blocks no reader or writer. Returns the pages in the log, and how many of them are copied.
fn copy(connection: &Connection) -> rusqlite::Result<(u32, u32)> {
    checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Copies everything and empties the log. Returns the pages in the log: more than 0 if readers or a writer are in it.
fn truncate(connection: &Connection) -> rusqlite::Result<u32> {
    Ok(checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)")?.0)
}

fn checkpoint(connection: &Connection, sql: &'static str) -> rusqlite::Result<(u32, u32)> {
    // Both are -1 without a log.
    let pages = |number: i64| u32::try_from(number).unwrap_or(0);
    connection.prepare_cached(sql)?.query_row([], |row| Ok((pages(row.get(1)?), pages(row.get(2)?))))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::{Store, Unit, meta};

    /// Scans that hold a snapshot for a moment, one after the other, until told to stop. Returns how many there were.
    async fn scan_always(store: Store, project: String, stop: Arc<AtomicBool>) -> usize {
        let mut scans = 0;
        while !stop.load(Ordering::Relaxed) {
            let held = store.scan(&project, |reading| {
                let _snapshot = reading.connection.unchecked_transaction().unwrap();
                reading.count("SELECT COUNT(*) FROM meta WHERE name = 'x'", &[])?;
                thread::sleep(Duration::from_millis(30));
                Ok(())
            });
            held.await.unwrap();
            scans += 1;
        }
        scans
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn scans_that_always_overlap_do_not_let_the_log_grow_without_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let store = Store::open(&path).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let scans: Vec<_> = (0..4)
            .map(|number| tokio::spawn(scan_always(store.clone(), format!("pr_{number}"), Arc::clone(&stop))))
            .collect();
        let mut largest = 0;
        for number in 0_u16..400 {
            // Each time another value: pages that stay the same are not written.
            let value = number.to_be_bytes().repeat(256 << 10);
            store.apply(Unit::new().with(meta::put(&format!("{}", number % 4), value))).await.unwrap();
            largest = largest.max(folder.path().join("test.db-wal").metadata().unwrap().len() >> 20);
        }
        stop.store(true, Ordering::Relaxed);
        for scan in scans {
            assert!(scan.await.unwrap() > 1, "every project had its turn");
        }
        assert!(largest < 128, "{largest} MiB after writing 200");
    }
}
