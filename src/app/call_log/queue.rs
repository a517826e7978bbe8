//! Rows that wait to be written, several in one commit.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_store::tool_calls::{self, CallEnding, CallRow};
use switchboard_store::{Store, Unit, WriteError};
use switchboard_types::{CompactString, ProjectId};
use tokio::sync::Notify;

use crate::error::Result;

/// How long the first row waits for others.
const PAUSE: Duration = Duration::from_millis(250);
/// Rows per commit. Each commit waits for the disk, so that few of them are cheaper; a request whose write comes
/// meanwhile waits for one of them.
const BATCH: usize = 256;
/// Maximum number of rows that wait. More are lost; that takes a database that accepts no writes for long.
const CAPACITY: usize = 50_000;

/// Maximum size of arguments and answers that wait, in bytes. More are not kept; their rows are.
const MAX_CONTENT: usize = 64 * 1024 * 1024;

/// A row that waits.
pub(super) enum Entry {
    /// A call that was not stored yet.
    New(Box<CallRow>),
    /// The end of one that was.
    Ended { project: ProjectId, id: CompactString, run: i64, ending: CallEnding, frees_key: bool },
}

/// The rows, in the order in which their calls ended.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    added: Notify,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Entry>,
    /// Bytes of their arguments and answers.
    content: usize,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, mut entry: Entry) {
        let mut waiting = self.lock();
        if waiting.entries.len() >= CAPACITY {
            drop(waiting);
            tracing::error!("the log of calls is full: the row of a call is lost");
            return;
        }
        if let Some(content) = entry.content() {
            let size = content.as_ref().map_or(0, Vec::len);
            if waiting.content + size > MAX_CONTENT {
                *content = None;
            } else {
                waiting.content += size;
            }
        }
        let is_first = waiting.entries.is_empty();
        waiting.entries.push(entry);
        drop(waiting);
        if is_first {
            self.added.notify_one();
        }
    }

    pub(super) async fn has_waiting(&self) {
        if self.lock().entries.is_empty() {
            self.added.notified().await;
        }
        tokio::time::sleep(PAUSE).await;
    }

    /// Writes what waits. A row that is refused takes no other one with it. `ended` is told the calls whose end is
    /// written.
    pub(super) async fn write(&self, store: &Store, ended: impl Fn(&CompactString)) -> Result<usize> {
        let waiting = {
            let mut waiting = self.lock();
            waiting.content = 0;
            std::mem::take(&mut waiting.entries)
        };
        let total = waiting.len();
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            let batch: Vec<Entry> = waiting.by_ref().take(BATCH).collect();
            // One unit costs less than one for each row, which is needed only if one of them is refused.
            let together = batch.iter().fold(Unit::new(), |unit, entry| unit.and(entry.unit()));
            if store.apply(together).await.is_ok() {
                for entry in &batch {
                    ended(entry.id());
                }
                continue;
            }
            let results = store.apply_each(batch.iter().map(Entry::unit).collect()).await;
            let mut failed = Vec::new();
            let mut cause = None;
            for (entry, result) in batch.into_iter().zip(results) {
                match result {
                    Ok(_) => ended(entry.id()),
                    Err(WriteError::Refused(refusal)) => {
                        tracing::error!(refusal = refusal.as_str(), "the row of a call is lost");
                    }
                    Err(error) => {
                        failed.push(entry);
                        cause = Some(error);
                    }
                }
            }
            if let Some(cause) = cause {
                failed.extend(waiting);
                self.put_back(failed);
                return Err(cause.into());
            }
        }
        Ok(total)
    }

    /// Puts rows that could not be written before those that came meanwhile.
    fn put_back(&self, entries: Vec<Entry>) {
        let mut waiting = self.lock();
        let newer = std::mem::take(&mut *waiting);
        drop(waiting);
        for entry in entries.into_iter().chain(newer.entries) {
            self.push(entry);
        }
    }
}

impl Entry {
    /// Arguments and answer.
    fn content(&mut self) -> Option<&mut Option<Vec<u8>>> {
        let ending = match self {
            Self::New(row) => row.ending.as_mut()?,
            Self::Ended { ending, .. } => ending,
        };
        Some(&mut ending.content_sealed)
    }

    fn id(&self) -> &CompactString {
        match self {
            Self::New(row) => &row.id,
            Self::Ended { id, .. } => id,
        }
    }

    fn unit(&self) -> Unit {
        match self {
            Self::New(row) => Unit::new().with(tool_calls::insert((**row).clone())),
            Self::Ended { project, id, run, ending, frees_key } => {
                let unit = Unit::new().with(tool_calls::end(project, id, *run, ending.clone(), None));
                if *frees_key { unit.with(tool_calls::free_key(project, id)) } else { unit }
            }
        }
    }
}

crate::redacted_debug!(Queue, Entry);
