//! What the other folders of the application stand on: settings, the catalog in force, rate limits, short-lived
//! caches, locks, threads, idempotency keys. Nothing here knows a link, an account or a session.

pub mod catalog;
pub mod change;
pub mod core;
pub mod errors;
pub(in crate::app) mod failpoint;
pub mod flights;
pub mod idempotency;
pub mod networks;
pub mod rate_limits;
pub mod recent;
pub mod settings;
pub mod threads;
