//! Deleting a project with everything in it. Here stands what each table holds of a project, so that
//! a new table is forgotten in one place only. Rows stay for the audit log; every secret is erased.
//!
//! [`close`] and [`erase`] in one unit delete it at once: nobody ever sees half of it. Where its
//! credentials are to be revoked, [`close`] goes alone; then the accounts that hold one are ended
//! with their revocations, batch by batch, and [`finish`] ends what is left.

use crate::{ReadError, Statement, Store, Unit};

/// Closes a live project: no key opens it, nothing in it goes on. Refused as `project_not_found`
/// otherwise.
pub fn close(project: &str, now: i64) -> Unit {
    Unit::new()
        .with(Statement::one(
            "project_not_found",
            "UPDATE projects SET deleted_at = $2, updated_at = $2 WHERE id = $1 AND deleted_at IS NULL",
            vec![project.into(), now.into()],
        ))
        .with(crate::api_keys::revoke_of_project(project, now))
        .with(all(
            "UPDATE sessions SET deleted_at = $2, updated_at = $2 WHERE project_id = $1 AND deleted_at IS NULL",
            project,
            now,
        ))
        .with(Statement::any("DELETE FROM idempotency_keys WHERE project_id = $1", vec![project.into()]))
        .and(end_links(project, now))
}

/// Ends the accounts and auth configs of a project that is being deleted, without revoking anything.
pub fn erase(project: &str, now: i64) -> Unit {
    Unit::new()
        .with(all(
            "UPDATE connected_accounts SET deleted_at = $2, updated_at = $2, credential_sealed = NULL,
               refresh_fence = refresh_fence + 1, refresh_lease_until = NULL
             WHERE project_id = $1 AND deleted_at IS NULL",
            project,
            now,
        ))
        .with(all(
            "UPDATE auth_configs SET deleted_at = $2, updated_at = $2, credentials_sealed = NULL, shared_sealed = NULL
             WHERE project_id = $1 AND deleted_at IS NULL",
            project,
            now,
        ))
}

/// Ends what is left of a closed project but the accounts that hold a credential and their auth
/// configs: those go with their revocations. A link that was made in the moment of closing is ended
/// here.
pub fn finish(project: &str, now: i64) -> Unit {
    end_links(project, now)
        .with(all(
            "UPDATE connected_accounts SET deleted_at = $2, updated_at = $2, refresh_fence = refresh_fence + 1
             WHERE project_id = $1 AND deleted_at IS NULL AND credential_sealed IS NULL",
            project,
            now,
        ))
        .with(all(
            "UPDATE auth_configs SET deleted_at = $2, updated_at = $2, credentials_sealed = NULL, shared_sealed = NULL
             WHERE project_id = $1 AND deleted_at IS NULL AND NOT EXISTS
               (SELECT 1 FROM connected_accounts WHERE project_id = $1 AND auth_config_id = auth_configs.id
                  AND deleted_at IS NULL AND credential_sealed IS NOT NULL)",
            project,
            now,
        ))
}

/// Links, and what they left at providers or waiting for confirmation.
fn end_links(project: &str, now: i64) -> Unit {
    Unit::new()
        .with(all(
            "UPDATE links SET finished_at = COALESCE(finished_at, $2), outcome = COALESCE(outcome, 'deleted'),
               prefill_sealed = NULL
             WHERE project_id = $1 AND (finished_at IS NULL OR prefill_sealed IS NOT NULL)",
            project,
            now,
        ))
        .with(all(
            "UPDATE attempts SET consumed_at = $2, verifier_sealed = NULL WHERE project_id = $1 AND consumed_at IS NULL",
            project,
            now,
        ))
        .with(all(
            "UPDATE verifications SET consumed_at = COALESCE(consumed_at, $2), parked_sealed = NULL
             WHERE project_id = $1 AND (consumed_at IS NULL OR parked_sealed IS NOT NULL)",
            project,
            now,
        ))
        .with(all(
            "UPDATE revocations SET next_try_at = $2
             WHERE project_id = $1 AND promised_for IS NOT NULL AND outcome IS NULL AND tries = 0
               AND next_try_at > $2",
            project,
            now,
        ))
}

/// A statement about the rows of a project (`$1`) at a time (`$2`).
fn all(sql: &'static str, project: &str, now: i64) -> Statement {
    Statement::any(sql, vec![project.into(), now.into()])
}

impl Store {
    /// Deleted projects whose accounts are not all gone.
    pub async fn deleted_projects_with_accounts(&self, limit: i64) -> Result<Vec<String>, ReadError> {
        self.all(
            "SELECT id FROM projects WHERE deleted_at IS NOT NULL AND EXISTS
               (SELECT 1 FROM connected_accounts WHERE project_id = projects.id AND deleted_at IS NULL)
             ORDER BY id LIMIT $1",
            &[limit.into()],
            |row| row.text(0),
        )
        .await
    }
}
