//! Calls to providers: where they may go, and what their failures mean to a caller.

use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use switchboard_auth::{UnsentRequest, credential_headers, decompressed, requires_dpop_nonce, signature_headers};
use switchboard_catalog::{Probe, RateLimit, Scheme, Sign, Toolkit, template};
use switchboard_egress::{Destination, EgressError, Limits, Reservation};
use switchboard_vault::{Secret, Secrets};
use url::Url;

use crate::app::model::params::AccountParams;
use crate::app::provider::Providers;
use crate::error::{Code, Error, Result};

/// Deadline of token, verification and revocation requests. Shorter than a refresh lease.
pub const TOKEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest token or verification answer.
pub const MAX_TOKEN_ANSWER: usize = 1 << 20;

/// Limits of token requests. Whoever reads the answer unpacks it.
pub fn token_limits() -> Limits {
    Limits { total: TOKEN_TIMEOUT, max_body: MAX_TOKEN_ANSWER, any_coding: true, ..Limits::default() }
}

impl Providers {
    /// Expands a template of a toolkit file for one account.
    pub fn expand(&self, text: &str, params: &AccountParams) -> Result<String> {
        template::expand(text, &|name| self.core.variable(params, name)).map_err(|error| {
            Error::new(Code::AccountBadRequest, "A value that the toolkit's addresses need is missing")
                .fix("Connect the account again, with all its fields.")
                .because(error)
        })
    }

    /// The hosts that may receive an account's credential, and where on the base URL's own.
    pub fn destination(&self, toolkit: &Toolkit, params: &AccountParams) -> Result<Destination> {
        let hosts = toolkit.host_rules(&|name| self.core.variable(params, name)).map_err(Error::internal)?;
        let destination = Destination::new(hosts).map_err(Error::internal)?;
        Ok(destination.with_paths(&toolkit.paths))
    }

    /// Sends a request of the OAuth protocol to the host of its own URL, which a toolkit file names. It
    /// carries a `User-Agent`: some providers refuse whoever does not say who he is.
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

    /// Makes one of the toolkit's own requests with an account's credential: what the provider's
    /// answer means, and its JSON.
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
        // Where the data is may be what the request is to find out.
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
        let json = decompressed(answer.headers(), answer.body(), MAX_TOKEN_ANSWER)
            .ok()
            .and_then(|body| serde_json::from_slice(&body).ok())
            .unwrap_or(Value::Null);
        Ok((judge(toolkit, probe, &answer, &json), json))
    }

    /// Sends a request with an account's credential, as often as a server's nonce makes it necessary: once
    /// more, where it refused the first for want of it and has done nothing (RFC 9449 section 9). An answer
    /// that may be large takes `room`.
    pub async fn send_as(
        &self,
        (toolkit, scheme, secrets, params): (&Toolkit, Scheme, &Secrets, &AccountParams),
        destination: &Destination,
        mut draft: UnsentRequest,
        limits: &Limits,
        mut room: Option<&mut Reservation>,
    ) -> Result<http::Response<Bytes>> {
        let proves = dpop_key(toolkit, scheme, secrets).is_some();
        let spare = proves.then(|| copy(&draft));
        self.apply_credential(toolkit, scheme, secrets, params, &mut draft)?;
        let answer = self.send_draft(destination, draft, limits, room.as_deref_mut()).await?;
        let Some(mut again) = spare else { return Ok(answer) };
        self.dpop_nonces.note(&again.url, answer.headers());
        if answer.status() != http::StatusCode::UNAUTHORIZED || !requires_dpop_nonce(answer.headers()) {
            return Ok(answer);
        }
        let url = again.url.clone();
        self.apply_credential(toolkit, scheme, secrets, params, &mut again)?;
        let answer = self.send_draft(destination, again, limits, room).await?;
        self.dpop_nonces.note(&url, answer.headers());
        Ok(answer)
    }

    async fn send_draft(
        &self,
        destination: &Destination,
        draft: UnsentRequest,
        limits: &Limits,
        room: Option<&mut Reservation>,
    ) -> Result<http::Response<Bytes>> {
        let is_harmless = draft.method.is_idempotent();
        let request = draft.into_request().map_err(|_| Error::field("endpoint", "is not a valid URL"))?;
        let sent = match room {
            Some(room) => self.egress.send_within(destination, request, limits, room).await,
            None => self.egress.send(destination, request, limits).await,
        };
        sent.map_err(|error| {
            let told = egress_error(&error);
            if error == EgressError::BudgetExhausted && !is_harmless { told.do_not_repeat() } else { told }
        })
    }

    /// A toolkit's own headers, and further ones over them.
    pub fn default_headers<'a>(
        &self,
        toolkit: &'a Toolkit,
        more: impl Iterator<Item = (&'a String, &'a String)>,
        params: &AccountParams,
    ) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        for (name, template) in toolkit.headers.iter().chain(more) {
            let name: HeaderName = name.parse().map_err(|_| Error::internal("toolkit with an invalid header name"))?;
            // A header about something that this account does not have is not sent.
            let Ok(value) = self.expand(template, params) else { continue };
            // Text beyond ASCII goes as UTF-8 (RFC 9110 section 5.5); a field admits no control character.
            let value = HeaderValue::from_bytes(value.as_bytes())
                .map_err(|_| Error::internal("toolkit with an invalid header value"))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// Puts an account's credential on a request, the last thing that happens to it.
    pub fn apply_credential(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        secrets: &Secrets,
        params: &AccountParams,
        draft: &mut UnsentRequest,
    ) -> Result<()> {
        let variables = |name: &str| self.core.variable(params, name);
        let unfit = |error| {
            Error::new(Code::AccountBadRequest, "The account's credential cannot be put on a request").because(error)
        };
        if let (Scheme::Basic, Some(basic)) = (scheme, &toolkit.basic) {
            return switchboard_auth::apply_basic(basic, secrets, &mut draft.headers).map_err(unfit);
        }
        if scheme == Scheme::OAuth1 {
            return self.oauth1_sign(toolkit, secrets, params, draft).map_err(unfit);
        }
        let other = self.token_for(toolkit, scheme, secrets, params, draft)?;
        let secrets = other.as_ref().unwrap_or(secrets);
        switchboard_auth::apply(toolkit.placements(scheme), secrets, &variables, draft).map_err(unfit)?;
        if let Some(key) = dpop_key(toolkit, scheme, secrets) {
            let token = secrets.get("access_token");
            self.prove(&key, &draft.method, &draft.url, &mut draft.headers, token).map_err(unfit)?;
        }
        let now = self.core.now() / 1_000;
        match signature(toolkit, scheme) {
            Some(sign) => {
                switchboard_auth::sign(sign, secrets, &variables, draft, now, &*self.core.entropy).map_err(unfit)
            }
            None => Ok(()),
        }
    }
}

/// The same request once more.
fn copy(draft: &UnsentRequest) -> UnsentRequest {
    UnsentRequest {
        method: draft.method.clone(),
        url: draft.url.clone(),
        headers: draft.headers.clone(),
        body: draft.body.clone(),
    }
}

/// The key that an account's requests prove possession of; none where its tokens are bound to none.
fn dpop_key(toolkit: &Toolkit, scheme: Scheme, secrets: &Secrets) -> Option<Secret> {
    toolkit.oauth(scheme).filter(|oauth| oauth.dpop)?;
    secrets.get("dpop_key").map(Secret::from)
}

/// Sent unless the toolkit or the caller names another.
pub const USER_AGENT: &str = concat!("Switchboard/", env!("CARGO_PKG_VERSION"));

/// How a scheme's requests are signed.
fn signature(toolkit: &Toolkit, scheme: Scheme) -> Option<&Sign> {
    match scheme {
        Scheme::ApiKey => toolkit.api_key.as_ref()?.sign.as_ref(),
        Scheme::BearerToken => toolkit.bearer_token.as_ref()?.sign.as_ref(),
        _ => None,
    }
}

/// Headers that a scheme's credential is in, which callers may not set.
pub fn reserved_headers(toolkit: &Toolkit, scheme: Scheme) -> Vec<HeaderName> {
    let mut reserved = credential_headers(toolkit.placements(scheme));
    reserved.push(header::AUTHORIZATION);
    if toolkit.oauth(scheme).is_some_and(|oauth| oauth.dpop) {
        reserved.push(HeaderName::from_static("dpop"));
    }
    reserved.extend(signature(toolkit, scheme).map(signature_headers).unwrap_or_default());
    reserved
}

/// What a verification request said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The provider accepts the credential.
    Accepted,
    /// It does not.
    Refused,
    /// It could not say: rate limit, outage.
    Unclear,
}

fn judge(toolkit: &Toolkit, probe: &Probe, answer: &http::Response<Bytes>, json: &Value) -> Verification {
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

/// Whether an answer says "too many requests", in the way of HTTP or of the toolkit.
fn is_rate_limited(toolkit: &Toolkit, answer: &http::Response<Bytes>) -> bool {
    let matches = |limit: &RateLimit| {
        let header = match (&limit.header, &limit.header_value) {
            (Some(name), Some(value)) => answer.headers().get(name).is_some_and(|found| found == value.as_str()),
            _ => true,
        };
        let body = limit.body_contains.as_deref().is_none_or(|text| memmem(answer.body(), text.as_bytes()));
        limit.status == answer.status().as_u16() && header && body
    };
    answer.status() == http::StatusCode::TOO_MANY_REQUESTS || toolkit.rate_limits.iter().any(matches)
}

fn memmem(haystack: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && haystack.windows(needle.len()).any(|window| window == needle)
}

/// What a failed call means to the caller. No address, no URL, no provider text.
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

/// More is held than may be.
pub(in crate::app) fn busy() -> Error {
    let message = "The server holds as many bytes of providers' answers as it may";
    Error::new(Code::Busy, message)
        .fix("Nothing was sent. Try again in a few seconds; the operator can raise `proxy_memory_mib`.")
}
