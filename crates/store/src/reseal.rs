//! Values sealed by an earlier version, with less associated data. Found in key order and replaced if
//! unchanged since they were read. Used only at startup, before any request is served.

use switchboard_types::{AccountId, AuthConfigId, ProjectId, Scheme};

use crate::accounts::AccountType;
use crate::{ReadError, Row, Statement, Store, Value};

/// A sealed column of a table that is small or read row by row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SealedColumn {
    /// `links.prefill_sealed`.
    Prefill,
    /// `attempts.verifier_sealed`.
    Verifier,
    /// `verifications.parked_sealed`.
    Parked,
    /// `revocations.material_sealed`.
    Revocation,
    /// `idempotency_keys.response_sealed`.
    Response,
}

/// Key of a row: project and id.
pub type RowKey = (String, String);

/// The fields of an account that its credential is bound to.
#[derive(Clone, Debug)]
pub struct SealedAccount {
    /// `ca_…`.
    pub id: AccountId,
    /// Owner.
    pub project_id: ProjectId,
    /// The project's end user.
    pub user_id: String,
    /// Toolkit slug.
    pub toolkit: String,
    /// `ac_…`.
    pub auth_config_id: AuthConfigId,
    /// Contract name of the scheme.
    pub scheme: Scheme,
    /// Who may use it.
    pub account_type: AccountType,
    /// JSON: connection fields, scopes, captured values.
    pub params: String,
    /// The credential.
    pub sealed: Vec<u8>,
}

/// Replaces a sealed value, unless it changed since it was read.
pub fn replace(column: SealedColumn, key: &RowKey, old: &[u8], new: Vec<u8>) -> Statement {
    let sql = match column {
        SealedColumn::Prefill => {
            "UPDATE links SET prefill_sealed = $4 WHERE project_id = $1 AND id = $2 AND prefill_sealed = $3"
        }
        SealedColumn::Verifier => {
            "UPDATE attempts SET verifier_sealed = $4 WHERE project_id = $1 AND id = $2 AND verifier_sealed = $3"
        }
        SealedColumn::Parked => {
            "UPDATE verifications SET parked_sealed = $4 WHERE project_id = $1 AND id = $2 AND parked_sealed = $3"
        }
        SealedColumn::Revocation => {
            "UPDATE revocations SET material_sealed = $4 WHERE project_id = $1 AND id = $2 AND material_sealed = $3"
        }
        SealedColumn::Response => {
            "UPDATE idempotency_keys SET response_sealed = $4 WHERE project_id = $1 AND key = $2 AND response_sealed = $3"
        }
    };
    Statement::any(sql, vec![(&key.0).into(), (&key.1).into(), old.to_vec().into(), new.into()])
}

/// The same for an account's credential.
pub fn replace_credential(account: &SealedAccount, new: Vec<u8>) -> Statement {
    Statement::any(
        "UPDATE connected_accounts SET credential_sealed = $3 WHERE id = $1 AND credential_sealed = $2",
        vec![(&account.id).into(), account.sealed.clone().into(), new.into()],
    )
}

/// The same for both sealed columns of an auth config; one is bound to the other.
pub fn replace_auth_config(
    id: &AuthConfigId,
    old: (Option<Vec<u8>>, Option<Vec<u8>>),
    new: (Option<Vec<u8>>, Option<Vec<u8>>),
) -> Statement {
    Statement::any(
        "UPDATE auth_configs SET credentials_sealed = $4, shared_sealed = $5
         WHERE id = $1 AND credentials_sealed IS NOT DISTINCT FROM $2 AND shared_sealed IS NOT DISTINCT FROM $3",
        vec![id.into(), old.0.into(), old.1.into(), new.0.into(), new.1.into()],
    )
}

/// The same for a fact about the installation.
pub fn replace_meta(name: &str, old: &[u8], new: Vec<u8>) -> Statement {
    Statement::any(
        "UPDATE meta SET value = $3 WHERE name = $1 AND value = $2",
        vec![name.into(), old.to_vec().into(), new.into()],
    )
}

impl Store {
    /// Accounts whose sealed credential begins with the byte `layout`. Ordered by id, after `after`.
    pub async fn accounts_sealed_with(
        &self,
        layout: u8,
        after: &str,
        limit: i64,
    ) -> Result<Vec<SealedAccount>, ReadError> {
        let args: [Value; 3] = [after.into(), vec![layout].into(), limit.into()];
        let sql =
            "SELECT id, project_id, user_id, toolkit, auth_config_id, scheme, account_type, params, credential_sealed
             FROM connected_accounts WHERE id > $1 AND substr(credential_sealed, 1, 1) = $2 ORDER BY id LIMIT $3";
        let read = |row: &Row<'_>| {
            Ok(SealedAccount {
                id: row.id(0)?,
                project_id: row.id(1)?,
                user_id: row.text(2)?,
                toolkit: row.text(3)?,
                auth_config_id: row.id(4)?,
                scheme: row.scheme(5)?,
                account_type: row.word(6, AccountType::parse)?,
                params: row.text(7)?,
                sealed: row.blob(8)?,
            })
        };
        self.scan("", move |reading| reading.all(sql, &args, read)).await
    }

    /// Auth configs with a sealed column that begins with the byte `layout`, after `after`.
    pub async fn auth_configs_sealed_with(
        &self,
        layout: u8,
        after: &str,
        limit: i64,
    ) -> Result<Vec<RowKey>, ReadError> {
        let args: [Value; 3] = [after.into(), vec![layout].into(), limit.into()];
        let sql = "SELECT project_id, id FROM auth_configs
             WHERE id > $1 AND (substr(credentials_sealed, 1, 1) = $2 OR substr(shared_sealed, 1, 1) = $2)
             ORDER BY id LIMIT $3";
        self.scan("", move |reading| reading.all(sql, &args, |row| Ok((row.text(0)?, row.text(1)?)))).await
    }

    /// Rows whose sealed column begins with the byte `layout`, with its value, after `after`.
    pub async fn rows_sealed_with(
        &self,
        column: SealedColumn,
        layout: u8,
        after: &RowKey,
        limit: i64,
    ) -> Result<Vec<(RowKey, Vec<u8>)>, ReadError> {
        let sql = match column {
            SealedColumn::Prefill => {
                "SELECT project_id, id, prefill_sealed FROM links
                 WHERE id > $2 AND substr(prefill_sealed, 1, 1) = $3 ORDER BY id LIMIT $4"
            }
            SealedColumn::Verifier => {
                "SELECT project_id, id, verifier_sealed FROM attempts
                 WHERE id > $2 AND substr(verifier_sealed, 1, 1) = $3 ORDER BY id LIMIT $4"
            }
            SealedColumn::Parked => {
                "SELECT project_id, id, parked_sealed FROM verifications
                 WHERE id > $2 AND substr(parked_sealed, 1, 1) = $3 ORDER BY id LIMIT $4"
            }
            SealedColumn::Revocation => {
                "SELECT project_id, id, material_sealed FROM revocations
                 WHERE id > $2 AND substr(material_sealed, 1, 1) = $3 ORDER BY id LIMIT $4"
            }
            SealedColumn::Response => {
                "SELECT project_id, key, response_sealed FROM idempotency_keys
                 WHERE (project_id, key) > ($1, $2) AND substr(response_sealed, 1, 1) = $3
                 ORDER BY project_id, key LIMIT $4"
            }
        };
        let args: [Value; 4] = [(&after.0).into(), (&after.1).into(), vec![layout].into(), limit.into()];
        let read = |row: &Row<'_>| Ok(((row.text(0)?, row.text(1)?), row.blob(2)?));
        self.scan("", move |reading| reading.all(sql, &args, read)).await
    }
}
