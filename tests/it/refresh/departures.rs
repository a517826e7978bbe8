//! Clients that hang up at any moment, before, during and after the provider's answer: what it
//! answered is kept (R35, F04).

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::connect::flow::wait_for;
use crate::support::browser::Browser;
use crate::support::chance::Chance;
use crate::support::connected::{Connected, connect};
use crate::support::http::Api;
use crate::support::providers::Provider;

/// Clients at once.
const LANES: usize = 10;
/// How often each of them leaves.
const ROUNDS: usize = 5;
/// How long the provider takes, in milliseconds.
const ANSWER: u64 = 300;
/// The latest moment to leave, in milliseconds.
const LATEST: u64 = 600;

async fn works(api: &Api, session: &str, when: &str) {
    let answer = api.proxy_get(session, "tk", "/api/me").await.expect(200);
    assert_eq!((&answer["status"], &answer["data"]["sub"]), (&json!(200), &json!("alice")), "{when}: {answer}");
}

/// Some left before there was an answer, and some after; else the test shows nothing.
fn left_early_and_late(early: usize) {
    assert!((1..LANES * ROUNDS).contains(&early), "{early} of {} left early", LANES * ROUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_disconnects_during_a_refresh_loses_no_rotated_token() {
    let mut chance = Chance::new();
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, "").await;
    let api = &connected.server.api;
    let mut sessions = vec![connected.session.clone()];
    for lane in 1..LANES {
        sessions.push(connect(api, &format!("lane-{lane}"), "tk").await.0);
    }
    provider.fault(&json!({ "path": "/token", "delay_ms": ANSWER })).await;
    let mut early = 0;
    for round in 1..=ROUNDS {
        connected.expire();
        let mut lanes = JoinSet::new();
        for session in &sessions {
            let (api, session, after) = (api.clone(), session.clone(), chance.time_up_to(LATEST));
            lanes.spawn(async move {
                // A call that is dropped closes its connection.
                let is_early = timeout(after, api.proxy_get(&session, "tk", "/api/me")).await.is_err();
                works(&api, &session, &format!("left after {after:?}")).await;
                is_early
            });
        }
        early += lanes.join_all().await.into_iter().filter(|is_early| *is_early).count();
        assert_eq!(provider.grants("refresh_token").await, LANES * round, "one token request per rotation");
    }
    left_early_and_late(early);
    provider.heal().await;
    connected.expire();
    for session in &sessions {
        works(api, session, "its family is alive").await;
    }
    assert_eq!(provider.grants("refresh_token").await, LANES * (ROUNDS + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_disconnects_during_the_callback_is_still_connected() {
    let mut chance = Chance::new();
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, "").await;
    let api = &connected.server.api;
    provider.fault(&json!({ "path": "/token", "grant": "authorization_code", "delay_ms": ANSWER })).await;
    let mut early = 0;
    let mut sessions = Vec::new();
    for round in 0..ROUNDS {
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let (user, after) = (format!("user-{round}-{lane}"), chance.time_up_to(LATEST));
            lanes.spawn(leaves_a_callback(api.clone(), user, after));
        }
        for Departure { session, account, after, is_early } in lanes.join_all().await {
            wait_for(api, &account, "ACTIVE").await;
            works(api, &session, &format!("left after {after:?}")).await;
            sessions.push(session);
            early += usize::from(is_early);
        }
        // And the account that was connected in the beginning.
        assert_eq!(provider.grants("authorization_code").await, LANES * (round + 1) + 1, "each code is sent once");
    }
    left_early_and_late(early);
    connected.server.clock.advance(Duration::from_hours(1));
    for session in &sessions {
        works(api, session, "its refresh token was kept").await;
    }
    assert_eq!(provider.grants("refresh_token").await, LANES * ROUNDS);
}

/// A browser that left.
struct Departure {
    session: String,
    account: String,
    after: Duration,
    /// Before there was an answer.
    is_early: bool,
}

/// Connects a user, who hangs up after some time.
async fn leaves_a_callback(api: Api, user: String, after: Duration) -> Departure {
    let session = api.session(&user, "tk").await;
    let link = api.link(&session, "tk").await;
    let mut browser = Browser::new("alice");
    let is_callback = |url: &url::Url| url.path().contains("/toolkits/auth/callback/");
    let callback = browser.follow(link["redirect_url"].as_str().unwrap(), is_callback).await.url;
    let is_early = timeout(after, browser.get(callback.as_str())).await.is_err();
    // If the browser left before the server got its request, this request connects it.
    browser.get(callback.as_str()).await;
    let account = link["connected_account_id"].as_str().unwrap().to_owned();
    Departure { session, account, after, is_early }
}
