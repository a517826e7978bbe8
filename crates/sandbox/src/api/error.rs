//! Errors of the API: JSON with `error` and `error_description`, and the challenges of RFC 6750 §3.

use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use serde_json::json;

use super::json::json_response;
use crate::users::Scope;

/// An error response of the API.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    error: &'static str,
    description: String,
    challenge: Option<String>,
}

impl ApiError {
    fn new(status: StatusCode, error: &'static str, description: impl Into<String>) -> Self {
        Self { status, error, description: description.into(), challenge: None }
    }

    fn unauthorized(error: &'static str, description: &str, challenge: &str) -> Self {
        Self { challenge: Some(challenge.to_owned()), ..Self::new(StatusCode::UNAUTHORIZED, error, description) }
    }

    /// No credential: the challenge has no error code (RFC 6750 §3.1).
    pub(super) fn no_credential() -> Self {
        let description = "send a bearer token, an X-Api-Key header or HTTP Basic";
        Self::unauthorized("unauthorized", description, r#"Bearer realm="sandbox""#)
    }

    pub(super) fn invalid_token() -> Self {
        let description = "the access token is unknown, has expired or was revoked";
        let challenge = format!(r#"Bearer realm="sandbox", error="invalid_token", error_description="{description}""#);
        Self::unauthorized("invalid_token", description, &challenge)
    }

    pub(super) fn invalid_api_key() -> Self {
        let description = "the API key is wrong";
        let challenge = r#"Bearer realm="sandbox""#;
        Self::unauthorized("invalid_api_key", description, challenge)
    }

    pub(super) fn invalid_password() -> Self {
        let description = "the user name or the password is wrong";
        let challenge = r#"Basic realm="sandbox", charset="UTF-8""#;
        Self::unauthorized("invalid_credentials", description, challenge)
    }

    pub(super) fn insufficient_scope(needed: Scope) -> Self {
        let scope = needed.name();
        let description = format!("the access token lacks the scope {scope}");
        let challenge = format!(r#"Bearer realm="sandbox", error="insufficient_scope", scope="{scope}""#);
        Self { challenge: Some(challenge), ..Self::new(StatusCode::FORBIDDEN, "insufficient_scope", description) }
    }

    pub(super) fn invalid_request(description: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", description)
    }

    pub(super) fn not_json() -> Self {
        let description = "the content type is not application/json";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported_media_type", description)
    }

    pub(super) fn not_found(description: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", description)
    }

    pub(super) fn method_not_allowed() -> Self {
        let description = "this endpoint has no such method";
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, "method_not_allowed", description)
    }

    pub(super) fn too_many_notes(limit: usize) -> Self {
        let description = format!("the user has {limit} notes already; delete some first");
        Self::new(StatusCode::CONFLICT, "too_many_notes", description)
    }

    /// The state file could not be written; see the log.
    pub(super) fn storage_failed() -> Self {
        let description = "the change could not be saved";
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::new(status, "server_error", description)
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::new(status, "payload_too_large", "the body exceeds 64 KiB");
        }
        Self::new(status, "invalid_request", "the body could not be read")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = json_response(self.status, &body);
        let challenge = self.challenge.map(HeaderValue::try_from);
        if let Some(Ok(challenge)) = challenge {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
