//! `/org/project/config`: the settings of the key's own project (contract section 8.5).

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use crate::api::http::auth::Caller;
use crate::api::http::body::{JsonBody, json};
use crate::api::http::error::ApiError;
use crate::app::App;
use crate::app::project::config::ConfigChange;

/// `GET /org/project/config` → 200.
pub async fn read(State(app): State<Arc<App>>, caller: Caller) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &app.projects.settings(&caller.project_id).await?)?)
}

/// `PATCH /org/project/config` → 200 with all settings. The change is idempotent, so an
/// `Idempotency-Key` is trivially supported.
pub async fn change(
    State(app): State<Arc<App>>,
    caller: Caller,
    body: JsonBody<ConfigChange>,
) -> Result<Response, ApiError> {
    Ok(json(StatusCode::OK, &app.projects.configure(&caller.actor(), &body.value).await?)?)
}
