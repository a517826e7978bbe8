//! Requests to providers: where they may be sent, and what failures mean for the caller.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use switchboard_auth::{UnsentRequest, credential_headers, decompressed, requires_dpop_nonce, signature_headers};
use switchboard_catalog::{Probe, RateLimit, Scheme, Sign, Toolkit, template};
use switchboard_egress::{Body, Destination, EgressError, Limits, Outgoing, Reservation};
use switchboard_vault::{Secret, Secrets};
use url::Url;

use crate::app::provider::Providers;
use crate::error::{Code, Error, Result};
use switchboard_types::AccountParams;

/// Timeout of token, verification and revocation requests. Shorter than a refresh lease.
pub const TOKEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Maximum size of a token or verification response, in bytes.
pub const MAX_TOKEN_RESPONSE: usize = 1 << 20;

/// Limits of token requests. The parser decompresses the response.
pub fn token_limits() -> Limits {
    Limits { total: TOKEN_TIMEOUT, max_body: MAX_TOKEN_RESPONSE, any_coding: true, ..Limits::default() }
}

impl Providers {
    /// Expands a template of a toolkit file for an account.
    pub fn expand(&self, text: &str, params: &AccountParams) -> Result<String> {
        template::expand(text, &|name| self.core.variable(params, name)).map_err(|error| {
            Error::new(Code::AccountBadRequest, "A value that the toolkit's addresses need is missing")
                .fix("Connect the account again, with all its fields.")
                .because(error)
        })
    }

    /// The hosts that may receive an account's credential, and the allowed paths on the base URL's host.
    pub fn destination(&self, toolkit: &Toolkit, params: &AccountParams) -> Result<Destination> {
        let hosts = toolkit.host_rules(&|name| self.core.variable(params, name)).map_err(Error::internal)?;
        let destination = Destination::new(hosts).map_err(Error::internal)?;
        Ok(destination.with_paths(&toolkit.paths))
    }

    /// Sends an OAuth request to the host of its URL, which a toolkit file names. It carries a `User-Agent`,
    /// because some providers refuse requests without one.
    pub async fn send_protocol(
        &self,
        mut request: http::Request<Bytes>,
    ) -> std::result::Result<http::Response<Bytes>, EgressError> {
        request.headers_mut().entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let destination = Destination::new([authority])
            .map_err(|_| EgressError::InvalidRequest { reason: "the URL names no host" })?;
        self.egress.send(&destination, request, &token_limits()).await
    }

    /// Sends one of the toolkit's own requests with an account's credential. Returns the result and the JSON of
    /// the response.
    pub async fn probe(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        probe: &Probe,
        secrets: &Secrets,
        params: &AccountParams,
    ) -> Result<(Verification, Value)> {
        let destination = self.destination(toolkit, params)?;
        let endpoint = self.expand(&probe.url, params)?;
        // The base URL may be what the request has to find out.
        let base =
            if endpoint.starts_with('/') { self.expand(toolkit.base_url(scheme), params)? } else { endpoint.clone() };
        let base = Url::parse(&base).map_err(Error::internal)?;
        let url = destination.resolve(&base, &endpoint).map_err(|error| egress_error(&error))?;
        let mut headers = self.default_headers(toolkit, probe.headers.iter(), params)?;
        let body = match &probe.json {
            Some(json) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Bytes::from(json.to_string())
            }
            None => Bytes::new(),
        };
        let method = http::Method::from_bytes(probe.method.as_bytes()).map_err(Error::internal)?;
        let draft = UnsentRequest { method, url, headers, body };
        let answer =
            self.send_as((toolkit, scheme, secrets, params), &destination, draft, &token_limits(), None).await?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|error| egress_error(&error))?.0;
        let answer = http::Response::from_parts(head, body);
        let json = decompressed(answer.headers(), answer.body(), MAX_TOKEN_RESPONSE)
            .ok()
            .and_then(|body| serde_json::from_slice(&body).ok())
            .unwrap_or(Value::Null);
        Ok((evaluate(toolkit, probe, &answer, &json), json))
    }

    /// Sends a request with an account's credential. If the server refuses it for lack of a `DPoP` nonce, it has
    /// not processed it, and the request is sent once more (RFC 9449 section 9). The caller reads the body; one
    /// that may be large has a reservation.
    pub async fn send_as(
        &self,
        (toolkit, scheme, secrets, params): (&Toolkit, Scheme, &Secrets, &AccountParams),
        destination: &Destination,
        mut draft: UnsentRequest,
        limits: &Limits,
        reservation: Option<Reservation>,
    ) -> Result<http::Response<Body>> {
        let uses_dpop = dpop_key(toolkit, scheme, secrets).is_some();
        let retry = uses_dpop.then(|| copy(&draft));
        self.apply_credential(toolkit, scheme, secrets, params, &mut draft)?;
        let answer = self.send_draft(destination, draft, limits, reservation).await?;
        let Some(mut retry) = retry else { return Ok(answer) };
        self.dpop_nonces.record(&retry.url, answer.headers());
        if answer.status() != http::StatusCode::UNAUTHORIZED || !requires_dpop_nonce(answer.headers()) {
            return Ok(answer);
        }
        // Read to its end, so that the connection can be used again.
        let is_idempotent = retry.method.is_idempotent();
        let read = answer.into_body().collect().await.map_err(|error| response_error(&error, is_idempotent));
        let (_, reservation) = read?;
        let url = retry.url.clone();
        self.apply_credential(toolkit, scheme, secrets, params, &mut retry)?;
        let answer = self.send_draft(destination, retry, limits, reservation).await?;
        self.dpop_nonces.record(&url, answer.headers());
        Ok(answer)
    }

    async fn send_draft(
        &self,
        destination: &Destination,
        draft: UnsentRequest,
        limits: &Limits,
        reservation: Option<Reservation>,
    ) -> Result<http::Response<Body>> {
        let is_idempotent = draft.method.is_idempotent();
        let UnsentRequest { method, url, headers, body } = draft;
        let request = Outgoing { method, url, headers, body };
        let sent = self.egress.stream(destination, request, limits, reservation).await;
        sent.map_err(|error| call_error(&error, is_idempotent))
    }

    /// A toolkit's own headers, with further ones on top.
    pub fn default_headers<'a>(
        &self,
        toolkit: &'a Toolkit,
        extra: impl Iterator<Item = (&'a String, &'a String)>,
        params: &AccountParams,
    ) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        for (name, template) in toolkit.headers.iter().chain(extra) {
            let name: HeaderName = name.parse().map_err(|_| Error::internal("toolkit with an invalid header name"))?;
            // A header is left out if the account does not have its value.
            let Ok(value) = self.expand(template, params) else { continue };
            // Text beyond ASCII is sent as UTF-8 (RFC 9110 section 5.5). Control characters are not allowed.
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| Error::internal("toolkit with an invalid header value"))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// Adds an account's credential to a request. This is the last change to the request.
    pub fn apply_credential(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        secrets: &Secrets,
        params: &AccountParams,
        draft: &mut UnsentRequest,
    ) -> Result<()> {
        let variables = |name: &str| self.core.variable(params, name);
        let credential_error = |error| {
            Error::new(Code::AccountBadRequest, "The account's credential cannot be put on a request").because(error)
        };
        if let (Scheme::Basic, Some(basic)) = (scheme, &toolkit.basic) {
            return switchboard_auth::apply_basic(basic, secrets, &mut draft.headers).map_err(credential_error);
        }
        if scheme == Scheme::OAuth1 {
            return self.oauth1_sign(toolkit, secrets, params, draft).map_err(credential_error);
        }
        let other = self.token_for(toolkit, scheme, secrets, params, draft)?;
        let secrets = other.as_ref().unwrap_or(secrets);
        switchboard_auth::apply(toolkit.placements(scheme), secrets, &variables, draft).map_err(credential_error)?;
        if let Some(key) = dpop_key(toolkit, scheme, secrets) {
            let token = secrets.get("access_token");
            self.prove(&key, &draft.method, &draft.url, &mut draft.headers, token).map_err(credential_error)?;
        }
        let now = self.core.now().as_secs();
        match signature(toolkit, scheme) {
            Some(sign) => switchboard_auth::sign(sign, secrets, &variables, draft, now, &*self.core.entropy)
                .map_err(credential_error),
            None => Ok(()),
        }
    }
}

/// A copy of the request for a retry.
pub(super) fn copy(draft: &UnsentRequest) -> UnsentRequest {
    UnsentRequest {
        method: draft.method.clone(),
        url: draft.url.clone(),
        headers: draft.headers.clone(),
        body: draft.body.clone(),
    }
}

/// The `DPoP` key that an account's tokens are bound to; none if they are not bound.
fn dpop_key(toolkit: &Toolkit, scheme: Scheme, secrets: &Secrets) -> Option<Secret> {
    toolkit.oauth(scheme).filter(|oauth| oauth.dpop)?;
    secrets.get("dpop_key").map(Secret::from)
}

/// The default `User-Agent`. The toolkit or the caller may set another one.
pub const USER_AGENT: &str = concat!("Switchboard/", env!("CARGO_PKG_VERSION"));

/// The request signature of a scheme.
pub(super) fn signature(toolkit: &Toolkit, scheme: Scheme) -> Option<&Sign> {
    match scheme {
        Scheme::ApiKey => toolkit.api_key.as_ref()?.sign.as_ref(),
        Scheme::BearerToken => toolkit.bearer_token.as_ref()?.sign.as_ref(),
        _ => None,
    }
}

/// Headers that contain a scheme's credential. Callers cannot set them.
pub fn reserved_headers(toolkit: &Toolkit, scheme: Scheme) -> Vec<HeaderName> {
    let mut reserved = credential_headers(toolkit.placements(scheme));
    reserved.push(header::AUTHORIZATION);
    if toolkit.oauth(scheme).is_some_and(|oauth| oauth.dpop) {
        reserved.push(HeaderName::from_static("dpop"));
    }
    reserved.extend(signature(toolkit, scheme).map(signature_headers).unwrap_or_default());
    reserved
}

/// The result of a verification request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The provider accepts the credential.
    Accepted,
    /// The provider rejects the credential.
    Refused,
    /// Unknown, because of a rate limit or an outage.
    Unclear,
}

fn evaluate(toolkit: &Toolkit, probe: &Probe, answer: &http::Response<Bytes>, json: &Value) -> Verification {
    let status = answer.status();
    if status.is_server_error() || is_rate_limited(toolkit, answer) {
        return Verification::Unclear;
    }
    if !status.is_success() {
        return Verification::Refused;
    }
    let (Some(pointer), Some(expected)) = (&probe.ok_pointer, &probe.ok_value) else {
        return Verification::Accepted;
    };
    match json.pointer(pointer) {
        Some(value) if value == expected => Verification::Accepted,
        Some(_) => Verification::Refused,
        None => Verification::Unclear,
    }
}

/// Whether a response means "too many requests", by HTTP or by the toolkit's rules.
fn is_rate_limited(toolkit: &Toolkit, answer: &http::Response<Bytes>) -> bool {
    let matches = |limit: &RateLimit| {
        let header = match (&limit.header, &limit.header_value) {
            (Some(name), Some(value)) => answer.headers().get(name).is_some_and(|found| found == value.as_str()),
            _ => true,
        };
        let body = limit.body_contains.as_deref().is_none_or(|text| contains_bytes(answer.body(), text.as_bytes()));
        limit.status == answer.status().as_u16() && header && body
    };
    answer.status() == http::StatusCode::TOO_MANY_REQUESTS || toolkit.rate_limits.iter().any(matches)
}

fn contains_bytes(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// The error for the caller. Contains no address, no URL and no text of the provider.
pub fn egress_error(error: &EgressError) -> Error {
    let (code, message) = match error {
        EgressError::EndpointNotAllowed { reason } => {
            return Error::new(Code::OriginMismatch, format!("The endpoint is not allowed: {reason}"));
        }
        EgressError::HostNotAllowed => {
            (Code::OriginMismatch, "The endpoint's host does not belong to this toolkit".to_owned())
        }
        EgressError::AddressDenied => (Code::EgressDenied, "The destination is not a public address".to_owned()),
        EgressError::InvalidRequest { reason } => (Code::Validation, format!("The request cannot be sent: {reason}")),
        EgressError::Dns => (Code::UpstreamUnreachable, "The provider's host name could not be resolved".to_owned()),
        EgressError::Connect => (Code::UpstreamUnreachable, "The provider could not be reached".to_owned()),
        EgressError::Tls => (Code::UpstreamTls, "The provider's TLS certificate was not accepted".to_owned()),
        EgressError::Timeout { .. } => (Code::UpstreamTimeout, "The provider did not answer in time".to_owned()),
        EgressError::Interrupted => {
            (Code::UpstreamUnreachable, "The provider closed the connection before its answer was complete".to_owned())
        }
        EgressError::TooLarge { limit } => {
            (Code::UpstreamTooLarge, format!("The provider's answer is larger than {limit} bytes"))
        }
        EgressError::BudgetExhausted => {
            let advice = "The provider answered, and may have done what was asked. Repeat what is harmless to repeat.";
            return busy().fix(advice);
        }
        EgressError::UnsupportedEncoding | EgressError::InvalidResponse => {
            (Code::UpstreamUnreachable, "The provider's answer could not be read".to_owned())
        }
    };
    Error::new(code, message)
}

/// The error for a request that was or may have been sent. A response for which there is no memory cannot be
/// requested again, unless the request is idempotent.
pub(in crate::app) fn response_error(error: &EgressError, is_idempotent: bool) -> Error {
    let mapped = egress_error(error);
    if *error == EgressError::BudgetExhausted && !is_idempotent { mapped.do_not_repeat() } else { mapped }
}

/// The same for a caller's request.
pub(super) fn call_error(error: &EgressError, is_idempotent: bool) -> Error {
    match error {
        EgressError::InvalidRequest { .. } => Error::field("endpoint", "is not a valid URL"),
        error => response_error(error, is_idempotent),
    }
}

/// The memory for responses is used up.
pub(in crate::app) fn busy() -> Error {
    let message = "The server holds as many bytes of providers' answers as it may";
    Error::new(Code::Busy, message)
        .fix("Nothing was sent. Try again in a few seconds; the operator can raise `proxy_memory_mib`.")
}
