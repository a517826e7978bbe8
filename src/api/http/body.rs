//! Request bodies: read within limits, parsed with the location of each error, and executed once per
//! `Idempotency-Key`.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchboard_auth::UniqueKeys;

use super::edge::RequestInfo;
use super::error::ApiError;
use super::strict;
use crate::api::operations::{EARLIER_PREFIX, PREFIX};
use crate::app::base::idempotency::IdempotencyKey;
use crate::error::{Code, Error, Result};

/// Maximum size of a body (R84).
pub const MAX_BODY: usize = 1 << 20;
/// Maximum pause between two chunks of a body (R83).
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// Maximum time for a whole body, against slow-body attacks.
const MAX_TIME: Duration = Duration::from_mins(1);

/// Headers of a response of the API: its type, the request id, caching, sniffing, and those of a rate limit.
const MAX_COMMON_HEADERS: usize = 8;

/// How long an oversized body is drained.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// A JSON body with its idempotency key.
pub struct JsonBody<T> {
    /// The body.
    pub value: T,
    /// Present when the caller sent an `Idempotency-Key`.
    pub idempotency: Option<IdempotencyKey>,
    /// The raw bytes.
    pub bytes: Bytes,
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> std::result::Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, MAX_BODY).await?;
        let mut keys = parts.headers.get_all("idempotency-key").iter();
        let key = keys.next();
        if keys.next().is_some() {
            let detail = "Error in header Idempotency-Key: is given more than once";
            return Err(Error::validation(vec![detail.to_owned()]).into());
        }
        let idempotency = match (key, parts.extensions.get::<RequestInfo>().and_then(|info| info.caller.as_ref())) {
            (Some(key), Some(caller)) => {
                let key = key.to_str().unwrap_or_default();
                let path = without_prefix(parts.uri.path());
                Some(IdempotencyKey::new(&caller.project_id, key, parts.method.as_str(), path, &bytes)?)
            }
            _ => None,
        };
        Ok(Self { value: parse(&bytes)?, idempotency, bytes })
    }
}

/// The path of an operation: a request is the same under both prefixes.
fn without_prefix(path: &str) -> &str {
    let below = |prefix| path.strip_prefix(prefix).filter(|rest| rest.starts_with('/'));
    [PREFIX, EARLIER_PREFIX].into_iter().find_map(below).unwrap_or(path)
}

/// A JSON body that may be omitted: no bytes are the default.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> std::result::Result<Self, ApiError> {
        let bytes = read(request.into_body(), MAX_BODY).await?;
        let is_empty = bytes.iter().all(u8::is_ascii_whitespace);
        Ok(Self(if is_empty { T::default() } else { parse(&bytes)? }))
    }
}

/// Reads a whole body, within limits of size and time.
pub async fn read(body: Body, max: usize) -> Result<Bytes> {
    let bytes = tokio::time::timeout(MAX_TIME, read_frames(body, max)).await;
    bytes.unwrap_or_else(|_| Err(Error::new(Code::RequestTimeout, "The request's body took too long")))
}

async fn read_frames(mut body: Body, max: usize) -> Result<Bytes> {
    // Most bodies come in one piece, which is not copied.
    let (mut first, mut joined) = (Bytes::new(), BytesMut::new());
    loop {
        let frame = tokio::time::timeout(MAX_PAUSE, body.frame());
        let frame = frame.await.map_err(|_| Error::new(Code::RequestTimeout, "The request's body stopped arriving"))?;
        let Some(frame) = frame else { return Ok(if joined.is_empty() { first } else { joined.freeze() }) };
        let frame = frame.map_err(|error| Error::validation(vec![format!("Error in payload: {error}")]))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + joined.len() + data.len() > max {
            discard(&mut body, max).await;
            let fix = format!("Send a body of at most {} MiB.", max >> 20);
            return Err(Error::of(Code::BodyTooLarge, &[("limit", &max)]).fix(fix));
        }
        if first.is_empty() && joined.is_empty() {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
}

/// Drains the body for a moment: closing a connection while the client still sends resets it, and the
/// client never reads the response.
pub(in crate::api) async fn discard(body: &mut Body, max: usize) {
    let mut left = max;
    let draining = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // A client that sends more is disconnected.
    let _ = tokio::time::timeout(DISCARD_TIME, draining).await;
}

/// A hint for JSON that a word processor or a chat has changed.
fn typographic_hint(bytes: &[u8]) -> &'static str {
    const MARKS: [char; 8] =
        ['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}', '\u{a0}', '\u{200b}', '\u{feff}', '\u{2028}'];
    match std::str::from_utf8(bytes) {
        Ok(text) if text.starts_with('\u{feff}') => "; it begins with a byte order mark: send UTF-8 without one",
        Ok(text) if text.contains(MARKS) => {
            "; it has typographic quotes or invisible characters in it: write \" and plain spaces"
        }
        Ok(_) => "",
        Err(_) => "; it is not in UTF-8",
    }
}

/// Parses JSON; the error says where in the body what was expected.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let wrong = |detail: String| Error::validation(vec![format!("Error in {detail}")]);
    if bytes.is_empty() {
        return Err(wrong("payload: a JSON body is required".to_owned()));
    }
    let UniqueKeys(value) = serde_json::from_slice(bytes)
        .map_err(|error| wrong(format!("payload: is not JSON: {error}{}", typographic_hint(bytes))))?;
    strict::read(&value).map_err(|error| wrong(error.to_string()))
}

/// A JSON response.
pub fn json(status: StatusCode, value: &impl Serialize) -> Result<Response> {
    let body = serde_json::to_vec(value).map_err(Error::internal)?;
    Ok(raw(status, body))
}

/// A response with JSON, with room for the headers that every response gets.
pub(in crate::api) fn raw(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(MAX_COMMON_HEADERS);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl<T> std::fmt::Debug for JsonBody<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JsonBody(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn typographic_characters_in_json_are_reported() {
        for (body, cause) in [
            (&b"\xef\xbb\xbf{}"[..], "it begins with a byte order mark: send UTF-8 without one"),
            ("{\u{201c}a\u{201d}: 1}".as_bytes(), "it has typographic quotes or invisible characters in it"),
            ("{\u{a0}\"a\": 1}".as_bytes(), "it has typographic quotes or invisible characters in it"),
            (b"{\"a\": \xff}", "it is not in UTF-8"),
        ] {
            let error = parse::<Value>(body).unwrap_err();
            assert!(error.errors()[0].ends_with(cause) || error.errors()[0].contains(cause), "{:?}", error.errors());
        }
        let plain = parse::<Value>(b"{").unwrap_err();
        assert!(
            plain.errors()[0].contains("is not JSON: EOF") && !plain.errors()[0].contains(';'),
            "{:?}",
            plain.errors()
        );
        assert!(parse::<Value>("{\"\u{201c}\": \"\u{a0}\"}".as_bytes()).is_ok());
    }
}
