//! The accounts of a project, in pages.
//!
//! A page is read along an index in the order of the list. If a filter names several users, auth configs or
//! statuses, each one is a range of an index in that order, and the page consists of the first rows of all
//! ranges merged. Only a list by `updated_at` sorts its matches.

use std::collections::BTreeSet;
use std::fmt::Write;
use switchboard_types::{AuthConfigId, ProjectId};

use super::read::{ENABLED_AUTH_CONFIG, SELECT, read};
use super::{AccountRow, AccountStatus, AccountType};
use crate::auth_configs::{self, AuthConfigRow};
use crate::row::push_in;
use crate::sqlite::Reading;
use crate::{ListPage, PageQuery, Position, ReadError, Row, Store, Value, counts};

/// With more ranges than this, the list is filtered instead; SQLite accepts 500.
const MAX_RANGES: usize = 100;

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
    /// Creation, which is the order of ids.
    #[default]
    CreatedAt,
    /// Last change.
    UpdatedAt,
}

/// Which accounts to list. An empty list matches all.
#[derive(Clone, Debug, Default)]
pub struct AccountFilter {
    /// Toolkit slugs.
    pub toolkits: Vec<String>,
    /// Statuses, as answers show them.
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

impl Store {
    /// Reads one page with the number of all matches and the auth configs of its accounts, and hands both to `render`
    /// on the thread of the read: decrypting and rendering a thousand accounts takes long.
    ///
    /// # Errors
    /// As for any read, and if `render` panics. `render` must not read from the store.
    pub async fn accounts<T: Send + 'static>(
        &self,
        project: &ProjectId,
        filter: AccountFilter,
        page: PageQuery,
        render: impl FnOnce(ListPage<AccountRow>, Vec<AuthConfigRow>) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let owner = project.clone();
        self.scan(project, move |reading| {
            let page = List::new(reading, &owner, &filter)?.page(reading, &page)?;
            let ids: BTreeSet<&AuthConfigId> = page.rows.iter().map(|row| &row.auth_config_id).collect();
            let ids: Vec<AuthConfigId> = ids.into_iter().cloned().collect();
            let configs = auth_configs::read_by_id(reading, &owner, &ids)?;
            Ok(render(page, configs))
        })
        .await
    }
}

/// A list and its conditions, without paging.
struct List<'a> {
    project: &'a ProjectId,
    filter: &'a AccountFilter,
    /// Conditions that all rows meet, with their arguments.
    conditions: String,
    args: Vec<Value>,
}

impl AccountTypeFilter {
    fn types(self) -> &'static [AccountType] {
        match self {
            Self::Private => &[AccountType::Private],
            Self::Shared => &[AccountType::Shared],
            Self::All => &[AccountType::Private, AccountType::Shared],
        }
    }
}

impl<'a> List<'a> {
    fn new(reading: &Reading<'_>, project: &'a ProjectId, filter: &'a AccountFilter) -> Result<Self, ReadError> {
        let (conditions, args) = ("project_id = $1 AND deleted_at IS NULL".to_owned(), vec![project.into()]);
        let mut list = Self { project, filter, conditions, args };
        let columns =
            [("user_id", &filter.users), ("toolkit", &filter.toolkits), ("auth_config_id", &filter.auth_configs)];
        for (column, values) in columns {
            push_in(&mut list.conditions, &mut list.args, column, values);
        }
        push_in(&mut list.conditions, &mut list.args, "id", &filter.ids);
        if let [one] = filter.account_type.types() {
            let _ = write!(list.conditions, " AND account_type = '{}'", one.as_str());
        }
        if !filter.statuses.is_empty() {
            list.narrow_to_statuses(reading)?;
        }
        Ok(list)
    }

    /// The API shows an ACTIVE account of a disabled auth config as INACTIVE.
    fn narrow_to_statuses(&mut self, reading: &Reading<'_>) -> Result<(), ReadError> {
        let mut statuses = self.filter.statuses.clone();
        let includes = |status| self.filter.statuses.contains(&status);
        let (active, inactive) = (includes(AccountStatus::Active), includes(AccountStatus::Inactive));
        let has_disabled_configs =
            active != inactive && counts::read(reading, self.project, counts::DISABLED_AUTH_CONFIGS)? > 0;
        if has_disabled_configs && inactive {
            statuses.push(AccountStatus::Active);
        }
        let names: Vec<String> = statuses.iter().map(|status| status.as_str().to_owned()).collect();
        push_in(&mut self.conditions, &mut self.args, "status", &names);
        if has_disabled_configs {
            let not = if inactive { "NOT " } else { "" };
            let _ = write!(self.conditions, " AND (status <> 'ACTIVE' OR {not}{ENABLED_AUTH_CONFIG})");
        }
        Ok(())
    }

    fn page(mut self, reading: &Reading<'_>, page: &PageQuery) -> Result<ListPage<AccountRow>, ReadError> {
        let total = self.total(reading)?;
        let is_descending = !self.filter.ascending;
        let (direction, beyond) = if is_descending { ("DESC", "<") } else { ("ASC", ">") };
        let ranges = self.ranges(reading)?;
        if let Some(position) = page.after() {
            self.args.push((&position.id).into());
            let id = self.args.len();
            let _ = match self.filter.order {
                AccountOrder::CreatedAt => write!(self.conditions, " AND id {beyond} ${id}"),
                AccountOrder::UpdatedAt => {
                    self.args.push(position.at.into());
                    write!(self.conditions, " AND (updated_at, id) {beyond} (${}, ${id})", id + 1)
                }
            };
        }
        self.args.push((page.limit + 1).saturating_add(page.skip()).into());
        let range_limit = self.args.len();
        self.args.extend([Value::Int(page.limit + 1), Value::Int(page.skip())]);
        let (limit, skip) = (range_limit + 1, range_limit + 2);
        let Self { conditions, args, .. } = self;
        let by = match self.filter.order {
            AccountOrder::CreatedAt => format!("id {direction}"),
            AccountOrder::UpdatedAt => format!("updated_at {direction}, id {direction}"),
        };
        let sql = if ranges.is_empty() {
            format!("{SELECT} WHERE {conditions} ORDER BY {by} LIMIT ${limit} OFFSET ${skip}")
        } else {
            let ranges: Vec<String> = ranges
                .iter()
                .map(|range| {
                    format!(
                        "SELECT id FROM (SELECT id FROM connected_accounts WHERE {conditions} AND {range}
                         ORDER BY {by} LIMIT ${range_limit}) AS found_range"
                    )
                })
                .collect();
            format!(
                "{SELECT} WHERE id IN (SELECT id FROM ({}) AS found ORDER BY {by} LIMIT ${limit} OFFSET ${skip})
                 ORDER BY {by}",
                ranges.join(" UNION ALL ")
            )
        };
        let position = match self.filter.order {
            AccountOrder::CreatedAt => Position::of_id,
            AccountOrder::UpdatedAt => |row: &Row<'_>| Ok(Position { at: row.int(24)?, id: row.text(0)? }),
        };
        let (rows, next) = page.read(reading, &sql, &args, position, read)?;
        Ok(ListPage { rows, next, total })
    }

    /// Rows on all pages: from the stored counters if they cover the filter, otherwise counted.
    fn total(&self, reading: &Reading<'_>) -> Result<i64, ReadError> {
        let filter = self.filter;
        if !(filter.users.is_empty() && filter.ids.is_empty() && filter.statuses.is_empty()) {
            return counts::count_matching(reading, "connected_accounts", &self.conditions, &self.args);
        }
        let mut sql = "SELECT SUM(accounts) FROM account_counts WHERE project_id = $1".to_owned();
        let mut args: Vec<Value> = vec![self.project.into()];
        push_in(&mut sql, &mut args, "toolkit", &filter.toolkits);
        push_in(&mut sql, &mut args, "auth_config_id", &filter.auth_configs);
        if let [one] = filter.account_type.types() {
            let _ = write!(sql, " AND account_type = '{}'", one.as_str());
        }
        reading.count(&sql, &args)
    }

    /// Conditions that each select a range of an index in the order of the list. Together they select every
    /// match. Empty if the list is sorted instead.
    fn ranges(&mut self, reading: &Reading<'_>) -> Result<Vec<String>, ReadError> {
        let filter = self.filter;
        if filter.order == AccountOrder::UpdatedAt || !filter.ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut ranges = Vec::new();
        if !filter.users.is_empty() {
            for user in &filter.users {
                let user = self.equals("user_id", user);
                if filter.toolkits.is_empty() {
                    ranges.push(user);
                    continue;
                }
                for toolkit in &filter.toolkits {
                    ranges.push(format!("{user} AND {}", self.equals("toolkit", toolkit)));
                }
            }
        } else if let Some(configs) = self.auth_configs(reading)? {
            for config in configs {
                ranges.push(self.equals("auth_config_id", &config));
            }
        } else {
            for one in filter.account_type.types() {
                for status in self.statuses(reading, *one)? {
                    let status = self.equals("status", &status);
                    ranges.push(format!("account_type = '{}' AND {status}", one.as_str()));
                }
            }
        }
        if ranges.len() > MAX_RANGES {
            ranges.clear();
        }
        Ok(ranges)
    }

    fn equals(&mut self, column: &str, value: &str) -> String {
        self.args.push(value.into());
        format!("{column} = ${}", self.args.len())
    }

    /// The auth configs that the list covers: those of the filter, or those of its toolkits if there are few.
    fn auth_configs(&self, reading: &Reading<'_>) -> Result<Option<Vec<String>>, ReadError> {
        let filter = self.filter;
        if !filter.auth_configs.is_empty() {
            return Ok(Some(filter.auth_configs.clone()));
        }
        if filter.toolkits.is_empty() {
            return Ok(None);
        }
        let mut args: Vec<Value> = vec![self.project.into()];
        let mut sql = "SELECT DISTINCT auth_config_id FROM account_counts WHERE project_id = $1".to_owned();
        push_in(&mut sql, &mut args, "toolkit", &filter.toolkits);
        let _ = write!(sql, " LIMIT {}", MAX_RANGES + 1);
        let found = reading.all(&sql, &args, |row| row.text(0))?;
        Ok((1..=MAX_RANGES).contains(&found.len()).then_some(found))
    }

    /// The statuses that accounts of a type have; each takes one index look-up.
    fn statuses(&self, reading: &Reading<'_>, account_type: AccountType) -> Result<Vec<String>, ReadError> {
        let sql = "WITH RECURSIVE found(status) AS (
             SELECT MIN(status) FROM connected_accounts
             WHERE project_id = $1 AND account_type = $2 AND deleted_at IS NULL
             UNION ALL
             SELECT (SELECT MIN(status) FROM connected_accounts
                     WHERE project_id = $1 AND account_type = $2 AND deleted_at IS NULL AND status > found.status)
             FROM found WHERE found.status IS NOT NULL)
             SELECT status FROM found WHERE status IS NOT NULL";
        reading.all(sql, &[self.project.into(), account_type.as_str().into()], |row| row.text(0))
    }
}
