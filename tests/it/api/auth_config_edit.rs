//! `PATCH /auth_configs/{id}` and `…/{status}`.

use serde_json::{Value, json};
use switchboard::id::Kind;
use tokio::task::JoinSet;

use super::help::{auth_config, connect_key, http, on_session, proxy, text, unknown, with_upstream};
use crate::connect::flow::{expect_done, expect_page, mock, offer, until_callback, with_mock};
use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

/// A tool of the sandbox.
const TOOL: &str = "SANDBOX_LIST_NOTES";

pub async fn patch(api: &Api, id: &str, body: &Value) -> Reply {
    api.call("PATCH", &format!("/auth_configs/{id}"), body.to_string()).await
}

async fn switch(api: &Api, id: &str, word: &str) -> Reply {
    api.call("PATCH", &format!("/auth_configs/{id}/{word}"), "").await
}

pub async fn read(api: &Api, id: &str) -> Value {
    api.get(&format!("/auth_configs/{id}")).await.expect(200)
}

pub async fn create(api: &Api, toolkit: &str, config: &Value) -> String {
    let body = json!({ "toolkit": { "slug": toolkit }, "auth_config": config });
    text(&api.post("/auth_configs", &body).await.expect(201)["auth_config"], "id")
}

fn own_client() -> Value {
    json!({ "type": "use_custom_auth", "authScheme": "OAUTH2", "name": "first", "credentials": {
        "client_id": "my-client", "client_secret": "canary-secret", "scopes": ["notes:read"], "user_scopes": "u:read",
        "oauth_redirect_uri": "https://app.example.com/cb",
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_fields_stay_and_given_fields_are_merged() {
    let server = TestServer::start().await;
    let api = &server.api;
    let id = create(api, "sandbox", &own_client()).await;
    let before = read(api, &id).await;
    let done = patch(api, &id, &json!({ "type": "custom" })).await.expect(200);
    assert_eq!(done, json!({ "success": true, "message": "Auth config updated" }));
    let mut after = read(api, &id).await;
    assert!(text(&after, "last_updated_at") > text(&before, "last_updated_at"), "within the same millisecond");
    after["last_updated_at"] = before["last_updated_at"].clone();
    assert_eq!(after, before);

    let steps = [
        (json!({ "name": "second" }), "/name", json!("second")),
        (json!({ "credentials": { "client_id": "other" } }), "/credentials/client_id", json!("other")),
        (json!({ "credentials": { "scopes": "a,b c" } }), "/credentials/scopes", json!(["a", "b", "c"])),
        (json!({ "credentials": { "scopes": [] } }), "/credentials/scopes", Value::Null),
        (json!({ "credentials": { "user_scopes": "" } }), "/credentials/user_scopes", Value::Null),
        (json!({ "credentials": { "scopes": ["z"] } }), "/credentials/scopes", json!(["z"])),
        (json!({ "credentials": { "scopes": null } }), "/credentials/scopes", Value::Null),
        (json!({ "credentials": { "oauth_redirect_uri": null } }), "/credentials/oauth_redirect_uri", Value::Null),
        (json!({ "is_enabled_for_tool_router": false }), "/is_enabled_for_tool_router", json!(false)),
        (json!({ "restrict_to_following_tools": [TOOL] }), "/restrict_to_following_tools", json!([TOOL])),
        (json!({ "restrict_to_following_tools": [] }), "/restrict_to_following_tools", json!([])),
        (
            json!({ "tool_access_config": { "tools_available_for_execution": [TOOL] } }),
            "/tool_access_config",
            json!({ "tools_available_for_execution": [TOOL] }),
        ),
        // SDKs send an empty object when they change something else.
        (
            json!({ "tool_access_config": {} }),
            "/tool_access_config",
            json!({ "tools_available_for_execution": [TOOL] }),
        ),
        (
            json!({ "tool_access_config": { "tools_for_connected_account_creation": [TOOL] } }),
            "/tool_access_config",
            json!({ "tools_available_for_execution": [TOOL], "tools_for_connected_account_creation": [TOOL] }),
        ),
        (
            json!({ "tool_access_config": { "tools_available_for_execution": [] } }),
            "/tool_access_config",
            json!({ "tools_for_connected_account_creation": [TOOL] }),
        ),
    ];
    for (change, place, expected) in steps {
        let before = read(api, &id).await;
        let mut body = change.clone();
        body["type"] = "custom".into();
        patch(api, &id, &body).await.expect(200);
        let after = read(api, &id).await;
        assert_eq!(after.pointer(place).cloned().unwrap_or_default(), expected, "{change}");
        for other in ["id", "status", "created_at", "is_composio_managed", "no_of_connections"] {
            assert_eq!(after[other], before[other], "{change}");
        }
        assert_eq!(after["credentials"]["client_secret"], "REDACTED", "{change}");
    }
    let end = read(api, &id).await;
    assert_eq!(end["credentials"], json!({ "client_id": "other", "client_secret": "REDACTED" }));
    let events = server.app.core.store.audit_events(&server.project_id, &id).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.action == "auth_config.update").count(), 16);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_change_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let api = &server.api;
    let own = create(api, "sandbox", &own_client()).await;
    let managed = create(api, "sandbox", &json!({ "type": "use_composio_managed_auth" })).await;
    let keyed = auth_config(api, "sandbox", "API_KEY").await;
    let before = (read(api, &own).await, read(api, &managed).await, read(api, &keyed).await);
    for (id, body, words) in [
        (&own, json!({ "type": "default", "name": "x" }), "type custom"),
        (&managed, json!({ "type": "custom", "name": "x" }), "type default"),
        (&own, json!({ "type": "custom", "credentials": { "client_secret": null } }), "Client secret"),
        (&own, json!({ "type": "custom", "credentials": { "client_id": "" } }), "Client id"),
        (&own, json!({ "type": "custom", "proxy_config": { "proxy_url": "http://p" } }), "proxy_config"),
        (&own, json!({ "type": "custom", "sealed_credentials": { "a": "b" } }), "sealed_credentials"),
    ] {
        let error = patch(api, id, &body).await.expect_error(400, "AuthConfig_BadRequest");
        assert!(error.to_string().contains(words), "{body}: {error}");
    }
    for (id, body, words) in [
        (&own, json!({ "name": "x" }), "type"),
        (&own, json!({ "type": "use_own_auth" }), "type"),
        (&own, json!({ "type": "custom", "name": "" }), "payload.name"),
        (&own, json!({ "type": "custom", "credentials": { "verification_token": "x" } }), "verification_token"),
        (&own, json!({ "type": "custom", "credentials": { "client_secret": "a\nb" } }), "credentials.client_secret"),
        (&own, json!({ "type": "custom", "credentials": { "client_secret": "REDACTED" } }), "instead of a secret"),
        (&own, json!({ "type": "custom", "credentials": { "client_id": 5 } }), "credentials.client_id"),
        (&own, json!({ "type": "custom", "credentials": { "scopes": 5 } }), "credentials.scopes"),
        (&own, json!({ "type": "custom", "credentials": { "oauth_redirect_uri": "nope" } }), "oauth_redirect_uri"),
        (&own, json!({ "type": "custom", "scopes": "a" }), "payload.scopes"),
        (&own, json!({ "type": "custom", "shared_connection_fields": { "nope": "x" } }), "have no fields"),
        (&managed, json!({ "type": "default", "credentials": { "client_id": "x" } }), "payload.credentials"),
        (&keyed, json!({ "type": "custom", "credentials": { "client_id": "x" } }), "credentials.client_id"),
        (&keyed, json!({ "type": "custom", "credentials": { "scopes": "x" } }), "credentials.scopes"),
    ] {
        let error = patch(api, id, &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"].to_string().contains(words), "{body}: {error}");
    }
    assert_eq!((read(api, &own).await, read(api, &managed).await, read(api, &keyed).await), before);

    // The words of POST mean the same.
    patch(api, &own, &json!({ "type": "use_custom_auth" })).await.expect(200);
    patch(api, &managed, &json!({ "type": "use_composio_managed_auth" })).await.expect(200);
    patch(api, &managed, &json!({ "type": "default", "scopes": "notes:read", "user_scopes": ["u"] })).await.expect(200);
    assert_eq!(read(api, &managed).await["credentials"], json!({ "scopes": ["notes:read"], "user_scopes": ["u"] }));
    patch(api, &managed, &json!({ "type": "default", "scopes": [], "user_scopes": null })).await.expect(200);
    assert_eq!(read(api, &managed).await["credentials"], json!({ "user_scopes": ["u"] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_concurrent_change_is_lost() {
    let server = TestServer::start().await;
    let id = create(&server.api, "sandbox", &own_client()).await;
    let changes = [
        json!({ "name": "last" }),
        json!({ "credentials": { "client_id": "new-client" } }),
        json!({ "credentials": { "client_secret": "new-secret" } }),
        json!({ "credentials": { "scopes": ["s1", "s2"] } }),
        json!({ "credentials": { "user_scopes": ["u1"] } }),
        json!({ "credentials": { "oauth_redirect_uri": "https://app.example.com/new" } }),
        json!({ "is_enabled_for_tool_router": false }),
        json!({ "tool_access_config": { "tools_for_connected_account_creation": [TOOL] } }),
        json!({ "restrict_to_following_tools": [TOOL] }),
        json!({}),
    ];
    let mut calls = JoinSet::new();
    for change in changes.iter().chain(&changes) {
        let (api, id, mut body) = (server.api.clone(), id.clone(), change.clone());
        body["type"] = "custom".into();
        calls.spawn(async move { patch(&api, &id, &body).await });
    }
    for reply in calls.join_all().await {
        reply.expect(200);
    }
    let read = read(&server.api, &id).await;
    let expected = json!({
        "client_id": "new-client", "client_secret": "REDACTED", "scopes": ["s1", "s2"], "user_scopes": ["u1"],
        "oauth_redirect_uri": "https://app.example.com/new",
    });
    assert_eq!((&read["name"], &read["credentials"]), (&json!("last"), &expected));
    assert_eq!(read["is_enabled_for_tool_router"], false);
    assert_eq!(read["tool_access_config"], json!({ "tools_for_connected_account_creation": [TOOL] }));
    assert_eq!(read["restrict_to_following_tools"], json!([TOOL]));
    let row = server.app.core.store.auth_config(&server.project_id, &id.as_str().into()).await.unwrap().unwrap();
    assert_eq!(server.app.credentials.open_auth_config(&row).unwrap().get("client_secret"), Some("new-secret"));
    assert!(row.updated_at.since(row.created_at).as_millis() >= 20, "each change is a version of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_ends_the_flows_that_began_before_it() {
    let (server, config) = with_mock("").await;
    let renamed = json!({ "type": "custom", "name": "renamed" });
    for change in ["PATCH", "DISABLED and ENABLED"] {
        let link = offer(&server.api, "mock").await;
        let mut browser = Browser::new("alice");
        let callback = until_callback(&mut browser, &link).await;
        if change == "PATCH" {
            patch(&server.api, &config, &renamed).await.expect(200);
        } else {
            switch(&server.api, &config, "DISABLED").await.expect(200);
            switch(&server.api, &config, "ENABLED").await.expect(200);
        }
        expect_page(&browser.get(&callback).await, 400, "invalid");
        assert_eq!(server.api.status(&link.account).await, "INITIATED", "the user may begin anew: {change}");
    }
    let sent = mock().token_requests().await;
    assert!(sent.iter().all(|it| !it["body"].as_str().unwrap().contains(&config)), "no code was exchanged");
    let link = offer(&server.api, "mock").await;
    let mut browser = Browser::new("alice");
    let callback = until_callback(&mut browser, &link).await;
    expect_done(&browser.get(&callback).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn disabling_an_auth_config_disables_its_accounts_until_it_is_enabled_again() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let (session, account) = connect_key(api, "u", "up").await;
    let path = format!("/connected_accounts/{account}");
    let before = api.get(&path).await.expect(200);
    assert_eq!((&before["status"], &before["auth_config"]["is_disabled"]), (&json!("ACTIVE"), &json!(false)));
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    let link = json!({ "auth_config_id": config, "user_id": "u2" });

    // Twice: the second time there is nothing to do.
    for _ in 0..2 {
        let done = switch(api, &config, "DISABLED").await.expect(200);
        assert_eq!(done, json!({ "success": true, "message": "Auth config disabled" }));
    }
    assert_eq!(read(api, &config).await["status"], "DISABLED");
    assert_eq!(api.get("/auth_configs").await.expect(200)["total_items"], 0);
    let mut shown = api.get(&path).await.expect(200);
    assert_eq!(shown["status_reason"], "Auth config is disabled");
    assert_eq!((&shown["status"], &shown["is_disabled"]), (&json!("INACTIVE"), &json!(true)));
    assert_eq!(
        (&shown["state"]["val"]["status"], &shown["auth_config"]["is_disabled"]),
        (&json!("INACTIVE"), &json!(true))
    );
    let page = api.get("/connected_accounts").await.expect(200);
    assert_eq!((&page["items"][0]["status"], &page["items"][0]["is_disabled"]), (&json!("INACTIVE"), &json!(true)));
    let refused = proxy(api, &session, &call).await;
    assert!(
        (400..500).contains(&refused.status) && refused.text().contains("Auth config is disabled"),
        "{}",
        refused.text()
    );
    assert!(upstream.take().is_empty(), "nothing was sent");
    let error = api.post("/connected_accounts/link", &link).await.expect_error(400, "AuthConfig_BadRequest");
    assert!(text(&error, "message").contains("disabled"), "{error}");
    let again = on_session(api, &session, "link", &json!({ "toolkit": "up" })).await;
    assert!(!again.text().contains(&config), "not this one: {}", again.text());

    switch(api, &config, "ENABLED").await.expect(200);
    shown = api.get(&path).await.expect(200);
    assert_eq!(shown, before, "as it was");
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"{\"ok\":1}"));
    assert_eq!(proxy(api, &session, &call).await.expect(200)["status"], 200);
    api.post("/connected_accounts/link", &link).await.expect(201);
    let events = server.app.core.store.audit_events(&server.project_id, &config).await.unwrap();
    let switched =
        events.iter().filter(|it| ["auth_config.disable", "auth_config.enable"].contains(&it.action.as_str()));
    assert_eq!(switched.count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_two_status_words_are_accepted_and_the_body_is_ignored() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    for word in ["enabled", "disabled", "ACTIVE", "ENABLED%20", "%ff", "x"] {
        let error = switch(api, &config, word).await.expect_error(400, "AuthConfig_BadRequest");
        assert!(text(&error, "suggested_fix").contains("DISABLED"), "{word}: {error}");
    }
    for body in ["", "{", "null", "{\"status\":\"ENABLED\"}"] {
        api.call("PATCH", &format!("/auth_configs/{config}/DISABLED"), body).await.expect(200);
        assert_eq!(read(api, &config).await["status"], "DISABLED");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_and_deleted_auth_configs_are_unknown() {
    let (server, _upstream) = with_upstream().await;
    let mine = auth_config(&server.api, "up", "API_KEY").await;
    let deleted = auth_config(&server.api, "up", "API_KEY").await;
    server.api.delete(&format!("/auth_configs/{deleted}")).await.expect(200);
    let other = server.other_project("other").await;
    let before = read(&server.api, &mine).await;
    for (api, id) in [(&other, &mine), (&server.api, &deleted), (&server.api, &unknown(Kind::AuthConfig))] {
        for reply in [
            patch(api, id, &json!({ "type": "custom", "name": "taken" })).await,
            switch(api, id, "DISABLED").await,
            switch(api, id, "ENABLED").await,
        ] {
            let error = reply.expect_error(404, "AuthConfig_NotFound");
            assert_eq!(error["message"], format!("Auth config \"{id}\" not found"));
        }
    }
    assert_eq!(read(&server.api, &mine).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_managed_auth_config_is_not_created_again() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = api.session("u", "sandbox").await;
    api.link(&session, "sandbox").await;
    let configs = async || api.get("/auth_configs?show_disabled=true").await.expect(200);
    let id = text(&configs().await["items"][0], "id");
    let link =
        async || api.post(&format!("/tool_router/session/{session}/link"), &json!({ "toolkit": "sandbox" })).await;
    for (path, off, on) in [
        (format!("/auth_configs/{id}/DISABLED"), String::new(), format!("/auth_configs/{id}/ENABLED")),
        (
            format!("/auth_configs/{id}"),
            json!({ "type": "default", "is_enabled_for_tool_router": false }).to_string(),
            format!("/auth_configs/{id}"),
        ),
    ] {
        api.call("PATCH", &path, off.clone()).await.expect(200);
        let error = link().await.expect_error(400, "AuthConfig_BadRequest");
        assert!(text(&error, "message").contains(&id), "{error}");
        assert_eq!(configs().await["total_items"], 1);
        api.call("PATCH", &on, off.replace("false", "true")).await.expect(200);
        link().await.expect(201);
    }
}
