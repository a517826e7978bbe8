//! Limits of a call: time and size.

use std::time::{Duration, Instant};

/// Maximum size of a response head in bytes, whatever [`Limits`] says: the buffer of one connection.
pub(crate) const HEAD_BUFFER: usize = 128 * 1024;
/// Maximum number of header fields. Up to this number, parsing the head allocates no memory of its own.
pub(crate) const HEADER_FIELDS: usize = 100;

/// Limits of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Timeout for everything: look-up, connecting, sending, headers and body.
    pub total: Duration,
    /// Also a timeout for everything: a moment, for exchanges that share their time. At this moment or later,
    /// nothing is sent.
    pub until: Option<Instant>,
    /// Maximum size of the body in bytes.
    pub max_body: usize,
    /// Maximum size of all response headers in bytes (each as `name: value` and line end). More than 128 KiB
    /// or 100 fields is always refused.
    pub max_header_bytes: usize,
    /// Whether a response with a content coding is passed on as received, with its `Content-Encoding`;
    /// otherwise it is refused. `max_body` limits the encoded body.
    pub any_coding: bool,
}

impl Default for Limits {
    /// 30 s and no moment, 10 MiB of body, 64 KiB of headers, no content coding.
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            until: None,
            max_body: 10 * 1024 * 1024,
            max_header_bytes: 64 * 1024,
            any_coding: false,
        }
    }
}
