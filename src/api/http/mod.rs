//! Everything that is the same for all requests and responses: request ids, HTTP validation and the log
//! line (`edge.rs`), authentication (`auth.rs`, `admission.rs`), rate limits, bodies, idempotency keys
//! (`once.rs`), queries, pages and the error envelope.

mod admission;
pub mod auth;
pub mod body;
pub mod edge;
pub mod error;
pub(in crate::api) mod form_body;
pub mod health;
pub mod limits;
pub mod once;
pub mod page;
pub(in crate::api) mod parameters;
pub mod path;
pub mod query;
pub mod strict;
pub mod warnings;
