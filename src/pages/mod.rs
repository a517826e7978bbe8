//! The pages for users: the connect page, the callback of the provider, the result.
//!
//! Server-rendered, without JavaScript. GET never changes anything (R03); forms are accepted from our
//! own pages only (R78); every HTML response has a strict content security policy (R77).

mod assets;
mod callback;
mod choice;
mod connect;
mod device;
mod endings;
mod fields;
mod policy;
mod reference;
mod render;
mod scheme_choice;

mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};

use crate::api::operations::Operation;
use crate::app::App;
use crate::error::Error;

/// Pages outside the API's prefix.
pub fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/link/done", get(endings::done))
        .route("/link/return", get(endings::return_to_app))
        .route("/link/choice/{token}", get(choice::show).post(choice::submit))
        .route("/link/device/{token}", get(device::show))
        .route("/link/{token}", get(connect::show).post(connect::submit))
        .route("/link/{token}/reject", post(connect::reject))
        .layer(from_fn(headers))
        .merge(assets::router())
}

/// `/docs`, the reference of these operations of the API.
pub fn reference(operations: Vec<&'static Operation>) -> Router<Arc<App>> {
    reference::router(operations).layer(from_fn(headers))
}

/// Routes under the prefix of the API that take no key: redirect URIs, one per auth config, and a shared one for auth
/// configs with their own; and the metadata of clients.
const CALLBACKS: [&str; 3] =
    ["/toolkits/auth/callback", "/toolkits/auth/callback/{name}", "/toolkits/auth/client/{auth_config_id}"];

/// The routes of [`CALLBACKS`]. `form_post` responses arrive as POST.
pub fn callbacks() -> Router<Arc<App>> {
    let [shared, own, client] = CALLBACKS;
    Router::new()
        .route(shared, get(callback::shared).post(callback::posted))
        .route(own, get(callback::own).post(callback::posted))
        .route(client, get(callback::client))
}

/// Whether a route under the prefix of the API takes no key.
pub fn is_callback(route: &str) -> bool {
    CALLBACKS.contains(&route)
}

/// Whether the response at this path is a page.
pub fn is_page(path: &str) -> bool {
    path.starts_with("/link/") || path.contains("/toolkits/auth/callback")
}

/// The page of a visitor whose address is rate limited.
pub fn rate_limited(app: &App, error: &Error, request_id: &str) -> Response {
    let mut response = endings::error_page(app, error, request_id);
    policy::add_headers(response.headers_mut());
    response
}

/// Headers of every page.
pub async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    policy::add_headers(response.headers_mut());
    response
}
