//! `/livez` and `/readyz` for load balancers; neither tells anything about the data.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

use crate::app::App;

/// Health routes.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/livez", get(alive)).route("/readyz", get(ready))
}

/// 200 while the process answers; asks no database.
async fn alive() -> &'static str {
    "ok"
}

/// 200 while reads and writes work and the server is not shutting down.
async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down");
    }
    match app.check_ready().await {
        Ok(()) => (StatusCode::OK, "ok"),
        Err(error) => {
            tracing::warn!(error = error.message(), cause = error.causes(), "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "database is unavailable")
        }
    }
}
