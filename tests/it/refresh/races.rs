//! Many callers, several servers, callers that leave: still one refresh per rotation (R33–R35).

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Connected, second_server};
use crate::support::providers::Provider;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_calls_on_an_expired_account_refresh_it_once() {
    let provider = Provider::oidc(&[]);
    let connected = Arc::new(Connected::at(&provider, "").await);
    for rotation in 1..=5 {
        connected.expire();
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let connected = Arc::clone(&connected);
                tokio::spawn(async move { connected.call().await })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap(), 200);
        }
        assert_eq!(provider.grants("refresh_token").await, rotation, "the provider would have killed the family");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_database_refresh_once() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, "").await;
    let other = second_server(&connected).await;
    for rotation in 1..=3 {
        connected.expire();
        let mut calls = Vec::new();
        for number in 0..60 {
            let api = if number % 2 == 0 { connected.server.api.clone() } else { other.clone() };
            let session = connected.session.clone();
            calls.push(tokio::spawn(async move { api.proxy_get(&session, "tk", "/api/me").await }));
        }
        for call in calls {
            let reply = call.await.unwrap();
            assert_eq!(reply.expect(200)["status"], 200);
        }
        assert_eq!(provider.grants("refresh_token").await, rotation);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_leave_lose_no_rotated_token() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, "").await;
    for round in 1..=20_u64 {
        connected.expire();
        provider.fault(&json!({ "path": "/token", "delay_ms": 40, "times": 1 })).await;
        let before = provider.grants("refresh_token").await;
        let leaving = connected.server.api.clone();
        let session = connected.session.clone();
        // Dropping the future closes the connection while the refresh is under way.
        let call = leaving.proxy_get(&session, "tk", "/api/me");
        let _ = tokio::time::timeout(Duration::from_millis(round * 4), call).await;
        assert_eq!(connected.call().await, 200, "round {round}");
        assert_eq!(provider.grants("refresh_token").await, before + 1, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_deleted_during_its_refresh_stays_deleted() {
    let provider = Provider::oidc(&[]);
    let connected = Arc::new(Connected::at(&provider, "").await);
    connected.expire();
    provider.fault(&json!({ "path": "/token", "delay_ms": 300, "times": 1 })).await;
    let calling = {
        let connected = Arc::clone(&connected);
        tokio::spawn(async move { connected.call().await })
    };
    let deadline = Instant::now() + Duration::from_secs(5);
    while provider.grants("refresh_token").await == 0 {
        assert!(Instant::now() < deadline, "the refresh never started");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    connected.server.api.delete(&format!("/connected_accounts/{}", connected.account)).await.expect(200);
    let status = calling.await.unwrap();
    assert!((400..500).contains(&status), "the account is gone: {status}");
    assert_eq!(connected.call().await, 404);
}
