//! The calls of a project in pages, newest first, with filters.

use std::fmt::Write;

use switchboard_types::{CompactString, ProjectId};

use super::{CallRow, columns, read};
use crate::{PageQuery, Position, ReadError, Store, Value};

/// What a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallField {
    /// Slug of the tool.
    Tool,
    /// Slug of the toolkit.
    Toolkit,
    /// Id of the account.
    Account,
    /// Id of the auth config.
    AuthConfig,
    /// State.
    State,
    /// Id of the end user.
    User,
    /// Id of the session.
    Session,
    /// Our id of the request.
    Request,
    /// Id of the call.
    Id,
}

/// How a filter compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallTest {
    /// Equal.
    Is,
    /// Not equal; absent counts as not equal.
    IsNot,
    /// Has the value as a part.
    Contains,
    /// Has not.
    ContainsNot,
}

/// Which calls to list. A call has to meet all conditions.
#[derive(Clone, Debug, Default)]
pub struct CallFilter {
    /// Conditions.
    pub conditions: Vec<(CallField, CallTest, String)>,
    /// Ignores the case of letters in the conditions, in ASCII.
    pub ignores_case: bool,
    /// With this id or a later one. Ids begin with the time.
    pub from: Option<CompactString>,
    /// With an id before this one.
    pub until: Option<CompactString>,
}

impl CallField {
    fn column(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Toolkit => "toolkit",
            Self::Account => "account_id",
            Self::AuthConfig => "auth_config_id",
            Self::State => "state",
            Self::User => "user_id",
            Self::Session => "session_id",
            Self::Request => "request_id",
            Self::Id => "id",
        }
    }
}

impl CallFilter {
    /// Adds the conditions to a query.
    pub(super) fn push(&self, sql: &mut String, args: &mut Vec<Value>) {
        for (field, test, value) in &self.conditions {
            args.push(value.into());
            let (column, place) = (field.column(), args.len());
            let (column, value) = if self.ignores_case {
                (format!("lower({column})"), format!("lower(${place})"))
            } else {
                (column.to_owned(), format!("${place}"))
            };
            let _ = match test {
                CallTest::Is => write!(sql, " AND {column} = {value}"),
                CallTest::IsNot => write!(sql, " AND {column} IS DISTINCT FROM {value}"),
                CallTest::Contains => write!(sql, " AND instr({column}, {value}) > 0"),
                CallTest::ContainsNot => write!(sql, " AND COALESCE(instr({column}, {value}), 0) = 0"),
            };
        }
        for (bound, test) in [(&self.from, ">="), (&self.until, "<")] {
            if let Some(bound) = bound {
                args.push(bound.into());
                let _ = write!(sql, " AND id {test} ${}", args.len());
            }
        }
    }
}

impl Store {
    /// One page of a project's calls, newest first, and where the next one begins.
    pub async fn tool_calls(
        &self,
        project: &ProjectId,
        filter: &CallFilter,
        page: PageQuery,
    ) -> Result<(Vec<CallRow>, Option<Position>), ReadError> {
        let mut sql = concat!("SELECT ", columns!("NULL"), " FROM tool_calls WHERE project_id = $1").to_owned();
        let mut args: Vec<Value> = vec![project.into()];
        if let Some(after) = page.after() {
            args.push(after.id.as_str().into());
            let _ = write!(sql, " AND id < ${}", args.len());
        }
        filter.push(&mut sql, &mut args);
        args.extend([Value::from(page.limit + 1), Value::from(page.skip())]);
        let _ = write!(sql, " ORDER BY id DESC LIMIT ${} OFFSET ${}", args.len() - 1, args.len());
        self.scan(project, move |reading| page.read(reading, &sql, &args, Position::of_id, read)).await
    }
}
