//! What is the same for every request and answer: request ids, framing and the log line (`edge.rs`), who calls
//! (`auth.rs`, `admission.rs`), rate limits, bodies, queries, pages and the error envelope.

mod admission;
pub mod auth;
pub mod body;
pub mod edge;
pub mod error;
pub(in crate::api) mod form_body;
pub mod health;
pub mod limits;
pub mod page;
pub(in crate::api) mod parameters;
pub mod path;
pub mod query;
pub mod strict;
pub mod warnings;
