//! Authentication schemes as pure request builders and response parsers, no I/O.
//!
//! The flow of OAuth 2.0 (RFC 6749) in the order in which it happens: [`PkcePair`] and
//! [`AuthorizationRequest`] send a person to the provider, [`parse_callback`] and [`check_issuer`]
//! read what the browser brings back, [`code_request`], [`refresh_request`] and
//! [`revocation_request`] talk to the provider, [`parse_token_response`] and
//! [`parse_revocation_response`] read its answers. For every scheme, [`apply`] and [`apply_basic`]
//! put the credential on an API request, [`check_caller_header`] keeps callers from overriding it,
//! and [`Redactor`] keeps it from coming back.
//!
//! What differs between providers is data (`switchboard_catalog`); no provider is named here.
//! Nothing here reads a clock, opens a connection or writes a log.

mod apply;
mod authorize;
mod callback;
mod client;
mod document;
mod error;
mod form;
mod headers;
mod pkce;
mod redact;
mod revocation;
mod text;
mod token;
mod token_error;
mod token_response;
mod unambiguous;

pub use apply::{apply, apply_basic, credential_headers};
pub use authorize::AuthorizationRequest;
pub use callback::{CallbackError, CallbackQuery, IssuerMismatch, check_issuer, parse_callback};
pub use client::{ClientCredentials, check_client_secret};
pub use error::BuildError;
pub use headers::check_caller_header;
pub use pkce::PkcePair;
pub use redact::Redactor;
pub use revocation::{RevocationAnswer, parse_revocation_response};
pub use token::{code_request, refresh_request, revocation_request};
pub use token_error::{TokenError, TokenErrorKind};
pub use token_response::{TokenSet, parse_token_response};
pub use unambiguous::Unambiguous;

/// Answers a template variable by name: connection fields of the account and builtins.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

#[cfg(test)]
mod fixtures;
