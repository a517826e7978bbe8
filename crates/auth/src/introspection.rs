//! Responses of introspection endpoints (RFC 7662 section 2.2).

use serde_json::Value;
use switchboard_catalog::TokenResponse;

use crate::token_error::TokenError;
use crate::token_response::{ProviderResponse, read};

/// The used part of an introspection response (RFC 7662 section 2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Introspection {
    /// Whether the token is active; `None` if the response does not contain it.
    pub is_active: Option<bool>,
    /// When it expires, in seconds since 1970.
    pub ends_at: Option<i64>,
}

/// Parses the response of an introspection endpoint.
///
/// # Errors
/// As [`crate::parse_token_response`].
pub fn parse_introspection_response(answer: &ProviderResponse<'_>) -> Result<Introspection, TokenError> {
    let document = read(&TokenResponse::default(), answer)?;
    Ok(Introspection {
        is_active: document.get("active").and_then(Value::as_bool),
        ends_at: document.get("exp").and_then(Value::as_i64),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn introspection_responses() {
        let headers = HeaderMap::new();
        let read = |status, body: &str| {
            parse_introspection_response(&ProviderResponse { status, headers: &headers, body: body.as_bytes(), now: 0 })
        };
        let response = |is_active, ends_at| Ok(Introspection { is_active, ends_at });
        assert_eq!(read(200, r#"{"active":true,"exp":1900000000}"#), response(Some(true), Some(1_900_000_000)));
        assert_eq!(read(200, r#"{"active":false}"#), response(Some(false), None));
        assert_eq!(read(200, r#"{"active":"yes"}"#), response(None, None));
        assert_eq!(read(401, r#"{"error":"invalid_client"}"#).unwrap_err().code.as_deref(), Some("invalid_client"));
        assert!(read(200, "<html>").is_err());
    }
}
