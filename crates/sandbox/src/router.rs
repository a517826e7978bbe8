//! The route table.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::IntoResponse;
use axum::routing::get;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::app::App;
use crate::config::{Clock, SandboxConfig};
use crate::store::Store;
use crate::{api, oauth, pages};

/// Maximum size of a request body in bytes.
const BODY_LIMIT: usize = 64 * 1024;

/// Builds the provider's router, to be served at its issuer URL.
///
/// # Errors
/// When the configuration is inconsistent ([`io::ErrorKind::InvalidInput`]), or when the state file exists
/// but cannot be read or parsed. The message names the setting or the file.
pub fn router(config: SandboxConfig, clock: Arc<dyn Clock>) -> io::Result<Router> {
    config.check()?;
    let store = Store::open(config.state_file.clone())?;
    let app = Arc::new(App { config, store, clock });
    let router = Router::new()
        .route("/", get(pages::home))
        .route("/health", get(|| async { "ok" }))
        .route("/sandbox.css", get(stylesheet))
        .merge(oauth::router())
        .merge(api::router())
        .fallback(pages::not_found)
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    Ok(router.with_state(app))
}

async fn stylesheet() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        // Changes with the binary, but its URL has no version.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, include_str!("../assets/sandbox.css"))
}
