//! Tests of the whole service: real sockets, real database files, real providers. Folders repeat what they test.
//!
//! There are two binaries, so that they are compiled and linked at the same time: this one has the API and the checks of
//! the sources, `flows.rs` the ways through pages, providers and processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod api;
mod architecture;
mod documents;
mod language;
mod promises;
mod services;
mod tool_search;

#[expect(dead_code, reason = "flows.rs uses the rest")]
mod connect {
    pub mod flow;
}
#[expect(dead_code, reason = "flows.rs uses the rest")]
mod process {
    pub mod needles;
}
#[expect(dead_code, reason = "flows.rs uses the rest")]
mod support;
