//! Clients that register themselves (RFC 7591): the provider's response is authoritative, and a client that it
//! no longer knows is registered again. Its accounts can always be connected again.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::time::Clock;
use tokio::task::JoinSet;

use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// A provider at which clients register themselves, and a server with one auth config for it.
struct World {
    provider: Provider,
    server: TestServer,
    config: String,
}

impl World {
    async fn start(more: &str) -> Self {
        let provider = Provider::mock(&[]);
        let text = provider.toolkit("tk", &format!("registration_url = \"{}/register\"\n{more}", provider.origin()));
        let text =
            text.replace("[oauth2]", "[dcr_oauth]").replace("client_authentication = \"client_secret_basic\"\n", "");
        let server = TestServer::builder().toolkit("tk", &text).start().await;
        let body = json!({ "toolkit": { "slug": "tk" }, "auth_config": { "type": "use_custom_auth", "authScheme": "DCR_OAUTH" } });
        let made = server.api.post("/auth_configs", &body).await.expect(201);
        let config = made["auth_config"]["id"].as_str().unwrap().to_owned();
        Self { provider, server, config }
    }

    /// From now on, every registration gets this response.
    async fn registers(&self, client: &Value) {
        self.provider.heal().await;
        self.provider.fault(&json!({ "path": "/register", "status": 201, "body": client.to_string() })).await;
    }

    async fn refuses_the_client(&self, times: usize) {
        let body = json!({ "error": "invalid_client" }).to_string();
        self.provider.fault(&json!({ "path": "/token", "status": 401, "body": body, "times": times })).await;
    }

    /// One link, gone through to its end: session, account and status.
    async fn connect(&self, user: &str) -> (String, String, String) {
        connect(&self.server.api, user).await
    }

    async fn registrations(&self) -> usize {
        self.provider.seen("/register").await.len()
    }

    async fn last_token_request(&self) -> Value {
        self.provider.token_requests().await.pop().unwrap()
    }
}

async fn connect(api: &Api, user: &str) -> (String, String, String) {
    let session = api.session(user, "tk").await;
    let link = api.link(&session, "tk").await;
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let account = link["connected_account_id"].as_str().unwrap().to_owned();
    let status = api.status(&account).await;
    (session, account, status)
}

fn client(number: u8) -> Value {
    json!({ "client_id": format!("client-{number}"), "client_secret": format!("secret-{number}-0123456789") })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_client_is_registered_again_and_the_old_one_keeps_its_accounts() {
    let world = World::start("").await;
    world.registers(&client(1)).await;
    let (session, account, status) = world.connect("user-1").await;
    assert_eq!(status, "ACTIVE");
    world.connect("user-2").await;
    assert_eq!(world.registrations().await, 1, "one client for all");

    world.registers(&client(2)).await;
    world.refuses_the_client(1).await;
    // The refusal of one code tells; the link after that works.
    let (_, failed, status) = world.connect("user-3").await;
    assert_eq!(status, "INITIATED");
    let told = world.server.api.get(&format!("/connected_accounts/{failed}/explain")).await.expect(200);
    assert_eq!(told["code"], "client_refused");
    assert_eq!(world.connect("user-3").await.2, "ACTIVE");
    assert_eq!(world.registrations().await, 2);
    assert!(world.last_token_request().await["body"].as_str().unwrap().contains("client_id=client-2"));

    // If the provider knows the old client after all, no account is lost.
    world.server.clock.advance(Duration::from_hours(1));
    world.server.api.proxy_get(&session, "tk", "/api/me").await.expect(200);
    assert!(world.last_token_request().await["body"].as_str().unwrap().contains("client_id=client-1"));

    // It has: the user is asked again, and told why.
    world.server.clock.advance(Duration::from_hours(1));
    world.refuses_the_client(100).await;
    let refused = world.server.api.proxy_get(&session, "tk", "/api/me").await;
    let error = refused.expect_error(422, "reauth_required");
    assert!(error["suggested_fix"].as_str().unwrap().contains("/refresh"), "{error}");
    let told = world.server.api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200);
    assert_eq!((&told["code"], &told["status"]), (&json!("client_forgotten"), &json!("ACTIVE")));
    world.server.clock.advance(Duration::from_mins(10));
    let answer = world.server.api.post(&format!("/connected_accounts/{account}/refresh"), &json!({})).await.expect(200);
    let link = answer["redirect_url"].as_str().unwrap();
    world.registers(&client(3)).await;
    Browser::new("alice").follow(link, |_| false).await;
    world.server.clock.advance(Duration::from_hours(1));
    world.server.api.proxy_get(&session, "tk", "/api/me").await.expect(200);
    let shown = world.server.api.get(&format!("/auth_configs/{}", world.config)).await.expect(200);
    assert!(!shown.to_string().contains("former"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_a_forgotten_client_ends_and_can_be_connected_again() {
    let world = World::start("").await;
    world.registers(&client(1)).await;
    let (session, account, _) = world.connect("user-1").await;
    world.refuses_the_client(100).await;
    for _ in 0..5 {
        world.server.clock.advance(Duration::from_hours(1));
        world.server.api.proxy_get(&session, "tk", "/api/me").await;
    }
    let shown = world.server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(shown["status"], "EXPIRED");
    assert!(shown["status_reason"].as_str().unwrap().starts_with("client_forgotten"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registration_response_is_authoritative() {
    for (method, secret) in [("client_secret_basic", true), ("client_secret_post", true), ("none", false)] {
        let world = World::start("").await;
        let mut answer = json!({ "client_id": "client-1", "token_endpoint_auth_method": method });
        if secret {
            answer["client_secret"] = "secret-0123456789".into();
        }
        world.registers(&answer).await;
        assert_eq!(world.connect("user-1").await.2, "ACTIVE", "{method}");
        let request = world.last_token_request().await;
        let is_basic = request["headers"]["authorization"].as_str().is_some_and(|it| it.starts_with("Basic "));
        let is_posted = request["body"].as_str().unwrap().contains("client_secret=");
        assert_eq!(
            (is_basic, is_posted),
            (method == "client_secret_basic", method == "client_secret_post"),
            "{method}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_registered_again_before_its_secret_expires() {
    let world = World::start("").await;
    let in_a_day = world.server.clock.now().as_secs() + 86_400;
    let mut first = client(1);
    first["client_secret_expires_at"] = in_a_day.into();
    world.registers(&first).await;
    world.connect("user-1").await;
    world.server.clock.advance(Duration::from_hours(23));
    world.connect("user-2").await;
    assert_eq!(world.registrations().await, 1);
    world.server.clock.advance(Duration::from_mins(50));
    world.registers(&client(2)).await;
    assert_eq!(world.connect("user-3").await.2, "ACTIVE");
    assert_eq!(world.registrations().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_links_register_one_client() {
    let world = World::start("").await;
    let slow = json!({ "path": "/register", "status": 201, "body": client(1).to_string(), "delay_ms": 500 });
    world.provider.fault(&slow).await;
    let mut links = JoinSet::new();
    for user in 0..8 {
        let api = world.server.api.clone();
        links.spawn(async move { connect(&api, &format!("user-{user}")).await.2 });
    }
    assert!(links.join_all().await.iter().all(|status| status == "ACTIVE"));
    assert_eq!(world.registrations().await, 1);
}
