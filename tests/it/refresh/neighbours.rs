//! One user's dead grant is that user's fault: however a provider says so, the others go on; and faults of
//! our own say nothing of a provider.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::connected::{Connected, connect};
use crate::support::providers::Provider;

/// Enough accounts to pause a provider, were their refusals outages.
const DEAD: usize = 7;

/// Ways in which providers say that a grant is dead, none of them the standard's.
fn refusals() -> Vec<(Value, &'static str)> {
    let json = |status: u16, body: Value| json!({ "path": "/token", "status": status, "body": body.to_string() });
    vec![
        (json(200, json!({ "success": false, "message": "refresh token expired" })), "refresh token expired"),
        (json(200, json!({ "ok": false, "error": "token_gone" })), "token_gone"),
        (json(400, json!({ "error": "app_uninstalled", "error_description": "Gone" })), "app_uninstalled: Gone"),
        (json(401, json!({ "message": "Unknown token" })), "Unknown token"),
        (json!({ "path": "/token", "status": 400, "body": "" }), "the answer is empty"),
        (
            json!({ "path": "/token", "status": 403, "body": "no", "headers": { "content-type": "text/plain" } }),
            "not JSON",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_grants_pause_no_other_account() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "refresh = \"stable\"").await;
    let api = &connected.server.api;
    let mut dead = Vec::new();
    for user in 0..DEAD {
        dead.push(connect(api, &format!("dead-{user}"), "tk").await);
    }
    for (refusal, words) in refusals() {
        connected.expire();
        provider.fault(&refusal).await;
        for (session, account) in &dead {
            let reply = api.proxy_get(session, "tk", "/api/me").await;
            let error = reply.expect_error(503, "provider_paused");
            assert!(error["message"].as_str().unwrap().contains(words), "{words}: {error}");
            let told = api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200);
            assert!(told["code"] == "refresh_not_understood", "{told}");
            assert!(told["provider_message"].as_str().unwrap().contains(words), "{words}: {told}");
        }
        provider.heal().await;
        assert_eq!(connected.call().await, 200, "{words}");
        // Past every pause; their own refusals are over, too.
        connected.server.clock.advance(Duration::from_mins(10));
        for (session, _) in &dead {
            api.proxy_get(session, "tk", "/api/me").await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_refused_five_times_ends_its_account() {
    for (refusal, words) in refusals() {
        let provider = Provider::mock(&[]);
        let connected = Connected::at(&provider, "refresh = \"stable\"").await;
        connected.expire();
        provider.fault(&refusal).await;
        for _ in 1..=4 {
            connected.paused().await;
            assert_eq!(connected.status().await.0, "ACTIVE", "{words}");
            connected.server.clock.advance(Duration::from_mins(10));
        }
        connected.call().await;
        let (status, reason) = connected.status().await;
        assert_eq!(status, "EXPIRED", "{words}");
        assert!(reason.starts_with("unclassified_rejections"), "{reason}");
        let told = connected.server.api.get(&format!("/connected_accounts/{}/explain", connected.account)).await;
        let told = told.expect(200);
        assert!(told["provider_message"].as_str().unwrap().contains(words), "{words}: {told}");
    }
}

/// A host whose TLS handshake fails is down for all accounts, like one that cannot be reached.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_host_is_paused_for_all_accounts() {
    let provider = Provider::mock(&[]);
    let host = provider.origin().replace("http://", "https://");
    let connected = Connected::at(&provider, &format!("refresh_url = \"{host}/token\"")).await;
    let api = &connected.server.api;
    let mut sessions = vec![connected.session.clone()];
    for user in 0..5 {
        sessions.push(connect(api, &format!("u-{user}"), "tk").await.0);
    }
    connected.expire();
    let mut messages = Vec::new();
    for session in &sessions {
        let error = api.proxy_get(session, "tk", "/api/me").await.expect_error(503, "provider_paused");
        messages.push(error["message"].as_str().unwrap().split(';').next().unwrap().to_owned());
    }
    let (asked, paused) = messages.split_at(5);
    assert!(asked.iter().all(|it| it == "The provider's TLS certificate was not accepted"), "{asked:?}");
    assert_eq!(paused, ["The provider is not answering at present"]);
}
