//! Authentication schemes as pure request builders and response parsers, no I/O.
//!
//! The flow of OAuth 2.0 (RFC 6749) in the order in which it happens: [`parse_metadata`] reads what the
//! provider says of itself, [`PkcePair`] and [`AuthorizationRequest`] send a person there,
//! [`parse_callback`] and [`check_issuer`] read what the browser brings back, [`code_request`],
//! [`refresh_request`] and [`revocation_request`] talk to the provider, [`parse_token_response`] and
//! [`parse_revocation_response`] read its answers. Without a browser that comes back, [`device_request`]
//! and [`device_token_request`] take the place of the first steps (RFC 8628). [`call_request`] builds what no RFC fixes and a
//! toolkit file describes. [`Sent`] keeps what was sent out of errors. OAuth 1.0a (RFC 5849), which signs every request, is in [`oauth1`].
//!
//! For every scheme, [`apply`] and [`apply_basic`] put the credential on an API request,
//! [`check_caller_header`] keeps callers from overriding it, and [`Redactor`] keeps it from coming
//! back. Where a secret proves itself without being sent, [`sign_jwt`] mints assertions, [`SigV4`] and
//! [`hmac_signature`] sign requests, [`WsseUser`] writes a digest of a password, and
//! [`verify_query_hmac`] checks what a provider signed.
//!
//! What differs between providers is data (`switchboard_catalog`); no provider is named here.
//! Nothing here reads a clock, opens a connection or writes a log. Randomness is passed in, but for
//! what is inside a signature algorithm (`jws`).

mod apply;
mod assertion;
mod authorize;
mod call;
mod callback;
mod certificate;
mod client;
mod device;
mod document;
mod dpop;
mod error;
mod form;
mod further;
mod headers;
mod introspection;
mod jws;
mod metadata;
mod nonce;
pub mod oauth1;
mod packed;
mod pem;
mod pkce;
mod redact;
mod revocation;
mod sent;
mod sign;
mod signatures;
mod sigv4;
mod text;
mod token;
mod token_error;
mod token_response;
mod unambiguous;
mod utc;
mod wsse;

pub use apply::{Draft, apply, apply_basic, basic_username, credential_headers};
pub use assertion::{ClientKey, Moment, client_assertion, mint};
pub use authorize::AuthorizationRequest;
pub use call::call_request;
pub use callback::{CallbackError, CallbackQuery, IssuerMismatch, callback_parameter, check_issuer, parse_callback};
pub use certificate::{check_certificate, x5t, x5t_s256};
pub use client::{ClientCredentials, check_client_secret};
pub use device::{DeviceAuthorization, DeviceRefusal, device_request, device_token_request, parse_device_response};
pub use dpop::{dpop_nonce, dpop_thumbprint, new_dpop_key, prove_possession, refuses_for_dpop_nonce, wants_dpop_nonce};
pub use error::BuildError;
pub use headers::check_caller_header;
pub use introspection::{Introspection, parse_introspection_response};
pub use jws::{JwsAlgorithm, check_private_key, sign_jwt, unverified_expiry};
pub use metadata::{
    MAX_METADATA, Metadata, MetadataError, ResourceMetadata, challenged_metadata_url, complete, metadata_urls,
    origin_metadata_url, parse_metadata, parse_resource_metadata, resource_metadata_url,
};
pub use nonce::nonce_matches;
pub use packed::{Packed, unpacked};
pub use pkce::PkcePair;
pub use redact::Redactor;
pub use revocation::{RevocationAnswer, parse_revocation_response};
pub use sent::Sent;
pub use sign::{sign, signature_headers};
pub use signatures::{SignatureEncoding, SignatureHash, hmac_signature, verify_query_hmac};
pub use sigv4::SigV4;
pub use token::{CodeGrant, code_request, introspection_request, pushed_request, refresh_request, revocation_request};
pub use token_error::{TokenError, TokenErrorKind};
pub use token_response::{
    Answer, Reading, Rest, StepAnswer, TokenSet, parse_pushed_response, parse_step_response, parse_token_response,
};
pub use unambiguous::Unambiguous;
pub use wsse::{WsseDigest, WsseNonce, WsseUser};

/// Answers a template variable by name: connection fields of the account and builtins.
pub type Variables<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

#[cfg(test)]
mod fixtures;
