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
/// Rows per commit.
const BATCH: usize = 64;
/// Maximum number of rows that wait. More are lost; that takes a database that accepts no writes for long.
const CAPACITY: usize = 50_000;

/// A row that waits.
pub(super) enum Entry {
    /// A call that was not stored yet.
    New(Box<CallRow>),
    /// The end of one that was.
    Ended { project: ProjectId, id: CompactString, ending: CallEnding, frees_key: bool },
}

/// The rows, in the order in which their calls ended.
#[derive(Default)]
pub(super) struct Queue {
    entries: Mutex<Vec<Entry>>,
    added: Notify,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, entry: Entry) {
        let mut entries = self.lock();
        if entries.len() >= CAPACITY {
            drop(entries);
            tracing::error!("the log of calls is full: the row of a call is lost");
            return;
        }
        let is_first = entries.is_empty();
        entries.push(entry);
        drop(entries);
        if is_first {
            self.added.notify_one();
        }
    }

    pub(super) async fn has_waiting(&self) {
        if self.lock().is_empty() {
            self.added.notified().await;
        }
        tokio::time::sleep(PAUSE).await;
    }

    /// Writes what waits.
    pub(super) async fn write(&self, store: &Store) -> Result<usize> {
        let waiting = std::mem::take(&mut *self.lock());
        let total = waiting.len();
        let mut waiting = waiting.into_iter().peekable();
        while waiting.peek().is_some() {
            let batch: Vec<Entry> = waiting.by_ref().take(BATCH).collect();
            let unit = batch.iter().fold(Unit::new(), |unit, entry| unit.and(entry.unit()));
            match store.apply(unit).await {
                Ok(_) => {}
                Err(WriteError::Refused(refusal)) => {
                    tracing::error!(
                        refusal = refusal.as_str(),
                        rows = batch.len(),
                        "rows of the log of calls are lost"
                    );
                }
                Err(error) => {
                    let mut entries = self.lock();
                    let newer = std::mem::take(&mut *entries);
                    entries.extend(batch.into_iter().chain(waiting).chain(newer).take(CAPACITY));
                    return Err(error.into());
                }
            }
        }
        Ok(total)
    }
}

impl Entry {
    fn unit(&self) -> Unit {
        match self {
            Self::New(row) => Unit::new().with(tool_calls::insert((**row).clone())),
            Self::Ended { project, id, ending, frees_key } => {
                let unit = Unit::new().with(tool_calls::end(project, id, ending.clone(), None));
                if *frees_key { unit.with(tool_calls::free_key(project, id)) } else { unit }
            }
        }
    }
}

crate::redacted_debug!(Queue, Entry);
