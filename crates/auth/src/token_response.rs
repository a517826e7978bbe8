//! A token endpoint's answer (RFC 6749 section 5.1), with the deviations that providers show: types
//! and letter case vary, errors come with status 200, values stand elsewhere (R25–R27).
//!
//! Strict where a wrong reading would do harm (`access_token`, `refresh_token`, `token_type`,
//! errors), forgiving where refusing would lose a token that cannot be had again (`expires_in`,
//! `scope`, `id_token`, captured values): there, an unusable value counts as absent.

use std::collections::BTreeMap;
use std::fmt;

use chrono::DateTime;
use http::HeaderMap;
use serde_json::{Map, Value};
use switchboard_catalog::{Capture, Expiry, OAuth2, TimeUnit, TokenResponse};
use switchboard_vault::Secret;

use crate::further::Further;
use crate::jws::unverified_expiry;
use crate::token_error::{TokenError, find, split_pointer};
use crate::{document, text};

/// Longest lifetime believed, in seconds: ten years. Beyond it, time arithmetic goes wrong sooner
/// than the token.
const MAX_EXPIRES_IN: u64 = 10 * 365 * 86_400;

/// Longest captured value, in bytes.
const MAX_CAPTURED: usize = 4096;

/// A provider's answer as it arrived.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: &'a HeaderMap,
    /// Body.
    pub body: &'a [u8],
    /// When it arrived, in seconds since 1970.
    pub now: i64,
}

impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer<'_> {
    /// The value of a header, or of a cookie that the answer sets.
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

/// What a successful answer holds.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// Never empty, printable ASCII.
    pub access_token: Secret,
    /// Absent in an answer to a refresh: the old one stays valid (RFC 6749 section 6). Never empty.
    pub refresh_token: Option<Secret>,
    /// `Bearer`, however the provider spells it, and where it says nothing; `DPoP` where that is demanded.
    pub token_type: String,
    /// The key that the tokens are bound to (RFC 9449), added by whoever made it.
    pub dpop_key: Option<Secret>,
    /// Seconds from when the answer was sent, at most ten years; the toolkit's default where the
    /// provider states none. `None`: unknown.
    pub expires_in: Option<u64>,
    /// Seconds that the refresh token lives, where the provider says so; at most ten years.
    pub refresh_token_expires_in: Option<u64>,
    /// Granted scopes; `None`: as requested.
    pub scope: Option<Vec<String>>,
    /// An `OpenID` Connect ID token, unverified: no identity (R32).
    pub id_token: Option<Secret>,
    /// Further tokens by the toolkit's names for them.
    pub extra: BTreeMap<String, Secret>,
    /// Their own refresh tokens, where they have some.
    pub extra_refresh: BTreeMap<String, Secret>,
    /// Which of the further tokens the access token is, where the answer holds no other.
    pub alone: Option<String>,
    /// Non-secret values that the toolkit keeps with the account: at most 4096 bytes each, no
    /// control characters.
    pub captured: BTreeMap<String, String>,
    /// The answer without the tokens above.
    pub rest: Rest,
}

/// What an answer holds besides its tokens; may hold secrets that nobody asked for, so it is not
/// printed and should not be kept.
#[derive(Clone, Default)]
pub struct Rest(pub Value);

impl fmt::Debug for Rest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rest")
    }
}

/// How an answer is to be read, and what is assumed where it says nothing.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'a> {
    /// Where values stand.
    pub response: &'a TokenResponse,
    /// Between scopes.
    pub scope_separator: &'a str,
    /// Where the end of the token is known from.
    pub expiry: Expiry,
    /// Seconds a token lives when nothing else says so.
    pub expires_in: Option<u64>,
    /// Longest life that is believed.
    pub max_expires_in: Option<u64>,
    /// Tokens are bound to a key (RFC 9449), and others are refused.
    pub dpop: bool,
    /// Names and places of further tokens.
    pub extra: &'a [switchboard_catalog::ExtraToken],
}

impl<'a> From<&'a OAuth2> for Reading<'a> {
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

impl<'a> Reading<'a> {
    /// Of a call's answer; `expires_in` is what its scheme assumes.
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

/// Reads a token endpoint's answer: JSON or a form, packed or not, of at most 1 MiB once unpacked.
///
/// # Errors
/// [`TokenError`]: the provider's refusal, or an answer that holds no usable token. It contains no
/// token of the answer; to remove the request's own values too, call [`TokenError::without`].
pub fn parse_token_response(reading: Reading<'_>, answer: &Answer<'_>) -> Result<TokenSet, TokenError> {
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
    let mut further = Further::read(&reading, answer, &mut document)?;
    let (access_token, refresh_token, alone) = match first {
        Some(first) => (first, refresh_token, None),
        None => further.only(&reading).ok_or_else(|| TokenError::without_token(&names.errors, &document))?,
    };
    let stated = stated.into_iter().chain(further.expires_in).min();
    Ok(TokenSet {
        refresh_token,
        token_type,
        dpop_key: None,
        expires_in: ends(&reading, stated, access_token.expose(), answer.now),
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

/// What an answer on the way to a token holds.
#[derive(Clone, Debug)]
pub struct StepAnswer {
    /// Non-secret values that the file keeps.
    pub captured: BTreeMap<String, String>,
    /// `access_token` and `refresh_token`, where the answer has them.
    pub tokens: BTreeMap<&'static str, Secret>,
}

/// Reads an answer that need not hold a token: a step on the way to one. The values that the file
/// keeps of it, and its tokens where it has some.
///
/// # Errors
/// As [`parse_token_response`].
pub fn parse_step_response(response: &TokenResponse, answer: &Answer<'_>) -> Result<StepAnswer, TokenError> {
    let mut document = read(response, answer)?;
    let captured = captured(&response.capture, answer, &document)?;
    let mut tokens = BTreeMap::new();
    for (name, place) in [("access_token", &response.access_token), ("refresh_token", &response.refresh_token)] {
        if let Some(token) = secret(answer, &mut document, place, "token")? {
            tokens.insert(name, token);
        }
    }
    Ok(StepAnswer { captured, tokens })
}

/// Reads the answer to a pushed authorization request (RFC 9126 section 2.2): the reference.
///
/// # Errors
/// As [`parse_token_response`].
pub fn parse_pushed_response(answer: &Answer<'_>) -> Result<String, TokenError> {
    let document = read(&TokenResponse::default(), answer)?;
    let reference = document.get("request_uri").and_then(Value::as_str).filter(|text| text::is_vschar(text));
    reference.map(str::to_owned).ok_or_else(|| TokenError::malformed("the answer holds no request_uri"))
}

pub(crate) fn read(response: &TokenResponse, answer: &Answer<'_>) -> Result<Map<String, Value>, TokenError> {
    let outside = response.access_token.contains(':');
    let document = match document::parse(answer.headers, answer.body) {
        Ok(document) => document,
        // Where the token stands in a header or cookie, the body may be anything.
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

/// Seconds to live as the answer states them.
fn lifetime(reading: &Reading<'_>, answer: &Answer<'_>, document: &Map<String, Value>) -> Option<u64> {
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

/// When a token ends, in seconds from now.
fn ends(reading: &Reading<'_>, stated: Option<u64>, token: &str, now: i64) -> Option<u64> {
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

/// Section 7.1: a client must not use a token of a type that it does not understand. Some
/// providers leave the required parameter out; what they issue is a bearer token. Where tokens are to be
/// bound to a key, one that is not is refused (RFC 9449 section 5).
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

/// Moves a secret out of the answer, so that no second copy stays behind. An empty string is an
/// absent value (R27).
pub(crate) fn secret(
    answer: &Answer<'_>,
    document: &mut Map<String, Value>,
    place: &str,
    what: &str,
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
        Some(_) => return Err(TokenError::malformed(&format!("the {what} is not a string"))),
    };
    if !text::is_vschar(token.expose()) {
        return Err(TokenError::malformed(&format!("the {what} holds a character outside printable ASCII")));
    }
    Ok(Some(token).filter(|token| !token.is_empty()))
}

/// A lifetime of at most ten years. Zero, negative and unreadable ones are absent.
pub(crate) fn seconds(value: &Value) -> Option<u64> {
    seconds_unbounded(value).map(|seconds| seconds.min(MAX_EXPIRES_IN * 1_000))
}

/// A number of seconds, or a string that holds one; above 0.
fn seconds_unbounded(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    // Whole seconds are a prefix; what follows may only be a fraction or an exponent.
    if let Ok(whole) = text.parse::<u64>() {
        return (whole > 0).then_some(whole);
    }
    let whole = text.parse::<f64>().ok().filter(|number| *number >= 1.0)?.floor();
    // Saturates: what is too large for the type is too large to be believed.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1, and saturating")]
    Some(whole as u64)
}

/// Granted scopes: an array, or a string that some providers separate by commas although they ask
/// for spaces.
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

/// The values that the file keeps. One that has not the form that the file demands counts as
/// missing, which is an error only where the value is required.
fn captured(
    wanted: &[Capture],
    answer: &Answer<'_>,
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

/// A single value as text.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.chars().any(char::is_control) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
