//! Several attempts of one link: in an in-app browser and a real one, by a scanner, twice at once. The first
//! that succeeds ends the link, each code is asked for once at most, and a failed one ends itself alone.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use super::flow::{
    Offer, agree, attempt_cookie, deny, expect_done, expect_page, is_stored, mock, offer, offer_with, parameter, press,
    provider_url, sql, state, token_requests, until_callback, with_mock, with_parameter,
};
use crate::support::browser::Browser;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

const CALLBACK: &str = "http://localhost:3000/done";

fn initiated(reason: Option<&str>) -> (String, Option<String>) {
    ("INITIATED".to_owned(), reason.map(ToOwned::to_owned))
}

/// A denial of the mock provider, which asks no user.
fn denied(callback: &str) -> String {
    with_parameter(&with_parameter(callback, "code", None), "error", Some("access_denied"))
}

async fn begun_in(browser: &mut Browser, link: &Offer) -> String {
    until_callback(browser, link).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_begun_in_an_app_can_be_finished_in_a_real_browser() {
    for is_first_back in [true, false] {
        let (server, config) = with_mock("").await;
        let link = offer(&server.api, "mock").await;
        let (mut inside, mut real) = (Browser::new("alice"), Browser::new("alice"));
        let callbacks = [begun_in(&mut inside, &link).await, {
            assert_eq!(real.get(&link.page).await.status, 200, "the page is open to the second browser");
            begun_in(&mut real, &link).await
        }];
        assert_ne!(attempt_cookie(&callbacks[0]), attempt_cookie(&callbacks[1]));
        // Each belongs to its own browser.
        expect_page(&inside.get(&callbacks[1]).await, 403, "browser_mismatch");
        expect_page(&real.get(&callbacks[0]).await, 403, "browser_mismatch");
        let ((mut first, to), (mut second, to_second)) = if is_first_back {
            ((inside, &callbacks[0]), (real, &callbacks[1]))
        } else {
            ((real, &callbacks[1]), (inside, &callbacks[0]))
        };
        expect_done(&first.get(to).await);
        assert_eq!(server.api.status(&link.account).await, "ACTIVE");
        // The other learns it, and its code is not spent.
        expect_page(&second.get(to_second).await, 200, "success");
        assert_eq!(token_requests(&config).await.len(), 1);
        expect_page(&Browser::new("bob").get(to_second).await, 400, "invalid");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_of_one_browser_may_finish_in_either() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let earlier = begun_in(&mut browser, &link).await;
    let later = begun_in(&mut browser, &link).await;
    expect_done(&browser.get(&earlier).await);
    expect_page(&browser.get(&later).await, 200, "success");
    expect_page(&browser.get(&earlier).await, 200, "success");
    assert_eq!(token_requests(&config).await.len(), 1);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_attempts_that_return_at_once_one_connects_and_no_code_is_used_twice() {
    for _ in 0..4 {
        let (server, config) = with_mock("").await;
        let link = offer(&server.api, "mock").await;
        let mut begun = Vec::new();
        for _ in 0..4 {
            let mut browser = Browser::new("alice");
            let callback = begun_in(&mut browser, &link).await;
            begun.push((browser, callback));
        }
        let mut visits = JoinSet::new();
        for (mut browser, callback) in [begun.clone(), begun.clone(), begun].concat() {
            visits.spawn(async move { browser.get(&callback).await });
        }
        let replies = visits.join_all().await;
        let (done, told): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 303);
        assert_eq!(done.len(), 1);
        expect_done(&done[0]);
        for page in &told {
            expect_page(page, 200, "success");
        }
        assert_eq!(token_requests(&config).await.len(), 1);
        assert_eq!(server.api.status(&link.account).await, "ACTIVE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_attempts_wait_for_a_code_exchange_and_continue_if_it_fails() {
    let provider = Provider::mock(&[]);
    let server = TestServer::builder().toolkit("mock", &provider.toolkit("mock", "")).start().await;
    provider.auth_config(&server.api, "mock").await;
    let link = offer(&server.api, "mock").await;
    let (mut one, mut other) = (Browser::new("alice"), Browser::new("alice"));
    let (to_one, to_other) = (begun_in(&mut one, &link).await, begun_in(&mut other, &link).await);
    let body = json!({ "error": "invalid_grant" }).to_string();
    let fault = json!({ "path": "/token", "status": 400, "body": body, "times": 1, "delay_ms": 700 });
    provider.fault(&fault).await;
    let (first, second) = tokio::join!(one.get(&to_one), async {
        // When the first question is at the provider.
        while provider.token_requests().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        other.get(&to_other).await
    });
    expect_page(&first, 502, "provider_error");
    expect_done(&second);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
    let codes: Vec<String> = [&to_one, &to_other].iter().map(|url| parameter(url, "code").unwrap()).collect();
    let asked = provider.token_requests().await;
    assert_eq!(asked.len(), 2);
    for (request, code) in asked.iter().zip(&codes) {
        assert!(request["body"].as_str().unwrap().contains(code.as_str()), "each code once, in this order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_attempt_ends_only_itself_while_another_is_in_progress() {
    for more in [json!({}), json!({ "callback_url": CALLBACK })] {
        let (server, config) = with_mock("").await;
        let link = offer_with(&server.api, "user-1", "mock", &more).await;
        let (mut one, mut other) = (Browser::new("alice"), Browser::new("alice"));
        let (to_one, to_other) = (begun_in(&mut one, &link).await, begun_in(&mut other, &link).await);
        let reply = one.get(&denied(&to_one)).await;
        if more.get("callback_url").is_some() {
            let to = reply.header("location").unwrap();
            assert!(to.starts_with(&format!("{CALLBACK}?status=failed&connected_account_id={}", link.account)), "{to}");
        } else {
            expect_page(&reply, 200, "denied");
            assert!(
                reply.text().contains(&format!("&#x2f;link&#x2f;{}\">", &attempt_cookie(&to_one)[3..])),
                "a way to try again"
            );
        }
        assert_eq!(state(&server.api, &link.account).await, initiated(Some("access_denied")));
        expect_page(&one.get(&to_one).await, 400, "invalid");
        assert_eq!(token_requests(&config).await.len(), 0, "its state counts no more");
        let reply = other.get(&to_other).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        assert_eq!(state(&server.api, &link.account).await, ("ACTIVE".to_owned(), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_denial_the_user_can_try_again_if_the_app_was_not_informed() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    let provider = provider_url(&press(&mut browser, &link.page).await);
    let callback = deny(&mut browser, &provider).await;
    expect_page(&browser.get(&callback).await, 200, "denied");
    let (status, reason) = state(&server.api, &link.account).await;
    assert_eq!(status, "INITIATED", "a program that waits for it continues to wait");
    assert!(reason.unwrap().starts_with("access_denied"));
    let told = server.api.get(&format!("/connected_accounts/{}/explain", link.account)).await.expect(200);
    assert_eq!(told["code"], "access_denied", "{told}");
    // By the page's own button, which is for this browser.
    let again = format!("{}/link/{}", server.url, &attempt_cookie(&callback)[3..]);
    expect_page(&Browser::new("bob").get(&again).await, 404, "invalid");
    assert!(browser.get(&again).await.text().contains("data-action=\"continue\""));
    let provider = provider_url(&press(&mut browser, &again).await);
    let callback = agree(&mut browser, &provider).await;
    assert_eq!(state(&server.api, &link.account).await, initiated(None));
    expect_done(&browser.get(&callback).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_end_of_the_link_the_account_has_the_reason_of_its_last_attempt() {
    let (server, _) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = begun_in(&mut browser, &link).await;
    expect_page(&browser.get(&denied(&callback)).await, 200, "denied");
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(server.api.status(&link.account).await, "INITIATED");
    server.clock.advance(Duration::from_secs(601));
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(state(&server.api, &link.account).await, ("FAILED".to_owned(), Some("access_denied".to_owned())));
    let told = server.api.get(&format!("/connected_accounts/{}/explain", link.account)).await.expect(200);
    assert_eq!(told["code"], "access_denied", "{told}");
    // One that fails when the link can no longer be opened ends it at once.
    let late = offer(&server.api, "mock").await;
    server.clock.advance(Duration::from_secs(500));
    let callback = begun_in(&mut browser, &late).await;
    server.clock.advance(Duration::from_secs(200));
    expect_page(&browser.get(&denied(&callback)).await, 200, "denied");
    assert_eq!(state(&server.api, &late.account).await, ("FAILED".to_owned(), Some("access_denied".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sixth_attempt_replaces_the_oldest_that_has_not_returned() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut begun = Vec::new();
    for _ in 0..6 {
        server.clock.advance(Duration::from_millis(5));
        let mut browser = Browser::new("alice");
        let callback = begun_in(&mut browser, &link).await;
        begun.push((browser, callback));
    }
    let (first, to_first) = &mut begun[0];
    expect_page(&first.get(to_first).await, 400, "invalid");
    assert_eq!(token_requests(&config).await.len(), 0);
    // An attempt that returned has no place any more, and takes none from others.
    let (second, to_second) = &mut begun[1];
    expect_page(&second.get(&denied(to_second)).await, 200, "denied");
    server.clock.advance(Duration::from_millis(5));
    let mut seventh = Browser::new("alice");
    begun_in(&mut seventh, &link).await;
    let (third, to_third) = &mut begun[2];
    expect_done(&third.get(to_third).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_of_a_link_are_limited_and_the_user_can_still_connect_after_a_scanner() {
    let (server, _) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut begun = 0;
    for _ in 0..30 {
        let pressed = press(&mut Browser::new("scanner"), &link.page).await;
        if pressed.status == 303 {
            begun += 1;
        } else {
            expect_page(&pressed, 429, "limited");
            assert!(pressed.header("retry-after").is_some());
        }
    }
    assert_eq!(begun, 10, "counted per link, from wherever it comes");
    server.clock.advance(Duration::from_mins(1));
    let mut person = Browser::new("alice");
    let callback = begun_in(&mut person, &link).await;
    expect_done(&person.get(&callback).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_keeps_the_values_that_it_was_begun_with() {
    let more = "callback = { capture = [{ name = \"realm\", at = \"realmId\" }] }";
    let file = mock().toolkit("mock", more) + "[[fields]]\nname = \"place\"\ndisplay_name = \"Place\"\n";
    let server = TestServer::builder().toolkit("mock", &file).start().await;
    mock().auth_config(&server.api, "mock").await;
    let link = offer(&server.api, "mock").await;
    let (mut one, mut other) = (Browser::new("alice"), Browser::new("alice"));
    let pressed = one.submit(&link.page, &[("place", "of-one-visitor")]).await;
    let to_one = agree(&mut one, &provider_url(&pressed)).await;
    let shown = other.get(&link.page).await.text();
    assert!(!shown.contains("of-one-visitor"), "what another visitor entered is not shown: {shown}");
    let pressed = other.submit(&link.page, &[("place", "of-the-other")]).await;
    agree(&mut other, &provider_url(&pressed)).await;
    expect_done(&one.get(&with_parameter(&to_one, "realmId", Some("7"))).await);
    let params = sql(&server, &format!("SELECT params FROM connected_accounts WHERE id = '{}'", link.account));
    assert!(params.contains("of-one-visitor") && !params.contains("of-the-other"), "{params}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_state_and_no_verifier_stay_after_the_end_of_the_link() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let (mut one, mut other) = (Browser::new("alice"), Browser::new("alice"));
    let (to_one, to_other) = (begun_in(&mut one, &link).await, begun_in(&mut other, &link).await);
    expect_page(&other.submit(&format!("{}/reject", link.page), &[]).await, 200, "rejected");
    for (browser, url) in [(&mut one, &to_one), (&mut other, &to_other)] {
        expect_page(&browser.get(url).await, 400, "invalid");
    }
    let left = sql(&server, "SELECT count(*) FROM attempts WHERE consumed_at IS NULL OR verifier_sealed IS NOT NULL");
    assert_eq!(left.trim(), "[(0,)]");
    assert_eq!(token_requests(&config).await.len(), 0);
    assert_eq!(state(&server.api, &link.account).await, ("FAILED".to_owned(), Some("rejected_by_user".to_owned())));
    assert!(!is_stored(&server, &parameter(&to_one, "state").unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn back_and_reload_after_success_say_that_it_is_connected_to_the_browser_that_did_it() {
    let (server, config) = with_mock("").await;
    for more in [json!({}), json!({ "callback_url": CALLBACK })] {
        let link = offer_with(&server.api, "user-1", "mock", &more).await;
        let mut browser = Browser::new("alice");
        let callback = begun_in(&mut browser, &link).await;
        assert_eq!(browser.get(&callback).await.status, 303);
        let before = token_requests(&config).await.len();
        for url in [callback.clone(), with_parameter(&callback, "code", Some("another")), link.page.clone()] {
            let page = browser.get(&url).await;
            expect_page(&page, 200, "success");
            let leads_back = page.text().replace("&#x2f;", "/").contains("http://localhost:3000/done");
            assert_eq!(leads_back, more.get("callback_url").is_some(), "{}", page.text());
        }
        expect_page(&press(&mut browser, &link.page).await, 200, "success");
        assert_eq!(token_requests(&config).await.len(), before);
        // Other browsers do not learn it.
        let mut stranger = Browser::new("bob");
        expect_page(&stranger.get(&callback).await, 400, "invalid");
        expect_page(&stranger.get(&link.page).await, 410, "used");
        let done = format!("{}/link/done?link={}", server.url, &link.token()[..link.token().len() - 27]);
        expect_page(&stranger.get(&done).await, 200, "closed");
        expect_page(&browser.get(&done).await, 200, "success");
    }
}
