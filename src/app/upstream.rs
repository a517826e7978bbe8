//! Calls to providers: where they may go, and what their failures mean to a caller.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use switchboard_catalog::{Probe, Scheme, Toolkit, template};
use switchboard_egress::{Destination, EgressError, Limits};
use switchboard_vault::Secrets;
use url::Url;

use super::App;
use crate::error::{Code, Error, Result};

/// Deadline of token, verification and revocation requests. Shorter than a refresh lease.
pub const TOKEN_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest token or verification answer.
const MAX_TOKEN_ANSWER: usize = 1 << 20;

/// Limits of token requests.
pub fn token_limits() -> Limits {
    Limits { total: TOKEN_TIMEOUT, max_body: MAX_TOKEN_ANSWER, ..Limits::default() }
}

impl App {
    /// Expands a template of a toolkit file for one account.
    pub fn expand(&self, text: &str, fields: &BTreeMap<String, String>) -> Result<String> {
        template::expand(text, &|name| self.variable(fields, name)).map_err(Error::internal)
    }

    /// The hosts that may receive an account's credential.
    pub fn destination(&self, toolkit: &Toolkit, fields: &BTreeMap<String, String>) -> Result<Destination> {
        let hosts = toolkit.host_rules(&|name| self.variable(fields, name)).map_err(Error::internal)?;
        Destination::new(hosts).map_err(Error::internal)
    }

    /// Sends a request of the OAuth protocol to the host of its own URL, which a toolkit file names.
    pub async fn send_protocol(
        &self,
        request: http::Request<Bytes>,
    ) -> std::result::Result<http::Response<Bytes>, EgressError> {
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let destination = Destination::new([authority])
            .map_err(|_| EgressError::InvalidRequest { reason: "the URL names no host" })?;
        self.egress.send(&destination, request, &token_limits()).await
    }

    /// Proves a credential with the toolkit's verification request.
    pub async fn verify(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        probe: &Probe,
        secrets: &Secrets,
        fields: &BTreeMap<String, String>,
    ) -> std::result::Result<Verification, Error> {
        let destination = self.destination(toolkit, fields)?;
        let base = Url::parse(&self.expand(&toolkit.base_url, fields)?).map_err(Error::internal)?;
        let endpoint = self.expand(&probe.url, fields)?;
        let mut url = destination.resolve(&base, &endpoint).map_err(|error| egress_error(&error))?;
        let mut headers = self.default_headers(toolkit, probe.headers.iter(), fields)?;
        self.apply_credential(toolkit, scheme, secrets, fields, &mut headers, &mut url)?;
        let body = match &probe.json {
            Some(json) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Bytes::from(json.to_string())
            }
            None => Bytes::new(),
        };
        let mut request = http::Request::new(body);
        *request.method_mut() = http::Method::from_bytes(probe.method.as_bytes()).map_err(Error::internal)?;
        *request.uri_mut() = url.as_str().parse().map_err(|error: http::uri::InvalidUri| Error::internal(error))?;
        *request.headers_mut() = headers;
        match self.egress.send(&destination, request, &token_limits()).await {
            Ok(answer) => Ok(judge(probe, answer.status(), answer.body())),
            Err(error) => Err(egress_error(&error)),
        }
    }

    /// A toolkit's own headers, and further ones over them.
    pub fn default_headers<'a>(
        &self,
        toolkit: &'a Toolkit,
        more: impl Iterator<Item = (&'a String, &'a String)>,
        fields: &BTreeMap<String, String>,
    ) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        for (name, template) in toolkit.headers.iter().chain(more) {
            let name: HeaderName = name.parse().map_err(|_| Error::internal("toolkit with an invalid header name"))?;
            let value = HeaderValue::from_str(&self.expand(template, fields)?)
                .map_err(|_| Error::internal("toolkit with an invalid header value"))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// Puts an account's credential on a request.
    pub fn apply_credential(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        secrets: &Secrets,
        fields: &BTreeMap<String, String>,
        headers: &mut HeaderMap,
        url: &mut Url,
    ) -> Result<()> {
        let variables = |name: &str| self.variable(fields, name);
        let unfit = |error| {
            Error::new(Code::AccountBadRequest, "The account's credential cannot be put on a request").because(error)
        };
        match scheme {
            Scheme::NoAuth => Ok(()),
            Scheme::Basic => switchboard_auth::apply_basic(secrets, headers).map_err(unfit),
            Scheme::OAuth2 | Scheme::ApiKey | Scheme::BearerToken => {
                let placements = placements(toolkit, scheme);
                switchboard_auth::apply(placements, secrets, &variables, headers, url).map_err(unfit)
            }
        }
    }
}

/// Sent unless the toolkit or the caller names another.
pub const USER_AGENT: &str = concat!("Switchboard/", env!("CARGO_PKG_VERSION"));

/// Where a scheme's credential goes on a request.
pub fn placements(toolkit: &Toolkit, scheme: Scheme) -> &[switchboard_catalog::Placement] {
    match scheme {
        Scheme::OAuth2 => toolkit.oauth2.as_ref().map_or(&[], |oauth| oauth.apply.as_slice()),
        Scheme::ApiKey => toolkit.api_key.as_ref().map_or(&[], |key| key.apply.as_slice()),
        // A token imported for an OAuth2 toolkit goes where that toolkit's own tokens go.
        Scheme::BearerToken => match &toolkit.bearer_token {
            Some(bearer) => bearer.apply.as_slice(),
            None => placements(toolkit, Scheme::OAuth2),
        },
        Scheme::Basic | Scheme::NoAuth => &[],
    }
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

fn judge(probe: &Probe, status: http::StatusCode, body: &[u8]) -> Verification {
    if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
        return Verification::Unclear;
    }
    if !status.is_success() {
        return Verification::Refused;
    }
    let (Some(pointer), Some(expected)) = (&probe.ok_pointer, &probe.ok_value) else {
        return Verification::Accepted;
    };
    let answer: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    match answer.as_ref().and_then(|answer| answer.pointer(pointer)) {
        Some(value) if value == expected => Verification::Accepted,
        Some(_) => Verification::Refused,
        None => Verification::Unclear,
    }
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
        EgressError::UnsupportedEncoding | EgressError::InvalidResponse => {
            (Code::UpstreamUnreachable, "The provider's answer could not be read".to_owned())
        }
    };
    Error::new(code, message)
}
