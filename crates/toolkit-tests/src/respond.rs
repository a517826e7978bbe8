//! How the simulated provider answers: requests of the server, and the browser that comes to authorize.

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

use super::answers::answer;
use super::checks;
use super::provider::{Provider, SharedProvider, lock};
use super::received::ReceivedRequest;
use super::reply::Reply;
use super::routes::{self, Endpoint};

/// Largest request read.
const MAX_BODY: usize = 1 << 20;

impl Provider {
    fn endpoint(&self, received: &ReceivedRequest) -> Option<Endpoint> {
        let here: Vec<Endpoint> =
            self.routes.iter().filter(|route| self.admits(route, received)).map(|route| route.endpoint).collect();
        let fitting = here.iter().copied().find(|endpoint| checks::fits(self, *endpoint, received));
        fitting.or_else(|| here.first().copied()).or_else(|| {
            let hosts = self.toolkit.host_rules(&|name| self.variable(name)).ok()?;
            Destination::new(hosts).ok()?.admits(&received.url).then_some(Endpoint::Api)
        })
    }

    /// Answers a request of the server.
    pub(super) fn serve(&mut self, received: &ReceivedRequest) -> Reply {
        let is_here = |url: &Url| url.authority() == received.url.authority() && url.path() == received.url.path();
        if let Some(found) = self.discovered.iter().find(|found| is_here(&found.url)) {
            let (endpoint, reply) = (found.endpoint, Reply::json(&found.document));
            self.note(&endpoint.title(), received, &reply);
            return reply;
        }
        let Some(endpoint) = self.endpoint(received) else {
            let reply = Reply::error(StatusCode::NOT_FOUND, "not_found", "no address of the file");
            self.note("An address that the file does not name", received, &reply);
            self.fail(format!("{} {} is no address of the file", received.method, received.url));
            return reply;
        };
        self.learn(received);
        let checked = checks::request(self, endpoint, received).and_then(|()| self.pushed(endpoint, received));
        let reply = match checked {
            Ok(()) => answer(self, endpoint, received).unwrap_or_else(|conflict| {
                self.fail(format!("{}: {conflict}; see the pointers of the file", endpoint.title()));
                Reply::error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "the file cannot be played")
            }),
            Err(refusal) => {
                self.fail(format!("{}: {}; see {}", endpoint.title(), refusal.why, endpoint.keys(self.scheme)));
                let is_about = endpoint.is_about_account() || refusal.code == "invalid_client";
                let status = if is_about { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
                Reply::error(status, refusal.code, &refusal.why)
            }
        };
        self.note(&self.title(endpoint, received), received, &reply);
        reply
    }

    /// What a request is for. One address may serve several purposes, which cannot be told apart.
    fn title(&self, endpoint: Endpoint, received: &ReceivedRequest) -> String {
        let here = routes::probes(&self.toolkit, self.scheme).into_iter().map(|(endpoint, _)| endpoint);
        let titles: Vec<String> = here.filter(|it| self.is_at(*it, received)).map(Endpoint::title).collect();
        if titles.is_empty() || !endpoint.is_about_account() { endpoint.title() } else { titles.join(" / ") }
    }

    /// A pushed request is an authorization request.
    fn pushed(&mut self, endpoint: Endpoint, received: &ReceivedRequest) -> checks::Checked {
        if let (Endpoint::Pushed, Some(oauth)) = (endpoint, &self.oauth) {
            self.flow.asked = checks::authorization(self, oauth, received)?;
        }
        Ok(())
    }

    /// The user's browser comes and agrees; where it is sent back to.
    ///
    /// # Errors
    /// The rule that the request breaks.
    pub(super) fn authorize(&mut self, url: &Url) -> Result<Url> {
        let host = url.authority().to_owned();
        let target = url[url::Position::BeforePath..url::Position::AfterQuery].to_owned();
        let received = ReceivedRequest::new("GET", &host, &target, HeaderMap::new(), bytes::Bytes::new());
        let received = received.ok_or_else(|| anyhow!("the authorization URL cannot be opened: {url}"))?;
        self.learn(&received);
        let asked = match (&self.oauth, &self.flow.pushed) {
            (Some(_), Some(pushed)) if received.param("request_uri") == Some(pushed) => Ok(()),
            (Some(oauth), _) => checks::authorization(self, oauth, &received).map(|asked| self.flow.asked = asked),
            (None, _) => {
                let is_ours = received.param("oauth_token").map(str::to_owned) == self.flow.current("temporary");
                let why = "the page is opened with another token than the one that was given".to_owned();
                if is_ours { Ok(()) } else { Err(checks::Refusal { code: "token_rejected", why }) }
            }
        };
        if let Err(refusal) = asked {
            let endpoint = Endpoint::Authorization;
            let reply = Reply::error(StatusCode::BAD_REQUEST, refusal.code, &refusal.why);
            self.note(&endpoint.title(), &received, &reply);
            self.fail(format!("{}: {}; see {}", endpoint.title(), refusal.why, endpoint.keys(self.scheme)));
            return Err(anyhow!("the provider's page shows an error"));
        }
        let back = self.callback()?;
        let reply = Reply {
            status: StatusCode::FOUND,
            headers: vec![("location".to_owned(), back.to_string())],
            body: String::new(),
        };
        self.note(&Endpoint::Authorization.title(), &received, &reply);
        Ok(back)
    }

    /// What the browser brings back.
    fn callback(&mut self) -> Result<Url> {
        let code = self.issue("code");
        self.flow.code = Some(code.clone());
        let mut back = Url::parse(&self.flow.redirect_uri)?;
        let Some(oauth) = self.oauth.clone() else {
            let token = self.flow.current("temporary").unwrap_or_default();
            back.query_pairs_mut().append_pair("oauth_token", &token).append_pair("oauth_verifier", &code);
            return Ok(back);
        };
        let mut pairs = vec![(oauth.callback.code.unwrap_or_else(|| "code".to_owned()), code)];
        pairs.push(("state".to_owned(), self.flow.asked.state.clone()));
        if let Some(issuer) = &oauth.issuer {
            pairs.push(("iss".to_owned(), template::expand(issuer, &|name| self.variable(name))?));
        }
        for capture in &oauth.callback.capture {
            pairs.push((capture.at.clone(), self.values.get(&capture.name).unwrap_or_default()));
        }
        if let Some(name) = oauth.callback.hmac {
            let secret = Secret::new(self.values.get("client_secret").unwrap_or_default());
            let message = signed_text(&pairs);
            let variables = |_: &str| Some(message.clone());
            let signature =
                hmac_signature(SignatureHash::Sha256, SignatureEncoding::Hex, &secret, "{message}", &variables)?;
            pairs.push((name, signature.expose().to_owned()));
        }
        back.query_pairs_mut().extend_pairs(pairs);
        Ok(back)
    }

    /// OAuth 1.0a says in its first request where the browser comes back to.
    fn learn(&mut self, received: &ReceivedRequest) {
        if let Some(callback) = received.param("oauth_callback").and_then(|text| Url::parse(text).ok()) {
            if let Some((_, state)) = callback.query_pairs().find(|(name, _)| name == "state") {
                self.values.shown().add(&state, "state");
            }
            self.flow.redirect_uri = callback.into();
        }
        for name in ["state", "code_challenge", "code_verifier"] {
            if let Some(value) = received.param(name).filter(|value| value.len() >= 16).map(str::to_owned) {
                self.values.shown().add(&value, name);
            }
        }
    }
}

/// The text under a callback's signature, as `verify_query_hmac` describes it.
fn signed_text(pairs: &[(String, String)]) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('&', "%26");
    let mut sorted: Vec<&(String, String)> = pairs.iter().collect();
    sorted.sort_unstable();
    let joined = sorted.iter().map(|(name, value)| format!("{}={}", escaped(name).replace('=', "%3D"), escaped(value)));
    joined.collect::<Vec<_>>().join("&")
}

/// Every address of every host.
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
