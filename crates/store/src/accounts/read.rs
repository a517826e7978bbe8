//! Finders. Each takes the project.

use std::sync::Arc;

use switchboard_types::{AccountId, AllowedTools, AuthConfigId, CredentialVersion, Fence, ProjectId, Timestamp};

use super::{AccountRow, AccountStatus, AccountType};
use crate::row::{push_in, push_not_in};
use crate::sqlite::Reading;
use crate::{ReadError, Row, Store, Value};

/// Filter for accounts with a credential. `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct CredentialFilter {
    /// Auth config.
    pub auth_config: Option<AuthConfigId>,
    /// Toolkit slug.
    pub toolkit: Option<String>,
    /// End user.
    pub user: Option<String>,
}

/// Whether an account's auth config is usable.
macro_rules! has_enabled_auth_config {
    () => {
        "EXISTS (SELECT 1 FROM auth_configs WHERE auth_configs.id = auth_config_id \
         AND auth_configs.status = 'ENABLED' AND auth_configs.deleted_at IS NULL)"
    };
}

/// Selects accounts, each with the settings of its auth config, which are NULL unless it is usable.
macro_rules! select {
    ($($rest:tt)*) => {
        concat!(
            "SELECT id, project_id, user_id, toolkit, auth_config_id, scheme, status, status_reason, alias, ",
            "word_id, account_type, acl, params, credential_sealed, credential_version, expires_at, ",
            "issued_at, refresh_fence, refresh_lease_until, refresh_started_at, refresh_failures, ",
            "refresh_rejections, refresh_retry_at, created_at, updated_at, link_id, refresh_due_at, (SELECT ",
            "auth_configs.settings FROM auth_configs WHERE auth_configs.id = auth_config_id ",
            "AND auth_configs.status = 'ENABLED' AND auth_configs.deleted_at IS NULL) AS enabled_settings ",
            "FROM connected_accounts ",
            $($rest)*
        )
    };
}

pub(super) fn read(row: &Row<'_>) -> Result<AccountRow, ReadError> {
    let allowed_tools = row.opt_parsed(27, AllowedTools::of_settings)?;
    Ok(AccountRow {
        id: row.id(0)?,
        project_id: row.id(1)?,
        user_id: row.text(2)?,
        toolkit: row.text(3)?,
        auth_config_id: row.id(4)?,
        scheme: row.scheme(5)?,
        status: row.word(6, AccountStatus::parse)?,
        status_reason: row.opt_reason(7)?,
        alias: row.opt_text(8)?,
        word_id: row.text(9)?,
        account_type: row.word(10, AccountType::parse)?,
        acl: row.opt_text(11)?,
        params: Box::new(row.account_params(12)?),
        credential_sealed: row.opt_blob(13)?,
        credential_version: CredentialVersion(row.int(14)?),
        expires_at: row.opt_timestamp(15)?,
        issued_at: row.opt_timestamp(16)?,
        refresh_fence: Fence(row.int(17)?),
        refresh_lease_until: row.opt_timestamp(18)?,
        refresh_started_at: row.opt_timestamp(19)?,
        refresh_failures: row.int(20)?,
        refresh_rejections: row.int(21)?,
        refresh_retry_at: row.opt_timestamp(22)?,
        created_at: row.timestamp(23)?,
        updated_at: row.timestamp(24)?,
        link_id: row.opt_id(25)?,
        refresh_due_at: row.opt_timestamp(26)?,
        has_enabled_auth_config: allowed_tools.is_some(),
        allowed_tools: allowed_tools.flatten().map(Arc::new),
    })
}

pub(super) const BY_ID: &str = select!("WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL");
/// The newest ACTIVE account of a user and toolkit whose auth config is enabled.
const NEWEST_USABLE: &str = select!(
    "WHERE project_id = $1 AND user_id = $2 AND toolkit = $3 AND status = 'ACTIVE'
       AND account_type = 'PRIVATE' AND deleted_at IS NULL AND ($4 IS NULL OR auth_config_id = $4)
       AND ",
    has_enabled_auth_config!(),
    " ORDER BY connected_at DESC, id DESC LIMIT 1"
);
/// The same, for any auth config.
const NEWEST: &str = select!(
    "WHERE project_id = $1 AND user_id = $2 AND toolkit = $3 AND status = 'ACTIVE'
       AND account_type = 'PRIVATE' AND deleted_at IS NULL AND ($4 IS NULL OR auth_config_id = $4)
     ORDER BY connected_at DESC, id DESC LIMIT 1"
);

/// The newest account that is not ACTIVE: one that is being connected, or was not.
const NEWEST_UNCONNECTED: &str = select!(
    "WHERE project_id = $1 AND user_id = $2 AND toolkit = $3 AND status <> 'ACTIVE'
       AND account_type = 'PRIVATE' AND deleted_at IS NULL AND ($4 IS NULL OR auth_config_id = $4)
     ORDER BY id DESC LIMIT 1"
);

/// Number of columns for [`read`].
pub(super) const COLUMN_COUNT: usize = 28;
/// Selects all columns for [`read`].
pub(super) const SELECT: &str = select!("");
/// Whether an account's auth config is usable.
pub(super) const ENABLED_AUTH_CONFIG: &str = has_enabled_auth_config!();

/// One live account of a project, as a part of another read.
pub(crate) fn read_by_id(
    reading: &Reading<'_>,
    project: &ProjectId,
    id: &AccountId,
) -> Result<Option<AccountRow>, ReadError> {
    reading.one(BY_ID, &[project.into(), id.into()], read)
}

impl Store {
    /// Live accounts of a project by id. Missing and unreadable ones are omitted.
    pub async fn accounts_by_id(&self, project: &ProjectId, ids: &[String]) -> Result<Vec<AccountRow>, ReadError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (mut sql, mut args) =
            (select!("WHERE project_id = $1 AND deleted_at IS NULL").to_owned(), vec![project.into()]);
        push_in(&mut sql, &mut args, "id", ids);
        self.by_keys(project, ids.len(), sql, args, read).await
    }

    /// One live account of a project.
    pub async fn account(&self, project: &ProjectId, id: &AccountId) -> Result<Option<AccountRow>, ReadError> {
        self.one(BY_ID, &[project.into(), id.into()], read).await
    }

    /// The user's most recently connected ACTIVE private account of a toolkit, optionally limited to one auth
    /// config (contract section 2.2). An account of a disabled auth config is returned only if there is no
    /// other, so that the caller can report why it is not usable.
    pub async fn newest_active_account(
        &self,
        project: &ProjectId,
        user: &str,
        toolkit: &str,
        auth_config: Option<&AuthConfigId>,
    ) -> Result<Option<AccountRow>, ReadError> {
        let args = [project.into(), user.into(), toolkit.into(), auth_config.into()];
        if let Some(found) = self.one(NEWEST_USABLE, &args, read).await? {
            return Ok(Some(found));
        }
        self.one(NEWEST, &args, read).await
    }

    /// The user's newest private account of a toolkit that is not ACTIVE, optionally limited to one auth config.
    pub async fn newest_unconnected_account(
        &self,
        project: &ProjectId,
        user: &str,
        toolkit: &str,
        auth_config: Option<&AuthConfigId>,
    ) -> Result<Option<AccountRow>, ReadError> {
        let args = [project.into(), user.into(), toolkit.into(), auth_config.into()];
        self.one(NEWEST_UNCONNECTED, &args, read).await
    }

    /// The user's ACTIVE private accounts of a toolkit with an enabled auth config, most recently connected
    /// first, optionally limited to one auth config. A session with several accounts chooses from these.
    pub async fn active_accounts(
        &self,
        project: &ProjectId,
        user: &str,
        toolkit: &str,
        auth_config: Option<&AuthConfigId>,
        limit: i64,
    ) -> Result<Vec<AccountRow>, ReadError> {
        self.few(
            select!(
                "WHERE project_id = $1 AND user_id = $2 AND toolkit = $3 AND status = 'ACTIVE'
                   AND account_type = 'PRIVATE' AND deleted_at IS NULL AND ($4 IS NULL OR auth_config_id = $4)
                   AND ",
                has_enabled_auth_config!(),
                " ORDER BY connected_at DESC, id DESC LIMIT $5"
            ),
            &[project.into(), user.into(), toolkit.into(), auth_config.into(), limit.into()],
            read,
        )
        .await
    }

    /// ACTIVE accounts of any project that are due for a refresh, the longest due first. Excludes the given
    /// toolkits, accounts that wait after a failure, and accounts being refreshed. Only for the scheduler,
    /// which uses no account on behalf of a caller.
    pub async fn due_accounts(
        &self,
        now: Timestamp,
        except: &[String],
        limit: i64,
    ) -> Result<Vec<AccountRow>, ReadError> {
        let mut args: Vec<Value> = vec![now.into(), limit.into()];
        let mut conditions = String::from(
            "refresh_due_at <= $1 AND status = 'ACTIVE' AND deleted_at IS NULL
             AND (refresh_retry_at IS NULL OR refresh_retry_at <= $1)
             AND (refresh_lease_until IS NULL OR refresh_lease_until <= $1)",
        );
        push_not_in(&mut conditions, &mut args, "toolkit", except);
        let sql = format!("{} WHERE {conditions} ORDER BY refresh_due_at LIMIT $2", select!(""));
        self.list("", sql, args, read).await
    }

    /// The number of live accounts of a project per toolkit. Toolkits without accounts are omitted.
    pub async fn accounts_per_toolkit(&self, project: &ProjectId) -> Result<Vec<(String, i64)>, ReadError> {
        self.list(
            project,
            "SELECT toolkit, SUM(accounts) FROM account_counts WHERE project_id = $1 GROUP BY toolkit",
            vec![project.into()],
            |row| Ok((row.text(0)?, row.int(1)?)),
        )
        .await
    }

    /// Whether any account of a user and auth config has a credential.
    pub async fn user_has_credential(
        &self,
        project: &ProjectId,
        user: &str,
        auth_config: &AuthConfigId,
    ) -> Result<bool, ReadError> {
        let found = self
            .one(
                "SELECT id FROM connected_accounts WHERE project_id = $1 AND user_id = $2 AND auth_config_id = $3
                   AND deleted_at IS NULL AND credential_sealed IS NOT NULL LIMIT 1",
                &[project.into(), user.into(), auth_config.into()],
                |row| row.text(0),
            )
            .await?;
        Ok(found.is_some())
    }

    /// Whether an account of an auth config has a credential and this identity at the provider.
    pub async fn is_connected_as(
        &self,
        project: &ProjectId,
        auth_config: &AuthConfigId,
        identity: &str,
    ) -> Result<bool, ReadError> {
        let found = self
            .one(
                "SELECT id FROM connected_accounts WHERE +project_id = $1 AND auth_config_id = $2 AND identity_id = $3
                   AND deleted_at IS NULL AND credential_sealed IS NOT NULL LIMIT 1",
                &[project.into(), auth_config.into(), identity.into()],
                |row| row.text(0),
            )
            .await?;
        Ok(found.is_some())
    }

    /// The number of accounts of an auth config with a credential and this identity at the provider, counted
    /// up to `limit`.
    pub async fn count_connected_as(
        &self,
        project: &ProjectId,
        auth_config: &AuthConfigId,
        identity: &str,
        limit: i64,
    ) -> Result<i64, ReadError> {
        let count = self
            .one(
                "SELECT COUNT(*) FROM (SELECT 1 FROM connected_accounts
                   WHERE +project_id = $1 AND auth_config_id = $2 AND identity_id = $3
                     AND deleted_at IS NULL AND credential_sealed IS NOT NULL LIMIT $4) AS found",
                &[project.into(), auth_config.into(), identity.into(), limit.into()],
                |row| row.int(0),
            )
            .await?;
        Ok(count.unwrap_or_default())
    }

    /// The next live accounts of a toolkit, over all projects, that have a credential but no recorded grant.
    /// Ordered by id, after `after`.
    pub async fn accounts_without_grant(
        &self,
        toolkit: &str,
        after: &str,
        limit: i64,
    ) -> Result<Vec<AccountRow>, ReadError> {
        let sql = select!(
            "WHERE toolkit = $1 AND id > $2 AND deleted_at IS NULL AND credential_sealed IS NOT NULL
             AND NOT EXISTS (SELECT 1 FROM account_grants g WHERE g.account_id = connected_accounts.id)
             ORDER BY id LIMIT $3"
        );
        self.list("", sql, vec![toolkit.into(), after.into(), limit.into()], read).await
    }

    /// The next live accounts of a project that have a credential. Ordered by id, after `after`.
    pub async fn accounts_with_credential(
        &self,
        project: &ProjectId,
        filter: &CredentialFilter,
        after: &str,
        limit: i64,
    ) -> Result<Vec<AccountRow>, ReadError> {
        let mut args: Vec<Value> = vec![project.into(), after.into(), limit.into()];
        let mut conditions =
            String::from("project_id = $1 AND id > $2 AND deleted_at IS NULL AND credential_sealed IS NOT NULL");
        push_in(&mut conditions, &mut args, "auth_config_id", filter.auth_config.as_slice());
        for (column, value) in [("toolkit", &filter.toolkit), ("user_id", &filter.user)] {
            push_in(&mut conditions, &mut args, column, value.as_slice());
        }
        let sql = format!("{} WHERE {conditions} ORDER BY id LIMIT $3", select!(""));
        self.list(project, sql, args, read).await
    }
}
