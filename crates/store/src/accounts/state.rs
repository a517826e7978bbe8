//! Writes that take an account through the connect flow: created, opened, connected or ended, deleted.

use switchboard_types::{AccountId, AccountParams, AuthConfigId, LinkId, ProjectId, Reason, Scheme, Timestamp};

use super::AccountType;
use crate::unit::{Lock, Parent};
use crate::{Refusal, Statement, Unit, Value, auth_configs, links, unread_answers};

/// A new account, INITIALIZING.
#[derive(Clone, Debug)]
pub struct NewAccount<'a> {
    /// `ca_…`.
    pub id: &'a AccountId,
    /// Owner.
    pub project_id: &'a ProjectId,
    /// The project's end user.
    pub user_id: &'a str,
    /// Toolkit slug.
    pub toolkit: &'a str,
    /// `ac_…`.
    pub auth_config_id: &'a AuthConfigId,
    /// Contract name of the scheme.
    pub scheme: Scheme,
    /// Unique for user and toolkit.
    pub alias: Option<&'a str>,
    /// Name in words.
    pub word_id: &'a str,
    /// Who may use it.
    pub account_type: AccountType,
    /// JSON of the access list.
    pub acl: Option<&'a str>,
    /// JSON of parameters.
    pub params: &'a AccountParams,
    /// The link that connects it; `None` if it is created with its credential.
    pub link_id: Option<&'a LinkId>,
    /// Now.
    pub now: Timestamp,
}

/// Adds an account. Refused as `alias_in_use` when another account has the alias, and as `auth_config_gone`
/// when the auth config was deleted or disabled in the meantime.
pub fn insert(account: &NewAccount<'_>) -> Unit {
    let insert = Statement::one(
        Refusal::AliasInUse,
        "INSERT OR FAIL INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status,
           alias, word_id, account_type, acl, params, link_id, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'INITIALIZING', $7, $8, $9, $10, $11, $12, $13, $13)",
        vec![
            account.id.into(),
            account.project_id.into(),
            account.user_id.into(),
            account.toolkit.into(),
            account.auth_config_id.into(),
            account.scheme.into(),
            account.alias.into(),
            account.word_id.into(),
            account.account_type.as_str().into(),
            account.acl.into(),
            account.params.into(),
            account.link_id.into(),
            account.now.into(),
        ],
    );
    Unit::new().with(auth_configs::require_enabled(account.project_id, account.auth_config_id)).with(insert)
}

/// Begins a unit that ends the link of a live account and gives it another. Refused as `account_changed` if the
/// account is gone.
pub fn lock_for_link(project: &ProjectId, id: &AccountId) -> Statement {
    Statement::lock(
        Refusal::AccountChanged,
        Parent::Account,
        Lock::Exclusive,
        "SELECT 1 FROM connected_accounts WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
        vec![project.into(), id.into()],
    )
}

/// Sets the auth config that the user chose, as long as the account has no credential. Refused as
/// `account_not_connecting`, also when the auth config is gone.
pub fn set_auth_config(
    project: &ProjectId,
    id: &AccountId,
    auth_config: &AuthConfigId,
    scheme: Scheme,
    now: Timestamp,
) -> Unit {
    let lock = Statement::lock(
        Refusal::AccountNotConnecting,
        Parent::AuthConfig,
        Lock::Share,
        "SELECT 1 FROM auth_configs
         WHERE id = $2 AND project_id = $1 AND scheme = $3 AND status = 'ENABLED' AND deleted_at IS NULL",
        vec![project.into(), auth_config.into(), scheme.into()],
    );
    let set = Statement::one(
        Refusal::AccountNotConnecting,
        "UPDATE connected_accounts SET auth_config_id = $3, scheme = $4, updated_at = $5
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'INITIALIZING'
           AND credential_sealed IS NULL",
        vec![project.into(), id.into(), auth_config.into(), scheme.into(), now.into()],
    );
    Unit::new().with(lock).with(set)
}

/// The user pressed Continue.
pub fn initiate(project: &ProjectId, id: &AccountId, params: &AccountParams, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::AccountNotConnecting,
        "UPDATE connected_accounts SET status = 'INITIATED', status_reason = NULL, params = $3, updated_at = $4
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status IN ('INITIALIZING', 'INITIATED')",
        vec![project.into(), id.into(), params.into(), now.into()],
    )
}

/// Records why an attempt ended without a credential. The account keeps connecting; another attempt may
/// follow.
pub fn record_failed_attempt(project: &ProjectId, id: &AccountId, reason: &Reason, now: Timestamp) -> Statement {
    Statement::any(
        "UPDATE connected_accounts SET status_reason = $3, updated_at = $4
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status IN ('INITIALIZING', 'INITIATED')",
        vec![project.into(), id.into(), reason.into(), now.into()],
    )
}

/// A credential for an account that is connecting.
#[derive(Clone, Debug)]
pub struct Activation {
    /// Sealed.
    pub credential: Option<Vec<u8>>,
    /// JSON of parameters.
    pub params: AccountParams,
    /// Identifier of the account at its provider.
    pub identity: Option<String>,
    /// When the access token expires.
    pub expires_at: Option<Timestamp>,
    /// When the next refresh is due; `None` if it never is.
    pub refresh_due_at: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// Sets the account to ACTIVE.
pub fn activate(project: &ProjectId, id: &AccountId, activation: Activation) -> Statement {
    Statement::one(
        Refusal::AccountNotConnecting,
        "UPDATE connected_accounts SET status = 'ACTIVE', status_reason = NULL, credential_sealed = $3,
           credential_version = credential_version + 1, params = $4, expires_at = $5, issued_at = $6,
           connected_at = $6, updated_at = $6, refresh_fence = refresh_fence + 1, refresh_lease_until = NULL,
           refresh_started_at = NULL, refresh_failures = 0, refresh_rejections = 0, refresh_retry_at = NULL,
           refresh_due_at = $7, identity_id = $8
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status IN ('INITIALIZING', 'INITIATED')",
        vec![
            project.into(),
            id.into(),
            activation.credential.into(),
            activation.params.into(),
            activation.expires_at.into(),
            activation.now.into(),
            activation.refresh_due_at.into(),
            activation.identity.into(),
        ],
    )
}

/// Ends connecting without a credential: FAILED or EXPIRED. Frees the alias of an account that was never
/// connected, so that the developer can create the same link again.
pub fn end_connecting(
    project: &ProjectId,
    id: &AccountId,
    status: super::AccountStatus,
    reason: &Reason,
    now: Timestamp,
) -> Statement {
    Statement::one(
        Refusal::AccountNotConnecting,
        "UPDATE connected_accounts SET status = $3, status_reason = $4, updated_at = $5,
           alias = CASE WHEN connected_at IS NULL THEN NULL ELSE alias END
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status IN ('INITIALIZING', 'INITIATED')",
        vec![project.into(), id.into(), status.as_str().into(), reason.into(), now.into()],
    )
}

/// Deletes an account, its credential and its user's profile data (name, address, picture).
pub fn delete(project: &ProjectId, id: &AccountId, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::AccountNotFound,
        "UPDATE connected_accounts SET deleted_at = $3, updated_at = $3, credential_sealed = NULL, params = '{}',
           identity_id = NULL, refresh_fence = refresh_fence + 1, refresh_lease_until = NULL
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL",
        vec![project.into(), id.into(), now.into()],
    )
}

/// Accounts per unit of [`delete_batch_of_auth_config`].
pub const DELETE_BATCH: usize = 100;

/// Deletes up to [`DELETE_BATCH`] accounts of an auth config that is being deleted, with their links. Without
/// `with_credentials`, only accounts that have no credential. The last statement deletes the accounts. If another
/// unit deletes an account of the batch meanwhile, later statements may take one more; a later batch deletes it.
pub fn delete_batch_of_auth_config(
    project: &ProjectId,
    auth_config: &AuthConfigId,
    with_credentials: bool,
    now: Timestamp,
) -> Unit {
    let lock = if with_credentials {
        "SELECT id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
           AND deleted_at IS NULL ORDER BY id LIMIT 100"
    } else {
        "SELECT id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
           AND deleted_at IS NULL AND credential_sealed IS NULL ORDER BY id LIMIT 100"
    };
    let sql = if with_credentials {
        "UPDATE connected_accounts SET deleted_at = $3, updated_at = $3, credential_sealed = NULL, params = '{}',
           identity_id = NULL, refresh_fence = refresh_fence + 1, refresh_lease_until = NULL
         WHERE deleted_at IS NULL
           AND id IN (SELECT id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
                        AND deleted_at IS NULL ORDER BY id LIMIT 100)
         /* guarded by: exclusive lock connected_accounts, own row */"
    } else {
        "UPDATE connected_accounts SET deleted_at = $3, updated_at = $3, params = '{}', identity_id = NULL,
           refresh_fence = refresh_fence + 1
         WHERE deleted_at IS NULL AND credential_sealed IS NULL
           AND id IN (SELECT id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2
                        AND deleted_at IS NULL AND credential_sealed IS NULL ORDER BY id LIMIT 100)
         /* guarded by: exclusive lock connected_accounts, own row */"
    };
    let args: Vec<Value> = vec![project.into(), auth_config.into(), now.into()];
    Unit::new()
        .with(Statement::lock_all(Parent::Account, lock, vec![project.into(), auth_config.into()]))
        .and(links::end_batch_of_auth_config(project, auth_config, with_credentials, now))
        .with(unread_answers::delete_batch_of_auth_config(project, auth_config, with_credentials))
        .with(Statement::any(sql, args))
}

/// Deletes the accounts of an auth config that is being deleted.
pub fn delete_of_auth_config(project: &ProjectId, auth_config: &AuthConfigId, now: Timestamp) -> Statement {
    let args: Vec<Value> = vec![project.into(), auth_config.into(), now.into()];
    Statement::any(
        "UPDATE connected_accounts SET deleted_at = $3, updated_at = $3, credential_sealed = NULL, params = '{}',
           identity_id = NULL, refresh_fence = refresh_fence + 1, refresh_lease_until = NULL
         WHERE auth_config_id = $2 AND project_id = $1 AND deleted_at IS NULL",
        args,
    )
}
