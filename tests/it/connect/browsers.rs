//! One link, several browsers; one browser, several links (R04, R06, R13, R15, R78).

use std::time::Duration;

use switchboard::config::Layer;

use super::flow::{
    agree, attempt_cookie, expect_done, expect_page, mock, offer, press, provider_url, sql, state, token_requests,
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
    let name = attempt_cookie(&provider);
    let mut forger = Browser::new("bob");
    forger.set_cookie(&server.url, &name, "AAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let mut empty = Browser::new("bob");
    empty.set_cookie(&server.url, &name, "");
    // A user who began the same link in their own browser, and continues with the other attempt.
    let mut second = Browser::new("bob");
    let pressed = press(&mut second, &link.page).await;
    let seconds = pressed.header("set-cookie").unwrap().split(';').next().unwrap().split_once('=').unwrap().1;
    second.set_cookie(&server.url, &name, seconds);
    // A user with their own flow, whose cookie has the name of this attempt.
    let own_link = offer(&server.api, "mock").await;
    let mut colleague = Browser::new("bob");
    let pressed = press(&mut colleague, &own_link.page).await;
    let own_cookie = pressed.header("set-cookie").unwrap().split(';').next().unwrap().split_once('=').unwrap().1;
    colleague.set_cookie(&server.url, &name, own_cookie);

    let all =
        [("stranger", stranger), ("forger", forger), ("empty", empty), ("second", second), ("colleague", colleague)];
    for (who, mut wrong) in all {
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
    assert_eq!(noted.trim(), "[(10,)]", "each is in the audit log");

    expect_done(&right.get(&callback).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
    assert_eq!(token_requests(&config).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_new_for_each_attempt_and_removed_at_its_end() {
    let server = TestServer::start().await;
    let mut values = Vec::new();
    for _ in 0..2 {
        let link = offer(&server.api, "sandbox").await;
        let mut browser = Browser::new("alice");
        let pressed = press(&mut browser, &link.page).await;
        let cookies: Vec<_> = pressed.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies.len(), 1);
        let mut parts = cookies[0].to_str().unwrap().split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        assert_eq!(name, attempt_cookie(pressed.header("location").unwrap()));
        assert_eq!(value.len(), 27, "{value}");
        let attributes: Vec<&str> = parts.collect();
        for needed in ["Path=/", "HttpOnly", "SameSite=Lax"] {
            assert!(attributes.contains(&needed), "{needed}: {attributes:?}");
        }
        // Safari keeps no `Secure` cookie on plain http, not even on loopback.
        let foreign = |it: &&str| it.starts_with("Domain") || *it == "Secure";
        assert!(!attributes.iter().any(foreign), "{attributes:?}");

        let callback = agree(&mut browser, &provider_url(&pressed)).await;
        let mut planted = browser.clone();
        planted.set_cookie(&server.url, name, "planted");
        expect_page(&planted.get(&callback).await, 403, "browser_mismatch");
        assert_eq!(browser.cookie_names(&server.url), [name]);
        let done = browser.get(&callback).await;
        expect_done(&done);
        let removed = format!("{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
        assert!(done.headers.get_all("set-cookie").iter().any(|it| it == &removed), "{:?}", done.headers);
        assert_eq!(browser.cookie_names(&server.url), [link.kept_cookie()], "what remembers the link opens nothing");
        values.push(value.to_owned());
    }
    assert_ne!(values[0], values[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_is_valid_as_long_as_the_flow_may_take() {
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
    assert_eq!(browser.cookie_names(&server.url), [second.kept_cookie(), attempt_cookie(&of_first)]);
    expect_done(&browser.get(&of_first).await);
    assert_eq!(server.api.status(&first.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_from_another_site_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let own = server.url.clone();
    let lookalike = format!("{own}.evil.test");
    let elsewhere = format!("https://evil.test/{own}/");
    let foreign: [&[(&str, &str)]; 10] = [
        &[],
        &[("origin", "https://evil.test"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.test")],
        &[("origin", "null")],
        &[("origin", &lookalike)],
        &[("origin", &own), ("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("referer", &elsewhere)],
        &[("origin", "null"), ("referer", &link.page)],
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
    for old in [("origin", own.as_str()), ("referer", link.page.as_str())] {
        provider_url(&Http::new().send("POST", &link.page, &[old], "").await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_lets_old_browsers_name_its_origin_and_no_other_site_learns_it() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let page = Browser::new("alice").get(&link.page).await;
    // With `no-referrer`, browsers without Sec-Fetch-Site write `Origin: null` on the page's own form.
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    assert!(page.text().contains("<meta name=\"referrer\" content=\"same-origin\">"));
    let other = Browser::new("alice").get(&format!("{}/link/done", server.url)).await;
    assert_eq!(other.header("referrer-policy"), Some("no-referrer"));
    assert!(other.text().contains("<meta name=\"referrer\" content=\"no-referrer\">"));
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
