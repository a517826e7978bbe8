//! Old rows are deleted in batches: ended links with their attempts, accounts that were never connected, rows
//! of deleted things, receipts of revocations, idempotency keys. `[keep]` sets how long each is kept. The
//! history of a session is truncated where it is written (`session/change.rs`); the audit log drops segments.

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::{Unit, WriteError, retention, unread_answers};
use tokio_util::sync::CancellationToken;

use super::Sweeps;
use super::runner::Job;
use crate::app::Actor;
use crate::error::Result;
use crate::time::Millis;

/// A day, in milliseconds.
const IDEMPOTENCY_TTL: Millis = 24 * 60 * 60 * 1_000;
/// Between two batches, for the writes of others.
const PAUSE: Duration = Duration::from_millis(50);
/// Accounts that never were connected, deleted by one unit.
const UNCONNECTED: i64 = 100;

/// A batch of one kind: what deletes it, and how many rows a full one has.
type Batch = (fn(Millis) -> Unit, usize);

/// The job.
pub(super) struct DeleteOldRows(pub Arc<Sweeps>);

impl Job for DeleteOldRows {
    const NAME: &'static str = "delete_old_rows";
    const INTERVAL: Duration = Duration::from_mins(10);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        let rows = self.0.delete_old_rows().await?;
        if rows > 0 {
            tracing::info!(rows, "deleted old rows");
        }
        Ok(rows)
    }
}

impl Sweeps {
    /// Deletes what is over and past its time. Returns how many rows of each kind's own table went.
    pub async fn delete_old_rows(&self) -> Result<usize> {
        let keep = self.core.settings.retention;
        let kinds: [(Option<Millis>, Batch); 7] = [
            (Some(IDEMPOTENCY_TTL), (retention::idempotency_keys, retention::BATCH)),
            // Each says when its own time is over.
            (Some(0), (unread_answers::delete_expired, retention::BATCH)),
            (keep.ended_links, (retention::links, retention::BATCH)),
            (keep.revocation_receipts, (retention::revocations, retention::BATCH)),
            (keep.deleted_rows, (retention::accounts, retention::BATCH)),
            (keep.deleted_rows, (retention::auth_configs, retention::BATCH)),
            (keep.deleted_rows, (retention::sessions, retention::SESSIONS)),
        ];
        let mut gone = 0;
        if let Some(time) = keep.unconnected_accounts {
            gone += self.delete_unconnected(self.core.now() - time).await?;
        }
        for (time, (delete, full)) in kinds {
            let Some(time) = time else { continue };
            loop {
                let changed = self.core.store.apply(delete(self.core.now() - time)).await?;
                let rows = changed.last().copied().unwrap_or_default();
                gone += rows;
                if rows < full || self.is_stopped_after(PAUSE).await {
                    break;
                }
            }
        }
        Ok(gone)
    }

    async fn delete_unconnected(&self, before: Millis) -> Result<usize> {
        let mut gone = 0;
        loop {
            let found = self.core.store.unconnected_accounts(before, UNCONNECTED).await?;
            let mut deleted = 0;
            for (project, id) in &found {
                let unit = Unit::new()
                    .with(retention::unconnected_account(project, id, before, self.core.now()))
                    .with(unread_answers::delete_of_account(project, id))
                    .with(self.core.audit(
                        &Actor::system(project),
                        "connected_account.delete",
                        id,
                        "never connected",
                        None,
                    ));
                match self.core.store.apply(unit).await {
                    Ok(_) => deleted += 1,
                    Err(WriteError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            gone += deleted;
            if deleted == 0 || self.is_stopped_after(PAUSE).await {
                return Ok(gone);
            }
        }
    }

    /// Waits; true when the server is told to end meanwhile.
    async fn is_stopped_after(&self, pause: Duration) -> bool {
        self.core.stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none()
    }
}
