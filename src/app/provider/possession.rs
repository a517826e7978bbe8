//! Requests that prove possession of an account's key (RFC 9449), and the nonces that servers want in such
//! proofs: remembered by origin, and one more try where a server refused a request for want of a newer one.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request};
use switchboard_auth::{BuildError, dpop_nonce, prove_possession};
use switchboard_vault::Secret;
use url::Url;

use crate::app::App;

/// Origins remembered; past this many the memory starts over, which costs one more request each.
const CAPACITY: usize = 1_024;

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

impl App {
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
    let unreadable = |_| BuildError::Endpoint { what: "URL", reason: "is not a URL" };
    Url::parse(&request.uri().to_string()).map_err(unreadable)
}
