//! Responses of token endpoints (RFC 6749 section 5.1), including common deviations: types and letter case
//! vary, errors come with status 200, values are in other places (R25–R27).
//!
//! Strict where a wrong interpretation would do harm (`access_token`, `refresh_token`, `token_type`, errors).
//! Lenient where an error would lose a token that cannot be requested again (`expires_in`, `scope`,
//! `id_token`, captured values): there an unusable value counts as missing.

use std::collections::BTreeMap;
use std::fmt;

use chrono::DateTime;
use http::HeaderMap;
use serde_json::{Map, Value};
use switchboard_catalog::{Capture, Expiry, OAuth2, TimeUnit, TokenResponse};
use switchboard_vault::Secret;

use crate::extra_tokens::ExtraTokens;
use crate::jws::unverified_expiry;
use crate::token_error::{TokenError, find, split_pointer};
use crate::{document, text};

/// Maximum lifetime in seconds: ten years. Beyond it, time arithmetic would overflow before the token
/// expires.
const MAX_EXPIRES_IN: u64 = 10 * 365 * 86_400;

/// Maximum length of a captured value in bytes.
const MAX_CAPTURED: usize = 4096;

/// A provider's response as received.
#[derive(Clone, Copy)]
pub struct ProviderResponse<'a> {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body.
    pub body: &'a [u8],
    /// When it was received, in seconds since 1970.
    pub now: i64,
}

impl fmt::Debug for ProviderResponse<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl ProviderResponse<'_> {
    /// The value of a header or of a cookie in the response.
    fn outside(&self, place: &str) -> Option<String> {
        let (kind, name) = place.split_once(':')?;
        match kind {
            "header" => self.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned),
            "cookie" => self.headers.get_all(http::header::SET_COOKIE).iter().find_map(|cookie| {
                let pair = cookie.to_str().ok()?.split(';').next()?;
                let (found, value) = pair.split_once('=')?;
                (found.trim() == name).then(|| value.trim().to_owned())
            }),
            _ => None,
        }
    }
}

/// The content of a successful response.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// Never empty, printable ASCII.
    pub access_token: Secret,
    /// Missing in a response to a refresh: the old one stays valid (RFC 6749 section 6). Never empty.
    pub refresh_token: Option<Secret>,
    /// `Bearer` in any spelling or by default; `DPoP` if that is required.
    pub token_type: String,
    /// The key that the tokens are bound to (RFC 9449), added by the caller that created it.
    pub dpop_key: Option<Secret>,
    /// Seconds since the response was sent, at most ten years; the toolkit's default if the provider sends
    /// none. `None`: unknown.
    pub expires_in: Option<u64>,
    /// Lifetime of the refresh token in seconds, if the provider sends it; at most ten years.
    pub refresh_token_expires_in: Option<u64>,
    /// Granted scopes; `None`: as requested.
    pub scope: Option<Vec<String>>,
    /// An `OpenID` Connect ID token, not verified: it proves no identity (R32).
    pub id_token: Option<Secret>,
    /// Further tokens by their names in the toolkit.
    pub extra: BTreeMap<String, Secret>,
    /// Their own refresh tokens, if any.
    pub extra_refresh: BTreeMap<String, Secret>,
    /// Which of the further tokens serves as the access token, if the response has no other.
    pub alone: Option<String>,
    /// Non-secret values that the toolkit stores with the account: at most 4096 bytes each, without control
    /// characters.
    pub captured: BTreeMap<String, String>,
    /// The rest of the response, without these tokens.
    pub rest: Rest,
}

/// The values of a response besides its tokens. It may contain unexpected secrets, so do not print or store
/// it.
#[derive(Clone, Default)]
pub struct Rest(pub Value);

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rest")
    }
}

/// How to parse a response, and the defaults for missing values.
#[derive(Clone, Copy, Debug)]
pub struct ParseOptions<'a> {
    /// Locations of values.
    pub response: &'a TokenResponse,
    /// Separator of scopes.
    pub scope_separator: &'a str,
    /// Source of the expiry.
    pub expiry: Expiry,
    /// Default lifetime of a token in seconds.
    pub expires_in: Option<u64>,
    /// Maximum accepted lifetime.
    pub max_expires_in: Option<u64>,
    /// Whether tokens must be bound to a key (RFC 9449); others are rejected.
    pub dpop: bool,
    /// Names and locations of further tokens.
    pub extra: &'a [switchboard_catalog::ExtraToken],
}

impl<'a> From<&'a OAuth2> for ParseOptions<'a> {
    fn from(oauth: &'a OAuth2) -> Self {
        Self {
            response: &oauth.response,
            scope_separator: &oauth.scope_separator,
            expiry: oauth.expiry,
            expires_in: oauth.expires_in,
            max_expires_in: oauth.max_expires_in,
            dpop: oauth.dpop,
            extra: &oauth.tokens,
        }
    }
}

impl<'a> ParseOptions<'a> {
    /// For the response of a call; `expires_in` is the default of its scheme.
    pub fn of_call(response: &'a TokenResponse, expires_in: Option<u64>) -> Self {
        Self {
            response,
            scope_separator: " ",
            expiry: Expiry::Stated,
            expires_in,
            max_expires_in: None,
            dpop: false,
            extra: &[],
        }
    }
}

/// Parses a token endpoint's response: JSON or a form, compressed or not, at most 1 MiB after decompression.
///
/// # Errors
/// [`TokenError`]: the provider's error, or a response without a usable token. It contains no token of the
/// response; [`TokenError::without`] also removes values of the request.
pub fn parse_token_response(reading: ParseOptions<'_>, answer: &ProviderResponse<'_>) -> Result<TokenSet, TokenError> {
    let mut document = read(reading.response, answer)?;
    let names = reading.response;
    let token_type = token_type(find(&document, &names.token_type), reading.dpop)?;
    let captured = captured(&names.capture, answer, &document)?;
    let stated = lifetime(&reading, answer, &document);
    let refresh_token_expires_in = find(&document, &names.refresh_token_expires_in)
        .and_then(seconds)
        .map(|amount| in_seconds(names, amount))
        .filter(|seconds| *seconds > 0);
    let scope = find(&document, &names.scope).and_then(|scope| scopes(scope, reading.scope_separator));
    let first = secret(answer, &mut document, &names.access_token, "access token")?;
    let refresh_token = secret(answer, &mut document, &names.refresh_token, "refresh token")?;
    let mut further = ExtraTokens::read(&reading, answer, &mut document)?;
    let (access_token, refresh_token, alone) = match first {
        Some(first) => (first, refresh_token, None),
        None => further.only(&reading).ok_or_else(|| TokenError::without_token(&names.errors, &document))?,
    };
    let stated = stated.into_iter().chain(further.expires_in).min();
    Ok(TokenSet {
        refresh_token,
        token_type,
        dpop_key: None,
        expires_in: seconds_until_expiry(&reading, stated, access_token.expose(), answer.now),
        refresh_token_expires_in: refresh_token_expires_in.map(|seconds| seconds.min(MAX_EXPIRES_IN)),
        access_token,
        scope,
        id_token: secret(answer, &mut document, "/id_token", "ID token").unwrap_or_default(),
        extra: further.tokens,
        extra_refresh: further.refresh,
        alone,
        captured,
        rest: Rest(Value::Object(document)),
    })
}

/// The content of an intermediate response.
#[derive(Clone, Debug)]
pub struct StepResponse {
    /// Captured non-secret values.
    pub captured: BTreeMap<String, String>,
    /// `access_token` and `refresh_token`, if the response has them.
    pub tokens: BTreeMap<&'static str, Secret>,
}

/// Parses an intermediate response, which need not contain a token: the captured values, and the tokens if
/// any.
///
/// # Errors
/// As [`parse_token_response`].
pub fn parse_step_response(
    response: &TokenResponse,
    answer: &ProviderResponse<'_>,
) -> Result<StepResponse, TokenError> {
    let mut document = read(response, answer)?;
    let captured = captured(&response.capture, answer, &document)?;
    let mut tokens = BTreeMap::new();
    for (name, place) in [("access_token", &response.access_token), ("refresh_token", &response.refresh_token)] {
        if let Some(token) = secret(answer, &mut document, place, "token")? {
            tokens.insert(name, token);
        }
    }
    Ok(StepResponse { captured, tokens })
}

/// Parses the response to a pushed authorization request (RFC 9126 section 2.2) and returns the request URI.
///
/// # Errors
/// As [`parse_token_response`].
pub fn parse_pushed_response(answer: &ProviderResponse<'_>) -> Result<String, TokenError> {
    let document = read(&TokenResponse::default(), answer)?;
    let reference = document.get("request_uri").and_then(Value::as_str).filter(|text| text::is_vschar(text));
    reference.map(str::to_owned).ok_or_else(|| TokenError::malformed("the answer holds no request_uri"))
}

pub(crate) fn read(response: &TokenResponse, answer: &ProviderResponse<'_>) -> Result<Map<String, Value>, TokenError> {
    let outside = response.access_token.contains(':');
    let document = match document::parse(answer.headers, answer.body) {
        Ok(document) => document,
        // If the token is in a header or cookie, any body is accepted.
        Err(_) if outside && matches!(answer.status, 200..=299) => Map::new(),
        Err(reason) => return Err(TokenError::unreadable(&response.errors, answer.status, &reason)),
    };
    match TokenError::reported(response, answer.status, &document) {
        Some(error) => Err(error),
        None => Ok(document),
    }
}

pub(crate) fn in_seconds(response: &TokenResponse, amount: u64) -> u64 {
    match response.time_unit {
        TimeUnit::Seconds => amount,
        TimeUnit::Milliseconds => amount / 1_000,
    }
}

/// The lifetime in seconds that the response states.
fn lifetime(reading: &ParseOptions<'_>, answer: &ProviderResponse<'_>, document: &Map<String, Value>) -> Option<u64> {
    let in_seconds = |amount: u64| in_seconds(reading.response, amount);
    let until = |end: u64| u64::try_from(i64::try_from(end).ok()? - answer.now).ok().filter(|left| *left > 0);
    let end = reading.response.expires_at.as_ref().and_then(|place| find(document, place)).and_then(|value| {
        let text = value.as_str().unwrap_or_default();
        match DateTime::parse_from_rfc3339(text) {
            Ok(time) => u64::try_from(time.timestamp()).ok(),
            Err(_) => seconds_unbounded(value).map(in_seconds),
        }
    });
    let stated = find(document, &reading.response.expires_in).and_then(seconds).map(in_seconds);
    end.and_then(until).or(stated.filter(|seconds| *seconds > 0))
}

/// Seconds until a token expires.
fn seconds_until_expiry(reading: &ParseOptions<'_>, stated: Option<u64>, token: &str, now: i64) -> Option<u64> {
    let assumed = stated.or(reading.expires_in);
    let seconds = match reading.expiry {
        Expiry::Never => None,
        Expiry::Fixed => reading.expires_in,
        Expiry::Stated | Expiry::Introspection => assumed,
        Expiry::Jwt => {
            let claimed = unverified_expiry(token).and_then(|end| u64::try_from(end - now).ok());
            claimed.filter(|seconds| *seconds > 0).or(assumed)
        }
    };
    seconds.map(|seconds| seconds.min(reading.max_expires_in.unwrap_or(MAX_EXPIRES_IN)).min(MAX_EXPIRES_IN))
}

/// Section 7.1: a client must not use a token of an unknown type. Some providers omit the required parameter;
/// their tokens are bearer tokens. If tokens must be bound to a key, others are rejected (RFC 9449 section
/// 5).
fn token_type(found: Option<&Value>, dpop: bool) -> Result<String, TokenError> {
    match found {
        Some(Value::String(name)) if dpop && name.eq_ignore_ascii_case("dpop") => Ok("DPoP".to_owned()),
        Some(Value::String(name)) if dpop => Err(TokenError::unsupported(name)),
        None | Some(Value::Null) if dpop => Err(TokenError::unsupported("is missing, where DPoP is demanded")),
        None | Some(Value::Null) => Ok("Bearer".to_owned()),
        Some(Value::String(name)) if name.is_empty() || name.eq_ignore_ascii_case("bearer") => Ok("Bearer".to_owned()),
        Some(Value::String(name)) => Err(TokenError::unsupported(name)),
        Some(_) => Err(TokenError::unsupported("is not a string")),
    }
}

/// Moves a secret out of the response, so that no second copy remains. An empty string counts as missing
/// (R27).
pub(crate) fn secret(
    answer: &ProviderResponse<'_>,
    document: &mut Map<String, Value>,
    place: &str,
    part: &str,
) -> Result<Option<Secret>, TokenError> {
    if let Some(value) = answer.outside(place) {
        return Ok(Some(Secret::new(value)).filter(|token| !token.is_empty()));
    }
    let Some((first, rest)) = split_pointer(place) else {
        return Ok(None);
    };
    let found = document.get_mut(&first).and_then(|value| value.pointer_mut(rest)).map(Value::take);
    let token = match found {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(token)) => Secret::new(token),
        Some(_) => return Err(TokenError::malformed(&format!("the {part} is not a string"))),
    };
    if !text::is_vschar(token.expose()) {
        return Err(TokenError::malformed(&format!("the {part} holds a character outside printable ASCII")));
    }
    Ok(Some(token).filter(|token| !token.is_empty()))
}

/// A lifetime of at most ten years. Zero, negative and invalid values count as missing.
pub(crate) fn seconds(value: &Value) -> Option<u64> {
    seconds_unbounded(value).map(|seconds| seconds.min(MAX_EXPIRES_IN * 1_000))
}

/// A positive number of seconds, or a string that contains one.
fn seconds_unbounded(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    // Whole seconds are a prefix; only a fraction or an exponent may follow.
    if let Ok(seconds) = text.parse::<u64>() {
        return (seconds > 0).then_some(seconds);
    }
    let seconds = text.parse::<f64>().ok().filter(|number| *number >= 1.0)?.floor();
    // Saturates: a value too large for the type also exceeds the maximum.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1, and saturating")]
    Some(seconds as u64)
}

/// Granted scopes: an array, or a string, in which some providers use commas although they expect spaces.
fn scopes(value: &Value, separator: &str) -> Option<Vec<String>> {
    match value {
        Value::String(text) => {
            let pieces =
                text.split(|letter: char| letter.is_whitespace() || letter == ',' || separator.contains(letter));
            Some(pieces.filter(|piece| !piece.is_empty()).map(str::to_owned).collect())
        }
        Value::Array(items) => Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        _ => None,
    }
}

/// The captured values. A value in another format than the file requires counts as missing, which is an error
/// only if it is required.
fn captured(
    wanted: &[Capture],
    answer: &ProviderResponse<'_>,
    document: &Map<String, Value>,
) -> Result<BTreeMap<String, String>, TokenError> {
    let found = |capture: &Capture| answer.outside(&capture.at).or_else(|| find(document, &capture.at).and_then(plain));
    let mut captured = BTreeMap::new();
    for capture in wanted {
        match found(capture).filter(|value| value.len() <= MAX_CAPTURED && capture.check(value).is_ok()) {
            Some(value) => {
                captured.insert(capture.name.clone(), value);
            }
            None if capture.required => {
                return Err(TokenError::malformed(&format!("the answer holds no usable `{}`", capture.name)));
            }
            None => {}
        }
    }
    Ok(captured)
}

/// A scalar value as text.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.chars().any(char::is_control) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
