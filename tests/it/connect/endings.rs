//! How a flow ends without a connection, and what the app's callback URL is told (R01, R07, R08,
//! R09, R11; contract sections 3.2 to 3.4).

use std::time::Duration;

use serde_json::json;
use switchboard::app::project::ProjectSettings;
use url::Url;

use super::flow::{
    Offer, agree, deny, expect_done, expect_page, mock, offer, offer_with, press, provider_url, sql, state,
    token_requests, until_callback, with_mock, with_parameter,
};
use crate::support::browser::Browser;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

const CALLBACK: &str = "https://app.example.com/done?user_id=42&next=%2Fhome&x=a+b";

/// A server whose project has registered where its users are sent back.
async fn server_of_an_app() -> TestServer {
    TestServer::builder().project(registered()).start().await
}

fn registered() -> ProjectSettings {
    ProjectSettings { callback_urls: vec!["https://app.example.com/done".to_owned()], ..ProjectSettings::default() }
}

async fn offer_returning(server: &TestServer, toolkit: &str) -> Offer {
    offer_with(&server.api, "user-1", toolkit, &json!({ "callback_url": CALLBACK })).await
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_successful_redirect_has_the_account_and_nothing_else() {
    let server = server_of_an_app().await;
    let link = offer_returning(&server, "sandbox").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let reply = browser.get(&callback).await;
    assert_eq!(reply.status, 303);
    assert_eq!(
        reply.header("location").unwrap(),
        format!("{CALLBACK}&status=success&connected_account_id={}", link.account)
    );
    assert_eq!(reply.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.body.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_fails_the_account_and_informs_the_app() {
    let op = Provider::oidc(&["--form-login"]);
    let issuer = format!("issuer = \"{}\"\niss_required = true", op.text("issuer"));
    let file = op.toolkit("op", &issuer);
    let server = TestServer::builder().toolkit("op", &file).project(registered()).start().await;
    op.auth_config(&server.api, "op").await;
    for (toolkit, name) in [("sandbox", "Sandbox"), ("op", "Test provider")] {
        let link = offer_returning(&server, toolkit).await;
        let mut browser = Browser::new("alice");
        let provider = provider_url(&press(&mut browser, &link.page).await);
        let callback = deny(&mut browser, &provider).await;
        let reply = browser.get(&callback).await;
        assert_eq!(reply.status, 303);
        let to = reply.header("location").unwrap();
        let start = format!("{CALLBACK}&status=failed&connected_account_id={}&error=", link.account);
        assert!(to.starts_with(&start), "{to}");
        let error = Url::parse(to).unwrap().query_pairs().last().unwrap().1.into_owned();
        assert_eq!(error, format!("Access was denied at {name}"));
        let (status, reason) = state(&server.api, &link.account).await;
        let reason = reason.unwrap();
        assert!(status == "FAILED" && reason.starts_with("access_denied"), "{status} {reason}");
        assert_eq!(browser.cookie_names(&server.url), [link.kept_cookie()], "that of the attempt is removed");
        expect_page(&browser.get(&callback).await, 400, "invalid");
        expect_page(&browser.get(&link.page).await, 410, "used");
    }
    // Without a callback URL the visitor reads it here.
    let link = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    let provider = provider_url(&press(&mut browser, &link.page).await);
    let callback = deny(&mut browser, &provider).await;
    expect_page(&browser.get(&callback).await, 200, "denied");
    assert!(op.token_requests().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_the_provider_is_escaped_and_short() {
    let file = mock().toolkit("mock", "");
    let server = TestServer::builder().toolkit("mock", &file).project(registered()).start().await;
    let config = mock().auth_config(&server.api, "mock").await;
    let long = "word ".repeat(1_000);
    let said = [
        ("<img src=x onerror=alert(1)>", "<script>alert(1)</script>"),
        ("server_error", "\"><svg onload=alert(1)>"),
        ("a\r\nSet-Cookie: x=1", "b\r\nLocation: https://evil.test"),
        ("temporarily_unavailable", long.as_str()),
        ("server_error", "\u{202e}moc.live//:sptth\u{0}\u{7}"),
        ("server_error", ""),
        ("", "only a description"),
    ];
    for (error, description) in said {
        for callback_url in [None, Some(CALLBACK)] {
            let body = callback_url.map_or(json!({}), |url| json!({ "callback_url": url }));
            let link = offer_with(&server.api, "user-1", "mock", &body).await;
            let mut browser = Browser::new("alice");
            let callback = until_callback(&mut browser, &link).await;
            // An error outweighs a code that stands beside it.
            let code = (!error.is_empty()).then_some("some-code");
            let callback = with_parameter(&callback, "code", code);
            let callback = with_parameter(&callback, "error", Some(error));
            let callback = with_parameter(&callback, "error_description", Some(description));
            let reply = browser.get(&callback).await;
            if callback_url.is_none() {
                expect_page(&reply, 502, "provider_error");
                let html = reply.text();
                let bad = ["<script", "<img src=x", "<svg onload", "\u{202e}", "\u{0}"];
                assert!(bad.iter().all(|bad| !html.contains(bad)), "{html}");
                assert!(html.matches("word").count() < 60, "{html}");
            } else {
                let to = reply.header("location").unwrap();
                assert!(to.starts_with(&format!("{CALLBACK}&status=failed&")) && to.len() < 1_000, "{to}");
                let bad = ["<", ">", "\"", "'", "%0D", "%E2%80%AE"];
                assert!(bad.iter().all(|bad| !to.contains(bad)), "{to}");
            }
            let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().map(|it| it.to_str().unwrap()).collect();
            let of_attempt = |it: &&&str| it.starts_with("sb_st_");
            assert!(cookies.iter().filter(of_attempt).all(|it| it.ends_with("Max-Age=0")), "{cookies:?}");
            let (status, reason) = state(&server.api, &link.account).await;
            let reason = reason.unwrap();
            // An app that was told so may rely on it; without one the visitor may try again.
            assert_eq!(status, if callback_url.is_some() { "FAILED" } else { "INITIATED" });
            assert!(!reason.is_empty() && reason.chars().count() <= 300, "{reason}");
            assert!(!reason.chars().any(|it| it.is_control() || it == '\u{202e}'), "{reason}");
            expect_page(&browser.get(&callback).await, 400, "invalid");
        }
    }
    assert!(token_requests(&config).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_registered_callback_urls_are_accepted() {
    let registered = ["https://good.test/cb", "http://localhost:3000/cb"];
    let settings =
        ProjectSettings { callback_urls: registered.map(ToOwned::to_owned).to_vec(), ..ProjectSettings::default() };
    let server = TestServer::builder().project(settings).start().await;
    let session = server.api.session("user-1", "sandbox").await;
    let path = format!("/tool_router/session/{session}/link");
    for good in [
        "https://good.test/cb",
        "https://good.test/cb?user_id=1&next=//evil",
        "HTTPS://GOOD.test:443/cb",
        "http://localhost:3000/cb",
    ] {
        server.api.post(&path, &json!({ "toolkit": "sandbox", "callback_url": good })).await.expect(201);
    }
    let long = format!("https://good.test/cb?{}", "a".repeat(3_000));
    let bad = [
        "https://good.test@evil.test/cb",
        "https://good.test:x@evil.test/cb",
        "https://good.test.evil.test/cb",
        "https://evil.test/cb",
        "https://evil.test/https://good.test/cb",
        "https://good.test/cb/",
        "https://good.test/",
        "https://good.test/cb/../x",
        "https://good.test/CB",
        "https://good.test:8443/cb",
        "http://good.test/cb",
        "https://sub.good.test/cb",
        "https://good.test/cb#fragment",
        "https://good.test/cb#",
        "//evil.test/cb",
        "//good.test/cb",
        "/cb",
        "cb",
        "",
        "/\\evil.test",
        "https:\\\\good.test\\cb",
        "https:good.test/cb",
        "https:/good.test/cb",
        "https://good.test\\@evil.test/cb",
        "https://go\tod.test/cb",
        "https://good.test\n/cb",
        " https://good.test/cb",
        "https://good.test%2f@evil.test/cb",
        "https://good.test%2eevil.test/cb",
        "javascript:alert(1)//https://good.test/cb",
        "data:text/html,x",
        "ftp://good.test/cb",
        "http://localhost/cb",
        "http://localhost:3000.evil.test/cb",
        "https://g\u{43e}\u{43e}d.test/cb",
        "https://good.test\u{3002}evil.test/cb",
        "https://good.test/cb;x",
        "https://good.test/%63b/",
        "https://good.test/cb%00",
        &long,
    ];
    for url in bad {
        let reply = server.api.post(&path, &json!({ "toolkit": "sandbox", "callback_url": url })).await;
        assert_eq!(reply.status, 400, "{url:?} {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_url_that_is_no_longer_registered_is_not_followed() {
    let settings = ProjectSettings {
        callback_urls: vec!["https://app.example.com/done".to_owned()],
        ..ProjectSettings::default()
    };
    let server = TestServer::builder().project(settings).start().await;
    let links = [offer_returning(&server, "sandbox").await, offer_returning(&server, "sandbox").await];
    let list = r#"{"callback_urls":["https://app.example.com/other"]}"#;
    sql(&server, &format!("UPDATE projects SET settings = '{list}'"));

    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &links[0]).await;
    expect_done(&browser.get(&callback).await);
    assert_eq!(server.api.status(&links[0].account).await, "ACTIVE");

    let provider = provider_url(&press(&mut browser, &links[1].page).await);
    let denied = with_parameter(&agree(&mut browser, &provider).await, "error", Some("access_denied"));
    expect_page(&browser.get(&denied).await, 200, "denied");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_not_opened_in_time_expires() {
    let server = TestServer::start().await;
    let link = offer_with(&server.api, "user-1", "sandbox", &json!({ "alias": "work" })).await;
    let again = json!({ "toolkit": "sandbox", "alias": "work" });
    let path = format!("/tool_router/session/{}/link", link.session);
    server.api.post(&path, &again).await.expect_error(400, "ConnectedAccount_BadRequest");
    server.clock.advance(minutes(11));
    let mut browser = Browser::new("alice");
    for page in [
        browser.get(&link.page).await,
        press(&mut browser, &link.page).await,
        browser.submit(&format!("{}/reject", link.page), &[]).await,
    ] {
        expect_page(&page, 410, "expired");
        assert!(page.header("location").is_none() && page.header("set-cookie").is_none());
    }
    server.app.sweeps.expire_links().await.unwrap();
    let reason = "Connection initiation did not complete within 10 minutes";
    assert_eq!(state(&server.api, &link.account).await, ("EXPIRED".to_owned(), Some(reason.to_owned())));
    for page in [browser.get(&link.page).await, press(&mut browser, &link.page).await] {
        expect_page(&page, 410, "expired");
    }
    server.api.post(&path, &again).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_at_the_provider_has_exactly_ten_more_minutes() {
    let server = TestServer::builder().toolkit("mock", &mock().toolkit("mock", "")).start().await;
    let config = mock().auth_config(&server.api, "mock").await;
    let (quick, slow) = (offer(&server.api, "mock").await, offer(&server.api, "mock").await);
    let mut browser = Browser::new("alice");
    server.clock.advance(minutes(9));
    let in_time = until_callback(&mut browser, &quick).await;
    let too_late = until_callback(&mut browser, &slow).await;
    server.clock.advance(minutes(6));
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(server.api.status(&quick.account).await, "INITIATED");
    expect_done(&browser.get(&in_time).await);
    assert_eq!(server.api.status(&quick.account).await, "ACTIVE");

    server.clock.advance(minutes(5));
    expect_page(&browser.get(&too_late).await, 400, "invalid");
    assert_eq!(token_requests(&config).await.len(), 1);
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(server.api.status(&slow.account).await, "EXPIRED");
    assert_eq!(server.api.status(&quick.account).await, "ACTIVE", "a finished link is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_used_link_cannot_be_used_again() {
    let server = server_of_an_app().await;
    let link = offer_returning(&server, "sandbox").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    assert_eq!(browser.get(&callback).await.status, 303);
    let mut other = Browser::new("alice");
    for page in [
        other.get(&link.page).await,
        press(&mut other, &link.page).await,
        other.submit(&format!("{}/reject", link.page), &[]).await,
    ] {
        expect_page(&page, 410, "used");
        assert!(page.header("set-cookie").is_none());
    }
    // The user who connected sees that it is too late to reject the link.
    expect_page(&browser.submit(&format!("{}/reject", link.page), &[]).await, 200, "success");
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_did_not_ask_for_the_link_can_reject_it() {
    let (server, config) = with_mock("").await;
    let link = offer_with(&server.api, "user-1", "mock", &json!({ "alias": "work" })).await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let page = browser.get(&link.page).await.text();
    let form = page.split("<form").find(|form| form.contains("This wasn")).unwrap();
    let action = form.split("action=\"").nth(1).unwrap().split('"').next().unwrap().replace("&#x2f;", "/");
    let reject = Url::parse(&link.page).unwrap().join(&action).unwrap();
    let rejected = browser.submit(reject.as_str(), &[("action", "reject")]).await;
    expect_page(&rejected, 200, "rejected");
    assert_eq!(state(&server.api, &link.account).await, ("FAILED".to_owned(), Some("rejected_by_user".to_owned())));
    for page in [browser.get(&link.page).await, press(&mut browser, &link.page).await] {
        expect_page(&page, 410, "used");
    }
    expect_page(&browser.get(&callback).await, 400, "invalid");
    assert!(token_requests(&config).await.is_empty());
    offer_with(&server.api, "user-1", "mock", &json!({ "alias": "work" })).await;
}
