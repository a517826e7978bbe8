//! The fenced, journaled writes of a token refresh (R33–R37).
//!
//! `lease` is taken by one conditional UPDATE and sets the journal mark `refresh_started_at`
//! before anything is sent; the lease number is a fence, and only the holder of the newest one
//! may write an outcome. A mark without a lease tells the next holder that an answer was lost.

use crate::Statement;

/// Takes the lease for one credential version.
pub fn lease(project: &str, id: &str, version: i64, fence: i64, now: i64, until: i64) -> Statement {
    Statement::one(
        "refresh_leased",
        "UPDATE connected_accounts SET refresh_fence = refresh_fence + 1, refresh_lease_until = $6,
           refresh_started_at = COALESCE(refresh_started_at, $5)
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'ACTIVE'
           AND credential_version = $3 AND refresh_fence = $4
           AND (refresh_lease_until IS NULL OR refresh_lease_until <= $5 OR refresh_lease_until > $6)",
        vec![project.into(), id.into(), version.into(), fence.into(), now.into(), until.into()],
    )
}

/// A new credential from the provider.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// Sealed.
    pub credential: Vec<u8>,
    /// JSON of parameters.
    pub params: String,
    /// When the access token dies.
    pub expires_at: Option<i64>,
    /// When it is to be refreshed again.
    pub refresh_due_at: Option<i64>,
    /// When the answer arrived, in milliseconds since 1970.
    pub now: i64,
}

/// Stores a refreshed credential; refused when another holder took over or the account is gone.
pub fn store_refreshed(project: &str, id: &str, fence: i64, refreshed: Refreshed) -> Statement {
    Statement::one(
        "fence_lost",
        "UPDATE connected_accounts SET credential_sealed = $4, credential_version = credential_version + 1,
           params = $5, expires_at = $6, issued_at = $7, updated_at = $7, refresh_lease_until = NULL,
           refresh_started_at = NULL, refresh_failures = 0, refresh_rejections = 0, refresh_retry_at = NULL,
           refresh_due_at = $8
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND refresh_fence = $3",
        vec![
            project.into(),
            id.into(),
            fence.into(),
            refreshed.credential.into(),
            refreshed.params.into(),
            refreshed.expires_at.into(),
            refreshed.now.into(),
            refreshed.refresh_due_at.into(),
        ],
    )
}

/// How a refresh failed without ending the account.
#[derive(Clone, Copy, Debug)]
pub struct RefreshFailure {
    /// Journal mark to leave behind: set when the provider may have rotated the token, now or in an
    /// earlier try.
    pub started_at: Option<i64>,
    /// A refusal that could not be understood; several in a row end the account (R26).
    pub rejected: bool,
    /// Not again before this time.
    pub retry_at: i64,
}

/// Gives the lease back after a failure that may pass.
pub fn clear_lease(project: &str, id: &str, fence: i64, failure: RefreshFailure) -> Statement {
    Statement::one(
        "fence_lost",
        "UPDATE connected_accounts SET refresh_lease_until = NULL, refresh_failures = refresh_failures + 1,
           refresh_rejections = CASE WHEN $5 = 1 THEN refresh_rejections + 1 ELSE 0 END,
           refresh_started_at = $4, refresh_retry_at = $6
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND refresh_fence = $3",
        vec![
            project.into(),
            id.into(),
            fence.into(),
            failure.started_at.into(),
            failure.rejected.into(),
            failure.retry_at.into(),
        ],
    )
}

/// The scheduler did not get on with an account that is due: it looks again at `due_at`, or, without
/// that, leaves it to its callers. Nothing happens where something else is known by now: a newer
/// credential, a pause, a holder.
pub fn put_off(project: &str, id: &str, version: i64, due_at: Option<i64>, now: i64) -> Statement {
    Statement::any(
        "UPDATE connected_accounts SET refresh_due_at = $4
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'ACTIVE' AND credential_version = $3
           AND refresh_due_at <= $5 AND (refresh_retry_at IS NULL OR refresh_retry_at <= $5)
           AND (refresh_lease_until IS NULL OR refresh_lease_until <= $5)",
        vec![project.into(), id.into(), version.into(), due_at.into(), now.into()],
    )
}

/// The provider will never refresh this again: EXPIRED, and the dead credential is erased.
pub fn expire_refreshed(project: &str, id: &str, fence: i64, reason: &str, now: i64) -> Statement {
    Statement::one(
        "fence_lost",
        "UPDATE connected_accounts SET status = 'EXPIRED', status_reason = $4, credential_sealed = NULL,
           credential_version = credential_version + 1, refresh_lease_until = NULL, refresh_started_at = NULL,
           refresh_due_at = NULL, updated_at = $5
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND refresh_fence = $3 AND status = 'ACTIVE'",
        vec![project.into(), id.into(), fence.into(), reason.into(), now.into()],
    )
}
