//! Streams the response of `proxy_execute` around the provider's bytes: JSON is passed through
//! unchanged, text is escaped and other bytes are encoded chunk by chunk, as the client reads them. A
//! response is in memory once, and its reservation in the byte budget is kept until the last chunk is
//! sent, even with a slow client.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use schemars::JsonSchema;
use serde::{Serialize, Serializer as _};
use serde_json::{Value, json};

use crate::api::http::body::raw;
use crate::app::execute::answer::AnswerData;
use crate::app::execute::proxy_files::ProxyAnswer;
use crate::time::iso;

/// Bytes of the provider's body per chunk; a multiple of three, so that base64 chunks join.
const CHUNK_SIZE: usize = 48 * 1_024;
/// Responses up to this many bytes are written in one chunk, which covers the majority.
const SINGLE_CHUNK_LIMIT: usize = 64 * 1_024;

/// Chunks that are written before yielding to other tasks.
const MAX_CHUNKS_BEFORE_YIELD: u8 = 4;
/// Bytes of text that are scanned before yielding: less than a millisecond's work.
const SCAN_SIZE: usize = 512 * 1_024;

/// The provider's response, with any status.
// Only for the OpenAPI document: `parts` writes it without building it.
#[derive(Serialize, JsonSchema)]
pub struct ProxyResponse {
    /// Always `completed`.
    result_type: &'static str,
    /// The provider's status.
    #[schemars(range(min = 100, max = 999))]
    status: u16,
    /// Its body: JSON if it is JSON, otherwise text; absent without a body.
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Value>,
    /// Its headers, without cookies and credentials.
    headers: BTreeMap<String, String>,
    /// Its body if it is neither JSON nor text.
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_data: Option<BinaryData>,
}

/// Bytes as a data URL, or more than 1 MiB of them as a file.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProxyBinaryData")]
pub struct BinaryData {
    /// `data:<type>;base64,…`, or where the file can be fetched.
    url: String,
    /// As the provider named it.
    content_type: String,
    /// Bytes.
    size: usize,
    /// When the URL of a file ends; ISO 8601. Absent for a data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

/// A part of the JSON text.
enum Part {
    /// Written unchanged.
    Raw(Bytes),
    /// UTF-8 text, written as the content of a JSON string.
    Text(Bytes),
    /// Written as base64.
    Base64(Bytes),
}

/// 200 with the provider's response.
pub async fn response(answer: ProxyAnswer) -> Response {
    let parts = parts(answer);
    let mut length = 0;
    for part in &parts {
        length += part.length_yielding().await;
    }
    let mut body = Chunks { parts, left: length, since_yield: 0 };
    let body = if length <= SINGLE_CHUNK_LIMIT {
        let mut bytes = Vec::with_capacity(length);
        while let Some(part) = body.parts.pop_front() {
            part.write(&mut bytes);
        }
        Body::from(bytes)
    } else {
        Body::new(body)
    };
    raw(StatusCode::OK, body)
}

fn parts(ProxyAnswer { answer, stored }: ProxyAnswer) -> VecDeque<Part> {
    let headers = format!("\"headers\":{}", headers_json(answer.headers));
    let head = format!("{{\"result_type\":\"completed\",\"status\":{},", answer.status.as_u16());
    let raw = |text: String| Part::Raw(text.into());
    match (answer.data, stored) {
        (AnswerData::Empty, _) => [raw(format!("{head}{headers}}}"))].into(),
        (AnswerData::Json(json), _) => {
            [raw(format!("{head}\"data\":")), Part::Raw(json), raw(format!(",{headers}}}"))].into()
        }
        (AnswerData::Text(text), _) => {
            [raw(format!("{head}\"data\":\"")), Part::Text(text), raw(format!("\",{headers}}}"))].into()
        }
        (AnswerData::Binary { bytes, content_type }, Some(stored)) => {
            let file = json!({
                "content_type": content_type,
                "expires_at": iso(stored.expires_at),
                "size": bytes.len(),
                "url": stored.url,
            });
            [raw(format!("{head}{headers},\"binary_data\":{file}}}"))].into()
        }
        (AnswerData::Binary { bytes, content_type }, None) => {
            let size = bytes.len();
            let url = Value::from(format!("data:{content_type};base64,")).to_string();
            // Without the closing quotation mark.
            let url = url.get(..url.len() - 1).unwrap_or_default();
            let content_type = Value::from(content_type);
            let tail = format!("\",\"content_type\":{content_type},\"size\":{size}}}}}");
            [raw(format!("{head}{headers},\"binary_data\":{{\"url\":{url}")), Part::Base64(bytes), raw(tail)].into()
        }
    }
}

/// An object, ordered by name.
fn headers_json(mut headers: Vec<(HeaderName, String)>) -> String {
    headers.sort_unstable_by(|(one, _), (other, _)| one.as_str().cmp(other.as_str()));
    // Quotation marks, colon and comma for each; nearly no value needs escapes.
    let length = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 6).sum::<usize>() + 2;
    let mut serializer = serde_json::Serializer::new(Vec::with_capacity(length));
    // Strings always serialise.
    let _ = serializer.collect_map(headers.iter().map(|(name, value)| (name.as_str(), value)));
    String::from_utf8(serializer.into_inner()).unwrap_or_default()
}

impl Part {
    fn bytes(&mut self) -> &mut Bytes {
        match self {
            Self::Raw(bytes) | Self::Text(bytes) | Self::Base64(bytes) => bytes,
        }
    }

    /// Length of the output in bytes.
    fn length(&self) -> usize {
        match self {
            Self::Raw(bytes) => bytes.len(),
            Self::Text(bytes) => bytes.iter().map(|byte| escaped_length(*byte)).sum(),
            Self::Base64(bytes) => bytes.len().div_ceil(3) * 4,
        }
    }

    /// The same, yielding to other tasks during a long text.
    async fn length_yielding(&self) -> usize {
        let Self::Text(bytes) = self else { return self.length() };
        let mut length = 0;
        for stretch in bytes.chunks(SCAN_SIZE) {
            if length > 0 {
                tokio::task::yield_now().await;
            }
            length += stretch.iter().map(|byte| escaped_length(*byte)).sum::<usize>();
        }
        length
    }

    /// Splits off the next chunk.
    fn split(&mut self) -> Self {
        let is_text = matches!(self, Self::Text(_));
        let bytes = self.bytes();
        let mut at = bytes.len().min(CHUNK_SIZE);
        // Not inside a character.
        while is_text && at < bytes.len() && bytes[at] & 0xc0 == 0x80 {
            at -= 1;
        }
        let piece = bytes.split_to(at);
        match self {
            Self::Raw(_) => Self::Raw(piece),
            Self::Text(_) => Self::Text(piece),
            Self::Base64(_) => Self::Base64(piece),
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Raw(bytes) => to.extend_from_slice(bytes),
            Self::Text(bytes) => escape(bytes, to),
            Self::Base64(bytes) => {
                let start = to.len();
                to.resize(start + bytes.len().div_ceil(3) * 4, 0);
                // The buffer has exactly the required length.
                let _ = BASE64.encode_slice(bytes, &mut to[start..]);
            }
        }
    }

    fn into_bytes(self) -> Bytes {
        if let Self::Raw(bytes) = self {
            return bytes;
        }
        let mut written = Vec::with_capacity(self.length());
        self.write(&mut written);
        written.into()
    }
}

/// Digits of `\u001f`.
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The letter after the backslash in the short form of a character (RFC 8259 section 7).
fn short_form(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        8 => Some(b'b'),
        9 => Some(b't'),
        10 => Some(b'n'),
        12 => Some(b'f'),
        13 => Some(b'r'),
        _ => None,
    }
}

fn escaped_length(byte: u8) -> usize {
    match (short_form(byte), byte) {
        (Some(_), _) => 2,
        (None, 0..32) => 6,
        (None, _) => 1,
    }
}

fn escape(text: &[u8], to: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| escaped_length(*byte) > 1) {
        let (plain, after) = rest.split_at(at);
        to.extend_from_slice(plain);
        if let Some(letter) = short_form(after[0]) {
            to.extend_from_slice(&[b'\\', letter]);
        } else {
            let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
            to.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(after[0] >> 4), digit(after[0] & 15)]);
        }
        rest = &after[1..];
    }
    to.extend_from_slice(rest);
}

/// A body that produces its chunks on demand and yields regularly: a client that reads as fast as
/// chunks are produced would otherwise occupy a thread.
struct Chunks {
    parts: VecDeque<Part>,
    left: usize,
    /// Chunks produced since the last yield.
    since_yield: u8,
}

impl http_body::Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.since_yield == MAX_CHUNKS_BEFORE_YIELD {
            self.since_yield = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.since_yield += 1;
        let Some(part) = self.parts.front_mut() else { return Poll::Ready(None) };
        let piece = part.split();
        if part.bytes().is_empty() {
            self.parts.pop_front();
        }
        let bytes = piece.into_bytes();
        self.left = self.left.saturating_sub(bytes.len());
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.left).unwrap_or(u64::MAX))
    }
}

crate::redacted_debug!(ProxyResponse, BinaryData);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::execute::answer::Answer;
    use axum::http::StatusCode;
    use http_body_util::BodyExt;
    use proptest::prelude::*;

    fn whole(answer: Answer) -> ProxyAnswer {
        ProxyAnswer { answer, stored: None }
    }

    fn rendered(data: AnswerData) -> Value {
        let headers =
            vec![(HeaderName::from_static("x-b"), "1".to_owned()), (HeaderName::from_static("x-a"), "\"".to_owned())];
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let response = runtime.block_on(response(whole(Answer {
            status: StatusCode::MULTI_STATUS,
            headers,
            data,
            refusal: None,
        })));
        let body = response.into_body();
        let announced = http_body::Body::size_hint(&body).exact();
        let bytes = runtime.block_on(body.collect()).unwrap().to_bytes();
        assert_eq!(announced, Some(bytes.len() as u64));
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["headers"], json!({ "x-a": "\"", "x-b": "1" }));
        assert_eq!((&value["status"], &value["result_type"]), (&json!(207), &json!("completed")));
        value
    }

    /// Short texts and texts of several chunks, with every kind of character at the borders.
    fn texts() -> impl Strategy<Value = String> {
        ("[\\x00-\\x7fü€😀]{0,40}", prop_oneof![Just(1_usize), Just(4_000), Just(9_000)])
            .prop_map(|(text, times)| text.repeat(times))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn text_arrives_as_it_was(text in texts()) {
            let value = rendered(AnswerData::Text(text.clone().into()));
            prop_assert_eq!(value["data"].as_str(), Some(text.as_str()));
            prop_assert!(value.get("binary_data").is_none());
        }

        #[test]
        fn bytes_arrive_as_they_were(
            bytes in proptest::collection::vec(any::<u8>(), 1..200),
            times in prop_oneof![Just(1_usize), Just(3_000)],
            content_type in "[a-z]{1,5}/[a-z]{1,5}(; x=\"y\")?",
        ) {
            let bytes = bytes.repeat(times);
            let data = AnswerData::Binary { bytes: bytes.clone().into(), content_type: content_type.clone() };
            let binary = &rendered(data)["binary_data"];
            let url = format!("data:{content_type};base64,{}", BASE64.encode(&bytes));
            prop_assert_eq!(binary, &json!({ "url": url, "content_type": content_type, "size": bytes.len() }));
        }
    }

    #[test]
    fn json_is_passed_on_and_no_body_is_none() {
        let large = format!("[{}1.10]", "1e400,".repeat(40_000));
        for text in ["{\"a\":1.10}", "null", &large] {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let data = AnswerData::Json(text.to_owned().into());
            let response = runtime.block_on(response(whole(Answer {
                status: StatusCode::OK,
                headers: Vec::new(),
                data,
                refusal: None,
            })));
            let bytes = runtime.block_on(response.into_body().collect()).unwrap().to_bytes();
            let expected = format!("{{\"result_type\":\"completed\",\"status\":200,\"data\":{text},\"headers\":{{}}}}");
            assert_eq!(std::str::from_utf8(&bytes).unwrap(), expected);
        }
        assert!(rendered(AnswerData::Empty).get("data").is_none());
    }
}
