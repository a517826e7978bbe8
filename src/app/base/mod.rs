//! What the other folders of the application depend on: settings, the current catalog, rate limits, short-lived
//! caches, locks, threads and idempotency keys. Nothing here knows links, accounts or sessions.

pub mod account_locks;
pub mod catalog;
pub mod change;
pub mod connection_waiters;
pub mod core;
pub mod errors;
pub mod idempotency;
pub mod networks;
pub mod rate_limits;
pub mod recent;
pub mod scopes;
pub mod settings;
pub mod threads;
pub mod tools;
