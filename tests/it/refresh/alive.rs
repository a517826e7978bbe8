//! Unused accounts stay valid: the service refreshes their tokens before they expire.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::DateTime;
use serde_json::json;
use switchboard::config::Layer;

use crate::support::providers::Provider;
use crate::support::server::TestServer;
use crate::support::wait::until;
use switchboard_types::AccountParams;

const ACCOUNTS: usize = 300;

/// Accounts that were made with their credential, which lives for an hour.
async fn import(server: &TestServer, auth_config: &str, count: usize) -> Vec<String> {
    let mut accounts = Vec::new();
    for number in 0..count {
        let val = json!({ "status": "ACTIVE", "access_token": format!("access-{number}"),
            "refresh_token": format!("refresh-{number}"), "expires_in": 3600 });
        let body = json!({ "auth_config": { "id": auth_config }, "connection": {
            "user_id": format!("user-{number}"), "state": { "authScheme": "OAUTH2", "val": val } } });
        let made = server.api.post("/connected_accounts", &body).await.expect(201);
        accounts.push(made["id"].as_str().unwrap().to_owned());
    }
    accounts
}

fn kept_alive() -> Layer {
    Layer { keep_accounts_alive: Some(true), ..Layer::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_account_is_refreshed_once_without_a_call() {
    let provider = Provider::mock(&["--access-ttl", "7200"]);
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "")).layer(kept_alive()).start().await;
    let auth_config = provider.auth_config(&server.api, "tk").await;
    let accounts = import(&server, &auth_config, ACCOUNTS).await;
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

/// R39: five minutes before the end, and up to as much again earlier by chance.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_one_hour_is_due_five_to_ten_minutes_before_it_expires() {
    let provider = Provider::mock(&[]);
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "")).start().await;
    let auth_config = provider.auth_config(&server.api, "tk").await;
    let mut seconds = BTreeSet::new();
    for account in import(&server, &auth_config, 40).await {
        let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        let time = |name: &str| DateTime::parse_from_rfc3339(shown["lifetime"][name].as_str().unwrap()).unwrap();
        seconds.insert((time("access_token_expires_at") - time("refresh_due_at")).num_seconds());
    }
    assert!(seconds.iter().all(|before| (300..=600).contains(before)), "{seconds:?}");
    assert!(seconds.last().unwrap() - seconds.first().unwrap() > 60, "they are spread: {seconds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_cannot_be_refreshed_does_not_delay_others() {
    let provider = Provider::mock(&["--access-ttl", "7200"]);
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "")).layer(kept_alive()).start().await;
    let auth_config = provider.auth_config(&server.api, "tk").await;
    let accounts = import(&server, &auth_config, ACCOUNTS).await;
    let database = rusqlite::Connection::open(server.database()).unwrap();
    let (last, others) = accounts.split_last().unwrap();
    // More than are looked at in one go, and longer due: of a toolkit that this server does not have,
    // and with a credential that it cannot open.
    for (number, id) in others.iter().enumerate() {
        let change = if number % 2 == 0 { "toolkit = 'gone'" } else { "credential_sealed = x'00'" };
        let sql = format!("UPDATE connected_accounts SET {change}, refresh_due_at = 1 WHERE id = ?1");
        database.execute(&sql, [id]).unwrap();
    }
    server.clock.advance(Duration::from_mins(59));
    until("the last to be refreshed", async || provider.grants("refresh_token").await == 1).await;
    assert_eq!(server.api.status(last).await, "ACTIVE");
    // Those that nothing was done for are not tried again and again.
    let count = "SELECT COUNT(*) FROM connected_accounts WHERE refresh_due_at = 1 AND toolkit = 'tk'";
    until("the others to be put off", async || database.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap() == 0)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_s_server_that_is_down_does_not_delay_others() {
    let (well, ill) = (Provider::mock(&["--access-ttl", "7200"]), Provider::mock(&["--access-ttl", "7200"]));
    // The address of the token endpoint is the account's own.
    let token = format!("token_url = \"{}\"", well.text("token_endpoint"));
    let file = well.toolkit("tk", "").replace(&token, "token_url = \"{sandbox_url}/token\"");
    let server = TestServer::builder().toolkit("tk", &file).layer(kept_alive()).start().await;
    let auth_config = well.auth_config(&server.api, "tk").await;
    let database = rusqlite::Connection::open(server.database()).unwrap();
    ill.fault(&json!({ "path": "/token", "status": 503 })).await;
    let accounts = import(&server, &auth_config, 40).await;
    let (of_ill, of_well) = accounts.split_at(20);
    for (provider, accounts) in [(&ill, of_ill), (&well, of_well)] {
        for id in accounts {
            // Its credential is sealed for where it goes.
            let row = server.app.core.store.account(&server.project_id, &id.as_str().into()).await.unwrap().unwrap();
            let secrets = server.app.credentials.open_credential(&row).unwrap();
            let fields = BTreeMap::from([("sandbox_url".to_owned(), provider.origin())]);
            let params = AccountParams { fields, ..(*row.params).clone() };
            let sealed = server.app.credentials.seal_credential(&(&row).into(), &params, &secrets);
            let sql =
                "UPDATE connected_accounts SET params = ?1, credential_sealed = ?2, refresh_due_at = 1 WHERE id = ?3";
            database.execute(sql, (params.to_text(), sealed, id)).unwrap();
        }
        // One is left alone after a few tries; it stands in the other's way no more than that.
        until("its accounts", async || provider.grants("refresh_token").await >= 5).await;
    }
    until("the well one's accounts", async || well.grants("refresh_token").await == 20).await;
    let asked = ill.grants("refresh_token").await;
    assert!(asked <= 24, "{asked}");
    for account in &accounts {
        assert_eq!(server.api.status(account).await, "ACTIVE");
    }
    ill.heal().await;
    let refreshed = "SELECT COUNT(*) FROM connected_accounts WHERE credential_version > 1";
    until("the ill one's accounts", async || {
        server.clock.advance(Duration::from_secs(5));
        database.query_row(refreshed, [], |row| row.get::<_, i64>(0)).unwrap() == 40
    })
    .await;
}
