//! The accounts that a session shows for its toolkits, with one query for all of them.

use std::collections::HashMap;
use std::fmt::Write;
use switchboard_types::{AuthConfigId, ProjectId};

use super::AccountRow;
use super::read::{ENABLED_AUTH_CONFIG, SELECT, read};
use crate::row::push_in;
use crate::sqlite::Reading;
use crate::{ReadError, Store, Value};

/// Which account of a toolkit to find.
#[derive(Clone, Debug)]
pub enum AccountQuery {
    /// A given account.
    Pinned {
        /// `ca_…`.
        id: String,
        /// Toolkit slug for which it is requested.
        toolkit: String,
    },
    /// The newest ACTIVE account of a user.
    Newest {
        /// Toolkit slug.
        toolkit: String,
        /// Only with this auth config.
        auth_config: Option<AuthConfigId>,
    },
}

impl Store {
    /// The accounts that a session shows for its toolkits, each with its toolkit: the newest one of the user,
    /// or a pinned one. Missing and unreadable accounts are omitted.
    pub async fn find_accounts(
        &self,
        project: &ProjectId,
        user: &str,
        queries: Vec<AccountQuery>,
    ) -> Result<Vec<(String, AccountRow)>, ReadError> {
        let (owner, user) = (project.to_owned(), user.to_owned());
        self.scan(project, move |reading| {
            let (mut pinned, mut newest) = (Vec::new(), Vec::new());
            for query in queries {
                match query {
                    AccountQuery::Pinned { id, toolkit } => pinned.push((id, toolkit)),
                    AccountQuery::Newest { toolkit, auth_config } => newest.push((toolkit, auth_config)),
                }
            }
            let mut found = read_pinned(reading, &owner, pinned)?;
            found.extend(read_newest(reading, &owner, &user, newest)?);
            Ok(found)
        })
        .await
    }

    /// The user's ACTIVE private accounts of several toolkits with enabled auth configs, most recently connected first:
    /// for each toolkit at most `limit`, limited to an auth config if one is given.
    pub async fn active_accounts_of_toolkits(
        &self,
        project: &ProjectId,
        user: &str,
        toolkits: Vec<(String, Option<AuthConfigId>)>,
        limit: i64,
    ) -> Result<Vec<AccountRow>, ReadError> {
        if toolkits.is_empty() {
            return Ok(Vec::new());
        }
        let mut args: Vec<Value> = vec![project.into(), user.into(), limit.into()];
        let values = push_values(&mut args, toolkits);
        let sql = format!(
            "WITH found(wanted, config) AS (VALUES {values})
             {SELECT}WHERE id IN (
                SELECT chosen.id FROM found JOIN connected_accounts AS chosen ON chosen.id IN (
                    SELECT id FROM connected_accounts
                     WHERE project_id = $1 AND user_id = $2 AND connected_accounts.toolkit = found.wanted
                       AND status = 'ACTIVE' AND account_type = 'PRIVATE' AND deleted_at IS NULL
                       AND (found.config IS NULL OR auth_config_id = found.config) AND {ENABLED_AUTH_CONFIG}
                     ORDER BY connected_at DESC, id DESC LIMIT $3))
             ORDER BY connected_at DESC, id DESC"
        );
        self.scan(project, move |reading| reading.all_consistent(&sql, &args, read)).await
    }
}

/// Appends the arguments of pairs of a toolkit and an auth config, and returns their `VALUES`.
fn push_values(args: &mut Vec<Value>, pairs: Vec<(String, Option<AuthConfigId>)>) -> String {
    let mut values = String::new();
    for (toolkit, auth_config) in pairs {
        args.extend([toolkit.into(), auth_config.into()]);
        let comma = if values.is_empty() { "" } else { ", " };
        let _ = write!(values, "{comma}(${}, ${})", args.len() - 1, args.len());
    }
    values
}

/// Accounts by id, each for the toolkit for which it is requested.
fn read_pinned(
    reading: &Reading<'_>,
    project: &ProjectId,
    pinned: Vec<(String, String)>,
) -> Result<Vec<(String, AccountRow)>, ReadError> {
    if pinned.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = pinned.iter().map(|(id, _)| id.clone()).collect();
    let mut args: Vec<Value> = vec![project.into()];
    let mut sql = format!("{SELECT}WHERE project_id = $1 AND deleted_at IS NULL");
    push_in(&mut sql, &mut args, "id", &ids);
    let rows = reading.all_consistent(&sql, &args, read)?;
    let rows: HashMap<&str, &AccountRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
    let of_toolkit = |(id, toolkit): (String, String)| Some((toolkit, (*rows.get(id.as_str())?).clone()));
    Ok(pinned.into_iter().filter_map(of_toolkit).collect())
}

/// The newest ACTIVE PRIVATE account of a user for each toolkit, limited to an auth config if one is given. One of a
/// disabled auth config is found only if there is no other. Each takes one or two look-ups in an index.
fn read_newest(
    reading: &Reading<'_>,
    project: &ProjectId,
    user: &str,
    wanted: Vec<(String, Option<AuthConfigId>)>,
) -> Result<Vec<(String, AccountRow)>, ReadError> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut args: Vec<Value> = vec![project.into(), user.into()];
    let values = push_values(&mut args, wanted);
    let newest = |condition: &str| {
        format!(
            "SELECT id FROM connected_accounts
              WHERE project_id = $1 AND user_id = $2 AND connected_accounts.toolkit = found.wanted
                AND status = 'ACTIVE' AND account_type = 'PRIVATE' AND deleted_at IS NULL
                AND (found.config IS NULL OR auth_config_id = found.config){condition}
              ORDER BY connected_at DESC, id DESC LIMIT 1"
        )
    };
    let (usable, any) = (newest(&format!(" AND {ENABLED_AUTH_CONFIG}")), newest(""));
    let sql = format!(
        "WITH found(wanted, config) AS (VALUES {values})
         {SELECT}WHERE id IN (SELECT COALESCE(({usable}), ({any})) FROM found)"
    );
    let rows = reading.all_consistent(&sql, &args, read)?;
    Ok(rows.into_iter().map(|row| (row.toolkit.clone(), row)).collect())
}
