//! Responses of revocation endpoints (RFC 7009 section 2.2).
//!
//! A success consists of its status only, so that an unreadable body is not an error. Some providers report
//! errors with status 200 here, too.

use switchboard_catalog::TokenResponse;

use crate::document;
use crate::token_error::{TokenError, TokenErrorKind};
use crate::token_response::ProviderResponse;

/// Codes for a token that is invalid already, which is the desired result (section 2.2: an invalid token is
/// not an error; section 2.1 of RFC 6750 and several providers report it anyway).
const INVALID_TOKEN_CODES: [&str; 4] = ["invalid_token", "token_revoked", "token_expired", "token_not_found"];

/// Outcome of revoking one token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RevocationResponse {
    /// The token is invalid, now or since earlier.
    Revoked,
    /// Tokens of this type cannot be revoked individually (section 2.2.1).
    UnsupportedToken,
    /// A transient failure; a retry may help.
    Later(TokenError),
    /// The provider refused.
    Refused(TokenError),
}

/// Parses the response of a revocation endpoint.
pub fn parse_revocation_response(response: &TokenResponse, answer: &ProviderResponse<'_>) -> RevocationResponse {
    let status = answer.status;
    let error = match document::parse(answer.headers, answer.body) {
        Ok(answer) => TokenError::reported(response, status, &answer),
        Err(_) if matches!(status, 200..=299) => None,
        Err(reason) => Some(TokenError::unreadable(&response.errors, status, &reason)),
    };
    let Some(error) = error else { return RevocationResponse::Revoked };
    match error.code.as_deref() {
        Some(code) if INVALID_TOKEN_CODES.contains(&code) => RevocationResponse::Revoked,
        Some("unsupported_token_type") => RevocationResponse::UnsupportedToken,
        _ if error.kind == TokenErrorKind::Transient => RevocationResponse::Later(error),
        _ => RevocationResponse::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::fixtures::oauth;

    fn parsed(response: &TokenResponse, status: u16, body: &str) -> RevocationResponse {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        parse_revocation_response(
            response,
            &ProviderResponse { status, headers: &headers, body: body.as_bytes(), now: 0 },
        )
    }

    fn answer(status: u16, body: &str) -> RevocationResponse {
        parsed(&oauth("").response, status, body)
    }

    #[test]
    fn a_success_needs_no_body() {
        for body in ["", "{}", "OK", "<html>", r#"{"ok":true}"#] {
            assert_eq!(answer(200, body), RevocationResponse::Revoked, "{body}");
        }
    }

    #[test]
    fn an_invalid_token_counts_as_revoked() {
        assert_eq!(answer(400, r#"{"error":"invalid_token"}"#), RevocationResponse::Revoked);
        assert_eq!(answer(200, r#"{"ok":false,"error":"token_revoked"}"#), RevocationResponse::Revoked);
    }

    #[test]
    fn permanent_errors_are_distinguished_from_transient_ones() {
        for (status, body) in [(500, ""), (503, "busy"), (429, "{}"), (302, ""), (400, r#"{"error":"server_error"}"#)] {
            assert!(matches!(answer(status, body), RevocationResponse::Later(_)), "{status} {body}");
        }
        for (status, body) in [(401, r#"{"error":"invalid_client"}"#), (400, r#"{"error":"invalid_grant"}"#), (404, "")]
        {
            assert!(matches!(answer(status, body), RevocationResponse::Refused(_)), "{status} {body}");
        }
        assert_eq!(answer(400, r#"{"error":"unsupported_token_type"}"#), RevocationResponse::UnsupportedToken);
    }

    #[test]
    fn an_error_may_come_with_status_200_where_the_toolkit_says_how() {
        let odd = oauth("response = { error_pointer = \"/ok\", error_value = false }");
        let body = r#"{"ok":false,"error":"not_allowed_token_type"}"#;
        assert!(matches!(parsed(&odd.response, 200, body), RevocationResponse::Refused(_)));
    }
}
