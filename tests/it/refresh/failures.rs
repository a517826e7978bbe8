//! Providers that refuse, fail or vanish: what ends an account, and what must not (R26, R27,
//! R36–R38).

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::connected::Connected;
use crate::support::providers::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_never_expires_an_account() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    for fault in [
        json!({ "path": "/token", "status": 500, "body": "{}" }),
        json!({ "path": "/token", "status": 503, "body": "<html>maintenance</html>" }),
        json!({ "path": "/token", "status": 429, "body": "{\"error\":\"slow_down\"}" }),
        json!({ "path": "/token", "status": 200, "body": "<html>login</html>", "headers": { "content-type": "text/html" } }),
        json!({ "path": "/token", "status": 200, "body": "{\"access_token\":" }),
        json!({ "path": "/token", "status": 302, "body": "", "headers": { "location": "/elsewhere" } }),
        json!({ "path": "/token", "reset": true }),
        json!({ "path": "/token", "status": 200, "body": "{}", "cut": true }),
    ] {
        provider.fault(&fault).await;
        let wait = connected.paused().await;
        assert!((1..=300).contains(&wait), "{fault}: {wait}");
        assert_eq!(connected.status().await.0, "ACTIVE", "{fault}");
        provider.heal().await;
        // Past the pause between two tries.
        connected.server.clock.advance(Duration::from_mins(10));
    }
    assert_eq!(connected.call().await, 200, "it recovers by itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_provider_is_not_asked_again_at_once() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    provider.fault(&json!({ "path": "/token", "status": 500, "body": "{}" })).await;
    for _ in 0..50 {
        connected.paused().await;
    }
    assert_eq!(provider.grants("refresh_token").await, 1, "the other calls waited for their turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_token_is_used_while_the_provider_fails() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    provider.fault(&json!({ "path": "/token", "status": 500, "body": "{}" })).await;
    // 60 seconds of life; the last fifth is time to refresh, but not too late.
    connected.server.clock.advance(Duration::from_secs(55));
    assert_eq!(connected.call().await, 200);
    assert_eq!(provider.grants("refresh_token").await, 1, "a refresh was tried");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_refresh_token_expires_the_account_once() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    provider.fault(&json!({ "path": "/token", "status": 400, "body": "{\"error\":\"invalid_grant\"}" })).await;
    for _ in 0..3 {
        let reply = connected.server.api.proxy_get(&connected.session, "tk", "/api/me").await;
        assert!(reply.status == 422 || reply.status == 404, "{}", reply.text());
        assert!(!reply.json()["error"]["suggested_fix"].as_str().unwrap().is_empty());
    }
    assert_eq!(
        connected.status().await,
        ("EXPIRED".to_owned(), "Permanent auth error during token refresh".to_owned())
    );
    assert_eq!(provider.grants("refresh_token").await, 1, "a dead token is not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_client_secret_does_not_end_the_account() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    // In either way of sending it.
    provider
        .fault(&json!({ "path": "/token", "status": 401, "body": "{\"error\":\"invalid_client\"}", "times": 2 }))
        .await;
    let reply = connected.server.api.proxy_get(&connected.session, "tk", "/api/me").await;
    let error = reply.expect_error(400, "AuthConfig_BadRequest");
    assert!(error["suggested_fix"].as_str().unwrap().contains("client_secret"), "{error}");
    assert_eq!(connected.status().await.0, "ACTIVE");
    connected.server.clock.advance(Duration::from_mins(10));
    assert_eq!(connected.call().await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn five_unclassified_refusals_end_the_account() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    provider
        .fault(&json!({ "path": "/token", "status": 400, "body": "no", "headers": { "content-type": "text/plain" } }))
        .await;
    for round in 1..=4 {
        connected.paused().await;
        assert_eq!(connected.status().await.0, "ACTIVE", "round {round}");
        connected.server.clock.advance(Duration::from_mins(10));
    }
    connected.call().await;
    let (status, reason) = connected.status().await;
    assert_eq!(status, "EXPIRED");
    assert!(reason.contains("unclassified_rejections"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_a_refresh_token_keeps_the_old_one() {
    let provider = Provider::oidc(&["--no-rotate"]);
    let connected = Connected::at(&provider, "").await;
    for refreshes in 1..=3 {
        connected.expire();
        assert_eq!(connected.call().await, 200);
        assert_eq!(provider.grants("refresh_token").await, refreshes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_response_is_followed_by_one_try_and_a_reason() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    // The provider rotates, and we never hear of it.
    provider.fault(&json!({ "path": "/token", "drop_response": true, "times": 1 })).await;
    connected.paused().await;
    assert_eq!(connected.status().await.0, "ACTIVE");
    connected.server.clock.advance(Duration::from_mins(10));
    connected.call().await;
    let (status, reason) = connected.status().await;
    assert_eq!(status, "EXPIRED");
    assert!(reason.starts_with("refresh_interrupted"), "{reason}");
    connected.call().await;
    assert_eq!(provider.grants("refresh_token").await, 2, "never a silent loop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_response_of_a_provider_that_does_not_rotate_keeps_the_account() {
    let provider = Provider::oidc(&["--no-rotate"]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    provider.fault(&json!({ "path": "/token", "drop_response": true, "times": 1 })).await;
    connected.paused().await;
    connected.server.clock.advance(Duration::from_mins(10));
    assert_eq!(connected.call().await, 200);
    assert_eq!(connected.status().await.0, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_introspection_delays_a_new_token_only_briefly() {
    let provider = Provider::oidc(&[]);
    let url = provider.text("introspection_endpoint");
    let more = format!("expiry = \"introspection\"\nexpires_in = 60\nintrospection_url = \"{url}\"");
    let connected = Connected::at(&provider, &more).await;
    connected.expire();
    provider.fault(&json!({ "path": "/token/introspection", "delay_ms": 12_000 })).await;
    let asked = Instant::now();
    assert_eq!(connected.call().await, 200);
    assert!(asked.elapsed() < Duration::from_secs(10), "it waits unstored: {:?}", asked.elapsed());
    assert_eq!(provider.seen("/token/introspection").await.len(), 2, "for the code's token and for this one");
    provider.heal().await;
    connected.expire();
    assert_eq!(connected.call().await, 200, "the token of unknown lifetime was stored");
    assert_eq!(provider.grants("refresh_token").await, 2);
}
