//! The auth configs of a project with the number of their accounts, one or in pages.

use std::fmt::Write;
use switchboard_types::{AuthConfigId, ProjectId};

use super::{AuthConfigRow, columns, read};
use crate::row::push_in;
use crate::sqlite::Reading;
use crate::{ListPage, PageQuery, Position, ReadError, Row, Store, Value, counts};

/// Which auth configs to list.
#[derive(Clone, Debug, Default)]
pub struct AuthConfigFilter {
    /// Any of these toolkits; empty means all.
    pub toolkits: Vec<String>,
    /// Managed or custom only.
    pub is_managed: Option<bool>,
    /// Include disabled ones.
    pub include_disabled: bool,
    /// Part of the name, or the id.
    pub search: Option<String>,
}

/// An auth config and the number of its live accounts.
pub type CountedAuthConfig = (AuthConfigRow, i64);

macro_rules! select_counted {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", (SELECT SUM(accounts) FROM account_counts ",
            "WHERE account_counts.project_id = auth_configs.project_id AND auth_config_id = auth_configs.id) ",
            "FROM auth_configs",
            $rest
        )
    };
}

/// Selects all columns for [`read_counted`].
const COUNTED: &str = select_counted!("");

fn read_counted(row: &Row<'_>) -> Result<CountedAuthConfig, ReadError> {
    Ok((read(row)?, row.opt_int(13)?.unwrap_or_default()))
}

impl Store {
    /// One auth config of a project and the number of its live accounts.
    pub async fn counted_auth_config(
        &self,
        project: &ProjectId,
        id: &AuthConfigId,
    ) -> Result<Option<CountedAuthConfig>, ReadError> {
        self.one(
            select_counted!(" WHERE id = $2 AND project_id = $1 AND deleted_at IS NULL"),
            &[project.into(), id.into()],
            read_counted,
        )
        .await
    }

    /// One page with the accounts of each, newest first, and the number of all matches.
    pub async fn auth_configs(
        &self,
        project: &ProjectId,
        filter: AuthConfigFilter,
        page: PageQuery,
    ) -> Result<ListPage<CountedAuthConfig>, ReadError> {
        let owner = project.to_owned();
        self.scan(project, move |reading| list(reading, &owner, &filter, &page)).await
    }
}

fn list(
    reading: &Reading<'_>,
    project: &ProjectId,
    filter: &AuthConfigFilter,
    page: &PageQuery,
) -> Result<ListPage<CountedAuthConfig>, ReadError> {
    let mut args: Vec<Value> = vec![project.into()];
    let mut conditions = String::from("project_id = $1 AND deleted_at IS NULL");
    push_in(&mut conditions, &mut args, "toolkit", &filter.toolkits);
    if let Some(is_managed) = filter.is_managed {
        args.push(is_managed.into());
        let _ = write!(conditions, " AND is_managed = ${}", args.len());
    }
    if !filter.include_disabled {
        conditions.push_str(" AND status = 'ENABLED'");
    }
    if let Some(search) = &filter.search {
        args.push(search.into());
        args.push(contains(search).into());
        let (id, part) = (args.len() - 1, args.len());
        let _ = write!(conditions, " AND (id = ${id} OR lower(name) LIKE ${part} ESCAPE '\\')");
    }
    let total = if filter.toolkits.is_empty() && filter.is_managed.is_none() && filter.search.is_none() {
        let disabled = filter.include_disabled.then_some(counts::DISABLED_AUTH_CONFIGS);
        let counters: Vec<String> =
            disabled.into_iter().chain([counts::ENABLED_AUTH_CONFIGS]).map(ToOwned::to_owned).collect();
        counts::read_sum(reading, project, &counters)?
    } else {
        counts::count_matching(reading, "auth_configs", &conditions, &args)?
    };
    if let Some(position) = page.after() {
        args.push((&position.id).into());
        let _ = write!(conditions, " AND id < ${}", args.len());
    }
    args.extend([Value::Int(page.limit + 1), Value::Int(page.skip())]);
    let (limit, skip) = (args.len() - 1, args.len());
    let sql = format!("{COUNTED} WHERE {conditions} ORDER BY id DESC LIMIT ${limit} OFFSET ${skip}");
    let (rows, next) = page.read(reading, &sql, &args, Position::of_id, read_counted)?;
    Ok(ListPage { rows, next, total })
}

/// A lower-case LIKE pattern for text that contains `text`.
fn contains(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    format!("%{}%", lower.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_"))
}
