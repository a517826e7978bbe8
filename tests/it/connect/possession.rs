//! Tokens that are bound to a key (RFC 9449, `dpop = true`), at a provider that demands it and wants a nonce
//! in every proof.

use std::time::Duration;

use serde_json::json;

use crate::support::connected::{Connected, connect};
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
async fn bound_tokens_are_bought_used_and_refreshed() {
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
    crate::support::browser::Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let account = link["connected_account_id"].as_str().unwrap();
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    // The link goes on: its user may try again.
    assert_eq!(shown["status"], "INITIATED");
    assert!(shown["status_reason"].as_str().unwrap().contains("token type Bearer"), "{shown}");
}
