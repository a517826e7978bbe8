//! Responses with credentials (RFC 5849 sections 2.1 and 2.3), including common deviations: unreliable
//! content types, JSON bodies, errors in many formats.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use switchboard_catalog::TokenErrors;
use switchboard_vault::Secret;

use super::Token;
use crate::token_error::{TokenError, TokenErrorKind, code_and_description, is_empty_value, is_success};
use crate::{document, text};

/// Maximum length of a captured value in bytes.
const MAX_CAPTURED: usize = 4096;

/// Temporary or token credentials, with further values of the response.
#[derive(Clone, Debug)]
pub struct TokenCredentials {
    /// `oauth_token`. Never empty, printable ASCII.
    pub token: Secret,
    /// `oauth_token_secret`. Never empty, printable ASCII.
    pub secret: Secret,
    /// Captured non-secret values: at most 4096 bytes each, without control characters.
    pub captured: BTreeMap<String, String>,
}

impl TokenCredentials {
    /// As a signing token.
    pub fn as_token(&self) -> Token<'_> {
        Token { token: self.token.expose(), secret: self.secret.expose() }
    }
}

/// The step of the flow, which determines the meaning of an error without a code.
#[derive(Clone, Copy)]
enum Step {
    /// Temporary credentials: only the client has authenticated.
    Temporary,
    /// Token credentials: the client was accepted in the previous step.
    Access,
}

/// Parses temporary credentials and the values named by `capture`.
///
/// # Errors
/// [`TokenError`]: the provider's error, or a response without usable credentials. It is of kind
/// [`TokenErrorKind::UnsupportedTokenType`] when the provider does not confirm the callback: otherwise an
/// attacker could let a user authorize the attacker's flow (section 2.1). It contains no token of the
/// response; [`TokenError::without`] also removes values of the request.
pub fn parse_request_token_response(
    capture: &[String],
    status: u16,
    body: &[u8],
) -> Result<TokenCredentials, TokenError> {
    let answer = read(Step::Temporary, status, body)?;
    let confirmed = match answer.get("oauth_callback_confirmed") {
        Some(Value::Bool(confirmed)) => *confirmed,
        Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
        _ => false,
    };
    let credentials = credentials(answer, capture)?;
    if confirmed { Ok(credentials) } else { Err(unconfirmed()) }
}

/// Parses token credentials and the values named by `capture`.
///
/// # Errors
/// [`TokenError`], as above. [`TokenErrorKind::InvalidGrant`]: the temporary credentials or the verifier were
/// rejected.
pub fn parse_access_token_response(
    capture: &[String],
    status: u16,
    body: &[u8],
) -> Result<TokenCredentials, TokenError> {
    credentials(read(Step::Access, status, body)?, capture)
}

fn unconfirmed() -> TokenError {
    let description = "the provider does not confirm the callback, as OAuth 1.0a demands";
    TokenError { kind: TokenErrorKind::UnsupportedTokenType, code: None, description: Some(description.to_owned()) }
}

fn credentials(mut answer: Map<String, Value>, capture: &[String]) -> Result<TokenCredentials, TokenError> {
    let token = secret(&mut answer, "oauth_token")?;
    let secret = secret(&mut answer, "oauth_token_secret")?;
    Ok(TokenCredentials { token, secret, captured: captured(capture, &answer) })
}

/// Moves a secret out of the response, so that no second copy remains.
fn secret(answer: &mut Map<String, Value>, name: &str) -> Result<Secret, TokenError> {
    let secret = match answer.remove(name) {
        Some(Value::String(value)) => Secret::new(value),
        None | Some(Value::Null) => Secret::default(),
        Some(_) => return Err(TokenError::malformed(&format!("{name} is not a string"))),
    };
    if secret.is_empty() {
        return Err(TokenError::malformed(&format!("the answer holds no {name}")));
    }
    if !text::is_vschar(secret.expose()) {
        return Err(TokenError::malformed(&format!("{name} holds a character outside printable ASCII")));
    }
    Ok(secret)
}

fn captured(names: &[String], answer: &Map<String, Value>) -> BTreeMap<String, String> {
    let value = |name: &String| match answer.get(name)? {
        Value::String(text) => Some(text.clone()),
        plain @ (Value::Number(_) | Value::Bool(_)) => Some(plain.to_string()),
        _ => None,
    };
    let fits = |value: &String| value.len() <= MAX_CAPTURED && !value.chars().any(char::is_control);
    names.iter().filter_map(|name| Some((name.clone(), value(name).filter(fits)?))).collect()
}

/// The values of the response, or its error: any status but 2xx is one, and so is a 2xx with a non-empty
/// `oauth_problem` or `error`.
fn read(step: Step, status: u16, body: &[u8]) -> Result<Map<String, Value>, TokenError> {
    let answer = match document::parse_untyped(body) {
        Ok(answer) => answer,
        Err(reason) if is_success(status) => return Err(TokenError::malformed(reason)),
        // Most errors have no body; the status is enough.
        Err(_) => return Err(TokenError { kind: kind(step, status, None), code: None, description: sentence(body) }),
    };
    let named = answer.get("oauth_problem").or_else(|| answer.get("error"));
    let error = named.or_else(|| answer.get("errors")?.get(0)).filter(|error| !is_empty_value(error));
    if is_success(status) && error.is_none() {
        return Ok(answer);
    }
    let (raw_code, raw_description) = code_and_description(&TokenErrors::default(), error, &answer);
    let code = raw_code.and_then(text::error_code);
    let advice = answer.get("oauth_problem_advice").and_then(Value::as_str);
    // A sentence instead of a code is still worth displaying.
    let shown = advice.or(raw_description).or(raw_code.filter(|_| code.is_none())).and_then(text::description);
    Err(TokenError { kind: kind(step, status, code.as_deref()), code, description: shown.or_else(|| sentence(body)) })
}

/// A body that is a single sentence, with which many providers explain an error.
fn sentence(body: &[u8]) -> Option<String> {
    let is_markup = |byte: &u8| b"<>{}=&".contains(byte);
    let plain = std::str::from_utf8(body).ok().filter(|_| !body.iter().any(is_markup))?;
    text::description(plain)
}

/// Kind of an error, by the codes of the OAuth Problem Reporting extension. RFC 5849 itself defines only
/// statuses (section 3.2).
fn kind(step: Step, status: u16, code: Option<&str>) -> TokenErrorKind {
    let is_refusal = matches!(status, 400..=499) && !matches!(status, 408 | 429);
    if !is_refusal && !is_success(status) {
        return TokenErrorKind::Transient;
    }
    match code {
        Some(
            "consumer_key_rejected"
            | "consumer_key_unknown"
            | "invalid_client"
            | "signature_invalid"
            | "signature_method_rejected",
        ) => TokenErrorKind::InvalidClient,
        Some(
            "additional_authorization_required"
            | "invalid_grant"
            | "permission_denied"
            | "permission_unknown"
            | "token_expired"
            | "token_rejected"
            | "token_revoked"
            | "token_used"
            | "user_refused"
            | "verifier_invalid",
        ) => TokenErrorKind::InvalidGrant,
        // Temporarily rejected: too many requests, or the clocks differ.
        Some(
            "consumer_key_refused" | "nonce_used" | "server_error" | "temporarily_unavailable" | "timestamp_refused",
        ) => TokenErrorKind::Transient,
        Some(_) => TokenErrorKind::InvalidRequest,
        None => match (step, status) {
            (Step::Temporary, 401) => TokenErrorKind::InvalidClient,
            (Step::Access, 401) => TokenErrorKind::InvalidGrant,
            _ => TokenErrorKind::Unclassified,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TokenErrorKind::{
        InvalidClient, InvalidGrant, InvalidRequest, Transient, Unclassified, UnsupportedTokenType, Unusable,
    };
    use proptest::prelude::*;

    type Parser = fn(&[String], u16, &[u8]) -> Result<TokenCredentials, TokenError>;
    const BOTH: [Parser; 2] = [parse_request_token_response, parse_access_token_response];

    fn good(parse: Parser, body: &str) -> (String, String) {
        let credentials = parse(&[], 200, body.as_bytes()).unwrap();
        (credentials.token.expose().to_owned(), credentials.secret.expose().to_owned())
    }

    #[test]
    fn credentials_are_read_from_forms_and_json() {
        // The responses of section 1.2, and common variants.
        let bodies = [
            "oauth_token=hh5s93j4hdidpola&oauth_token_secret=hdhd0244k9j7ao03&oauth_callback_confirmed=true",
            "oauth_callback_confirmed=True&oauth_token_secret=hdhd0244k9j7ao03&oauth_token=hh5s93j4hdidpola\n",
            r#"{"oauth_token":"hh5s93j4hdidpola","oauth_token_secret":"hdhd0244k9j7ao03","oauth_callback_confirmed":true}"#,
            r#" {"oauth_token":"hh5s93j4hdidpola","oauth_token_secret":"hdhd0244k9j7ao03","oauth_callback_confirmed":"TRUE"}"#,
        ];
        for body in bodies {
            for parse in BOTH {
                assert_eq!(good(parse, body), ("hh5s93j4hdidpola".to_owned(), "hdhd0244k9j7ao03".to_owned()), "{body}");
            }
        }
        let odd = "oauth_token=a%2Bb%2F%3D&oauth_token_secret=s+%26%25";
        assert_eq!(good(parse_access_token_response, odd), ("a+b/=".to_owned(), "s &%".to_owned()));
    }

    #[test]
    fn the_callback_must_be_confirmed() {
        for confirmed in
            ["", "&oauth_callback_confirmed=", "&oauth_callback_confirmed=false", "&oauth_callback_confirmed=1"]
        {
            let body = format!("oauth_token=canary1&oauth_token_secret=canary2{confirmed}");
            let error = parse_request_token_response(&[], 200, body.as_bytes()).unwrap_err();
            assert_eq!(error.kind, UnsupportedTokenType, "{body}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        let json = br#"{"oauth_token":"a","oauth_token_secret":"b","oauth_callback_confirmed":false}"#;
        assert_eq!(parse_request_token_response(&[], 200, json).unwrap_err().kind, UnsupportedTokenType);
    }

    #[test]
    fn other_values_are_captured_by_name() {
        let names = ["user_id", "screen_name", "absent", "bad", "oauth_token", "oauth_token_secret"].map(str::to_owned);
        let body = b"oauth_token=t&oauth_token_secret=s&user_id=42&screen_name=al+ice&bad=a%0Ab&other=x";
        let credentials = parse_access_token_response(&names, 200, body).unwrap();
        let expected =
            [("screen_name", "al ice"), ("user_id", "42")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(credentials.captured, expected.into());
        let json = br#"{"oauth_token":"t","oauth_token_secret":"s","user_id":42,"screen_name":{"a":1},"absent":null}"#;
        let credentials = parse_access_token_response(&names, 200, json).unwrap();
        assert_eq!(credentials.captured, [("user_id".to_owned(), "42".to_owned())].into());
    }

    #[test]
    fn answers_without_usable_credentials() {
        let cases = [
            ("", "the answer is empty"),
            ("<html>", "the answer holds no oauth_token"),
            ("oauth_token=canary1", "the answer holds no oauth_token_secret"),
            ("oauth_token=&oauth_token_secret=canary1", "the answer holds no oauth_token"),
            ("oauth_token=canary1&oauth_token_secret=", "the answer holds no oauth_token_secret"),
            ("oauth_token=canary1&oauth_token=canary2&oauth_token_secret=x", "the answer repeats a parameter"),
            ("oauth_token=canary1%0A&oauth_token_secret=x", "oauth_token holds a character outside printable ASCII"),
            ("oauth_token=canary1&oauth_token_secret=%zz", "the answer is not a well-formed form"),
            (r#"{"oauth_token":1,"oauth_token_secret":"canary1"}"#, "oauth_token is not a string"),
            (r#"{"oauth_token":"canary1","oauth_token":"canary2"}"#, "the answer repeats a JSON key"),
        ];
        for (body, reason) in cases {
            for parse in BOTH {
                let error = parse(&[], 200, body.as_bytes()).unwrap_err();
                assert_eq!((error.kind, error.description.as_deref()), (Unusable, Some(reason)), "{body}");
            }
        }
    }

    #[test]
    fn refusals() {
        let problem = "oauth_problem=token_rejected&oauth_problem_advice=Ask+again";
        // Status and body; kinds in either step; code; description.
        let cases = [
            (401, "", InvalidClient, InvalidGrant, None, None),
            (401, "Invalid signature", InvalidClient, InvalidGrant, None, Some("Invalid signature")),
            (401, "100% wrong", InvalidClient, InvalidGrant, None, Some("100% wrong")),
            (401, "<html>no</html>", InvalidClient, InvalidGrant, None, None),
            (403, "", Unclassified, Unclassified, None, None),
            (400, problem, InvalidGrant, InvalidGrant, Some("token_rejected"), Some("Ask again")),
            (200, problem, InvalidGrant, InvalidGrant, Some("token_rejected"), Some("Ask again")),
            (401, "oauth_problem=signature_invalid", InvalidClient, InvalidClient, Some("signature_invalid"), None),
            (401, "oauth_problem=nonce_used", Transient, Transient, Some("nonce_used"), None),
            (400, "oauth_problem=parameter_absent", InvalidRequest, InvalidRequest, Some("parameter_absent"), None),
            (
                400,
                "error=invalid_request&error_description=Missing+callback+URI.",
                InvalidRequest,
                InvalidRequest,
                Some("invalid_request"),
                Some("Missing callback URI."),
            ),
            (
                401,
                r#"{"errors":[{"code":32,"message":"Could not authenticate you."}]}"#,
                InvalidClient,
                InvalidGrant,
                None,
                Some("Could not authenticate you."),
            ),
            (200, r#"{"error":"go away"}"#, Unclassified, Unclassified, None, Some("go away")),
            (500, problem, Transient, Transient, Some("token_rejected"), Some("Ask again")),
            (429, "", Transient, Transient, None, None),
            (302, "", Transient, Transient, None, None),
            (
                401,
                "Token canary0123456789abcdef is unknown",
                InvalidClient,
                InvalidGrant,
                None,
                Some("Token […] is unknown"),
            ),
        ];
        for (status, body, temporary, access, code, description) in cases {
            for (parse, kind) in BOTH.into_iter().zip([temporary, access]) {
                let error = parse(&[], status, body.as_bytes()).unwrap_err();
                let found = (error.kind, error.code.as_deref(), error.description.as_deref());
                assert_eq!(found, (kind, code, description), "{status} {body}");
            }
        }
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let credentials =
            parse_access_token_response(&[], 200, b"oauth_token=canary1&oauth_token_secret=canary2").unwrap();
        let printed = format!("{credentials:?} {:?}", credentials.as_token());
        assert!(!printed.contains("canary"), "{printed}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            for parse in BOTH {
                let _ = parse(&[], status, &body);
            }
        }

        #[test]
        fn issued_tokens_are_parsed(token in "[ -~]{1,40}", secret in "[ -~]{1,40}") {
            let pairs = [("oauth_token", token.as_str()), ("oauth_token_secret", &secret), ("oauth_callback_confirmed", "true")];
            let body = crate::form::encode_pairs(pairs);
            let json = serde_json::to_string(&pairs.iter().copied().collect::<BTreeMap<_, _>>()).unwrap();
            for parse in BOTH {
                prop_assert_eq!(good(parse, &body), (token.clone(), secret.clone()));
                prop_assert_eq!(good(parse, &json), (token.clone(), secret.clone()));
            }
        }
    }
}
