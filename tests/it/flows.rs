//! Tests of the whole service, the second half: what users see on their way to a connection, refreshes, and the program as
//! a process. `main.rs` has the first.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod connect;
mod process;
mod refresh;

#[expect(dead_code, reason = "main.rs uses the rest")]
mod api {
    pub mod help;
}
#[expect(dead_code, reason = "main.rs uses the rest")]
mod support;
