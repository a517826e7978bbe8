//! Connecting without a session: direct links, the older creation, what the developer knows already
//! (contract sections 3.7 and 4.5).

use serde_json::{Value, json};

use super::help::{KEY, auth_config, finish, finish_oauth, proxy, text, with_upstream};
use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::server::TestServer;

async fn managed(api: &Api) -> String {
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_composio_managed_auth" } });
    text(&api.post("/auth_configs", &body).await.expect(201)["auth_config"], "id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_direct_link_connects_and_has_its_expiry_time() {
    let server = TestServer::start().await;
    let api = &server.api;
    let config = managed(api).await;
    let body =
        json!({ "auth_config_id": config, "user_id": "u1", "alias": "work", "callback_url": "http://127.0.0.1:9/cb" });
    let link = api.post("/connected_accounts/link", &body).await.expect(201);
    assert!(text(&link, "link_token").starts_with("lt_"));
    assert!(text(&link, "expires_at").ends_with('Z'));
    assert_eq!(link["account_type"], "PRIVATE");
    assert_eq!(link["experimental"], json!({ "account_type": "PRIVATE" }));
    let account = text(&link, "connected_account_id");
    assert_eq!(api.status(&account).await, "INITIALIZING");
    let landing = Browser::new("alice").follow(&text(&link, "redirect_url"), |url| url.path() == "/cb").await;
    let expected = format!("status=success&connected_account_id={account}");
    assert_eq!(landing.url.query(), Some(expected.as_str()));
    let view = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!((&view["status"], &view["alias"], &view["user_id"]), (&json!("ACTIVE"), &json!("work"), &json!("u1")));
    // A session of the user finds it without more.
    let session = api.session("u1", "sandbox").await;
    assert_eq!(api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"], "alice");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_of_a_direct_link_names_its_reason() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let link = |extra: Value| {
        let mut body = json!({ "auth_config_id": config, "user_id": "u1" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        async move { api.post("/connected_accounts/link", &body).await }
    };
    link(json!({ "alias": "a" })).await.expect(201);
    let clash = link(json!({ "alias": "a" })).await.expect_error(400, "ConnectedAccount_BadRequest");
    assert_eq!(clash["message"], "Alias \"a\" is already in use by another connection for this entity");
    assert_eq!(clash["code"], 600);
    link(json!({ "user_id": "" })).await.expect_error(400, "HTTP_BadRequest");
    link(json!({ "callback_url": "ftp://x" })).await.expect_error(400, "HTTP_BadRequest");
    link(json!({ "auth_config_id": "ac_nobodys" })).await.expect_error(404, "AuthConfig_NotFound");
    let private = json!({ "experimental": { "acl_config_for_shared": { "allow_all_users": true } } });
    let error = link(private).await.expect_error(400, "ConnectedAccount_BadRequest");
    assert!(text(&error, "message").contains("acl_config_for_shared is only valid on SHARED"));
    let other = json!({ "connection_data": { "authScheme": "OAUTH2", "val": {} } });
    let error = link(other).await.expect_error(400, "HTTP_BadRequest");
    assert!(error["errors"][0].as_str().unwrap().contains("connection_data.authScheme: must be API_KEY"), "{error}");
    let broken = json!({ "connection_data": { "authScheme": "API_KEY", "val": { "generic_api_key": "a\nb" } } });
    let error = link(broken).await.expect_error(400, "HTTP_BadRequest");
    assert!(!error.to_string().contains("a\\nb"), "no secret comes back: {error}");
    api.post("/connected_accounts/link", &json!({ "user_id": "u1" })).await.expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn prefilled_fields_are_not_asked_again() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let body = json!({ "auth_config_id": config, "user_id": "u1",
        "connection_data": { "authScheme": "API_KEY", "val": { "generic_api_key": KEY, "unknown": "dropped" } } });
    let link = api.post("/connected_accounts/link", &body).await.expect(201);
    let url = text(&link, "redirect_url");
    let page = Browser::new("visitor").get(&url).await.text();
    assert!(!page.contains("generic_api_key") && !page.contains(KEY), "{page}");
    finish(api, &link, &[]).await;
    let session = api.session("u1", "up").await;
    proxy(api, &session, &json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" })).await.expect(200);
    assert!(upstream.only().to_ascii_lowercase().contains(&format!("authorization: key {KEY}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_creation_imports_a_credential_at_once() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    for name in ["generic_api_key", "api_key"] {
        let body = json!({ "auth_config": { "id": config },
            "connection": { "user_id": "u1", "state": { "authScheme": "API_KEY", "val": { name: KEY } } } });
        let made = api.post("/connected_accounts", &body).await.expect(201);
        assert_eq!(made["status"], "ACTIVE");
        assert_eq!(made["connectionData"]["authScheme"], "API_KEY");
        assert_eq!(made["connectionData"]["val"]["status"], "ACTIVE");
        assert_eq!(made["connectionData"]["val"]["generic_api_key"], "key-...");
        assert_eq!(made["redirect_url"], Value::Null);
        assert_eq!(api.status(&text(&made, "id")).await, "ACTIVE");
    }
    let session = api.session("u1", "up").await;
    proxy(api, &session, &json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" })).await.expect(200);
    assert!(upstream.only().to_ascii_lowercase().contains(&format!("authorization: key {KEY}")));
    // Without the key there is nothing to connect with, and no user to ask.
    for state in [Value::Null, json!({ "authScheme": "API_KEY", "val": {} })] {
        let body = json!({ "auth_config": { "id": config }, "connection": { "user_id": "u1", "state": state } });
        let error =
            api.post("/connected_accounts", &body).await.expect_error(400, "ConnectedAccount_MissingRequiredFields");
        assert_eq!((&error["code"], &error["message"]), (&json!(612), &json!("Missing required fields: API key")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_creation_returns_a_link_for_an_oauth_toolkit() {
    let server = TestServer::start().await;
    let api = &server.api;
    let config = managed(api).await;
    let body = json!({ "auth_config": { "id": config }, "connection": { "callback_url": "http://127.0.0.1:9/cb" } });
    let made = api.post("/connected_accounts", &body).await.expect(201);
    assert_eq!((&made["status"], &made["connectionData"]["val"]["status"]), (&json!("INITIATED"), &json!("INITIATED")));
    let url = text(&made, "redirect_url");
    assert_eq!((&made["connectionData"]["val"]["redirectUrl"], &made["redirect_uri"]), (&json!(url), &json!(url)));
    let link = json!({ "redirect_url": url, "connected_account_id": made["id"] });
    let landing = Browser::new("alice").follow(&url, |url| url.path() == "/cb").await;
    assert!(landing.url.query().unwrap().starts_with("status=success"), "{landing:?}");
    let view = api.get(&format!("/connected_accounts/{}", text(&link, "connected_account_id"))).await.expect(200);
    assert_eq!((&view["status"], &view["user_id"]), (&json!("ACTIVE"), &json!("default")));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_issued_elsewhere_are_imported_and_used() {
    let server = TestServer::start().await;
    let api = &server.api;
    // A token of a real flow, read where the project shows whole secrets.
    let config = managed(api).await;
    let link = json!({ "auth_config_id": config, "user_id": "first" });
    let account = finish_oauth(api, &api.post("/connected_accounts/link", &link).await.expect(201)).await;
    let row = server.app.core.store.account(&server.project_id, &account.as_str().into()).await.unwrap().unwrap();
    let secrets = server.app.credentials.open_credential(&row).unwrap();
    let val = json!({ "status": "ACTIVE", "access_token": secrets.get("access_token"),
        "refresh_token": secrets.get("refresh_token"), "expires_in": 60, "scope": ["notes:read", "notes:write"] });
    let state = json!({ "authScheme": "OAUTH2", "val": val });
    let body = json!({ "auth_config": { "id": config }, "connection": { "user_id": "second", "state": state } });
    let made = api.post("/connected_accounts", &body).await.expect(201);
    assert_eq!(made["connectionData"]["val"]["scope"], "notes:read notes:write");
    assert_eq!(made["connectionData"]["val"]["access_token"], "REDACTED");
    let session = api.session("second", "sandbox").await;
    assert_eq!(api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"], "alice");
    // It is refreshed like any other.
    server.clock.advance(std::time::Duration::from_mins(2));
    assert_eq!(api.proxy_get(&session, "sandbox", "/me").await.expect(200)["data"]["username"], "alice");
}
