//! The settings of a project: read, changed, and what each change does at once.

use serde_json::{Value, json};

use super::help::{KEY, auth_config, connect_key, text, with_upstream};
use crate::support::http::{Api, Http, Reply};
use crate::support::server::TestServer;

async fn patch(api: &Api, body: &Value) -> Reply {
    api.call("PATCH", "/org/project/config", body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_affects_only_its_fields_and_null_resets_them() {
    let server = TestServer::start().await;
    let start = server.api.get("/org/project/config").await.expect(200);
    assert_eq!(start, json!({ "callback_urls": [], "mask_secret_keys_in_connected_account": true }));
    let whole = json!({
        "callback_urls": ["https://app.example.com/cb"],
        "mask_secret_keys_in_connected_account": false,
        "display_name": "Acme Mail",
        "oauth_callback_verifier_url": "https://app.example.com/verify?x=1",
        "is_2FA_enabled": true,
        "log_visibility_setting": "dont_store_data",
        "require_mcp_api_key": true,
        "logo_url": "https://app.example.com/logo.svg",
        "signed_url_file_expiry_in_seconds": 3600,
        "is_composio_link_enabled_for_managed_auth": false,
        "theme": { "primary": "#336699", "dark": { "primary": "#ffffff" } },
        "enable_instant": false,
        "zdr_enabled": true,
    });
    let mut sent = whole.clone();
    sent["signed_url_file_expiry_in_seconds"] = json!(3600.0);
    sent["something_new"] = json!(1);
    assert_eq!(patch(&server.api, &sent).await.expect(200), whole);
    assert_eq!(server.api.get("/org/project/config").await.expect(200), whole);
    let mut changed = whole.clone();
    changed["display_name"] = json!("Other");
    assert_eq!(patch(&server.api, &json!({ "display_name": "Other" })).await.expect(200), changed);
    assert_eq!(patch(&server.api, &json!({})).await.expect(200), changed);
    let mut nothing = whole.as_object().unwrap().clone();
    nothing.values_mut().for_each(|value| *value = Value::Null);
    assert_eq!(patch(&server.api, &Value::Object(nothing)).await.expect(200), start);
    patch(&server.api, &json!({ "oauth_callback_verifier_url": "http://localhost:3000/verify" })).await.expect(200);
    assert_eq!(patch(&server.api, &json!({ "oauth_callback_verifier_url": "" })).await.expect(200), start);
    let events = server.app.core.store.audit_events(&server.project_id, &server.project_id).await.unwrap();
    let details: Vec<_> =
        events.iter().filter(|it| it.action == "project.configure").map(|it| it.detail.clone().unwrap()).collect();
    assert_eq!(details.len(), 6);
    assert!(details.iter().any(|detail| detail == r#"{"fields":["display_name"]}"#), "{details:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_change_is_refused_as_a_whole_and_names_every_error() {
    let server = TestServer::start().await;
    for (field, value) in [
        ("oauth_callback_verifier_url", json!("http://app.example.com/verify")),
        ("oauth_callback_verifier_url", json!("https://user@app.example.com/verify")),
        ("oauth_callback_verifier_url", json!("https://app.example.com/verify#part")),
        ("oauth_callback_verifier_url", json!("javascript:alert(1)")),
        ("oauth_callback_verifier_url", json!(5)),
        ("callback_urls", json!(["https://app.example.com", "ftp://app.example.com"])),
        ("callback_urls", json!("https://app.example.com")),
        ("display_name", json!("x".repeat(101))),
        ("display_name", json!("a\u{7}b")),
        ("logo_url", json!("data:image/png;base64,xx")),
        ("log_visibility_setting", json!("some")),
        ("signed_url_file_expiry_in_seconds", json!(0)),
        ("signed_url_file_expiry_in_seconds", json!(1.5)),
        ("signed_url_file_expiry_in_seconds", json!(-3600)),
        ("signed_url_file_expiry_in_seconds", json!(1e300)),
        ("theme", json!("dark")),
        ("theme", json!({ "x": "y".repeat(9_000) })),
        ("is_2FA_enabled", json!("yes")),
    ] {
        let error = patch(&server.api, &json!({ "enable_instant": true, field: value })).await;
        let error = error.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().starts_with(&format!("Error in payload.{field}")), "{error}");
    }
    let two = json!({ "display_name": "x".repeat(101), "logo_url": "x" });
    let error = patch(&server.api, &two).await.expect_error(400, "HTTP_BadRequest");
    assert_eq!(error["errors"].as_array().unwrap().len(), 2, "{error}");
    assert!(server.api.get("/org/project/config").await.expect(200).get("enable_instant").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_are_all_kept() {
    let server = TestServer::start().await;
    let fields = ["is_2FA_enabled", "require_mcp_api_key", "enable_instant", "zdr_enabled"];
    let changes = fields.map(|field| {
        let api = server.api.clone();
        tokio::spawn(async move { patch(&api, &json!({ field: true })).await.status })
    });
    for change in changes {
        assert_eq!(change.await.unwrap(), 200);
    }
    let config = server.api.get("/org/project/config").await.expect(200);
    assert!(fields.iter().all(|field| config[field] == true), "{config}");
}

#[tokio::test(flavor = "multi_thread")]
async fn masking_callbacks_and_the_name_on_pages_change_with_the_next_request() {
    let (server, _upstream) = with_upstream().await;
    auth_config(&server.api, "up", "API_KEY").await;
    let (session, account) = connect_key(&server.api, "user", "up").await;
    let path = format!("/connected_accounts/{account}");
    let shown = |account: &Value| text(&account["state"]["val"], "generic_api_key");
    let masked = shown(&server.api.get(&path).await.expect(200));
    patch(&server.api, &json!({ "mask_secret_keys_in_connected_account": false })).await.expect(200);
    let whole = shown(&server.api.get(&path).await.expect(200));
    assert!(masked != whole && whole == KEY, "{masked} {whole}");

    let link = server.api.link(&session, "up").await;
    let page = text(&link, "redirect_url");
    assert!(Http::new().send("GET", &page, &[], "").await.text().contains("Test project"));
    patch(&server.api, &json!({ "display_name": "Acme <Mail>" })).await.expect(200);
    let html = Http::new().send("GET", &page, &[], "").await.text();
    assert!(html.contains("Acme &lt;Mail&gt;") && !html.contains("Test project"), "{html}");

    patch(&server.api, &json!({ "callback_urls": ["https://app.example.com/cb"] })).await.expect(200);
    let link = format!("/tool_router/session/{session}/link");
    let body = json!({ "toolkit": "up", "callback_url": "https://elsewhere.example.com/cb" });
    server.api.post(&link, &body).await.expect_error(400, "HTTP_BadRequest");
    let body = json!({ "toolkit": "up", "callback_url": "https://app.example.com/cb?x=1" });
    server.api.post(&link, &body).await.expect(201);
}
