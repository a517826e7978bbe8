//! What a server remembers of keys, accounts and credentials is exact: a change by another server on the same database
//! has effect at the next call.

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{KEY, connect_key, proxy, sql, text, with_upstream};
use crate::support::connected::second_server;
use crate::support::http::Api;

/// [`KEY`] in responses of a project that masks secrets.
const MASKED: &str = "key-...";

fn call() -> Value {
    json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" })
}

async fn switch(api: &Api, kind: &str, id: &str, status: &str) {
    let url = format!("/{kind}/{id}/{status}");
    let body = json!({ "enabled": status == "ENABLED" }).to_string();
    if kind == "auth_configs" {
        api.call("PATCH", &url, String::new()).await.expect(200);
    } else {
        api.call("PATCH", &format!("/{kind}/{id}/status"), body).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_another_server_has_effect_at_the_next_call() {
    let (server, upstream) = with_upstream().await;
    let (api, other) = (&server.api, second_server(&server).await);
    let (session, account) = connect_key(api, "u", "up").await;
    let config = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    let config = text(&config["auth_config"], "id");
    for _ in 0..3 {
        assert_eq!(proxy(api, &session, &call()).await.expect(200)["status"], 200);
    }
    for (kind, id) in [("auth_configs", &config), ("connected_accounts", &account)] {
        switch(&other, kind, id, "DISABLED").await;
        upstream.take();
        proxy(api, &session, &call()).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
        assert!(upstream.take().is_empty(), "{kind}");
        switch(&other, kind, id, "ENABLED").await;
        assert_eq!(proxy(api, &session, &call()).await.expect(200)["status"], 200, "{kind}");
    }
    other.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    upstream.take();
    proxy(api, &session, &call()).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shown_account_is_as_the_last_change_by_another_server_left_it() {
    let (server, _upstream) = with_upstream().await;
    let (api, other) = (&server.api, second_server(&server).await);
    // The secrets of a managed auth config are never shown.
    let own =
        json!({ "toolkit": { "slug": "up" }, "auth_config": { "type": "use_custom_auth", "authScheme": "API_KEY" } });
    api.call("POST", "/auth_configs", own.to_string()).await.expect(201);
    let (_, account) = connect_key(api, "u", "up").await;
    let path = format!("/connected_accounts/{account}");
    let shown = async || {
        let shown = api.get(&path).await.expect(200);
        assert_eq!(api.get(&path).await.expect(200), shown);
        shown
    };
    let first = shown().await;
    assert_eq!((text(&first, "status"), &first["alias"]), ("ACTIVE".to_owned(), &Value::Null));
    assert_eq!(first["state"]["val"]["generic_api_key"], MASKED);
    other.call("PATCH", &path, json!({ "alias": "work" }).to_string()).await.expect(200);
    assert_eq!(shown().await["alias"], "work");
    let config = text(&first["auth_config"], "id");
    for (kind, id) in [("auth_configs", &config), ("connected_accounts", &account)] {
        switch(&other, kind, id, "DISABLED").await;
        assert_eq!(shown().await["status"], "INACTIVE", "{kind}");
        switch(&other, kind, id, "ENABLED").await;
        assert_eq!(shown().await["status"], "ACTIVE", "{kind}");
    }
    let masking = |mask: bool| json!({ "mask_secret_keys_in_connected_account": mask }).to_string();
    other.call("PATCH", "/org/project/config", masking(false)).await.expect(200);
    assert_eq!(shown().await["state"]["val"]["generic_api_key"], KEY);
    other.call("PATCH", "/org/project/config", masking(true)).await.expect(200);
    assert_eq!(shown().await["state"]["val"]["generic_api_key"], MASKED);
    other.delete(&path).await.expect(200);
    api.get(&path).await.expect_error(404, "ConnectedAccount_ResourceNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_account_or_credential_is_used_at_the_next_call() {
    let (server, upstream) = with_upstream().await;
    let (api, other) = (&server.api, second_server(&server).await);
    let (session, account) = connect_key(api, "u", "up").await;
    proxy(api, &session, &call()).await.expect(200);
    assert!(upstream.only().contains(&format!("authorization: Key {KEY}")));
    let changed = json!({ "connection": { "state": { "authScheme": "API_KEY", "val": { "generic_api_key": "another-key-4711" } } } });
    other.call("PATCH", &format!("/connected_accounts/{account}"), changed.to_string()).await.expect(200);
    proxy(api, &session, &call()).await.expect(200);
    assert!(upstream.only().contains("authorization: Key another-key-4711"));
    server.clock.advance(Duration::from_secs(1));
    connect_key(&other, "u", "up").await;
    upstream.take();
    proxy(api, &session, &call()).await.expect(200);
    assert!(upstream.only().contains(&format!("authorization: Key {KEY}")), "the newest account is used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_through_another_server_is_refused_at_the_next_request() {
    let (server, _upstream) = with_upstream().await;
    let (api, other) = (&server.api, second_server(&server).await);
    for _ in 0..3 {
        api.get("/connected_accounts").await.expect(200);
    }
    other.call("POST", "/api_key_revocation", json!({ "api_keys": [api.key] }).to_string()).await.expect(200);
    api.get("/connected_accounts").await.expect_error(401, "HTTP_Unauthorized");
    let revoked = sql(&server.database(), "SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL");
    assert_eq!(revoked, json!([[1]]));
}
