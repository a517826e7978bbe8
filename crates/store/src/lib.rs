//! Persistence. The only crate that contains SQL and knows the database engine.
//!
//! A write is data: a [`Unit`] is a list of statements, each with the result it must have. Functions in the
//! file of a table build them, and [`Store::apply`] applies them atomically. Conditions are in the `WHERE`
//! clause (compare-and-swap), never in code between two statements. This lets one writer thread commit
//! hundreds of units with one `fsync` (`sqlite/writer.rs`).
//!
//! Reads are functions in the same files. A point read finds rows by key and runs on the caller's thread. A
//! scan runs on a pool of threads that projects share fairly (`sqlite/scans.rs`).

mod background;
mod counts;
pub mod failpoint;
mod guard;
mod migrate;
mod page;
mod read_counts;
mod row;
mod sqlite;
mod unit;
mod versioned;

pub mod accounts;
pub mod api_keys;
pub mod approvals;
pub mod attempts;
pub mod audit;
pub mod audit_segments;
pub mod auth_configs;
pub mod files;
pub mod grants;
pub mod idempotency;
pub mod jobs;
pub mod links;
pub mod meta;
pub mod organization_keys;
pub mod project_deletion;
pub mod projects;
pub mod provider_pauses;
mod refusal;
pub mod releases;
pub mod reseal;
pub mod retention;
pub mod revocations;
pub mod sessions;
pub mod tool_calls;
pub mod unread_answers;
pub mod verifications;

pub use background::enter_background;
pub use migrate::MigrationError;
pub use page::{COUNT_LIMIT, ListPage, PageQuery, PageStart, Position};
pub use read_counts::ReadCounts;
pub use refusal::Refusal;
pub use row::{DatabaseInconsistency, Row};
pub use sqlite::{Generation, OpenError, Store, Topic};
pub use unit::{Statement, Unit, Value};
pub use versioned::Versioned;

use thiserror::Error;

/// Why a unit was not applied. Nothing of it was written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// A statement did not have the required result.
    #[error("write refused: {0}")]
    Refused(Refusal),
    /// The disk is full. Reads still work.
    #[error("storage is full")]
    Full,
    /// The database does not accept writes now.
    #[error("database is unavailable: {0}")]
    Unavailable(String),
}

/// Why a read failed.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The database does not respond now.
    #[error("database is unavailable: {0}")]
    Unavailable(String),
    /// Too many scans of the project are queued.
    #[error("too many lists of this project are being read")]
    Busy,
    /// A stored row has values that no version of this program writes.
    #[error("stored row is inconsistent: {0}")]
    Inconsistent(DatabaseInconsistency),
}
