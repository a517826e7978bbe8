//! An account that is ACTIVE at a real provider, and further servers on the database that holds it.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use switchboard::app::{App, ManagedClient};
use switchboard::config::Layer;
use switchboard::server::{self, Environment};
use tokio::net::TcpListener;

use super::browser::Browser;
use super::http::Api;
use super::providers::Provider;
use super::server::TestServer;
use super::wait::until;

/// A server, a session of `user-1`, and the account that it uses.
pub struct Connected {
    pub server: TestServer,
    pub session: String,
    pub account: String,
}

impl Connected {
    /// Connects alice through toolkit `tk`; `more` goes into its `[oauth2]`.
    pub async fn at(provider: &Provider, more: &str) -> Self {
        let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", more)).start().await;
        provider.auth_config(&server.api, "tk").await;
        let (session, account) = connect(&server.api, "user-1", "tk").await;
        Self { server, session, account }
    }

    /// The same, with the provider's revocation endpoint in the toolkit.
    pub async fn revocable(provider: &Provider, more: &str) -> Self {
        let endpoint = provider.text("revocation_endpoint");
        Self::at(provider, &format!("revocation_url = \"{endpoint}\"\n{more}")).await
    }

    /// The access token dies.
    pub fn expire(&self) {
        self.server.clock.advance(Duration::from_hours(1));
    }

    /// Uses the account; the HTTP status of the answer.
    pub async fn call(&self) -> u16 {
        self.server.api.proxy_get(&self.session, "tk", "/api/me").await.status
    }

    /// Uses the account while its token is over and cannot be renewed: 503 with a code of its own; the
    /// seconds of `Retry-After`.
    pub async fn paused(&self) -> u64 {
        let reply = self.server.api.proxy_get(&self.session, "tk", "/api/me").await;
        let error = reply.expect_error(503, "provider_paused");
        let seconds = reply.header("retry-after").unwrap().parse().unwrap();
        assert!(error["message"].as_str().unwrap().ends_with(&format!("; next try in {seconds} s")), "{error}");
        assert_eq!(reply.header("x-should-retry"), None, "nothing was done, so it may be repeated");
        seconds
    }

    /// Status and reason.
    pub async fn status(&self) -> (String, String) {
        let account = self.server.api.get(&format!("/connected_accounts/{}", self.account)).await.expect(200);
        let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
        (text("status"), text("status_reason"))
    }

    /// Access and refresh token, read past the API.
    pub async fn tokens(&self) -> (String, String) {
        let row = self
            .server
            .app
            .core
            .store
            .account(&self.server.project_id, &self.account.as_str().into())
            .await
            .unwrap()
            .unwrap();
        let secrets = self.server.app.credentials.open_credential(&row).unwrap();
        (secrets.get("access_token").unwrap().to_owned(), secrets.get("refresh_token").unwrap().to_owned())
    }

    /// Deletes the account; the job that revokes its credential.
    pub async fn delete(&self) -> String {
        let deleted = self.server.api.delete(&format!("/connected_accounts/{}", self.account)).await.expect(200);
        deleted["revoke_job_id"].as_str().unwrap().to_owned()
    }
}

/// Connects alice for a user by OAuth, in a browser of her own; session and account.
pub async fn connect(api: &Api, user: &str, toolkit: &str) -> (String, String) {
    let session = api.session(user, toolkit).await;
    let link = api.link(&session, toolkit).await;
    let account = link["connected_account_id"].as_str().unwrap().to_owned();
    Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
    assert_eq!(api.status(&account).await, "ACTIVE");
    (session, account)
}

/// The receipt of a job, once it says what is wanted.
pub async fn receipt_when(api: &Api, job: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until("the receipt", async || {
        let receipt = api.get(&format!("/revoke_jobs/{job}")).await.expect(200);
        if wanted(&receipt) { Ok(receipt) } else { Err(receipt) }
    })
    .await
}

/// The receipt of a job that is finished.
pub async fn finished(api: &Api, job: &str) -> Value {
    receipt_when(api, job, |receipt| receipt["status"] == "finished").await
}

/// Another server on the same database, files and master key, with the same clock.
pub async fn second_server(first: &TestServer) -> Api {
    second_server_with(first, BTreeMap::new()).await
}

/// The same with clients of the operator.
pub async fn second_server_with(first: &TestServer, managed: BTreeMap<String, ManagedClient>) -> Api {
    let toolkits = first.dir.path().join("toolkits");
    server_on(first.dir.path(), &toolkits, surroundings_of(first), managed, &first.api.key).await
}

fn surroundings_of(first: &TestServer) -> Environment {
    Environment {
        clock: Arc::new(first.clock.clone()),
        builtins: first.app.core.builtins.clone(),
        allow_loopback: true,
        with_sandbox: true,
        ..Environment::default()
    }
}

/// A server in this process on files that another made; a client with a key that it knows.
pub async fn server_on(
    data: &Path,
    toolkits: &Path,
    environment: Environment,
    managed: BTreeMap<String, ManagedClient>,
    key: &str,
) -> Api {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let app = app_on(data, toolkits, environment, managed, &listener).await;
    let url = app.core.settings.public_url.clone();
    let service = switchboard::api::Api::new(&app);
    tokio::spawn(server::serve(app, service, listener));
    Api::new(&url, key)
}

/// The application of another server on the same files, which serves no requests and has no jobs.
pub async fn second_app(first: &TestServer) -> Arc<App> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let toolkits = first.dir.path().join("toolkits");
    app_on(first.dir.path(), &toolkits, surroundings_of(first), BTreeMap::new(), &listener).await
}

async fn app_on(
    data: &Path,
    toolkits: &Path,
    environment: Environment,
    managed: BTreeMap<String, ManagedClient>,
    listener: &TcpListener,
) -> Arc<App> {
    let layer = Layer {
        listen: Some(listener.local_addr().unwrap().to_string()),
        data_dir: Some(data.to_owned()),
        toolkits: Some(vec![toolkits.to_owned()]),
        // Tests say when a token is refreshed.
        keep_accounts_alive: Some(false),
        ..Layer::default()
    };
    let mut config = layer.overlay(Layer::defaults().unwrap()).check().unwrap();
    config.settings.managed = managed;
    server::open(config, environment).await.unwrap()
}

/// Tells the servers on a database that a test has changed rows of keys or accounts in it, as a server does for its own
/// changes.
pub fn announce_change(database: &Path) {
    let mut file = database.as_os_str().to_owned();
    file.push(".generations");
    if let Ok(file) = OpenOptions::new().write(true).open(file) {
        for offset in [0, 8] {
            let even = rand::random::<u64>() & !1;
            file.write_all_at(&even.to_ne_bytes(), offset).unwrap();
        }
    }
}
