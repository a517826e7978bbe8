//! What a link call promises (contract sections 3.2 to 3.4), seen from the page.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::project::ProjectSettings;
use tokio::task::JoinSet;
use url::Url;

use super::flow::{
    agree, expect_done, expect_page, keyed_config, mock, offer, parameter, press, provider_url, state, token_requests,
    until_callback, with_parameter,
};
use crate::support::browser::Browser;
use crate::support::http::Http;
use crate::support::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn every_link_connects_its_own_account() {
    let server = TestServer::start().await;
    let session = server.api.session("user-1", "sandbox").await;
    let mut accounts: Vec<String> = Vec::new();
    for _ in 0..3 {
        let link = server.api.link(&session, "sandbox").await;
        let account = link["connected_account_id"].as_str().unwrap().to_owned();
        assert!(!accounts.contains(&account));
        let mut browser = Browser::new("alice");
        let landing = browser.follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
        assert!(landing.reply.unwrap().text().contains("data-result=\"success\""));
        accounts.push(account);
        for account in &accounts {
            assert_eq!(server.api.status(account).await, "ACTIVE");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_shows_its_progress_and_never_its_link() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    let look = || async {
        let account = server.api.get(&format!("/connected_accounts/{}", link.account)).await.expect(200);
        let text = account.to_string();
        assert!(!text.contains(link.token()) && !text.contains(&link.token()[link.token().len() - 27..]), "{text}");
        assert_eq!(account["status"], account["state"]["val"]["status"]);
        account["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(look().await, "INITIALIZING");
    browser.get(&link.page).await;
    assert_eq!(look().await, "INITIALIZING");
    let callback = until_callback(&mut browser, &link).await;
    assert_eq!(look().await, "INITIATED");
    expect_done(&browser.get(&callback).await);
    assert_eq!(look().await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_works_for_exactly_ten_minutes() {
    let server = TestServer::start().await;
    let link = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    server.clock.advance(Duration::from_secs(599));
    assert_eq!(browser.get(&link.page).await.status, 200);
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(server.api.status(&link.account).await, "INITIALIZING");
    server.clock.advance(Duration::from_secs(1));
    expect_page(&browser.get(&link.page).await, 410, "expired");
    expect_page(&press(&mut browser, &link.page).await, 410, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_sets_the_origin_and_the_callback_url_of_its_links() {
    let callback_urls = ["session", "own"].map(|path| format!("https://app.example.com/{path}")).to_vec();
    let settings = ProjectSettings { callback_urls, ..ProjectSettings::default() };
    let server = TestServer::builder().project(settings).start().await;
    let body = json!({
        "user_id": "user-1",
        "toolkits": { "enable": ["sandbox"] },
        "manage_connections": { "callback_url": "https://app.example.com/session" },
        "experimental": { "link_url_overwrite": "https://connect.example.com/" },
    });
    let session = server.api.post("/tool_router/session", &body).await.expect(201);
    let path = format!("/tool_router/session/{}/link", session["session_id"].as_str().unwrap());
    let cases = [
        (json!({ "toolkit": "sandbox" }), "https://app.example.com/session"),
        (
            json!({ "toolkit": "sandbox", "callback_url": "https://app.example.com/own?x=1" }),
            "https://app.example.com/own",
        ),
    ];
    for (body, leads_to) in cases {
        let link = server.api.post(&path, &body).await.expect(201);
        let shown = link["redirect_url"].as_str().unwrap();
        let token = link["link_token"].as_str().unwrap();
        assert_eq!(shown, format!("https://connect.example.com/link/{token}"));
        let mut browser = Browser::new("alice");
        let pressed = press(&mut browser, &format!("{}/link/{token}", server.url)).await;
        let callback = agree(&mut browser, &provider_url(&pressed)).await;
        let reply = browser.get(&callback).await;
        let to = reply.header("location").unwrap();
        assert!(to.starts_with(leads_to), "{to}");
        assert_eq!(parameter(to, "status").as_deref(), Some("success"));
        assert_eq!(parameter(to, "connected_account_id").as_deref(), link["connected_account_id"].as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_fields_are_entered_and_cannot_change_the_host() {
    let fields = r#"
[[fields]]
name = "subdomain"
display_name = "Subdomain"
description = "The first part of your address."
required = true
format = "dns_label"
"#;
    let authorize = format!("authorization_url = \"{}\"", mock().text("authorization_endpoint"));
    let elsewhere = "authorization_url = \"https://{subdomain}.example.com/authorize\"";
    let toolkit = mock().toolkit("mock", "").replace(&authorize, elsewhere) + fields;
    let server = TestServer::builder().toolkit("mock", &toolkit).start().await;
    mock().auth_config(&server.api, "mock").await;
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    assert!(browser.get(&link.page).await.text().contains("name=\"subdomain\""));
    let wrong = [
        "",
        " ",
        "evil.test/#",
        "a.evil.test?",
        "x@y",
        "acme\r\nHost: evil.test",
        "evil.test\\",
        "../x",
        "evil.test%2f",
        "evil.test:443@acme",
        "-acme",
        "ACME",
        "\u{430}cme",
        "{client_secret}",
    ];
    for value in wrong {
        let reply = browser.submit(&link.page, &[("subdomain", value)]).await;
        assert_eq!(reply.status, 422, "{value:?} {:?}", reply.header("location"));
        let html = reply.text();
        assert!(html.contains("Subdomain must") || html.contains("Subdomain is required."), "{value:?} {html}");
        assert_eq!(state(&server.api, &link.account).await.0, "INITIALIZING", "{value:?}");
    }
    let reply = browser.submit(&link.page, &[("subdomain", "acme"), ("redirect_uri", "https://evil.test")]).await;
    let to = provider_url(&reply);
    assert_eq!(Url::parse(&to).unwrap().host_str(), Some("acme.example.com"));
    assert!(parameter(&to, "redirect_uri").unwrap().starts_with(&server.url));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_keys_that_are_sent_at_once_one_connects() {
    let server = TestServer::start().await;
    keyed_config(&server, "sandbox", "API_KEY").await;
    let link = offer(&server.api, "sandbox").await;
    let browser = Browser::new("alice");
    let mut sends = JoinSet::new();
    for key in ["sandbox_alice_key", "sandbox_bob_key"].repeat(5) {
        let (mut browser, page) = (browser.clone(), link.page.clone());
        sends.spawn(async move { (key, browser.submit(&page, &[("generic_api_key", key)]).await) });
    }
    let (done, late): (Vec<_>, Vec<_>) = sends.join_all().await.into_iter().partition(|(_, reply)| reply.status == 303);
    assert!(!done.is_empty());
    for (_, page) in late {
        expect_page(&page, 410, "used");
    }
    // Only senders of the stored key see success; a second click may see it, too.
    let answer = server.api.proxy_get(&link.session, "sandbox", "/me").await.expect(200);
    let kept = format!("sandbox_{}_key", answer["data"]["username"].as_str().unwrap());
    assert!(done.iter().all(|(key, _)| *key == kept), "{kept}");
}

/// RFC 9700 section 4.4: a malicious toolkit sends the browser on to the honest provider, with its
/// own state and the honest toolkit's redirect URI, to be handed the honest provider's code.
#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_one_provider_is_never_sent_to_another() {
    let evil_toolkit = mock().toolkit("evil", "").replace("/token\"", "/evil-token\"");
    let server =
        TestServer::builder().toolkit("good", &mock().toolkit("good", "")).toolkit("evil", &evil_toolkit).start().await;
    let good = mock().auth_config(&server.api, "good").await;
    let evil = mock().auth_config(&server.api, "evil").await;
    let link = offer(&server.api, "evil").await;
    let mut browser = Browser::new("alice");
    let to_evil = provider_url(&press(&mut browser, &link.page).await);
    let good_uri = format!("{}/api/v3.1/toolkits/auth/callback/{good}", server.url);
    let callback = agree(&mut browser, &with_parameter(&to_evil, "redirect_uri", Some(&good_uri))).await;
    assert!(callback.starts_with(&good_uri), "{callback}");
    expect_page(&browser.get(&callback).await, 400, "invalid");

    // The same code on the redirect URI that the state belongs to: the state has died with it.
    let evil_uri = good_uri.replace(&good, &evil);
    expect_page(&browser.get(&callback.replace(&good_uri, &evil_uri)).await, 400, "invalid");
    let (status, reason) = state(&server.api, &link.account).await;
    assert_eq!((status.as_str(), reason.as_deref()), ("INITIATED", Some("context_mismatch")));
    assert!(token_requests(&good).await.is_empty());
    let url = format!("{}/_seen?path=/evil-token", mock().origin());
    let seen: Value = Http::new().send("GET", &url, &[], "").await.expect(200);
    assert_eq!(seen, json!([]), "the malicious toolkit got the code");
}
