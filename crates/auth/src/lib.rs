//! Authentication schemes as pure request builders and response parsers, without I/O.
//!
//! The OAuth 2.0 flow (RFC 6749), in order: [`parse_metadata`] reads the provider's metadata. [`PkcePair`]
//! and [`AuthorizationRequest`] build the authorization request. [`parse_callback`] and [`check_issuer`] read
//! the authorization response. [`code_request`], [`refresh_request`] and [`revocation_request`] call the
//! provider; [`parse_token_response`] and [`parse_revocation_response`] read the responses. Without a
//! callback, [`device_request`] and [`device_token_request`] replace the first steps (RFC 8628).
//! [`call_request`] builds requests that no RFC defines and a toolkit file describes. [`RequestSecrets`] keeps request
//! values out of errors. [`oauth1`] implements OAuth 1.0a (RFC 5849), which signs every request.
//!
//! For every scheme, [`apply`] and [`apply_basic`] add the credential to an API request,
//! [`check_caller_header`] prevents callers from overriding it, and [`Redactor`] removes it from responses.
//! For secrets that are not sent, [`sign_jwt`] creates assertions, [`SigV4`] and [`hmac_signature`] sign
//! requests, [`WsseUser`] creates a password digest, and [`verify_query_hmac`] verifies a provider's
//! signature.
//!
//! Differences between providers are data (`switchboard_catalog`); no provider is named here. Nothing here
//! reads a clock, opens a connection or writes a log. Randomness is passed in, except inside signature
//! algorithms (`jws`).

mod apply;
mod assertion;
mod authorize;
mod call;
mod callback;
mod certificate;
mod client;
mod content_coding;
mod device;
mod document;
mod dpop;
mod error;
mod extra_tokens;
mod form;
mod headers;
mod introspection;
mod jws;
mod metadata;
mod nonce;
pub mod oauth1;
mod pem;
mod pkce;
mod redact;
mod request_secrets;
mod revocation;
mod sign;
mod signatures;
mod sigv4;
mod text;
mod token;
mod token_error;
mod token_response;
mod unique_keys;
mod utc;
mod wsse;

pub use apply::{UnsentRequest, apply, apply_basic, basic_username, credential_headers};
pub use assertion::{ClientKey, Moment, client_assertion, mint};
pub use authorize::AuthorizationRequest;
pub use call::call_request;
pub use callback::{CallbackError, CallbackQuery, IssuerMismatch, callback_parameter, check_issuer, parse_callback};
pub use certificate::{check_certificate, x5t, x5t_s256};
pub use client::{ClientCredentials, check_client_secret};
pub use content_coding::{DecompressError, decompressed};
pub use device::{DeviceAuthorization, DevicePollError, device_request, device_token_request, parse_device_response};
pub use dpop::{dpop_nonce, dpop_thumbprint, is_dpop_nonce_error, new_dpop_key, prove_possession, requires_dpop_nonce};
pub use error::BuildError;
pub use headers::check_caller_header;
pub use introspection::{Introspection, parse_introspection_response};
pub use jws::{JwsAlgorithm, check_private_key, sign_jwt, unverified_expiry};
pub use metadata::{
    MAX_METADATA, Metadata, MetadataError, ResourceMetadata, challenged_metadata_url, complete, metadata_urls,
    origin_metadata_url, parse_metadata, parse_resource_metadata, resource_metadata_url,
};
pub use nonce::nonce_matches;
pub use pkce::PkcePair;
pub use redact::{RedactStream, Redactor};
pub use request_secrets::RequestSecrets;
pub use revocation::{RevocationResponse, parse_revocation_response};
pub use sign::{sign, signature_headers};
pub use signatures::{SignatureEncoding, SignatureHash, hmac_signature, verify_query_hmac};
pub use sigv4::SigV4;
pub use token::{CodeGrant, code_request, introspection_request, pushed_request, refresh_request, revocation_request};
pub use token_error::{TokenError, TokenErrorKind};
pub use token_response::{
    ParseOptions, ProviderResponse, Rest, StepResponse, TokenSet, parse_pushed_response, parse_step_response,
    parse_token_response,
};
pub use unique_keys::UniqueKeys;
pub use wsse::{WsseDigest, WsseNonce, WsseUser};

/// Looks up a template variable: connection fields of the account and builtins.
pub type Variables<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

#[cfg(test)]
mod fixtures;
