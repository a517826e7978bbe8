//! The log of calls: tools and raw API calls, with the idempotency keys that they were made with (R68).
//!
//! A call that may change something, or has a key, has its row before its first byte is sent ([`insert`]), and
//! [`end`] says how it went. Other calls are inserted when they have ended.

mod list;
mod usage;

pub use list::{CallField, CallFilter, CallTest};
pub use usage::{CallGroup, CallUsage, UsageOrder, UsageQuery};

use switchboard_types::{
    AccountId, AuthConfigId, CallEffect, CallState, CompactString, ProjectId, SessionId, Timestamp,
};

use crate::{ReadError, Refusal, Row, Statement, Store};

/// A logged call.
#[derive(Clone, Debug)]
pub struct CallRow {
    /// `log_…`, time-ordered.
    pub id: CompactString,
    /// Owner.
    pub project_id: ProjectId,
    /// How far it has come.
    pub state: CallState,
    /// A number of the server process that makes it.
    pub run: i64,
    /// The project's end user.
    pub user_id: CompactString,
    /// The session; none for a call without one.
    pub session_id: Option<SessionId>,
    /// Slug of the toolkit.
    pub toolkit: CompactString,
    /// Slug of the tool; none for a raw API call.
    pub tool: Option<CompactString>,
    /// Version of the tool.
    pub version: Option<CompactString>,
    /// What it may do.
    pub effect: CallEffect,
    /// HTTP method.
    pub method: CompactString,
    /// The account; none if no credential was used.
    pub account_id: Option<AccountId>,
    /// The account's auth config.
    pub auth_config_id: Option<AuthConfigId>,
    /// `key_…`.
    pub actor: CompactString,
    /// Our id of the request.
    pub request_id: Option<CompactString>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it has ended at the latest.
    pub until_at: Timestamp,
    /// How it went; none while it is on its way.
    pub ending: Option<CallEnding>,
    /// Its idempotency key.
    pub key: Option<CallKey>,
}

/// How a call went.
#[derive(Clone, Debug)]
pub struct CallEnding {
    /// Completed, failed or unknown.
    pub state: CallState,
    /// When.
    pub at: Timestamp,
    /// HTTP status of the provider.
    pub http_status: Option<u16>,
    /// Why it failed.
    pub error_code: Option<CompactString>,
    /// Arguments and answer, sealed, if the project keeps them.
    pub content_sealed: Option<Vec<u8>>,
}

/// An idempotency key with the request that it was sent with.
#[derive(Clone, Debug)]
pub struct CallKey {
    /// As the caller sent it.
    pub key: String,
    /// SHA-256 of method, path and body.
    pub request_hash: Vec<u8>,
}

/// What is stored for a repeated request.
#[derive(Clone, Debug)]
pub struct CallOfKey {
    /// The call.
    pub call: CallRow,
    /// The response with its HTTP status, sealed. None while the call is on its way, or if there is none.
    pub response: Option<(i64, Vec<u8>)>,
}

/// Inserts a call. Refused as `idempotency_key_used` when the key exists.
pub fn insert(call: CallRow) -> Statement {
    let (key, hash) = call.key.map(|key| (key.key, key.request_hash)).unzip();
    let state = call.ending.as_ref().map_or(call.state, |ending| ending.state);
    let ending = call.ending.as_ref();
    let (ended_at, http_status) = (ending.map(|ending| ending.at), ending.and_then(|ending| ending.http_status));
    let (error_code, content) = call.ending.map(|ending| (ending.error_code, ending.content_sealed)).unzip();
    Statement::one(
        Refusal::IdempotencyKeyUsed,
        "INSERT INTO tool_calls (project_id, id, state, run, user_id, session_id, toolkit, tool, version, effect, method,
           account_id, auth_config_id, actor, request_id, started_at, until_at, ended_at, http_status, error_code,
           content_sealed, key, request_hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23)",
        vec![
            call.project_id.into(),
            call.id.into(),
            CompactString::const_new(state.as_str()).into(),
            call.run.into(),
            call.user_id.into(),
            call.session_id.into(),
            call.toolkit.into(),
            call.tool.into(),
            call.version.into(),
            CompactString::const_new(call.effect.as_str()).into(),
            call.method.into(),
            call.account_id.into(),
            call.auth_config_id.into(),
            call.actor.into(),
            call.request_id.into(),
            call.started_at.into(),
            call.until_at.into(),
            ended_at.into(),
            http_status.map(i64::from).into(),
            error_code.flatten().into(),
            content.flatten().into(),
            key.into(),
            hash.into(),
        ],
    )
}

/// Ends a call that is on its way in the server process `run`. `response` is what a repeated request gets: its HTTP status and its bytes, sealed.
/// Without one, the call's own state decides. Changes nothing if the call has ended.
pub fn end(project: &ProjectId, id: &str, run: i64, ending: CallEnding, response: Option<(i64, Vec<u8>)>) -> Statement {
    let (status, sealed) = response.unzip();
    Statement::any(
        "UPDATE tool_calls SET state = $3, ended_at = $4, http_status = $5, error_code = $6, content_sealed = $7,
           response_status = $8, response_sealed = $9
         WHERE project_id = $1 AND id = $2 AND state = 'sent' AND run = $10",
        vec![
            project.into(),
            id.into(),
            CompactString::const_new(ending.state.as_str()).into(),
            ending.at.into(),
            ending.http_status.map(i64::from).into(),
            ending.error_code.into(),
            ending.content_sealed.into(),
            status.into(),
            sealed.into(),
            run.into(),
        ],
    )
}

/// Frees the key of a call that had no effect, so that the request can be made again with it.
pub fn free_key(project: &ProjectId, id: &str) -> Statement {
    Statement::any(
        "UPDATE tool_calls SET key = NULL, request_hash = NULL, response_status = NULL, response_sealed = NULL
         WHERE project_id = $1 AND id = $2",
        vec![project.into(), id.into()],
    )
}

/// Makes a call of unknown outcome again, by this server process. Refused as `call_changed` when another one does.
pub fn reopen(read: &CallRow, run: i64, until: Timestamp) -> Statement {
    Statement::one(
        Refusal::CallChanged,
        "UPDATE tool_calls SET state = 'sent', run = $4, until_at = $5, ended_at = NULL, http_status = NULL,
           error_code = NULL, content_sealed = NULL
         WHERE project_id = $1 AND id = $2 AND state IN ('sent', 'unknown') AND run = $3 AND until_at = $6",
        vec![
            (&read.project_id).into(),
            (&read.id).into(),
            read.run.into(),
            run.into(),
            until.into(),
            read.until_at.into(),
        ],
    )
}

/// Frees a batch of the keys that are older than a time.
pub fn free_old_keys(project: &ProjectId, before: &str, batch: usize) -> Statement {
    Statement::any(
        "UPDATE tool_calls SET key = NULL, request_hash = NULL, response_status = NULL, response_sealed = NULL
         WHERE project_id = $1 AND id IN
           (SELECT id FROM tool_calls INDEXED BY tool_calls_by_key
            WHERE project_id = $1 AND key IS NOT NULL AND id < $2 LIMIT $3)
         /* guarded by: final */",
        vec![project.into(), before.into(), i64::try_from(batch).unwrap_or(i64::MAX).into()],
    )
}

/// Deletes a batch of a project's calls whose ids are less than `before`.
pub fn delete_before(project: &ProjectId, before: &str, batch: usize) -> Statement {
    Statement::any(
        "DELETE FROM tool_calls WHERE project_id = $1
           AND id IN (SELECT id FROM tool_calls WHERE project_id = $1 AND id < $2 ORDER BY id LIMIT $3)
         /* guarded by: final */",
        vec![project.into(), before.into(), i64::try_from(batch).unwrap_or(i64::MAX).into()],
    )
}

/// The columns of [`read`]; `NULL` in the place of `content_sealed` where it is not needed, because it may be large.
macro_rules! columns {
    ($content:literal) => {
        concat!(
            "id, project_id, state, run, user_id, session_id, toolkit, tool, version, effect, method, account_id,
             auth_config_id, actor, request_id, started_at, until_at, ended_at, http_status, error_code, ",
            $content,
            ", key, request_hash"
        )
    };
}
use columns;

/// The position after them.
const COLUMNS: usize = 23;

fn read(row: &Row<'_>) -> Result<CallRow, ReadError> {
    let state = row.word(2, CallState::parse)?;
    let ending = row.opt_timestamp(17)?.map(|at| {
        Ok(CallEnding {
            state,
            at,
            http_status: row.opt_int(18)?.and_then(|status| u16::try_from(status).ok()),
            error_code: row.opt_id(19)?,
            content_sealed: row.opt_blob(20)?,
        })
    });
    Ok(CallRow {
        id: row.id(0)?,
        project_id: row.id(1)?,
        state,
        run: row.int(3)?,
        user_id: row.id(4)?,
        session_id: row.opt_id(5)?,
        toolkit: row.id(6)?,
        tool: row.opt_id(7)?,
        version: row.opt_id(8)?,
        effect: row.word(9, CallEffect::parse)?,
        method: row.id(10)?,
        account_id: row.opt_id(11)?,
        auth_config_id: row.opt_id(12)?,
        actor: row.id(13)?,
        request_id: row.opt_id(14)?,
        started_at: row.timestamp(15)?,
        until_at: row.timestamp(16)?,
        ending: ending.transpose()?,
        key: match (row.opt_text(21)?, row.opt_blob(22)?) {
            (Some(key), Some(request_hash)) => Some(CallKey { key, request_hash }),
            _ => None,
        },
    })
}

impl Store {
    /// One call of a project.
    pub async fn tool_call(&self, project: &ProjectId, id: &str) -> Result<Option<CallRow>, ReadError> {
        let sql = concat!("SELECT ", columns!("content_sealed"), " FROM tool_calls WHERE project_id = $1 AND id = $2");
        self.one(sql, &[project.into(), id.into()], read).await
    }

    /// The projects with calls.
    pub async fn projects_with_calls(&self) -> Result<Vec<ProjectId>, ReadError> {
        let sql = "SELECT id FROM projects WHERE EXISTS (SELECT 1 FROM tool_calls WHERE project_id = projects.id)";
        self.list("", sql, Vec::new(), |row| row.id(0)).await
    }

    /// The projects with calls before an id, or with keys of calls before another one, and whether the project was
    /// deleted and emptied.
    pub async fn projects_with_old_calls(&self, calls: &str, keys: &str) -> Result<Vec<(ProjectId, bool)>, ReadError> {
        let sql = "SELECT id, emptied_at IS NOT NULL FROM projects
             WHERE EXISTS (SELECT 1 FROM tool_calls WHERE project_id = projects.id
                             AND (id < $1 OR projects.emptied_at IS NOT NULL))
                OR EXISTS (SELECT 1 FROM tool_calls INDEXED BY tool_calls_by_key
                           WHERE project_id = projects.id AND key IS NOT NULL AND id < $2)";
        self.list("", sql, vec![calls.into(), keys.into()], |row| Ok((row.id(0)?, row.flag(1)?))).await
    }

    /// The call that was made with an idempotency key.
    pub async fn tool_call_of_key(&self, project: &ProjectId, key: &str) -> Result<Option<CallOfKey>, ReadError> {
        let sql = concat!(
            "SELECT ",
            columns!("NULL"),
            ", response_status, response_sealed FROM tool_calls WHERE project_id = $1 AND key = $2"
        );
        self.one(sql, &[project.into(), key.into()], |row| {
            let response = row.opt_int(COLUMNS)?.zip(row.opt_blob(COLUMNS + 1)?);
            Ok(CallOfKey { call: read(row)?, response })
        })
        .await
    }
}
