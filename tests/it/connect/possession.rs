//! Tokens that are bound to a key (RFC 9449, `dpop = true`), at a provider that demands it and wants a nonce
//! in every proof.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use switchboard::app::project::ProjectSettings;
use url::Url;

use crate::support::browser::Browser;
use crate::support::connected::{Connected, connect, finished};
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// An account of a provider that issues nothing but bound tokens. `/me` of the provider checks the proof.
async fn connected() -> (Provider, Connected) {
    let provider = Provider::oidc(&["--dpop", "--access-ttl", "600"]);
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "dpop = true")).start().await;
    provider.auth_config(&server.api, "tk").await;
    let (session, account) = connect(&server.api, "user-1", "tk").await;
    (provider, Connected { server, session, account })
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_tokens_are_issued_used_and_refreshed() {
    let (provider, connected) = connected().await;
    let api = &connected.server.api;
    let answer = api.proxy_get(&connected.session, "tk", "/me").await.expect(200);
    assert_eq!((&answer["status"], &answer["data"]["sub"]), (&json!(200), &json!("alice")));
    // The server's nonce is known by now: one request, no refusal.
    let before = provider.seen("/me").await.len();
    assert_eq!(api.proxy_get(&connected.session, "tk", "/me").await.expect(200)["status"], 200);
    assert_eq!(provider.seen("/me").await.len() - before, 1);

    connected.expire();
    let answer = api.proxy_get(&connected.session, "tk", "/me?again=1").await.expect(200);
    assert_eq!(answer["status"], 200, "a query is no part of the proof: {answer}");
    assert!(provider.grants("refresh_token").await >= 1);
    connected.server.clock.advance(Duration::from_hours(1));
    assert_eq!(api.proxy_get(&connected.session, "tk", "/me").await.expect(200)["status"], 200, "the same key again");

    // The token alone is worth nothing, and the key never shows.
    let seen = provider.seen("/me").await;
    let proof = seen.last().unwrap()["headers"]["dpop"].as_str().unwrap().to_owned();
    assert!(seen.iter().all(|it| it["headers"]["authorization"].as_str().unwrap().starts_with("DPoP ")));
    let shown = api.get(&format!("/connected_accounts/{}", connected.account)).await.expect(200).to_string();
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains(&proof), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_sends_no_proof_of_its_own() {
    let (_provider, connected) = connected().await;
    let call = json!({ "toolkit_slug": "tk", "endpoint": "/me", "method": "GET",
        "parameters": [{ "name": "DPoP", "value": "x", "type": "header" }] });
    let path = format!("/tool_router/session/{}/proxy_execute", connected.session);
    connected.server.api.post(&path, &call).await.expect_error(400, "header_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_bound_is_refused() {
    let provider = Provider::mock(&[]);
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "dpop = true")).start().await;
    provider.auth_config(&server.api, "tk").await;
    let session = server.api.session("user-1", "tk").await;
    let link = server.api.link(&session, "tk").await;
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let account = link["connected_account_id"].as_str().unwrap();
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    // The link goes on: its user may try again.
    assert_eq!(shown["status"], "INITIATED");
    assert!(shown["status_reason"].as_str().unwrap().contains("token type Bearer"), "{shown}");
}

/// The claims of a request's proof.
fn claims(request: &Value) -> Value {
    let proof = request["headers"]["dpop"].as_str().unwrap_or_else(|| panic!("no proof: {request}"));
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(proof.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// The public key in a request's proof, by its thumbprint (RFC 7638).
fn key(request: &Value) -> String {
    let proof = request["headers"]["dpop"].as_str().unwrap();
    let header = URL_SAFE_NO_PAD.decode(proof.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    let jwk = serde_json::to_string(&header["jwk"]).unwrap();
    URL_SAFE_NO_PAD.encode(switchboard_vault::digest(&jwk))
}

/// The provider refuses the next request to a path for want of this nonce, and does nothing with it.
async fn wants_nonce(provider: &Provider, path: &str, nonce: &str) {
    let body = json!({ "error": "use_dpop_nonce" }).to_string();
    let fault = json!({ "path": path, "status": 400, "headers": { "dpop-nonce": nonce }, "body": body, "times": 1 });
    provider.fault(&fault).await;
}

/// A code is bound to the key of its pushed request (RFC 9449 section 10.1): this provider checks that the
/// exchange proves the same one. Introspection and revocation carry proofs, too, each with the nonce that it wants.
#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_of_the_server_gets_a_proof_of_the_same_key() {
    let provider = Provider::oidc(&["--dpop", "--access-ttl", "600"]);
    let more = format!(
        "dpop = true\nexpiry = \"introspection\"\npushed_authorization_request_url = \"{}/request\"\n\
         introspection_url = \"{}\"\nrevocation_url = \"{}\"\nauthorization_parameters = {{ prompt = \"consent\" }}",
        provider.origin(),
        provider.text("introspection_endpoint"),
        provider.text("revocation_endpoint"),
    );
    let (introspection, revocation) = ("/token/introspection", "/token/revocation");
    wants_nonce(&provider, introspection, "n-introspection").await;
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", &more)).start().await;
    provider.auth_config(&server.api, "tk").await;
    let (session, account) = connect(&server.api, "user-1", "tk").await;
    let connected = Connected { server, session, account };
    let api = &connected.server.api;
    assert_eq!(api.proxy_get(&connected.session, "tk", "/me").await.expect(200)["data"]["sub"], "alice");

    let pushed = provider.seen("/request").await;
    assert_eq!(pushed.len(), 2, "the first learns the nonce");
    let jkt = key(&pushed[1]);
    let body = pushed[1]["body"].as_str().unwrap();
    assert!(form_urlencoded::parse(body.as_bytes()).any(|(name, value)| name == "dpop_jkt" && value == jkt), "{body}");
    assert_eq!(claims(&pushed[1])["htu"], format!("{}/request", provider.origin()));
    assert!(claims(&pushed[1])["nonce"].is_string());
    let exchanges = provider.token_requests().await;
    assert!(exchanges.iter().all(|request| key(request) == jkt), "{exchanges:?}");
    let asked = provider.seen(introspection).await;
    assert_eq!((asked.len(), &claims(&asked[1])["nonce"]), (2, &json!("n-introspection")));
    assert!(asked.iter().all(|request| key(request) == jkt));

    wants_nonce(&provider, revocation, "n-revocation").await;
    let receipt = finished(api, &connected.delete().await).await;
    assert_eq!((&receipt["revoked"], &receipt["failed"]), (&json!(1), &json!(0)), "{receipt}");
    let asked = provider.seen(revocation).await;
    assert_eq!(asked.len(), 3, "one more for the nonce, then both tokens");
    assert_eq!(claims(&asked[1])["nonce"], "n-revocation");
    assert!(asked.iter().all(|request| key(request) == jkt), "the key is the account's");
    assert_eq!(claims(&asked[2])["htu"], provider.text("revocation_endpoint"));
}

/// A proof says nothing to another server, which gets none.
#[tokio::test(flavor = "multi_thread")]
async fn another_server_gets_no_proof() {
    let (provider, other) = (Provider::oidc(&["--dpop"]), Provider::mock(&[]));
    let more = format!("dpop = true\nrevocation_url = \"{}\"", other.text("revocation_endpoint"));
    let host = other.origin().split_once("://").unwrap().1.to_owned();
    let file = provider.toolkit("tk", &more);
    let hosts = file.lines().find(|line| line.starts_with("hosts = [")).unwrap();
    let file = file.replace(hosts, &hosts.replace(']', &format!(", \"{host}\"]")));
    let server = TestServer::builder().toolkit("tk", &file).start().await;
    provider.auth_config(&server.api, "tk").await;
    let (session, account) = connect(&server.api, "user-1", "tk").await;
    let connected = Connected { server, session, account };
    finished(&connected.server.api, &connected.delete().await).await;
    let asked = other.seen("/revoke").await;
    assert!(!asked.is_empty() && asked.iter().all(|request| request["headers"].get("dpop").is_none()), "{asked:?}");
}

/// The key survives a wait for the developer's word.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_awaits_confirmation_keeps_its_key() {
    let provider = Provider::oidc(&["--dpop"]);
    let settings = ProjectSettings {
        oauth_callback_verifier_url: Some("https://app.example/verify".to_owned()),
        ..ProjectSettings::default()
    };
    let more = format!("dpop = true\npushed_authorization_request_url = \"{}/request\"", provider.origin());
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", &more)).project(settings).start().await;
    provider.auth_config(&server.api, "tk").await;
    let session = server.api.session("user-1", "tk").await;
    let link = server.api.link(&session, "tk").await;
    let is_app = |url: &Url| url.host_str() == Some("app.example");
    let landing = Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), is_app).await;
    let session_uri = landing.url.query_pairs().find(|(name, _)| name == "session_uri").unwrap().1.into_owned();
    let body = json!({ "session_uri": session_uri, "user_id": "user-1" });
    server.api.post("/connected_accounts/complete_auth", &body).await.expect(200);
    assert_eq!(server.api.proxy_get(&session, "tk", "/me").await.expect(200)["status"], 200);
}
