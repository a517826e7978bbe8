//! How long a call may take and how much it may bring back.

use std::time::Duration;

/// No answer's head may be larger than this many bytes, whatever [`Limits`] says: it is what one
/// connection may buffer.
pub(crate) const HEAD_BUFFER: usize = 128 * 1024;
/// No answer may have more header fields than this: up to here, reading an answer's head takes no memory
/// of its own.
pub(crate) const HEADER_FIELDS: usize = 100;

/// Bounds of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Time for everything: look-up, connecting, sending, headers and body.
    pub total: Duration,
    /// Largest body accepted, in bytes.
    pub max_body: usize,
    /// Largest sum of the answer's header fields, in bytes (each as `name: value` and line end).
    /// More than 128 KiB, or more than 100 fields, is refused in any case.
    pub max_header_bytes: usize,
    /// An answer with a content coding is handed on as it came, its `Content-Encoding` with it; else it
    /// is refused. `max_body` holds for what came.
    pub any_coding: bool,
}

impl Default for Limits {
    /// 30 s, 10 MiB of body, 64 KiB of headers, no content coding.
    fn default() -> Self {
        Self {
            total: Duration::from_secs(30),
            max_body: 10 * 1024 * 1024,
            max_header_bytes: 64 * 1024,
            any_coding: false,
        }
    }
}
