//! One request and its response, as the report shows them.

use std::fmt::Write as _;

use http::HeaderMap;

use super::raw::{self, Substitutions};
use super::received::ReceivedRequest;
use super::reply::Reply;

/// A request and its response. Values are replaced when it is printed, because later steps may add some.
pub(super) struct Exchange {
    pub(super) title: String,
    method: String,
    host: String,
    target: String,
    headers: HeaderMap,
    body: bytes::Bytes,
    pub(super) status: u16,
    /// The headers except the content type, then the body.
    response: String,
    notes: Vec<String>,
}

impl Exchange {
    pub(super) fn new(title: &str, received: &ReceivedRequest, reply: &Reply, notes: Vec<String>) -> Self {
        let headers_shown = reply.headers.iter().filter(|(name, _)| name != "content-type");
        let mut response = String::new();
        for (name, value) in headers_shown {
            let _ = writeln!(response, "{}: {value}", raw::header_display_name(name));
        }
        response.push_str(&reply.body);
        Self {
            title: title.to_owned(),
            method: received.method.clone(),
            host: received.url.authority().to_owned(),
            target: received.target.clone(),
            headers: received.headers.clone(),
            body: received.body.clone(),
            status: reply.status.as_u16(),
            response,
            notes,
        }
    }

    /// The request as sent.
    pub(super) fn request(&self, substitutions: &Substitutions) -> String {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        raw::format_parts(&self.method, &self.host, &self.target, headers, &self.body, substitutions)
    }

    /// The headers and body of the response.
    pub(super) fn response(&self, substitutions: &Substitutions) -> String {
        substitutions.apply(self.response.trim_end())
    }

    /// Explanations of what the request does not show.
    pub(super) fn notes(&self, substitutions: &Substitutions) -> Vec<String> {
        self.notes.iter().map(|note| substitutions.apply(note)).collect()
    }
}
