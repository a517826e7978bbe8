//! One link, several browsers; one browser, several links (R04, R06, R13, R15, R78).

use std::time::Duration;

use switchboard::config::Layer;
use tokio::task::JoinSet;

use super::flow::{
    agree, expect_done, expect_page, mock, offer, press, provider_url, sql, state, token_requests, until_callback,
    with_mock,
};
use crate::support::browser::Browser;
use crate::support::http::Http;
use crate::support::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_in_another_browser_is_refused_and_the_right_one_can_still_finish() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut right = Browser::new("alice");
    let provider = provider_url(&press(&mut right, &link.page).await);
    let callback = agree(&mut right, &provider).await;

    let stranger = Browser::new("bob");
    let mut forger = Browser::new("bob");
    forger.set_cookie(&server.url, &link.cookie(), "AAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let mut empty = Browser::new("bob");
    empty.set_cookie(&server.url, &link.cookie(), "");
    // Somebody with a flow of their own, whose cookie goes by this link's name.
    let own_link = offer(&server.api, "mock").await;
    let mut colleague = Browser::new("bob");
    let pressed = press(&mut colleague, &own_link.page).await;
    let own_cookie = pressed.header("set-cookie").unwrap().split(';').next().unwrap().split_once('=').unwrap().1;
    colleague.set_cookie(&server.url, &link.cookie(), own_cookie);

    for (who, mut wrong) in [("stranger", stranger), ("forger", forger), ("empty", empty), ("colleague", colleague)] {
        // The attack may send the finished callback, or the provider's URL (R06).
        let through_provider = agree(&mut wrong, &provider).await;
        for url in [&callback, &through_provider] {
            let page = wrong.get(url).await;
            expect_page(&page, 403, "browser_mismatch");
            assert!(page.header("set-cookie").is_none(), "{who}");
            assert!(!page.text().contains(&link.account) && !page.text().contains("Test provider"), "{who}");
        }
    }
    assert_eq!(token_requests(&config).await.len(), 0);
    assert_eq!(state(&server.api, &link.account).await, ("INITIATED".to_owned(), None));
    let noted = sql(&server, "SELECT count(*) FROM audit_events WHERE outcome = 'browser_mismatch'");
    assert_eq!(noted.trim(), "[(8,)]", "each is in the audit log");

    expect_done(&right.get(&callback).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
    assert_eq!(token_requests(&config).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_browser_can_neither_look_nor_continue() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let mut first = Browser::new("alice");
    provider_url(&press(&mut first, &link.page).await);

    let mut second = Browser::new("bob");
    for page in [second.get(&link.page).await, press(&mut second, &link.page).await] {
        expect_page(&page, 403, "browser_mismatch");
        assert!(page.header("set-cookie").is_none());
        assert!(page.header("location").is_none());
    }
    assert_eq!(first.get(&link.page).await.status, 200, "the first may still look");
    let callback = until_callback(&mut first, &link).await;
    expect_done(&first.get(&callback).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_browsers_that_press_continue_at_once_one_goes_on() {
    let server = TestServer::start().await;
    for _ in 0..3 {
        let link = offer(&server.api, "sandbox").await;
        let mut presses = JoinSet::new();
        for _ in 0..12 {
            let page = link.page.clone();
            presses.spawn(async move { press(&mut Browser::new("alice"), &page).await });
        }
        let replies = presses.join_all().await;
        let (went_on, stayed): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 303);
        assert_eq!(went_on.len(), 1);
        for page in stayed {
            expect_page(&page, 403, "browser_mismatch");
            assert!(page.header("set-cookie").is_none());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_new_for_each_link_and_gone_at_the_end() {
    let server = TestServer::start().await;
    let mut values = Vec::new();
    for _ in 0..2 {
        let link = offer(&server.api, "sandbox").await;
        let mut browser = Browser::new("alice");
        // Planted by a neighbour, to be known to the attacker later.
        browser.set_cookie(&server.url, &link.cookie(), "planted");
        let pressed = press(&mut browser, &link.page).await;
        let cookies: Vec<_> = pressed.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies.len(), 1);
        let mut parts = cookies[0].to_str().unwrap().split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        assert_eq!(name, link.cookie());
        assert!(value.len() >= 22 && value != "planted", "{value}");
        let attributes: Vec<&str> = parts.collect();
        for needed in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
            assert!(attributes.contains(&needed), "{needed}: {attributes:?}");
        }
        assert!(!attributes.iter().any(|it| it.starts_with("Domain")), "{attributes:?}");

        let callback = agree(&mut browser, &provider_url(&pressed)).await;
        let mut planted = browser.clone();
        planted.set_cookie(&server.url, &link.cookie(), "planted");
        expect_page(&planted.get(&callback).await, 403, "browser_mismatch");
        assert_eq!(browser.cookie_names(&server.url), [link.cookie()]);
        expect_done(&browser.get(&callback).await);
        assert!(browser.cookie_names(&server.url).is_empty(), "the cookie is removed");
        values.push(value.to_owned());
    }
    assert_ne!(values[0], values[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_lives_as_long_as_the_flow_may_take() {
    for ttl in [60, 600, 3_600] {
        let layer = Layer { link_ttl_seconds: Some(ttl), ..Layer::default() };
        let server = TestServer::builder().toolkit("mock", &mock().toolkit("mock", "")).layer(layer).start().await;
        mock().auth_config(&server.api, "mock").await;
        let link = offer(&server.api, "mock").await;
        let mut browser = Browser::new("alice");
        let pressed = press(&mut browser, &link.page).await;
        let cookie = pressed.header("set-cookie").unwrap();
        let (_, age) = cookie.split_once("Max-Age=").unwrap();
        let age: u64 = age.split(';').next().unwrap().parse().unwrap();
        assert!(age >= ttl, "{age} s, and the provider has {ttl} s to send the browser back");
        let callback = agree(&mut browser, &provider_url(&pressed)).await;
        server.clock.advance(Duration::from_secs(ttl - 1));
        expect_done(&browser.get(&callback).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_links_in_one_browser_may_finish_in_reverse_order() {
    let server = TestServer::start().await;
    let mut browser = Browser::new("alice");
    let (first, second) = (offer(&server.api, "sandbox").await, offer(&server.api, "sandbox").await);
    let to_first = provider_url(&press(&mut browser, &first.page).await);
    let to_second = provider_url(&press(&mut browser, &second.page).await);
    let of_second = agree(&mut browser, &to_second).await;
    let of_first = agree(&mut browser, &to_first).await;

    expect_done(&browser.get(&of_second).await);
    assert_eq!(server.api.status(&second.account).await, "ACTIVE");
    assert_eq!(server.api.status(&first.account).await, "INITIATED");
    assert_eq!(browser.cookie_names(&server.url), [first.cookie()]);
    expect_done(&browser.get(&of_first).await);
    assert_eq!(server.api.status(&first.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn starting_again_ends_the_earlier_attempt() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let earlier = until_callback(&mut browser, &link).await;
    let pressed = press(&mut browser, &link.page).await;
    let later = agree(&mut browser, &provider_url(&pressed)).await;

    expect_page(&browser.get(&earlier).await, 400, "invalid");
    assert_eq!(token_requests(&config).await.len(), 0);
    assert_eq!(server.api.status(&link.account).await, "INITIATED");
    expect_done(&browser.get(&later).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
    expect_page(&browser.get(&earlier).await, 400, "invalid");
    assert_eq!(token_requests(&config).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_another_site_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let own = server.url.clone();
    let lookalike = format!("{own}.evil.test");
    let foreign: [&[(&str, &str)]; 9] = [
        &[],
        &[("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.test")],
        &[("origin", "null")],
        &[("origin", &lookalike)],
        &[("origin", &own), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("referer", &link.page)],
    ];
    for headers in foreign {
        for page in [link.page.clone(), format!("{}/reject", link.page)] {
            let mut all = vec![("content-type", "application/x-www-form-urlencoded")];
            all.extend_from_slice(headers);
            let reply = Http::new().send("POST", &page, &all, "action=continue").await;
            assert_eq!(reply.status, 403, "{page} {headers:?}");
            assert!(reply.header("set-cookie").is_none() && reply.header("location").is_none(), "{headers:?}");
        }
    }
    assert_eq!(state(&server.api, &link.account).await, ("INITIALIZING".to_owned(), None));
    // What a browser too old for Sec-Fetch-Site sends is enough.
    let reply = Http::new().send("POST", &link.page, &[("origin", &own)], "").await;
    provider_url(&reply);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_opened_under_another_loopback_name_moves_to_where_its_cookie_will_be_needed() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let elsewhere = server.url.rsplit_once(':').map(|(_, port)| format!("localhost:{port}")).unwrap();
    let host = [("host", elsewhere.as_str())];
    let moved = Http::new().send("GET", &link.page, &host, "").await;
    assert_eq!((moved.status, moved.header("location")), (303, Some(link.page.as_str())));
    let injected = format!("{}/link/x%0d%0aset-cookie:%20a=b", server.url);
    let reply = Http::new().send("GET", &injected, &host, "").await;
    assert!(reply.header("set-cookie").is_none());
    assert_eq!(state(&server.api, &link.account).await, ("INITIALIZING".to_owned(), None));
}
