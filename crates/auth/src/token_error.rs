//! Classifies errors of token endpoints by their meaning for the account (RFC 6749 section 5.2). Providers
//! deviate freely, so that an unknown error stays unclassified and is never assumed to be permanent (R26).

use std::fmt;

use serde_json::{Map, Value};
use switchboard_catalog::{TokenErrors, TokenResponse};

use crate::text;

/// Why a token endpoint's response has no usable tokens. Safe to store and display.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenError {
    /// Its meaning for the account.
    pub kind: TokenErrorKind,
    /// The provider's error code, `[A-Za-z0-9_.-]{1,64}`.
    pub code: Option<String>,
    /// The provider's description, or the problem with its response: at most 200 printable characters, with
    /// words masked that look like a token. Not HTML-escaped.
    pub description: Option<String>,
}

/// What a failed token request means for the account.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TokenErrorKind {
    /// The code or refresh token is no longer valid; the user must connect again.
    InvalidGrant,
    /// The client id or secret of the auth config is wrong; the account itself may be fine.
    InvalidClient,
    /// Another error with a well-formed code.
    InvalidRequest,
    /// A transient failure; a retry may help.
    Transient,
    /// An unreadable success, such as an HTML page: the provider may have processed the request.
    Unreadable,
    /// A readable success without a token where one is required: a final answer.
    Unusable,
    /// An error that cannot be interpreted.
    Unclassified,
    /// Tokens of an unsupported type (RFC 6749 section 7.1).
    UnsupportedTokenType,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            TokenErrorKind::InvalidGrant => "the provider refused the grant",
            TokenErrorKind::InvalidClient => "the provider refused the client",
            TokenErrorKind::InvalidRequest => "the provider refused the token request",
            TokenErrorKind::Transient => "the provider could not answer the token request",
            TokenErrorKind::Unreadable => "the provider's answer to the token request cannot be read",
            TokenErrorKind::Unusable => "the provider's answer to the token request holds no usable token",
            TokenErrorKind::Unclassified if self.code.is_some() => "the provider refused the token request",
            TokenErrorKind::Unclassified => "the provider refused the token request in an unknown way",
            TokenErrorKind::UnsupportedTokenType => "the provider issued an unsupported type of token",
        })?;
        if let Some(code) = &self.code {
            write!(f, " ({code})")?;
        }
        match &self.description {
            Some(description) => write!(f, ": {description}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for TokenError {}

impl TokenError {
    /// Removes values of the request that the provider repeated. The earlier masking works by appearance and
    /// misses short values.
    #[must_use]
    pub fn without(mut self, request_values: &[&str]) -> Self {
        for value in request_values.iter().filter(|value| !value.is_empty()) {
            self.code = self.code.filter(|code| !code.contains(value));
            self.description = self.description.map(|description| text::mask(&description, value));
        }
        self
    }

    /// A response with an unreadable body; the file's classification of its status applies.
    pub(crate) fn unreadable(errors: &TokenErrors, status: u16, reason: &str) -> Self {
        let kind = match classify(errors, status, None) {
            TokenErrorKind::Transient if is_success(status) => TokenErrorKind::Unreadable,
            kind => kind,
        };
        Self { kind, code: None, description: Some(reason.to_owned()) }
    }

    /// A successful response without a required value.
    pub(crate) fn malformed(reason: &str) -> Self {
        Self { kind: TokenErrorKind::Unusable, code: None, description: Some(reason.to_owned()) }
    }

    /// A successful response without a token: an error if it says so in some non-standard way.
    pub(crate) fn without_token(errors: &TokenErrors, answer: &Map<String, Value>) -> Self {
        let (code, words) = code_and_description(errors, None, answer);
        let code = code.and_then(text::error_code);
        let words = words.or_else(|| provider_message(answer)).and_then(text::description);
        let kind = if reports_failure(answer) { TokenErrorKind::Unclassified } else { TokenErrorKind::Unusable };
        Self { kind, code, description: words.or_else(|| Some("the answer holds no access token".to_owned())) }
    }

    /// A token of a type other than `Bearer`.
    pub(crate) fn unsupported(token_type: &str) -> Self {
        let description = text::description(&format!("token type {token_type}"));
        Self { kind: TokenErrorKind::UnsupportedTokenType, code: None, description }
    }

    /// The error of a response, if any: any status but 2xx is one, and so is a 2xx with a non-empty `error`
    /// or with the toolkit's error marker.
    pub(crate) fn reported(response: &TokenResponse, status: u16, answer: &Map<String, Value>) -> Option<Self> {
        let error = answer.get("error").filter(|error| !is_empty_value(error));
        let success = is_success(status);
        if success && error.is_none() && !is_marked_as_error(response, answer) {
            return None;
        }
        let (raw_code, raw_description) = code_and_description(&response.errors, error, answer);
        let code = raw_code.and_then(text::error_code);
        // A sentence instead of a code is still worth displaying.
        let description = raw_description.or(raw_code.filter(|_| code.is_none())).and_then(text::description);
        let kind = match (classify(&response.errors, status, code.as_deref()), success, code.is_some()) {
            // A 200 with an error but no code was processed, so that it is not transient.
            (TokenErrorKind::Transient, true, false) => TokenErrorKind::Unclassified,
            (kind, ..) => kind,
        };
        Some(Self { kind, code, description })
    }
}

/// Codes of token endpoints with a fixed meaning that does not concern the grant: RFC 6749 section 5.2, RFC
/// 8628 section 3.5, RFC 8707 section 2, RFC 9449 section 12.2.
const STANDARD: [&str; 11] = [
    "access_denied",
    "authorization_pending",
    "expired_token",
    "invalid_dpop_proof",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "slow_down",
    "unauthorized_client",
    "unsupported_grant_type",
    "use_dpop_nonce",
];

/// Kind of an error. Redirects count as transient: following one would send the secrets elsewhere (R49), and
/// they usually lead to a maintenance page.
fn classify(errors: &TokenErrors, status: u16, code: Option<&str>) -> TokenErrorKind {
    // Without a code, only the status can be classified.
    let code_or_status = code.map_or_else(|| format!("status:{status}"), str::to_owned);
    let is_one_of = |codes: &[String]| codes.contains(&code_or_status);
    let refused = matches!(status, 400..=499) && !matches!(status, 408 | 429);
    if !refused && !is_success(status) {
        return TokenErrorKind::Transient;
    }
    match code {
        _ if is_one_of(&errors.invalid_grant) => TokenErrorKind::InvalidGrant,
        _ if is_one_of(&errors.invalid_client) => TokenErrorKind::InvalidClient,
        _ if is_one_of(&errors.transient) => TokenErrorKind::Transient,
        Some("invalid_grant") => TokenErrorKind::InvalidGrant,
        Some("invalid_client") => TokenErrorKind::InvalidClient,
        // Codes of section 4.1.2.1 that providers use here, too.
        Some("server_error" | "temporarily_unavailable") => TokenErrorKind::Transient,
        Some(code) if STANDARD.contains(&code) => TokenErrorKind::InvalidRequest,
        Some(_) => TokenErrorKind::Unclassified,
        None if refused => TokenErrorKind::Unclassified,
        None => TokenErrorKind::Transient,
    }
}

pub(crate) fn is_success(status: u16) -> bool {
    matches!(status, 200..=299)
}

/// `error` and `error_description`, or their usual members when `error` is an object.
pub(crate) fn code_and_description<'v>(
    errors: &TokenErrors,
    error: Option<&'v Value>,
    answer: &'v Map<String, Value>,
) -> (Option<&'v str>, Option<&'v str>) {
    let at = |pointer: &Option<String>| find(answer, pointer.as_deref()?).and_then(Value::as_str);
    if errors.code.is_some() || errors.description.is_some() {
        let (usual_code, usual_description) = code_and_description(&TokenErrors::default(), error, answer);
        return (at(&errors.code).or(usual_code), at(&errors.description).or(usual_description));
    }
    let text = |object: &'v Map<String, Value>, names: [&str; 3]| {
        names.iter().find_map(|name| object.get(*name).and_then(Value::as_str).filter(|text| !text.is_empty()))
    };
    let description = text(answer, ["error_description", "error_message", "message"]);
    match error {
        Some(Value::String(code)) => (Some(code), description),
        Some(Value::Object(object)) => {
            let own_description = text(object, ["error_description", "message", "description"]);
            (text(object, ["code", "error", "type"]), own_description.or(description))
        }
        _ => (None, description),
    }
}

/// Whether a response reports a failure in one of the common non-standard ways.
fn reports_failure(answer: &Map<String, Value>) -> bool {
    let failed = |value: &Value| {
        let words = ["error", "fail", "failed", "failure", "ko", "nok"];
        value.as_str().is_some_and(|text| words.contains(&text.to_ascii_lowercase().as_str()))
    };
    let is_false = |name: &&str| answer.get(*name) == Some(&Value::Bool(false));
    let is_set = |name: &&str| answer.get(*name).is_some_and(|value| !is_empty_value(value));
    ["success", "ok", "succeeded", "successful"].iter().any(is_false)
        || ["status", "result", "stat"].iter().any(|name| answer.get(*name).is_some_and(failed))
        || ["errors", "errcode", "error_code", "errorCode", "error_message", "error_description", "errorMessage"]
            .iter()
            .any(is_set)
}

/// The message of a provider that follows no standard.
fn provider_message(answer: &Map<String, Value>) -> Option<&str> {
    let names = ["errorMessage", "errmsg", "error_msg", "msg", "detail", "reason", "title", "description"];
    names.iter().find_map(|name| answer.get(*name).and_then(Value::as_str).filter(|text| !text.is_empty()))
}

/// Whether `error_pointer` of the toolkit finds its `error_value`, or `ok_pointer` does not find `ok_value`.
fn is_marked_as_error(response: &TokenResponse, answer: &Map<String, Value>) -> bool {
    let at = |pointer: &Option<String>| pointer.as_deref().and_then(|pointer| find(answer, pointer));
    let is_error = match (at(&response.error_pointer), &response.error_value) {
        (Some(found), Some(value)) => found == value,
        (Some(found), None) => !is_empty_value(found),
        (None, _) => false,
    };
    is_error || (response.ok_pointer.is_some() && at(&response.ok_pointer) != response.ok_value.as_ref())
}

/// Null, false, zero or empty: how providers express "no error" and "no value".
pub(crate) fn is_empty_value(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}

/// The value at a JSON pointer (RFC 6901). The empty pointer finds nothing here: the whole response is never
/// a value.
pub(crate) fn find<'v>(answer: &'v Map<String, Value>, pointer: &str) -> Option<&'v Value> {
    let (first, rest) = split_pointer(pointer)?;
    answer.get(&first)?.pointer(rest)
}

/// First key of a pointer, unescaped, and the remaining pointer.
pub(crate) fn split_pointer(pointer: &str) -> Option<(String, &str)> {
    let path = pointer.strip_prefix('/')?;
    let end = path.find('/').unwrap_or(path.len());
    let (first, rest) = path.split_at(end);
    Some((first.replace("~1", "/").replace("~0", "~"), rest))
}
