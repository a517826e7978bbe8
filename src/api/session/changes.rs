//! Changes to a session: `PATCH`, `attach`, `config_history` (contract sections 2.4, 2.6, 2.7).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::view::{ConfigResponse, config_view, session_view};
use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::app::App;
use crate::app::session::custom_tools::{CustomTool, CustomToolkit};
use crate::app::session::patch::SessionPatch;
use crate::app::session::policy::Experimental;
use crate::time::iso;

/// The caller's own tools, which run in the caller's process and are not stored.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "AttachToSession")]
pub struct Attachment {
    /// Fields that may still change.
    experimental: Option<AttachedTools>,
}

/// The caller's own toolkits and tools.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "AttachedTools")]
pub struct AttachedTools {
    /// Toolkits, each with 1 to 100 tools.
    custom_toolkits: Option<Vec<CustomToolkit>>,
    /// Tools without a toolkit, or in addition to those of an existing one.
    custom_tools: Option<Vec<CustomTool>>,
}

impl AttachedTools {
    /// The tools as they were given.
    pub(super) fn into_tools(self) -> Experimental {
        let Self { custom_toolkits, custom_tools } = self;
        Experimental { custom_toolkits, custom_tools, ..Experimental::default() }
    }
}

/// A current or earlier policy of the session.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionHistory")]
pub struct HistoryItem {
    /// 1 at creation, increased by one with each change.
    version: i64,
    /// When it was set; ISO 8601.
    created_at: String,
    /// The policy, as the session shows it.
    config: ConfigResponse,
    /// Whether it is the current one.
    is_current: bool,
}

/// `PATCH /tool_router/session/{session_id}` → 200 with the changed session.
pub async fn patch(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    body: JsonBody<SessionPatch>,
) -> Result<Response, ApiError> {
    let session = app.sessions.patch(&caller.actor(), &id.as_str().into(), &body.value).await?;
    Ok(json(StatusCode::OK, &session_view(&session, &app.core.settings.public_url, true))?)
}

/// `POST /tool_router/session/{session_id}/attach` → 200 with the session and the given tools.
pub async fn attach(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    body: JsonBody<Attachment>,
) -> Result<Response, ApiError> {
    // A repetition has the same result: nothing is stored.
    let given = body.value.experimental.map(AttachedTools::into_tools).unwrap_or_default();
    let session = app.sessions.attach(&caller.project_id, &id.as_str().into(), given).await?;
    Ok(json(StatusCode::OK, &session_view(&session, &app.core.settings.public_url, true))?)
}

/// `GET /tool_router/session/{session_id}/config_history` → 200 page.
pub async fn history(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(id): Id,
    query: Query,
) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, 20, 100)?;
    let (user, found) = app.sessions.history(&caller.project_id, &id.as_str().into(), page.store_query()).await?;
    let items = found
        .rows
        .into_iter()
        .map(|policy| HistoryItem {
            version: policy.version,
            created_at: iso(policy.created_at),
            config: config_view(&user, &policy.config),
            is_current: policy.is_current,
        })
        .collect();
    Ok(json(StatusCode::OK, &page.envelope::<HistoryItem>(items, found.total, found.next.as_ref()))?)
}
