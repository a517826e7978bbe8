//! Which accounts share the grant or installation that a revocation at the provider would end.
//!
//! A row records, for one token of an account, the client that obtained it and the grant it belongs to, both
//! as digests. It is written in the unit that connects the account. Rows of accounts without a credential are
//! ignored.

use switchboard_types::{AccountId, ProjectId, Timestamp};

use crate::{ReadError, Statement, Store};

/// Live accounts of a client with a credential, except one.
macro_rules! held {
    ($and:literal) => {
        concat!(
            "SELECT a.id FROM account_grants g JOIN connected_accounts a ON a.id = g.account_id ",
            "WHERE g.client_key = $1 AND a.id <> $2 AND a.deleted_at IS NULL AND a.credential_sealed IS NOT NULL ",
            $and
        )
    };
}

/// The grant that a token belongs to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GrantKey {
    /// Digest of the client at its provider.
    pub client: Vec<u8>,
    /// Digest of the grant or installation; `None` if it cannot be determined.
    pub grant: Option<Vec<u8>>,
}

/// Records the grant of an account's token. `name` distinguishes several tokens.
pub fn insert(project: &ProjectId, account: &AccountId, name: &str, key: &GrantKey) -> Statement {
    Statement::any(
        "INSERT INTO account_grants (account_id, name, project_id, client_key, grant_key) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (account_id, name) DO UPDATE SET client_key = excluded.client_key, grant_key = excluded.grant_key",
        vec![account.into(), name.into(), project.into(), key.client.clone().into(), key.grant.clone().into()],
    )
}

impl Store {
    /// Whether a live account other than `except` has a credential that may belong to the same grant. A
    /// credential of the same client whose grant is unknown counts.
    pub async fn shares_grant(&self, key: &GrantKey, except: &str) -> Result<bool, ReadError> {
        let args = [key.client.clone().into(), except.into(), key.grant.clone().into()];
        let sql = if key.grant.is_some() {
            concat!(held!("AND g.grant_key = $3"), " UNION ALL ", held!("AND g.grant_key IS NULL"), " LIMIT 1")
        } else {
            concat!(held!("AND $3 IS NULL"), " LIMIT 1")
        };
        Ok(self.one(sql, &args, |row| row.text(0)).await?.is_some())
    }

    /// Whether a grant is recorded for the account, that is, whether it was connected before.
    pub async fn has_recorded_grant(&self, account: &AccountId) -> Result<bool, ReadError> {
        let sql = "SELECT name FROM account_grants WHERE account_id = $1 LIMIT 1";
        Ok(self.one(sql, &[account.into()], |row| row.text(0)).await?.is_some())
    }

    /// Whether a revocation of this grant finished since `since`.
    pub async fn grant_revoked_since(&self, key: &GrantKey, since: Timestamp) -> Result<bool, ReadError> {
        let Some(grant) = &key.grant else { return Ok(false) };
        let found = self
            .one(
                "SELECT id FROM revocations WHERE grant_key = $1 AND outcome = 'revoked' AND finished_at >= $2 LIMIT 1",
                &[grant.clone().into(), since.into()],
                |row| row.text(0),
            )
            .await?;
        Ok(found.is_some())
    }
}
