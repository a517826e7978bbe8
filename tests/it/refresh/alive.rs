//! Accounts that nobody uses stay alive: the service refreshes them before they end.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use switchboard::config::Layer;

use crate::support::providers::Provider;
use crate::support::server::TestServer;
use crate::support::wait::until;

const ACCOUNTS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_refreshed_once_without_anybody() {
    let provider = Provider::mock(&["--access-ttl", "7200"]);
    let layer = Layer { keep_accounts_alive: Some(true), ..Layer::default() };
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "")).layer(layer).start().await;
    let auth_config = provider.auth_config(&server.api, "tk").await;
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        let val = json!({ "status": "ACTIVE", "access_token": format!("access-{number}"),
            "refresh_token": format!("refresh-{number}"), "expires_in": 3600 });
        let body = json!({ "auth_config": { "id": auth_config }, "connection": {
            "user_id": format!("user-{number}"), "state": { "authScheme": "OAUTH2", "val": val } } });
        let made = server.api.post("/connected_accounts", &body).await.expect(201);
        accounts.push(made["id"].as_str().unwrap().to_owned());
    }
    // A minute before their end, all are due.
    server.clock.advance(Duration::from_mins(59));
    until("every account to be refreshed", async || {
        let sent = provider.grants("refresh_token").await;
        if sent >= ACCOUNTS { Ok(()) } else { Err(sent) }
    })
    .await;
    server.clock.advance(Duration::from_mins(5));
    for account in &accounts {
        let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        assert_eq!(shown["status"], "ACTIVE", "{shown}");
    }
    let requests = provider.token_requests().await;
    let bodies: BTreeSet<&str> = requests.iter().filter_map(|it| it["body"].as_str()).collect();
    assert_eq!((requests.len(), bodies.len()), (ACCOUNTS, ACCOUNTS), "each once");
}
