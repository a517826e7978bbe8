//! The Model Context Protocol (MCP) over streamable HTTP, the server's half.
//!
//! One URL serves two kinds of clients (<https://modelcontextprotocol.io/specification>):
//!
//! - *stateless* ones, of revision 2026-07-28: every request says in `_meta` which revision it is of and what its client
//!   can do. A question to the user is an answer of the kind `input_required`; the client repeats its request.
//! - *handshake* ones, of revisions 2025-03-26 to 2025-11-25: they send `initialize` first and get a session id. The id
//!   is all that is known of them, so nothing is kept for them here. A question to the user is sent on the open stream of
//!   a request, and its answer arrives as a request of its own.
//!
//! [`respond`] takes the body and headers of a POST and leads it to a [`Server`], which has the tools. This crate knows
//! no tools, opens nothing, and writes no log.

mod client;
mod dispatch;
mod failure;
mod headers;
mod message;
mod peer;
mod pending;
mod result;
mod revision;
mod server;
mod stream;

pub use client::Client;
pub use dispatch::respond;
pub use failure::Failure;
pub use peer::{AskError, Peer};
pub use pending::Pending;
pub use result::Outcome;
pub use revision::Revision;
pub use server::{Answers, Cache, Call, Implementation, Request, Server};
pub use stream::{Events, Response};
