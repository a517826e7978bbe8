//! Deleting a project with everything in it, as one unit: nobody ever sees half of it. Here stands
//! what each table holds of a project, so that a new table is forgotten in one place only.
//!
//! Rows stay for the audit log; every secret is erased.

use crate::{Statement, Unit};

/// Deletes a live project; refused as `project_not_found` otherwise.
pub fn unit(project: &str, now: i64) -> Unit {
    let any = |sql: &'static str| Statement::any(sql, vec![project.into(), now.into()]);
    Unit::new()
        .with(Statement::one(
            "project_not_found",
            "UPDATE projects SET deleted_at = $2, updated_at = $2 WHERE id = $1 AND deleted_at IS NULL",
            vec![project.into(), now.into()],
        ))
        .with(crate::api_keys::revoke_of_project(project, now))
        .with(any("UPDATE sessions SET deleted_at = $2, updated_at = $2 WHERE project_id = $1 AND deleted_at IS NULL"))
        .with(any(
            "UPDATE auth_configs SET deleted_at = $2, updated_at = $2, credentials_sealed = NULL, shared_sealed = NULL
             WHERE project_id = $1 AND deleted_at IS NULL",
        ))
        .with(any("UPDATE connected_accounts SET deleted_at = $2, updated_at = $2, credential_sealed = NULL,
               refresh_fence = refresh_fence + 1, refresh_lease_until = NULL
             WHERE project_id = $1 AND deleted_at IS NULL"))
        .with(any("UPDATE links SET finished_at = COALESCE(finished_at, $2), outcome = COALESCE(outcome, 'deleted'),
               prefill_sealed = NULL
             WHERE project_id = $1 AND (finished_at IS NULL OR prefill_sealed IS NOT NULL)"))
        .with(any("UPDATE attempts SET consumed_at = $2, verifier_sealed = NULL
             WHERE project_id = $1 AND consumed_at IS NULL"))
        .with(any("UPDATE verifications SET consumed_at = COALESCE(consumed_at, $2), parked_sealed = NULL
             WHERE project_id = $1 AND (consumed_at IS NULL OR parked_sealed IS NOT NULL)"))
        .with(Statement::any("DELETE FROM idempotency_keys WHERE project_id = $1", vec![project.into()]))
}
