//! What providers say no with, and where browsers are sent afterwards (R08, R11).

use serde_json::json;
use switchboard::app::project::ProjectSettings;

use super::flow::{
    expect_done, expect_page, mock, offer, offer_with, sql, state, until_callback, with_mock, with_parameter,
};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

const CALLBACK: &str = "https://app.example.com/done?user_id=42&next=%2Fhome&x=a+b";

#[tokio::test(flavor = "multi_thread")]
async fn without_registered_callback_urls_a_page_names_the_host_first() {
    let server = TestServer::start().await;
    let back = json!({ "callback_url": CALLBACK });
    for (error, status, result) in [(None, "success", "success"), (Some("access_denied"), "failed", "failed")] {
        let link = offer_with(&server.api, "user-1", "sandbox", &back).await;
        let mut browser = Browser::new("alice");
        let callback = until_callback(&mut browser, &link).await;
        let callback = error.map_or(callback.clone(), |error| with_parameter(&callback, "error", Some(error)));
        let to = browser.get(&callback).await.header("location").unwrap().to_owned();
        let start = format!("{}/link/return?link={}&status={status}", server.url, &link.token()[..23]);
        assert!(to.starts_with(&start), "{to}");
        let page = browser.get(&to).await;
        expect_page(&page, 200, result);
        let html = page.text().replace("&#x2f;", "/").replace("&amp;", "&").replace("&#x3d;", "=");
        assert!(
            html.contains("wants you to go on at app.example.com.") && html.contains("Go to app.example.com"),
            "{html}"
        );
        let target = format!("href=\"{CALLBACK}&status={status}&connected_account_id={}", link.account);
        assert!(html.contains(&target), "{html}");
        assert!(page.header("location").is_none());
        // What the address says changes nothing, and is for its browser alone.
        let other = to.replace("status=success", "status=failed").replace("access_denied", "other");
        let html = browser.get(&other).await.text().replace("&#x3d;", "=");
        assert!(html.contains(&format!("status={status}&amp;connected_account_id=")), "{html}");
        expect_page(&Browser::new("bob").get(&to).await, 200, "closed");
    }
    // For the visitor's own machine, no page names the host.
    let local = json!({ "callback_url": "http://localhost:3000/cb" });
    let link = offer_with(&server.api, "user-1", "sandbox", &local).await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let to = browser.get(&callback).await.header("location").unwrap().to_owned();
    assert_eq!(to, format!("http://localhost:3000/cb?status=success&connected_account_id={}", link.account));
    // A list that was made since rules it out.
    let link = offer_with(&server.api, "user-1", "sandbox", &back).await;
    let callback = until_callback(&mut browser, &link).await;
    let to = browser.get(&callback).await.header("location").unwrap().to_owned();
    sql(&server, r#"UPDATE projects SET settings = '{"callback_urls":["https://app.example.com/other"]}'"#);
    expect_page(&browser.get(&to).await, 200, "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_without_state_shows_that_nothing_was_connected_and_ends_nothing() {
    let (server, _) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let base = callback.split_once('?').unwrap().0;
    for error in ["access_denied", "consent_required", "interaction_required", "login_required"] {
        for mut who in [browser.clone(), Browser::new("bob")] {
            let page = who.get(&format!("{base}?error={error}&error_description=call+555-0100")).await;
            expect_page(&page, 200, "denied");
            assert!(!page.text().contains("555"), "text from an unverified response: {}", page.text());
        }
    }
    expect_page(&browser.get(&format!("{base}?error=server_error")).await, 502, "provider_error");
    expect_page(&browser.get(&format!("{base}?error=access_denied&state=x")).await, 400, "invalid");
    assert_eq!(state(&server.api, &link.account).await, ("INITIATED".to_owned(), None));
    expect_done(&browser.get(&callback).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_counts_in_any_encoding_of_its_description() {
    let file = mock().toolkit("mock", "");
    let callback_urls = vec!["https://app.example.com/done".to_owned()];
    let settings = ProjectSettings { callback_urls, ..ProjectSettings::default() };
    let server = TestServer::builder().toolkit("mock", &file).project(settings).start().await;
    let back = json!({ "callback_url": CALLBACK });
    mock().auth_config(&server.api, "mock").await;
    let words = [
        ("Acc%E8s+refus%E9", "access_denied: Acc\u{fffd}s refus\u{fffd}"),
        ("100%+refused", "access_denied: 100% refused"),
        ("%u0417%u0430", "access_denied: %u0417%u0430"),
        ("%", "access_denied: %"),
    ];
    for (encoded, reason) in words {
        let link = offer_with(&server.api, "user-1", "mock", &back).await;
        let mut browser = Browser::new("alice");
        let callback = until_callback(&mut browser, &link).await;
        let own = with_parameter(&callback, "code", None);
        let reply = browser.get(&format!("{own}&error=access_denied&error_description={encoded}")).await;
        let to = reply.header("location").unwrap();
        assert!(to.starts_with(&format!("{CALLBACK}&status=failed&")), "{to}");
        assert_eq!(state(&server.api, &link.account).await, ("FAILED".to_owned(), Some(reason.to_owned())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standard_error_codes_for_a_denial_are_recognised() {
    let (server, _) = with_mock("").await;
    for error in ["access_denied", "consent_required", "interaction_required", "login_required"] {
        let link = offer(&server.api, "mock").await;
        let mut browser = Browser::new("alice");
        let callback = with_parameter(&until_callback(&mut browser, &link).await, "error", Some(error));
        expect_page(&browser.get(&callback).await, 200, "denied");
        assert_eq!(state(&server.api, &link.account).await, ("INITIATED".to_owned(), Some(error.to_owned())));
    }
}
