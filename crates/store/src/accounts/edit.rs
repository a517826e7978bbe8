//! Changes that a developer makes to an existing account: name, access list, credential, enable, disable,
//! reconnect.

use switchboard_types::{AccountId, AccountParams, CredentialVersion, LinkId, ProjectId, Reason, Timestamp};

use super::{AccountRow, AccountStatus, Activation};
use crate::links::LinkPurpose;
use crate::{Refusal, Statement, Value};

/// Changes to an account. `None` leaves a value unchanged.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// The name of the connection.
    pub alias: AliasEdit,
    /// The access list as it was read, and what it becomes (JSON).
    pub acl: Option<(Option<String>, String)>,
    /// A new credential.
    pub credential: Option<CredentialEdit>,
}

/// Change to an alias.
#[derive(Clone, Debug, Default)]
pub enum AliasEdit {
    /// Unchanged.
    #[default]
    Keep,
    /// Removed.
    Remove,
    /// Set to this value.
    Set(String),
}

/// A credential that replaces another.
#[derive(Clone, Debug)]
pub struct CredentialEdit {
    /// Sealed.
    pub sealed: Vec<u8>,
    /// JSON of parameters.
    pub params: AccountParams,
    /// The version it replaces.
    pub replaces: CredentialVersion,
}

/// Changes an account. Refused as `alias_in_use` when another account has the alias, and as `account_changed`
/// when the account was deleted or changed since it was read. An EXPIRED account with a new credential
/// becomes ACTIVE.
pub fn edit(project: &ProjectId, id: &AccountId, edit: Edit, now: Timestamp) -> Statement {
    let (is_named, alias) = match edit.alias {
        AliasEdit::Keep => (false, None),
        AliasEdit::Remove => (true, None),
        AliasEdit::Set(alias) => (true, Some(alias)),
    };
    let is_listed = edit.acl.is_some();
    let (old_acl, acl) = edit.acl.unzip();
    let has_credential = edit.credential.is_some();
    let (sealed, params, replaces) =
        edit.credential.map_or((None, None, None), |new| (Some(new.sealed), Some(new.params), Some(new.replaces)));
    Statement::one_unless(
        Refusal::AccountChanged,
        Refusal::AliasInUse,
        "UPDATE connected_accounts SET
           alias = CASE WHEN $3 = 1 THEN $4 ELSE alias END,
           acl = CASE WHEN $5 = 1 THEN $7 ELSE acl END,
           credential_sealed = CASE WHEN $8 = 1 THEN $9 ELSE credential_sealed END,
           params = CASE WHEN $8 = 1 THEN $10 ELSE params END,
           status = CASE WHEN $8 = 1 AND status = 'EXPIRED' THEN 'ACTIVE' ELSE status END,
           status_reason = CASE WHEN $8 = 1 AND status = 'EXPIRED' THEN NULL ELSE status_reason END,
           issued_at = CASE WHEN $8 = 1 THEN $12 ELSE issued_at END,
           connected_at = CASE WHEN $8 = 1 THEN COALESCE(connected_at, $12) ELSE connected_at END,
           credential_version = credential_version + $8, updated_at = $12
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL
           AND ($5 = 0 OR acl IS NOT DISTINCT FROM $6) AND ($8 = 0 OR (credential_version = $11 AND status IN ('ACTIVE', 'INACTIVE', 'EXPIRED')))",
        vec![
            project.into(),
            id.into(),
            is_named.into(),
            alias.into(),
            is_listed.into(),
            old_acl.flatten().into(),
            acl.into(),
            has_credential.into(),
            sealed.into(),
            params.into(),
            replaces.into(),
            now.into(),
        ],
    )
}

/// Disables an ACTIVE account. A refresh in flight may still store its token: the previous token may already
/// be used up, and the account must work when it is enabled again.
pub fn disable(project: &ProjectId, id: &AccountId, reason: &Reason, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::AccountChanged,
        "UPDATE connected_accounts SET status = 'INACTIVE', status_reason = $3, updated_at = $4
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'ACTIVE'",
        vec![project.into(), id.into(), reason.into(), now.into()],
    )
}

/// Enables an INACTIVE account.
pub fn enable(project: &ProjectId, id: &AccountId, now: Timestamp) -> Statement {
    Statement::one(
        Refusal::AccountChanged,
        "UPDATE connected_accounts SET status = 'ACTIVE', status_reason = NULL, updated_at = $3
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status = 'INACTIVE'",
        vec![project.into(), id.into(), now.into()],
    )
}

/// Stores a new credential for an account that already had one. A refresh of the old credential loses the
/// fence.
pub fn reconnect(project: &ProjectId, id: &AccountId, activation: Activation) -> Statement {
    let args: Vec<Value> = vec![
        project.into(),
        id.into(),
        activation.credential.into(),
        activation.params.into(),
        activation.expires_at.into(),
        activation.now.into(),
        activation.refresh_due_at.into(),
        activation.identity.into(),
    ];
    Statement::one(
        Refusal::AccountNotConnecting,
        "UPDATE connected_accounts SET status = CASE WHEN status = 'INACTIVE' THEN 'INACTIVE' ELSE 'ACTIVE' END,
           status_reason = NULL, credential_sealed = $3, credential_version = credential_version + 1, params = $4,
           expires_at = $5, issued_at = $6, connected_at = $6, updated_at = $6, refresh_fence = refresh_fence + 1,
           refresh_lease_until = NULL, refresh_started_at = NULL, refresh_failures = 0, refresh_rejections = 0,
           refresh_retry_at = NULL, refresh_due_at = $7, identity_id = $8
         WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL AND status IN ('ACTIVE', 'INACTIVE', 'EXPIRED')",
        args,
    )
}

/// The link that an account gets to be connected again, and what becomes of the account meanwhile.
#[derive(Debug)]
pub struct Relink {
    /// Effect of the link's success.
    pub purpose: LinkPurpose,
    /// The status of the account once the statement is applied.
    pub status: AccountStatus,
    /// Gives it the link. Refused as `account_changed` if it is not in the state that was read.
    pub statement: Statement,
}

impl AccountRow {
    /// Gives the account a link through which its user connects it again. An ACTIVE account does not change until it
    /// has its new credential. Any other becomes INITIATED.
    pub fn relink(&self, link: &LinkId, now: Timestamp) -> Relink {
        let mut args: Vec<Value> = vec![(&self.project_id).into(), (&self.id).into(), link.into()];
        if self.status == AccountStatus::Active {
            let sql = "UPDATE connected_accounts SET link_id = $3
                 WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL
                   AND status IN ('ACTIVE', 'INACTIVE', 'EXPIRED')";
            let statement = Statement::one(Refusal::AccountChanged, sql, args);
            return Relink { purpose: LinkPurpose::Reconnect, status: self.status, statement };
        }
        args.push(now.into());
        let sql =
            "UPDATE connected_accounts SET status = 'INITIATED', status_reason = NULL, link_id = $3, updated_at = $4
             WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL
               AND status IN ('INITIALIZING', 'INITIATED', 'FAILED', 'EXPIRED', 'REVOKED')";
        let statement = Statement::one(Refusal::AccountChanged, sql, args);
        Relink { purpose: LinkPurpose::Connect, status: AccountStatus::Initiated, statement }
    }
}
