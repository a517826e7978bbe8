//! The API for connected apps: the user, their notes and workspaces, and an echo of the request.

mod auth;
mod error;
mod json;
mod notes;
mod workspaces;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use axum::routing::{any, delete, get};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::json;

use crate::app::App;
use auth::Caller;
use error::ApiError;
use json::json_response;

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/api/me", get(me))
        .route("/api/notes", get(notes::list).post(notes::create))
        .route("/api/notes/{id}", delete(notes::remove))
        .route("/api/workspaces", get(workspaces::list))
        .route("/api/workspaces/{id}/summary", get(workspaces::summary))
        .route("/api/echo", any(echo))
        .route("/api/echo/{*rest}", any(echo))
        .route("/api/{*rest}", any(no_such_endpoint))
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
}

async fn no_such_endpoint() -> ApiError {
    ApiError::not_found("there is no such endpoint")
}

/// `GET /api/me`: the user of the credential; any scope allows it.
async fn me(Caller { user, .. }: Caller) -> Response {
    let body = json!({
        "id": user.id(),
        "username": user.username(),
        "email": user.email(),
        "name": user.name(),
    });
    json_response(StatusCode::OK, &body)
}

/// `/api/echo` and below, any method, without authentication: returns the request as received, including
/// credentials. It is for testing whether a proxy redacts them.
async fn echo(
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for (name, value) in &headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        seen.entry(name.as_str())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    let body = json!({
        "method": method.as_str(),
        "path": uri.path(),
        "query": uri.query().unwrap_or_default(),
        "headers": seen,
        "body": String::from_utf8_lossy(&body?),
    });
    Ok(json_response(StatusCode::OK, &body))
}
