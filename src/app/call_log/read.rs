//! Reads the log of calls.

use serde_json::Value;
use switchboard_store::tool_calls::{CallEnding, CallFilter, CallGroup, CallRow, CallUsage, UsageOrder, UsageQuery};
use switchboard_store::{PageQuery, Position};
use switchboard_types::{CallState, ProjectId};

use super::CallLog;
use super::call::content_context;
use crate::error::{Code, Error, Result};
use crate::text::truncate;

impl CallLog {
    /// One call of a project. One that is on its way in another server process, or was when it ended, is unknown.
    ///
    /// # Errors
    /// There is no such call, or it is older than what is kept.
    pub async fn get(&self, project: &ProjectId, id: &str) -> Result<CallRow> {
        let found = self.core.store.tool_call(project, id).await?;
        let found = found.ok_or_else(|| Error::of(Code::CallNotFound, &[("id", &truncate(id))]))?;
        Ok(self.seen_now(found))
    }

    /// One page of a project's calls, newest first, and where the next one begins.
    pub async fn list(
        &self,
        project: &ProjectId,
        filter: &CallFilter,
        page: PageQuery,
    ) -> Result<(Vec<CallRow>, Option<Position>)> {
        let (rows, next) = self.core.store.tool_calls(project, filter, page).await?;
        Ok((rows.into_iter().map(|row| self.seen_now(row)).collect(), next))
    }

    /// Arguments, answer and error of a call, if its project keeps them.
    ///
    /// # Errors
    /// They cannot be opened.
    pub fn content(&self, call: &CallRow) -> Result<Option<Value>> {
        let sealed = call.ending.as_ref().and_then(|ending| ending.content_sealed.as_ref());
        let Some(sealed) = sealed else { return Ok(None) };
        let content = self.ring.open(content_context(&call.project_id, &call.id), sealed)?;
        serde_json::from_slice(&content).map(Some).map_err(Error::internal)
    }

    /// The projects with calls.
    pub async fn projects(&self) -> Result<Vec<ProjectId>> {
        Ok(self.core.store.projects_with_calls().await?)
    }

    /// The number of calls. `project` is whose reads are queued; empty for the organization.
    pub async fn count(&self, project: &ProjectId, query: &UsageQuery) -> Result<i64> {
        Ok(self.core.store.count_tool_calls(project, query).await?)
    }

    /// The number of calls by group.
    pub async fn usage(
        &self,
        project: &ProjectId,
        query: &UsageQuery,
        group: CallGroup,
        order: UsageOrder,
        limit: i64,
    ) -> Result<Vec<CallUsage>> {
        Ok(self.core.store.tool_call_usage(project, query, group, order, limit).await?)
    }

    /// A row as it is now: a call whose server has ended, or whose time has passed, does not go on.
    fn seen_now(&self, row: CallRow) -> CallRow {
        if row.state != CallState::Sent || self.is_being_made(&row) {
            return row;
        }
        let ending = CallEnding {
            state: CallState::Unknown,
            at: row.until_at.min(self.core.now()),
            http_status: None,
            error_code: Some("answer_lost".into()),
            content_sealed: None,
        };
        CallRow { state: CallState::Unknown, ending: Some(ending), ..row }
    }
}
