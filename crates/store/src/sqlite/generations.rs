//! Generations of topics: what a cache in any process on this database depends on (`versioned.rs`).
//!
//! They are numbers in a file beside the database, because a read of eight bytes is ten times cheaper than a read of
//! the database, which also sees every other change. A writer changes the number of a topic twice: inside its
//! transaction, before COMMIT, to an odd number, with which no one may remember anything; and after COMMIT, before it
//! answers, to an even one. If the process dies in between, the odd number stays until the next change, and all
//! processes read the database each time.
//!
//! Numbers are random, so that none returns: not after a crash of the machine, and not with an older copy of the
//! database. From before the first change to after the second, the writer holds a lock of the file, so that no other
//! process writes an even number meanwhile.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a writer waits for another process between its two changes. That process then stands still, and both
/// leave odd numbers.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// What a cache depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topic {
    /// API keys of projects.
    ApiKeys,
    /// Connected accounts and auth configs, after their creation, and settings of projects.
    Accounts,
}

/// The number of a topic between two changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(u64);

/// The file.
#[derive(Debug)]
pub(super) struct Generations {
    file: File,
}

/// A change that is being committed.
#[derive(Debug)]
#[must_use = "the topics stay uncached until the change is finished"]
pub(super) struct Change<'g> {
    generations: &'g Generations,
    topics: Vec<Topic>,
    has_lock: bool,
}

impl Topic {
    const ALL: [Self; 2] = [Self::ApiKeys, Self::Accounts];

    fn offset(self) -> u64 {
        self as u64 * 8
    }

    /// The topic of a statement, if it changes what is remembered of it.
    pub(super) fn of(sql: &str) -> Option<Self> {
        let (verb, table) = changed_table(sql)?;
        match (verb, table) {
            // The time of the last use decides nothing.
            ("UPDATE", "api_keys") if sql.contains("SET last_used_at") => None,
            (_, "api_keys") => Some(Self::ApiKeys),
            // A new account has no credential, and a new auth config no account.
            ("UPDATE" | "DELETE", "connected_accounts" | "auth_configs" | "projects") => Some(Self::Accounts),
            _ => None,
        }
    }
}

impl Generations {
    /// Opens or creates the file of a database. Topics without a generation get one, unless a change is being
    /// committed: the file is new, or a writer died.
    pub(super) fn open(database: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // Of the real path, as SQLite's own files: a symlink to a database is the same database.
        let database = database.canonicalize()?;
        let file = options.open(path(&database))?;
        give_to_owner(&file, &database)?;
        let generations = Self { file };
        let missing: Vec<Topic> = Topic::ALL.into_iter().filter(|topic| generations.read(*topic).is_none()).collect();
        if !missing.is_empty() {
            generations.begin(missing)?.finish();
        }
        Ok(generations)
    }

    /// The generation of a topic; none while a change is being committed, or if the file cannot be read.
    pub(super) fn read(&self, topic: Topic) -> Option<Generation> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, topic.offset()).ok()?;
        let number = u64::from_ne_bytes(bytes);
        (number % 2 == 0).then_some(Generation(number))
    }

    /// Begins a change of topics, before its COMMIT.
    ///
    /// # Errors
    /// Other processes would not see the change: it must not be committed.
    pub(super) fn begin(&self, topics: Vec<Topic>) -> io::Result<Change<'_>> {
        let has_lock = self.lock()?;
        let change = Change { generations: self, topics, has_lock };
        change.write(|number| number | 1)?;
        Ok(change)
    }

    fn lock(&self) -> io::Result<bool> {
        let start = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_TIMEOUT => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

impl Change<'_> {
    /// Ends the change, after COMMIT or ROLLBACK. A number that cannot be written stays odd, which is safe.
    pub(super) fn finish(self) {
        let written = if self.has_lock { self.write(|number| number & !1) } else { self.write(|number| number | 1) };
        if let Err(error) = written {
            tracing::warn!(error = %error, "the generation of a cache could not be written; nothing is cached until the next change");
        }
    }

    fn write(&self, form: impl Fn(u64) -> u64) -> io::Result<()> {
        for topic in &self.topics {
            let number = form(rand::random());
            self.generations.file.write_all_at(&number.to_ne_bytes(), topic.offset())?;
        }
        Ok(())
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if self.has_lock
            && let Err(error) = self.generations.file.unlock()
        {
            tracing::warn!(error = %error, "the lock of the generations could not be released");
        }
    }
}

/// Gives the file to the owner of the database, as SQLite does with its own files: a command that an administrator runs
/// may create it, and the server must be able to open it.
fn give_to_owner(file: &File, database: &Path) -> io::Result<()> {
    let (own, of_database) = (file.metadata()?, database.metadata()?);
    if (own.uid(), own.gid()) != (of_database.uid(), of_database.gid()) {
        // Only an administrator may do so, and only then it is needed.
        let _ = fchown(file, Some(of_database.uid()), Some(of_database.gid()));
    }
    Ok(())
}

/// Refuses a write whose table cannot be read from its text, in debug builds: caches would not learn of it.
pub(super) fn check(sql: &str) -> Result<(), String> {
    let is_known = !cfg!(debug_assertions) || changed_table(sql).is_some_and(|(_, table)| table != "OR");
    if is_known { Ok(()) } else { Err(format!("a write whose table is not clear: {sql}")) }
}

/// The verb of a statement, and the table that it changes.
fn changed_table(sql: &str) -> Option<(&str, &str)> {
    let mut words = sql.split_whitespace();
    let verb = words.next()?;
    let table = match verb {
        "UPDATE" => words.next()?,
        "DELETE" => words.nth(1)?,
        // INSERT INTO, INSERT OR FAIL INTO.
        "INSERT" => words.skip_while(|word| *word != "INTO").nth(1)?,
        _ => return None,
    };
    Some((verb, table))
}

/// `<database>.generations`.
fn path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".generations");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_types::Timestamp;

    use crate::{Statement, Store, Unit, Versioned, api_keys, meta};

    const NOW: Timestamp = Timestamp::from_millis(1);

    fn open() -> (tempfile::TempDir, Generations) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("test.db"), "").unwrap();
        let generations = Generations::open(&folder.path().join("test.db")).unwrap();
        (folder, generations)
    }

    #[test]
    fn nothing_may_be_remembered_during_a_change() {
        let (folder, generations) = open();
        let other = Generations::open(&folder.path().join("test.db")).unwrap();
        let before = generations.read(Topic::ApiKeys);
        assert!(before.is_some(), "a new file has generations");
        let change = other.begin(vec![Topic::ApiKeys]).unwrap();
        assert_eq!(generations.read(Topic::ApiKeys), None);
        change.finish();
        let after = generations.read(Topic::ApiKeys);
        assert!(after.is_some() && after != before);
    }

    #[test]
    fn the_number_of_a_writer_that_died_stays_odd_until_the_next_change_or_start() {
        let (folder, generations) = open();
        drop(generations.begin(vec![Topic::ApiKeys]).unwrap());
        assert_eq!(generations.read(Topic::ApiKeys), None);
        generations.begin(vec![Topic::ApiKeys]).unwrap().finish();
        assert!(generations.read(Topic::ApiKeys).is_some());
        drop(generations.begin(vec![Topic::ApiKeys]).unwrap());
        let _started = Generations::open(&folder.path().join("test.db")).unwrap();
        assert!(generations.read(Topic::ApiKeys).is_some());
    }

    /// The lock of a process that was killed is released, and its number stays odd.
    #[tokio::test]
    async fn what_a_writer_committed_before_it_was_killed_is_seen_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test.db");
        let store = Store::open(&path).unwrap();
        let cache = Versioned::new(Topic::Accounts, Duration::from_mins(10), |_| true);
        let value = async || {
            let read = async || store.meta("value").await;
            cache.get(&store, "key", read).await.unwrap()
        };
        store.apply(Unit::new().with(meta::put("value", b"old".to_vec()))).await.unwrap();
        assert_eq!(value().await.as_deref(), Some(&b"old"[..]));
        let killed = Generations::open(&path).unwrap();
        let change = killed.begin(vec![Topic::Accounts]).unwrap();
        // A reader between the first change and COMMIT.
        assert_eq!(value().await.as_deref(), Some(&b"old"[..]));
        store.apply(Unit::new().with(meta::put("value", b"new".to_vec()))).await.unwrap();
        drop(change);
        assert_eq!(value().await.as_deref(), Some(&b"new"[..]));
        // The next writer ends the change of the one that was killed.
        killed.begin(vec![Topic::Accounts]).unwrap().finish();
        assert_eq!(value().await.as_deref(), Some(&b"new"[..]));
        assert!(store.generation(Topic::Accounts).is_some());
    }

    #[test]
    fn a_writer_waits_a_second_for_another_and_then_leaves_an_odd_number() {
        let (folder, generations) = open();
        let other = Generations::open(&folder.path().join("test.db")).unwrap();
        let stopped = other.begin(vec![Topic::ApiKeys]).unwrap();
        generations.begin(vec![Topic::ApiKeys]).unwrap().finish();
        assert_eq!(generations.read(Topic::ApiKeys), None);
        drop(stopped);
    }

    #[test]
    fn the_use_of_a_key_is_no_change_and_its_revocation_is() {
        let project = "pr_1".into();
        let topic = |statement: Statement| Topic::of(statement.sql);
        assert_eq!(topic(api_keys::touch("key_1", NOW)), None);
        assert_eq!(topic(api_keys::revoke(&project, "key_1", NOW)), Some(Topic::ApiKeys));
        assert_eq!(topic(api_keys::revoke_leaked("key_1", NOW)), Some(Topic::ApiKeys));
        assert_eq!(topic(api_keys::revoke_of_project(&project, NOW)), Some(Topic::ApiKeys));
    }
}
