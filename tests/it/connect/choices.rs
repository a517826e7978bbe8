//! An account that reaches several things: its user says which is meant, and nothing works before.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::project::ProjectSettings;

use super::flow::expect_page;
use crate::support::browser::Browser;
use crate::support::http::Reply;
use crate::support::server::TestServer;

/// The built-in provider, whose data is in workspaces.
const WORKSPACES: &str = r##"
slug = "spaces"
name = "Spaces"
description = "Notes in workspaces"
categories = ["testing"]
color = "#336699"
version = "20261126_00"
base_url = "{sandbox_url}/api/workspaces/{workspace_id}"
hosts = ["{sandbox_host}"]
headers = { X-Workspace = "{workspace_id}" }

[oauth2]
authorization_url = "{sandbox_url}/oauth/authorize"
token_url = "{sandbox_url}/oauth/token"
revocation_url = "{sandbox_url}/oauth/revoke"
client_authentication = "client_secret_basic"
scopes = ["notes:read"]

[[api_key.fields]]
name = "generic_api_key"
display_name = "API key"
secret = true

[[api_key.apply]]
header = "X-Api-Key"
value = "{generic_api_key}"

[[post_connect]]
request = { url = "{sandbox_url}/api/workspaces" }
items = "/workspaces"
choose = { title = "Which workspace?", id = "/id", label = "/name", detail = "/id" }
capture = [{ name = "workspace_id", at = "/id", format = "path_segment", required = true }]

[identity]
request = { url = "{sandbox_url}/api/me" }
id = "/id"
email = "/email"
name = "/name"
"##;

/// A server with that toolkit.
pub async fn server(settings: ProjectSettings) -> TestServer {
    let client = || switchboard::app::ManagedClient {
        client_id: "test".to_owned(),
        client_secret: Some("sandbox secret with :odd/ %characters+".into()),
        projects: vec!["*".to_owned()],
        ..switchboard::app::ManagedClient::default()
    };
    TestServer::builder().toolkit("spaces", WORKSPACES).managed("spaces", client()).project(settings).start().await
}

/// Follows a link to the question.
async fn asked(browser: &mut Browser, link: &Value) -> (String, Reply) {
    let is_question = |url: &url::Url| url.path().starts_with("/link/choice/");
    let landing = browser.follow(link["redirect_url"].as_str().unwrap(), is_question).await;
    let url = landing.url.to_string();
    let page = browser.get(&url).await;
    assert_eq!(page.status, 200, "{}", page.text());
    (url, page)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_chooses_one_of_several_places() {
    let server = server(ProjectSettings::default()).await;
    let session = server.api.session("u", "spaces").await;
    let link = server.api.link(&session, "spaces").await;
    let account = link["connected_account_id"].as_str().unwrap();
    let mut browser = Browser::new("alice");
    let (url, page) = asked(&mut browser, &link).await;
    let html = page.text();
    for shown in ["Which workspace?", "Alice at home", "The whole team", ">ws_home<"] {
        assert!(html.contains(shown), "{html}");
    }
    assert!(!html.contains("checked"), "nothing is preselected: {html}");
    assert_eq!(server.api.status(account).await, "INITIATED", "it does not work yet");
    // Reading it again changes nothing, and a stranger is told nothing.
    assert_eq!(browser.get(&url).await.status, 200);
    assert_eq!(Browser::new("bob").get(&url).await.status, 403);
    assert_eq!(Browser::new("bob").submit(&url, &[("choice", "ws_home")]).await.status, 403);
    // An answer that is none is asked for again.
    for wrong in [&[][..], &[("choice", "")], &[("choice", "ws_other")]] {
        let again = browser.submit(&url, wrong).await;
        assert_eq!(again.status, 422, "{wrong:?}");
        assert!(again.text().contains("choose one of these"), "{}", again.text());
    }
    let done = browser.submit(&url, &[("choice", "ws_team")]).await;
    assert_eq!(done.status, 303, "{}", done.text());
    assert_eq!(server.api.status(account).await, "ACTIVE");
    let used = server.api.proxy_get(&session, "spaces", "/summary").await.expect(200);
    assert_eq!(used["data"]["name"], "The whole team", "{used}");
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(shown["identity"]["email"], "alice@sandbox.example", "{shown}");
    // The question was answered once.
    expect_page(&browser.submit(&url, &[("choice", "ws_home")]).await, 200, "success");
    assert_eq!(Browser::new("bob").submit(&url, &[("choice", "ws_home")]).await.status, 403);
    let used = server.api.proxy_get(&session, "spaces", "/summary").await.expect(200);
    assert_eq!(used["data"]["name"], "The whole team", "{used}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_place_is_chosen_without_a_question() {
    let server = server(ProjectSettings::default()).await;
    let session = server.api.session("u", "spaces").await;
    let link = server.api.link(&session, "spaces").await;
    Browser::new("bob").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    let used = server.api.proxy_get(&session, "spaces", "/summary").await.expect(200);
    assert_eq!(used["data"]["name"], "The whole team");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_key_chooses_a_place_too() {
    let server = server(ProjectSettings::default()).await;
    let body = json!({ "toolkit": { "slug": "spaces" }, "auth_config": {
        "type": "use_custom_auth", "authScheme": "API_KEY", "credentials": {} } });
    server.api.post("/auth_configs", &body).await.expect(201);
    let session = server.api.session("u", "spaces").await;
    let link = server.api.link(&session, "spaces").await;
    let mut browser = Browser::new("alice");
    let url = link["redirect_url"].as_str().unwrap();
    let entered = browser.submit(url, &[("generic_api_key", "sandbox_alice_key")]).await;
    assert_eq!(entered.status, 303, "{}", entered.text());
    let question = entered.header("location").unwrap().to_owned();
    let done = browser.submit(&question, &[("choice", "ws_home")]).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let used = server.api.proxy_get(&session, "spaces", "/summary").await.expect(200);
    assert_eq!(used["data"]["name"], "Alice at home");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unanswered_choice_expires() {
    let server = server(ProjectSettings::default()).await;
    let session = server.api.session("u", "spaces").await;
    let link = server.api.link(&session, "spaces").await;
    let mut browser = Browser::new("alice");
    let (url, _) = asked(&mut browser, &link).await;
    server.clock.advance(Duration::from_mins(11));
    assert_eq!(browser.submit(&url, &[("choice", "ws_home")]).await.status, 410);
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(server.api.status(link["connected_account_id"].as_str().unwrap()).await, "EXPIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_verifier_url_the_choice_follows_the_confirmation() {
    let verifier = "https://app.test/verify".to_owned();
    let settings = ProjectSettings { oauth_callback_verifier_url: Some(verifier), ..ProjectSettings::default() };
    let server = server(settings).await;
    let session = server.api.session("u", "spaces").await;
    let link = server.api.link(&session, "spaces").await;
    let mut browser = Browser::new("alice");
    let landing =
        browser.follow(link["redirect_url"].as_str().unwrap(), |url| url.host_str() == Some("app.test")).await;
    let (_, uri) = landing.url.query_pairs().find(|(name, _)| name == "session_uri").unwrap();
    let body = json!({ "session_uri": uri, "user_id": "u" });
    let confirmed = server.api.post("/connected_accounts/complete_auth", &body).await.expect(200);
    let account = confirmed["connected_account_id"].as_str().unwrap();
    assert_eq!(server.api.status(account).await, "INITIATED");
    let url = confirmed["redirect_url"].as_str().unwrap();
    let done = browser.submit(url, &[("choice", "ws_team")]).await;
    assert_eq!(done.status, 303, "{}", done.text());
    assert_eq!(server.api.status(account).await, "ACTIVE");
}
