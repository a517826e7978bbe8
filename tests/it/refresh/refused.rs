//! A token that should live and that the provider does not know any more (R39).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use tokio::task::JoinSet;

use crate::support::connected::Connected;
use crate::support::providers::Provider;

/// The provider answers 401 to the next requests.
async fn refuse(provider: &Provider, times: u32) {
    provider.fault(&json!({ "path": "/api/me", "status": 401, "times": times, "body": "{}" })).await;
}

async fn send(connected: &Connected, method: &str) -> Value {
    let body = json!({ "toolkit_slug": "tk", "endpoint": "/api/me", "method": method });
    connected.server.api.post(&format!("/tool_router/session/{}/proxy_execute", connected.session), &body).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_token_is_refreshed_once_and_the_call_succeeds() {
    let provider = Provider::oidc(&["--access-ttl", "3600"]);
    let more = "authorization_parameters = { prompt = \"consent\" }";
    let connected = Connected::at(&provider, more).await;
    connected.server.clock.advance(Duration::from_mins(2));
    refuse(&provider, 1).await;
    let answer = send(&connected, "GET").await;
    assert_eq!((&answer["status"], &answer["data"]["sub"]), (&json!(200), &json!("alice")), "{answer}");
    assert_eq!(provider.grants("refresh_token").await, 1);
    // A provider that refuses every token is asked once, not at each call.
    refuse(&provider, 20).await;
    for _ in 0..10 {
        assert_eq!(send(&connected, "GET").await["status"], 401);
    }
    assert_eq!(provider.grants("refresh_token").await, 1);
    assert_eq!(connected.status().await.0, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_possible_effects_is_not_repeated() {
    let provider = Provider::oidc(&["--access-ttl", "3600"]);
    let connected = Connected::at(&provider, "authorization_parameters = { prompt = \"consent\" }").await;
    connected.server.clock.advance(Duration::from_mins(2));
    refuse(&provider, 1).await;
    assert_eq!(send(&connected, "POST").await["status"], 401);
    assert_eq!(provider.grants("refresh_token").await, 1, "the next one has a token that works");
    assert_eq!(send(&connected, "GET").await["status"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_refused_calls_share_one_refresh() {
    let provider = Provider::oidc(&["--access-ttl", "3600"]);
    let connected = Connected::at(&provider, "authorization_parameters = { prompt = \"consent\" }").await;
    connected.server.clock.advance(Duration::from_mins(2));
    refuse(&provider, 8).await;
    let connected = Arc::new(connected);
    let mut calls = JoinSet::new();
    for _ in 0..8 {
        let connected = Arc::clone(&connected);
        calls.spawn(async move { send(&connected, "GET").await });
    }
    for answer in calls.join_all().await {
        assert_eq!(answer["status"], 200, "{answer}");
    }
    assert_eq!(provider.grants("refresh_token").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_ended_at_the_provider_is_reported_to_the_caller() {
    let provider = Provider::oidc(&["--access-ttl", "3600"]);
    let connected = Connected::at(&provider, "authorization_parameters = { prompt = \"consent\" }").await;
    connected.server.clock.advance(Duration::from_mins(2));
    refuse(&provider, 1).await;
    let dead = json!({ "grant": "refresh_token", "status": 400, "body": "{\"error\":\"invalid_grant\"}" });
    provider.fault(&dead).await;
    let answer = send(&connected, "GET").await;
    assert_eq!(answer["error"]["slug"], "reauth_required", "{answer}");
    assert_eq!(connected.status().await.0, "EXPIRED");
}
