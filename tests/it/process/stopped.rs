//! One of two servers is stopped in the middle of a refresh, and goes on when its lease is long over
//! (R34, F05). `refresh/paused.rs` has the same by the clock, at more providers.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::interrupted::{Files, call};
use crate::support::connected::connect;
use crate::support::http::Api;
use crate::support::process::Dev;
use crate::support::providers::Provider;
use crate::support::wait::{until, within};

fn signal(dev: &Dev, name: &str) {
    assert!(Command::new("kill").args([name, &dev.child.id().to_string()]).status().unwrap().success());
}

/// The credential that a call arrives with.
async fn bearer(provider: &Provider, api: &Api, session: &str) -> String {
    assert_eq!(call(api, session).await.unwrap().expect(200)["data"]["sub"], "alice");
    let seen = provider.seen("/api/me").await;
    seen.last().unwrap()["headers"]["authorization"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_was_stopped_past_its_lease_overwrites_nothing() {
    let provider = Provider::mock(&["--access-ttl", "8"]);
    let files = Files::of(&provider);
    let first = files.start_another();
    let api = first.api();
    provider.auth_config(&api, "tk").await;
    let (session, _) = connect(&api, "user-1", "tk").await;
    let second = files.start_another();
    let other = Api::new(&second.url, &api.key);

    // The token gets old, a call refreshes it, the provider takes its time.
    provider.fault(&json!({ "path": "/token", "delay_ms": 8_000, "times": 1 })).await;
    let is_asked = Arc::new(AtomicBool::new(false));
    let caller = tokio::spawn({
        let (api, session, is_asked) = (api.clone(), session.clone(), Arc::clone(&is_asked));
        async move {
            while !is_asked.load(Ordering::SeqCst) {
                call(&api, &session).await.unwrap();
            }
        }
    });
    until("the first request", async || provider.grants("refresh_token").await == 1).await;
    is_asked.store(true, Ordering::SeqCst);
    // If it were stopped during a write, it would block all writers, which is not tested here.
    until("a stop between two writes", async || {
        signal(&first, "-STOP");
        let made = other.post("/tool_router/session", &json!({ "user_id": "user-2" })).await;
        if made.status != 201 {
            signal(&first, "-CONT");
        }
        made.status == 201
    })
    .await;
    assert!(!caller.is_finished(), "its refresh is under way");

    within(Duration::from_mins(1), "the other's refresh", async || {
        let reply = call(&other, &session).await.unwrap();
        let is_over = reply.status == 200 && provider.grants("refresh_token").await == 2;
        if is_over { Ok(()) } else { Err(reply.text()) }
    })
    .await;
    let stored = bearer(&provider, &other, &session).await;
    signal(&first, "-CONT");
    caller.await.unwrap();
    for api in [&api, &other] {
        assert_eq!(bearer(&provider, api, &session).await, stored, "the stored token stays the other's");
    }
    assert_eq!(provider.grants("refresh_token").await, 2);
    until("the next refresh", async || {
        let answer = call(&api, &session).await.unwrap().expect(200);
        assert_eq!(answer["data"]["sub"], "alice", "{answer}");
        provider.grants("refresh_token").await > 2
    })
    .await;
}
