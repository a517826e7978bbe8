//! `POST /tool_router/session/{session_id}/search` (contract section 2.10).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::path::Id;
use crate::api::session::changes::AttachedTools;
use crate::app::App;
use crate::app::tool::search::answer::ToolSearch;
use crate::app::tool::search::{SearchRequest, ToolQuery};
use crate::error::Error;

/// Maximum number of queries.
const MAX_QUERIES: usize = 7;
/// Maximum length of a query, in characters.
const MAX_USE_CASE: usize = 1_024;
/// Maximum length of what is known, in characters.
const MAX_KNOWN_FIELDS: usize = 500;

/// What is searched for.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "SearchTools")]
pub struct SearchBody {
    /// 1 to 7; each has a result of its own.
    #[schemars(length(min = 1, max = 7))]
    queries: Vec<Query>,
    /// Tools of these toolkits only.
    toolkits: Option<Vec<String>>,
    /// The model that will use the tools: no effect.
    #[expect(dead_code, reason = "accepted without an effect")]
    model: Option<String>,
    /// There is one strategy here: no effect.
    #[expect(dead_code, reason = "accepted without an effect")]
    search_strategy: Option<SearchStrategy>,
    /// Your own tools, which are searched, too.
    experimental: Option<AttachedTools>,
}

/// One thing that a user wants.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "ToolQuery")]
struct Query {
    /// In words: 1 to 1,024 characters.
    #[schemars(length(min = 1, max = 1_024))]
    use_case: String,
    /// Values that are known: `key:value, key:value`; at most 500 characters.
    #[schemars(length(max = 500))]
    known_fields: Option<String>,
}

/// How tools are searched for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum SearchStrategy {
    /// The server decides.
    Auto,
    /// With the words of the query.
    ToolSearch,
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ToolSearchResponse")]
pub struct SearchResponse {
    /// Whether each query found a tool.
    success: bool,
    /// How many queries found none; null if each found one.
    error: Option<String>,
    /// What was found.
    #[serde(flatten)]
    found: ToolSearch,
}

/// `POST /tool_router/session/{session_id}/search` → 200.
pub async fn search(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    body: JsonBody<SearchBody>,
) -> Result<Response, ApiError> {
    let request = request(body.value)?;
    let session = app.sessions.get(&caller.project_id, &id.into()).await?;
    let found = app.tools.search(&session, &request).await?;
    Ok(json(StatusCode::OK, &SearchResponse { success: found.failed() == 0, error: found.error(), found })?)
}

fn request(body: SearchBody) -> Result<SearchRequest, Error> {
    let mut errors = Vec::new();
    if !(1..=MAX_QUERIES).contains(&body.queries.len()) {
        errors.push(format!("Error in payload.queries: must have 1 to {MAX_QUERIES} queries"));
    }
    for (number, query) in body.queries.iter().take(MAX_QUERIES).enumerate() {
        if !(1..=MAX_USE_CASE).contains(&query.use_case.chars().count()) {
            errors
                .push(format!("Error in payload.queries.{number}.use_case: must have 1 to {MAX_USE_CASE} characters"));
        }
        if query.known_fields.as_ref().is_some_and(|known| known.chars().count() > MAX_KNOWN_FIELDS) {
            let problem = format!("must have at most {MAX_KNOWN_FIELDS} characters");
            errors.push(format!("Error in payload.queries.{number}.known_fields: {problem}"));
        }
    }
    if !errors.is_empty() {
        return Err(Error::validation(errors));
    }
    let queries = body.queries.into_iter();
    let queries = queries.map(|query| ToolQuery { use_case: query.use_case, known_fields: query.known_fields });
    Ok(SearchRequest {
        queries: queries.collect(),
        toolkits: body.toolkits.unwrap_or_default(),
        own: body.experimental.map(AttachedTools::into_tools).unwrap_or_default(),
        workflow: None,
    })
}
