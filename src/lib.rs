//! Switchboard: a self-hosted tool router. AI agents act with their users' own accounts.
//!
//! Dependencies go one way: `cli → server, api, pages → app → store, catalog, auth, vault, egress`. The program is a
//! call of [`cli::main`]: what it awaited itself would be compiled a second time into it. `docs/architecture.md` has a
//! map of the code and four walks through it.

pub mod api;
pub mod app;
pub mod cli;
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
