//! Persistence. The only place with SQL in it, and the only one that knows a database engine.
//!
//! A write is data: a [`Unit`] is a list of statements with what each must achieve, built by a
//! function in its table's file and applied atomically by [`Store::apply`]. Conditions stand in
//! the `WHERE` (compare-and-swap), never in code between two statements. That is what lets one
//! writer thread commit hundreds of units with one `fsync` (`sqlite/writer.rs`).
//! Reads are functions in the same files. They go through two doors: a read by key, on the caller's
//! thread, and a scan, on threads of its own, where each project takes its turn (`sqlite/scans.rs`).

mod counts;
mod migrate;
mod page;
mod row;
mod sqlite;
mod unit;

pub mod accounts;
pub mod api_keys;
pub mod attempts;
pub mod audit;
pub mod audit_segments;
pub mod auth_configs;
pub mod grants;
pub mod idempotency;
pub mod links;
pub mod meta;
pub mod organization_keys;
pub mod project_deletion;
pub mod projects;
pub mod reseal;
pub mod retention;
pub mod revocations;
pub mod sessions;
pub mod unread_answers;
pub mod verifications;

pub use migrate::MigrationError;
pub use page::{COUNTED, Listed, PageOf, Position, Start};
pub use row::Row;
pub use sqlite::{OpenError, Store};
pub use unit::{Statement, Unit, Value};

use thiserror::Error;

/// Why a unit was not applied. Nothing of it was written.
#[derive(Debug, Error)]
pub enum WriteError {
    /// A statement did not achieve what the unit demands: the named expectation.
    #[error("write refused: {0}")]
    Refused(&'static str),
    /// The disk is full. Reads go on.
    #[error("storage is full")]
    Full,
    /// The database cannot take writes now.
    #[error("database is unavailable: {0}")]
    Unavailable(String),
}

/// Why a read failed.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The database cannot answer now.
    #[error("database is unavailable: {0}")]
    Unavailable(String),
    /// Too many lists of the same project wait to be read.
    #[error("too many lists of this project are being read")]
    Busy,
    /// A stored row holds what no version of this program writes.
    #[error("stored row is impossible: {0}")]
    Impossible(String),
}
