//! `POST /tool_router/session/{session_id}/read_result`: parts of a result that became a file. An extension of this
//! server.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::app::App;
use crate::app::tool::read_result::{PartContent, PartOfResult};

/// Which part of a result is wanted.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ReadResult")]
#[serde(deny_unknown_fields)]
pub struct Body {
    /// `log_…` of the call, in this session.
    log_id: String,
    /// JSONPath (RFC 9535) into the result, such as `$.items`. Left out, the result is read as a JSON text.
    path: Option<String>,
    /// The first item, match, or byte of a text: `next_offset` of the part before. Default 0.
    offset: Option<usize>,
    /// Items: at most 1,000, by default 100. Matches: at most 100, by default 20. Bytes of a text: at most 100,000, by
    /// default 20,000.
    #[schemars(range(min = 1))]
    limit: Option<usize>,
    /// For a list, only items with this text. For a text, the places at which it is. ASCII letters match in either case.
    #[schemars(length(min = 1, max = 200))]
    contains: Option<String>,
}

/// A part of a result.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ResultPart")]
pub struct Part {
    /// `log_…` of the call.
    log_id: String,
    /// A slice of a text, or of the JSON of a value that is no list. The slices together are the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Items of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Vec<Value>>,
    /// Where a text has what `contains` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<Vec<Match>>,
    /// Where this part begins.
    offset: usize,
    /// `offset` of the next part; null at the end.
    next_offset: Option<usize>,
    /// Items, matches or bytes in all.
    total: usize,
}

/// A place in a text.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ResultMatch")]
struct Match {
    /// Its first byte.
    at: usize,
    /// What stands around it.
    excerpt: String,
}

crate::redacted_debug!(Part, Match);

/// `POST /tool_router/session/{session_id}/read_result` → 200.
pub async fn read(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    body: JsonBody<Body>,
) -> Result<Response, ApiError> {
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let Body { log_id, path, offset, limit, contains } = body.value;
    let wanted = PartOfResult { log_id: log_id.clone(), path, offset: offset.unwrap_or(0), limit, contains };
    let part = app.tools.read_result(&session, wanted).await?;
    let mut answer = Part {
        log_id,
        text: None,
        items: None,
        matches: None,
        offset: part.offset,
        next_offset: part.next_offset,
        total: part.total,
    };
    match part.content {
        PartContent::Text(text) => answer.text = Some(text),
        PartContent::Items(items) => answer.items = Some(items),
        PartContent::Matches(matches) => {
            answer.matches = Some(matches.into_iter().map(|(at, excerpt)| Match { at, excerpt }).collect());
        }
    }
    Ok(json(StatusCode::OK, &answer)?)
}
