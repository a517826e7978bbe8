//! Switchboard: a self-hosted tool router. AI agents act with their users' own accounts.
//!
//! One direction: `api, pages → app → store, catalog, auth, vault, egress`. The command line, in `src/cli`, is not
//! part of the library: it belongs to the program, which is built on it. The map of the
//! code and three walkthroughs are in `docs/architecture.md`.

pub mod api;
pub mod app;
pub mod client_address;
pub mod config;
pub mod error;
pub mod id;
pub mod log;
pub mod metrics;
pub mod pages;
mod redacted;
pub mod server;
pub mod text;
pub mod time;
