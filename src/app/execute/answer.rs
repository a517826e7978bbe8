//! Reads the answer of a provider for the caller: within the memory budget, decompressed, and with the credential
//! redacted in every encoding (R52).

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderMap, HeaderName};
use http::response::Parts;
use http::{Response, StatusCode};
use switchboard_auth::Redactor;
use switchboard_egress::{Body, BudgetExhausted, EgressError, Reservation};
use tokio::sync::Semaphore;

use super::content::{self, Content};
use super::ready::Ready;
use crate::app::execute::Executor;
use crate::app::provider::request::response_error;
use crate::error::{Error, Result};

/// Response headers that never reach the caller: cookies and credentials.
const DROPPED_HEADERS: [HeaderName; 6] = [
    header::SET_COOKIE,
    header::AUTHORIZATION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
];

/// Bodies of up to this size, in bytes, are redacted as a whole, which costs less.
const SMALL_BODY: usize = 64 * 1_024;
/// JSON and texts of this size, in bytes, and above are processed on another thread.
const LARGE_BODY: usize = 256 * 1_024;

/// The answer of a provider.
pub struct Answer {
    /// The provider's status, unchanged.
    pub status: StatusCode,
    /// Each name once; repeated values joined with a comma.
    pub headers: Vec<(HeaderName, String)>,
    /// Body.
    pub data: AnswerData,
    /// The provider refused the call because of a limit.
    pub refusal: Option<Refusal>,
}

/// A refusal because of a limit.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    /// How long the provider asks to wait.
    pub retry_after: Option<Duration>,
}

impl Answer {
    /// The body, if it is JSON or text.
    pub(super) fn readable(&self) -> &[u8] {
        match &self.data {
            AnswerData::Json(bytes) | AnswerData::Text(bytes) => bytes,
            AnswerData::Empty | AnswerData::Binary { .. } => &[],
        }
    }
}

/// A response body by its kind. Its bytes keep their reservation in the memory budget for responses
/// ([`Executor::free_answer_memory`]) until the last reference is dropped. Users copy them at most once.
pub enum AnswerData {
    /// No body.
    Empty,
    /// JSON, passed through unparsed, without spaces around it.
    Json(Bytes),
    /// Text in UTF-8.
    Text(Bytes),
    /// Anything else.
    Binary {
        /// The bytes received.
        bytes: Bytes,
        /// The media type that the provider sent.
        content_type: String,
    },
}

/// Bytes of a response, with their reservation of memory.
struct ReservedBytes {
    bytes: Bytes,
    _reservation: Option<Reservation>,
}

impl AsRef<[u8]> for ReservedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Executor {
    /// Reads a response. `max` is the maximum size of its body in bytes, as received and as returned.
    pub(super) async fn read_answer(
        &self,
        response: Response<Body>,
        ready: &Arc<Ready>,
        is_idempotent: bool,
        max: usize,
    ) -> Result<Answer> {
        let redactor = &ready.redactor;
        let failure = |error: EgressError| response_error(&error, is_idempotent);
        let (head, body) = response.into_parts();
        if content::is_binary(&head.headers) {
            let (bytes, reservation) = collect_redacted(body, redactor, &self.redacting).await.map_err(failure)?;
            let content = if bytes.is_empty() { Content::Empty } else { Content::Binary(bytes) };
            return Ok(answer(&head, content, redactor, reservation));
        }
        // JSON and text need the whole body: only then is it certain that it is well-formed, which decides how it
        // is returned, and JSON is redacted by its values.
        let (bytes, mut reservation) = body.collect().await.map_err(failure)?;
        let may_grow = content::may_grow(&head.headers);
        if may_grow && let Some(reservation) = &mut reservation {
            let grown = reservation.grow(max, max).await;
            grown.map_err(|BudgetExhausted| failure(EgressError::BudgetExhausted))?;
        }
        if bytes.len() < LARGE_BODY && !may_grow {
            return read(head, bytes, redactor, reservation, max);
        }
        // Redacting megabytes would block a thread of the runtime. One response is processed after the other.
        let ready = Arc::clone(ready);
        let reading = self.large_answers.run(move || read(head, bytes, &ready.redactor, reservation, max));
        reading.await.map_err(Error::internal)?
    }
}

/// Collects a body that is neither JSON nor text. A large one is redacted as it arrives, so that it is in memory
/// once and is complete when its last byte has come.
async fn collect_redacted(
    mut body: Body,
    redactor: &Redactor,
    redacting: &Semaphore,
) -> std::result::Result<(Bytes, Option<Reservation>), EgressError> {
    let length = body.length().and_then(|length| usize::try_from(length).ok());
    if length.is_some_and(|length| length <= SMALL_BODY) {
        let (bytes, reservation) = body.collect().await?;
        return Ok((content::redacted(bytes, redactor), reservation));
    }
    let mut small = BytesMut::new();
    let next = loop {
        let Some(chunk) = body.chunk().await? else {
            return Ok((content::redacted(small.freeze(), redactor), body.into_reservation()));
        };
        if small.len() + chunk.len() > SMALL_BODY {
            break chunk;
        }
        small.extend_from_slice(&chunk);
    };
    let mut stream = redactor.stream();
    // The reservation has grown to the announced length.
    let mut redacted = Vec::with_capacity(length.unwrap_or_default());
    for chunk in [small.freeze(), next] {
        stream.push(&chunk, &mut redacted);
    }
    while let Some(chunk) = body.chunk().await? {
        // One chunk of all calls at a time, and a pause after each: large bodies must not occupy the threads of the
        // runtime.
        let _turn = redacting.acquire().await;
        stream.push(&chunk, &mut redacted);
        tokio::task::yield_now().await;
    }
    stream.finish(&mut redacted);
    Ok((redacted.into(), body.into_reservation()))
}

/// The answer from a collected body.
fn read(
    mut head: Parts,
    body: Bytes,
    redactor: &Redactor,
    reservation: Option<Reservation>,
    max: usize,
) -> Result<Answer> {
    let body = content::decompress(&mut head.headers, body, max)?;
    let content = content::parse_content(&head.headers, body, redactor, max)?;
    Ok(answer(&head, content, redactor, reservation))
}

/// The answer from a redacted body.
fn answer(head: &Parts, content: Content, redactor: &Redactor, mut reservation: Option<Reservation>) -> Answer {
    let headers = redacted_headers(&head.headers, redactor);
    if let Some(reservation) = &mut reservation {
        reservation.shrink(content.bytes().map_or(0, Bytes::len));
    }
    let reserved = |bytes: Bytes| Bytes::from_owner(ReservedBytes { bytes, _reservation: reservation });
    let data = match content {
        Content::Empty => AnswerData::Empty,
        Content::Json(json) => AnswerData::Json(reserved(json)),
        Content::Text(text) => AnswerData::Text(reserved(text)),
        Content::Binary(bytes) => {
            let declared = headers.iter().find(|(name, _)| *name == header::CONTENT_TYPE);
            let declared = declared.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
            let content_type = declared.unwrap_or("application/octet-stream").to_owned();
            AnswerData::Binary { bytes: reserved(bytes), content_type }
        }
    };
    Answer { status: head.status, headers, data, refusal: None }
}

fn redacted_headers(headers: &HeaderMap, redactor: &Redactor) -> Vec<(HeaderName, String)> {
    let mut redacted: Vec<(HeaderName, String)> = Vec::with_capacity(headers.keys_len());
    for (name, value) in headers.iter().filter(|(name, _)| !DROPPED_HEADERS.contains(name)) {
        let value = redactor.redact(value.as_bytes());
        let value = String::from_utf8_lossy(&value);
        match redacted.iter_mut().find(|(known, _)| known == name) {
            Some((_, joined)) => {
                joined.push_str(", ");
                joined.push_str(&value);
            }
            None => redacted.push((name.clone(), value.into_owned())),
        }
    }
    redacted
}

crate::redacted_debug!(Answer, AnswerData);
