//! The simulated provider: what it is made of, what it remembers, and which address of the file is which.
//! `respond.rs` answers with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use serde_json::Value;
use switchboard_catalog::{OAuth2, Scheme, Toolkit, template};
use url::Url;

use super::discovery::{Discovered, discover};
use super::exchange::Exchange;
use super::flow::Flow;
use super::received::ReceivedRequest;
use super::reply::Reply;
use super::routes::{self, Endpoint, Route};
use super::server::Clock;
use super::values::Values;

/// A simulated provider.
pub(super) struct Provider {
    pub(super) toolkit: Arc<Toolkit>,
    pub(super) scheme: Scheme,
    /// Completed from metadata, where there is some.
    pub(super) oauth: Option<OAuth2>,
    pub(super) values: Values,
    pub(super) flow: Flow,
    pub(super) exchanges: Vec<Exchange>,
    /// The first rule that was broken.
    pub(super) failure: Option<String>,
    pub(super) discovered: Vec<Discovered>,
    pub(super) routes: Vec<Route>,
    clock: Arc<dyn Clock>,
}

impl Provider {
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
        self.clock.now_ms() / 1_000
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
    pub(super) fn further(&self, received: &ReceivedRequest) -> Option<String> {
        let carried = received.param("refresh_token")?;
        let is_its = |name: &str| self.flow.current(&format!("{name}_refresh_token")).as_deref() == Some(carried);
        let oauth = self.oauth.as_ref()?;
        oauth.tokens.iter().map(|token| token.name.clone()).find(|name| is_its(name))
    }

    /// Whether a request goes to an address of the file.
    pub(super) fn is_at(&self, endpoint: Endpoint, received: &ReceivedRequest) -> bool {
        self.routes.iter().any(|route| route.endpoint == endpoint && self.admits(route, received))
    }

    /// Whether a request goes to this address, with the values of this moment.
    pub(super) fn admits(&self, route: &Route, received: &ReceivedRequest) -> bool {
        let named = |token: Option<&String>| {
            let variables = |name: &str| match (name, token) {
                ("token", Some(token)) => Some(token.clone()),
                _ => self.variable(name),
            };
            route.admits(&received.method, &received.url, &variables)
        };
        named(None) || self.flow.tokens().any(|token| named(Some(token)))
    }

    /// Keeps the first failure.
    pub(super) fn fail(&mut self, why: String) {
        self.failure.get_or_insert(why);
    }

    pub(super) fn note(&mut self, title: &str, received: &ReceivedRequest, reply: &Reply) {
        let said = received.assertions().into_iter().filter(|(jwt, ..)| !self.flow.tokens().any(|known| known == jwt));
        let mut notes = Vec::new();
        for (jwt, head, claims) in said.collect::<Vec<(String, Value, Value)>>() {
            self.values.shown().add(&jwt, "assertion");
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
