//! The process dies between the provider's answer and our commit (R37, F02): the token that was
//! bought is lost, and what follows depends on the provider, never on luck.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::server::Environment;
use tempfile::TempDir;

use crate::support::browser::Browser;
use crate::support::clock::ManualClock;
use crate::support::connected::{connect, server_on};
use crate::support::http::{Api, Reply};
use crate::support::process::{Dev, own_address};
use crate::support::providers::Provider;
use crate::support::wait::{until, within};

/// Seconds that an access token lives: what a test waits for in real time.
const ACCESS_TTL: &str = "3";
/// Longer than a lease, which outlives its holder.
const PATIENCE: Duration = Duration::from_mins(1);

/// The files of a `dev` that has a provider as toolkit `tk`.
pub struct Files {
    folder: TempDir,
    listen: String,
}

impl Files {
    pub fn of(provider: &Provider) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("toolkits/tk")).unwrap();
        std::fs::write(folder.path().join("toolkits/tk/toolkit.toml"), provider.toolkit("tk", "")).unwrap();
        let listen = own_address();
        Self { folder, listen }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn toolkits(&self) -> PathBuf {
        self.folder.path().join("toolkits")
    }

    /// Starts a server on a port of its own, the same each time; with a place, it ends there.
    fn start(&self, place: Option<&str>) -> Dev {
        let toolkits = self.toolkits();
        let arguments = ["--log", "off", "--toolkits", toolkits.to_str().unwrap()];
        match place {
            Some(place) => Dev::start_until(place, &self.listen, &self.data(), &arguments),
            None => Dev::start_on(&self.listen, &self.data(), &arguments, Stdio::null()),
        }
    }

    /// Starts one more server, on any port.
    pub fn start_another(&self) -> Dev {
        Dev::start(&self.data(), &["--log", "off", "--toolkits", self.toolkits().to_str().unwrap()])
    }
}

/// A call that may lose its server: none then.
pub async fn call(api: &Api, session: &str) -> Option<Reply> {
    let url = format!("{}/tool_router/session/{session}/proxy_execute", api.base);
    let headers = [("x-api-key", api.key.as_str()), ("content-type", "application/json")];
    let body = json!({ "toolkit_slug": "tk", "endpoint": "/api/me", "method": "GET" });
    api.http.try_send("POST", &url, &headers, body.to_string()).await.ok()
}

/// An account whose server died in the middle of its first refresh, and a new server.
struct Interrupted {
    provider: Provider,
    _files: Files,
    _dev: Dev,
    api: Api,
    session: String,
    account: String,
}

impl Interrupted {
    async fn at(provider: Provider) -> Self {
        let files = Files::of(&provider);
        let mut dev = files.start(Some("after_token_response"));
        let api = dev.api();
        provider.auth_config(&api, "tk").await;
        let (session, account) = connect(&api, "user-1", "tk").await;
        // The token gets old, a call refreshes it, the server dies.
        until("the end of the server", async || match call(&api, &session).await {
            Some(reply) => Err(reply.expect(200)),
            None => Ok(()),
        })
        .await;
        assert_eq!(dev.child.wait().unwrap().code(), None, "ended by a signal");
        assert_eq!(provider.grants("refresh_token").await, 1);
        let dev = files.start(None);
        assert_eq!(api.status(&account).await, "ACTIVE", "the loss is not known yet");
        Self { provider, _files: files, _dev: dev, api, session, account }
    }

    /// Calls until the provider was asked again; the first answer after that.
    async fn decided(&self) -> Reply {
        within(PATIENCE, "another try", async || {
            let reply = call(&self.api, &self.session).await.unwrap();
            let is_over = reply.status != 503 && self.provider.grants("refresh_token").await > 1;
            if is_over { Ok(reply) } else { Err(reply.text()) }
        })
        .await
    }

    async fn read(&self) -> Value {
        self.api.get(&format!("/connected_accounts/{}", self.account)).await.expect(200)
    }

    /// The old token was tried once, and there was nothing to get.
    async fn expires_for_good(self) {
        let reply = self.decided().await;
        assert!(reply.status == 422 || reply.status == 404, "{}", reply.text());
        let account = self.read().await;
        assert_eq!(account["status"], "EXPIRED", "{account}");
        assert!(account["status_reason"].as_str().unwrap().starts_with("refresh_interrupted"), "{account}");
        for _ in 0..5 {
            let reply = call(&self.api, &self.session).await.unwrap();
            assert!(reply.status == 422 || reply.status == 404, "{}", reply.text());
        }
        assert_eq!(self.provider.grants("refresh_token").await, 2, "one more try, and never a loop");
    }

    /// The same without a call: the server refreshes the account by itself, as soon as the lease of
    /// the killed server is over, which is within the grace period.
    async fn recovers_alone(self) {
        within(PATIENCE, "another try", async || self.provider.grants("refresh_token").await > 1).await;
        self.goes_on().await;
    }

    /// The old token was tried once and is good for others, and so are those.
    async fn recovers(self) {
        self.decided().await.expect(200);
        assert_eq!(self.provider.grants("refresh_token").await, 2, "one try was enough");
        self.goes_on().await;
    }

    async fn goes_on(&self) {
        // In its grace period Django repeats the answer that was lost, whose access token is older than
        // it says. That of the next refresh is new in any case.
        until("a further refresh", async || {
            let answer = call(&self.api, &self.session).await.unwrap().expect(200);
            let is_over = self.provider.grants("refresh_token").await > 2 && answer["data"]["sub"] == "alice";
            if is_over { Ok(()) } else { Err(answer) }
        })
        .await;
        assert_eq!(self.read().await["status"], "ACTIVE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_cut_short_by_kill_9_is_tried_once_more_and_ends_as_the_provider_says() {
    let ttl = ["--access-ttl", ACCESS_TTL];
    let rotating = async { Interrupted::at(Provider::oidc(&ttl)).await.expires_for_good().await };
    let graceful = [&ttl[..], &["--grace", "30", "--no-reuse-protection"]].concat();
    let forgiving = async { Interrupted::at(Provider::django(&graceful)).await.recovers().await };
    let stable = [&ttl[..], &["--no-rotate"]].concat();
    let repeating = async { Interrupted::at(Provider::oidc(&stable)).await.recovers().await };
    let alone = async { Interrupted::at(Provider::django(&graceful)).await.recovers_alone().await };
    // Together: each has to wait for the lease of the dead.
    tokio::join!(rotating, forgiving, repeating, alone);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_cut_short_by_kill_9_ends_with_a_reason_and_nothing_is_active() {
    let provider = Provider::oidc(&[]);
    let files = Files::of(&provider);
    let mut dev = files.start(Some("after_code_response"));
    let api = dev.api();
    let config = provider.auth_config(&api, "tk").await;
    let session = api.session("user-1", "tk").await;
    let link = api.link(&session, "tk").await;
    let account = link["connected_account_id"].as_str().unwrap();
    let mut browser = Browser::new("alice");
    let is_callback = |url: &url::Url| url.path().contains("/toolkits/auth/callback/");
    let callback = browser.follow(link["redirect_url"].as_str().unwrap(), is_callback).await.url;
    let leaving = tokio::spawn({
        let (mut browser, callback) = (browser.clone(), callback.clone());
        async move { browser.get(callback.as_str()).await }
    });
    assert!(leaving.await.is_err(), "the server died on the browser");
    assert_eq!(dev.child.wait().unwrap().code(), None, "ended by a signal");

    let mut dev = files.start(None);
    // The browser tries again: its code may be at the provider still, and is not sent twice.
    assert_eq!(browser.get(callback.as_str()).await.status, 503);
    assert_eq!(provider.grants("authorization_code").await, 1);
    assert_ne!(api.status(account).await, "ACTIVE");
    assert_eq!(call(&api, &session).await.unwrap().status, 404, "there is nothing to use");
    dev.kill();

    // Half an hour later, on a clock that can be moved.
    let clock = ManualClock::new();
    clock.advance(Duration::from_mins(30));
    let environment = Environment { clock: Arc::new(clock), allow_loopback: true, ..Environment::default() };
    let api = server_on(&files.data(), &files.toolkits(), environment, BTreeMap::new(), &api.key).await;
    let ended = until("the end of the link", async || {
        let read = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        if read["status"] == "EXPIRED" { Ok(read) } else { Err(read) }
    })
    .await;
    let reason = ended["status_reason"].as_str().unwrap();
    assert!(reason.contains("did not complete within"), "{reason}");
    assert_eq!(api.get("/connected_accounts?statuses=ACTIVE").await.expect(200)["total_items"], 0);
    assert_eq!(provider.grants("authorization_code").await, 1);
    provider.admit(&format!("{}/toolkits/auth/callback/{config}", api.base)).await;
    let (session, _) = connect(&api, "user-1", "tk").await;
    assert_eq!(api.proxy_get(&session, "tk", "/api/me").await.expect(200)["data"]["sub"], "alice");
}
