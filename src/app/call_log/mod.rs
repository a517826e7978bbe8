//! The log of calls: tools and raw API calls, and what a repeated `Idempotency-Key` gets (R68).
//!
//! A call that may change something at the provider, or has a key, has its row committed before its first byte is sent.
//! So a crash leaves a row that says that the call may have had its effect. Other calls are written after their answer,
//! several in one commit (`queue.rs`); a crash may lose the last second of them.
//!
//! [`LoggedCall`] is one call, from its beginning to its end. `read.rs` reads the log.

mod call;
mod content;
mod earlier;
mod queue;
pub mod read;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use switchboard_store::tool_calls::CallRow;
use switchboard_store::{Topic, Versioned};
use switchboard_types::{CompactString, ProjectId, Timestamp};
use switchboard_vault::KeyRing;

pub use call::{Ending, LoggedCall, Subject};
pub use content::Content;
pub use earlier::{Earlier, outcome_unknown};

use crate::app::Actor;
use crate::app::base::core::Core;
use crate::app::base::idempotency::IdempotencyKey;
use crate::app::project::{LogVisibility, Projects};
use crate::error::Result;
use crate::id::Kind;
use queue::Queue;

/// How long it is remembered whether a project keeps arguments and answers. A change by a server or command of ours is
/// seen at once.
const SETTING_LIFETIME: Duration = Duration::from_secs(1);

/// The log of calls.
pub struct CallLog {
    core: Arc<Core>,
    projects: Arc<Projects>,
    ring: KeyRing,
    /// Distinguishes the calls of this process. Of those of another one that have not ended, nothing is known here.
    run: i64,
    queue: Queue,
    /// The stored calls that this process makes, until their end is written.
    being_made: Mutex<HashSet<CompactString>>,
    keeps_content: Versioned<ProjectId, bool>,
}

crate::redacted_debug!(CallLog, LoggedCall, Content, Earlier);

impl CallLog {
    /// Creates the service from the services that it uses.
    pub fn new(core: Arc<Core>, projects: Arc<Projects>, ring: KeyRing) -> Self {
        let mut run = [0; 8];
        core.entropy.fill(&mut run);
        let keeps_content = Versioned::new(Topic::Accounts, SETTING_LIFETIME, |_| true);
        Self {
            core,
            projects,
            ring,
            run: i64::from_ne_bytes(run),
            queue: Queue::default(),
            being_made: Mutex::default(),
            keeps_content,
        }
    }

    /// A call that begins now.
    pub fn begin(self: &Arc<Self>, actor: Actor, key: Option<IdempotencyKey>) -> Arc<LoggedCall> {
        let id = self.core.mint(Kind::ToolLog);
        Arc::new(LoggedCall::new(Arc::clone(self), id, actor, key))
    }

    /// Whether the project keeps the arguments and answers of calls.
    async fn keeps_content(&self, project: &ProjectId) -> bool {
        let read = async || -> Result<Option<bool>> {
            let settings = self.projects.settings(project).await?;
            Ok(Some(settings.log_visibility_setting == Some(LogVisibility::ShowAll)))
        };
        // The call was made: its answer matters more than what the log says of it.
        let read = self.keeps_content.get(&self.core.store, project.clone(), read).await;
        read.ok().flatten().unwrap_or(false)
    }

    /// Whether a call that has not ended is being made by this process.
    fn is_being_made(&self, call: &CallRow) -> bool {
        call.run == self.run && self.lock_being_made().contains(&call.id)
    }

    fn lock_being_made(&self) -> MutexGuard<'_, HashSet<CompactString>> {
        self.being_made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what has ended since the last time. Returns the number of calls.
    ///
    /// # Errors
    /// The database takes no writes now. Nothing is lost: it is written the next time.
    pub async fn write(&self) -> Result<usize> {
        let ended = |id: &CompactString| {
            self.lock_being_made().remove(id);
        };
        self.queue.write(&self.core.store, ended).await
    }

    /// Resolves when there is something to write, and others had time to join it.
    pub async fn has_waiting(&self) {
        self.queue.has_waiting().await;
    }

    /// The least id of calls that began at a time or later.
    pub fn first_id_at(&self, at: Timestamp) -> CompactString {
        Kind::ToolLog.first_at(at)
    }
}
