//! Who calls: exactly one credential, a project key in `x-api-key` (contract section 1.2).
//!
//! A layer over all operations, not an extractor that a handler could forget: every route is denied
//! by default (R62). Missing, malformed, unknown, expired and revoked keys answer alike.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::edge::{LoggedKey, RequestId};
use super::error::ApiError;
use super::limits;
use crate::app::{Actor, App};
use crate::error::{Code, Error};

/// Headers that carry a credential. More than one of them is refused.
pub const CREDENTIALS: [&str; 3] = ["x-api-key", "x-user-api-key", "x-org-api-key"];

/// The authenticated caller of an operation.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The project that the key opens.
    pub project_id: String,
    /// Which key.
    pub key_id: String,
    /// Of this request.
    pub request_id: Arc<str>,
}

impl Caller {
    /// The caller as the audit log names it.
    pub fn actor(&self) -> Actor {
        Actor {
            project_id: self.project_id.clone(),
            name: self.key_id.clone(),
            request_id: Some(self.request_id.to_string()),
        }
    }
}

/// Lets a request through with a valid key only.
pub async fn require_key(State(app): State<Arc<App>>, mut request: Request, next: Next) -> Response {
    let presented = match presented_key(request.headers()) {
        Ok(presented) => presented.to_owned(),
        Err(error) => return ApiError(error).into_response(),
    };
    let authenticated = match app.authenticate(&presented).await {
        Ok(authenticated) => authenticated,
        Err(error) => return ApiError(error).into_response(),
    };
    let request_id = request.extensions().get::<RequestId>().map_or_else(|| "".into(), |id| Arc::clone(&id.0));
    let caller = Caller { project_id: authenticated.project_id, key_id: authenticated.key_id, request_id };
    let logged = LoggedKey(caller.key_id.clone());
    request.extensions_mut().insert(caller);
    let mut response = limits::with_key(&app, &logged.0, next.run(request)).await;
    response.extensions_mut().insert(logged);
    response
}

fn presented_key(headers: &HeaderMap) -> Result<&str, Error> {
    let given = CREDENTIALS.iter().flat_map(|name| headers.get_all(*name)).count();
    if given > 1 {
        return Err(Error::new(Code::Unauthorized, "Multiple authentication modes were provided")
            .fix("Send exactly one of x-api-key, x-user-api-key and x-org-api-key."));
    }
    let Some(value) = headers.get("x-api-key") else {
        let message =
            if given == 1 { "This server has no user or organisation keys" } else { "No API key was provided" };
        return Err(Error::new(Code::Unauthorized, message));
    };
    let key = value.to_str().map_err(|_| Error::new(Code::Unauthorized, "Invalid API key"))?;
    if key.starts_with("uak_") || key.starts_with("oak_") {
        return Err(Error::new(Code::Unauthorized, "A user or organisation key was sent as a project key"));
    }
    Ok(key)
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // Absent only where a route was mounted outside `require_key`: then nobody gets in.
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| ApiError(Error::new(Code::Unauthorized, "No API key was provided")))
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self("".into())))
    }
}
