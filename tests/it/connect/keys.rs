//! Links on which a person types a key or a password instead of going to a provider (R10, R79).

use serde_json::json;
use switchboard::app::project::ProjectSettings;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::flow::{
    expect_done, expect_page, is_stored, keyed_config, mock, offer, offer_with, press, state, until_callback, wait_for,
};
use crate::support::browser::Browser;
use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;
use crate::support::wait::until;

const CALLBACK: &str = "https://app.example.com/done?user_id=42";

#[track_caller]
fn expect_form(page: &Reply, status: u16) -> String {
    let html = page.text();
    assert_eq!(page.status, status, "{html}");
    assert!(html.contains("<form class=\"connect\" method=\"post\""), "{html}");
    html
}

/// The tag of a named input.
fn input<'a>(html: &'a str, name: &str) -> &'a str {
    let tags = html.split("<input").skip(1).map(|tag| tag.split('>').next().unwrap());
    tags.into_iter()
        .find(|tag| tag.contains(&format!("name=\"{name}\"")))
        .unwrap_or_else(|| panic!("no {name}: {html}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_credential_is_refused_and_the_right_one_connects() {
    type Fields = &'static [(&'static str, &'static str)];
    let cases: [(&str, Fields, Fields, Fields); 2] = [
        (
            "API_KEY",
            &[("generic_api_key", "sandbox_mallory_key")],
            &[("generic_api_key", "sandbox_alice_key")],
            &[("generic_api_key", "API key is required.")],
        ),
        (
            "BASIC",
            &[("username", "alice"), ("password", "not-her-password")],
            &[("username", "alice"), ("password", "alice")],
            &[("username", "User name is required."), ("password", "Password is required.")],
        ),
    ];
    let callback_urls = vec!["https://app.example.com/done".to_owned()];
    let settings = ProjectSettings { callback_urls, ..ProjectSettings::default() };
    let server = TestServer::builder().project(settings).start().await;
    for (scheme, wrong, right, required) in cases {
        keyed_config(&server, "sandbox", scheme).await;
        let link = offer_with(&server.api, "user-1", "sandbox", &json!({ "callback_url": CALLBACK })).await;
        let mut browser = Browser::new("alice");
        let html = expect_form(&browser.get(&link.page).await, 200);
        for (name, _) in required {
            let tag = input(&html, name);
            let kind = if *name == "username" { "type=\"text\"" } else { "type=\"password\"" };
            assert!(tag.contains(kind) && tag.contains(" required") && tag.contains("autocomplete=\"off\""), "{tag}");
            assert!(!tag.contains("value="), "{tag}");
        }

        // Nothing entered: every required field is named.
        let empty = press(&mut browser, &link.page).await;
        let html = expect_form(&empty, 422);
        for (name, message) in required {
            assert!(html.contains(message) && input(&html, name).contains("aria-invalid=\"true\""), "{html}");
        }
        assert!(empty.header("set-cookie").is_none());
        assert_eq!(state(&server.api, &link.account).await.0, "INITIALIZING");

        let secret = wrong.last().unwrap().1;
        for _ in 0..2 {
            let html = expect_form(&browser.submit(&link.page, wrong).await, 422);
            assert!(html.contains("role=\"alert\"") && html.contains("Sandbox does not accept this."), "{html}");
            assert!(!html.contains(secret), "{scheme}: the secret is shown");
            assert!(scheme != "BASIC" || input(&html, "username").contains("value=\"alice\""), "{html}");
            assert_eq!(state(&server.api, &link.account).await, ("INITIALIZING".to_owned(), None));
            assert!(!is_stored(&server, secret), "{scheme}: the secret is in the database");
        }
        let answer = server.api.proxy_get(&link.session, "sandbox", "/me").await;
        assert_ne!(answer.status, 200, "{}", answer.text());
        let done = browser.submit(&link.page, right).await;
        assert_eq!(done.status, 303, "never 307: the app must not get the secret");
        let to = format!("{CALLBACK}&status=success&connected_account_id={}", link.account);
        assert_eq!(done.header("location"), Some(to.as_str()));
        assert_eq!(server.api.status(&link.account).await, "ACTIVE");
        let answer = server.api.proxy_get(&link.session, "sandbox", "/me").await.expect(200);
        assert_eq!((&answer["status"], &answer["data"]["username"]), (&json!(200), &json!("alice")), "{scheme}");
        assert!(!is_stored(&server, "sandbox_alice_key"));
        expect_page(&browser.submit(&link.page, right).await, 200, "success");
        expect_page(&Browser::new("bob").submit(&link.page, right).await, 410, "used");
        server.api.delete(&format!("/connected_accounts/{}", link.account)).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_form_leaves_only_the_cookie_of_its_link_in_the_browser() {
    let server = TestServer::start().await;
    keyed_config(&server, "sandbox", "API_KEY").await;
    let link = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    expect_form(&browser.get(&link.page).await, 200);
    expect_form(&browser.submit(&link.page, &[("generic_api_key", "wrong")]).await, 422);
    // A mistake does not tie the link to the browser in which it was made.
    let mut other = Browser::new("alice");
    expect_form(&other.get(&link.page).await, 200);
    expect_done(&other.submit(&link.page, &[("generic_api_key", "sandbox_alice_key")]).await);
    assert!(browser.cookie_names(&server.url).is_empty());
    assert_eq!(other.cookie_names(&server.url), [link.kept_cookie()]);
    expect_page(&browser.submit(&link.page, &[("generic_api_key", "sandbox_bob_key")]).await, 410, "used");
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_values_are_named_before_any_request_is_sent() {
    let server = TestServer::start().await;
    keyed_config(&server, "sandbox", "BASIC").await;
    let link = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    let long = "k".repeat(5_000);
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[("username", "alice")], "Password is required."),
        (&[("username", "   "), ("password", "x")], "User name is required."),
        (&[("username", "alice"), ("password", &long)], "Password must not be longer than 4096 characters."),
        (&[("username", "al\r\nice"), ("password", "x")], "User name must not contain line breaks"),
        (&[("username", "alice"), ("password", "a\u{0}b")], "Password must not contain line breaks"),
        (&[("Username", "alice"), ("PASSWORD", "alice")], "User name is required."),
    ];
    for (fields, message) in cases {
        let html = expect_form(&browser.submit(&link.page, fields).await, 422);
        assert!(html.contains(message), "{message}: {html}");
        assert!(!html.contains(&long));
    }
    let payload = "\"><script>alert(1)</script>";
    let html = expect_form(&browser.submit(&link.page, &[("username", payload)]).await, 422);
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
    assert_eq!(state(&server.api, &link.account).await.0, "INITIALIZING");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_large_is_a_client_error() {
    let server = TestServer::start().await;
    keyed_config(&server, "sandbox", "API_KEY").await;
    let link = offer(&server.api, "sandbox").await;
    let large = "k".repeat(70_000);
    let page = Browser::new("alice").submit(&link.page, &[("generic_api_key", &large)]).await;
    assert!((400..500).contains(&page.status), "{}: {}", page.status, page.text());
    assert_eq!(state(&server.api, &link.account).await.0, "INITIALIZING");
}

/// A toolkit that proves keys at a path of the mock where only faults live.
fn keyed_toolkit(verify: &str) -> String {
    let origin = mock().origin();
    let host = origin.split_once("://").unwrap().1;
    format!(
        r##"
slug = "keyed"
name = "Keyed"
description = "Takes keys"
categories = ["testing"]
color = "#336699"
version = "20261122_00"
base_url = "{origin}"
hosts = ["{host}"]

[[api_key.fields]]
name = "key"
display_name = "Key"
secret = true

[[api_key.apply]]
header = "X-Api-Key"
value = "{{key}}"

[api_key.verify]
url = "{origin}{verify}"
"##
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_provider_cannot_confirm_is_not_connected() {
    let origin = mock().origin();
    let server = TestServer::builder().toolkit("keyed", &keyed_toolkit("/verify-keys")).start().await;
    keyed_config(&server, "keyed", "API_KEY").await;
    let link = offer(&server.api, "keyed").await;
    let mut browser = Browser::new("alice");
    let (unsure, unreachable, refused) =
        ("could not confirm this right now", "could not be reached", "does not accept");
    let away = json!({ "location": format!("{origin}/stolen-key") });
    let cases = [
        (json!({ "status": 500 }), unsure),
        (json!({ "status": 429, "body": "{}" }), unsure),
        (json!({ "reset": true }), unreachable),
        (json!({ "body": "{}", "cut": true }), unreachable),
        (json!({ "body": "x".repeat(1_000), "repeat": 5_000 }), unreachable),
        (json!({ "status": 302, "headers": away }), refused),
        (json!({ "status": 307, "headers": away }), refused),
        (json!({ "status": 401, "body": "<html>no" }), refused),
    ];
    for (mut fault, message) in cases {
        fault["path"] = "/verify-keys".into();
        fault["times"] = 1.into();
        mock().fault(&fault).await;
        let html = expect_form(&browser.submit(&link.page, &[("key", "key-from-a-person")]).await, 422);
        assert!(html.contains(message), "{fault}: {html}");
        assert!(!html.contains("key-from-a-person") && !html.contains(&origin), "{html}");
        assert_eq!(state(&server.api, &link.account).await, ("INITIALIZING".to_owned(), None), "{fault}");
    }
    let stolen = Http::new().send("GET", &format!("{origin}/_seen?path=/stolen-key"), &[], "").await;
    assert_eq!(stolen.expect(200), json!([]), "the key followed a redirect");
    mock().fault(&json!({ "path": "/verify-keys", "times": 1, "status": 200, "body": "{}" })).await;
    expect_done(&browser.submit(&link.page, &[("key", "key-from-a-person")]).await);
    assert_eq!(server.api.status(&link.account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_s_own_access_token_connects_an_oauth_toolkit() {
    let settings = ProjectSettings { mask_secret_keys_in_connected_account: false, ..ProjectSettings::default() };
    let server = TestServer::builder().project(settings).start().await;
    let client = json!({ "client_id": "test", "client_secret": "sandbox secret with :odd/ %characters+" });
    let config = json!({ "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": client });
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": config });
    server.api.post("/auth_configs", &body).await.expect(201);
    let first = offer(&server.api, "sandbox").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &first).await;
    expect_done(&browser.get(&callback).await);
    let account = server.api.get(&format!("/connected_accounts/{}", first.account)).await.expect(200);
    let token = account["state"]["val"]["access_token"].as_str().unwrap();

    keyed_config(&server, "sandbox", "BEARER_TOKEN").await;
    let link = offer_with(&server.api, "user-2", "sandbox", &json!({})).await;
    let html = expect_form(&browser.submit(&link.page, &[("token", "not-a-token")]).await, 422);
    assert!(html.contains("does not accept") && !html.contains("not-a-token"), "{html}");
    expect_done(&browser.submit(&link.page, &[("token", token)]).await);
    let answer = server.api.proxy_get(&link.session, "sandbox", "/me").await.expect(200);
    assert_eq!(answer["data"]["username"], "alice", "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_under_verification_connects_although_the_browser_disconnected() {
    let server = TestServer::builder().toolkit("keyed", &keyed_toolkit("/verify-late")).start().await;
    keyed_config(&server, "keyed", "API_KEY").await;
    let link = offer(&server.api, "keyed").await;
    let fault = json!({ "path": "/verify-late", "times": 1, "delay_ms": 700, "status": 200, "body": "{}" });
    mock().fault(&fault).await;
    let host = server.url.split_once("://").unwrap().1;
    let head = format!("POST /link/{} HTTP/1.1\r\nhost: {host}\r\nsec-fetch-site: same-origin\r\n", link.token());
    let mut stream = TcpStream::connect(host).await.unwrap();
    stream.write_all(format!("{head}content-length: 12\r\n\r\nkey=late-key").as_bytes()).await.unwrap();
    until("the request that proves the key", async || !mock().seen("/verify-late").await.is_empty()).await;
    drop(stream);
    assert_eq!(state(&server.api, &link.account).await.0, "INITIALIZING", "the provider has not answered yet");
    wait_for(&server.api, &link.account, "ACTIVE").await;
}
