//! The simulated provider: its configuration, its state, and the matching of requests to endpoints.
//! `serve.rs` responds to requests with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use serde_json::Value;
use switchboard_catalog::{OAuth2, Scheme, Toolkit, template};
use url::Url;

use super::discovery::{MetadataDocument, discover};
use super::exchange::Exchange;
use super::flow::Flow;
use super::received::ReceivedRequest;
use super::reply::Reply;
use super::routes::{self, Endpoint, Route};
use super::server::Clock;
use super::tool_call::ToolCall;
use super::values::Values;

/// A simulated provider.
pub(super) struct Provider {
    pub(super) toolkit: Arc<Toolkit>,
    pub(super) scheme: Scheme,
    /// Completed from metadata, if the file uses discovery.
    pub(super) oauth: Option<OAuth2>,
    pub(super) values: Values,
    pub(super) flow: Flow,
    pub(super) exchanges: Vec<Exchange>,
    /// The first violated rule.
    pub(super) failure: Option<String>,
    pub(super) metadata: Vec<MetadataDocument>,
    pub(super) routes: Vec<Route>,
    /// The tool whose call comes next.
    pub(super) tool: Option<ToolCall>,
    clock: Arc<dyn Clock>,
}

impl Provider {
    pub(super) fn new(toolkit: Arc<Toolkit>, scheme: Scheme, values: Values, clock: Arc<dyn Clock>) -> Result<Self> {
        let (oauth, metadata) = match toolkit.oauth(scheme) {
            Some(oauth) => {
                let (oauth, metadata) = discover(oauth, &|name| values.get(name))?;
                (Some(oauth), metadata)
            }
            None => (None, Vec::new()),
        };
        let routes = routes::for_scheme(&toolkit, scheme, oauth.as_ref());
        let (flow, exchanges) = (Flow::default(), Vec::new());
        Ok(Self { toolkit, scheme, oauth, values, flow, exchanges, failure: None, metadata, routes, tool: None, clock })
    }

    /// Now, in seconds since 1970.
    pub(super) fn now_seconds(&self) -> i64 {
        self.clock.now_ms() / 1_000
    }

    /// The client identifier that requests must contain.
    pub(super) fn client_id(&self) -> String {
        let known = self.flow.client_id.clone().or_else(|| self.values.get("consumer_key"));
        known.or_else(|| self.values.get("client_id")).unwrap_or_default()
    }

    /// Issues a token.
    pub(super) fn issue(&mut self, name: &str) -> String {
        let (token, display_name) = self.flow.issue(name);
        self.values.substitutions().add(&token, &display_name);
        token
    }

    pub(super) fn issue_jwt(&mut self, name: &str, expires_at: i64) -> String {
        let (token, display_name) = self.flow.issue_jwt(name, expires_at);
        self.values.substitutions().add(&token, &display_name);
        token
    }

    /// The current value of a template variable.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        match name {
            "client_id" => Some(self.client_id()),
            "redirect_uri" => Some(self.flow.redirect_uri.clone()),
            _ => self.flow.current(name).or_else(|| self.values.get(name)),
        }
    }

    /// The token that requests to a URL must carry.
    pub(super) fn token_for(&self, url: &Url) -> Option<String> {
        if self.scheme == Scheme::OAuth1 {
            return self.flow.current("oauth_token");
        }
        let host = url.host_str().unwrap_or_default();
        let extra = self.oauth.iter().flat_map(|oauth| &oauth.tokens);
        let matching = extra.into_iter().find(|extra| {
            let hosts = extra.hosts.iter().filter_map(|text| template::expand(text, &|name| self.variable(name)).ok());
            let is_path = extra.paths.iter().any(|prefix| url.path().starts_with(prefix.as_str()));
            hosts.into_iter().any(|rule| rule == host) || is_path
        });
        let name = matching.map_or("access_token".to_owned(), |extra| format!("{}_access_token", extra.name));
        self.flow.current(&name)
    }

    /// The name of the extra token whose refresh token is in the request.
    pub(super) fn requested_extra_token(&self, received: &ReceivedRequest) -> Option<String> {
        let refresh_token = received.param("refresh_token")?;
        let matches_name =
            |name: &str| self.flow.current(&format!("{name}_refresh_token")).as_deref() == Some(refresh_token);
        let oauth = self.oauth.as_ref()?;
        oauth.tokens.iter().map(|token| token.name.clone()).find(|name| matches_name(name))
    }

    /// Whether a request goes to an endpoint.
    pub(super) fn is_request_to(&self, endpoint: Endpoint, received: &ReceivedRequest) -> bool {
        self.routes.iter().any(|route| route.endpoint == endpoint && self.route_matches(route, received))
    }

    /// Whether a request matches a route, with the current values.
    pub(super) fn route_matches(&self, route: &Route, received: &ReceivedRequest) -> bool {
        let matches_with = |token: Option<&String>| {
            let variables = |name: &str| match (name, token) {
                ("token", Some(token)) => Some(token.clone()),
                _ => self.variable(name),
            };
            route.matches(&received.method, &received.url, &variables)
        };
        matches_with(None) || self.flow.tokens().any(|token| matches_with(Some(token)))
    }

    /// Records a failure; only the first is kept.
    pub(super) fn fail(&mut self, reason: String) {
        self.failure.get_or_insert(reason);
    }

    /// Records a request and its response for the report.
    pub(super) fn record_exchange(&mut self, title: &str, received: &ReceivedRequest, reply: &Reply) {
        let assertions =
            received.assertions().into_iter().filter(|(jwt, ..)| !self.flow.tokens().any(|known| known == jwt));
        let mut notes = Vec::new();
        for (jwt, head, claims) in assertions.collect::<Vec<(String, Value, Value)>>() {
            self.values.substitutions().add(&jwt, "assertion");
            notes.push(format!("<assertion> is a JWT: header {head}, claims {claims}"));
        }
        self.exchanges.push(Exchange::new(title, received, reply, notes));
    }
}

/// The provider, shared by its listener and the scenario.
pub(super) type SharedProvider = Arc<Mutex<Provider>>;

/// Exclusive access to the provider.
pub(super) fn lock(shared: &SharedProvider) -> MutexGuard<'_, Provider> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
