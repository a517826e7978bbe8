//! One request and its answer, as they are printed.

use std::fmt::Write as _;

use http::HeaderMap;

use super::raw::{self, Shown};
use super::received::ReceivedRequest;
use super::reply::Reply;

/// A request and its answer, unprinted: values that become names may be learned later.
pub(super) struct Exchange {
    pub(super) title: String,
    method: String,
    host: String,
    target: String,
    headers: HeaderMap,
    body: bytes::Bytes,
    pub(super) status: u16,
    /// Headers that say something, then the body.
    answer: String,
    notes: Vec<String>,
}

impl Exchange {
    pub(super) fn new(title: &str, received: &ReceivedRequest, reply: &Reply, notes: Vec<String>) -> Self {
        let spoken = reply.headers.iter().filter(|(name, _)| name != "content-type");
        let mut answer = String::new();
        for (name, value) in spoken {
            let _ = writeln!(answer, "{}: {value}", raw::title(name));
        }
        answer.push_str(&reply.body);
        Self {
            title: title.to_owned(),
            method: received.method.clone(),
            host: received.url.authority().to_owned(),
            target: received.target.clone(),
            headers: received.headers.clone(),
            body: received.body.clone(),
            status: reply.status.as_u16(),
            answer,
            notes,
        }
    }

    /// The request as it went over the wire.
    pub(super) fn request(&self, shown: &Shown) -> String {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        raw::parts(&self.method, &self.host, &self.target, headers, &self.body, shown)
    }

    /// The answer's headers and body.
    pub(super) fn answer(&self, shown: &Shown) -> String {
        shown.apply(self.answer.trim_end())
    }

    /// What is not visible in the request.
    pub(super) fn notes(&self, shown: &Shown) -> Vec<String> {
        self.notes.iter().map(|note| shown.apply(note)).collect()
    }
}
