//! Tests of the whole service: real sockets, real database files, real providers. One binary;
//! folders repeat what they test.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod api;
mod architecture;
mod connect;
mod documents;
mod language;
mod process;
mod promises;
mod refresh;
mod services;
mod support;
