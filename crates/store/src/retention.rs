//! Rows that are over and that nothing needs any more. Each statement deletes a batch, found by an index,
//! so that it holds up no other write; callers repeat it until it finds fewer.
//!
//! The audit log is not here: its rows are only ever added, and it goes by whole segments.

use crate::{ReadError, Statement, Store, Unit};

/// Rows that one batch deletes, unless it says otherwise.
pub const BATCH: usize = 500;
/// Sessions that one batch deletes, with their histories.
pub const SESSIONS: usize = 50;

/// The links that a batch is about: the same in each of its statements.
macro_rules! ended_links {
    () => {
        "(SELECT id FROM links WHERE finished_at < $1 ORDER BY finished_at, id LIMIT 500)"
    };
}

/// The accounts that a batch is about.
macro_rules! deleted_accounts {
    () => {
        "(SELECT id FROM connected_accounts WHERE deleted_at < $1 ORDER BY deleted_at, id LIMIT 500)"
    };
}

/// The sessions that a batch is about.
macro_rules! deleted_sessions {
    () => {
        "(SELECT id FROM sessions WHERE deleted_at < $1 ORDER BY deleted_at, id LIMIT 50)"
    };
}

/// Deletes [`BATCH`] links that ended before a time, with their attempts and confirmations. The last
/// statement deletes the links.
pub fn links(before: i64) -> Unit {
    unit(
        [
            concat!("DELETE FROM attempts WHERE link_id IN ", ended_links!()),
            concat!("DELETE FROM verifications WHERE link_id IN ", ended_links!()),
            concat!("DELETE FROM links WHERE id IN ", ended_links!()),
        ],
        before,
    )
}

/// Deletes the receipts of [`BATCH`] revocations that ended before a time.
pub fn revocations(before: i64) -> Unit {
    unit(
        ["DELETE FROM revocations WHERE id IN
          (SELECT id FROM revocations WHERE finished_at < $1 ORDER BY finished_at, id LIMIT 500)"],
        before,
    )
}

/// Deletes the rows of [`BATCH`] accounts that were deleted before a time, and what their tokens belonged to. The last
/// statement deletes the accounts.
pub fn accounts(before: i64) -> Unit {
    unit(
        [
            concat!("DELETE FROM account_grants WHERE account_id IN ", deleted_accounts!()),
            concat!("DELETE FROM connected_accounts WHERE id IN ", deleted_accounts!()),
        ],
        before,
    )
}

/// Deletes the rows of [`BATCH`] auth configs that were deleted before a time.
pub fn auth_configs(before: i64) -> Unit {
    unit(
        ["DELETE FROM auth_configs WHERE id IN
          (SELECT id FROM auth_configs WHERE deleted_at < $1 ORDER BY deleted_at, id LIMIT 500)"],
        before,
    )
}

/// Deletes [`SESSIONS`] sessions that were deleted before a time, with their histories. The last statement
/// deletes the sessions.
pub fn sessions(before: i64) -> Unit {
    unit(
        [
            concat!("DELETE FROM session_versions WHERE session_id IN ", deleted_sessions!()),
            concat!("DELETE FROM sessions WHERE id IN ", deleted_sessions!()),
        ],
        before,
    )
}

/// Forgets [`BATCH`] answers of idempotency keys that are older than a time.
pub fn idempotency_keys(before: i64) -> Unit {
    unit(
        ["DELETE FROM idempotency_keys WHERE (project_id, key) IN
          (SELECT project_id, key FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at LIMIT 500)"],
        before,
    )
}

/// Deletes an account that never was connected and whose link ended before a time; refused as
/// `account_changed` when it is being connected again.
pub fn unconnected_account(project: &str, id: &str, before: i64, now: i64) -> Statement {
    Statement::one(
        "account_changed",
        "UPDATE connected_accounts SET deleted_at = $4, updated_at = $4, params = '{}', identity_id = NULL,
           refresh_fence = refresh_fence + 1
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND connected_at IS NULL
           AND status IN ('FAILED', 'EXPIRED') AND updated_at < $3",
        vec![project.into(), id.into(), before.into(), now.into()],
    )
}

fn unit<const N: usize>(statements: [&'static str; N], before: i64) -> Unit {
    statements.into_iter().fold(Unit::new(), |unit, sql| unit.with(Statement::any(sql, vec![before.into()])))
}

impl Store {
    /// Project and id of accounts that never were connected and whose links ended before a time, the
    /// longest ago first.
    pub async fn unconnected_accounts(&self, before: i64, limit: i64) -> Result<Vec<(String, String)>, ReadError> {
        self.list(
            "",
            "SELECT project_id, id FROM connected_accounts
             WHERE connected_at IS NULL AND deleted_at IS NULL AND status IN ('FAILED', 'EXPIRED') AND updated_at < $1
             ORDER BY updated_at LIMIT $2",
            vec![before.into(), limit.into()],
            |row| Ok((row.text(0)?, row.text(1)?)),
        )
        .await
    }
}
