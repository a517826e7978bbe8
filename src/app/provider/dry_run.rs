//! A request as it would be sent, without the credential: each part of it that the account's scheme adds is replaced by
//! a marker.
//!
//! The request is built by what builds the sent ones. The secrets are stand-ins then, random texts of this request
//! alone, so that the marker can be put wherever they end up. A value that is computed from secrets, such as a
//! signature, is replaced as a whole.

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request};
use switchboard_auth::{UnsentRequest, signature_headers};
use switchboard_catalog::{Scheme, Toolkit};
use switchboard_egress::{Destination, Outgoing};
use switchboard_types::AccountParams;
use switchboard_vault::{Secret, Secrets};

use super::request::{call_error, copy, signature};
use crate::app::provider::Providers;
use crate::error::Result;

/// The only secret that is kept while stand-ins are used: a proof cannot be made without a key. The header with the proof
/// is replaced as a whole.
const PROOF_KEY: &str = "dpop_key";

/// A request that was not sent, without a credential.
pub struct PlannedRequest {
    /// Method.
    pub method: Method,
    /// URL with its query.
    pub url: String,
    /// Names in lower case, with values. `Host` and `Content-Length` follow from the URL and the body.
    pub headers: Vec<(String, String)>,
    /// Body; empty for none.
    pub body: Bytes,
}

impl Providers {
    /// The request that [`Self::send_as`] would send, with `marker` in place of the credential. Nothing is sent.
    ///
    /// # Errors
    /// Those that sending has before it connects.
    pub(in crate::app) fn plan_as(
        &self,
        (toolkit, scheme, secrets, params): (&Toolkit, Scheme, &Secrets, &AccountParams),
        destination: &Destination,
        draft: UnsentRequest,
        marker: &str,
    ) -> Result<PlannedRequest> {
        // With the credential itself, because it may be what cannot be sent.
        let real = self.prepare_as((toolkit, scheme, secrets, params), destination, copy(&draft))?;
        drop(real);
        let stand_in = self.unique();
        let stand_ins = match scheme {
            // The only header is a signature, and the key may have to be a key.
            Scheme::OAuth1 => secrets.clone(),
            _ => stand_ins(secrets, &stand_in),
        };
        let request = self.prepare_as((toolkit, scheme, &stand_ins, params), destination, draft)?;
        let replacement = Replacement { stand_in: &stand_in, marker, computed: computed_headers(toolkit, scheme) };
        Ok(replacement.request(request))
    }

    fn prepare_as(
        &self,
        (toolkit, scheme, secrets, params): (&Toolkit, Scheme, &Secrets, &AccountParams),
        destination: &Destination,
        mut draft: UnsentRequest,
    ) -> Result<Request<Bytes>> {
        self.apply_credential(toolkit, scheme, secrets, params, &mut draft)?;
        let UnsentRequest { method, url, headers, body } = draft;
        let request = Outgoing { method, url, headers, body };
        self.egress.prepare(destination, request).map_err(|error| call_error(&error, true))
    }
}

/// The same names with other values. An empty value stays: it counts as missing.
fn stand_ins(secrets: &Secrets, stand_in: &str) -> Secrets {
    let value = |name: &str, secret: &Secret| match name {
        PROOF_KEY => secret.clone(),
        _ if secret.is_empty() => Secret::default(),
        _ => Secret::from(stand_in),
    };
    secrets.iter().map(|(name, secret)| (name.to_owned(), value(name, secret))).collect()
}

/// Headers whose values are computed from secrets.
fn computed_headers(toolkit: &Toolkit, scheme: Scheme) -> Vec<HeaderName> {
    let mut names = signature(toolkit, scheme).map(signature_headers).unwrap_or_default();
    if matches!(scheme, Scheme::Basic | Scheme::OAuth1) {
        names.push(header::AUTHORIZATION);
    }
    if toolkit.oauth(scheme).is_some_and(|oauth| oauth.dpop) {
        names.push(HeaderName::from_static("dpop"));
    }
    names
}

/// Puts the marker where the stand-in is.
struct Replacement<'a> {
    stand_in: &'a str,
    marker: &'a str,
    computed: Vec<HeaderName>,
}

impl Replacement<'_> {
    fn request(&self, request: Request<Bytes>) -> PlannedRequest {
        let (parts, body) = request.into_parts();
        let sent = parts.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
        PlannedRequest {
            method: parts.method,
            url: self.text(&parts.uri.to_string()),
            headers: sent.map(|(name, value)| (name.as_str().to_owned(), self.header(name, value))).collect(),
            body: self.body(body),
        }
    }

    fn text(&self, text: &str) -> String {
        text.replace(self.stand_in, self.marker)
    }

    fn header(&self, name: &HeaderName, value: &HeaderValue) -> String {
        let text = String::from_utf8_lossy(value.as_bytes());
        // The time of a signature is no secret.
        if !(value.is_sensitive() && self.computed.contains(name)) {
            return self.text(&text);
        }
        match text.split_once(' ').filter(|_| name == header::AUTHORIZATION) {
            Some((scheme, _)) => format!("{scheme} {}", self.marker),
            None => self.marker.to_owned(),
        }
    }

    /// A credential in a body stands in JSON or in a form, which are texts.
    fn body(&self, body: Bytes) -> Bytes {
        match std::str::from_utf8(&body) {
            Ok(text) if text.contains(self.stand_in) => self.text(text).into(),
            _ => body,
        }
    }
}

crate::redacted_debug!(PlannedRequest, Replacement<'a>);
