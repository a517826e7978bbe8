//! `/tool_router/session`: create, read, delete (contract sections 2.1, 2.3, 2.5).

pub mod changes;
pub mod links;
pub(in crate::api) mod operations;
pub mod proxy;
pub mod proxy_response;
pub mod results;
pub mod search;
pub mod toolkits;
pub mod tools;
pub mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::api::http::once;
use crate::api::http::path::Id;
use crate::app::App;
use crate::app::session::policy::SessionConfig;

use view::session_view;

/// The response of a deletion.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SessionDeleted")]
pub struct Deleted {
    /// Which session.
    session_id: String,
    /// Always true.
    deleted: bool,
}

/// `POST /tool_router/session` → 201. Each call makes a new session.
pub async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<SessionConfig>,
) -> Result<Response, ApiError> {
    let key = body.idempotency.as_ref();
    if let Some(earlier) = once::earlier(&app, key).await? {
        return Ok(earlier);
    }
    let prepared = app.sessions.prepare(&caller.actor(), body.value).await?;
    let response = once::created(&session_view(&prepared.object, &app.core.settings.public_url, true))?;
    let commit = app.sessions.commit(prepared, key, &response).await?;
    Ok(once::committed(commit, response)?)
}

/// `GET /tool_router/session/{session_id}` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    let session = app.sessions.get(&caller.project_id, &id.into()).await?;
    Ok(json(StatusCode::OK, &session_view(&session, &app.core.settings.public_url, false))?)
}

/// `DELETE /tool_router/session/{session_id}` → 200; the id is unknown afterwards.
pub async fn delete(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Response, ApiError> {
    app.sessions.delete(&caller.actor(), &id.as_str().into()).await?;
    Ok(json(StatusCode::OK, &Deleted { session_id: id.into(), deleted: true })?)
}
