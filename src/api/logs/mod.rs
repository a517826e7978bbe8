//! `/logs/tool_execution`: the log of calls. `explain.rs` tells what happened in one, `internal.rs` has the same in the form of the hosted service's dashboard,
//! `usage.rs` counts calls.

pub mod explain;
pub mod internal;
pub(in crate::api) mod operations;
mod search;
pub mod usage;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_store::tool_calls::CallRow;
use switchboard_types::CallState;

use crate::api::http::auth::Caller;
use crate::api::http::body::{OptionalJson, json};
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::path::Id;
use crate::app::App;
use crate::time::{iso, millis};

/// Default page size.
const PAGE: i64 = 20;
/// Maximum page size.
const MAX_PAGE_SIZE: i64 = 500;

/// Which calls to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "ToolLogSearch")]
#[serde(default)]
pub struct Search {
    /// Items on a page; default 20, at most 500.
    #[schemars(range(min = 1))]
    limit: Option<f64>,
    /// `next_cursor` of the previous page.
    cursor: Option<String>,
    /// A call has to meet all of them.
    #[schemars(length(max = 20))]
    filters: Option<Vec<search::Condition>>,
    /// When the call began.
    time_range: Option<TimeRange>,
}

/// A time range in milliseconds since 1970 UTC.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ToolLogTimeRange")]
pub struct TimeRange {
    /// The first millisecond.
    from: f64,
    /// The millisecond after the last.
    to: f64,
}

/// A page of calls, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolLogPage")]
pub struct LogPage {
    /// This page's calls.
    logs: Vec<LogItem>,
    /// Cursor of the next page; null on the last.
    next_cursor: Option<String>,
}

/// A logged call.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolLogItem")]
pub struct LogItem {
    /// `log_…`
    id: String,
    /// When it began.
    #[schemars(extend("format" = "date-time"))]
    timestamp: String,
    /// `tool_execution`, or `proxy_execution` for a raw API call.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `failed` also while the call is on its way, and when its outcome is unknown: `metadata.state` says more.
    status: Status,
    /// Importance.
    level: Level,
    /// What went wrong.
    message: Option<String>,
    /// What was called, and for which user.
    metadata: Metadata,
    /// How long it took.
    metrics: Metrics,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ToolLogStatus")]
enum Status {
    Success,
    Failed,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "ToolLogLevel")]
enum Level {
    Info,
    Error,
    Warn,
}

/// What was called, and for which user.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolLogMetadata")]
struct Metadata {
    /// `sent` while the call is on its way, `completed`, `failed`, or `unknown` if it may have had its effect.
    state: &'static str,
    credential_source: &'static str,
    toolkit_slug: String,
    tool_slug: Option<String>,
    tool_version: Option<String>,
    /// `read`, `create`, `update` or `destructive`; `unknown` for a raw API call that may change something.
    effect: &'static str,
    /// HTTP method of the request to the provider.
    method: String,
    /// HTTP status of the provider, if it answered.
    http_status: Option<u16>,
    error_code: Option<String>,
    user_id: String,
    session_id: Option<String>,
    connected_account_id: Option<String>,
    auth_config_id: Option<String>,
    /// Id of the API key.
    actor: String,
    request_id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolLogMetrics")]
struct Metrics {
    /// Milliseconds; null while the call is on its way.
    duration_ms: Option<i64>,
}

/// A logged call with what is kept of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolLog")]
pub struct LogDetail {
    #[serde(flatten)]
    item: LogItem,
    /// Milliseconds since 1970 UTC; none while the call is on its way.
    timings: Option<Timings>,
    /// Where it belongs.
    context: Context,
    /// What made the call; this server does not record it.
    source: Source,
    /// `arguments`, `answer` and `error`, if the project's `log_visibility_setting` was `show_all`.
    data: Value,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolLogTimings")]
struct Timings {
    start_time: i64,
    end_time: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolLogContext")]
struct Context {
    session_id: Option<String>,
    request_id: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolLogSource")]
struct Source {}

/// `POST /logs/tool_execution` → 200 page.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    OptionalJson(body): OptionalJson<Search>,
) -> Result<Response, ApiError> {
    let page = PageRequest::from_body(body.limit, body.cursor.as_deref(), PAGE, MAX_PAGE_SIZE)?;
    let range = body.time_range.map(|range| (Some(range.from), Some(range.to))).unwrap_or_default();
    let filter = search::filter(&app, body.filters.unwrap_or_default(), range, "filters")?;
    let (rows, next) = app.call_log.list(&caller.project_id, &filter, page.store_query()).await?;
    let next_cursor = page.page_info(0, next.as_ref()).next_cursor;
    Ok(json(StatusCode::OK, &LogPage { logs: rows.into_iter().map(LogItem::from).collect(), next_cursor })?)
}

/// `GET /logs/tool_execution/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    let row = app.call_log.get(&caller.project_id, &id).await?;
    let content = app.call_log.content(&row)?;
    let ended_at = row.ending.as_ref().map(|ending| ending.at);
    let timings = ended_at.map(|ended| Timings { start_time: row.started_at.as_millis(), end_time: ended.as_millis() });
    let place = Context {
        session_id: row.session_id.as_ref().map(|id| id.as_str().to_owned()),
        request_id: row.request_id.clone().map(Into::into),
    };
    let mut item = LogItem::from(row);
    if let Some(error) = content.as_ref().and_then(|content| content["error"].as_str()) {
        item.message = Some(error.to_owned());
    }
    let data = content.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    Ok(json(StatusCode::OK, &LogDetail { item, timings, context: place, source: Source {}, data })?)
}

impl From<CallRow> for LogItem {
    fn from(row: CallRow) -> Self {
        let (status, level) = match row.state {
            CallState::Completed => (Status::Success, Level::Info),
            CallState::Failed => (Status::Failed, Level::Error),
            CallState::Sent | CallState::Unknown => (Status::Failed, Level::Warn),
        };
        let (ended_at, http_status, error_code) = row
            .ending
            .map(|ending| (Some(ending.at), ending.http_status, ending.error_code.map(String::from)))
            .unwrap_or_default();
        Self {
            id: row.id.into(),
            timestamp: iso(row.started_at),
            kind: if row.tool.is_some() { "tool_execution" } else { "proxy_execution" },
            status,
            level,
            message: match row.state {
                CallState::Sent => Some("The call is on its way".to_owned()),
                CallState::Unknown => Some("The call was sent, and its outcome is not known".to_owned()),
                CallState::Completed | CallState::Failed => error_code.clone(),
            },
            metadata: Metadata {
                state: row.state.as_str(),
                credential_source: if row.account_id.is_some() { "connected_account" } else { "no_auth" },
                toolkit_slug: row.toolkit.into(),
                tool_slug: row.tool.map(Into::into),
                tool_version: row.version.map(Into::into),
                effect: row.effect.as_str(),
                method: row.method.into(),
                http_status,
                error_code,
                user_id: row.user_id.into(),
                session_id: row.session_id.map(Into::into),
                connected_account_id: row.account_id.map(Into::into),
                auth_config_id: row.auth_config_id.map(Into::into),
                actor: row.actor.into(),
                request_id: row.request_id.map(Into::into),
            },
            metrics: Metrics { duration_ms: ended_at.map(|ended| millis(ended.since(row.started_at))) },
        }
    }
}
