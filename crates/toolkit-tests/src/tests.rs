//! The simulated provider rejects a request that violates a rule, and names the rule.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use switchboard_catalog::{Catalog, Scheme};
use url::Url;

use super::provider::Provider;
use super::received::ReceivedRequest;
use super::server::Clock;
use super::values::Values;

const FILE: &str = r##"
slug = "simulated"
name = "Simulated"
description = "A simulated provider"
categories = ["testing"]
color = "#336699"
version = "20261126_00"
base_url = "https://api.simulated.example"
hosts = ["api.simulated.example"]
[oauth2]
authorization_url = "https://login.simulated.example/authorize"
token_url = "https://login.simulated.example/token"
revocation_url = "https://login.simulated.example/revoke"
authorization_parameters = { prompt = "consent" }
[identity]
request = { url = "/me" }
id = "/id"
"##;

const CALLBACK_URL: &str = "https://switchboard.example/back";
const STATE: &str = "a-state-of-its-own";
/// From RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A clock that always shows the same time in 2026.
struct StoppedClock;

impl Clock for StoppedClock {
    fn now_ms(&self) -> i64 {
        1_795_000_000_000
    }

    fn advance_to(&self, _at: i64) {}
}

fn provider() -> Provider {
    let mut catalog = Catalog::default();
    catalog.add("simulated/toolkit.toml", FILE).unwrap();
    let toolkit = Arc::clone(catalog.get("simulated").unwrap());
    let values = Values::new(&toolkit, Scheme::OAuth2, &BTreeMap::new()).unwrap();
    let mut provider = Provider::new(toolkit, Scheme::OAuth2, values, Arc::new(StoppedClock)).unwrap();
    provider.flow.redirect_uri = CALLBACK_URL.to_owned();
    provider
}

fn authorization(changed: &[(&str, &str)]) -> Url {
    let pairs = [
        ("response_type", "code"),
        ("client_id", "CLIENT_ID"),
        ("redirect_uri", CALLBACK_URL),
        ("state", STATE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
    ];
    Url::parse_with_params("https://login.simulated.example/authorize", changed_pairs(&pairs, changed)).unwrap()
}

/// Replaces the values of some parameters; an empty value removes the parameter.
fn changed_pairs(pairs: &[(&str, &str)], changed: &[(&str, &str)]) -> Vec<(String, String)> {
    let value = |name: &str, default: &str| {
        let other = changed.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        other.unwrap_or(default).to_owned()
    };
    let all = pairs.iter().map(|(name, default)| ((*name).to_owned(), value(name, default)));
    all.filter(|(_, value)| !value.is_empty()).collect()
}

/// Sends a form as the server would. Returns the status.
fn post(provider: &mut Provider, path: &str, pairs: &[(&str, &str)], changed: &[(&str, &str)]) -> StatusCode {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(changed_pairs(pairs, changed)).finish();
    let received = ReceivedRequest::new("POST", "login.simulated.example", path, headers, body.into()).unwrap();
    provider.serve(&received).status
}

fn get(provider: &mut Provider, host: &str, path: &str, token: &str) -> StatusCode {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    provider.serve(&ReceivedRequest::new("GET", host, path, headers, bytes::Bytes::new()).unwrap()).status
}

fn exchange(provider: &mut Provider, changed: &[(&str, &str)]) -> StatusCode {
    let code = provider.flow.code.clone().unwrap_or_default();
    let secret = provider.values.get("client_secret").unwrap();
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK_URL),
        ("code_verifier", VERIFIER),
        ("client_id", "CLIENT_ID"),
        ("client_secret", secret.as_str()),
    ];
    post(provider, "/token", &pairs, changed)
}

fn refresh(provider: &mut Provider, token: &str) -> StatusCode {
    let secret = provider.values.get("client_secret").unwrap();
    let pairs = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "CLIENT_ID"),
        ("client_secret", secret.as_str()),
    ];
    post(provider, "/token", &pairs, &[])
}

/// A provider after consent and code exchange.
fn connected() -> Provider {
    let mut provider = provider();
    provider.authorize(&authorization(&[])).unwrap();
    assert_eq!(exchange(&mut provider, &[]), StatusCode::OK, "{:?}", provider.failure);
    provider
}

fn assert_failure(provider: &Provider, expected: &str) {
    let failure = provider.failure.as_deref().unwrap_or("no failure");
    assert!(failure.contains(expected), "{expected}: {failure}");
}

#[test]
fn authorization_requests_that_break_a_rule_are_rejected() {
    for (name, value, expected) in [
        ("response_type", "token", "`response_type` is not `code`"),
        ("client_id", "", "`client_id` is not the client's identifier"),
        ("redirect_uri", "https://switchboard.example/other", "`redirect_uri` is not the registered one"),
        ("state", "", "there is no `state`"),
        ("code_challenge", "", "there is no PKCE challenge with S256"),
        ("code_challenge_method", "plain", "there is no PKCE challenge with S256"),
        ("prompt", "", "`prompt` of the file is not sent"),
    ] {
        let mut provider = provider();
        assert!(provider.authorize(&authorization(&[(name, value)])).is_err(), "{name}");
        assert_failure(&provider, expected);
    }
    let callback = provider().authorize(&authorization(&[])).unwrap();
    assert!(callback.as_str().starts_with(&format!("{CALLBACK_URL}?code=")), "{callback}");
    assert!(callback.query_pairs().any(|(name, value)| name == "state" && value == STATE), "{callback}");
}

#[test]
fn a_code_is_bound_to_its_request_and_single_use() {
    for (name, value, expected) in [
        ("code", "another", "the code is not the one that was given"),
        ("redirect_uri", "https://switchboard.example/other", "`redirect_uri` is not the authorization request's"),
        ("code_verifier", "another", "`code_verifier` does not belong to the challenge"),
        ("client_secret", "", "identifier and secret are to be in the body"),
    ] {
        let mut provider = provider();
        provider.authorize(&authorization(&[])).unwrap();
        assert!(exchange(&mut provider, &[(name, value)]).is_client_error(), "{name}");
        assert_failure(&provider, expected);
    }
    let mut provider = connected();
    assert_eq!(exchange(&mut provider, &[]), StatusCode::BAD_REQUEST);
    assert_failure(&provider, "the code was used before");
}

#[test]
fn a_rotated_refresh_token_is_single_use() {
    let mut provider = connected();
    let first = provider.flow.current("refresh_token").unwrap();
    assert_eq!(refresh(&mut provider, &first), StatusCode::OK, "{:?}", provider.failure);
    assert_ne!(provider.flow.current("refresh_token"), Some(first.clone()));
    assert_eq!(refresh(&mut provider, &first), StatusCode::BAD_REQUEST);
    assert_failure(&provider, "the refresh token was used before");
}

#[test]
fn calls_need_the_newest_token_and_a_host_of_the_file() {
    let mut provider = connected();
    let old = provider.flow.current("access_token").unwrap();
    assert_eq!(get(&mut provider, "api.simulated.example", "/anything", &old), StatusCode::OK);
    let token = provider.flow.current("refresh_token").unwrap();
    refresh(&mut provider, &token);
    assert_eq!(get(&mut provider, "api.simulated.example", "/me", &old), StatusCode::UNAUTHORIZED);
    assert_failure(&provider, "Identity: it does not carry the account's token; see [identity]");

    let mut provider = connected();
    let token = provider.flow.current("access_token").unwrap();
    assert_eq!(get(&mut provider, "www.simulated.example", "/me", &token), StatusCode::NOT_FOUND);
    assert_failure(&provider, "GET https://www.simulated.example/me is no address of the file");
}

#[test]
fn only_tokens_of_the_account_can_be_revoked() {
    let mut provider = connected();
    let secret = provider.values.get("client_secret").unwrap();
    let pairs = [("token", "another"), ("client_id", "CLIENT_ID"), ("client_secret", secret.as_str())];
    assert_eq!(post(&mut provider, "/revoke", &pairs, &[]), StatusCode::BAD_REQUEST);
    assert_failure(&provider, "Revocation: it names no token of the account");
}
