//! The REST API: its route table, and nothing that decides.
//!
//! Every operation stands under `/api/v3.1` and `/api/v3` alike. Everything here needs a project
//! key ([`auth::require_key`]) except what [`public`] lists; what is not built yet answers 501
//! ([`missing`]). From here one follows a link call down in four files: this one → `links.rs` beside
//! it → `app/links.rs` → `crates/store/src/links.rs` (the account's row: `…/accounts/state.rs`).

pub mod auth;
pub mod auth_configs;
pub mod body;
pub mod connected_accounts;
pub mod edge;
pub mod error;
pub mod health;
pub mod links;
pub mod missing;
pub mod page;
pub mod path;
pub mod proxy;
pub mod query;
pub mod session_view;
pub mod sessions;
pub mod state_view;
pub mod strict;
pub mod toolkits;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use crate::app::App;
use crate::pages;

/// The whole service: API, pages, health.
pub fn router(app: &Arc<App>) -> Router {
    Router::new()
        .nest("/api/v3.1", operations(app))
        .nest("/api/v3", operations(app))
        .merge(missing::outside_the_api())
        .merge(pages::router())
        .merge(health::router())
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::unknown_method)
        // Outermost: names the request, guards the edge, writes the log line, renders errors.
        .layer(from_fn_with_state(Arc::clone(app), edge::guard))
        .with_state(Arc::clone(app))
}

/// Operations of the API.
fn operations(app: &Arc<App>) -> Router<Arc<App>> {
    let secured = Router::new()
        .route("/tool_router/session", post(sessions::create))
        .route("/tool_router/session/{session_id}", get(sessions::read).delete(sessions::delete))
        .route("/tool_router/session/{session_id}/link", post(links::create))
        .route("/tool_router/session/{session_id}/proxy_execute", post(proxy::execute))
        .route("/connected_accounts", get(connected_accounts::list))
        .route("/connected_accounts/{id}", get(connected_accounts::read).delete(connected_accounts::delete))
        .route("/auth_configs", get(auth_configs::list).post(auth_configs::create))
        .route("/auth_configs/{id}", get(auth_configs::read).delete(auth_configs::delete))
        .route("/toolkits", get(toolkits::list))
        .route("/toolkits/{slug}", get(toolkits::read))
        .merge(missing::operations())
        .fallback(error::unknown_path)
        .method_not_allowed_fallback(error::unknown_method)
        .layer(from_fn_with_state(Arc::clone(app), auth::require_key));
    secured.merge(public())
}

/// Operations without a key: the redirect URIs that browsers come back to.
fn public() -> Router<Arc<App>> {
    pages::callbacks().layer(from_fn(pages::headers))
}
