//! Where a browser may be sent afterwards (R08): no open redirector, at no entry.

use serde_json::json;
use switchboard::app::project::ProjectSettings;

use super::help::{KEY, Upstream, accounts, on_session, text, with_upstream};
use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::server::TestServer;

const REFUSED: [&str; 36] = [
    "",
    "/cb",
    "cb",
    "//evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test\\x",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript://good.test/%0aalert(1)",
    "data:text/html,<script>",
    "vbscript:x",
    "file:///etc/passwd",
    "ftp://good.test",
    "ws://good.test",
    "myapp://cb",
    "blob:https://good.test/x",
    "https://good.test@evil.test",
    "https://good.test:pw@evil.test/",
    "https://@evil.test",
    "https://good.test%2f@evil.test",
    "https://good.test%2eevil.test/",
    "https://good.test\\@evil.test",
    "https://good.test\t.evil.test",
    "https://good\n.test",
    "ht\ntps://good.test",
    " https://good.test",
    "https://good.test ",
    "https://good.test/#frag",
    "http://good.test/cb",
    "http://127.0.0.1.evil.test/",
    "http://localhost@evil.test",
    "https://",
    "https://good.test/\u{0}",
];

const TAKEN: [&str; 7] = [
    "https://app.example.com",
    "https://app.example.com/cb?user_id=42&next=%2Fhome",
    "HTTPS://App.Example.com:8443/x",
    "http://localhost:3000/cb",
    "http://127.0.0.1/cb",
    "http://[::1]:9/cb",
    "https://xn--bcher-kva.example/",
];

async fn session_with(api: &Api, callback: Option<&str>) -> String {
    let mut body = json!({ "user_id": "u" });
    if let Some(url) = callback {
        body["manage_connections"] = json!({ "callback_url": url });
    }
    text(&api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_refuses_a_callback_url_that_could_lead_elsewhere() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let session = session_with(api, None).await;
    let long = format!("https://good.test/{}", "a".repeat(2_048));
    for url in REFUSED.into_iter().chain([long.as_str()]) {
        let body = json!({ "toolkit": "up", "callback_url": url });
        let error = on_session(api, &session, "link", &body).await.expect_error(400, "HTTP_BadRequest");
        let line = error["errors"][0].as_str().unwrap();
        assert!(line.starts_with("Error in payload.callback_url: "), "{url:?}: {line}");
        let body = json!({ "user_id": "u", "manage_connections": { "callback_url": url } });
        let error = api.post("/tool_router/session", &body).await.expect_error(400, "HTTP_BadRequest");
        let line = error["errors"][0].as_str().unwrap();
        assert!(line.starts_with("Error in payload.manage_connections.callback_url: "), "{url:?}: {line}");
        let body = json!({ "user_id": "u", "experimental": { "link_url_overwrite": url } });
        api.post("/tool_router/session", &body).await.expect_error(400, "HTTP_BadRequest");
        if !url.is_empty() {
            let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2",
                "credentials": { "client_id": "i", "client_secret": "s", "oauth_redirect_uri": url } } });
            let error = api.post("/auth_configs", &body).await.expect_error(400, "HTTP_BadRequest");
            assert!(error["errors"][0].as_str().unwrap().contains("oauth_redirect_uri"), "{url:?}: {error}");
        }
    }
    assert_eq!(accounts(api).await, 0);
    assert_eq!(api.get("/auth_configs").await.expect(200)["total_items"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_callback_urls_are_accepted_unchanged() {
    let (server, _upstream) = with_upstream().await;
    for url in TAKEN {
        let session = session_with(&server.api, Some(url)).await;
        let read = server.api.get(&format!("/tool_router/session/{session}")).await.expect(200);
        assert_eq!(read["config"]["manage_connections"]["callback_url"], url);
        let body = json!({ "toolkit": "up", "callback_url": url });
        on_session(&server.api, &session, "link", &body).await.expect(201);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_links_own_url_wins_over_the_sessions_and_keeps_its_query() {
    let (server, _upstream) = with_upstream().await;
    let session = session_with(&server.api, Some("https://session.example.com/cb")).await;
    for (given, expected) in [
        (
            Some("https://link.example.com/cb?user_id=42"),
            "https://link.example.com/cb?user_id=42&status=success&connected_account_id=",
        ),
        (None, "https://session.example.com/cb?status=success&connected_account_id="),
    ] {
        let body = json!({ "toolkit": "up", "callback_url": given });
        let made = on_session(&server.api, &session, "link", &body).await.expect(201);
        let mut browser = Browser::new("v");
        let submitted = browser.submit(&text(&made, "redirect_url"), &[("generic_api_key", KEY)]).await;
        // No URL is registered: a page names the host and leads there.
        let named = submitted.header("location").unwrap();
        assert!(named.starts_with(&format!("{}/link/return?", server.url)), "{named}");
        let reply = browser.get(named).await;
        let ending = format!("{expected}{}", text(&made, "connected_account_id"));
        let shown = reply.text().replace("&amp;", "&").replace("&#x2f;", "/").replace("&#x3d;", "=");
        assert!(shown.contains(&ending), "{} {shown}", reply.status);
        assert!(!shown.contains(KEY) && !shown.contains(&text(&made, "link_token")), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_with_registered_urls_accepts_only_those() {
    let upstream = Upstream::start().await;
    let settings = ProjectSettings {
        callback_urls: vec!["https://app.example.com/cb".to_owned(), "http://localhost:3000/dev".to_owned()],
        ..ProjectSettings::default()
    };
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).project(settings).start().await;
    let api = &server.api;
    let session = session_with(api, None).await;
    for url in [
        "https://app.example.com/cb",
        "https://app.example.com/cb?user_id=1",
        "https://APP.example.com:443/cb",
        "http://localhost:3000/dev",
    ] {
        on_session(api, &session, "link", &json!({ "toolkit": "up", "callback_url": url })).await.expect(201);
        session_with(api, Some(url)).await;
    }
    on_session(api, &session, "link", &json!({ "toolkit": "up" })).await.expect(201);
    let before = accounts(api).await;
    for url in [
        "https://app.example.com/",
        "https://app.example.com/cb/",
        "https://app.example.com/CB",
        "https://app.example.com/cb/../x",
        "https://app.example.com/cb%2f",
        "https://app.example.com:444/cb",
        "https://app.example.com.evil.test/cb",
        "https://xapp.example.com/cb",
        "http://localhost:3001/dev",
        "https://localhost:3000/dev",
        "http://127.0.0.1:3000/dev",
        "https://app.example.com./cb",
    ] {
        let error = on_session(api, &session, "link", &json!({ "toolkit": "up", "callback_url": url }))
            .await
            .expect_error(400, "HTTP_BadRequest");
        assert_eq!(
            error["errors"][0], "Error in payload.callback_url: is not one of the project's registered callback URLs",
            "{url}"
        );
        assert!(error["suggested_fix"].as_str().unwrap().contains("https://app.example.com/cb"), "{error}");
        let body = json!({ "user_id": "u", "manage_connections": { "callback_url": url } });
        api.post("/tool_router/session", &body).await.expect_error(400, "HTTP_BadRequest");
    }
    assert_eq!(accounts(api).await, before);
    // The list is this project's: another one is free.
    let other = server.other_project("Other").await;
    session_with(&other, Some("https://elsewhere.example.com/cb")).await;
}
