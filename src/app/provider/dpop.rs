//! `DPoP`: requests that prove possession of an account's key (RFC 9449). Server nonces are cached by origin; a
//! request that was refused for lack of a current nonce is sent once more.

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

/// Maximum number of origins cached. Beyond it the cache is cleared, which costs each origin one more request.
const CAPACITY: usize = 1_024;

/// The proof could not be created.
const PROOF_FAILED: EgressError =
    EgressError::InvalidRequest { reason: "the proof of the account's key cannot be made" };

/// The current nonce of each server, by origin.
#[derive(Debug, Default)]
pub struct Nonces(Mutex<HashMap<String, String>>);

impl Nonces {
    fn get(&self, origin: &str) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(origin).cloned()
    }

    /// Caches the nonce of a response, if it has one.
    pub fn record(&self, url: &Url, headers: &HeaderMap) {
        let Some(nonce) = dpop_nonce(headers) else { return };
        let mut nonces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if nonces.len() >= CAPACITY {
            nonces.clear();
        }
        nonces.insert(url.origin().ascii_serialization(), nonce.to_owned());
    }
}

impl Providers {
    /// Adds a proof to a request's headers, bound to the access token if there is one.
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

    /// Sends a request to another endpoint than the token endpoint: pushed authorization requests (RFC 9449
    /// section 10.1), introspection or revocation. If the toolkit's tokens are bound to keys, the request
    /// carries a proof, but only to the authorization server. A server that demands a nonce has not processed
    /// the request.
    pub(in crate::app) async fn send_proven(
        &self,
        provider: &Provider<'_>,
        request: Request<Bytes>,
        key: Option<&Secret>,
    ) -> Result<Response<Bytes>, EgressError> {
        let url = url_of(&request).map_err(|_| PROOF_FAILED)?;
        let key = key.filter(|_| provider.oauth.dpop && self.is_authorization_server(provider, &url));
        let Some(key) = key else { return Box::pin(self.send_recording_nonce(&url, request)).await };
        let retry = request.clone();
        let answer =
            Box::pin(self.send_recording_nonce(&url, self.with_proof(request, key).map_err(|_| PROOF_FAILED)?)).await?;
        if !is_dpop_nonce_error(answer.status().as_u16(), answer.headers(), answer.body()) {
            return Ok(answer);
        }
        Box::pin(self.send_recording_nonce(&url, self.with_proof(retry, key).map_err(|_| PROOF_FAILED)?)).await
    }

    /// Sends a request and caches the nonce of its response.
    pub(super) async fn send_recording_nonce(
        &self,
        url: &Url,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, EgressError> {
        let answer = self.send_protocol(request).await?;
        self.dpop_nonces.record(url, answer.headers());
        Ok(answer)
    }

    /// Whether an endpoint belongs to the authorization server. Other servers get no proof.
    fn is_authorization_server(&self, provider: &Provider<'_>, url: &Url) -> bool {
        let server = self.expand(&provider.oauth.token_url, provider.params).ok();
        server.and_then(|server| Url::parse(&server).ok()).is_some_and(|server| server.origin() == url.origin())
    }

    /// Adds a proof to a token request.
    pub(super) fn with_proof(&self, mut request: Request<Bytes>, key: &Secret) -> Result<Request<Bytes>, BuildError> {
        let url = url_of(&request)?;
        let method = request.method().clone();
        self.prove(key, &method, &url, request.headers_mut(), None)?;
        Ok(request)
    }
}

/// The URL of a request.
pub(super) fn url_of(request: &Request<Bytes>) -> Result<Url, BuildError> {
    let unreadable = |_| BuildError::Endpoint { part: "URL", reason: "is not a URL" };
    Url::parse(&request.uri().to_string()).map_err(unreadable)
}
