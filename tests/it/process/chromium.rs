//! Chromium through the whole flow, at each kind of provider: no page breaks its own policy, no
//! error reaches the console, and the flow ends where the application asked.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Html;
use serde_json::{Value, json};
use switchboard::app::project::ProjectSettings;
use tokio::net::TcpListener;

use crate::support::http::Api;
use crate::support::providers::Provider;
use crate::support::server::TestServer;
use crate::support::tools::{root, tool};

/// Runs one of `tests/browser/*.mjs`; its JSON and whether it succeeded.
pub async fn script(name: &str, arguments: &[&str]) -> (bool, Value) {
    tool("browser");
    let mut command = Command::new("node");
    command.arg(root().join("tests/browser").join(name)).args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let json = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{name}: {error}: {text} {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), json)
}

/// A person's browser goes through a link; what the driver reports.
pub async fn connect(url: &str, arguments: &[&str]) -> Value {
    let (_, report) = script("connect.mjs", &[&["--url", url], arguments].concat()).await;
    assert_eq!(report["error"], Value::Null, "{report}");
    assert_eq!(report["csp_violations"], serde_json::json!([]), "{report}");
    assert_eq!(report["console_errors"], serde_json::json!([]), "{report}");
    report
}

/// URL and Referer of each request.
type Visits = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// The application that users come back to: remembers the URL and the Referer of each request.
struct Application {
    url: String,
    seen: Visits,
}

impl Application {
    async fn start() -> Self {
        let seen: Visits = Arc::default();
        let page = |State(seen): State<Visits>, request: Request| async move {
            let referrer = request.headers().get("referer").map(|value| value.to_str().unwrap().to_owned());
            seen.lock().unwrap().push((request.uri().to_string(), referrer));
            Html("<!doctype html><html lang=en><title>Back</title><link rel=icon href=data:,><p>Back in the app")
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/back?app=1", listener.local_addr().unwrap());
        let router = Router::new().fallback(page).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }
}

async fn link(api: &Api, session: &str, toolkit: &str, callback_url: Option<&str>) -> Value {
    let body = serde_json::json!({ "toolkit": toolkit, "callback_url": callback_url });
    api.post(&format!("/tool_router/session/{session}/link"), &body).await.expect(201)
}

/// Link → page → login → consent → the application's callback URL → use → expiry → refresh → delete;
/// and a refusal at the provider.
async fn there_and_back(server: &TestServer, toolkit: &str, me: &str, expect: (&str, &str)) {
    let application = Application::start().await;
    let session = server.api.session("user-1", toolkit).await;
    let made = link(&server.api, &session, toolkit, Some(&application.url)).await;
    let account = made["connected_account_id"].as_str().unwrap();
    let report = connect(made["redirect_url"].as_str().unwrap(), &["--until-url", &application.url]).await;
    let end = format!("{}&status=success&connected_account_id={account}", application.url);
    assert_eq!(report["final_url"], end, "{report}");
    assert_eq!(server.api.status(account).await, "ACTIVE");
    let answer = server.api.proxy_get(&session, toolkit, me).await.expect(200);
    assert_eq!(answer["data"][expect.0], expect.1, "{answer}");

    let made = link(&server.api, &session, toolkit, Some(&application.url)).await;
    let account = made["connected_account_id"].as_str().unwrap();
    let report = connect(made["redirect_url"].as_str().unwrap(), &["--until-url", &application.url, "--deny"]).await;
    assert!(report["final_url"].as_str().unwrap().contains("&status=failed"), "{report}");
    assert_eq!(server.api.status(account).await, "FAILED");

    let first = server.api.get("/connected_accounts?user_ids=user-1&statuses=ACTIVE").await.expect(200);
    let account = first["items"][0]["id"].as_str().unwrap();
    server.clock.advance(Duration::from_hours(1));
    let answer = server.api.proxy_get(&session, toolkit, me).await.expect(200);
    assert_eq!(answer["data"][expect.0], expect.1, "after its token expired: {answer}");
    server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    server.api.proxy_get(&session, toolkit, me).await.expect_error(404, "ToolRouterV2_NoActiveConnection");

    let seen = application.seen.lock().unwrap().clone();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen.iter().all(|(_, referrer)| referrer.is_none()), "the app must not learn where its user was: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_sandbox() {
    let server = TestServer::start().await;
    there_and_back(&server, "sandbox", "/me", ("username", "alice")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_among_several_places() {
    let server = crate::connect::choices::server(ProjectSettings::default()).await;
    for look in [&["--scheme", "light"][..], &["--scheme", "dark", "--width", "390", "--height", "844"]] {
        let session = server.api.session("user-1", "spaces").await;
        let made = link(&server.api, &session, "spaces", None).await;
        let arguments = [&["--axe", "--choose", "The whole team"], look].concat();
        let report = connect(made["redirect_url"].as_str().unwrap(), &arguments).await;
        assert_eq!((&report["result"], &report["axe"]), (&json!("success"), &json!([])), "{report}");
        assert!(report["steps"].to_string().contains("/link/choice/"), "{report}");
        let used = server.api.proxy_get(&session, "spaces", "/summary").await.expect(200);
        assert_eq!(used["data"]["name"], "The whole team", "{used}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_enters_a_code_at_the_provider() {
    let provider = Provider::oidc(&[]);
    let file = crate::connect::device::toolkit(&provider, provider.text("device_authorization_endpoint"), "");
    let server = TestServer::builder().toolkit("tk", &file).start().await;
    provider.auth_config(&server.api, "tk").await;
    let clock = server.clock.clone();
    let ticking = tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            clock.advance(Duration::from_secs(1));
        }
    });
    for look in [&["--scheme", "light"][..], &["--scheme", "dark", "--width", "390", "--height", "844"]] {
        let session = server.api.session("user-1", "tk").await;
        let made = link(&server.api, &session, "tk", None).await;
        let report = connect(made["redirect_url"].as_str().unwrap(), &[&["--axe"], look].concat()).await;
        assert_eq!((&report["result"], &report["axe"]), (&json!("success"), &json!([])), "{report}");
        assert!(report["steps"].to_string().contains("/link/device/"), "{report}");
    }
    ticking.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn through_oidc_provider() {
    let provider = Provider::oidc(&["--form-login"]);
    let server = TestServer::builder().toolkit("op", &provider.issuer_toolkit("op")).start().await;
    provider.auth_config(&server.api, "op").await;
    there_and_back(&server, "op", "/api/me", ("sub", "alice")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_django_oauth_toolkit() {
    let provider = Provider::django(&["--form-login"]);
    let server = TestServer::builder().toolkit("dot", &provider.toolkit("dot", "")).start().await;
    provider.auth_config(&server.api, "dot").await;
    there_and_back(&server, "dot", "/api/me", ("sub", "alice")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_finishes_in_its_browser_and_another_browser_begins_a_new_one() {
    let server = TestServer::start().await;
    let session = server.api.session("user-1", "sandbox").await;
    let made = link(&server.api, &session, "sandbox", None).await;
    let url = made["redirect_url"].as_str().unwrap();
    let provider = format!("{}/", server.sandbox_url);
    let first = connect(url, &["--until-url", &provider]).await;
    let at_provider = first["final_url"].as_str().unwrap();
    assert!(at_provider.contains("state="), "{first}");

    // The provider's page that the first browser was sent to (R04, R06).
    let bob = ["--username", "bob", "--password", "bob"];
    let (_, report) = script("connect.mjs", &[&["--url", at_provider][..], &bob].concat()).await;
    assert_eq!(report["result"], "browser_mismatch", "{report}");
    let account = made["connected_account_id"].as_str().unwrap();
    assert_eq!(server.api.status(account).await, "INITIATED");
    // The link itself is an attempt of its own.
    let (_, report) = script("connect.mjs", &[&["--url", url][..], &bob].concat()).await;
    assert_eq!(report["result"], "success", "{report}");
    assert_eq!(server.api.status(account).await, "ACTIVE");
}
