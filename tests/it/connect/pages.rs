//! Every page a person can see: its headers, and foreign text on it (R07, R77, R79).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchboard::app::project::ProjectSettings;
use switchboard::config::Layer;
use switchboard::server;
use tokio::net::TcpListener;

use super::flow::{
    agree, attempt_cookie, expect_page, keyed_config, offer, offer_with, press, provider_url, sql, until_callback,
    with_parameter,
};
use crate::support::browser::Browser;
use crate::support::http::{Api, Http, Reply};
use crate::support::server::TestServer;

const CALLBACK: &str = "https://app.example.com/done";

/// The policy's directives.
fn policy(reply: &Reply) -> BTreeMap<String, String> {
    let policy = reply.header("content-security-policy").unwrap();
    let directives = policy.split(';').map(|it| it.trim().split_once(' ').unwrap());
    directives.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[track_caller]
pub(super) fn check(what: &str, reply: &Reply, status: u16, form_action: &str) {
    check_with(what, reply, status, form_action, "no-referrer");
}

/// A page with a form, whose browser may name our origin to us.
#[track_caller]
pub(super) fn check_form(what: &str, reply: &Reply, status: u16, form_action: &str) {
    check_with(what, reply, status, form_action, "same-origin");
}

#[track_caller]
fn check_with(what: &str, reply: &Reply, status: u16, form_action: &str, referrer: &str) {
    assert_eq!(reply.status, status, "{what}: {}", reply.text());
    let headers = [
        ("cache-control", "no-store"),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("referrer-policy", referrer),
    ];
    for (name, value) in headers {
        assert_eq!(reply.header(name), Some(value), "{what}: {name}");
        assert_eq!(reply.headers.get_all(name).iter().count(), 1, "{what}: {name}");
    }
    assert_eq!(reply.headers.get_all("content-security-policy").iter().count(), 1, "{what}");
    let expected = [
        ("base-uri", "'none'"),
        ("default-src", "'none'"),
        ("form-action", form_action),
        ("frame-ancestors", "'none'"),
        ("img-src", "'self' data:"),
        ("style-src", "'self'"),
    ];
    assert_eq!(policy(reply), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), "{what}");
    if (300..400).contains(&status) {
        return;
    }
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"), "{what}");
    let html = reply.text();
    assert!(html.starts_with("<!doctype html>") && html.contains("<html lang=\"en\""), "{what}: {html}");
    for bad in ["<script", " style=", " onclick", " onload", "http-equiv", "javascript:", "<iframe"] {
        assert!(!html.contains(bad), "{what}: {bad}");
    }
    assert!(html.ends_with("</html>") || html.ends_with("</html>\n"), "{what}: half a page");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_page_has_its_headers() {
    let server = TestServer::start().await;
    let mut alice = Browser::new("alice");
    let mut bob = Browser::new("bob");
    let oauth = format!("'self' {} https:", server.sandbox_url);
    let oauth_and_app = format!("'self' {} https://app.example.com https:", server.sandbox_url);

    let link = offer(&server.api, "sandbox").await;
    check_form("connect page", &alice.get(&link.page).await, 200, &oauth);
    let head = Http::new().send("HEAD", &link.page, &[], "").await;
    assert_eq!(policy(&head), policy(&alice.get(&link.page).await));
    check("form of another site", &Http::new().send("POST", &link.page, &[], "").await, 403, "'self'");
    let pressed = press(&mut alice, &link.page).await;
    check("way to the provider", &pressed, 303, "'self'");
    check_form("another browser", &bob.get(&link.page).await, 200, &oauth);
    let callback = agree(&mut alice, &provider_url(&pressed)).await;
    check("callback in another browser", &bob.get(&callback).await, 403, "'self'");
    let bounce = Http::new().send("POST", &callback, &[], "code=1").await;
    check("form_post", &bounce, 303, "'self'");
    let done = alice.get(&callback).await;
    check("way to the end", &done, 303, "'self'");
    check("success", &alice.get(done.header("location").unwrap()).await, 200, "'self'");
    for nothing in ["", "?toolkit=sandbox", "?link=%3Cscript%3E"] {
        for place in ["done", "return"] {
            let page = bob.get(&format!("{}/link/{place}{nothing}", server.url)).await;
            check("an end without its link", &page, 200, "'self'");
            expect_page(&page, 200, "closed");
        }
    }
    check("used state", &bob.get(&callback).await, 400, "'self'");
    check("used link", &bob.get(&link.page).await, 410, "'self'");
    check("connected before", &alice.get(&link.page).await, 200, "'self'");
    check("unknown link", &alice.get(&format!("{}/link/unknown", server.url)).await, 404, "'self'");

    let link = offer_with(&server.api, "user-1", "sandbox", &json!({ "callback_url": CALLBACK })).await;
    check_form("connect page of an app", &alice.get(&link.page).await, 200, &oauth_and_app);
    check("rejected", &alice.submit(&format!("{}/reject", link.page), &[]).await, 200, "'self'");

    for (error, status) in [("access_denied", 200), ("server_error", 502)] {
        let link = offer(&server.api, "sandbox").await;
        let callback = until_callback(&mut alice, &link).await;
        check(error, &alice.get(&with_parameter(&callback, "error", Some(error))).await, status, "'self'");
    }

    keyed_config(&server, "sandbox", "API_KEY").await;
    let link = offer(&server.api, "sandbox").await;
    check_form("form for secrets", &alice.get(&link.page).await, 200, "'self'");
    check_form("form with an error", &press(&mut alice, &link.page).await, 422, "'self'");
    let link = offer_with(&server.api, "user-1", "sandbox", &json!({ "callback_url": CALLBACK })).await;
    check_form("form for secrets of an app", &alice.get(&link.page).await, 200, "'self' https://app.example.com");
    let refused = alice.submit(&link.page, &[("generic_api_key", "wrong")]).await;
    check_form("refused key", &refused, 422, "'self' https://app.example.com");

    server.clock.advance(Duration::from_mins(11));
    check("expired", &alice.get(&link.page).await, 410, "'self'");

    let link = offer(&server.api, "sandbox").await;
    sql(&server, "UPDATE auth_configs SET settings = 'damaged'");
    for page in [alice.get(&link.page).await, press(&mut alice, &link.page).await] {
        check("internal error", &page, 500, "'self'");
        assert!(!page.text().contains("damaged") && !page.text().contains("column"), "{}", page.text());
        assert!(page.text().contains(page.header("x-request-id").unwrap()), "the reference is in the log");
    }
}

const PAYLOADS: [&str; 12] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "</title><svg/onload=alert(1)>",
    "</bdi></p><iframe srcdoc=x>",
    "\" autofocus onfocus=alert(1) x=\"",
    "{{ 7 * 7 }}{% raw %}${7*7}#{7*7}",
    "&lt;script&gt;&#60;img&#62;",
    "javascript:alert(1)//",
    "<!--<a href=javascript:alert(1)>",
    "]]><style>*{display:none}</style>",
    "\u{ff1c}script\u{ff1e}\u{2028}<b>",
];

fn escaped(text: &str) -> String {
    let mut html = String::new();
    for letter in text.chars() {
        match letter {
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '&' => html.push_str("&amp;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#x27;"),
            '/' => html.push_str("&#x2f;"),
            other => html.push(other),
        }
    }
    html
}

/// Every tag of a page with its attributes' names: what markup there is, whatever the text.
fn skeleton(html: &str) -> Vec<String> {
    let tags = html.split('<').skip(1).map(|it| it.split('>').next().unwrap());
    tags.map(|tag| {
        // Values are quoted; what is left outside the quotes is names.
        tag.split('"').step_by(2).collect::<String>()
    })
    .collect()
}

async fn page_of(server: &TestServer, name: &str, user: &str, scope: &str, alias: &str) -> Reply {
    let made = server.app.projects.create("cli", name, &ProjectSettings::default()).await.unwrap();
    let api = Api::new(&server.url, made.key.expose());
    let credentials = json!({ "client_id": "test", "client_secret": "x", "scopes": [scope] });
    let config = json!({ "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": credentials });
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": config });
    api.post("/auth_configs", &body).await.expect(201);
    let link = offer_with(&api, user, "sandbox", &json!({ "alias": alias })).await;
    Http::new().send("GET", &link.page, &[], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_text_is_escaped_everywhere() {
    let server = TestServer::start().await;
    let plain = page_of(&server, "Project", "user", "scope", "alias").await.expect_html();
    let markup = skeleton(&plain);
    for payload in PAYLOADS {
        let html = page_of(&server, payload, payload, payload, payload).await.expect_html();
        assert_eq!(skeleton(&html), markup, "{payload:?} made markup");
        let shown = html.matches(&escaped(payload)).count();
        assert!(shown >= 4, "{payload:?} stands in title, heading, user and scope, but was found {shown} times");
    }
}

trait ExpectHtml {
    fn expect_html(&self) -> String;
}

impl ExpectHtml for Reply {
    #[track_caller]
    fn expect_html(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.text());
        self.text()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_a_toolkit_file_is_escaped_too() {
    let file = |evil: &str| {
        let quoted = json!(evil);
        format!(
            r##"
slug = "evil"
name = {quoted}
description = {quoted}
categories = ["testing"]
color = "#336699"
version = "20261122_00"
base_url = "https://api.example.com"
hosts = ["api.example.com"]

[[api_key.fields]]
name = "key"
display_name = {quoted}
description = {quoted}
example = {quoted}

[[api_key.fields]]
name = "secret"
display_name = "Secret"
secret = true

[[api_key.apply]]
header = "X-Api-Key"
value = "{{secret}}"
"##
        )
    };
    let mut skeletons = Vec::new();
    for text in ["Harmless", "\"><script>alert(1)</script>", "</title></bdi><img src=x onerror=alert(1)>"] {
        let server = TestServer::builder().toolkit("evil", &file(text)).start().await;
        keyed_config(&server, "evil", "API_KEY").await;
        let link = offer(&server.api, "evil").await;
        let mut browser = Browser::new("alice");
        let logo = browser.get(&format!("{}/assets/toolkits/evil.svg", server.url)).await;
        assert!(!logo.text().contains("script") && !logo.text().contains("onerror"), "{}", logo.text());
        let pages = [browser.get(&link.page).await, press(&mut browser, &link.page).await];
        let entered = browser.submit(&link.page, &[("key", "k"), ("secret", "a-long-secret")]).await;
        let done = browser.get(entered.header("location").unwrap()).await;
        expect_page(&done, 200, "success");
        let pages = [&pages[0], &pages[1], &done];
        skeletons.push(pages.map(|page| skeleton(&page.text())));
    }
    assert_eq!(skeletons[0], skeletons[1]);
    assert_eq!(skeletons[0], skeletons[2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn overlong_names_are_refused_or_truncated() {
    let server = TestServer::start().await;
    let long = "x".repeat(10_000);
    assert!(server.app.projects.create("cli", &long, &ProjectSettings::default()).await.is_err());
    let body = json!({ "user_id": long, "toolkits": { "enable": ["sandbox"] } });
    server.api.post("/tool_router/session", &body).await.expect_error(400, "HTTP_BadRequest");
    let session = server.api.session("user-1", "sandbox").await;
    let path = format!("/tool_router/session/{session}/link");
    server.api.post(&path, &json!({ "toolkit": "sandbox", "alias": long })).await.expect_error(400, "HTTP_BadRequest");

    let usual = page_of(&server, "P", "u", "s", "a").await.text().len();
    // The longest that is accepted.
    let html = page_of(&server, &"p".repeat(100), &"u".repeat(256), &"s".repeat(10_000), &"a".repeat(128)).await;
    let html = html.expect_html();
    assert!(!html.contains(&"p".repeat(81)) && !html.contains(&"u".repeat(81)), "names are cut");
    assert!(html.len() < usual + 5_000, "a page of {} bytes", html.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn bidirectional_characters_in_a_name_affect_only_the_name() {
    const TURN: char = '\u{202e}';
    let server = TestServer::start().await;
    let html = page_of(&server, "\u{202e}moc.elgoog", "\u{202e}resu", "\u{202e}epocs", "a").await.expect_html();
    let mut found = 0;
    for (at, _) in html.match_indices(TURN) {
        let before = &html[..at];
        let opened = before.matches("<bdi>").count() > before.matches("</bdi>").count();
        let isolated = before.matches("&#x2068;").count() > before.matches("&#x2069;").count();
        assert!(opened || isolated, "{}", &before[before.len().saturating_sub(200)..]);
        found += 1;
    }
    assert!(found >= 4, "{html}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_an_https_url_sends_hsts() {
    let plain = TestServer::start().await;
    let page = Http::new().send("GET", &offer(&plain.api, "sandbox").await.page, &[], "").await;
    assert_eq!(page.header("strict-transport-security"), None, "http://localhost belongs to others too");

    let layer = Layer { public_url: Some("https://connect.test".to_owned()), ..Layer::default() };
    let server = TestServer::builder().layer(layer).start().await;
    // What a proxy that ends TLS passes on.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let inner = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(server::serve(Arc::clone(&server.app), switchboard::api::Api::new(&server.app), listener));
    let api = Api::new(&inner, &server.api.key);
    let host = [("host", "connect.test")];
    let body = json!({ "user_id": "user-1", "toolkits": { "enable": ["sandbox"] } }).to_string();
    let session = api.call_with("POST", "/tool_router/session", &host, body).await.expect(201);
    let path = format!("/tool_router/session/{}/link", session["session_id"].as_str().unwrap());
    let link = api.call_with("POST", &path, &host, json!({ "toolkit": "sandbox" }).to_string()).await.expect(201);
    let shown = link["redirect_url"].as_str().unwrap();
    assert!(shown.starts_with("https://connect.test/link/"), "{shown}");
    let page = Http::new().send("GET", &shown.replace("https://connect.test", &inner), &host, "").await;
    assert_eq!(page.status, 200);
    let promise = page.header("strict-transport-security").unwrap_or_default();
    let (_, age) = promise.split_once("max-age=").unwrap_or_else(|| panic!("no HSTS: {:?}", page.headers));
    let seconds: u64 = age.split(';').next().unwrap().trim().parse().unwrap();
    assert!(seconds >= 31_536_000, "a year at least: {promise}");
    // And the cookie of an attempt is for this host, and https, alone.
    let own = [host[0], ("origin", "https://connect.test")];
    let pressed = Http::new().send("POST", &shown.replace("https://connect.test", &inner), &own, "").await;
    let cookie = pressed.header("set-cookie").unwrap();
    assert!(cookie.starts_with(&format!("__Host-{}=", attempt_cookie(&provider_url(&pressed)))), "{cookie}");
    assert!(cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age="), "{cookie}");
}
