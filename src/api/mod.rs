//! The REST API: what is mounted where, without logic.
//!
//! Every operation is available under `/api/v3.1` and `/api/v3`. Everything requires a key
//! ([`http::auth::require_key`]) except [`public`] and operations that the table marks as public. The
//! table of operations is [`table`]: routes, keys and permissions.
//!
//! A link call can be followed through four files: this one → `session/links.rs` → `app/link/mod.rs` →
//! `crates/store/src/links.rs` (the account's row: `…/accounts/state.rs`).

pub mod account;
pub mod auth_config;
pub mod http;
pub mod openapi;
pub mod operations;
pub mod org;
pub mod session;
pub mod table;
pub mod toolkit;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::any;

use self::operations::{EARLIER_PREFIX, PREFIX};
use crate::app::App;
use crate::pages;

/// The whole service: API, pages, health.
pub fn router(app: &Arc<App>) -> Router {
    Router::new()
        .nest(PREFIX, operations())
        .nest(EARLIER_PREFIX, operations())
        .merge(outside_the_prefix())
        .merge(pages::router())
        .merge(http::health::router())
        .fallback(http::error::unknown_path)
        .method_not_allowed_fallback(http::error::unknown_method)
        // Around everything: assigns the request id, finds the operation, validates HTTP, counts for the rate limits, checks
        // the key, writes the log line, renders errors.
        .layer(from_fn_with_state(http::edge::Edge { app: Arc::clone(app), find: table::find }, http::edge::guard))
        .with_state(Arc::clone(app))
}

/// Operations of the API.
fn operations() -> Router<Arc<App>> {
    table::routes().merge(public())
}

/// The session MCP endpoint, the `OpenAPI` document and its reference page are outside of the prefix.
fn outside_the_prefix() -> Router<Arc<App>> {
    let table: Vec<_> = table::all().collect();
    Router::new()
        .route("/tool_router/{session_id}/mcp", any(table::not_built))
        .merge(openapi::router(table.clone()))
        .merge(pages::reference(table))
}

/// Operations without a key: the redirect URIs that browsers come back to.
fn public() -> Router<Arc<App>> {
    pages::callbacks().layer(from_fn(pages::headers))
}
