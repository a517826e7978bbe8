//! Writes that end an account and hand over its credential for revocation at the provider.
//!
//! Each takes the credential version that was read, so that a credential rotated in the meantime is not
//! erased. Each increments the fence, so that a refresh in flight cannot write.

use switchboard_types::{Fence, Reason, Timestamp};

use super::AccountRow;
use crate::{Refusal, Statement};

/// Writes that depend on the account as it was read.
impl AccountRow {
    /// Deletes an account. Refused as `account_changed` if its credential is not the version that was read.
    pub fn delete(&self, now: Timestamp) -> Statement {
        Statement::one(
            Refusal::AccountChanged,
            "UPDATE connected_accounts SET deleted_at = $4, updated_at = $4, credential_sealed = NULL,
               params = '{}', identity_id = NULL, refresh_fence = refresh_fence + 1, refresh_lease_until = NULL
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND credential_version = $3",
            vec![(&self.project_id).into(), (&self.id).into(), self.credential_version.into(), now.into()],
        )
    }

    /// Sets an account to REVOKED and erases its credential. Refused as `account_changed` if the credential is
    /// not the version that was read.
    pub fn revoke(&self, reason: &Reason, now: Timestamp) -> Statement {
        Statement::one(
            Refusal::AccountChanged,
            "UPDATE connected_accounts SET status = 'REVOKED', status_reason = $4, updated_at = $5,
               credential_sealed = NULL, credential_version = credential_version + 1, expires_at = NULL,
               refresh_fence = refresh_fence + 1, refresh_lease_until = NULL, refresh_started_at = NULL
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND credential_version = $3
               AND status <> 'REVOKED'",
            vec![
                (&self.project_id).into(),
                (&self.id).into(),
                self.credential_version.into(),
                reason.into(),
                now.into(),
            ],
        )
    }

    /// Acquires a lease that keeps refreshes away from a credential version while it is being revoked. Unlike a
    /// refresh it leaves no journal mark, since nothing is rotated. Refused as `account_changed`.
    pub fn lease_for_revocation(&self, now: Timestamp, until: Timestamp) -> (Statement, Fence) {
        let statement = Statement::one(
            Refusal::AccountChanged,
            "UPDATE connected_accounts SET refresh_fence = refresh_fence + 1, refresh_lease_until = $6
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'ACTIVE'
               AND credential_version = $3 AND refresh_fence = $4
               AND (refresh_lease_until IS NULL OR refresh_lease_until <= $5 OR refresh_lease_until > $6)",
            self.lease_arguments(now, until),
        );
        (statement, self.refresh_fence.next())
    }

    /// Releases that lease.
    pub fn release_revocation_lease(&self, fence: Fence) -> Statement {
        Statement::any(
            "UPDATE connected_accounts SET refresh_lease_until = NULL
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND refresh_fence = $3",
            vec![(&self.project_id).into(), (&self.id).into(), fence.into()],
        )
    }
}
