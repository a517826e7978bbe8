//! `…/explain`: a developer asks what happened to a connection, and gets an explanation with the
//! provider's own words and without a secret.

mod accounts;
mod calls;
mod links;

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// A provider, a server that knows it as `tk`, and a session.
struct World {
    provider: Provider,
    server: TestServer,
    session: String,
    config: String,
}

impl World {
    async fn at(provider: Provider) -> Self {
        let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "")).start().await;
        let config = provider.auth_config(&server.api, "tk").await;
        let session = server.api.session("user-1", "tk").await;
        Self { provider, server, session, config }
    }

    async fn link(&self) -> Link {
        let link = self.server.api.link(&self.session, "tk").await;
        let text = |name: &str| link[name].as_str().unwrap().to_owned();
        Link { account: text("connected_account_id"), token: text("link_token"), page: text("redirect_url") }
    }

    /// A link whose user agrees to everything.
    async fn connected(&self) -> Link {
        let link = self.link().await;
        Browser::new("alice").follow(&link.page, |_| false).await;
        assert_eq!(self.server.api.status(&link.account).await, "ACTIVE");
        link
    }

    async fn explain(&self, link: &Link) -> Value {
        explain(&self.server.api, &link.account).await
    }

    /// Uses the account.
    async fn call(&self) -> u16 {
        self.server.api.proxy_get(&self.session, "tk", "/api/me").await.status
    }

    /// The token dies, and the pause after a failure is over.
    fn advance(&self) {
        self.server.clock.advance(Duration::from_hours(1));
    }

    async fn fault(&self, status: u16, body: &Value) {
        self.provider.fault(&json!({ "path": "/token", "status": status, "body": body.to_string() })).await;
    }
}

struct Link {
    account: String,
    token: String,
    page: String,
}

impl Link {
    /// The public part of the token.
    fn id(&self) -> &str {
        &self.token[..23]
    }
}

async fn explain(api: &Api, account: &str) -> Value {
    let answer = api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200);
    assert_eq!(answer["connected_account_id"], account);
    assert_eq!(answer["status"], api.status(account).await);
    let is_sound = |name: &str| answer[name].is_null() || answer[name].as_str().is_some_and(|it| it.ends_with('.'));
    assert!(is_sound("summary") && is_sound("cause") && is_sound("fix"), "{answer}");
    assert!(!answer.to_string().contains("{toolkit}") && !answer.to_string().contains("{auth_config}"), "{answer}");
    answer
}

/// Event and outcome of every line.
fn told(answer: &Value) -> Vec<String> {
    let line = |it: &Value| format!("{} {}", it["event"].as_str().unwrap(), it["outcome"].as_str().unwrap());
    answer["timeline"].as_array().unwrap().iter().map(line).collect()
}

fn line<'a>(answer: &'a Value, event: &str) -> &'a Value {
    answer["timeline"].as_array().unwrap().iter().rfind(|it| it["event"] == event).unwrap_or_else(|| panic!("{answer}"))
}

fn has(value: &Value, part: &str) -> bool {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).contains(part)
}
