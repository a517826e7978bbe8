//! The main job against real providers: link → page → login → consent → callback → ACTIVE → use →
//! expiry → refresh → delete.

use std::time::Duration;

use crate::support::browser::Browser;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// The whole life of an account at one provider.
async fn whole_life(server: &TestServer, toolkit: &str, me: &str, expect: (&str, &str)) {
    let session = server.api.session("user-1", toolkit).await;
    let link = server.api.link(&session, toolkit).await;
    let account = link["connected_account_id"].as_str().unwrap();
    assert_eq!(server.api.status(account).await, "INITIALIZING");

    let mut browser = Browser::new("alice");
    let landing = browser.follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let page = landing.reply.unwrap();
    assert!(page.text().contains("data-result=\"success\""), "{} {}", landing.url, page.text());
    assert_eq!(server.api.status(account).await, "ACTIVE");

    let answer = server.api.proxy_get(&session, toolkit, me).await.expect(200);
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(answer["data"][expect.0], expect.1, "{answer}");

    server.clock.advance(Duration::from_hours(1));
    let answer = server.api.proxy_get(&session, toolkit, me).await.expect(200);
    assert_eq!(answer["data"][expect.0], expect.1, "refreshed: {answer}");

    server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    server
        .api
        .get(&format!("/connected_accounts/{account}"))
        .await
        .expect_error(404, "ConnectedAccount_ResourceNotFound");
    server.api.proxy_get(&session, toolkit, me).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
}

#[tokio::test(flavor = "multi_thread")]
async fn sandbox() {
    let server = TestServer::start().await;
    whole_life(&server, "sandbox", "/me", ("username", "alice")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn oidc_provider() {
    let provider = Provider::oidc(&["--form-login"]);
    let server = TestServer::builder().toolkit("op", &provider.issuer_toolkit("op")).start().await;
    provider.auth_config(&server.api, "op").await;
    whole_life(&server, "op", "/api/me", ("sub", "alice")).await;
    assert_eq!(provider.grants("refresh_token").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn django_oauth_toolkit() {
    let provider = Provider::django(&["--form-login"]);
    let server = TestServer::builder().toolkit("dot", &provider.toolkit("dot", "")).start().await;
    provider.auth_config(&server.api, "dot").await;
    whole_life(&server, "dot", "/api/me", ("sub", "alice")).await;
    assert_eq!(provider.grants("refresh_token").await, 1);
}
