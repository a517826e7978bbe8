//! Errors of the token and revocation endpoints (RFC 6749 §5.2).

use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};

use crate::state::GrantError;

/// An error response: the code for programs and the description for developers.
#[derive(Debug)]
pub(crate) struct OAuthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OAuthError {
    pub(crate) const fn invalid_request(description: &'static str) -> Self {
        Self::bad_request("invalid_request", description)
    }

    pub(crate) const fn invalid_client(description: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description }
    }

    pub(crate) const fn bad_request(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    /// The state file could not be written; see the log.
    pub(crate) const fn storage_failed() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            error: "server_error",
            description: "the change could not be saved",
        }
    }
}

impl From<GrantError> for OAuthError {
    fn from(error: GrantError) -> Self {
        let (code, description) = match error {
            GrantError::CodeUnknown => ("invalid_grant", "the code is unknown, has expired or was tried before"),
            GrantError::CodeReused => {
                ("invalid_grant", "the code was used before, so everything issued for it is now revoked")
            }
            GrantError::CodeOfAnotherClient => ("invalid_grant", "the code was issued to another client"),
            GrantError::RedirectUriDiffers => {
                ("invalid_grant", "redirect_uri differs from the one of the authorization request")
            }
            GrantError::VerifierDiffers => ("invalid_grant", "code_verifier does not match the code_challenge"),
            GrantError::RefreshTokenUnknown => {
                ("invalid_grant", "the refresh token is unknown, has expired or was revoked")
            }
            GrantError::RefreshTokenReused => {
                ("invalid_grant", "the refresh token was used before, so its whole grant is now revoked")
            }
            GrantError::RefreshTokenOfAnotherClient => {
                ("invalid_grant", "the refresh token was issued to another client")
            }
            GrantError::ScopeExceeded => ("invalid_scope", "the scope exceeds what the user allowed"),
        };
        Self::bad_request(code, description)
    }
}

impl From<BytesRejection> for OAuthError {
    fn from(rejection: BytesRejection) -> Self {
        Self {
            status: rejection.status(),
            error: "invalid_request",
            description: "the body could not be read or is too large",
        }
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut response = uncached_json(self.status, &body);
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static(r#"Basic realm="sandbox""#);
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// JSON that may contain tokens and must not be cached (RFC 6749 §5.1).
pub(crate) fn uncached_json(status: StatusCode, body: &Value) -> Response {
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")];
    (status, headers, body.to_string()).into_response()
}
