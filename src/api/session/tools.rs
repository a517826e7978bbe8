//! `GET /tool_router/session/{session_id}/tools` (contract section 2.9).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::http::auth::Caller;
use crate::api::http::body::json;
use crate::api::http::error::ApiError;
use crate::api::http::page::PageRequest;
use crate::api::http::path::Id;
use crate::api::http::query::Query;
use crate::api::tool::view;
use crate::app::App;

/// Maximum page size, and the default.
pub const MAX_PAGE_SIZE: i64 = 500;

/// `GET /tool_router/session/{session_id}/tools` → 200 page: the preloaded tools that the session may use.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    query: Query,
) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, MAX_PAGE_SIZE, MAX_PAGE_SIZE)?;
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let found = app.tools.listed(&session).await?;
    Ok(json(StatusCode::OK, &page.envelope_of_slice(&found, |found| view::item(&app, found)))?)
}
