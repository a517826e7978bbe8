//! Changes of an account: alias, access list, key, off and on, refresh (contract section 4.6).

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{
    KEY, auth_config, connect_key, finish, finish_oauth, on_session, proxy, text, unknown, with_upstream,
};
use crate::support::browser::Browser;
use crate::support::http::Reply;
use crate::support::server::TestServer;
use switchboard::id::Kind;

async fn patch(server: &TestServer, account: &str, body: &Value) -> Reply {
    server.api.call("PATCH", &format!("/connected_accounts/{account}"), body.to_string()).await
}

async fn read(server: &TestServer, account: &str) -> Value {
    server.api.get(&format!("/connected_accounts/{account}")).await.expect(200)
}

async fn shared(server: &TestServer, session: &str, acl: Value) -> String {
    let body = json!({ "toolkit": "up", "account_type": "SHARED", "acl_config_for_shared": acl });
    let link = on_session(&server.api, session, "link", &body).await.expect(201);
    finish(&server.api, &link, &[("generic_api_key", KEY)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_can_be_set_and_removed_and_is_unique() {
    let (server, _upstream) = with_upstream().await;
    let (_, first) = connect_key(&server.api, "u", "up").await;
    let (_, second) = connect_key(&server.api, "u", "up").await;
    let answer = patch(&server, &first, &json!({ "alias": "work" })).await.expect(200);
    assert_eq!(answer, json!({ "success": true, "id": first, "status": "ACTIVE" }));
    assert_eq!(read(&server, &first).await["alias"], "work");
    let error =
        patch(&server, &second, &json!({ "alias": "work" })).await.expect_error(400, "ConnectedAccount_BadRequest");
    assert_eq!(error["message"], "Alias \"work\" is already in use by another connection for this entity");
    patch(&server, &first, &json!({ "alias": "work" })).await.expect(200);
    patch(&server, &first, &json!({})).await.expect(200);
    assert_eq!(read(&server, &first).await["alias"], "work", "what is left out stays");
    patch(&server, &first, &json!({ "alias": "" })).await.expect(200);
    assert_eq!(read(&server, &first).await.get("alias"), None);
    patch(&server, &second, &json!({ "alias": "work" })).await.expect(200);
    patch(&server, &second, &json!({ "alias": " work" })).await.expect_error(400, "HTTP_BadRequest");
    patch(&server, &unknown(Kind::ConnectedAccount), &json!({ "alias": "x" }))
        .await
        .expect_error(404, "ConnectedAccount_ResourceNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_lists_of_an_access_list_replace_the_stored_ones_and_missing_ones_stay() {
    let (server, _upstream) = with_upstream().await;
    let (session, private) = connect_key(&server.api, "creator", "up").await;
    let account = shared(&server, &session, json!({ "allowed_user_ids": ["a", "b"] })).await;
    let acl = |body: Value| json!({ "experimental": { "acl_config_for_shared": body } });
    patch(&server, &account, &acl(json!({ "not_allowed_user_ids": ["b"] }))).await.expect(200);
    let stored = read(&server, &account).await["experimental"]["acl_config_for_shared"].clone();
    assert_eq!(
        stored,
        json!({ "allow_all_users": false, "allowed_user_ids": ["a", "b"], "not_allowed_user_ids": ["b"] })
    );
    patch(&server, &account, &acl(json!({ "allowed_user_ids": [], "allow_all_users": true }))).await.expect(200);
    let stored = read(&server, &account).await["experimental"]["acl_config_for_shared"].clone();
    assert_eq!(stored, json!({ "allow_all_users": true, "allowed_user_ids": [], "not_allowed_user_ids": ["b"] }));
    let error = patch(&server, &private, &acl(json!({ "allow_all_users": true }))).await;
    let error = error.expect_error(400, "ConnectedAccount_BadRequest");
    assert!(text(&error, "message").contains("acl_config_for_shared is only valid on SHARED"));
    let many: Vec<String> = (0..1_001).map(|it| it.to_string()).collect();
    patch(&server, &account, &acl(json!({ "allowed_user_ids": many }))).await.expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_access_list_applies_to_the_next_call_of_an_existing_session() {
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "creator", "up").await;
    let account = shared(&server, &session, json!({ "allowed_user_ids": ["guest"] })).await;
    let body =
        json!({ "user_id": "guest", "toolkits": { "enable": ["up"] }, "connected_accounts": { "up": [account] } });
    let guest = text(&server.api.post("/tool_router/session", &body).await.expect(201), "session_id");
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    proxy(&server.api, &guest, &call).await.expect(200);
    let denied = json!({ "experimental": { "acl_config_for_shared": { "not_allowed_user_ids": ["guest"] } } });
    patch(&server, &account, &denied).await.expect(200);
    assert_eq!(upstream.take().len(), 1);
    assert_eq!(proxy(&server.api, &guest, &call).await.status, 403);
    assert!(upstream.take().is_empty(), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_replaced_and_the_old_one_is_gone() {
    let (server, upstream) = with_upstream().await;
    let (session, account) = connect_key(&server.api, "u", "up").await;
    let credential =
        |scheme: &str, val: Value| json!({ "connection": { "state": { "authScheme": scheme, "val": val } } });
    patch(&server, &account, &credential("API_KEY", json!({ "generic_api_key": "new-key-canary-77" })))
        .await
        .expect(200);
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    proxy(&server.api, &session, &call).await.expect(200);
    assert!(upstream.only().to_ascii_lowercase().contains("authorization: key new-key-canary-77"));
    let error = patch(&server, &account, &credential("API_KEY", json!({ "generic_api_key": null }))).await;
    error.expect_error(400, "ConnectedAccount_MissingRequiredFields");
    patch(&server, &account, &credential("BASIC", json!({ "username": "x" })))
        .await
        .expect_error(400, "HTTP_BadRequest");
    patch(&server, &account, &credential("OAUTH2", json!({}))).await.expect_error(400, "HTTP_BadRequest");
    // A refused change left everything as it was.
    proxy(&server.api, &session, &call).await.expect(200);
    assert!(upstream.only().to_ascii_lowercase().contains("authorization: key new-key-canary-77"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_can_be_disabled_and_enabled() {
    let (server, upstream) = with_upstream().await;
    let (session, account) = connect_key(&server.api, "u", "up").await;
    let status = format!("/connected_accounts/{account}/status");
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    for _ in 0..2 {
        let answer = server.api.call("PATCH", &status, r#"{"enabled":false}"#).await.expect(200);
        assert_eq!(answer, json!({ "success": true }));
    }
    let view = read(&server, &account).await;
    assert_eq!((&view["status"], &view["is_disabled"]), (&json!("INACTIVE"), &json!(true)));
    assert_eq!(view["status_reason"], "Connection status updated by user");
    proxy(&server.api, &session, &call).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    server.api.call("PATCH", &status, r#"{"enabled":true}"#).await.expect(200);
    proxy(&server.api, &session, &call).await.expect(200);
    assert_eq!(upstream.take().len(), 1);
    // An account that is still connecting is not off; it cannot be switched off either.
    let link = server.api.link(&session, "up").await;
    let status = format!("/connected_accounts/{}/status", text(&link, "connected_account_id"));
    server.api.call("PATCH", &status, r#"{"enabled":true}"#).await.expect(200);
    server.api.call("PATCH", &status, r#"{"enabled":false}"#).await.expect_error(400, "ConnectedAccount_BadRequest");
    server.api.call("PATCH", &status, "").await.expect_error(400, "HTTP_BadRequest");
}

async fn refresh(server: &TestServer, account: &str, body: &str) -> Reply {
    server.api.call("POST", &format!("/connected_accounts/{account}/refresh"), body.to_owned()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_gets_a_new_token_and_keeps_a_working_account_active() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let account = finish_oauth(&server.api, &server.api.link(&session, "sandbox").await).await;
    let version = async || {
        server
            .app
            .core
            .store
            .account(&server.project_id, &account.as_str().into())
            .await
            .unwrap()
            .unwrap()
            .credential_version
            .0
    };
    assert_eq!(version().await, 1);
    for (body, expected) in [("", 2), ("{}", 3)] {
        let answer = refresh(&server, &account, body).await.expect(200);
        assert_eq!(answer, json!({ "id": account, "status": "ACTIVE", "redirect_url": null }));
        assert_eq!(version().await, expected);
        assert_eq!(server.api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"], "alice");
    }
    refresh(&server, &unknown(Kind::ConnectedAccount), "").await.expect_error(404, "ConnectedAccount_ResourceNotFound");
    refresh(&server, &account, r#"{"redirect_url":"javascript:x"}"#).await.expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_of_an_ended_account_returns_a_link() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let link = server.api.link(&session, "sandbox").await;
    let account = text(&link, "connected_account_id");
    server.clock.advance(Duration::from_secs(601));
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(server.api.status(&account).await, "EXPIRED");
    let answer = refresh(&server, &account, r#"{"redirect_url":"http://127.0.0.1:9/back"}"#).await.expect(200);
    assert_eq!(answer["status"], "INITIATED");
    let url = text(&answer, "redirect_url");
    let landing = Browser::new("alice").follow(&url, |url| url.path() == "/back").await;
    assert_eq!(landing.url.path(), "/back");
    assert_eq!(server.api.status(&account).await, "ACTIVE");
    // The first link is of no use any more.
    assert_eq!(Browser::new("bob").get(&text(&link, "redirect_url")).await.status, 410);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_working_account_keeps_its_token_until_it_has_a_new_one() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let account = finish_oauth(&server.api, &server.api.link(&session, "sandbox").await).await;
    // Without a refresh token only the user can go on.
    let row = server.app.core.store.account(&server.project_id, &account.as_str().into()).await.unwrap().unwrap();
    let mut secrets = server.app.credentials.open_credential(&row).unwrap();
    secrets.remove("refresh_token");
    let edit = switchboard_store::accounts::Edit {
        credential: Some(switchboard_store::accounts::CredentialEdit {
            sealed: server.app.credentials.seal_credential(&(&row).into(), &row.params, &secrets),
            params: (*row.params).clone(),
            replaces: row.credential_version,
        }),
        ..switchboard_store::accounts::Edit::default()
    };
    let unit = switchboard_store::Unit::new().with(switchboard_store::accounts::edit(
        &server.project_id,
        &account.as_str().into(),
        edit,
        row.updated_at,
    ));
    server.app.core.store.apply(unit).await.unwrap();
    let works = async || server.api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"].clone();
    let first = refresh(&server, &account, "").await.expect(200);
    assert_eq!(first["status"], "ACTIVE", "it is not taken out of use");
    assert_eq!(works().await, "alice");
    // The user says no: nothing changes.
    let url = text(&first, "redirect_url");
    Browser::new("alice").submit(&format!("{url}/reject"), &[]).await;
    assert_eq!((works().await, server.api.status(&account).await), (json!("alice"), "ACTIVE".to_owned()));
    // Another user consents: their account does not replace this one.
    let version = async || {
        server
            .app
            .core
            .store
            .account(&server.project_id, &account.as_str().into())
            .await
            .unwrap()
            .unwrap()
            .credential_version
            .0
    };
    let before = version().await;
    let second = refresh(&server, &account, "").await.expect(200);
    let refused = Browser::new("bob").follow(&text(&second, "redirect_url"), |_| false).await;
    let page = refused.reply.unwrap().text();
    assert!(page.contains("Try with another account"), "{page}");
    assert_eq!((works().await, version().await), (json!("alice"), before));
    // The user says yes: the new token takes the old one's place.
    let third = refresh(&server, &account, "").await.expect(200);
    Browser::new("alice").follow(&text(&third, "redirect_url"), |_| false).await;
    assert_eq!((works().await, version().await), (json!("alice"), before + 1));
    assert_eq!(server.api.status(&account).await, "ACTIVE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_cannot_be_refreshed() {
    let (server, _upstream) = with_upstream().await;
    let (_, account) = connect_key(&server.api, "u", "up").await;
    let error = refresh(&server, &account, "").await.expect_error(400, "ConnectedAccount_BadRequest");
    assert!(text(&error, "suggested_fix").contains("PATCH"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connected_account_keeps_its_alias_if_its_reconnection_is_not_finished() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let link =
        on_session(&server.api, &session, "link", &json!({ "toolkit": "sandbox", "alias": "work" })).await.expect(201);
    let account = finish_oauth(&server.api, &link).await;
    server.api.call("POST", &format!("/connected_accounts/{account}/revoke"), "").await.expect(200);
    assert_eq!(refresh(&server, &account, "").await.expect(200)["status"], "INITIATED");
    server.clock.advance(Duration::from_secs(601));
    server.app.sweeps.expire_links().await.unwrap();
    let view = read(&server, &account).await;
    assert_eq!((&view["status"], &view["alias"]), (&json!("EXPIRED"), &json!("work")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_a_disabled_auth_config_does_not_hide_a_working_one() {
    let (server, upstream) = with_upstream().await;
    let (session, older) = connect_key(&server.api, "u", "up").await;
    server.clock.advance(Duration::from_secs(2));
    let config = auth_config(&server.api, "up", "API_KEY").await;
    let body = json!({ "auth_config": { "id": config }, "connection": { "user_id": "u",
        "state": { "authScheme": "API_KEY", "val": { "generic_api_key": "newer-key-canary" } } } });
    let newer = text(&server.api.post("/connected_accounts", &body).await.expect(201), "id");
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    proxy(&server.api, &session, &call).await.expect(200);
    assert!(upstream.only().contains("newer-key-canary"));
    server.api.call("PATCH", &format!("/auth_configs/{config}/DISABLED"), "").await.expect(200);
    proxy(&server.api, &session, &call).await.expect(200);
    assert!(upstream.only().to_ascii_lowercase().contains(&format!("authorization: key {KEY}")));
    for (status, account) in [("ACTIVE", &older), ("INACTIVE", &newer)] {
        let page = server.api.get(&format!("/connected_accounts?statuses={status}")).await.expect(200);
        assert_eq!((&page["total_items"], &page["items"][0]["id"]), (&json!(1), &json!(account)), "{status}");
    }
}
