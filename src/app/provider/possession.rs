//! Requests that prove possession of an account's key (RFC 9449), and the nonces that servers want in such
//! proofs: remembered by origin, and one more try where a server refused a request for want of a newer one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use switchboard_auth::{BuildError, dpop_nonce, is_dpop_nonce_error, prove_possession};
use switchboard_egress::EgressError;
use switchboard_vault::Secret;
use url::Url;

use super::Provider;
use crate::app::provider::Providers;

/// Origins remembered; past this many the memory starts over, which costs one more request each.
const CAPACITY: usize = 1_024;

/// Why a request with a proof could not be made.
const UNPROVEN: EgressError = EgressError::InvalidRequest { reason: "the proof of the account's key cannot be made" };

/// The nonce that each server wants next.
#[derive(Debug, Default)]
pub struct Nonces(Mutex<HashMap<String, String>>);

impl Nonces {
    fn get(&self, origin: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned()
    }

    /// Takes note of what an answer says.
    pub fn note(&self, url: &Url, headers: &HeaderMap) {
        let Some(nonce) = dpop_nonce(headers) else { return };
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= CAPACITY {
            nonces.clear();
        }
        nonces.insert(url.origin().ascii_serialization(), nonce.to_owned());
    }
}

impl Providers {
    /// Puts a proof on a request's headers; with an access token, the token as well.
    pub fn prove(
        &self,
        key: &Secret,
        method: &http::Method,
        url: &Url,
        headers: &mut HeaderMap,
        access_token: Option<&str>,
    ) -> Result<(), BuildError> {
        let nonce = self.dpop_nonces.get(&url.origin().ascii_serialization());
        let unique = self.unique();
        prove_possession(key, method, url, headers, access_token, nonce.as_deref(), self.moment(&unique))
    }

    /// Sends a request to an endpoint beside the token endpoint: of pushed authorization requests (RFC 9449
    /// section 10.1), introspection or revocation. Where the toolkit's tokens are bound to keys it carries a
    /// proof, to the authorization server alone. A server that wants a nonce has done nothing yet.
    pub(in crate::app) async fn send_proven(
        &self,
        provider: &Provider<'_>,
        request: Request<Bytes>,
        key: Option<&Secret>,
    ) -> Result<Response<Bytes>, EgressError> {
        let url = url_of(&request).map_err(|_| UNPROVEN)?;
        let key = key.filter(|_| provider.oauth.dpop && self.is_at_server(provider, &url));
        let Some(key) = key else { return Box::pin(self.send_noting(&url, request)).await };
        let once_more = request.clone();
        let answer = Box::pin(self.send_noting(&url, self.proven(request, key).map_err(|_| UNPROVEN)?)).await?;
        if !is_dpop_nonce_error(answer.status().as_u16(), answer.headers(), answer.body()) {
            return Ok(answer);
        }
        Box::pin(self.send_noting(&url, self.proven(once_more, key).map_err(|_| UNPROVEN)?)).await
    }

    /// Sends a request, and takes note of the nonce in its answer.
    pub(super) async fn send_noting(&self, url: &Url, request: Request<Bytes>) -> Result<Response<Bytes>, EgressError> {
        let answer = self.send_protocol(request).await?;
        self.dpop_nonces.note(url, answer.headers());
        Ok(answer)
    }

    /// Whether an endpoint is where the provider's tokens come from: elsewhere a proof says nothing.
    fn is_at_server(&self, provider: &Provider<'_>, url: &Url) -> bool {
        let server = self.expand(&provider.oauth.token_url, provider.params).ok();
        server.and_then(|server| Url::parse(&server).ok()).is_some_and(|server| server.origin() == url.origin())
    }

    /// A token request with a proof.
    pub(super) fn proven(&self, mut request: Request<Bytes>, key: &Secret) -> Result<Request<Bytes>, BuildError> {
        let url = url_of(&request)?;
        let method = request.method().clone();
        self.prove(key, &method, &url, request.headers_mut(), None)?;
        Ok(request)
    }
}

/// The URL of a request that was built from one.
pub(super) fn url_of(request: &Request<Bytes>) -> Result<Url, BuildError> {
    let unreadable = |_| BuildError::Endpoint { part: "URL", reason: "is not a URL" };
    Url::parse(&request.uri().to_string()).map_err(unreadable)
}
