//! Writes that end an account whose credential goes to be revoked at the provider.
//!
//! Each names the credential version that was read: a credential that was rotated in the meantime
//! is not erased unseen. Each raises the fence, so that a refresh under way cannot write any more.

use crate::Statement;

/// Deletes an account whose credential is still the one that was read; refused as
/// `account_changed` otherwise.
pub fn delete_version(project: &str, id: &str, version: i64, now: i64) -> Statement {
    Statement::one(
        "account_changed",
        "UPDATE connected_accounts SET deleted_at = $4, updated_at = $4, credential_sealed = NULL,
           params = '{}', identity_id = NULL, refresh_fence = refresh_fence + 1, refresh_lease_until = NULL
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND credential_version = $3",
        vec![project.into(), id.into(), version.into(), now.into()],
    )
}

/// The account is REVOKED and its credential erased; refused as `account_changed` when that is no
/// longer the one that was read.
pub fn revoke_version(project: &str, id: &str, version: i64, reason: &str, now: i64) -> Statement {
    Statement::one(
        "account_changed",
        "UPDATE connected_accounts SET status = 'REVOKED', status_reason = $4, updated_at = $5,
           credential_sealed = NULL, credential_version = credential_version + 1, expires_at = NULL,
           refresh_fence = refresh_fence + 1, refresh_lease_until = NULL, refresh_started_at = NULL
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND credential_version = $3
           AND status <> 'REVOKED'",
        vec![project.into(), id.into(), version.into(), reason.into(), now.into()],
    )
}

/// Keeps refreshes away from one credential version while it is being revoked. Unlike a refresh's
/// lease it leaves no journal mark: nothing is rotated. Refused as `account_changed`.
pub fn hold(project: &str, id: &str, version: i64, fence: i64, now: i64, until: i64) -> Statement {
    Statement::one(
        "account_changed",
        "UPDATE connected_accounts SET refresh_fence = refresh_fence + 1, refresh_lease_until = $6
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'ACTIVE'
           AND credential_version = $3 AND refresh_fence = $4
           AND (refresh_lease_until IS NULL OR refresh_lease_until <= $5 OR refresh_lease_until > $6)",
        vec![project.into(), id.into(), version.into(), fence.into(), now.into(), until.into()],
    )
}

/// Lets refreshes at it again.
pub fn release(project: &str, id: &str, fence: i64) -> Statement {
    Statement::any(
        "UPDATE connected_accounts SET refresh_lease_until = NULL
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND refresh_fence = $3",
        vec![project.into(), id.into(), fence.into()],
    )
}
