//! The HTTP side of the simulated provider: requests of the server, and the user's browser.

use anyhow::{Result, anyhow};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use switchboard_auth::{SignatureEncoding, SignatureHash, hmac_signature};
use switchboard_catalog::template;
use switchboard_egress::Destination;
use switchboard_vault::Secret;
use url::Url;

use super::checks;
use super::provider::{Provider, SharedProvider, lock};
use super::received::ReceivedRequest;
use super::reply::Reply;
use super::responses::response_to;
use super::routes::{self, Endpoint};

/// Maximum size of a request body.
const MAX_BODY: usize = 1 << 20;

impl Provider {
    fn endpoint(&self, received: &ReceivedRequest) -> Option<Endpoint> {
        let candidates: Vec<Endpoint> = self
            .routes
            .iter()
            .filter(|route| self.route_matches(route, received))
            .map(|route| route.endpoint)
            .collect();
        let matching = candidates.iter().copied().find(|endpoint| checks::matches_endpoint(self, *endpoint, received));
        matching.or_else(|| candidates.first().copied()).or_else(|| {
            let hosts = self.toolkit.host_rules(&|name| self.variable(name)).ok()?;
            Destination::new(hosts).ok()?.admits(&received.url).then_some(Endpoint::Api)
        })
    }

    /// Handles a request of the server.
    pub(super) fn serve(&mut self, received: &ReceivedRequest) -> Reply {
        let is_requested = |url: &Url| url.authority() == received.url.authority() && url.path() == received.url.path();
        if let Some(document) = self.metadata.iter().find(|document| is_requested(&document.url)) {
            let (endpoint, reply) = (document.endpoint, Reply::json(&document.body));
            self.record_exchange(&endpoint.title(), received, &reply);
            return reply;
        }
        let Some(endpoint) = self.endpoint(received) else {
            let reply = Reply::error(StatusCode::NOT_FOUND, "not_found", "no address of the file");
            self.record_exchange("An address that the file does not name", received, &reply);
            self.fail(format!("{} {} is no address of the file", received.method, received.url));
            return reply;
        };
        self.record_request_values(received);
        let checked =
            checks::request(self, endpoint, received).and_then(|()| self.accept_pushed_request(endpoint, received));
        let reply = match checked {
            Ok(()) => self.accepted(endpoint, received),
            Err(violation) => {
                self.fail(format!(
                    "{}: {}; see {}",
                    endpoint.title(),
                    violation.reason,
                    endpoint.file_keys(self.scheme)
                ));
                let is_unauthorized = endpoint.uses_account_credential() || violation.code == "invalid_client";
                let status = if is_unauthorized { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
                Reply::error(status, violation.code, &violation.reason)
            }
        };
        self.record_exchange(&self.title(endpoint, received), received, &reply);
        reply
    }

    /// The response to a request that violates no rule.
    fn accepted(&mut self, endpoint: Endpoint, received: &ReceivedRequest) -> Reply {
        if let Some(tool) = self.tool.as_ref().filter(|_| endpoint.uses_account_credential()) {
            return Reply::json(&tool.answer);
        }
        response_to(self, endpoint, received).unwrap_or_else(|error| {
            self.fail(format!("{}: {error}; see the pointers of the file", endpoint.title()));
            Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the file cannot be played")
        })
    }

    /// The heading of a request. It names all endpoints that share its URL, because they cannot be distinguished.
    fn title(&self, endpoint: Endpoint, received: &ReceivedRequest) -> String {
        if let Some(tool) = self.tool.as_ref().filter(|_| endpoint.uses_account_credential()) {
            return tool.slug.clone();
        }
        let probes = routes::probes(&self.toolkit, self.scheme).into_iter().map(|(endpoint, _)| endpoint);
        let titles: Vec<String> =
            probes.filter(|endpoint| self.is_request_to(*endpoint, received)).map(Endpoint::title).collect();
        if titles.is_empty() || !endpoint.uses_account_credential() { endpoint.title() } else { titles.join(" / ") }
    }

    /// Checks and records a pushed authorization request (RFC 9126).
    fn accept_pushed_request(&mut self, endpoint: Endpoint, received: &ReceivedRequest) -> checks::CheckResult {
        if let (Endpoint::PushedAuthorization, Some(oauth)) = (endpoint, &self.oauth) {
            self.flow.authorization_request = checks::authorization(self, oauth, received)?;
        }
        Ok(())
    }

    /// Handles the authorization request of a browser whose user consents. Returns the callback URL.
    ///
    /// # Errors
    /// A rule that the request violates.
    pub(super) fn authorize(&mut self, url: &Url) -> Result<Url> {
        let host = url.authority().to_owned();
        let target = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        let received = ReceivedRequest::new("GET", &host, &target, HeaderMap::new(), bytes::Bytes::new());
        let received = received.ok_or_else(|| anyhow!("the authorization URL cannot be opened: {url}"))?;
        self.record_request_values(&received);
        let checked = match (&self.oauth, &self.flow.pushed_request_uri) {
            (Some(_), Some(request_uri)) if received.param("request_uri") == Some(request_uri) => Ok(()),
            (Some(oauth), _) => {
                checks::authorization(self, oauth, &received).map(|request| self.flow.authorization_request = request)
            }
            (None, _) => {
                let is_issued_token =
                    received.param("oauth_token").map(str::to_owned) == self.flow.current("temporary");
                let reason = "the page is opened with another token than the one that was given".to_owned();
                if is_issued_token { Ok(()) } else { Err(checks::Violation { code: "token_rejected", reason }) }
            }
        };
        if let Err(violation) = checked {
            let endpoint = Endpoint::Authorization;
            let reply = Reply::error(StatusCode::BAD_REQUEST, violation.code, &violation.reason);
            self.record_exchange(&endpoint.title(), &received, &reply);
            self.fail(format!("{}: {}; see {}", endpoint.title(), violation.reason, endpoint.file_keys(self.scheme)));
            return Err(anyhow!("the provider's page shows an error"));
        }
        let callback = self.callback()?;
        let reply = Reply {
            status: StatusCode::FOUND,
            headers: vec![("location".to_owned(), callback.to_string())],
            body: String::new(),
        };
        self.record_exchange(&Endpoint::Authorization.title(), &received, &reply);
        Ok(callback)
    }

    /// The callback URL with the authorization response.
    fn callback(&mut self) -> Result<Url> {
        let code = self.issue("code");
        self.flow.code = Some(code.clone());
        let mut callback = Url::parse(&self.flow.redirect_uri)?;
        let Some(oauth) = self.oauth.clone() else {
            let token = self.flow.current("temporary").unwrap_or_default();
            callback.query_pairs_mut().append_pair("oauth_token", &token).append_pair("oauth_verifier", &code);
            return Ok(callback);
        };
        let mut pairs = vec![(oauth.callback.code.unwrap_or_else(|| "code".to_owned()), code)];
        pairs.push(("state".to_owned(), self.flow.authorization_request.state.clone()));
        if let Some(issuer) = &oauth.issuer {
            pairs.push(("iss".to_owned(), template::expand(issuer, &|name| self.variable(name))?));
        }
        for capture in &oauth.callback.capture {
            pairs.push((capture.at.clone(), self.values.get(&capture.name).unwrap_or_default()));
        }
        if let Some(name) = oauth.callback.hmac {
            let secret = Secret::new(self.values.get("client_secret").unwrap_or_default());
            let message = hmac_message(&pairs);
            let variables = |_: &str| Some(message.clone());
            let signature =
                hmac_signature(SignatureHash::Sha256, SignatureEncoding::Hex, &secret, "{message}", &variables)?;
            pairs.push((name, signature.expose().to_owned()));
        }
        callback.query_pairs_mut().extend_pairs(pairs);
        Ok(callback)
    }

    /// Records values of a request: the callback URL of OAuth 1.0a, and values that are printed as names.
    fn record_request_values(&mut self, received: &ReceivedRequest) {
        if let Some(callback) = received.param("oauth_callback").and_then(|text| Url::parse(text).ok()) {
            if let Some((_, state)) = callback.query_pairs().find(|(name, _)| name == "state") {
                self.values.substitutions().add(&state, "state");
            }
            self.flow.redirect_uri = callback.into();
        }
        for name in ["state", "code_challenge", "code_verifier"] {
            if let Some(value) = received.param(name).filter(|value| value.len() >= 16).map(str::to_owned) {
                self.values.substitutions().add(&value, name);
            }
        }
    }
}

/// The signed message of a callback, as `verify_query_hmac` describes it.
fn hmac_message(pairs: &[(String, String)]) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('&', "%26");
    let mut sorted: Vec<&(String, String)> = pairs.iter().collect();
    sorted.sort_unstable();
    let joined = sorted.iter().map(|(name, value)| format!("{}={}", escaped(name).replace('=', "%3D"), escaped(value)));
    joined.collect::<Vec<_>>().join("&")
}

/// Accepts requests for every host and path.
pub(super) fn router(shared: SharedProvider) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

async fn serve(State(shared): State<SharedProvider>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let received = ReceivedRequest::new(parts.method.as_str(), &host, &target, parts.headers, body);
    let reply = match received {
        Some(received) => lock(&shared).serve(&received),
        None => Reply::error(StatusCode::BAD_REQUEST, "invalid_request", "no host"),
    };
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), value.parse()) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
