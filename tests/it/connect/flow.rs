//! Steps of a connect flow, one function each, so that a test can stop between any two of them.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use crate::support::browser::{Browser, first_form};
use crate::support::http::{Api, Reply};
use crate::support::providers::Provider;
use crate::support::server::TestServer;
use crate::support::tools::tool;
use crate::support::wait::until;

/// A link that was offered to a user.
#[derive(Clone, Debug)]
pub struct Offer {
    pub session: String,
    pub account: String,
    /// URL of the page.
    pub page: String,
}

impl Offer {
    /// The secret in the page's URL.
    pub fn token(&self) -> &str {
        self.page.rsplit('/').next().unwrap()
    }
}

impl Offer {
    /// Name of the cookie by which a browser remembers the link that it went through.
    pub fn kept_cookie(&self) -> String {
        let token = self.token();
        format!("sb_link_{}", &token[..token.len() - 27])
    }
}

/// Name of the cookie of an attempt, on plain http: `sb_` and the state's public part. `url` is the
/// provider's, or the callback's.
pub fn attempt_cookie(url: &str) -> String {
    let state = parameter(url, "state").unwrap();
    format!("sb_{}", &state[..state.len() - 27])
}

/// A new link for a new session of `user-1`.
pub async fn offer(api: &Api, toolkit: &str) -> Offer {
    offer_with(api, "user-1", toolkit, &json!({})).await
}

/// The same with more in the link's body.
pub async fn offer_with(api: &Api, user: &str, toolkit: &str, more: &Value) -> Offer {
    let session = api.session(user, toolkit).await;
    let mut body = json!({ "toolkit": toolkit });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let link = api.post(&format!("/tool_router/session/{session}/link"), &body).await.expect(201);
    let text = |name: &str| link[name].as_str().unwrap().to_owned();
    Offer { session, account: text("connected_account_id"), page: text("redirect_url") }
}

/// Presses Continue.
pub async fn press(browser: &mut Browser, page: &str) -> Reply {
    browser.submit(page, &[("action", "continue")]).await
}

/// Presses Continue on an OAuth link; where it leads.
#[track_caller]
pub fn provider_url(pressed: &Reply) -> String {
    assert_eq!(pressed.status, 303, "{}", pressed.text());
    pressed.header("location").unwrap().to_owned()
}

/// Agrees to everything at the provider; the callback URL, which is not opened.
pub async fn agree(browser: &mut Browser, provider: &str) -> String {
    let landing = browser.follow(provider, is_callback).await;
    assert!(landing.reply.is_none(), "the provider redirected no browser back: {} {:?}", landing.url, landing.reply);
    landing.url.into()
}

/// Presses Continue and agrees to everything; the callback URL, which is not opened.
pub async fn until_callback(browser: &mut Browser, offer: &Offer) -> String {
    let provider = provider_url(&press(browser, &offer.page).await);
    agree(browser, &provider).await
}

/// Logs in where asked and says no where possible; the callback URL, which is not opened.
pub async fn deny(browser: &mut Browser, provider: &str) -> String {
    let mut url = Url::parse(provider).unwrap();
    let mut reply = browser.get(provider).await;
    for _ in 0..15 {
        if let Some(to) = reply.header("location") {
            url = url.join(to).unwrap();
            if is_callback(&url) {
                return url.into();
            }
            reply = browser.get(url.as_str()).await;
            continue;
        }
        let html = reply.text();
        let form = first_form(&html).unwrap_or_else(|| panic!("no form at {url}: {html}"));
        let can_deny = html.contains("value=\"deny\"");
        let fields: Vec<(&str, &str)> = form
            .fields
            .iter()
            .map(|(name, value)| match name.as_str() {
                "username" | "password" => (name.as_str(), "alice"),
                "decision" if can_deny => (name.as_str(), "deny"),
                _ => (name.as_str(), value.as_str()),
            })
            .collect();
        let target = if form.action.is_empty() { url.clone() } else { url.join(&form.action).unwrap() };
        reply = browser.submit(target.as_str(), &fields).await;
        url = target;
    }
    panic!("never sent back, last {url}")
}

pub fn is_callback(url: &Url) -> bool {
    url.path().starts_with("/api/v3.1/toolkits/auth/callback")
}

/// A query parameter of a URL.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The URL with one query parameter replaced, or without it.
pub fn with_parameter(url: &str, name: &str, value: Option<&str>) -> String {
    let mut url = Url::parse(url).unwrap();
    let kept: Vec<(String, String)> = url.query_pairs().into_owned().filter(|(key, _)| key != name).collect();
    url.query_pairs_mut().clear().extend_pairs(kept);
    if let Some(value) = value {
        url.query_pairs_mut().append_pair(name, value);
    }
    url.into()
}

/// What a result page says it is; checks that it is a page.
#[track_caller]
pub fn result_of(page: &Reply) -> String {
    let html = page.text();
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{} {html}", page.status);
    let (_, rest) = html.split_once("data-result=\"").unwrap_or_else(|| panic!("no result: {} {html}", page.status));
    rest.split('"').next().unwrap().to_owned()
}

/// Checks status and kind of a result page.
#[track_caller]
pub fn expect_page(page: &Reply, status: u16, result: &str) {
    assert_eq!((page.status, result_of(page).as_str()), (status, result), "{}", page.text());
}

/// Checks that a flow without a callback URL ended well.
#[track_caller]
pub fn expect_done(reply: &Reply) {
    assert_eq!(reply.status, 303, "{}", reply.text());
    let to = reply.header("location").unwrap();
    assert_eq!(Url::parse(to).unwrap().path(), "/link/done", "{to}");
}

/// A page without what differs from request to request.
pub fn without_reference(page: &Reply) -> String {
    let html = page.text();
    let Some((before, rest)) = html.split_once("<code class=\"reference\">") else { return html };
    let (_, after) = rest.split_once("</code>").unwrap();
    format!("{before}{after}")
}

/// Status and reason of an account.
pub async fn state(api: &Api, account: &str) -> (String, Option<String>) {
    let account = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    (account["status"].as_str().unwrap().to_owned(), account["status_reason"].as_str().map(ToOwned::to_owned))
}

/// Waits until an account has a status; fails with what it has instead.
pub async fn wait_for(api: &Api, account: &str, wanted: &str) {
    until(wanted, async || {
        let now = state(api, account).await;
        if now.0 == wanted { Ok(()) } else { Err(format!("{now:?}")) }
    })
    .await;
}

/// One mock provider for all tests that need one: it takes any client and any redirect URI.
pub fn mock() -> &'static Provider {
    static MOCK: OnceLock<Provider> = OnceLock::new();
    MOCK.get_or_init(|| Provider::mock(&[]))
}

/// A server whose toolkit `mock` is the mock provider, and the auth config's id.
pub async fn with_mock(more: &str) -> (TestServer, String) {
    let server = TestServer::builder().toolkit("mock", &mock().toolkit("mock", more)).start().await;
    let config = mock().auth_config(&server.api, "mock").await;
    (server, config)
}

/// Token requests that reached the mock for one auth config.
pub async fn token_requests(config: &str) -> Vec<Value> {
    let seen = mock().token_requests().await;
    seen.into_iter().filter(|it| it["body"].as_str().unwrap().contains(config)).collect()
}

/// An auth config for a scheme without a client, newer than every other.
pub async fn keyed_config(server: &TestServer, toolkit: &str, scheme: &str) -> String {
    server.clock.advance(Duration::from_millis(5));
    let body = json!({ "toolkit": { "slug": toolkit }, "auth_config": {
        "type": "use_custom_auth", "authScheme": scheme, "name": "test",
    }});
    let made = server.api.post("/auth_configs", &body).await.expect(201);
    made["auth_config"]["id"].as_str().unwrap().to_owned()
}

/// Runs one SQL statement on the server's database, as an operator could; its rows as text.
pub fn sql(server: &TestServer, statement: &str) -> String {
    const SCRIPT: &str = "import sqlite3, sys
with sqlite3.connect(sys.argv[1], timeout=20) as c:
    print(c.execute(sys.argv[2]).fetchall())";
    let python = tool("providers-python/bin/python");
    let output = Command::new(python).args(["-c", SCRIPT]).arg(server.database()).arg(statement).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Whether any file of the database holds these bytes.
pub fn is_stored(server: &TestServer, text: &str) -> bool {
    let wanted = text.as_bytes();
    let files = ["", "-wal", "-shm"].map(|end| format!("{}{end}", server.database().display()));
    let all: Vec<Vec<u8>> = files.iter().filter_map(|file| std::fs::read(file).ok()).collect();
    all.iter().any(|bytes| bytes.windows(wanted.len()).any(|window| window == wanted))
}
