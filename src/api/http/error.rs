//! The only place where an error becomes a response: the envelope of contract section 9.
//!
//! A handler's error is passed in the response's extensions to `edge.rs`, which knows the request id,
//! writes the log line and calls [`render`] for the body. A 5xx does not reveal its cause to the
//! caller.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::{Class, Code, Error};

/// An application error as a response.
#[derive(Debug)]
pub struct ApiError(pub Error);

impl<E: Into<Error>> From<E> for ApiError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// In the extensions of a response whose body `edge.rs` has to render.
#[derive(Clone, Debug)]
pub struct Unrendered(pub Arc<Error>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status(self.0.code().class());
        response.extensions_mut().insert(Unrendered(Arc::new(self.0)));
        response
    }
}

/// Every error response (4xx and 5xx) has this body.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Error")]
pub struct Envelope<'a> {
    /// What went wrong.
    error: EnvelopeError<'a>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ErrorDetails")]
struct EnvelopeError<'a> {
    /// One sentence for a developer.
    message: &'a str,
    /// Number of the error; stable.
    code: u32,
    /// Name of the error; stable.
    slug: &'a str,
    /// The HTTP status.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// As in `x-request-id`.
    request_id: &'a str,
    /// How to fix it.
    suggested_fix: &'a str,
    /// Each problem with its location; may be empty.
    errors: &'a [String],
}

/// Renders an error.
pub fn render(error: &Error, request_id: &str) -> Response {
    let code = error.code();
    let status = status(code.class());
    let envelope = Envelope {
        error: EnvelopeError {
            message: error.message(),
            code: code.number(),
            slug: code.slug(),
            status: status.as_u16(),
            request_id,
            suggested_fix: error.suggested_fix(),
            errors: error.errors(),
        },
    };
    let body = serde_json::to_vec(&envelope).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match code.class() {
        // SDKs retry 409 and 5xx on their own unless told not to (contract section 1.5). A provider may
        // have acted on the request, and an operation that is not built stays so.
        Class::Conflict | Class::NotImplemented | Class::BadGateway | Class::GatewayTimeout => {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
        Class::Unavailable => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        _ => {}
    }
    if error.is_final() {
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
    }
    if let Some(seconds) = error.retry_after_seconds() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The HTTP status of each class.
pub fn status(class: Class) -> StatusCode {
    match class {
        Class::BadRequest => StatusCode::BAD_REQUEST,
        Class::Unauthorized => StatusCode::UNAUTHORIZED,
        Class::Forbidden => StatusCode::FORBIDDEN,
        Class::NotFound => StatusCode::NOT_FOUND,
        Class::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Class::Timeout => StatusCode::REQUEST_TIMEOUT,
        Class::Conflict => StatusCode::CONFLICT,
        Class::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        Class::Gone => StatusCode::GONE,
        Class::UriTooLong => StatusCode::URI_TOO_LONG,
        Class::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Class::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Class::Misdirected => StatusCode::MISDIRECTED_REQUEST,
        Class::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        Class::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        Class::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Class::BadGateway => StatusCode::BAD_GATEWAY,
        Class::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Class::GatewayTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// Unknown path.
pub async fn unknown_path() -> ApiError {
    ApiError(Error::new(Code::NotFound, "Unknown path"))
}

/// The path exists with other methods; the `allow` header lists them.
pub async fn unknown_method() -> ApiError {
    ApiError(Error::new(Code::MethodNotAllowed, "This path does not take this method"))
}
