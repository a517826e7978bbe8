//! Deletes finished rows that are no longer needed. Each statement deletes one batch, found by an index, so
//! that it does not delay other writes. Callers repeat it until a batch is not full.
//!
//! The audit log is deleted in whole segments (`audit_segments.rs`).

use switchboard_types::{AccountId, ProjectId, Timestamp};

use crate::{ReadError, Refusal, Statement, Store, Unit, files};

/// Rows per batch, unless stated otherwise.
pub const BATCH: usize = 100;
/// Sessions per batch, with their history.
pub const SESSIONS: usize = 50;

/// Deletes the rows of a table that belong to a batch: the `$2` rows of `$of` that ended first, by the column
/// `$ended`, before `$1`. Every statement of a unit selects the same batch.
macro_rules! delete {
    ($table:literal, $key:literal, of $of:literal by $ended:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE ",
            $key,
            " IN (SELECT id FROM ",
            $of,
            " WHERE ",
            $ended,
            " < $1 ORDER BY ",
            $ended,
            ", id LIMIT $2) /* guarded by: final */"
        )
    };
}

/// Deletes [`BATCH`] links that ended before a time, with their attempts and verifications. The last
/// statement deletes the links.
pub fn links(before: Timestamp) -> Unit {
    unit(
        [
            delete!("attempts", "link_id", of "links" by "finished_at"),
            delete!("verifications", "link_id", of "links" by "finished_at"),
            delete!("links", "id", of "links" by "finished_at"),
        ],
        before,
        BATCH,
    )
}

/// Deletes the receipts of [`BATCH`] revocations that ended before a time.
pub fn revocations(before: Timestamp) -> Unit {
    unit([delete!("revocations", "id", of "revocations" by "finished_at")], before, BATCH)
}

/// Deletes [`BATCH`] accounts that were deleted before a time, and their recorded grants. The last statement
/// deletes the accounts.
pub fn accounts(before: Timestamp) -> Unit {
    unit(
        [
            delete!("account_grants", "account_id", of "connected_accounts" by "deleted_at"),
            delete!("connected_accounts", "id", of "connected_accounts" by "deleted_at"),
        ],
        before,
        BATCH,
    )
}

/// Deletes [`BATCH`] auth configs that were deleted before a time.
pub fn auth_configs(before: Timestamp) -> Unit {
    unit([delete!("auth_configs", "id", of "auth_configs" by "deleted_at")], before, BATCH)
}

/// Deletes [`SESSIONS`] sessions that were deleted before a time, with their history. Files that were stored while
/// the session was being deleted are left to their own job. The last statement deletes the sessions.
pub fn sessions(before: Timestamp) -> Unit {
    unit(
        [
            files::DELETE_OF_OLD_SESSIONS,
            delete!("approvals", "session_id", of "sessions" by "deleted_at"),
            delete!("session_versions", "session_id", of "sessions" by "deleted_at"),
            delete!("sessions", "id", of "sessions" by "deleted_at"),
        ],
        before,
        SESSIONS,
    )
}

/// Deletes [`BATCH`] stored responses of idempotency keys that are older than a time.
pub fn idempotency_keys(before: Timestamp) -> Unit {
    unit(
        ["DELETE FROM idempotency_keys WHERE (project_id, key) IN
          (SELECT project_id, key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT $2)
          /* guarded by: final */"],
        before,
        BATCH,
    )
}

/// Deletes an account that was never connected and whose link ended before a time. Refused as
/// `account_changed` when it is being connected again.
pub fn unconnected_account(project: &ProjectId, id: &str, before: Timestamp, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::AccountChanged,
        "UPDATE connected_accounts SET deleted_at = $4, updated_at = $4, params = '{}', identity_id = NULL,
           refresh_fence = refresh_fence + 1
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND connected_at IS NULL
           AND status IN ('FAILED', 'EXPIRED') AND updated_at < $3",
        vec![project.into(), id.into(), before.into(), now.into()],
    )
}

fn unit<const N: usize>(statements: [&'static str; N], before: Timestamp, batch: usize) -> Unit {
    let batch = i64::try_from(batch).unwrap_or(i64::MAX);
    statements
        .into_iter()
        .fold(Unit::new(), |unit, sql| unit.with(Statement::any(sql, vec![before.into(), batch.into()])))
}

impl Store {
    /// Project and id of accounts that were never connected and whose links ended before a time, oldest
    /// first.
    pub async fn unconnected_accounts(
        &self,
        before: Timestamp,
        limit: i64,
    ) -> Result<Vec<(ProjectId, AccountId)>, ReadError> {
        self.list(
            "",
            "SELECT project_id, id FROM connected_accounts
             WHERE connected_at IS NULL AND deleted_at IS NULL AND status IN ('FAILED', 'EXPIRED') AND updated_at < $1
             ORDER BY updated_at LIMIT $2",
            vec![before.into(), limit.into()],
            |row| Ok((row.id(0)?, row.id(1)?)),
        )
        .await
    }
}
