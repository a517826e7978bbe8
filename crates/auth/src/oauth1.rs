//! OAuth 1.0a (RFC 5849) as pure functions: clock and nonce are passed in.
//!
//! In order: [`request_token_request`] requests temporary credentials and [`parse_request_token_response`]
//! parses them, [`authorization_url`] sends the user to the provider, [`parse_callback`] parses the callback,
//! [`access_token_request`] and [`parse_access_token_response`] exchange it for token credentials. [`Signer`]
//! signs every request after that. The protocol has no `state` and no refresh: the caller identifies the flow
//! by the callback URL, and the credentials are valid until revoked.
//!
//! [`ClientCredentials`](crate::ClientCredentials) contains the consumer key and the consumer secret; with an
//! RSA method the secret is the private key in PEM.

mod base_string;
mod callback;
mod requests;
mod response;
mod signature;
mod signer;

use std::fmt;

use switchboard_vault::Entropy;

pub use callback::{CallbackQuery, parse_callback};
pub use requests::{access_token_request, authorization_url, request_token_request};
pub use response::{TokenCredentials, parse_access_token_response, parse_request_token_response};
pub use signature::check_client_secret;
pub use signer::Signer;

/// Temporary or token credentials for signing (RFC 5849 section 1.1).
#[derive(Clone, Copy)]
pub struct Token<'a> {
    /// `oauth_token`.
    pub token: &'a str,
    /// `oauth_token_secret`; never sent, except by `PLAINTEXT`.
    pub secret: &'a str,
}

impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// Timestamp and nonce of a request (RFC 5849 section 3.3). A repeated request needs new ones.
#[derive(Clone, Copy, Debug)]
pub struct Stamp<'a> {
    /// Seconds since 1970.
    pub timestamp: u64,
    /// Unique among the requests of this second.
    pub nonce: &'a str,
}

/// A new nonce: 120 random bits as 30 letters and digits, a format that every server accepts.
pub fn nonce(entropy: &dyn Entropy) -> String {
    let mut random = [0_u8; 16];
    entropy.fill(&mut random[1..]);
    format!("{:030x}", u128::from_be_bytes(random))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
