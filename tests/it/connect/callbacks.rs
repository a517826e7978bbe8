//! What comes back from a provider, or pretends to: replays, guesses, mixed-up answers
//! (R02, R12, R13, R14, R16, R18, R20).

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use url::Url;

use super::flow::{
    deny, expect_done, expect_page, mock, offer, parameter, press, provider_url, sql, state, token_requests,
    until_callback, with_mock, with_parameter, without_reference,
};
use crate::support::browser::Browser;
use crate::support::http::Http;
use crate::support::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_callback_does_nothing() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    // Keeps the cookie, which the first answer removes.
    let mut thief = browser.clone();
    expect_done(&browser.get(&callback).await);
    let connected = server.api.get(&format!("/connected_accounts/{}", link.account)).await.expect(200);

    for _ in 0..3 {
        let other_code = with_parameter(&callback, "code", Some("another"));
        let denied = with_parameter(&callback, "error", Some("access_denied"));
        for url in [&callback, &other_code, &denied] {
            // The browser that connected sees that; any other learns nothing.
            expect_page(&thief.get(url).await, 200, "success");
            expect_page(&Browser::new("bob").get(url).await, 400, "invalid");
        }
    }
    assert_eq!(token_requests(&config).await.len(), 1);
    assert_eq!(server.api.get(&format!("/connected_accounts/{}", link.account)).await.expect(200), connected);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_forty_callbacks_at_once_one_counts() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let mut visits = JoinSet::new();
    for _ in 0..40 {
        let (mut browser, callback) = (browser.clone(), callback.clone());
        visits.spawn(async move { browser.get(&callback).await });
    }
    let replies = visits.join_all().await;
    let (done, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 303);
    assert_eq!(done.len(), 1);
    expect_done(&done[0]);
    for page in refused {
        expect_page(&page, 200, "success");
    }
    assert_eq!(token_requests(&config).await.len(), 1);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_and_a_rejection_at_once_have_one_outcome() {
    let server = TestServer::start().await;
    for round in 0..48 {
        let link = offer(&server.api, "sandbox").await;
        let mut browser = Browser::new("alice");
        let callback = until_callback(&mut browser, &link).await;
        let mut rejecter = browser.clone();
        let reject = format!("{}/reject", link.page);
        let reject_a_little_later = async {
            // Each round a little later, so that some hit the moment in which the account connects.
            let started = Instant::now();
            while started.elapsed() < Duration::from_micros(100 * (round % 24)) {
                tokio::task::yield_now().await;
            }
            rejecter.submit(&reject, &[]).await
        };
        let (arrival, rejection) = tokio::join!(browser.get(&callback), reject_a_little_later);
        let (status, reason) = state(&server.api, &link.account).await;
        let was_told_connected = arrival.status == 303;
        let was_told_rejected = rejection.text().contains("data-result=\"rejected\"");
        let outcome = (status.as_str(), reason.as_deref(), was_told_connected, was_told_rejected);
        let consistent = [("ACTIVE", None, true, false), ("FAILED", Some("rejected_by_user"), false, true)];
        assert!(consistent.contains(&outcome), "round {round}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_state_is_refused_like_a_used_one() {
    let (server, config) = with_mock("").await;
    let mut browser = Browser::new("alice");
    let used = until_callback(&mut browser, &offer(&server.api, "mock").await).await;
    expect_done(&browser.get(&used).await);
    let reference = without_reference(&Browser::new("bob").get(&used).await);
    assert_eq!(token_requests(&config).await.len(), 1);

    let link = offer(&server.api, "mock").await;
    let callback = until_callback(&mut browser, &link).await;
    let state_text = parameter(&callback, "state").unwrap();
    let (id, secret) = state_text.split_at(state_text.len() - 27);
    let other_letter = if secret.starts_with('a') { "b" } else { "a" };
    let wrong = [
        String::new(),
        "x".to_owned(),
        "1".to_owned(),
        id.to_owned(),
        secret.to_owned(),
        format!("{id}{other_letter}{}", &secret[1..]),
        format!("{id}{}", &secret[1..]),
        format!("{state_text}0"),
        format!(" {state_text}"),
        state_text.to_ascii_uppercase(),
        link.token().to_owned(),
        "' OR 1=1 --".to_owned(),
        "\u{0}\r\nset-cookie: x=1".to_owned(),
        "\u{202e}ß🦀".to_owned(),
        "a".repeat(129),
        "a".repeat(7_000),
    ];
    for wrong in wrong.iter().map(|it| Some(it.as_str())).chain([None]) {
        let page = browser.get(&with_parameter(&callback, "state", wrong)).await;
        let shown = wrong.map(|it| it.chars().take(40).collect::<String>());
        expect_page(&page, 400, "invalid");
        assert_eq!(without_reference(&page), reference, "{shown:?}");
        assert!(page.header("set-cookie").is_none(), "{shown:?}");
    }
    let oversized = browser.get(&with_parameter(&callback, "state", Some(&"a".repeat(20_000)))).await;
    assert_eq!(oversized.status, 414);
    let bare = browser.get(&with_parameter(&callback, "state", None).replace('?', "#")).await;
    assert_eq!(without_reference(&bare), reference, "no query at all");
    assert_eq!(token_requests(&config).await.len(), 1, "not one more");
    assert_eq!(server.api.status(&link.account).await, "INITIATED");
    expect_done(&browser.get(&callback).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_parameters_are_refused_and_unknown_ones_ignored() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let state = parameter(&callback, "state").unwrap();
    let code = parameter(&callback, "code").unwrap();
    for more in [
        "code=other".to_owned(),
        format!("code={code}"),
        format!("state={state}"),
        "state=other".to_owned(),
        "iss=a&iss=b".to_owned(),
        "error=a&error=b".to_owned(),
        "error_description=a&error_description=b".to_owned(),
        format!("%63ode={code}"),
        "code".to_owned(),
        "iss=%FF".to_owned(),
    ] {
        for url in [format!("{callback}&{more}"), callback.replace('?', &format!("?{more}&"))] {
            expect_page(&browser.get(&url).await, 400, "invalid");
        }
    }
    assert_eq!(token_requests(&config).await.len(), 0);
    let unknown = "session_state=1&session_state=2&authuser=0&prompt=consent&hd=%FF&=&&Code=other";
    expect_done(&browser.get(&format!("{callback}&{unknown}")).await);
    assert_eq!(token_requests(&config).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuer_is_compared_as_a_string() {
    /// What comes back as `iss`, and whether it is fine.
    type Answers<'a> = &'a [(Option<&'a str>, bool)];
    let issuer = mock().text("issuer");
    let required = format!("issuer = \"{issuer}\"\niss_required = true");
    let known = format!("issuer = \"{issuer}\"");
    let (slash, upper) = (format!("{issuer}/"), issuer.to_ascii_uppercase());
    let good = Some(issuer);
    let foreign = Some("https://as.evil.test");
    let cases: [(&str, Answers<'_>); 3] = [
        (
            &required,
            &[
                (good, true),
                (None, false),
                (Some(""), false),
                (Some(&slash), false),
                (Some(&upper), false),
                (foreign, false),
            ],
        ),
        (&known, &[(good, true), (None, true), (Some(&slash), false), (foreign, false)]),
        ("", &[(good, true), (None, true), (foreign, true)]),
    ];
    for (more, answers) in cases {
        let (server, config) = with_mock(more).await;
        for (iss, is_fine) in answers {
            let before = token_requests(&config).await.len();
            let link = offer(&server.api, "mock").await;
            let mut browser = Browser::new("alice");
            let callback = until_callback(&mut browser, &link).await;
            let reply = browser.get(&with_parameter(&callback, "iss", *iss)).await;
            let sent = token_requests(&config).await.len() - before;
            let (status, reason) = state(&server.api, &link.account).await;
            if *is_fine {
                expect_done(&reply);
                assert_eq!((status.as_str(), sent), ("ACTIVE", 1), "{more:?} {iss:?}");
            } else {
                expect_page(&reply, 400, "invalid");
                let outcome = (status.as_str(), reason.as_deref(), sent);
                assert_eq!(outcome, ("INITIATED", Some("context_mismatch"), 0), "{more:?} {iss:?}");
                expect_page(&browser.get(&callback).await, 400, "invalid");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_wrong_issuer_is_shown() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    let provider = provider_url(&press(&mut browser, &link.page).await);
    let denied = deny(&mut browser, &provider).await;
    assert_eq!(parameter(&denied, "iss").as_deref(), Some(server.sandbox_url.as_str()));
    let forged = with_parameter(&denied, "error_description", Some("call 555-0100 at once"));
    let forged = with_parameter(&forged, "iss", Some("https://as.evil.test"));
    let page = browser.get(&forged).await;
    expect_page(&page, 400, "invalid");
    assert!(!page.text().contains("555"), "{}", page.text());
    let (status, reason) = state(&server.api, &link.account).await;
    assert_eq!((status.as_str(), reason.as_deref()), ("INITIATED", Some("context_mismatch")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_on_another_redirect_uri_leads_to_no_token_request() {
    let server = TestServer::builder()
        .toolkit("good", &mock().toolkit("good", ""))
        .toolkit("evil", &mock().toolkit("evil", ""))
        .start()
        .await;
    let good = mock().auth_config(&server.api, "good").await;
    let evil = mock().auth_config(&server.api, "evil").await;
    let other_project = server.other_project("Other").await;
    let theirs = mock().auth_config(&other_project, "good").await;
    let base = "/api/v3.1/toolkits/auth/callback";
    let wrong = [
        format!("{base}/{evil}"),
        format!("{base}/{theirs}"),
        format!("{base}/ac_unknown"),
        format!("{base}/{}", good.to_ascii_uppercase()),
        format!("{base}/%20{good}"),
        base.to_owned(),
    ];
    for path in wrong {
        let link = offer(&server.api, "good").await;
        let mut browser = Browser::new("alice");
        let callback = until_callback(&mut browser, &link).await;
        let (_, query) = callback.split_once('?').unwrap();
        expect_page(&browser.get(&format!("{}{path}?{query}", server.url)).await, 400, "invalid");
        let (status, reason) = state(&server.api, &link.account).await;
        assert_eq!((status.as_str(), reason.as_deref()), ("INITIATED", Some("context_mismatch")), "{path}");
        expect_page(&browser.get(&callback).await, 400, "invalid");
    }
    for config in [&good, &evil, &theirs] {
        assert_eq!(token_requests(config).await.len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changing_the_auth_config_ends_its_flows() {
    let (server, config) = with_mock("").await;
    // The traces that changes leave; `api/auth_config_edit.rs` makes them by the API.
    for change in ["updated_at = updated_at + 1", "status = 'DISABLED'"] {
        let link = offer(&server.api, "mock").await;
        let mut browser = Browser::new("alice");
        let callback = until_callback(&mut browser, &link).await;
        sql(&server, &format!("UPDATE auth_configs SET {change} WHERE id = '{config}'"));
        expect_page(&browser.get(&callback).await, 400, "invalid");
        assert_ne!(server.api.status(&link.account).await, "ACTIVE", "{change}");
    }
    sql(&server, &format!("UPDATE auth_configs SET status = 'ENABLED' WHERE id = '{config}'"));

    for what in ["connected_accounts", "auth_configs"] {
        let link = offer(&server.api, "mock").await;
        let mut browser = Browser::new("alice");
        let callback = until_callback(&mut browser, &link).await;
        // The account alone first, then the auth config with all that hangs on it.
        let id = if what == "auth_configs" { &config } else { &link.account };
        server.api.delete(&format!("/{what}/{id}")).await.expect(200);
        expect_page(&browser.get(&callback).await, 410, "used");
        expect_page(&browser.get(&link.page).await, 410, "used");
        server
            .api
            .get(&format!("/connected_accounts/{}", link.account))
            .await
            .expect_error(404, "ConnectedAccount_ResourceNotFound");
    }
    assert_eq!(token_requests(&config).await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_post_response_becomes_a_get_that_carries_the_cookie() {
    let (server, config) = with_mock("").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let (path, query) = callback.split_once('?').unwrap();
    // As Chromium sends it: from another site, without the Lax cookie.
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("origin", "null"), ("sec-fetch-site", "cross-site")];
    let bounced = Http::new().send("POST", &format!("{path}?code=other&state=other"), &headers, query.to_owned()).await;
    assert_eq!(bounced.status, 303);
    let to = Url::parse(path).unwrap().join(bounced.header("location").unwrap()).unwrap().to_string();
    assert!(bounced.header("set-cookie").is_none());
    assert_eq!(Url::parse(&to).unwrap().path(), Url::parse(path).unwrap().path());
    assert_eq!(
        (parameter(&to, "code"), parameter(&to, "state")),
        (parameter(&callback, "code"), parameter(&callback, "state"))
    );
    assert_eq!(token_requests(&config).await.len(), 0, "the POST decides nothing");
    expect_page(&Browser::new("bob").get(&to).await, 403, "browser_mismatch");
    expect_done(&browser.get(&to).await);
    assert_eq!(token_requests(&config).await.len(), 1);

    let large = Http::new().send("POST", path, &headers, "a".repeat(17_000)).await;
    expect_page(&large, 400, "invalid");
    let evil_host = [headers[0], ("x-forwarded-host", "evil.test"), ("x-forwarded-proto", "gopher")];
    let bounced = Http::new().send("POST", &format!("{path}//evil.test/%0d%0ax"), &evil_host, "state=1").await;
    let to = bounced.header("location").unwrap_or(path);
    assert!(Url::parse(path).unwrap().join(to).unwrap().as_str().starts_with(&server.url), "{to}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_post_response_that_is_too_long_for_a_url_is_accepted() {
    let (server, config) = with_mock("callback = { capture = [{ name = \"realm\", at = \"realmId\" }] }").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    let (path, query) = callback.split_once('?').unwrap();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("sec-fetch-site", "cross-site")];
    let long = "a".repeat(9_000);
    let wordy = format!("id_token=short&user=Ada&other={long}&{query}&realmId=17&access_token=short&hmac=0a1b");
    let bounced = Http::new().send("POST", path, &headers, wordy).await;
    let to = Url::parse(path).unwrap().join(bounced.header("location").unwrap()).unwrap();
    // What the toolkit keeps comes along; tokens, and what else is said of the user, do not get into a URL.
    let names: Vec<String> = to.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names.iter().filter(|name| *name == "realmId").count(), 1, "{names:?}");
    let strange = ["id_token", "user", "other", "access_token", "hmac"];
    assert!(!names.iter().any(|name| strange.contains(&name.as_str())), "{names:?}");
    expect_done(&browser.get(to.as_str()).await);
    assert_eq!(token_requests(&config).await.len(), 1);
}
