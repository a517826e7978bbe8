//! A revocation endpoint's answer (RFC 7009 section 2.2).
//!
//! A success says nothing more than its status, so a body that cannot be read is no failure then.
//! Providers that report errors with status 200 do so here, too.

use switchboard_catalog::TokenResponse;

use crate::document;
use crate::token_error::{TokenError, TokenErrorKind};
use crate::token_response::Answer;

/// Codes that say that the token is dead already, which is what was asked for (section 2.2: an
/// invalid token is no error; section 2.1 of RFC 6750 and several providers name it all the same).
const DEAD: [&str; 4] = ["invalid_token", "token_revoked", "token_expired", "token_not_found"];

/// What a revocation endpoint said of one token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RevocationAnswer {
    /// The token is dead, now or since earlier.
    Revoked,
    /// Tokens of this kind are not revoked by themselves (section 2.2.1).
    UnsupportedToken,
    /// The provider is unwell; trying again may help.
    Later(TokenError),
    /// The provider will not do it.
    Refused(TokenError),
}

/// Reads a revocation endpoint's answer.
pub fn parse_revocation_response(response: &TokenResponse, answer: &Answer<'_>) -> RevocationAnswer {
    let status = answer.status;
    let error = match document::parse(answer.headers, answer.body) {
        Ok(answer) => TokenError::reported(response, status, &answer),
        Err(_) if matches!(status, 200..=299) => None,
        Err(reason) => Some(TokenError::unreadable(&response.errors, status, &reason)),
    };
    let Some(error) = error else { return RevocationAnswer::Revoked };
    match error.code.as_deref() {
        Some(code) if DEAD.contains(&code) => RevocationAnswer::Revoked,
        Some("unsupported_token_type") => RevocationAnswer::UnsupportedToken,
        _ if error.kind == TokenErrorKind::Transient => RevocationAnswer::Later(error),
        _ => RevocationAnswer::Refused(error),
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue};

    use super::*;
    use crate::fixtures::oauth;

    fn parsed(response: &TokenResponse, status: u16, body: &str) -> RevocationAnswer {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        parse_revocation_response(response, &Answer { status, headers: &headers, body: body.as_bytes(), now: 0 })
    }

    fn answer(status: u16, body: &str) -> RevocationAnswer {
        parsed(&oauth("").response, status, body)
    }

    #[test]
    fn a_success_needs_no_body() {
        for body in ["", "{}", "OK", "<html>", r#"{"ok":true}"#] {
            assert_eq!(answer(200, body), RevocationAnswer::Revoked, "{body}");
        }
    }

    #[test]
    fn a_token_that_is_dead_already_is_revoked() {
        assert_eq!(answer(400, r#"{"error":"invalid_token"}"#), RevocationAnswer::Revoked);
        assert_eq!(answer(200, r#"{"ok":false,"error":"token_revoked"}"#), RevocationAnswer::Revoked);
    }

    #[test]
    fn refusals_are_told_from_troubles_that_pass() {
        for (status, body) in [(500, ""), (503, "busy"), (429, "{}"), (302, ""), (400, r#"{"error":"server_error"}"#)] {
            assert!(matches!(answer(status, body), RevocationAnswer::Later(_)), "{status} {body}");
        }
        for (status, body) in [(401, r#"{"error":"invalid_client"}"#), (400, r#"{"error":"invalid_grant"}"#), (404, "")]
        {
            assert!(matches!(answer(status, body), RevocationAnswer::Refused(_)), "{status} {body}");
        }
        assert_eq!(answer(400, r#"{"error":"unsupported_token_type"}"#), RevocationAnswer::UnsupportedToken);
    }

    #[test]
    fn an_error_may_come_with_status_200_where_the_toolkit_says_how() {
        let odd = oauth("response = { error_pointer = \"/ok\", error_value = false }");
        let body = r#"{"ok":false,"error":"not_allowed_token_type"}"#;
        assert!(matches!(parsed(&odd.response, 200, body), RevocationAnswer::Refused(_)));
    }
}
