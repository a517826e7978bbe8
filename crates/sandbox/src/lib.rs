//! The built-in OAuth 2.0 provider of `switchboard dev`: login, consent, tokens and a small notes API, for
//! trying everything offline.
//!
//! It is as strict as the strictest real providers, so that what works here also works there. PKCE S256 is
//! required and redirect URIs must match exactly. Codes and refresh tokens work once, and a second use
//! revokes everything issued from them (RFC 9700 §4.14).
//!
//! Its two users and their passwords are public: it protects nothing and must only listen on loopback.

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
