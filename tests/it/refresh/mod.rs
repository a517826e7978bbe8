//! Tokens that expire: one refresh per rotation, whatever happens around it.

mod failures;
mod outage;
mod races;
mod refused;

use std::sync::Arc;
use std::time::Duration;

use switchboard::config::Layer;
use switchboard::server::{self, Surroundings};

use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// An account that is ACTIVE at a provider, and the session that uses it.
struct Connected {
    server: TestServer,
    session: String,
    account: String,
}

impl Connected {
    /// Connects alice through toolkit `tk`.
    async fn at(provider: &Provider, more: &str) -> Self {
        let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", more)).start().await;
        provider.auth_config(&server.api, "tk").await;
        let session = server.api.session("user-1", "tk").await;
        let link = server.api.link(&session, "tk").await;
        let account = link["connected_account_id"].as_str().unwrap().to_owned();
        Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
        assert_eq!(server.api.status(&account).await, "ACTIVE");
        Self { server, session, account }
    }

    /// The access token dies.
    fn expire(&self) {
        self.server.clock.advance(Duration::from_hours(1));
    }

    /// Uses the account; the HTTP status of the answer.
    async fn call(&self) -> u16 {
        self.server.api.proxy_get(&self.session, "tk", "/api/me").await.status
    }

    async fn status(&self) -> (String, String) {
        let account = self.server.api.get(&format!("/connected_accounts/{}", self.account)).await.expect(200);
        let text = |name: &str| account[name].as_str().unwrap_or_default().to_owned();
        (text("status"), text("status_reason"))
    }
}

/// Another server on the same database and master key, with the same clock.
async fn second_server(connected: &Connected) -> Api {
    let first = &connected.server;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let layer = Layer {
        listen: Some(listener.local_addr().unwrap().to_string()),
        data_dir: Some(first.dir.path().to_owned()),
        toolkits: Some(vec![first.dir.path().join("toolkits")]),
        keep_accounts_alive: Some(false),
        ..Layer::default()
    };
    let config = layer.over(Layer::defaults().unwrap()).check().unwrap();
    let url = config.settings.public_url.clone();
    let surroundings =
        Surroundings { clock: Arc::new(first.clock.clone()), allow_loopback: true, ..Surroundings::default() };
    let app = server::open(config, surroundings).await.unwrap();
    let router = switchboard::api::router(&app);
    tokio::spawn(server::serve(app, router, listener));
    Api::new(&url, &first.api.key)
}
