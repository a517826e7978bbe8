//! Parses the body of a token endpoint's response into one JSON object, from JSON or from a form. Lenient
//! about the format only: content that parsers may read differently is rejected.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use crate::content_coding::{DecompressError, decompressed, gunzip, is_gzip};
use crate::form;
use crate::unique_keys::UniqueKeys;

/// Maximum size of a response in bytes, after decompression.
const MAX: usize = 1 << 20;

/// Parses a response. The format is read leniently, because a code and most refresh tokens work only once and
/// the request cannot be repeated: it may be compressed, in any declared charset, with a byte order mark. The
/// declared type (form or JSON) is tried first, then the other. The error does not quote the response.
pub(crate) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, String> {
    let body = decompress(headers, body)?;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let text = text(content_type, &body)?;
    let text = text.as_ref();
    let first = if content_type.is_some_and(is_form) { parse_form(text) } else { parse_json(text) };
    first.or_else(|fault| match fault {
        // Do not try the other format: the duplicate is ambiguous in any.
        ParseError::DuplicateName(reason) => Err(reason.to_owned()),
        ParseError::Other(reason) => {
            let second = if content_type.is_some_and(is_form) {
                parse_json(text).map_err(|_| reason)
            } else if looks_like_form(text) {
                parse_form(text).map_err(ParseError::reason)
            } else {
                Err(reason)
            };
            second.map_err(str::to_owned)
        }
    })
}

/// As [`parse`], for unreliable content types: text that starts like a JSON object is JSON, anything else is
/// a form.
pub(crate) fn parse_untyped(body: &[u8]) -> Result<Map<String, Value>, &'static str> {
    let text = text(None, body)?;
    let read = if text.trim_start().starts_with('{') { parse_json(&text) } else { parse_form(&text) };
    read.map_err(ParseError::reason)
}

/// Why a text cannot be parsed.
enum ParseError {
    /// A name occurs twice.
    DuplicateName(&'static str),
    /// Another reason.
    Other(&'static str),
}

impl ParseError {
    fn reason(self) -> &'static str {
        match self {
            Self::DuplicateName(reason) | Self::Other(reason) => reason,
        }
    }
}

/// The body, decompressed: as declared, or as gzip if it is and nothing is declared.
fn decompress<'b>(headers: &HeaderMap, body: &'b [u8]) -> Result<Cow<'b, [u8]>, String> {
    let body = match decompressed(headers, body, MAX) {
        // Servers send odd values in this header; readable text needs no decompression.
        Err(DecompressError::Unknown) if std::str::from_utf8(body).is_ok() => Cow::Borrowed(body),
        other => other.map_err(|error| error.to_string())?,
    };
    match &body {
        Cow::Borrowed(bytes) if is_gzip(bytes) => gunzip(bytes, MAX).map(Cow::Owned).map_err(|error| error.to_string()),
        _ => Ok(body),
    }
}

/// The text of a body of acceptable size. A byte order mark overrides the declared charset and is removed.
/// Undecodable characters become U+FFFD, which no token may contain.
fn text<'b>(content_type: Option<&str>, body: &'b [u8]) -> Result<Cow<'b, str>, &'static str> {
    if body.len() > MAX {
        return Err("the answer is larger than 1 MiB");
    }
    let declared = content_type.and_then(charset).and_then(|label| Encoding::for_label(label.as_bytes()));
    let (text, _, _) = declared.unwrap_or(UTF_8).decode(body);
    if text.trim().is_empty() {
        return Err("the answer is empty");
    }
    Ok(text)
}

/// The `charset` parameter of a media type.
fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches(['"', '\'']))
    })
}

/// Whether each part is `name=value` with a plain name, unlike an HTML page or a sentence.
fn looks_like_form(text: &str) -> bool {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "_-.[]".contains(letter);
    text.trim().split('&').all(|piece| {
        let Some((name, value)) = piece.split_once('=') else { return false };
        !name.is_empty() && name.chars().all(is_plain) && !value.contains(['<', '>', '\n', '"', '{'])
    })
}

fn parse_json(text: &str) -> Result<Map<String, Value>, ParseError> {
    match serde_json::from_str::<UniqueKeys>(text) {
        Ok(UniqueKeys(Value::Object(object))) => Ok(object),
        Ok(_) => Err(ParseError::Other("the answer is not a JSON object")),
        Err(error) if error.is_data() => Err(ParseError::DuplicateName("the answer repeats a JSON key")),
        Err(_) => Err(ParseError::Other("the answer is not JSON")),
    }
}

pub(crate) fn is_form(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn parse_form(text: &str) -> Result<Map<String, Value>, ParseError> {
    let malformed = || ParseError::Other("the answer is not a well-formed form");
    let text = text.trim();
    // A form encodes a brace as `%7B`.
    if text.starts_with('{') {
        return Err(malformed());
    }
    let mut object = Map::new();
    for piece in text.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = form::split(piece);
        let (Some(name), Some(value)) = (form::decode(name), form::decode(value)) else {
            return Err(malformed());
        };
        if object.insert(name, Value::String(value)).is_some() {
            return Err(ParseError::DuplicateName("the answer repeats a parameter"));
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests;
