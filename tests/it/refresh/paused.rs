//! A server that is paused during a refresh for longer than its lease (R34, F05): another
//! one refreshes, and the late tokens of the first do not overwrite the new ones.

use std::time::Duration;

use serde_json::json;

use crate::support::connected::{Connected, second_server};
use crate::support::providers::Provider;
use crate::support::wait::until;

/// Past the end of a lease.
const LEASE_AND_MORE: Duration = Duration::from_secs(26);

/// The first server's request is on its way for longer than its lease, by the clock that both have.
///
/// Its late tokens are not revoked at the provider: the account continues with the same grant, and
/// revoking one token of a grant ends the others (RFC 7009 section 2.1); at a provider that does not
/// rotate or has a grace period it may be the very same token.
async fn the_later_lease_wins(provider: &Provider) {
    let connected = Connected::revocable(provider, "").await;
    let other = second_server(&connected.server).await;
    let token_path = url::Url::parse(provider.text("token_endpoint")).unwrap().path().to_owned();
    provider.fault(&json!({ "path": token_path, "delay_ms": 3_000, "times": 1 })).await;
    connected.expire();
    let (api, session) = (connected.server.api.clone(), connected.session.clone());
    let paused = tokio::spawn(async move { api.proxy_get(&session, "tk", "/api/me").await });
    until("the first request", async || provider.grants("refresh_token").await == 1).await;

    connected.server.clock.advance(LEASE_AND_MORE);
    other.proxy_get(&connected.session, "tk", "/api/me").await.expect(200);
    assert_eq!(provider.grants("refresh_token").await, 2, "the other server refreshed");
    let stored = connected.tokens().await;
    assert!(!paused.is_finished(), "the first answer was to come last");

    let late = paused.await.unwrap().expect(200);
    assert_eq!(late["data"]["sub"], "alice", "its caller is served all the same: {late}");
    assert_eq!(connected.tokens().await, stored, "what is stored stays the other's");
    let path = url::Url::parse(provider.text("revocation_endpoint")).unwrap().path().to_owned();
    assert!(provider.seen(&path).await.is_empty(), "no token of a living grant is revoked");
    assert_eq!(provider.grants("refresh_token").await, 2);
    for (further, api) in [(3, &connected.server.api), (4, &other)] {
        connected.expire();
        let answer = api.proxy_get(&connected.session, "tk", "/api/me").await.expect(200);
        assert_eq!(answer["data"]["sub"], "alice", "the grant is alive: {answer}");
        assert_eq!(provider.grants("refresh_token").await, further);
    }
    assert_eq!(connected.status().await.0, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_refresh_overwrites_nothing_at_a_provider_of_independent_tokens() {
    the_later_lease_wins(&Provider::mock(&[])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_refresh_overwrites_nothing_at_a_provider_that_does_not_rotate() {
    the_later_lease_wins(&Provider::oidc(&["--no-rotate"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_refresh_overwrites_nothing_at_a_provider_with_a_grace_period() {
    the_later_lease_wins(&Provider::django(&["--grace", "30", "--no-reuse-protection"])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_a_paused_refresh_are_revoked_if_the_account_has_ended() {
    let provider = Provider::mock(&[]);
    let connected = Connected::revocable(&provider, "").await;
    let other = second_server(&connected.server).await;
    let refused = json!({ "path": "/token", "status": 400, "body": "{\"error\":\"invalid_grant\"}", "times": 1 });
    provider.fault(&json!([{ "path": "/token", "delay_ms": 3_000, "times": 1 }, refused])).await;
    connected.expire();
    let (api, session) = (connected.server.api.clone(), connected.session.clone());
    let paused = tokio::spawn(async move { api.proxy_get(&session, "tk", "/api/me").await });
    until("the first request", async || provider.grants("refresh_token").await == 1).await;
    connected.server.clock.advance(LEASE_AND_MORE);
    other.proxy_get(&connected.session, "tk", "/api/me").await.expect_error(422, "reauth_required");
    let (status, reason) = connected.status().await;
    assert!(status == "EXPIRED" && reason.starts_with("refresh_interrupted"), "{status}: {reason}");
    assert!(!paused.is_finished(), "the first answer was to come last");

    paused.await.unwrap().expect_error(422, "reauth_required");
    until("both tokens to be revoked", async || provider.seen("/revoke").await.len() == 2).await;
    assert_eq!(connected.status().await, (status, reason), "it stays as it was");
}
