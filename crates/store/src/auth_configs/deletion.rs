//! Writes that delete an auth config.

use switchboard_types::{AuthConfigId, ProjectId, Timestamp};

use crate::unit::{Lock, Parent};
use crate::{Refusal, Statement, Unit};

/// Begins a unit that deletes an auth config, or accounts of it: until the unit is committed, no account is added and
/// none of its live accounts changes. Refused as `auth_config_not_found`.
pub fn lock_for_deletion(project: &ProjectId, id: &AuthConfigId) -> Unit {
    Unit::new()
        .with(Statement::lock(
            Refusal::AuthConfigNotFound,
            Parent::AuthConfig,
            Lock::Exclusive,
            "SELECT 1 FROM auth_configs WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
            vec![project.into(), id.into()],
        ))
        .with(Statement::lock_all(
            Parent::Account,
            "SELECT id FROM connected_accounts
             WHERE project_id = $1 AND auth_config_id = $2 AND deleted_at IS NULL ORDER BY id",
            vec![project.into(), id.into()],
        ))
}

/// Deletes an auth config and erases its credentials.
pub fn delete(project: &ProjectId, id: &AuthConfigId, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::AuthConfigNotFound,
        "UPDATE auth_configs SET deleted_at = $3, updated_at = $3, credentials_sealed = NULL, shared_sealed = NULL
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
        vec![project.into(), id.into(), now.into()],
    )
}

/// The same, once none of its accounts has a credential. Refused as `auth_config_busy` otherwise. The unit begins
/// with [`lock_for_deletion`].
pub fn delete_unused(project: &ProjectId, id: &AuthConfigId, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::AuthConfigBusy,
        "UPDATE auth_configs SET deleted_at = $3, updated_at = $3, credentials_sealed = NULL, shared_sealed = NULL
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND NOT EXISTS
           (SELECT 1 FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
              AND deleted_at IS NULL AND credential_sealed IS NOT NULL)
         /* guarded by: exclusive lock auth_configs, exclusive lock connected_accounts */",
        vec![project.into(), id.into(), now.into()],
    )
}
