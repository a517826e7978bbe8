//! The requests that a toolkit file results in, made by the builders that the server uses, so that an
//! author can compare them with the provider's documentation.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request};
use serde::Serialize;
use switchboard_auth::oauth1::{self, Stamp, Token};
use switchboard_auth::{
    AuthorizationRequest, BuildError, ClientCredentials, CodeGrant, Moment, UnsentRequest, Variables, apply,
    apply_basic, call_request, code_request, device_request, device_token_request, introspection_request,
    pushed_request, refresh_request, revocation_request, sign,
};
use switchboard_catalog::{
    Assertion, Call, OAuth1, OAuth2, Probe, Refresh, Scheme, Sign, TokenScheme, Toolkit, template,
};
use switchboard_egress::Destination;
use switchboard_toolkit_tests::placeholders::{CLIENT_ID, Placeholders};
use switchboard_toolkit_tests::raw;
use switchboard_vault::{Secret, SystemEntropy};
use url::Url;

use crate::app::provider::request::USER_AGENT;

/// Placeholder for the endpoints that an agent may call.
const ENDPOINT: &str = "/ENDPOINT";

/// One request, or why it cannot be built.
#[derive(Debug, Serialize)]
pub(super) struct PlannedRequest {
    scheme: Scheme,
    /// When it is sent.
    pub(super) name: String,
    /// The bytes on the wire, as text.
    pub(super) http: String,
    /// Details that are not visible in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) note: Option<String>,
}

/// The requests of one scheme, in the order in which they are sent.
pub(super) fn of(toolkit: &Toolkit, scheme: Scheme) -> Vec<PlannedRequest> {
    let mut plan = Plan::new(toolkit, scheme);
    if let Some(oauth) = toolkit.oauth(scheme) {
        plan.oauth2(oauth);
    } else if let (Scheme::OAuth1, Some(oauth)) = (scheme, &toolkit.oauth1) {
        plan.oauth1(oauth);
    } else if let Some(tokens) = toolkit.token_scheme(scheme) {
        plan.steps(tokens);
    }
    plan.account();
    plan.revocation();
    plan.planned
}

/// The requests of one scheme, as they are planned.
pub(super) struct Plan<'t> {
    toolkit: &'t Toolkit,
    scheme: Scheme,
    placeholders: Placeholders,
    planned: Vec<PlannedRequest>,
}

type Built = Result<Request<Bytes>, BuildError>;

impl<'t> Plan<'t> {
    /// No requests yet.
    pub(super) fn new(toolkit: &'t Toolkit, scheme: Scheme) -> Self {
        Self { toolkit, scheme, placeholders: Placeholders::new(toolkit, scheme), planned: Vec::new() }
    }
}

impl Plan<'_> {
    /// A request as text.
    pub(super) fn planned(
        &self,
        name: String,
        built: Result<Request<Bytes>, String>,
        note: Option<String>,
    ) -> PlannedRequest {
        let http = match built {
            Ok(request) => raw::format_request(&request, &self.placeholders.substitutions),
            Err(error) => format!("cannot be built: {error}\n"),
        };
        PlannedRequest { scheme: self.scheme, name, http, note }
    }

    fn add(&mut self, name: impl Into<String>, built: Result<Request<Bytes>, String>, note: Option<String>) {
        self.planned.push(self.planned(name.into(), built, note));
    }

    /// A request of the client, which may be authenticated by an assertion.
    fn by_client(&mut self, name: &str, build: impl FnOnce(&ClientCredentials<'_>, Variables<'_>) -> Built) {
        let secret = self.placeholders.text("client_secret");
        let assertion = self.placeholders.text("assertion");
        let client =
            ClientCredentials { client_id: CLIENT_ID, client_secret: Some(&secret), assertion: Some(&assertion) };
        let request = build(&client, &|name| self.placeholders.get(name)).map_err(error_text);
        self.add(name, request, None);
    }

    /// A request that the file describes completely. There is no key to sign its assertion.
    fn call(&mut self, name: &str, call: &Call) {
        let note = call.assertion.as_ref().map(describe_assertion);
        let call = Call { assertion: None, ..call.clone() };
        let moment = Moment { now: 0, unique: "" };
        self.by_client(name, |client, variables| call_request(&call, Some(client), moment, variables));
        if let Some(last) = self.planned.last_mut() {
            last.note = note;
        }
    }

    fn oauth2(&mut self, oauth: &OAuth2) {
        let by_device = oauth.device_authorization_url.is_some();
        if (oauth.authorization_url.is_empty() && !by_device) || oauth.token_url.is_empty() {
            let url = oauth.discovery_url.clone().or_else(|| oauth.resource.clone()).unwrap_or_default();
            let note = "endpoints that are not in the file come from here, per account".to_owned();
            let request = self.expanded(&url).and_then(|url| plain(Method::GET, &url));
            self.add("Metadata", request, Some(note));
            return;
        }
        if by_device {
            self.device(oauth);
        } else {
            self.code(oauth);
        }
        let text = |name: &str| self.placeholders.text(name);
        let (refresh_token, access_token) = (text("refresh_token"), text("access_token"));
        let resource = oauth.resource.as_deref().and_then(|text| self.expanded(text).ok());
        for (number, step) in oauth.steps.iter().enumerate() {
            self.call(&format!("Step {} after the exchange", number + 1), step);
        }
        if let Some(call) = &oauth.refresh_call {
            self.call("Refresh", call);
        } else if oauth.refresh != Refresh::None {
            self.by_client("Refresh", |client, variables| {
                refresh_request(oauth, client, &refresh_token, &[], resource.as_deref(), variables)
            });
        }
        if oauth.introspection_url.is_some() {
            self.by_client("Introspection", |client, variables| {
                introspection_request(oauth, client, &access_token, variables).unwrap_or(Err(BuildError::Body))
            });
        }
    }

    /// Device authorization (RFC 8628).
    fn device(&mut self, oauth: &OAuth2) {
        let device_code = Secret::new(self.placeholders.text("code"));
        let resource = oauth.resource.as_deref().and_then(|text| self.expanded(text).ok());
        let scopes: Vec<String> = oauth.scopes.iter().chain(&oauth.always_scopes).cloned().collect();
        self.by_client("Device authorization", |client, variables| {
            device_request(oauth, client, &scopes, resource.as_deref(), variables).unwrap_or(Err(BuildError::Body))
        });
        self.by_client("Until the user has entered the code", |client, variables| {
            device_token_request(oauth, client, &device_code, variables)
        });
    }

    /// Authorization code flow.
    fn code(&mut self, oauth: &OAuth2) {
        let text = |name: &str| self.placeholders.text(name);
        let (redirect_uri, state, challenge) = (text("redirect_uri"), text("state"), text("code_challenge"));
        let (code, verifier, secret) = (text("code"), text("code_verifier"), text("client_secret"));
        let thumbprint = text("dpop_jkt");
        let resource = oauth.resource.as_deref().and_then(|text| self.expanded(text).ok());
        let scopes: Vec<String> = oauth.scopes.iter().chain(&oauth.always_scopes).cloned().collect();
        let variables = |name: &str| self.placeholders.get(name);
        let request = AuthorizationRequest {
            oauth,
            client_id: CLIENT_ID,
            redirect_uri: &redirect_uri,
            state: &state,
            scopes: &scopes,
            user_scopes: &[],
            code_challenge: Some(&challenge),
            resource: resource.as_deref(),
            dpop_jkt: oauth.dpop.then_some(thumbprint.as_str()),
            variables: &variables,
        };
        let assertion = text("assertion");
        let client =
            ClientCredentials { client_id: CLIENT_ID, client_secret: Some(&secret), assertion: Some(&assertion) };
        let pushed = pushed_request(oauth, &client, &request);
        let url = if pushed.is_some() { request.pushed_url("REQUEST_URI") } else { request.url() };
        let visit = url.map_err(error_text).and_then(|url| plain(Method::GET, url.as_str()));
        if let Some(pushed) = pushed {
            self.add("Pushed authorization request", pushed.map_err(error_text), None);
        }
        self.add("Authorization (the browser)", visit, None);
        let grant = CodeGrant {
            code: &code,
            redirect_uri: &redirect_uri,
            verifier: Some(&verifier),
            state: &state,
            resource: resource.as_deref(),
        };
        self.by_client("Code exchange", |client, variables| code_request(oauth, client, &grant, variables));
    }

    fn oauth1(&mut self, oauth: &OAuth1) {
        let text = |name: &str| self.placeholders.text(name);
        let (secret, token, callback) = (text("client_secret"), text("token"), text("redirect_uri"));
        let stamp = Stamp { timestamp: 0, nonce: "NONCE" };
        let temporary = Token { token: &token, secret: "" };
        let client = ClientCredentials { client_id: CLIENT_ID, client_secret: Some(&secret), assertion: None };
        let variables = |name: &str| self.placeholders.get(name);
        let first = oauth1::request_token_request(oauth, &client, &callback, stamp, &variables).map_err(error_text);
        let visit = oauth1::authorization_url(oauth, &token, &variables).map_err(error_text);
        let visit = visit.and_then(|url| plain(Method::GET, url.as_str()));
        let last = oauth1::access_token_request(oauth, &client, temporary, "VERIFIER", stamp, &variables);
        self.add("Temporary credentials", first, Some("timestamp and signature are examples".to_owned()));
        self.add("Authorization (the browser)", visit, None);
        self.add("Token credentials", last.map_err(error_text), None);
    }

    fn steps(&mut self, tokens: &TokenScheme) {
        for (number, step) in tokens.steps.iter().enumerate() {
            self.call(&format!("Token, step {} of {}", number + 1, tokens.steps.len()), step);
        }
    }

    /// Requests with the account's credential.
    fn account(&mut self) {
        let toolkit = self.toolkit;
        let verify = match self.scheme {
            Scheme::ApiKey => toolkit.api_key.as_ref().and_then(|key| key.verify.as_ref()),
            Scheme::BearerToken => toolkit.bearer_token.as_ref().and_then(|key| key.verify.as_ref()),
            Scheme::Basic => toolkit.basic.as_ref().and_then(|basic| basic.verify.as_ref()),
            scheme => toolkit.token_scheme(scheme).and_then(|tokens| tokens.verify.as_ref()),
        };
        if let Some(probe) = verify {
            self.probe("Verification, before the credential is saved", probe);
        }
        let steps: Vec<_> = toolkit.post_connect_of(self.scheme).collect();
        for (number, (_, step)) in steps.iter().enumerate() {
            self.probe(&format!("After connecting, {} of {}", number + 1, steps.len()), &step.request);
        }
        if let Some(request) = toolkit.identity_of(self.scheme).and_then(|identity| identity.request.as_ref()) {
            self.probe("Identity", request);
        }
        let any = Probe {
            method: "GET".to_owned(),
            url: ENDPOINT.to_owned(),
            headers: BTreeMap::new(),
            json: None,
            ok_pointer: None,
            ok_value: None,
        };
        self.probe("A call of the agent", &any);
    }

    /// Requests that revoke a credential.
    fn revocation(&mut self) {
        if let Some(oauth) = self.toolkit.oauth(self.scheme) {
            let token = self.placeholders.text("refresh_token");
            if let Some(call) = &oauth.revoke {
                self.call("Revocation", call);
            } else if oauth.revocation_url.is_some() {
                self.by_client("Revocation, of the refresh token and then the access token", |client, variables| {
                    revocation_request(oauth, client, &token, "refresh_token", variables)
                        .unwrap_or(Err(BuildError::Body))
                });
            }
        }
        let other = self.toolkit.token_scheme(self.scheme).and_then(|tokens| tokens.revoke.as_ref());
        if let Some(call) = other {
            self.call("Revocation", call);
        }
    }

    fn probe(&mut self, name: &str, probe: &Probe) {
        let built = self.draft(probe).and_then(|draft| draft.into_request().map_err(error_text));
        self.add(name, built, None);
    }

    fn draft(&self, probe: &Probe) -> Result<UnsentRequest, String> {
        let url = self.url(&probe.url)?;
        let mut headers = self.headers(&probe.headers)?;
        let body = match &probe.json {
            Some(json) => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
                Bytes::from(json.to_string())
            }
            None => Bytes::new(),
        };
        let method = Method::from_bytes(probe.method.as_bytes()).map_err(|error| error.to_string())?;
        self.with_credential(UnsentRequest { method, url, headers, body })
    }

    /// The URL of an endpoint of the toolkit.
    pub(super) fn url(&self, endpoint: &str) -> Result<Url, String> {
        let variables = |name: &str| self.placeholders.get(name);
        let hosts = self.toolkit.host_rules(&variables).map_err(|error| error.to_string())?;
        let destination = Destination::new(hosts).map_err(|error| error.to_string())?;
        let endpoint = self.expanded(endpoint)?;
        // The file's own URL is its own base, as in the server.
        let base = if endpoint.starts_with('/') {
            self.expanded(self.toolkit.base_url(self.scheme))?
        } else {
            endpoint.clone()
        };
        let base = Url::parse(&base).map_err(|error| error.to_string())?;
        destination.resolve(&base, &endpoint).map_err(|error| error.to_string())
    }

    /// The toolkit's own headers, and further ones.
    pub(super) fn headers(&self, further: &BTreeMap<String, String>) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, */*;q=0.5"));
        for (name, template) in self.toolkit.headers.iter().chain(further) {
            let Ok(value) = self.expanded(template) else { continue };
            let name: header::HeaderName = name.parse().map_err(|_| format!("{name} is not a header name"))?;
            headers.insert(name, HeaderValue::from_str(&value).map_err(|error| error.to_string())?);
        }
        Ok(headers)
    }

    /// The request with the credential of an account.
    pub(super) fn with_credential(&self, mut draft: UnsentRequest) -> Result<UnsentRequest, String> {
        let toolkit = self.toolkit;
        let variables = |name: &str| self.placeholders.get(name);
        let secrets = self.placeholders.secrets();
        if let (Scheme::Basic, Some(basic)) = (self.scheme, &toolkit.basic) {
            apply_basic(basic, &secrets, &mut draft.headers).map_err(error_text)?;
            return Ok(draft);
        }
        apply(toolkit.placements(self.scheme), &secrets, &variables, &mut draft).map_err(error_text)?;
        if let Some(signature) = self.signature() {
            sign(signature, &secrets, &variables, &mut draft, 0, &SystemEntropy).map_err(error_text)?;
        }
        Ok(draft)
    }

    fn signature(&self) -> Option<&Sign> {
        match self.scheme {
            Scheme::ApiKey => self.toolkit.api_key.as_ref()?.sign.as_ref(),
            Scheme::BearerToken => self.toolkit.bearer_token.as_ref()?.sign.as_ref(),
            _ => None,
        }
    }

    fn expanded(&self, text: &str) -> Result<String, String> {
        template::expand(text, &|name| self.placeholders.get(name)).map_err(|error| error.to_string())
    }
}

/// A request without a body, as a browser sends it.
fn plain(method: Method, url: &str) -> Result<Request<Bytes>, String> {
    Request::builder().method(method).uri(url).body(Bytes::new()).map_err(|error| error.to_string())
}

/// An error with its cause.
pub(super) fn error_text(error: BuildError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

/// The contents of a signed assertion; there is no key to sign it.
fn describe_assertion(assertion: &Assertion) -> String {
    let entries = |entries: &BTreeMap<String, String>| -> String {
        let text = |(name, value): (&String, &String)| format!(", {name} = {value}");
        entries.iter().map(text).collect()
    };
    format!(
        "<assertion> is a JWT: header alg = {:?}{}; claims iat, exp (+{} s), jti{}",
        assertion.algorithm,
        entries(&assertion.header),
        assertion.lifetime,
        entries(&assertion.claims),
    )
}
