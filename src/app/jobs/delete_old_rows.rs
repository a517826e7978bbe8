//! Deletes old rows in batches: ended links with their attempts, accounts that were never connected, rows
//! marked as deleted, receipts of revocations, versions of tools and idempotency keys. `[keep]` sets how long each is kept. The
//! history of a session is truncated on write (`session/change.rs`); the audit log drops segments.

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::{
    Statement, Unit, WriteError, approvals, provider_pauses, retention, tool_calls, unread_answers,
};
use switchboard_types::{AuditAction, AuditOutcome, Timestamp};
use tokio_util::sync::CancellationToken;

use super::Sweeps;
use super::runner::Job;
use crate::app::Actor;
use crate::error::Result;
use crate::id::Kind;
use crate::time::DAY;

/// How long the response to an idempotency key is kept.
const IDEMPOTENCY_TTL: Duration = DAY;
/// Pause between two batches, in which other writes get their turn.
const BATCH_PAUSE: Duration = Duration::from_millis(10);
/// Accounts that were never connected, per batch.
const UNCONNECTED_BATCH: i64 = 100;

/// Calls per batch.
const CALLS_BATCH: usize = 200;

/// How one kind of row is deleted: the unit that deletes a batch, and the rows of a full batch.
type Batch = (fn(Timestamp) -> Unit, usize);

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
    /// Deletes the rows whose retention time has passed. Returns their number, without dependent rows.
    pub async fn delete_old_rows(&self) -> Result<usize> {
        let keep = self.core.settings.retention;
        let batches: [(Option<Duration>, Batch); 8] = [
            (Some(IDEMPOTENCY_TTL), (retention::idempotency_keys, retention::BATCH)),
            // Each row has its own expiry time.
            (Some(Duration::ZERO), (unread_answers::delete_expired, retention::BATCH)),
            (keep.ended_links, (retention::links, retention::BATCH)),
            (keep.tool_calls, (approvals::delete_old, retention::BATCH)),
            (keep.revocation_receipts, (retention::revocations, retention::BATCH)),
            (keep.deleted_rows, (retention::accounts, retention::BATCH)),
            (keep.deleted_rows, (retention::auth_configs, retention::BATCH)),
            (keep.deleted_rows, (retention::sessions, retention::SESSIONS)),
        ];
        // One time for all: a round may take long on a busy machine.
        let now = self.core.now();
        let mut deleted_rows = 0;
        if let Some(retention_time) = keep.unconnected_accounts {
            deleted_rows += self.delete_unconnected(now - retention_time).await?;
        }
        for (retention_time, (delete, batch_size)) in batches {
            let Some(retention_time) = retention_time else { continue };
            loop {
                let changed = self.core.store.apply(delete(now - retention_time)).await?;
                let rows = changed.last().copied().unwrap_or_default();
                deleted_rows += rows;
                if rows < batch_size || self.is_stopped_after(BATCH_PAUSE).await {
                    break;
                }
            }
        }
        self.core.store.apply(provider_pauses::delete_ended(now)).await?;
        deleted_rows += self.versions.delete_unused(keep.tool_versions.map(|time| now - time)).await?;
        Ok(deleted_rows + self.delete_old_calls(keep.tool_calls, now).await?)
    }

    /// Frees the idempotency keys of calls after their time, and deletes old calls and those of deleted projects.
    async fn delete_old_calls(&self, keep: Option<Duration>, now: Timestamp) -> Result<usize> {
        let first_id = |age: Duration| Kind::ToolLog.first_at(now - age);
        let (calls, keys) = (keep.map(first_id).unwrap_or_default(), first_id(IDEMPOTENCY_TTL));
        let mut deleted_rows = 0;
        for (project, is_deleted) in self.core.store.projects_with_old_calls(&calls, &keys).await? {
            let calls = if is_deleted { "~" } else { calls.as_str() };
            deleted_rows += self.repeat(|| tool_calls::free_old_keys(&project, &keys, CALLS_BATCH)).await?;
            deleted_rows += self.repeat(|| tool_calls::delete_before(&project, calls, CALLS_BATCH)).await?;
            if self.is_stopped_after(BATCH_PAUSE).await {
                break;
            }
        }
        Ok(deleted_rows)
    }

    /// Applies a statement for one batch of calls after the other. Returns the number of their rows.
    async fn repeat(&self, batch: impl Fn() -> Statement) -> Result<usize> {
        let mut total = 0;
        loop {
            let rows: usize = self.core.store.apply(Unit::new().with(batch())).await?.iter().sum();
            total += rows;
            if rows < CALLS_BATCH || self.is_stopped_after(BATCH_PAUSE).await {
                return Ok(total);
            }
        }
    }

    async fn delete_unconnected(&self, before: Timestamp) -> Result<usize> {
        let mut deleted_rows = 0;
        loop {
            let unconnected = self.core.store.unconnected_accounts(before, UNCONNECTED_BATCH).await?;
            let mut deleted = 0;
            for (project, id) in &unconnected {
                let unit = Unit::new()
                    .with(retention::unconnected_account(project, id, before, self.core.now()))
                    .with(unread_answers::delete_of_account(project, id))
                    .with(self.core.audit(
                        &Actor::system(project),
                        AuditAction::AccountDelete,
                        id,
                        AuditOutcome::NeverConnected,
                        None,
                    ));
                match self.core.store.apply(unit).await {
                    Ok(_) => deleted += 1,
                    Err(WriteError::Refused(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            deleted_rows += deleted;
            if deleted == 0 || self.is_stopped_after(BATCH_PAUSE).await {
                return Ok(deleted_rows);
            }
        }
    }

    /// Waits. True if the server is stopping.
    pub(super) async fn is_stopped_after(&self, pause: Duration) -> bool {
        self.core.stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none()
    }
}
