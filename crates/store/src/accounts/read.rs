//! Finders. Each demands the project.

use super::{AccountRow, AccountStatus, parse_status, parse_type};
use crate::row::{push_in, push_not_in};
use crate::{ReadError, Row, Store, Value};

/// Which account types to list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountTypeFilter {
    /// Contract default.
    #[default]
    Private,
    /// Shared only.
    Shared,
    /// Both.
    All,
}

/// Column to sort by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountOrder {
    /// Creation.
    #[default]
    CreatedAt,
    /// Last change.
    UpdatedAt,
}

/// Which accounts to list; an empty list admits all.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Toolkit slugs.
    pub toolkits: Vec<String>,
    /// Statuses.
    pub statuses: Vec<AccountStatus>,
    /// End users.
    pub users: Vec<String>,
    /// Auth configs.
    pub auth_configs: Vec<String>,
    /// Accounts by id.
    pub ids: Vec<String>,
    /// Private, shared, both.
    pub account_type: AccountTypeFilter,
    /// Sort column.
    pub order: AccountOrder,
    /// Oldest first.
    pub ascending: bool,
}

/// Which accounts with a credential to look through; what is `None` admits all.
#[derive(Clone, Debug, Default)]
pub struct HeldFilter {
    /// Auth config.
    pub auth_config: Option<String>,
    /// Toolkit slug.
    pub toolkit: Option<String>,
    /// End user.
    pub user: Option<String>,
}

/// Whether an account's auth config can be used.
macro_rules! has_enabled_auth_config {
    () => {
        "EXISTS (SELECT 1 FROM auth_configs WHERE auth_configs.id = auth_config_id \
         AND auth_configs.status = 'ENABLED' AND auth_configs.deleted_at IS NULL)"
    };
}

macro_rules! select {
    ($($rest:tt)*) => {
        concat!(
            "SELECT id, project_id, user_id, toolkit, auth_config_id, scheme, status, status_reason, alias, ",
            "word_id, account_type, acl, params, credential_sealed, credential_version, expires_at, ",
            "issued_at, refresh_fence, refresh_lease_until, refresh_started_at, refresh_failures, ",
            "refresh_rejections, refresh_retry_at, created_at, updated_at, link_id, refresh_due_at, ",
            has_enabled_auth_config!(),
            " FROM connected_accounts ",
            $($rest)*
        )
    };
}

fn read(row: &Row<'_>) -> Result<AccountRow, ReadError> {
    Ok(AccountRow {
        id: row.text(0)?,
        project_id: row.text(1)?,
        user_id: row.text(2)?,
        toolkit: row.text(3)?,
        auth_config_id: row.text(4)?,
        scheme: row.text(5)?,
        status: parse_status(&row.text(6)?)?,
        status_reason: row.opt_text(7)?,
        alias: row.opt_text(8)?,
        word_id: row.text(9)?,
        account_type: parse_type(&row.text(10)?)?,
        acl: row.opt_text(11)?,
        params: row.text(12)?,
        credential_sealed: row.opt_blob(13)?,
        credential_version: row.int(14)?,
        expires_at: row.opt_int(15)?,
        issued_at: row.opt_int(16)?,
        refresh_fence: row.int(17)?,
        refresh_lease_until: row.opt_int(18)?,
        refresh_started_at: row.opt_int(19)?,
        refresh_failures: row.int(20)?,
        refresh_rejections: row.int(21)?,
        refresh_retry_at: row.opt_int(22)?,
        created_at: row.int(23)?,
        updated_at: row.int(24)?,
        link_id: row.opt_text(25)?,
        refresh_due_at: row.opt_int(26)?,
        has_enabled_auth_config: row.flag(27)?,
    })
}

/// The status that answers show: an ACTIVE account of a disabled auth config is INACTIVE.
const SHOWN_STATUS: &str =
    concat!("CASE WHEN status = 'ACTIVE' AND NOT ", has_enabled_auth_config!(), " THEN 'INACTIVE' ELSE status END");

impl Store {
    /// One live account of a project.
    pub async fn account(&self, project: &str, id: &str) -> Result<Option<AccountRow>, ReadError> {
        self.one(
            select!("WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL"),
            &[project.into(), id.into()],
            read,
        )
        .await
    }

    /// The user's ACTIVE private account of a toolkit that was connected most recently, under one
    /// auth config when one is named (contract section 2.2). One whose auth config is disabled comes
    /// only where there is no other, so that the caller can say why it cannot be used.
    pub async fn newest_active_account(
        &self,
        project: &str,
        user: &str,
        toolkit: &str,
        auth_config: Option<&str>,
    ) -> Result<Option<AccountRow>, ReadError> {
        self.one(
            select!(
                "WHERE project_id = $1 AND user_id = $2 AND toolkit = $3 AND status = 'ACTIVE'
                   AND account_type = 'PRIVATE' AND deleted_at IS NULL AND ($4 IS NULL OR auth_config_id = $4)
                 ORDER BY ",
                has_enabled_auth_config!(),
                " DESC, connected_at DESC, id DESC LIMIT 1"
            ),
            &[project.into(), user.into(), toolkit.into(), auth_config.into()],
            read,
        )
        .await
    }

    /// The user's ACTIVE private accounts of a toolkit, the most recently connected first, under
    /// one auth config when one is named, if that is enabled: what a session with several accounts
    /// chooses from.
    pub async fn active_accounts(
        &self,
        project: &str,
        user: &str,
        toolkit: &str,
        auth_config: Option<&str>,
        most: i64,
    ) -> Result<Vec<AccountRow>, ReadError> {
        self.all(
            select!(
                "WHERE project_id = $1 AND user_id = $2 AND toolkit = $3 AND status = 'ACTIVE'
                   AND account_type = 'PRIVATE' AND deleted_at IS NULL AND ($4 IS NULL OR auth_config_id = $4)
                   AND ",
                has_enabled_auth_config!(),
                " ORDER BY connected_at DESC, id DESC LIMIT $5"
            ),
            &[project.into(), user.into(), toolkit.into(), auth_config.into(), most.into()],
            read,
        )
        .await
    }

    /// ACTIVE accounts of any project that are due to be refreshed, the longest due first, except
    /// those of some toolkits and those that wait after a failure or are being refreshed. For the
    /// scheduler alone, which uses no account for anybody.
    pub async fn due_accounts(&self, now: i64, except: &[String], limit: i64) -> Result<Vec<AccountRow>, ReadError> {
        let mut args: Vec<Value> = vec![now.into(), limit.into()];
        let mut conditions = String::from(
            "refresh_due_at <= $1 AND status = 'ACTIVE' AND deleted_at IS NULL
             AND (refresh_retry_at IS NULL OR refresh_retry_at <= $1)
             AND (refresh_lease_until IS NULL OR refresh_lease_until <= $1)",
        );
        push_not_in(&mut conditions, &mut args, "toolkit", except);
        let sql = format!("{} WHERE {conditions} ORDER BY refresh_due_at LIMIT $2", select!(""));
        self.all(&sql, &args, read).await
    }

    /// One page and the number of all that match.
    pub async fn accounts(
        &self,
        project: &str,
        filter: &AccountFilter,
        offset: i64,
        limit: i64,
    ) -> Result<(Vec<AccountRow>, i64), ReadError> {
        let mut args: Vec<Value> = vec![project.into()];
        let mut conditions = String::from("project_id = $1 AND deleted_at IS NULL");
        push_in(&mut conditions, &mut args, "user_id", &filter.users);
        push_in(&mut conditions, &mut args, "toolkit", &filter.toolkits);
        push_in(&mut conditions, &mut args, "auth_config_id", &filter.auth_configs);
        push_in(&mut conditions, &mut args, "id", &filter.ids);
        let statuses: Vec<String> = filter.statuses.iter().map(|status| status.as_str().to_owned()).collect();
        push_in(&mut conditions, &mut args, SHOWN_STATUS, &statuses);
        match filter.account_type {
            AccountTypeFilter::Private => conditions.push_str(" AND account_type = 'PRIVATE'"),
            AccountTypeFilter::Shared => conditions.push_str(" AND account_type = 'SHARED'"),
            AccountTypeFilter::All => {}
        }
        let total = self.count(&format!("SELECT COUNT(*) FROM connected_accounts WHERE {conditions}"), &args).await?;
        let column = match filter.order {
            AccountOrder::CreatedAt => "created_at",
            AccountOrder::UpdatedAt => "updated_at",
        };
        let direction = if filter.ascending { "ASC" } else { "DESC" };
        args.extend([Value::Int(limit), Value::Int(offset)]);
        let sql = format!(
            "{} WHERE {conditions} ORDER BY {column} {direction}, id {direction} LIMIT ${} OFFSET ${}",
            select!(""),
            args.len() - 1,
            args.len()
        );
        Ok((self.all(&sql, &args, read).await?, total))
    }

    /// How many live accounts a project has for each toolkit; one without any is not in it.
    pub async fn accounts_per_toolkit(&self, project: &str) -> Result<Vec<(String, i64)>, ReadError> {
        self.all(
            "SELECT toolkit, COUNT(*) FROM connected_accounts WHERE project_id = $1 AND deleted_at IS NULL
             GROUP BY toolkit",
            &[project.into()],
            |row| Ok((row.text(0)?, row.int(1)?)),
        )
        .await
    }

    /// Whether any account of a user under an auth config holds a credential.
    pub async fn user_holds_credential(&self, project: &str, user: &str, auth_config: &str) -> Result<bool, ReadError> {
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

    /// Whether an account of an auth config holds a credential and is this one at its provider.
    pub async fn is_connected_as(&self, project: &str, auth_config: &str, identity: &str) -> Result<bool, ReadError> {
        let found = self
            .one(
                "SELECT id FROM connected_accounts WHERE project_id = $1 AND auth_config_id = $2 AND identity_id = $3
                   AND deleted_at IS NULL AND credential_sealed IS NOT NULL LIMIT 1",
                &[project.into(), auth_config.into(), identity.into()],
                |row| row.text(0),
            )
            .await?;
        Ok(found.is_some())
    }

    /// The next live accounts of a project that hold a credential, in the order of their ids, after
    /// `after`.
    pub async fn accounts_with_credential(
        &self,
        project: &str,
        filter: &HeldFilter,
        after: &str,
        limit: i64,
    ) -> Result<Vec<AccountRow>, ReadError> {
        let mut args: Vec<Value> = vec![project.into(), after.into(), limit.into()];
        // Along the primary key, unless an auth config narrows it: no sorting of all that is left
        // for every page.
        let project_column = if filter.auth_config.is_some() { "project_id" } else { "project_id || ''" };
        let mut conditions =
            format!("{project_column} = $1 AND id > $2 AND deleted_at IS NULL AND credential_sealed IS NOT NULL");
        let narrow = [("auth_config_id", &filter.auth_config), ("toolkit", &filter.toolkit), ("user_id", &filter.user)];
        for (column, value) in narrow {
            push_in(&mut conditions, &mut args, column, value.as_slice());
        }
        self.all(&format!("{} WHERE {conditions} ORDER BY id LIMIT $3", select!("")), &args, read).await
    }
}
