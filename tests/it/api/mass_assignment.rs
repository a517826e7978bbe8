//! Fields that a caller may read and not write are never applied, wherever they are put (R66).

use serde_json::{Value, json};

use super::help::{KEY, auth_config, connect_key, sql, text, with_upstream};

/// What answers show and no request may set.
fn read_only() -> Value {
    json!({
        "id": "ca_forged", "uuid": "forged", "project_id": "pr_forged", "status": "ACTIVE", "status_reason": "forged",
        "creator": "forged", "created_by": "forged", "created_at": "1999-01-01T00:00:00.000Z",
        "updated_at": "1999-01-01T00:00:00.000Z", "last_updated_at": "1999-01-01T00:00:00.000Z",
        "is_composio_managed": true, "is_disabled": false, "word_id": "forged_word", "no_of_connections": 99,
        "config_version": 99, "session_id": "trs_forged", "deleted_at": null, "auth_scheme_forged": "NO_AUTH",
        "permissions": null, "credential_version": 99, "success": false,
    })
}

fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body.as_object_mut().unwrap().entry(name).or_insert_with(|| value.clone());
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_can_write_a_read_only_field() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let (session, account) = connect_key(api, "victim", "up").await;
    let state = json!({ "authScheme": "API_KEY", "val": { "generic_api_key": KEY } });
    let forged = read_only();
    let owner = json!({ "user_id": "forged-user", "account_type": "SHARED", "toolkit": "forged" });
    let requests = [
        ("PATCH", format!("/connected_accounts/{account}"), with(with(json!({ "alias": "mine" }), &forged), &owner)),
        ("PATCH", format!("/connected_accounts/{account}/status"), with(json!({ "enabled": true }), &forged)),
        ("PATCH", format!("/auth_configs/{config}"), with(json!({ "type": "custom", "name": "mine" }), &forged)),
        ("POST", format!("/tool_router/session/{session}/link"), with(json!({ "toolkit": "up" }), &forged)),
        (
            "POST",
            "/connected_accounts/link".to_owned(),
            with(json!({ "auth_config_id": config, "user_id": "u" }), &forged),
        ),
        (
            "POST",
            "/connected_accounts".to_owned(),
            json!({ "auth_config": with(json!({ "id": config }), &json!({ "project_id": "pr_forged", "is_disabled": true })),
                    "connection": with(json!({ "user_id": "u", "state": state }), &json!({ "id": "ca_forged", "project_id": "pr_forged", "status": "REVOKED" })) }),
        ),
        (
            "POST",
            "/auth_configs".to_owned(),
            json!({ "toolkit": { "slug": "up" }, "auth_config": with(json!({ "type": "use_custom_auth", "authScheme": "API_KEY", "name": "own" }), &forged) }),
        ),
    ];
    for (method, path, body) in requests {
        let reply = api.call(method, &path, body.to_string()).await;
        assert!((200..300).contains(&reply.status) || reply.status == 400, "{method} {path}: {}", reply.text());
    }
    // Sessions take no key that they do not know.
    for (method, path) in
        [("POST", "/tool_router/session".to_owned()), ("PATCH", format!("/tool_router/session/{session}"))]
    {
        for (name, value) in forged.as_object().unwrap() {
            let mut body = if method == "POST" { json!({ "user_id": "u" }) } else { json!({}) };
            body[name] = value.clone();
            let error = api.call(method, &path, body.to_string()).await.expect_error(400, "HTTP_BadRequest");
            assert!(error["errors"][0].as_str().unwrap().contains(name), "{error}");
        }
    }
    for table in ["connected_accounts", "auth_configs", "sessions", "links", "audit_events", "projects", "api_keys"] {
        let rows = sql(&server.database(), &format!("SELECT * FROM {table}")).to_string();
        assert!(!rows.contains("forged") && !rows.contains("1999-01-01"), "{table}: {rows}");
    }
    let view = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!((text(&view, "user_id"), text(&view, "alias")), ("victim".to_owned(), "mine".to_owned()));
    assert_eq!(view["experimental"]["account_type"], "PRIVATE");
    let view = api.get(&format!("/auth_configs/{config}")).await.expect(200);
    assert_eq!((text(&view, "name"), &view["is_composio_managed"]), ("mine".to_owned(), &json!(false)));
}
