//! Tests of the whole service: real sockets, real database files, real providers. One binary;
//! folders repeat what they test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]
#![expect(dead_code, reason = "helpers serve all tests, and not every one uses each")]

mod api;
mod connect;
mod process;
mod refresh;
mod support;
