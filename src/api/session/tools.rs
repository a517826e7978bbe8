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
use crate::app::base::tools::FoundTool;
use crate::app::meta::definitions::MetaTool;

/// Maximum page size, and the default.
pub const MAX_PAGE_SIZE: i64 = 500;

/// A tool of the list.
#[derive(Clone, Copy)]
enum Listed<'a> {
    Tool(&'a FoundTool),
    Meta(&'static MetaTool),
}

impl<'a> Listed<'a> {
    fn item(self, app: &App) -> view::ToolItem<'a> {
        match self {
            Self::Tool(found) => view::item_of_session(app, found),
            Self::Meta(tool) => view::meta_item(app, tool),
        }
    }
}

/// `GET /tool_router/session/{session_id}/tools` → 200 page: the preloaded tools that the session may use, then the meta
/// tools.
pub async fn list(
    State(app): State<Arc<App>>,
    caller: Caller,
    Id(session_id): Id,
    query: Query,
) -> Result<Response, ApiError> {
    let page = PageRequest::from_query(&query, MAX_PAGE_SIZE, MAX_PAGE_SIZE)?;
    let session = app.sessions.get(&caller.project_id, &session_id.into()).await?;
    let found = app.tools.listed(&session).await?;
    let own = found.iter().map(Listed::Tool);
    let listed: Vec<_> = own.chain(MetaTool::offered(&session.config).map(Listed::Meta)).collect();
    Ok(json(StatusCode::OK, &page.envelope_of_slice(&listed, |listed| listed.item(&app)))?)
}
