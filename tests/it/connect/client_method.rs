//! How the client authenticates (RFC 6749 section 2.3.1): a provider that refuses one way gets the other, once,
//! where nothing is spent; a code is never sent twice; and what works is remembered.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::connected::{Connected, connect, finished, second_server};
use crate::support::providers::Provider;
use crate::support::server::TestServer;

const CONSENT: &str = "authorization_parameters = { prompt = \"consent\" }";

/// The provider's client is registered for HTTP Basic, and the file says the body.
fn wrong(provider: &Provider, more: &str) -> String {
    let file = provider.toolkit("tk", more);
    let says = "client_authentication = \"client_secret_basic\"";
    assert!(file.contains(says));
    file.replace(says, "client_authentication = \"client_secret_post\"")
}

/// In which way each request carried the client's secret.
fn ways(requests: &[Value]) -> Vec<&'static str> {
    let way = |request: &Value| {
        let is_basic = request["headers"]["authorization"].as_str().is_some_and(|it| it.starts_with("Basic "));
        let is_posted = request["body"].as_str().is_some_and(|it| it.contains("client_secret="));
        match (is_basic, is_posted) {
            (true, false) => "basic",
            (false, true) => "post",
            other => panic!("a client authenticates in one way: {other:?}"),
        }
    };
    requests.iter().map(way).collect()
}

/// From now on an endpoint takes the secret in the other way only, as servers do that are strict about how a
/// client is registered.
async fn refuses(provider: &Provider, path: &str, method: &str) {
    let body = json!({ "error": "invalid_client" }).to_string();
    provider.fault(&json!({ "path": path, "client_auth": method, "status": 401, "body": body })).await;
}

/// The next answer of an endpoint is a refusal.
async fn refused(provider: &Provider, path: &str, status: u16, code: &str) {
    let body = json!({ "error": code }).to_string();
    provider.fault(&json!({ "path": path, "status": status, "body": body, "times": 1 })).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_sent_once_and_the_next_one_with_the_other_method() {
    let provider = Provider::oidc(&[]);
    refuses(&provider, "/token", "client_secret_post").await;
    let server = TestServer::builder().toolkit("tk", &wrong(&provider, CONSENT)).start().await;
    let id = provider.auth_config(&server.api, "tk").await;
    let session = server.api.session("user-1", "tk").await;
    let link = server.api.link(&session, "tk").await;
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let account = link["connected_account_id"].as_str().unwrap();
    assert_eq!(server.api.status(account).await, "INITIATED");
    assert_eq!(ways(&provider.token_requests().await), ["post"]);

    connect(&server.api, "user-2", "tk").await;
    connect(&server.api, "user-3", "tk").await;
    assert_eq!(ways(&provider.token_requests().await), ["post", "basic", "basic"]);
    // It is stored, not only known to this process, and not shown to users.
    let after_a_restart = second_server(&server).await;
    provider.admit(&format!("{}/toolkits/auth/callback/{id}", after_a_restart.base)).await;
    let (session, _) = connect(&after_a_restart, "user-4", "tk").await;
    server.clock.advance(Duration::from_hours(1));
    after_a_restart.proxy_get(&session, "tk", "/api/me").await.expect(200);
    assert_eq!(ways(&provider.token_requests().await)[3..], ["basic", "basic"]);
}

/// What one refused exchange suggests is not tried on accounts that work: their refreshes go on as they did.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_code_changes_nothing_for_other_accounts() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::at(&provider, CONSENT).await;
    refused(&provider, "/token", 401, "invalid_client").await;
    refuses(&provider, "/token", "client_secret_post").await;
    let session = connected.server.api.session("user-2", "tk").await;
    let link = connected.server.api.link(&session, "tk").await;
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    connected.expire();
    assert_eq!(connected.call().await, 200);
    assert_eq!(ways(&provider.token_requests().await), ["basic", "basic", "basic"]);

    // The way that was tried for the next code is wrong, so the one after it goes as the first did.
    let link = connected.server.api.link(&session, "tk").await;
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    connect(&connected.server.api, "user-3", "tk").await;
    assert_eq!(ways(&provider.token_requests().await)[3..], ["post", "basic"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_is_repeated_once_with_the_other_method() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    refused(&provider, "/token", 401, "invalid_client").await;
    connected.expire();
    assert_eq!(connected.call().await, 200);
    assert_eq!(ways(&provider.token_requests().await), ["basic", "basic", "post"]);
    // At once from then on, also in another process, also for codes.
    connected.expire();
    assert_eq!(connected.call().await, 200);
    let other = second_server(&connected.server).await;
    connected.expire();
    other.proxy_get(&connected.session, "tk", "/api/me").await.expect(200);
    connect(&other, "user-2", "tk").await;
    assert_eq!(ways(&provider.token_requests().await)[3..], ["post", "post", "post"]);

    // The provider changes its mind.
    refused(&provider, "/token", 400, "invalid_client").await;
    connected.expire();
    assert_eq!(connected.call().await, 200);
    connected.expire();
    assert_eq!(connected.call().await, 200);
    assert_eq!(ways(&provider.token_requests().await)[6..], ["post", "basic", "basic"]);
}

/// Refresh tokens of this provider work once, and one that comes again ends the account's grant.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_rotates_survives_the_second_request() {
    let provider = Provider::oidc(&[]);
    refuses(&provider, "/token", "client_secret_post").await;
    let server = TestServer::builder().toolkit("tk", &wrong(&provider, CONSENT)).start().await;
    let id = provider.auth_config(&server.api, "tk").await;
    // What the developer says stands.
    let stated = |method: &str| {
        json!({ "type": "custom", "credentials": { "client_id": provider.text("client_id"),
            "client_secret": provider.text("client_secret"), "token_endpoint_auth_method": method } })
    };
    let patch = format!("/auth_configs/{id}");
    server.api.call("PATCH", &patch, stated("client_secret_basic").to_string()).await.expect(200);
    let (session, account) = connect(&server.api, "user-1", "tk").await;
    let connected = Connected { server, session, account };
    let (_, first) = connected.tokens().await;
    connected.server.api.call("PATCH", &patch, stated("client_secret_post").to_string()).await.expect(200);
    connected.expire();
    assert!(connected.call().await >= 400);
    assert_eq!(ways(&provider.token_requests().await), ["basic", "post"], "there is no other way");

    // A new auth config of the same client, of which nothing is said.
    let server = &connected.server;
    let id = provider.auth_config(&server.api, "tk").await;
    let body = json!({ "auth_config": { "id": id }, "connection": { "user_id": "user-9", "state": { "authScheme": "OAUTH2",
        "val": { "status": "ACTIVE", "access_token": "at", "refresh_token": first, "expires_in": 1 } } } });
    let made = server.api.post("/connected_accounts", &body).await.expect(201);
    let imported = made["id"].as_str().unwrap();
    server.clock.advance(Duration::from_hours(1));
    server.api.post(&format!("/connected_accounts/{imported}/refresh"), &json!({})).await.expect(200);
    assert_eq!(ways(&provider.token_requests().await)[2..], ["post", "basic"]);
    server.clock.advance(Duration::from_hours(1));
    server.api.post(&format!("/connected_accounts/{imported}/refresh"), &json!({})).await.expect(200);
    assert_eq!(ways(&provider.token_requests().await)[4..], ["basic"], "the rotated token works");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ambiguous_refusal_is_not_followed_by_another_request() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    for (status, code) in
        [(403, "invalid_client"), (200, "invalid_client"), (401, "bad_secret"), (500, "invalid_client")]
    {
        let before = provider.token_requests().await.len();
        refused(&provider, "/token", status, code).await;
        connected.expire();
        assert!(connected.call().await >= 400, "{status} {code}");
        assert_eq!(provider.token_requests().await.len() - before, 1, "{status} {code}");
        connected.expire();
        assert_eq!(connected.call().await, 200, "{status} {code}");
    }
}

/// Providers lock out clients that fail too often.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_with_both_methods_is_tried_with_one_for_a_time() {
    let provider = Provider::mock(&[]);
    let connected = Connected::at(&provider, "").await;
    let body = json!({ "error": "invalid_client" }).to_string();
    provider.fault(&json!({ "path": "/token", "status": 401, "body": body })).await;
    connected.expire();
    connected
        .server
        .api
        .proxy_get(&connected.session, "tk", "/api/me")
        .await
        .expect_error(400, "AuthConfig_BadRequest");
    assert_eq!(ways(&provider.token_requests().await)[1..], ["basic", "post"]);
    connected.server.clock.advance(Duration::from_mins(6));
    assert_eq!(connected.call().await, 400);
    assert_eq!(ways(&provider.token_requests().await)[3..], ["basic"]);
    connected.server.clock.advance(Duration::from_mins(6));
    assert_eq!(connected.call().await, 400);
    assert_eq!(ways(&provider.token_requests().await)[4..], ["basic", "post"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pushed_request_finds_the_method_before_a_code_is_used() {
    let provider = Provider::oidc(&[]);
    refuses(&provider, "/token", "client_secret_post").await;
    refuses(&provider, "/request", "client_secret_post").await;
    let push = format!("pushed_authorization_request_url = \"{}/request\"\n{CONSENT}", provider.origin());
    let server = TestServer::builder().toolkit("tk", &wrong(&provider, &push)).start().await;
    provider.auth_config(&server.api, "tk").await;
    connect(&server.api, "user-1", "tk").await;
    assert_eq!(ways(&provider.seen("/request").await), ["post", "basic"]);
    assert_eq!(ways(&provider.token_requests().await), ["basic"]);
    connect(&server.api, "user-2", "tk").await;
    assert_eq!(ways(&provider.seen("/request").await)[2..], ["basic"]);
}

/// The revocation endpoint may want another way than the file says; so may introspection.
#[tokio::test(flavor = "multi_thread")]
async fn revocation_and_introspection_find_their_own_method() {
    let provider = Provider::oidc(&[]);
    refuses(&provider, "/token/revocation", "client_secret_post").await;
    let more = format!("revocation_client_authentication = \"client_secret_post\"\n{CONSENT}");
    let connected = Connected::revocable(&provider, &more).await;
    let receipt = finished(&connected.server.api, &connected.delete().await).await;
    assert_eq!((&receipt["revoked"], &receipt["failed"]), (&json!(1), &json!(0)), "{receipt}");
    assert_eq!(receipt["items"][0]["revoked_tokens"], json!(["refresh_token", "access_token"]));
    assert_eq!(ways(&provider.seen("/token/revocation").await), ["post", "basic", "basic"]);

    let provider = Provider::mock(&[]);
    let more =
        format!("introspection_url = \"{}\"\nexpiry = \"introspection\"", provider.text("introspection_endpoint"));
    refused(&provider, "/introspect", 401, "invalid_client").await;
    let connected = Connected::at(&provider, &more).await;
    assert_eq!(ways(&provider.seen("/introspect").await), ["basic", "post"]);
    connected.expire();
    assert_eq!(connected.call().await, 200);
    assert_eq!(ways(&provider.seen("/introspect").await)[2..], ["post"]);
    assert_eq!(ways(&provider.token_requests().await), ["basic", "basic"], "each endpoint has its own");
}

/// `client_credentials` spends nothing at all.
#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_find_the_method() {
    let provider = Provider::oidc(&[]);
    refuses(&provider, "/token", "client_secret_post").await;
    let machine = &provider.info["clients"].as_array().unwrap().iter().find(|it| it["client_id"] == "machine-client");
    let machine = machine.unwrap();
    let file = wrong(&provider, "");
    let (head, _) = file.split_once("[oauth2]").unwrap();
    let file = format!(
        "{head}[s2s_oauth2]\nfields = [\n\
         {{ name = \"client_id\", display_name = \"Client id\" }},\n\
         {{ name = \"client_secret\", display_name = \"Client secret\", secret = true }} ]\n\
         [[s2s_oauth2.steps]]\nurl = \"{}\"\nclient_authentication = \"client_secret_post\"\n\
         parameters = {{ grant_type = \"client_credentials\", scope = \"api:read\" }}\n",
        provider.text("token_endpoint")
    );
    let server = TestServer::builder().toolkit("tk", &file).start().await;
    let config = json!({ "toolkit": { "slug": "tk" }, "auth_config": { "type": "use_custom_auth", "authScheme": "S2S_OAUTH2" } });
    server.api.post("/auth_configs", &config).await.expect(201);
    let session = server.api.session("user-1", "tk").await;
    let link = server.api.link(&session, "tk").await;
    let (id, secret) = (machine["client_id"].as_str().unwrap(), machine["client_secret"].as_str().unwrap());
    let fields = [("action", "continue"), ("client_id", id), ("client_secret", secret)];
    Browser::new("alice").submit(link["redirect_url"].as_str().unwrap(), &fields).await;
    assert_eq!(server.api.status(link["connected_account_id"].as_str().unwrap()).await, "ACTIVE");
    assert_eq!(ways(&provider.token_requests().await), ["post", "basic"]);
    server.clock.advance(Duration::from_hours(1));
    server.api.proxy_get(&session, "tk", "/api/me").await.expect(200);
    assert_eq!(ways(&provider.token_requests().await)[2..], ["basic"]);
}
