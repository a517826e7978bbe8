//! Many callers, one or two servers: exactly one token request per rotation, at providers that kill a
//! family whose token is used twice, and at those that do not (R33, R34).

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::connected::{Connected, second_server};
use crate::support::http::Api;
use crate::support::providers::Provider;
use crate::support::wait::until;

/// Rotations in a row with one server.
const ROTATIONS: usize = 20;
/// Further ones with two servers.
const SHARED_ROTATIONS: usize = 10;
/// Calls at once on an account whose token is dead.
const CALLS: usize = 200;
/// Of them with two servers.
const SHARED_CALLS: usize = 40;

/// So many calls at once, spread over servers: all succeed.
async fn stampede(connected: &Connected, many: usize, servers: &[&Api]) {
    let mut calls = JoinSet::new();
    for number in 0..many {
        let (api, session) = (servers[number % servers.len()].clone(), connected.session.clone());
        calls.spawn(async move { api.proxy_get(&session, "tk", "/api/me").await });
    }
    for reply in calls.join_all().await {
        let answer = reply.expect(200);
        assert_eq!((&answer["status"], &answer["data"]["sub"]), (&json!(200), &json!("alice")), "{answer}");
    }
}

async fn one_refresh_per_rotation(provider: &Provider) {
    let connected = Connected::at(provider, "").await;
    let first = &connected.server.api;
    let other = second_server(&connected.server).await;
    for rotation in 1..=ROTATIONS + SHARED_ROTATIONS {
        connected.expire();
        if rotation <= ROTATIONS {
            stampede(&connected, CALLS, &[first]).await;
        } else {
            stampede(&connected, SHARED_CALLS, &[first, &other]).await;
        }
        assert_eq!(provider.grants("refresh_token").await, rotation, "one token request per rotation");
    }
    for further in 1..=2 {
        connected.expire();
        assert_eq!(connected.call().await, 200, "the family is alive");
        assert_eq!(provider.grants("refresh_token").await, ROTATIONS + SHARED_ROTATIONS + further);
    }
    assert_eq!(connected.status().await.0, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refresh_per_rotation_at_the_certified_provider_that_rotates() {
    one_refresh_per_rotation(&Provider::oidc(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refresh_per_rotation_at_the_certified_provider_that_does_not_rotate() {
    one_refresh_per_rotation(&Provider::oidc(&["--no-rotate"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refresh_per_rotation_at_django_with_reuse_protection() {
    one_refresh_per_rotation(&Provider::django(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_refresh_per_rotation_at_django_with_a_grace_period() {
    one_refresh_per_rotation(&Provider::django(&["--grace", "30", "--no-reuse-protection"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_deleted_during_its_refresh_stays_deleted() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    provider.fault(&json!({ "path": "/token", "delay_ms": 300, "times": 1 })).await;
    let (api, session) = (connected.server.api.clone(), connected.session.clone());
    let calling = tokio::spawn(async move { api.proxy_get(&session, "tk", "/api/me").await.status });
    until("the refresh", async || provider.grants("refresh_token").await == 1).await;
    connected.delete().await;
    let status = calling.await.unwrap();
    assert!((400..500).contains(&status), "the account is gone: {status}");
    assert_eq!(connected.call().await, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_disabled_during_its_refresh_keeps_the_new_token() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, "").await;
    connected.expire();
    provider.fault(&json!({ "path": "/token", "delay_ms": 300, "times": 1 })).await;
    let (api, session) = (connected.server.api.clone(), connected.session.clone());
    let calling = tokio::spawn(async move { api.proxy_get(&session, "tk", "/api/me").await.status });
    until("the refresh", async || provider.grants("refresh_token").await == 1).await;
    let switch = async |enabled: bool| {
        let path = format!("/connected_accounts/{}/status", connected.account);
        connected.server.api.call("PATCH", &path, json!({ "enabled": enabled }).to_string()).await.expect(200);
    };
    switch(false).await;
    calling.await.unwrap();
    assert_eq!(connected.status().await.0, "INACTIVE");
    switch(true).await;
    // The token before is spent: without the new one the next refresh would end the account.
    assert_eq!(connected.call().await, 200);
    assert_eq!(provider.grants("refresh_token").await, 1);
}
