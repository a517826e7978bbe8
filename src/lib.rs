//! Switchboard: a self-hosted tool router. AI agents act with their users' own accounts.
//!
//! Dependencies go one way: `api, pages → app → store, catalog, auth, vault, egress`. The command line
//! in `src/cli` is not part of the library; it belongs to the program. `docs/architecture.md` has a map
//! of the code and three walkthroughs.

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
