//! `/internal/action_execution`: the log of calls as the hosted service's dashboard reads it.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use switchboard_store::tool_calls::CallRow;
use switchboard_store::{PageQuery, PageStart};
use switchboard_types::CallState;

use super::search::{self, Condition, Field};
use super::{MAX_PAGE_SIZE, PAGE};
use crate::api::http::auth::Caller;
use crate::api::http::body::{OptionalJson, json as respond};
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::api::toolkit::view::logo_url;
use crate::app::App;
use crate::error::{Error, Result};
use crate::time::millis;

/// Calls that a cursor may skip.
const MAX_SKIP: i64 = 1_000_000;

/// Which calls to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[schemars(rename = "ActionLogSearch")]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the published names")]
pub struct Search {
    /// `nextCursor` of the previous page.
    #[schemars(range(min = 0))]
    cursor: Option<f64>,
    /// Items on a page; default 20, at most 500.
    #[schemars(range(min = 1))]
    limit: Option<f64>,
    /// Whether conditions distinguish capital letters; default true.
    case_sensitive: Option<bool>,
    /// The first millisecond since 1970 UTC.
    from: Option<f64>,
    /// The millisecond after the last.
    to: Option<f64>,
    /// A call has to meet all of them.
    search_params: Option<Vec<Condition>>,
}

/// The fields of conditions.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActionLogFields")]
pub struct Fields {
    /// By kind of log.
    fields: BTreeMap<&'static str, Vec<FieldItem>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActionLogField")]
struct FieldItem {
    id: &'static str,
    display_name: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A page of calls, newest first.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActionLogPage")]
pub struct LogPage {
    data: Vec<LogItem>,
    /// The `cursor` of the next page; null on the last.
    next_cursor: Option<i64>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActionLogItem")]
struct LogItem {
    id: String,
    /// Slug of the tool; of the toolkit for a raw API call.
    action_key: String,
    app_key: String,
    app: AppName,
    connected_account_id: String,
    entity_id: String,
    status: &'static str,
    /// Milliseconds.
    execution_time: i64,
    /// Empty.
    minimal_response: &'static str,
    credential_source: &'static str,
    /// Milliseconds since 1970 UTC.
    created_at: i64,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActionLogApp")]
struct AppName {
    icon: String,
    name: String,
}

/// A call.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActionLog")]
pub struct LogDetail {
    action_log_id: String,
    action_id: String,
    status: &'static str,
    app: DetailApp,
    version: String,
    connection: Connection,
    credential_source: &'static str,
    session: Map<String, Value>,
    execution_metadata: Map<String, Value>,
    steps: Vec<Step>,
    /// The arguments, if the project keeps them.
    payload_received: Value,
    /// Milliseconds since 1970 UTC.
    start_time: i64,
    /// The same; the time of the request while the call is on its way.
    end_time: i64,
    /// Milliseconds.
    total_duration: String,
    /// The answer, if the project keeps it.
    response: Option<Value>,
    error: Map<String, Value>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActionLogToolkit")]
struct DetailApp {
    name: String,
    unique_id: String,
    icon: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ActionLogConnection")]
struct Connection {
    id: String,
    entity: String,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "ActionLogStep")]
struct Step {
    #[serde(rename = "type")]
    kind: &'static str,
    start_time: i64,
    end_time: i64,
    total_duration: i64,
    status: &'static str,
    message: String,
}

/// `GET /internal/action_execution/fields` → 200.
pub async fn fields(_: Caller) -> std::result::Result<Response, ApiError> {
    let items = Field::ALL.map(|(id, display_name)| FieldItem { id, display_name, kind: "string" });
    Ok(respond(StatusCode::OK, &Fields { fields: [("tool_execution", items.into())].into() })?)
}

/// `POST /internal/action_execution/logs` → 200 page.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    OptionalJson(body): OptionalJson<Search>,
) -> std::result::Result<Response, ApiError> {
    let limit = integer("limit", body.limit, PAGE, 1..=MAX_PAGE_SIZE)?;
    let skip = integer("cursor", body.cursor, 0, 0..=MAX_SKIP)?;
    let range = (body.from, body.to);
    let mut filter = search::filter(&app, body.search_params.unwrap_or_default(), range, "search_params")?;
    filter.ignores_case = body.case_sensitive == Some(false);
    let page = PageQuery { start: PageStart::Skip(skip), limit };
    let (rows, next) = app.call_log.list(&caller.project_id, &filter, page).await?;
    let data = rows.into_iter().map(|row| LogItem::new(&app, row)).collect();
    Ok(respond(StatusCode::OK, &LogPage { data, next_cursor: next.map(|_| skip + limit) })?)
}

/// `GET /internal/action_execution/log/{id}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> std::result::Result<Response, ApiError> {
    let row = app.call_log.get(&caller.project_id, &id).await?;
    let content = app.call_log.content(&row)?;
    Ok(respond(StatusCode::OK, &LogDetail::new(&app, row, content.as_ref()))?)
}

/// A whole number within limits: a smaller one is refused, a larger one is cut.
fn integer(name: &str, given: Option<f64>, default: i64, limits: RangeInclusive<i64>) -> Result<i64> {
    let Some(given) = given else { return Ok(default) };
    #[expect(clippy::cast_possible_truncation, reason = "a number that is too large becomes the largest one")]
    let number = given as i64;
    if given.is_nan() || number < *limits.start() {
        return Err(Error::field(name, format!("must be a number from {} to {}", limits.start(), limits.end())));
    }
    Ok(number.min(*limits.end()))
}

/// Name and icon of a toolkit.
fn name_and_icon(app: &App, slug: &str) -> (String, String) {
    let name = app.core.toolkit(slug).map_or_else(|| slug.to_owned(), |toolkit| toolkit.name.clone());
    (name, logo_url(app, slug))
}

impl LogItem {
    fn new(app: &App, row: CallRow) -> Self {
        let (name, icon) = name_and_icon(app, &row.toolkit);
        let ended_at = row.ending.as_ref().map_or(row.started_at, |ending| ending.at);
        Self {
            id: row.id.into(),
            action_key: row.tool.unwrap_or_else(|| row.toolkit.clone()).into(),
            app_key: row.toolkit.into(),
            app: AppName { icon, name },
            credential_source: if row.account_id.is_some() { "connected_account" } else { "no_auth" },
            connected_account_id: row.account_id.map(Into::into).unwrap_or_default(),
            entity_id: row.user_id.into(),
            status: if row.state == CallState::Completed { "success" } else { "failed" },
            execution_time: millis(ended_at.since(row.started_at)),
            minimal_response: "",
            created_at: row.started_at.as_millis(),
        }
    }
}

impl LogDetail {
    fn new(app: &App, row: CallRow, content: Option<&Value>) -> Self {
        let (name, icon) = name_and_icon(app, &row.toolkit);
        let ended_at = row.ending.as_ref().map_or_else(|| app.core.now(), |ending| ending.at);
        let duration = millis(ended_at.since(row.started_at));
        let (status, step) = match row.state {
            CallState::Completed => ("success", "success"),
            CallState::Failed => ("error", "failure"),
            CallState::Sent => ("info", "error"),
            CallState::Unknown => ("warning", "error"),
        };
        let part = |name: &str| content.map(|content| content[name].clone());
        let mut error = Map::new();
        if let Some(code) = row.ending.as_ref().and_then(|ending| ending.error_code.as_ref()) {
            error.insert("code".to_owned(), code.as_str().into());
            if let Some(message) = part("error").filter(|message| !message.is_null()) {
                error.insert("message".to_owned(), message);
            }
        }
        let mut metadata = Map::new();
        metadata.insert("state".to_owned(), row.state.as_str().into());
        metadata.insert("effect".to_owned(), row.effect.as_str().into());
        metadata.insert("method".to_owned(), row.method.as_str().into());
        metadata.insert("http_status".to_owned(), json!(row.ending.as_ref().and_then(|ending| ending.http_status)));
        let mut session = Map::new();
        if let Some(id) = &row.session_id {
            session.insert("id".to_owned(), id.as_str().into());
        }
        Self {
            action_log_id: row.id.into(),
            action_id: row.tool.unwrap_or_else(|| row.toolkit.clone()).into(),
            status,
            app: DetailApp { name, unique_id: row.toolkit.into(), icon },
            version: row.version.unwrap_or_default().into(),
            credential_source: if row.account_id.is_some() { "connected_account" } else { "no_auth" },
            connection: Connection {
                id: row.account_id.map(Into::into).unwrap_or_default(),
                entity: row.user_id.into(),
            },
            session,
            execution_metadata: metadata,
            steps: vec![Step {
                kind: "tool_execution",
                start_time: row.started_at.as_millis(),
                end_time: ended_at.as_millis(),
                total_duration: duration,
                status: step,
                message: row.state.as_str().to_owned(),
            }],
            payload_received: part("arguments").unwrap_or_else(|| json!({})),
            start_time: row.started_at.as_millis(),
            end_time: ended_at.as_millis(),
            total_duration: duration.to_string(),
            response: part("answer"),
            error,
        }
    }
}
