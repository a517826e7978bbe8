//! The device authorization grant (RFC 8628): a code that the user enters at the provider.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::project::ProjectSettings;
use tokio::sync::Semaphore;

use super::flow::{expect_done, expect_page, state};
use crate::support::browser::{Browser, Landing};
use crate::support::connected::{second_app, second_server};
use crate::support::http::Http;
use crate::support::providers::Provider;
use crate::support::server::TestServer;
use crate::support::wait::until;

/// A toolkit whose users enter a code; `more` goes into `[oauth2]`.
pub fn toolkit(provider: &Provider, endpoint: &str, more: &str) -> String {
    let authorize = format!("authorization_url = \"{}\"\n", provider.text("authorization_endpoint"));
    let device = format!("device_authorization_url = \"{endpoint}\"\n{more}");
    let identity = format!("[identity]\nrequest = {{ url = \"{}\" }}\nid = \"/sub\"\n", provider.text("resource"));
    provider.toolkit("tk", "").replace(&authorize, &device) + &identity
}

struct World {
    provider: Provider,
    server: TestServer,
    session: String,
}

impl World {
    /// At the certified provider.
    async fn certified() -> Self {
        let provider = Provider::oidc(&[]);
        let revocation = format!("revocation_url = \"{}\"\n", provider.text("revocation_endpoint"));
        let endpoint = provider.text("device_authorization_endpoint").to_owned();
        Self::at(provider, &endpoint, &revocation, ProjectSettings::default()).await
    }

    /// At one that says what the test wants.
    async fn scripted() -> Self {
        let provider = Provider::mock(&[]);
        let endpoint = format!("{}/device", provider.origin());
        let world = Self::at(provider, &endpoint, "", ProjectSettings::default()).await;
        world.plays("/device", 200, &code_answer("DC-secret")).await;
        world
    }

    async fn at(provider: Provider, endpoint: &str, more: &str, settings: ProjectSettings) -> Self {
        let file = toolkit(&provider, endpoint, more);
        let server = TestServer::builder().toolkit("tk", &file).project(settings).start().await;
        provider.auth_config(&server.api, "tk").await;
        let session = server.api.session("u", "tk").await;
        Self { provider, server, session }
    }

    async fn plays(&self, path: &str, status: u16, body: &str) {
        self.provider.fault(&json!({ "path": path, "status": status, "body": body })).await;
    }

    async fn plays_once(&self, status: u16, body: &str) {
        self.provider.fault(&json!({ "path": "/token", "status": status, "body": body, "times": 1 })).await;
    }

    async fn link(&self) -> Value {
        self.server.api.link(&self.session, "tk").await
    }

    /// Questions that reached the provider's token endpoint.
    async fn asked(&self) -> usize {
        self.provider.grants("urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code").await
    }

    async fn status(&self, link: &Value) -> String {
        self.server.api.status(link["connected_account_id"].as_str().unwrap()).await
    }
}

fn code_answer(device_code: &str) -> String {
    json!({ "device_code": device_code, "user_code": "WDJB-MJHT", "verification_uri": "https://p.example/device",
        "expires_in": 1_200, "interval": 5 })
    .to_string()
}

/// Presses Continue: where the code is shown, and the page.
async fn shown(browser: &mut Browser, link: &Value) -> (String, String) {
    let url = link["redirect_url"].as_str().unwrap();
    assert_eq!(browser.get(url).await.status, 200);
    let begun = browser.submit(url, &[]).await;
    assert_eq!(begun.status, 303, "{}", begun.text());
    let page = begun.header("location").unwrap().to_owned();
    let html = browser.get(&page).await;
    assert_eq!(html.status, 200, "{}", html.text());
    (page, html.text())
}

/// The address that the page offers.
fn offered(html: &str) -> String {
    let link = html.split("<a ").find(|tag| tag.contains("target=\"_blank\"")).unwrap();
    link.split("href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .replace("&amp;", "&")
        .replace("&#x2f;", "/")
        .replace("&#x3d;", "=")
        .replace("&#x3d;", "=")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_connected_used_refreshed_and_revoked() {
    let world = World::certified().await;
    let (server, provider) = (&world.server, &world.provider);
    let link = world.link().await;
    let mut browser = Browser::new("alice");
    let (page, html) = shown(&mut browser, &link).await;
    assert_eq!(world.status(&link).await, "INITIATED");
    assert!(!html.contains("http-equiv"), "nothing reloads by itself: {html}");
    // The user goes there in another tab, and agrees.
    let Landing { reply, url } = browser.follow(&offered(&html), |_| false).await;
    let reply = reply.unwrap();
    assert_eq!(reply.status, 200, "{url}: {}", reply.text());
    until("the account to work", async || {
        server.clock.advance(Duration::from_secs(1));
        world.status(&link).await == "ACTIVE"
    })
    .await;
    let done = browser.get(&format!("{page}?done=1")).await;
    assert_eq!(done.status, 303, "{}", done.text());
    assert!(done.header("location").unwrap().contains("/link/done"), "{done:?}");
    let account = link["connected_account_id"].as_str().unwrap();
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(shown["identity"]["id"], "alice", "{shown}");
    let used = server.api.proxy_get(&world.session, "tk", "/api/me").await.expect(200);
    assert_eq!(used["data"]["sub"], "alice", "{used}");
    server.api.post(&format!("/connected_accounts/{account}/refresh"), &json!({})).await.expect(200);
    assert_eq!(provider.grants("refresh_token").await, 1);
    let deleted = server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    let receipt = crate::support::connected::finished(&server.api, deleted["revoke_job_id"].as_str().unwrap()).await;
    assert_eq!(receipt["revoked"], 1, "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_is_polled_at_its_interval() {
    let world = World::scripted().await;
    for _ in 0..2 {
        world.plays_once(400, r#"{"error":"authorization_pending"}"#).await;
    }
    world.plays_once(400, r#"{"error":"slow_down"}"#).await;
    world.plays_once(503, "<html>").await;
    world.plays("/token", 200, r#"{"access_token":"AT","expires_in":600}"#).await;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    let (page, html) = shown(&mut browser, &link).await;
    assert!(html.contains("WDJB-MJHT") && !html.contains("DC-secret"), "{html}");
    assert_eq!(offered(&html), "https://p.example/device");
    // Seconds from one question to the next; the interval grows when the provider says so, and a
    // provider that is unwell is asked half as often.
    for (number, pause) in [5, 5, 5, 10, 20].into_iter().enumerate() {
        world.server.clock.advance(Duration::from_secs(pause - 1));
        // Two looks of the server.
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert_eq!(world.asked().await, number, "not before its time");
        world.server.clock.advance(Duration::from_secs(1));
        until("the next question", async || world.asked().await == number + 1).await;
        // What it says is written down before the clock goes on.
        until("its outcome", async || {
            let database = rusqlite::Connection::open(world.server.database()).unwrap();
            let pending = "SELECT COUNT(*) FROM attempts WHERE consumed_at IS NULL AND poll_at > ?1 + 21000";
            let busy: i64 =
                database.query_row(pending, [world.server.app.core.now().as_millis()], |row| row.get(0)).unwrap();
            busy == 0
        })
        .await;
    }
    until("the account to work", async || world.status(&link).await == "ACTIVE").await;
    assert_eq!(browser.get(&page).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_error_ends_the_code_with_its_reason() {
    for (status, body, expected, words) in [
        (400, r#"{"error":"access_denied","error_description":"no"}"#, "FAILED", "didn’t allow access"),
        (400, r#"{"error":"expired_token"}"#, "EXPIRED", "expired"),
        (401, r#"{"error":"invalid_client"}"#, "FAILED", "invalid_client"),
        (400, r#"{"error":"invalid_grant","error_description":"what is DC-secret?"}"#, "FAILED", "what is"),
    ] {
        let world = World::scripted().await;
        world.plays("/token", status, body).await;
        let link = world.link().await;
        let mut browser = Browser::new("ann");
        let (page, _) = shown(&mut browser, &link).await;
        world.server.clock.advance(Duration::from_secs(5));
        let account = link["connected_account_id"].as_str().unwrap();
        until("the end", async || state(&world.server.api, account).await.1.is_some()).await;
        // The link is open for another code; when its time is over, the account has the reason.
        assert_eq!(world.status(&link).await, "INITIATED");
        let end = browser.get(&page).await.text();
        world.server.clock.advance(Duration::from_mins(10));
        world.server.app.sweeps.expire_links().await.unwrap();
        assert_eq!(world.status(&link).await, expected, "{body}");
        assert!(end.to_lowercase().contains(words) && !end.contains("DC-secret"), "{body}: {end}");
        let explained = world.server.api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200);
        assert!(!explained.to_string().contains("DC-secret"), "{explained}");
        assert_ne!(explained["code"], "other", "{explained}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_request_for_a_code_leaves_the_link_unchanged() {
    let world = World::scripted().await;
    world.provider.heal().await;
    world.provider.fault(&json!({ "path": "/device", "status": 503, "body": "{}", "times": 1 })).await;
    world.plays("/device", 200, &code_answer("DC-secret")).await;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    let url = link["redirect_url"].as_str().unwrap();
    let refused = browser.submit(url, &[]).await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    shown(&mut browser, &link).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_is_shown_only_to_the_browser_that_began() {
    let world = World::scripted().await;
    world.plays("/token", 400, r#"{"error":"authorization_pending"}"#).await;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    let (page, _) = shown(&mut browser, &link).await;
    let stranger = Browser::new("bob").get(&page).await;
    assert_eq!(stranger.status, 403);
    assert!(!stranger.text().contains("WDJB"), "{}", stranger.text());
    let (front, _) = page.rsplit_once('/').unwrap();
    assert_eq!(browser.get(&format!("{front}/la_unknown")).await.status, 404);
    // No callback finishes it: no browser comes back.
    let id = auth_config_id(&world).await;
    let state = page.rsplit_once('/').unwrap().1;
    for answer in ["code=x", "error=access_denied"] {
        let back = format!("{}/toolkits/auth/callback/{id}?state={state}&{answer}", world.server.api.base);
        assert_eq!(browser.get(&back).await.status, 400);
    }
    assert_eq!(world.status(&link).await, "INITIATED");
    // Beginning again makes another code; whichever is entered first counts, and then nothing is asked.
    world.provider.heal().await;
    world.plays("/device", 200, &code_answer("DC-second")).await;
    world.plays("/token", 200, r#"{"access_token":"AT","expires_in":600}"#).await;
    shown(&mut browser, &link).await;
    let old = browser.get(&page).await;
    assert_eq!(old.status, 200);
    assert!(old.text().contains("WDJB-MJHT"), "{}", old.text());
    let before = world.asked().await;
    world.server.clock.advance(Duration::from_secs(5));
    until("the account to work", async || world.status(&link).await == "ACTIVE").await;
    world.server.clock.advance(Duration::from_mins(1));
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert_eq!(world.asked().await, before + 1, "one code is spent");
    expect_done(&browser.get(&page).await);
    expect_page(&browser.get(&page).await, 200, "success");
}

async fn auth_config_id(world: &World) -> String {
    let listed = world.server.api.get("/auth_configs").await.expect(200);
    listed["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Two questions at once, when the first takes longer than others wait for it: the second is told that
/// the code is spent, while the first still learns who it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_the_tokens_were_issued_ends_nothing() {
    let world = World::scripted().await;
    world
        .provider
        .fault(&json!({ "path": "/token", "status": 200, "times": 1, "delay_ms": 1_500,
            "body": r#"{"access_token":"AT","expires_in":600}"# }))
        .await;
    let spent = r#"{"error":"invalid_grant"}"#;
    world.provider.fault(&json!({ "path": "/token", "status": 400, "body": spent, "delay_ms": 1_500 })).await;
    world
        .provider
        .fault(&json!({ "path": "/api/me", "status": 200, "body": r#"{"sub":"ann"}"#, "delay_ms": 4_000 }))
        .await;
    let link = world.link().await;
    let mut browser = Browser::new("ann");
    shown(&mut browser, &link).await;
    world.server.clock.advance(Duration::from_secs(5));
    until("the first question", async || world.asked().await == 1).await;
    // Its claim is over before its answer is there.
    world.server.clock.advance(Duration::from_mins(1));
    until("the second question", async || world.asked().await == 2).await;
    until("the account to work", async || world.status(&link).await == "ACTIVE").await;
}

/// The code outlives the link, and so does the browser's proof.
#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_outlives_the_code_and_the_link() {
    let world = World::scripted().await;
    world.plays("/token", 400, r#"{"error":"authorization_pending"}"#).await;
    let link = world.link().await;
    let url = link["redirect_url"].as_str().unwrap();
    let begun = Browser::new("ann").submit(url, &[]).await;
    let cookie = begun.header("set-cookie").unwrap();
    let (_, age) = cookie.split_once("Max-Age=").unwrap();
    assert!(age.parse::<u64>().unwrap() >= 1_200 + 600, "the code and the link: {cookie}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_poll_once() {
    let world = World::scripted().await;
    world.plays("/token", 200, r#"{"access_token":"AT","expires_in":600}"#).await;
    let _second = second_server(&world.server).await;
    let mut browser = Browser::new("ann");
    for _ in 0..5 {
        let link = world.link().await;
        shown(&mut browser, &link).await;
        let before = world.asked().await;
        world.server.clock.advance(Duration::from_secs(5));
        until("the account to work", async || world.status(&link).await == "ACTIVE").await;
        assert_eq!(world.asked().await, before + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_with_a_verifier_url_gets_no_device_links() {
    let provider = Provider::mock(&[]);
    let endpoint = format!("{}/device", provider.origin());
    let verifier = Some("https://app.test/verify".to_owned());
    let settings = ProjectSettings { oauth_callback_verifier_url: verifier, ..ProjectSettings::default() };
    let world = World::at(provider, &endpoint, "", settings).await;
    let path = format!("/tool_router/session/{}/link", world.session);
    world.server.api.post(&path, &json!({ "toolkit": "tk" })).await.expect_error(501, "HTTP_NotImplemented");
}

/// More codes than one look at the database finds are asked about in the same round.
#[tokio::test(flavor = "multi_thread")]
async fn one_round_polls_every_due_code() {
    const CODES: usize = 150;
    let world = World::scripted().await;
    world.plays("/token", 400, r#"{"error":"authorization_pending"}"#).await;
    for _ in 0..CODES {
        let link = world.link().await;
        shown(&mut Browser::new("alice"), &link).await;
    }
    // From here on, a round is what the test makes it: this server's jobs are over.
    world.server.app.core.stopping.cancel();
    let url = format!("{}/livez", world.server.url);
    until("the server to be gone", async || Http::new().try_send("GET", &url, &[], "").await.is_err()).await;
    world.server.clock.advance(Duration::from_secs(6));
    assert_eq!(world.asked().await, 0);
    let app = second_app(&world.server).await;
    app.connector.poll_due_attempts(&Arc::new(Semaphore::new(16))).await.unwrap();
    app.core.tasks.close();
    app.core.tasks.wait().await;
    assert_eq!(world.asked().await, CODES);
}
