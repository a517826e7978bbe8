//! How often tools and raw API calls were used, counted from the log.

use std::fmt::Write;

use switchboard_types::{CompactString, ProjectId, SessionId};

use crate::row::push_in;
use crate::{ReadError, Store, Value};

/// What calls are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallGroup {
    /// End user.
    User,
    /// Session.
    Session,
    /// Toolkit.
    Toolkit,
    /// Tool.
    Tool,
    /// Account.
    Account,
    /// Day in UTC, as `YYYY-MM-DD`.
    Day,
    /// Project.
    Project,
}

/// Which calls are counted.
#[derive(Clone, Debug, Default)]
pub struct UsageQuery {
    /// Tools if true, raw API calls if false.
    pub is_tool: bool,
    /// Of these projects; at least one.
    pub projects: Vec<ProjectId>,
    /// Of these end users; none: of all.
    pub users: Vec<String>,
    /// In these sessions; none: in all.
    pub sessions: Vec<SessionId>,
    /// With this id or a later one. Ids begin with the time.
    pub from: Option<CompactString>,
    /// With an id before this one.
    pub until: Option<CompactString>,
}

/// The order of groups.
#[derive(Clone, Copy, Debug)]
pub struct UsageOrder {
    /// By the number of calls, then by the key; otherwise by the key alone.
    pub is_by_calls: bool,
    /// The last first.
    pub is_descending: bool,
}

impl UsageOrder {
    fn terms(self) -> &'static str {
        match (self.is_by_calls, self.is_descending) {
            (true, true) => "2 DESC, 1",
            (true, false) => "2, 1",
            (false, true) => "1 DESC",
            (false, false) => "1",
        }
    }
}

/// The calls of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallUsage {
    /// What the group has in common.
    pub key: String,
    /// Number of calls.
    pub calls: i64,
}

impl CallGroup {
    fn expression(self) -> &'static str {
        match self {
            Self::User => "user_id",
            Self::Session => "COALESCE(session_id, '')",
            Self::Toolkit => "toolkit",
            Self::Tool => "COALESCE(tool, '')",
            Self::Account => "COALESCE(account_id, '')",
            Self::Day => "strftime('%Y-%m-%d', started_at / 1000, 'unixepoch')",
            Self::Project => "project_id",
        }
    }
}

impl UsageQuery {
    fn conditions(&self) -> (String, Vec<Value>) {
        let mut sql = format!("tool IS {}NULL", if self.is_tool { "NOT " } else { "" });
        let mut args = Vec::new();
        push_in(&mut sql, &mut args, "project_id", &self.projects);
        push_in(&mut sql, &mut args, "user_id", &self.users);
        push_in(&mut sql, &mut args, "session_id", &self.sessions);
        for (bound, test) in [(&self.from, ">="), (&self.until, "<")] {
            if let Some(bound) = bound {
                args.push(bound.into());
                let _ = write!(sql, " AND id {test} ${}", args.len());
            }
        }
        (sql, args)
    }
}

impl Store {
    /// The number of calls. `project` is whose reads are queued; empty for the organization.
    pub async fn count_tool_calls(&self, project: &ProjectId, query: &UsageQuery) -> Result<i64, ReadError> {
        let (conditions, args) = query.conditions();
        let sql = format!("SELECT COUNT(*) FROM tool_calls WHERE {conditions}");
        self.scan(project, move |reading| reading.count(&sql, &args)).await
    }

    /// The number of calls by group, at most `limit` groups, in the order of the keys or of the numbers.
    pub async fn tool_call_usage(
        &self,
        project: &ProjectId,
        query: &UsageQuery,
        group: CallGroup,
        order: UsageOrder,
        limit: i64,
    ) -> Result<Vec<CallUsage>, ReadError> {
        let (conditions, mut args) = query.conditions();
        args.push(limit.into());
        let sql = format!(
            "SELECT {}, COUNT(*) FROM tool_calls WHERE {conditions} GROUP BY 1 ORDER BY {} LIMIT ${}",
            group.expression(),
            order.terms(),
            args.len()
        );
        self.list(project, sql, args, |row| Ok(CallUsage { key: row.text(0)?, calls: row.int(1)? })).await
    }
}
