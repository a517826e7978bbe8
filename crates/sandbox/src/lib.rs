//! The built-in OAuth 2.0 provider of `switchboard dev`: login, consent, tokens and a small notes
//! API, so that everything can be tried offline.
//!
//! It plays the strict providers of the world, so that what works here works there: PKCE S256 is
//! required, redirect URIs match exactly, codes and refresh tokens are used once, and using one
//! twice revokes everything that came from it (RFC 9700 §4.14).
//!
//! Its two users and their passwords are published; it protects nothing and belongs on loopback.

mod api;
mod app;
mod authorization;
mod config;
mod form;
mod oauth;
mod pages;
mod router;
mod secret;
mod state;
mod store;
mod users;

pub use config::{Client, Clock, SandboxConfig};
pub use router::router;
