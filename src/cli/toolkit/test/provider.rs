//! The played provider: it knows from the file which address is which, is as strict as a provider is,
//! and remembers every exchange.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, anyhow};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde_json::Value;
use switchboard_auth::{SignatureEncoding, SignatureHash, hmac_signature};
use switchboard_catalog::{OAuth2, Scheme, Toolkit, template};
use switchboard_egress::Destination;
use switchboard_vault::Secret;
use url::Url;

use super::answers::{Reply, answer};
use super::checks;
use super::discovery::{Discovered, discover};
use super::exchange::Exchange;
use super::flow::Flow;
use super::routes::{self, Endpoint, Route};
use super::seen::Seen;
use super::values::Values;
use crate::time::Clock;

pub(super) use super::flow::Asked;

/// Largest request read.
const MAX_BODY: usize = 1 << 20;

/// A provider in play.
pub(super) struct Play {
    pub(super) toolkit: Arc<Toolkit>,
    pub(super) scheme: Scheme,
    /// Completed from metadata, where there is some.
    pub(super) oauth: Option<OAuth2>,
    pub(super) values: Values,
    pub(super) flow: Flow,
    pub(super) exchanges: Vec<Exchange>,
    /// The first rule that was broken.
    pub(super) failure: Option<String>,
    discovered: Vec<Discovered>,
    routes: Vec<Route>,
    clock: Arc<dyn Clock>,
}

impl Play {
    pub(super) fn new(toolkit: Arc<Toolkit>, scheme: Scheme, values: Values, clock: Arc<dyn Clock>) -> Result<Self> {
        let (oauth, discovered) = match toolkit.oauth(scheme) {
            Some(oauth) => {
                let (oauth, discovered) = discover(oauth, &|name| values.get(name))?;
                (Some(oauth), discovered)
            }
            None => (None, Vec::new()),
        };
        let routes = routes::of(&toolkit, scheme, oauth.as_ref());
        let (flow, exchanges) = (Flow::default(), Vec::new());
        Ok(Self { toolkit, scheme, oauth, values, flow, exchanges, failure: None, discovered, routes, clock })
    }

    /// Now, in seconds since 1970.
    pub(super) fn seconds(&self) -> i64 {
        self.clock.now() / 1_000
    }

    /// The identifier that requests must name.
    pub(super) fn client_id(&self) -> String {
        let known = self.flow.client_id.clone().or_else(|| self.values.get("consumer_key"));
        known.or_else(|| self.values.get("client_id")).unwrap_or_default()
    }

    /// A new token.
    pub(super) fn issue(&mut self, name: &str) -> String {
        let (token, shown) = self.flow.issue(name);
        self.values.shown().add(&token, &shown);
        token
    }

    pub(super) fn issue_jwt(&mut self, name: &str, expires_at: i64) -> String {
        let (token, shown) = self.flow.issue_jwt(name, expires_at);
        self.values.shown().add(&token, &shown);
        token
    }

    /// A template's variable at this moment.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        match name {
            "client_id" => Some(self.client_id()),
            "redirect_uri" => Some(self.flow.redirect_uri.clone()),
            _ => self.flow.current(name).or_else(|| self.values.get(name)),
        }
    }

    /// The token that requests to a host must carry.
    pub(super) fn token_for(&self, url: &Url) -> Option<String> {
        if self.scheme == Scheme::OAuth1 {
            return self.flow.current("oauth_token");
        }
        let host = url.host_str().unwrap_or_default();
        let extra = self.oauth.iter().flat_map(|oauth| &oauth.tokens);
        let own = extra.into_iter().find(|extra| {
            let hosts = extra.hosts.iter().filter_map(|text| template::expand(text, &|name| self.variable(name)).ok());
            let is_path = extra.paths.iter().any(|prefix| url.path().starts_with(prefix.as_str()));
            hosts.into_iter().any(|rule| rule == host) || is_path
        });
        let name = own.map_or("access_token".to_owned(), |extra| format!("{}_access_token", extra.name));
        self.flow.current(&name)
    }

    /// The further token whose own refresh token a request carries.
    pub(super) fn further(&self, seen: &Seen) -> Option<String> {
        let carried = seen.param("refresh_token")?;
        let is_its = |name: &str| self.flow.current(&format!("{name}_refresh_token")).as_deref() == Some(carried);
        let oauth = self.oauth.as_ref()?;
        oauth.tokens.iter().map(|token| token.name.clone()).find(|name| is_its(name))
    }

    /// Whether a request goes to an address of the file.
    pub(super) fn is_at(&self, endpoint: Endpoint, seen: &Seen) -> bool {
        self.routes.iter().any(|route| route.endpoint == endpoint && self.admits(route, seen))
    }

    fn admits(&self, route: &Route, seen: &Seen) -> bool {
        let named = |token: Option<&String>| {
            let variables = |name: &str| match (name, token) {
                ("token", Some(token)) => Some(token.clone()),
                _ => self.variable(name),
            };
            route.admits(&seen.method, &seen.url, &variables)
        };
        named(None) || self.flow.tokens().any(|token| named(Some(token)))
    }

    fn endpoint(&self, seen: &Seen) -> Option<Endpoint> {
        let here: Vec<Endpoint> =
            self.routes.iter().filter(|route| self.admits(route, seen)).map(|route| route.endpoint).collect();
        let fitting = here.iter().copied().find(|endpoint| checks::fits(self, *endpoint, seen));
        fitting.or_else(|| here.first().copied()).or_else(|| {
            let hosts = self.toolkit.host_rules(&|name| self.variable(name)).ok()?;
            Destination::new(hosts).ok()?.admits(&seen.url).then_some(Endpoint::Api)
        })
    }

    /// Answers a request of the server.
    pub(super) fn serve(&mut self, seen: &Seen) -> Reply {
        let is_here = |url: &Url| url.authority() == seen.url.authority() && url.path() == seen.url.path();
        if let Some(found) = self.discovered.iter().find(|found| is_here(&found.url)) {
            let (endpoint, reply) = (found.endpoint, Reply::json(&found.document));
            self.note(&endpoint.title(), seen, &reply);
            return reply;
        }
        let Some(endpoint) = self.endpoint(seen) else {
            let reply = Reply::error(StatusCode::NOT_FOUND, "not_found", "no address of the file");
            self.note("An address that the file does not name", seen, &reply);
            self.fail(format!("{} {} is no address of the file", seen.method, seen.url));
            return reply;
        };
        self.learn(seen);
        let checked = checks::request(self, endpoint, seen).and_then(|()| self.pushed(endpoint, seen));
        let reply = match checked {
            Ok(()) => answer(self, endpoint, seen).unwrap_or_else(|conflict| {
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
        self.note(&self.title(endpoint, seen), seen, &reply);
        reply
    }

    /// What a request is for. One address may serve several: nobody can tell them apart.
    fn title(&self, endpoint: Endpoint, seen: &Seen) -> String {
        let here = routes::probes(&self.toolkit, self.scheme).into_iter().map(|(endpoint, _)| endpoint);
        let titles: Vec<String> = here.filter(|it| self.is_at(*it, seen)).map(Endpoint::title).collect();
        if titles.is_empty() || !endpoint.is_about_account() { endpoint.title() } else { titles.join(" / ") }
    }

    /// A pushed request is an authorization request.
    fn pushed(&mut self, endpoint: Endpoint, seen: &Seen) -> checks::Checked {
        if let (Endpoint::Pushed, Some(oauth)) = (endpoint, &self.oauth) {
            self.flow.asked = checks::authorization(self, oauth, seen)?;
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
        let seen = Seen::new("GET", &host, &target, HeaderMap::new(), bytes::Bytes::new());
        let seen = seen.ok_or_else(|| anyhow!("the authorization URL cannot be opened: {url}"))?;
        self.learn(&seen);
        let asked = match (&self.oauth, &self.flow.pushed) {
            (Some(_), Some(pushed)) if seen.param("request_uri") == Some(pushed) => Ok(()),
            (Some(oauth), _) => checks::authorization(self, oauth, &seen).map(|asked| self.flow.asked = asked),
            (None, _) => {
                let is_ours = seen.param("oauth_token").map(str::to_owned) == self.flow.current("temporary");
                let why = "the page is opened with another token than the one that was given".to_owned();
                if is_ours { Ok(()) } else { Err(checks::Refusal { code: "token_rejected", why }) }
            }
        };
        if let Err(refusal) = asked {
            let endpoint = Endpoint::Authorization;
            let reply = Reply::error(StatusCode::BAD_REQUEST, refusal.code, &refusal.why);
            self.note(&endpoint.title(), &seen, &reply);
            self.fail(format!("{}: {}; see {}", endpoint.title(), refusal.why, endpoint.keys(self.scheme)));
            return Err(anyhow!("the provider's page shows an error"));
        }
        let back = self.callback()?;
        let reply = Reply {
            status: StatusCode::FOUND,
            headers: vec![("location".to_owned(), back.to_string())],
            body: String::new(),
        };
        self.note(&Endpoint::Authorization.title(), &seen, &reply);
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
    fn learn(&mut self, seen: &Seen) {
        if let Some(callback) = seen.param("oauth_callback").and_then(|text| Url::parse(text).ok()) {
            if let Some((_, state)) = callback.query_pairs().find(|(name, _)| name == "state") {
                self.values.shown().add(&state, "state");
            }
            self.flow.redirect_uri = callback.into();
        }
        for name in ["state", "code_challenge", "code_verifier"] {
            if let Some(value) = seen.param(name).filter(|value| value.len() >= 16).map(str::to_owned) {
                self.values.shown().add(&value, name);
            }
        }
    }

    /// Keeps the first failure.
    pub(super) fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    pub(super) fn note(&mut self, title: &str, seen: &Seen, reply: &Reply) {
        let said = seen.assertions().into_iter().filter(|(jwt, ..)| !self.flow.tokens().any(|known| known == jwt));
        let mut notes = Vec::new();
        for (jwt, head, claims) in said.collect::<Vec<(String, Value, Value)>>() {
            self.values.shown().add(&jwt, "assertion");
            notes.push(format!("<assertion> is a JWT: header {head}, claims {claims}"));
        }
        self.exchanges.push(Exchange::new(title, seen, reply, notes));
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

/// The provider, shared by its listener and the dance.
pub(super) type Shared = Arc<Mutex<Play>>;

/// The provider for a moment.
pub(super) fn of(shared: &Shared) -> MutexGuard<'_, Play> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Every address of every host.
pub(super) fn router(shared: Shared) -> Router {
    Router::new().fallback(serve).with_state(shared)
}

async fn serve(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let seen = Seen::new(parts.method.as_str(), &host, &target, parts.headers, body);
    let reply = match seen {
        Some(seen) => of(&shared).serve(&seen),
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
