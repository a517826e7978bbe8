//! The token request itself: PKCE, redirect URI, client authentication, a browser that leaves
//! (R19, R22, R24, R35).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use url::Url;

use super::flow::{
    Offer, agree, expect_done, expect_page, is_stored, mock, offer, parameter, press, provider_url, state,
    token_requests, until_callback, wait_for, with_mock,
};
use crate::support::browser::Browser;
use crate::support::http::Http;
use crate::support::server::TestServer;
use crate::support::wait::until;

/// A member of a form body that occurs once.
#[track_caller]
fn member(body: &str, name: &str) -> String {
    let found: Vec<_> = form_urlencoded::parse(body.as_bytes()).filter(|(key, _)| key == name).collect();
    assert_eq!(found.len(), 1, "{name} in {body}");
    found[0].1.clone().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_request_matches_the_authorization_request() {
    let (server, config) = with_mock("").await;
    let secret = mock().text("client_secret");
    let mut verifiers = BTreeSet::new();
    for round in 0..3 {
        let link = offer(&server.api, "mock").await;
        let mut browser = Browser::new("alice");
        let provider = provider_url(&press(&mut browser, &link.page).await);
        let callback = agree(&mut browser, &provider).await;
        expect_done(&browser.get(&callback).await);

        let asked = |name: &str| parameter(&provider, name).unwrap_or_else(|| panic!("no {name}: {provider}"));
        assert_eq!((asked("response_type").as_str(), asked("code_challenge_method").as_str()), ("code", "S256"));
        assert_eq!(asked("client_id"), mock().text("client_id"));
        assert_ne!(asked("state"), link.token(), "the state is a value of its own");
        let names: Vec<String> = Url::parse(&provider).unwrap().query_pairs().map(|(name, _)| name.into()).collect();
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{names:?}");

        let seen = token_requests(&config).await;
        assert_eq!(seen.len(), round + 1);
        let request = &seen[round];
        let body = request["body"].as_str().unwrap();
        assert_eq!((request["method"].as_str(), request["url"].as_str()), (Some("POST"), Some("/token")));
        assert_eq!(member(body, "grant_type"), "authorization_code");
        assert_eq!(member(body, "code"), parameter(&callback, "code").unwrap());
        assert_eq!(member(body, "redirect_uri"), asked("redirect_uri"));
        assert_eq!(asked("redirect_uri"), format!("{}/api/v3.1/toolkits/auth/callback/{config}", server.url));

        let verifier = member(body, "code_verifier");
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!((43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved), "{verifier}");
        assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)), asked("code_challenge"));
        assert!(!provider.contains(&verifier));

        // RFC 6749 section 2.3.1: in one place only.
        let basic = STANDARD.encode(format!("{}:{secret}", mock().text("client_id")));
        assert_eq!(request["headers"]["authorization"].as_str(), Some(format!("Basic {basic}").as_str()));
        assert!(!body.contains(secret) && !body.contains("client_secret"), "{body}");
        assert!(!provider.contains(secret) && !is_stored(&server, secret));
        assert!(!is_stored(&server, &verifier), "the verifier is in the database");
        verifiers.insert(verifier);
    }
    assert_eq!(verifiers.len(), 3, "each flow has a verifier of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn produced_urls_do_not_depend_on_request_headers() {
    let (server, config) = with_mock("").await;
    let forwarded = [
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "444"),
        ("x-forwarded-prefix", "/evil"),
        ("x-original-host", "evil.test"),
        ("x-host", "evil.test"),
        ("x-original-url", "/evil"),
        ("forwarded", "host=evil.test;proto=https"),
    ];
    let session = server.api.session("user-1", "mock").await;
    let path = format!("/tool_router/session/{session}/link");
    let body = json!({ "toolkit": "mock" }).to_string();
    let made = server.api.call_with("POST", &path, &forwarded, body.clone()).await.expect(201);
    let page = made["redirect_url"].as_str().unwrap();
    assert!(page.starts_with(&format!("{}/link/", server.url)), "{page}");

    let mut browser = Browser::new("alice");
    let mut headers = vec![("sec-fetch-site", "same-origin")];
    headers.extend(forwarded);
    let pressed = Http::new().send("POST", page, &headers, "").await;
    let provider = provider_url(&pressed);
    let redirect_uri = format!("{}/api/v3.1/toolkits/auth/callback/{config}", server.url);
    assert_eq!(parameter(&provider, "redirect_uri").as_deref(), Some(redirect_uri.as_str()));
    let callback = agree(&mut browser, &provider).await;
    let cookie = pressed.header("set-cookie").unwrap().split(';').next().unwrap();
    let mut headers = vec![("cookie", cookie)];
    headers.extend(forwarded);
    let done = Http::new().send("GET", &callback, &headers, "").await;
    expect_done(&done);
    assert!(done.header("location").unwrap().starts_with(&server.url));
    let seen = token_requests(&config).await;
    assert_eq!(member(seen[0]["body"].as_str().unwrap(), "redirect_uri"), redirect_uri);

    let page = offer(&server.api, "mock").await.page;
    for host in ["evil.test", "evil.test:80", "127.0.0.1.evil.test", "localhost.evil.test", "127.0.0.1@evil.test"] {
        let evil = [("host", host), ("sec-fetch-site", "same-origin")];
        for (method, url) in [("GET", &page), ("POST", &page), ("GET", &callback)] {
            let reply = Http::new().send(method, url, &evil, "").await;
            reply.expect_error(421, "HTTP_MisdirectedRequest");
            assert!(reply.header("set-cookie").is_none());
        }
        let reply = server.api.call_with("POST", &path, &[("host", host)], body.clone()).await;
        reply.expect_error(421, "HTTP_MisdirectedRequest");
    }
}

/// Sends the callback as a browser would, and hangs up once the provider has the token request.
async fn leave_in_mid_callback(browser: &mut Browser, link: &Offer, server: &TestServer, token_path: &str) {
    let pressed = press(browser, &link.page).await;
    let cookie = pressed.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let callback = Url::parse(&agree(browser, &provider_url(&pressed)).await).unwrap();
    let host = server.url.split_once("://").unwrap().1;
    let target = &callback[url::Position::BeforePath..];
    let request = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n\r\n");
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let state_of_flow = parameter(callback.as_str(), "code").unwrap();
    until("the token request", async || {
        let seen = mock().seen(token_path).await;
        seen.iter().any(|it| member(it["body"].as_str().unwrap(), "code") == state_of_flow)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_kept_if_the_browser_disconnects_during_the_exchange() {
    let path = "/token-late";
    let toolkit = mock().toolkit("mock", "").replace("/token\"", &format!("{path}\""));
    let server = TestServer::builder().toolkit("mock", &toolkit).start().await;
    mock().auth_config(&server.api, "mock").await;
    let answers = [
        (json!({ "access_token": "late-token", "token_type": "Bearer" }), 200, "ACTIVE"),
        (json!({ "error": "invalid_grant" }), 400, "INITIATED"),
    ];
    for (body, status, wanted) in answers {
        let fault = json!({ "path": path, "times": 1, "delay_ms": 700, "status": status, "body": body.to_string() });
        mock().fault(&fault).await;
        let link = offer(&server.api, "mock").await;
        let mut browser = Browser::new("alice");
        leave_in_mid_callback(&mut browser, &link, &server, path).await;
        assert_eq!(state(&server.api, &link.account).await.0, "INITIATED", "the provider has not answered yet");
        if wanted == "ACTIVE" {
            wait_for(&server.api, &link.account, wanted).await;
            expect_page(&browser.get(&link.page).await, 200, "success");
        } else {
            until("the reason", async || state(&server.api, &link.account).await.1.is_some()).await;
            assert_eq!(state(&server.api, &link.account).await.0, wanted);
            assert!(browser.get(&link.page).await.text().contains("data-action=\"continue\""), "for another try");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_during_the_exchange_wins() {
    let path = "/token-overtaken";
    let toolkit = mock().toolkit("mock", "").replace("/token\"", &format!("{path}\""));
    let server = TestServer::builder().toolkit("mock", &toolkit).start().await;
    mock().auth_config(&server.api, "mock").await;
    let body = json!({ "access_token": "overtaken-token", "token_type": "Bearer" }).to_string();
    mock().fault(&json!({ "path": path, "times": 1, "delay_ms": 700, "body": body })).await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    leave_in_mid_callback(&mut browser, &link, &server, path).await;
    let page = browser.submit(&format!("{}/reject", link.page), &[]).await;
    expect_page(&page, 200, "rejected");
    // The provider's answer comes now, and changes nothing.
    let second = offer(&server.api, "mock").await;
    mock().fault(&json!({ "path": path, "times": 1, "delay_ms": 900, "body": body })).await;
    let callback = until_callback(&mut browser, &second).await;
    expect_done(&browser.get(&callback).await);
    let (status, reason) = state(&server.api, &link.account).await;
    assert_eq!((status.as_str(), reason.as_deref()), ("FAILED", Some("rejected_by_user")));
    assert_eq!(server.api.status(&second.account).await, "ACTIVE");
}
