//! A token endpoint's answer (RFC 6749 section 5.1), with the deviations that providers show: types
//! and letter case vary, errors come with status 200, values stand elsewhere (R25–R27).
//!
//! Strict where a wrong reading would do harm (`access_token`, `refresh_token`, `token_type`,
//! errors), forgiving where refusing would lose a token that cannot be had again (`expires_in`,
//! `scope`, `id_token`, captured values): there, an unusable value counts as absent.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use switchboard_catalog::OAuth2;
use switchboard_vault::Secret;

use crate::token_error::{TokenError, find, split_pointer};
use crate::{document, text};

/// Longest lifetime believed, in seconds: ten years. Beyond it, time arithmetic goes wrong sooner
/// than the token.
const MAX_EXPIRES_IN: u64 = 10 * 365 * 86_400;

/// Longest captured value, in bytes.
const MAX_CAPTURED: usize = 4096;

/// What a successful answer holds.
#[derive(Clone, Debug)]
pub struct TokenSet {
    /// Never empty, printable ASCII.
    pub access_token: Secret,
    /// Absent in an answer to a refresh: the old one stays valid (RFC 6749 section 6). Never empty.
    pub refresh_token: Option<Secret>,
    /// `Bearer`, however the provider spells it, and where it says nothing.
    pub token_type: String,
    /// Seconds from when the answer was sent, at most ten years; the toolkit's default where the
    /// provider states none. `None`: unknown.
    pub expires_in: Option<u64>,
    /// Granted scopes; `None`: as requested.
    pub scope: Option<Vec<String>>,
    /// An `OpenID` Connect ID token, unverified: no identity (R32).
    pub id_token: Option<Secret>,
    /// Non-secret values that the toolkit keeps with the account: at most 4096 bytes each, no
    /// control characters.
    pub captured: BTreeMap<String, String>,
}

/// Reads a token endpoint's answer. The body is a form when the content type says so, else JSON
/// whatever the content type says; at most 1 MiB.
///
/// # Errors
/// [`TokenError`]: the provider's refusal, or an answer that holds no usable token. It contains no
/// token of the answer; to remove the request's own values too, call [`TokenError::without`].
pub fn parse_token_response(
    oauth: &OAuth2,
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<TokenSet, TokenError> {
    let mut answer = document::parse(content_type, body).map_err(|reason| TokenError::unreadable(status, reason))?;
    if let Some(error) = TokenError::reported(oauth, status, &answer) {
        return Err(error);
    }
    let names = &oauth.response;
    let token_type = token_type(find(&answer, &names.token_type))?;
    let captured = captured(&names.capture, &answer);
    let expires_in = find(&answer, &names.expires_in).and_then(seconds).or(oauth.expires_in);
    let scope = find(&answer, &names.scope).and_then(|scope| scopes(scope, &oauth.scope_separator));
    let Some(access_token) = secret(&mut answer, &names.access_token, "access token")? else {
        return Err(TokenError::malformed("the answer holds no access token"));
    };
    Ok(TokenSet {
        access_token,
        refresh_token: secret(&mut answer, &names.refresh_token, "refresh token")?,
        token_type,
        expires_in: expires_in.map(|seconds| seconds.min(MAX_EXPIRES_IN)),
        scope,
        id_token: secret(&mut answer, "/id_token", "ID token").unwrap_or_default(),
        captured,
    })
}

/// Section 7.1: a client must not use a token of a type that it does not understand. Some
/// providers leave the required parameter out; what they issue is a bearer token.
fn token_type(found: Option<&Value>) -> Result<String, TokenError> {
    match found {
        None | Some(Value::Null) => Ok("Bearer".to_owned()),
        Some(Value::String(name)) if name.is_empty() || name.eq_ignore_ascii_case("bearer") => Ok("Bearer".to_owned()),
        Some(Value::String(name)) => Err(TokenError::unsupported(name)),
        Some(_) => Err(TokenError::unsupported("is not a string")),
    }
}

/// Moves a secret out of the answer, so that no second copy stays behind. An empty string is an
/// absent value (R27).
fn secret(answer: &mut Map<String, Value>, pointer: &str, what: &str) -> Result<Option<Secret>, TokenError> {
    let Some((first, rest)) = split_pointer(pointer) else {
        return Ok(None);
    };
    let found = answer.get_mut(&first).and_then(|value| value.pointer_mut(rest)).map(Value::take);
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

/// A lifetime: a number or a string that holds one. Zero, negative and unreadable ones are absent.
fn seconds(value: &Value) -> Option<u64> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_owned(),
        _ => return None,
    };
    // Whole seconds are a prefix; what follows may only be a fraction or an exponent.
    if let Ok(whole) = text.parse::<u64>() {
        return (whole > 0).then_some(whole);
    }
    let number = text.parse::<f64>().ok().filter(|number| *number >= 1.0)?;
    let whole = number.floor();
    #[expect(clippy::cast_precision_loss, reason = "ten years of seconds is exact in 53 bits")]
    let most = MAX_EXPIRES_IN as f64;
    if whole >= most {
        return Some(MAX_EXPIRES_IN);
    }
    format!("{whole:.0}").parse().ok()
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

fn captured(wanted: &BTreeMap<String, String>, answer: &Map<String, Value>) -> BTreeMap<String, String> {
    let mut captured = BTreeMap::new();
    for (name, pointer) in wanted {
        let value = match find(answer, pointer) {
            Some(Value::String(text)) => text.clone(),
            Some(plain @ (Value::Number(_) | Value::Bool(_))) => plain.to_string(),
            _ => continue,
        };
        if value.len() <= MAX_CAPTURED && !value.chars().any(char::is_control) {
            captured.insert(name.clone(), value);
        }
    }
    captured
}

#[cfg(test)]
mod tests;
