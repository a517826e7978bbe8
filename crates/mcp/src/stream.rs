//! Responses: JSON, or a stream of events as soon as a request sends something before its response.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// A comment is sent this often, so that nothing on the way closes a stream for being idle.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The bytes of a stream of events (`text/event-stream`).
pub type Events = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

/// The response to a POST.
pub enum Response {
    /// A body of JSON, or none.
    Whole {
        /// HTTP status.
        status: StatusCode,
        /// Header `Mcp-Session-Id`.
        session: Option<String>,
        /// None for a notification.
        body: Option<Vec<u8>>,
    },
    /// 200 with a stream of events. The request is given up when the stream is dropped.
    Stream(Events),
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole { .. } => "Whole",
            Self::Stream(_) => "Stream",
        })
    }
}

impl Response {
    pub(crate) fn json(status: StatusCode, body: Vec<u8>) -> Self {
        Self::Whole { status, session: None, body: Some(body) }
    }

    /// 202: nothing to say.
    pub(crate) fn accepted() -> Self {
        Self::Whole { status: StatusCode::ACCEPTED, session: None, body: None }
    }
}

/// An event with a message.
pub(crate) fn event(message: &[u8]) -> Bytes {
    [b"event: message\ndata: ".as_slice(), message, b"\n\n"].concat().into()
}

/// A request that is being handled; it yields status and body of its response.
type Handling = Pin<Box<dyn Future<Output = (StatusCode, Vec<u8>)> + Send>>;

/// The response of a request, which may send events before it ends.
pub(crate) async fn respond(mut handling: Handling, mut events: mpsc::Receiver<Bytes>) -> Response {
    let first = tokio::select! {
        biased;
        (status, body) = &mut handling => match events.try_recv() {
            Err(_) => return Response::json(status, body),
            // It sent something and ended at once.
            Ok(first) => return Response::Stream(rest(first, None, Some(body), events)),
        },
        Some(first) = events.recv() => first,
    };
    Response::Stream(rest(first, Some(handling), None, events))
}

struct Rest {
    first: Option<Bytes>,
    handling: Option<Handling>,
    response: Option<Vec<u8>>,
    events: mpsc::Receiver<Bytes>,
    keep_alive: Interval,
}

fn rest(first: Bytes, handling: Option<Handling>, response: Option<Vec<u8>>, events: mpsc::Receiver<Bytes>) -> Events {
    let mut keep_alive = interval_at(Instant::now() + KEEP_ALIVE, KEEP_ALIVE);
    keep_alive.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let rest = Rest { first: Some(first), handling, response, events, keep_alive };
    Box::pin(unfold(rest, |mut rest| async move { rest.next().await.map(|event| (event, rest)) }))
}

impl Rest {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        if let Some(handling) = &mut self.handling {
            tokio::select! {
                biased;
                Some(event) = self.events.recv() => return Some(event),
                (_, body) = handling => {
                    self.handling = None;
                    self.response = Some(body);
                }
                _ = self.keep_alive.tick() => return Some(Bytes::from_static(b": keep-alive\n\n")),
            }
        }
        // What was sent before the response comes before it.
        if let Ok(event) = self.events.try_recv() {
            return Some(event);
        }
        self.response.take().map(|body| event(&body))
    }
}
