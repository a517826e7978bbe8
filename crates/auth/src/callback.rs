//! Parses the authorization response (RFC 6749 sections 4.1.2 and 4.1.2.1) and checks its issuer (RFC 9207).
//! All of its input may come from an attacker.

use std::fmt;

use switchboard_vault::Secret;
use thiserror::Error;

use crate::{form, text};

/// Maximum length of a query in bytes.
const MAX_QUERY: usize = 16 * 1024;

/// The parameters that are read; all others are ignored.
const PARAMETERS: [&str; 5] = ["code", "state", "iss", "error", "error_description"];

/// The parameter that is only displayed.
const DISPLAYED_NAME: &str = "error_description";

/// Replaces an error code that does not match `[A-Za-z0-9_.-]{1,64}`.
const UNKNOWN_ERROR: &str = "unknown_error";

/// Parameters of the authorization response. An empty parameter counts as missing (section 3.1). A response
/// with `error` is an error, whatever else it contains.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct CallbackQuery {
    /// Authorization code.
    pub code: Option<Secret>,
    /// The `state` of the authorization request; compare it in constant time.
    pub state: Option<String>,
    /// Issuer identifier (RFC 9207), as decoded.
    pub iss: Option<String>,
    /// Error code, `[A-Za-z0-9_.-]{1,64}`; `unknown_error` for anything else.
    pub error: Option<String>,
    /// At most 200 printable characters, with words masked that look like a token. Not HTML-escaped.
    pub error_description: Option<String>,
}

impl fmt::Debug for CallbackQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackQuery")
            .field("code", &self.code)
            .field("state", &self.state.as_ref().map(|_| "redacted"))
            .field("iss", &self.iss)
            .field("error", &self.error)
            .field("error_description", &self.error_description)
            .finish()
    }
}

/// Why a callback query could not be parsed.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum CallbackError {
    /// More than 16 KiB.
    #[error("the callback's query is too long")]
    TooLong,
    /// A parameter occurs twice, which section 3.1 forbids (R12).
    #[error("the callback's query repeats `{0}`")]
    Repeated(&'static str),
    /// A parameter's value is not percent-encoded UTF-8.
    #[error("`{0}` in the callback's query is malformed")]
    Malformed(&'static str),
}

/// Parses the query of a callback, without `?`, or the form body of `response_mode=form_post`. Unknown
/// parameters are ignored, as section 4.1.2 requires. `error_description` is decoded leniently, because it is
/// only displayed.
///
/// # Errors
/// [`CallbackError`].
pub fn parse_callback(query: &str) -> Result<CallbackQuery, CallbackError> {
    let [code, state, iss, error, error_description] = named_values(query, PARAMETERS)?;
    Ok(CallbackQuery {
        code: code.map(Secret::new),
        state,
        iss,
        error: error.map(|raw| error_code(&raw)),
        error_description: error_description.and_then(|raw| text::description(&raw)),
    })
}

/// A single parameter of a callback query, whose name the provider chose. An empty one counts as missing.
///
/// # Errors
/// [`CallbackError`].
pub fn callback_parameter(query: &str, name: &str) -> Result<Option<String>, CallbackError> {
    let mut pieces = Vec::new();
    for piece in query.split('&') {
        if form::decode(form::split(piece).0).is_some_and(|decoded| decoded == name) {
            pieces.push(form::split(piece).1);
        }
    }
    match pieces.as_slice() {
        _ if query.len() > MAX_QUERY => Err(CallbackError::TooLong),
        [] => Ok(None),
        [one] => form::decode(one)
            .map(|value| Some(value).filter(|text| !text.is_empty()))
            .ok_or(CallbackError::Malformed("a parameter")),
        _ => Err(CallbackError::Repeated("a parameter")),
    }
}

/// The values of some parameters of a callback query. Empty ones count as missing.
pub(crate) fn named_values<const COUNT: usize>(
    query: &str,
    names: [&'static str; COUNT],
) -> Result<[Option<String>; COUNT], CallbackError> {
    if query.len() > MAX_QUERY {
        return Err(CallbackError::TooLong);
    }
    let mut values = [const { None }; COUNT];
    for piece in query.split('&') {
        let (encoded_name, encoded_value) = form::split(piece);
        let Some(decoded_name) = form::decode(encoded_name) else {
            continue;
        };
        let Some(index) = names.iter().position(|known| *known == decoded_name) else {
            continue;
        };
        let value = match form::decode(encoded_value) {
            None if decoded_name == DISPLAYED_NAME => form::decode_lossy(encoded_value),
            decoded => decoded.ok_or(CallbackError::Malformed(names[index]))?,
        };
        if values[index].replace(value).is_some() {
            return Err(CallbackError::Repeated(names[index]));
        }
    }
    Ok(values.map(|value| value.filter(|text| !text.is_empty())))
}

/// The error code of a callback; `unknown_error` if it is malformed.
pub(crate) fn error_code(raw: &str) -> String {
    text::error_code(raw).unwrap_or_else(|| UNKNOWN_ERROR.to_owned())
}

/// The response is not from the expected provider.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum IssuerMismatch {
    /// The provider always sends `iss`, but it is missing.
    #[error("the callback names no issuer, and this provider always does")]
    Missing,
    /// `iss` names another issuer.
    #[error("the callback names another issuer")]
    Different,
}

/// Compares `iss` with the expected issuer (RFC 9207 section 2.4): simple string comparison without
/// normalisation. `iss` is compared even if the provider does not promise to send it. Without a known issuer
/// it is ignored, unless the provider must send it.
///
/// # Errors
/// [`IssuerMismatch`].
pub fn check_issuer(expected: Option<&str>, required: bool, got: Option<&str>) -> Result<(), IssuerMismatch> {
    match (expected, got) {
        (_, None) if required => Err(IssuerMismatch::Missing),
        (_, None) => Ok(()),
        (Some(expected), Some(got)) if expected == got => Ok(()),
        (None, Some(_)) if !required => Ok(()),
        (_, Some(_)) => Err(IssuerMismatch::Different),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_successful_answer() {
        let query =
            parse_callback("code=SplxlO%2FBe+x&state=xyz&iss=https%3A%2F%2Fas.example&foo=%FF&foo&%zz=1").unwrap();
        assert_eq!(query.code.as_ref().map(Secret::expose), Some("SplxlO/Be x"));
        assert_eq!(query.state.as_deref(), Some("xyz"));
        assert_eq!(query.iss.as_deref(), Some("https://as.example"));
        assert_eq!((&query.error, &query.error_description), (&None, &None));
        let printed = format!("{query:?}");
        assert!(!printed.contains("Splx") && !printed.contains("xyz"), "{printed}");
        assert_eq!(parse_callback(""), Ok(CallbackQuery::default()));
        assert_eq!(parse_callback("code=&state&&error="), Ok(CallbackQuery::default()));
    }

    #[test]
    fn errors_are_safe_to_display() {
        let cases = [
            ("error=access_denied&error_description=No%0d%0aX%3A+y", Some("access_denied"), Some("No X: y")),
            ("error=%3Cimg+onerror%3E", Some("unknown_error"), None),
            ("error=a%0d%0ab", Some("unknown_error"), None),
            ("error_description=%E2%80%AEx", None, Some("x")),
            ("error=access_denied&error_description=100%+refused", Some("access_denied"), Some("100% refused")),
            ("error=access_denied&error_description=%u0417%u0430", Some("access_denied"), Some("%u0417%u0430")),
            ("error=access_denied&error_description=%", Some("access_denied"), Some("%")),
            ("error=access_denied&error_description=Acc%E8s", Some("access_denied"), Some("Acc\u{fffd}s")),
            ("error=access_denied&error_description=%FF%00%0d%0aX:+y", Some("access_denied"), Some("\u{fffd} X: y")),
        ];
        for (query, error, description) in cases {
            let parsed = parse_callback(query).unwrap();
            assert_eq!((parsed.error.as_deref(), parsed.error_description.as_deref()), (error, description), "{query}");
        }
    }

    #[test]
    fn ambiguous_and_malformed_queries_are_refused() {
        let long = format!("code={}", "a".repeat(MAX_QUERY));
        let cases = [
            ("code=a&code=b&state=x", CallbackError::Repeated("code")),
            ("code=a&code=a", CallbackError::Repeated("code")),
            ("code=&code=a", CallbackError::Repeated("code")),
            ("code=a&c%6Fde=b", CallbackError::Repeated("code")),
            ("state=a&state=b", CallbackError::Repeated("state")),
            ("iss=a&iss", CallbackError::Repeated("iss")),
            ("error=a&error=b", CallbackError::Repeated("error")),
            ("error_description=a&error_description=b", CallbackError::Repeated("error_description")),
            ("code=%FF", CallbackError::Malformed("code")),
            ("state=%", CallbackError::Malformed("state")),
            ("iss=%4", CallbackError::Malformed("iss")),
            ("error=%zz", CallbackError::Malformed("error")),
            (&long, CallbackError::TooLong),
        ];
        for (query, expected) in cases {
            assert_eq!(parse_callback(query), Err(expected), "{}", &query[..query.len().min(60)]);
        }
    }

    #[test]
    fn issuers_are_compared_as_strings() {
        const AS: &str = "https://as.example";
        let different = Err(IssuerMismatch::Different);
        let cases = [
            (Some(AS), true, Some(AS), Ok(())),
            (Some(AS), true, None, Err(IssuerMismatch::Missing)),
            (Some(AS), false, Some(AS), Ok(())),
            (Some(AS), false, None, Ok(())),
            (Some(AS), false, Some("https://as.example/"), different),
            (Some(AS), false, Some("https://AS.example"), different),
            (Some(AS), false, Some("https://as.example:443"), different),
            (Some(AS), true, Some("https://other.example"), different),
            (Some(AS), false, Some(""), different),
            (None, false, None, Ok(())),
            (None, false, Some(AS), Ok(())),
            (None, true, Some(AS), different),
            (None, true, None, Err(IssuerMismatch::Missing)),
        ];
        for (expected, required, got, outcome) in cases {
            assert_eq!(check_issuer(expected, required, got), outcome, "{expected:?} {required} {got:?}");
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic(query in "[a-z_=&%+0-9A-F]{0,80}|(code|state|iss|error|=|&|%[0-9A-F]{2}){0,20}") {
            if let Ok(parsed) = parse_callback(&query) {
                prop_assert!(parsed.code.is_none_or(|code| !code.is_empty()));
            }
        }

        #[test]
        fn encoded_values_arrive(code in "\\PC{1,30}", state in "\\PC{1,30}") {
            let query = form::encode_pairs([("state", state.as_str()), ("code", code.as_str())]);
            let parsed = parse_callback(&query).unwrap();
            prop_assert_eq!(parsed.state.as_deref(), Some(state.as_str()));
            prop_assert_eq!(parsed.code.as_ref().map(Secret::expose), Some(code.as_str()));
        }
    }
}
