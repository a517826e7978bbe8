//! Several tokens of one account: a person's beside an app's. Each is chosen by the file or by the caller,
//! renewed with its own refresh token, revoked, and one may be the only one.

use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::support::browser::Browser;
use crate::support::connected::finished;
use crate::support::http::Reply;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

const BOTH: &str = r#"{"access_token":"BOT1","refresh_token":"BOTR1","expires_in":600,"token_type":"bot",
    "team":{"id":"T1"},"authed_user":{"id":"U1","access_token":"USER1","refresh_token":"USERR1","expires_in":900}}"#;
const ALONE: &str = r#"{"team":{"id":"T1"},"authed_user":{"id":"U1","access_token":"USER1",
    "refresh_token":"USERR1","expires_in":600}}"#;

struct Team {
    provider: Provider,
    server: TestServer,
    session: String,
    account: String,
    authorize: Url,
}

impl Team {
    /// The token endpoint answers once so and then otherwise; the API answers with an empty object.
    async fn token_answers(&self, mut first: Value, mut then: Value) {
        first["times"] = json!(1);
        for answer in [&mut first, &mut then] {
            answer["path"] = json!("/token");
        }
        self.provider.heal().await;
        let of_api = |path| json!({ "path": path, "status": 200, "body": "{}" });
        for mut answer in [first, then, of_api("/api/post"), of_api("/api/search.all")] {
            answer["headers"] = json!({ "content-type": "application/json" });
            self.provider.fault(&answer).await;
        }
    }

    /// Connects an account whose token answer is `answer`.
    async fn connect(credentials: &Value, answer: &str) -> Self {
        let provider = Provider::mock(&[]);
        let origin = provider.origin();
        let host = origin.split_once("://").unwrap().1;
        let text = format!(
            r##"
slug = "chat"
name = "Chat"
description = "A provider"
categories = ["testing"]
color = "#336699"
version = "20261129_00"
base_url = "{origin}/api"
hosts = ["{host}"]
[oauth2]
authorization_url = "{origin}/authorize"
token_url = "{origin}/token"
scopes = ["chat:write"]
user_scope_parameter = "user_scope"
revocation_reach = "installation"
revocation_tokens = ["access_token"]
[oauth2.revoke]
url = "{origin}/revoke"
headers = {{ Authorization = "Bearer {{token}}" }}
[oauth2.response]
token_type = "/none"
capture = [{{ name = "owner", at = "/authed_user/id" }}]
[[oauth2.tokens]]
name = "user"
access_token = "/authed_user/access_token"
refresh_token = "/authed_user/refresh_token"
expires_in = "/authed_user/expires_in"
paths = ["/api/search."]
alone = true
revocation_reach = "grant"
owner = "owner"
[identity]
id = "/authed_user/id"
tenant = "/team/id"
"##
        );
        let server = TestServer::builder().toolkit("chat", &text).start().await;
        let mut credentials = credentials.clone();
        credentials["client_id"] = "the-client".into();
        credentials["client_secret"] = "the client secret".into();
        let body = json!({ "toolkit": { "slug": "chat" }, "auth_config": { "type": "use_custom_auth",
            "authScheme": "OAUTH2", "credentials": credentials } });
        let config = server.api.post("/auth_configs", &body).await.expect(201);
        let session = server.api.session("ada", "chat").await;
        let link = server.api.link(&session, "chat").await;
        answers(&provider, answer).await;
        let mut browser = Browser::new("ada");
        let started = browser.submit(link["redirect_url"].as_str().unwrap(), &[("action", "continue")]).await;
        let authorize = Url::parse(started.header("location").unwrap()).unwrap();
        let state = authorize.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        let config = config["auth_config"]["id"].as_str().unwrap();
        browser.get(&format!("{}/toolkits/auth/callback/{config}?state={state}&code=c", server.api.base)).await;
        let account = link["connected_account_id"].as_str().unwrap().to_owned();
        assert_eq!(server.api.status(&account).await, "ACTIVE");
        Self { provider, server, session, account, authorize }
    }

    async fn call(&self, endpoint: &str, token: Option<&str>) -> Reply {
        let mut call = json!({ "toolkit_slug": "chat", "endpoint": endpoint, "method": "GET" });
        if let Some(token) = token {
            call["token"] = token.into();
        }
        self.server.api.post(&format!("/tool_router/session/{}/proxy_execute", self.session), &call).await
    }

    /// The credentials of all requests to a path.
    async fn sent(&self, path: &str) -> Vec<String> {
        let seen = self.provider.seen(path).await;
        seen.iter().map(|it| it["headers"]["authorization"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The refresh tokens that the provider was sent.
    async fn refreshed_with(&self) -> Vec<String> {
        let seen = self.provider.seen("/token").await;
        let bodies = seen.iter().map(|it| it["body"].as_str().unwrap().to_owned());
        let token = |body: String| {
            let pairs = form_urlencoded::parse(body.as_bytes()).into_owned();
            pairs.into_iter().find(|(name, _)| name == "refresh_token").map(|(_, value)| value)
        };
        bodies.filter_map(token).collect()
    }
}

/// What the token endpoint answers from now on; each other path says yes.
async fn answers(provider: &Provider, token: &str) {
    provider.heal().await;
    for (path, body) in [("/token", token), ("/api/post", "{}"), ("/api/search.all", "{}"), ("/revoke", "{}")] {
        let headers = json!({ "content-type": "application/json" });
        provider.fault(&json!({ "path": path, "status": 200, "headers": headers, "body": body })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_gets_the_right_token() {
    let team = Team::connect(&json!({ "user_scopes": "search:read", "scopes": "chat:write" }), BOTH).await;
    team.call("/post", None).await.expect(200);
    team.call("/search.all", None).await.expect(200);
    team.call("/post", Some("user")).await.expect(200);
    team.call("/search.all", Some("access_token")).await.expect(200);
    assert_eq!(team.sent("/api/post").await, ["Bearer BOT1", "Bearer USER1"]);
    assert_eq!(team.sent("/api/search.all").await, ["Bearer USER1", "Bearer BOT1"]);
    let refused = team.call("/post", Some("nobody")).await.expect(400);
    let message = refused["error"]["errors"][0].as_str().unwrap();
    assert!(message.contains("nobody") && message.contains("access_token, user"), "{refused}");
    assert_eq!(team.sent("/api/post").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_token_is_refreshed_and_revoked() {
    let team = Team::connect(&json!({ "user_scopes": "search:read", "scopes": "chat:write" }), BOTH).await;
    team.server.clock.advance(Duration::from_mins(15));
    let next = r#"{"access_token":"NEXT","refresh_token":"NEXTR","expires_in":600}"#;
    answers(&team.provider, next).await;
    team.call("/post", None).await.expect(200);
    team.call("/search.all", None).await.expect(200);
    assert_eq!(team.refreshed_with().await, ["BOTR1", "USERR1"]);
    assert_eq!(team.sent("/api/post").await, ["Bearer NEXT"]);
    assert_eq!(team.sent("/api/search.all").await, ["Bearer NEXT"]);
    let deleted = team.server.api.delete(&format!("/connected_accounts/{}", team.account)).await.expect(200);
    let receipt = finished(&team.server.api, deleted["revoke_job_id"].as_str().unwrap()).await;
    assert_eq!(receipt["items"][0]["revoked_tokens"], json!(["access_token", "credential"]), "{receipt}");
    assert_eq!(team.sent("/revoke").await, ["Bearer NEXT", "Bearer NEXT"]);
}

/// What a provider rotates is kept, also where it answers slowly.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_token_response_is_awaited() {
    let team = Team::connect(&json!({ "user_scopes": "search:read", "scopes": "chat:write" }), BOTH).await;
    team.server.clock.advance(Duration::from_mins(15));
    let first = json!({ "status": 200, "body": r#"{"access_token":"BOT2","refresh_token":"BOTR2","expires_in":600}"# });
    let slow = json!({ "status": 200, "delay_ms": 4_000,
        "body": r#"{"access_token":"USER2","refresh_token":"USERR2","expires_in":600}"# });
    team.token_answers(first, slow).await;
    team.call("/search.all", None).await.expect(200);
    assert_eq!(team.sent("/api/search.all").await, ["Bearer USER2"]);
}

/// A person's token that the provider no longer knows is given up; the app's goes on.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_token_does_not_end_the_other() {
    let team = Team::connect(&json!({ "user_scopes": "search:read", "scopes": "chat:write" }), BOTH).await;
    team.server.clock.advance(Duration::from_mins(15));
    let first = json!({ "status": 200, "body": r#"{"access_token":"BOT2","refresh_token":"BOTR2","expires_in":600}"# });
    team.token_answers(first, json!({ "status": 400, "body": r#"{"error":"invalid_grant"}"# })).await;
    team.call("/post", None).await.expect(200);
    assert_eq!(team.sent("/api/post").await, ["Bearer BOT2"]);
    assert_eq!(team.server.api.status(&team.account).await, "ACTIVE");
    team.call("/post", Some("user")).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_token_may_be_the_only_one() {
    let team = Team::connect(&json!({ "user_scopes": "search:read" }), ALONE).await;
    // User scopes alone ask for no bot.
    let asked: Vec<(String, String)> = team.authorize.query_pairs().into_owned().collect();
    assert!(asked.contains(&("user_scope".to_owned(), "search:read".to_owned())), "{asked:?}");
    assert!(!asked.iter().any(|(name, _)| name == "scope"), "{asked:?}");
    team.call("/post", None).await.expect(200);
    team.call("/post", Some("user")).await.expect(200);
    assert_eq!(team.sent("/api/post").await, ["Bearer USER1", "Bearer USER1"]);
    team.server.clock.advance(Duration::from_mins(15));
    answers(&team.provider, r#"{"access_token":"USER2","refresh_token":"USERR2","expires_in":600}"#).await;
    team.call("/search.all", None).await.expect(200);
    assert_eq!(team.refreshed_with().await, ["USERR1"]);
    assert_eq!(team.sent("/api/search.all").await, ["Bearer USER2"]);
    let deleted = team.server.api.delete(&format!("/connected_accounts/{}", team.account)).await.expect(200);
    finished(&team.server.api, deleted["revoke_job_id"].as_str().unwrap()).await;
    assert_eq!(team.sent("/revoke").await, ["Bearer USER2"]);
}
