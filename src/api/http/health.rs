//! `/livez` and `/readyz` for load balancers; neither reveals data.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::error::ApiError;
use crate::app::App;
use crate::error::{Code, Error};

/// Health routes.
pub fn router() -> Router<Arc<App>> {
    Router::new().route("/livez", get(alive)).route("/readyz", get(ready))
}

/// 200 while the process responds; does not use the database.
async fn alive() -> &'static str {
    "ok"
}

/// 200 while reads and writes work, all background jobs run, and the server is not shutting down.
async fn ready(State(app): State<Arc<App>>) -> Response {
    if app.core.stopping.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down").into_response();
    }
    if let Some(job) = app.jobs.first_stopped() {
        return ApiError(Error::of(Code::JobDown, &[("job", &job)])).into_response();
    }
    match app.core.check_ready().await {
        Ok(()) => "ok".into_response(),
        Err(error) => {
            tracing::warn!(error = error.message(), cause = error.causes(), "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "database is unavailable").into_response()
        }
    }
}
