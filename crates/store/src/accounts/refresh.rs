//! The fenced, journaled writes of a token refresh (R33–R37).
//!
//! `lease` is one conditional UPDATE. It sets the journal mark `refresh_started_at` before anything is sent.
//! The lease number is a fence: only the holder of the newest lease may write an outcome. A mark without a
//! lease tells the next holder that a response was lost.

use switchboard_types::{AccountId, AccountParams, Fence, ProjectId, Reason, Timestamp};

use super::AccountRow;
use crate::{Refusal, Statement, Value};

/// Writes that depend on the account as it was read.
impl AccountRow {
    /// Acquires the lease for the credential that was read: the statement, and the fence of the lease once it is
    /// applied. Refused as `refresh_leased` when the account has another credential or lease by now.
    pub fn lease(&self, now: Timestamp, until: Timestamp) -> (Statement, Fence) {
        let statement = Statement::one(
            Refusal::RefreshLeased,
            "UPDATE connected_accounts SET refresh_fence = refresh_fence + 1, refresh_lease_until = $6,
               refresh_started_at = COALESCE(refresh_started_at, $5)
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'ACTIVE'
               AND credential_version = $3 AND refresh_fence = $4
               AND (refresh_lease_until IS NULL OR refresh_lease_until <= $5 OR refresh_lease_until > $6)",
            self.lease_arguments(now, until),
        );
        (statement, self.refresh_fence.next())
    }

    /// What both kinds of lease bind.
    pub(super) fn lease_arguments(&self, now: Timestamp, until: Timestamp) -> Vec<Value> {
        vec![
            (&self.project_id).into(),
            (&self.id).into(),
            self.credential_version.into(),
            self.refresh_fence.into(),
            now.into(),
            until.into(),
        ]
    }

    /// Releases the lease after a transient failure.
    pub fn clear_lease(&self, fence: Fence, failure: RefreshFailure) -> Statement {
        Statement::one(
            Refusal::FenceLost,
            "UPDATE connected_accounts SET refresh_lease_until = NULL, refresh_failures = refresh_failures + 1,
               refresh_rejections = CASE WHEN $5 = 1 THEN refresh_rejections + 1 ELSE 0 END,
               refresh_started_at = $4, refresh_retry_at = $6
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND refresh_fence = $3",
            vec![
                (&self.project_id).into(),
                (&self.id).into(),
                fence.into(),
                failure.started_at.into(),
                failure.rejected.into(),
                failure.retry_at.into(),
            ],
        )
    }

    /// Reschedules a due account that the scheduler could not refresh: it is due again at `due_at`, or, with
    /// `None`, only when a caller uses it. No effect if the account changed since: a newer credential, a retry
    /// pause or another lease.
    pub fn reschedule_refresh(&self, due_at: Option<Timestamp>, now: Timestamp) -> Statement {
        Statement::any(
            "UPDATE connected_accounts SET refresh_due_at = $4
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'ACTIVE' AND credential_version = $3
               AND refresh_due_at <= $5 AND (refresh_retry_at IS NULL OR refresh_retry_at <= $5)
               AND (refresh_lease_until IS NULL OR refresh_lease_until <= $5)",
            vec![
                (&self.project_id).into(),
                (&self.id).into(),
                self.credential_version.into(),
                due_at.into(),
                now.into(),
            ],
        )
    }

    /// Ends an account that the provider will not refresh any more: EXPIRED, with the credential erased.
    pub fn expire(&self, fence: Fence, reason: &Reason, now: Timestamp) -> Statement {
        Statement::one(
            Refusal::FenceLost,
            "UPDATE connected_accounts SET status = 'EXPIRED', status_reason = $4, credential_sealed = NULL,
               credential_version = credential_version + 1, refresh_lease_until = NULL, refresh_started_at = NULL,
               refresh_due_at = NULL, updated_at = $5
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND refresh_fence = $3 AND status = 'ACTIVE'",
            vec![(&self.project_id).into(), (&self.id).into(), fence.into(), reason.into(), now.into()],
        )
    }
}

/// A new credential from the provider.
#[derive(Clone, Debug)]
pub struct Refreshed {
    /// Sealed.
    pub credential: Vec<u8>,
    /// JSON of parameters.
    pub params: AccountParams,
    /// When the access token expires.
    pub expires_at: Option<Timestamp>,
    /// When the next refresh is due.
    pub refresh_due_at: Option<Timestamp>,
    /// When the response arrived.
    pub now: Timestamp,
}

/// Stores a refreshed credential. Refused when another holder took over or the account was deleted.
pub fn store_refreshed(project: &ProjectId, id: &AccountId, fence: Fence, refreshed: Refreshed) -> Statement {
    Statement::one(
        Refusal::FenceLost,
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

/// A refresh failure that does not end the account.
#[derive(Clone, Copy, Debug)]
pub struct RefreshFailure {
    /// Journal mark to keep: set if the provider may have rotated the token, in this attempt or an earlier
    /// one.
    pub started_at: Option<Timestamp>,
    /// The response was a rejection that could not be interpreted. Several in a row end the account (R26).
    pub rejected: bool,
    /// No retry before this time.
    pub retry_at: Timestamp,
}
