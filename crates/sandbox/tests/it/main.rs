//! Drives the provider as a browser, a client and a connected app, in one process.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a helper that cannot go on fails its test")]

mod api;
mod authorize;
mod restart;
mod support;
mod token;
