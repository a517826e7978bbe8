//! Dry runs: everything is checked, nothing is sent, and what would be sent is shown without a credential.

use serde_json::{Value, json};
use switchboard::config::Layer;

use super::help::{KEY, TOOLS, Upstream, connect_key, http, on_session, text};
use super::tools::{run, with_tools};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

/// A dry run of a tool.
async fn dry_run(api: &Api, session: &str, tool: &str, arguments: Value) -> Reply {
    on_session(api, session, "execute", &json!({ "tool_slug": tool, "arguments": arguments, "dry_run": true })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_would_be_sent_and_sends_nothing() {
    let (server, upstream) = with_tools().await;
    let (session, account) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    let arguments = json!({ "folder": "a/b", "text": "milk", "labels": ["x", "y"] });
    let planned = dry_run(&server.api, &session, "up_create_note", arguments.clone()).await.expect(200);
    assert!(upstream.take().is_empty());
    let word_id = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200)["word_id"].clone();
    let log_id = text(&planned, "log_id");
    assert_eq!((&planned["result_type"], &planned["error"]), (&json!("completed"), &Value::Null));
    assert_eq!(
        planned["data"],
        json!({
            "dry_run": true,
            "request": {
                "method": "POST",
                "url": format!("http://{}/base/folders/a%2Fb/notes?source=agent", upstream.host),
                "headers": {
                    "accept": "application/json, */*;q=0.5",
                    "accept-encoding": "identity",
                    "authorization": format!("Key «account:{account}»"),
                    "content-type": "application/json",
                    "user-agent": concat!("Switchboard/", env!("CARGO_PKG_VERSION")),
                    "x-key": log_id,
                },
                "body": r#"{"note":{"labels":["x","y"],"pinned":false,"text":"milk"}}"#,
            },
            "effect": "create",
            "account": { "id": account, "alias": null, "word_id": word_id, "scheme": "API_KEY", "needs_refresh": false },
            "verify_with": "UP_LIST_NOTES",
            "idempotency_key": log_id,
        })
    );

    // The same without a session, by user and by account.
    for owner in [json!({ "user_id": "u" }), json!({ "user_id": "u", "connected_account_id": account })] {
        let mut body = json!({ "arguments": arguments, "dry_run": true });
        body.as_object_mut().unwrap().extend(owner.as_object().unwrap().clone());
        let directly = server.api.post("/tools/execute/UP_CREATE_NOTE", &body).await.expect(200);
        assert_eq!((&directly["successful"], &directly["error"]), (&json!(true), &Value::Null));
        let neutral = |answer: &Value| answer["data"].to_string().replace(&text(answer, "log_id"), "log_");
        assert_eq!(neutral(&directly), neutral(&planned));
    }
    assert!(upstream.take().is_empty());

    let listed = dry_run(&server.api, &session, "UP_LIST_NOTES", json!({})).await.expect(200)["data"].clone();
    assert_eq!((&listed["effect"], &listed["request"]["body"]), (&json!("read"), &Value::Null));
    assert!(listed.get("idempotency_key").is_none() && listed["verify_with"].is_null(), "{listed}");
    // `false` is as good as nothing.
    let body = json!({ "tool_slug": "UP_LIST_NOTES", "arguments": {}, "dry_run": false });
    on_session(&server.api, &session, "execute", &body).await.expect(200);
    upstream.only();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_is_refused_like_the_call_itself() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, account) = connect_key(api, "u", "up").await;
    upstream.take();
    for (tool, arguments) in [
        ("UP_CREATE_NOTE", json!({ "text": "x" })),
        ("UP_CREATE_NOTE", json!({ "folder": "..", "text": "x" })),
        ("UP_CREATE_NOTE", json!([1])),
        ("UP_CREATE_NOTES", json!({})),
    ] {
        let (planned, real) =
            (dry_run(api, &session, tool, arguments.clone()).await, run(api, &session, tool, arguments).await);
        assert_eq!(planned.status, real.status);
        let words = |reply: &Reply| {
            let error = serde_json::from_str::<Value>(&reply.text()).unwrap()["error"].clone();
            (error["message"].clone(), error["errors"].clone(), error["suggested_fix"].clone())
        };
        assert_eq!(words(&planned), words(&real));
    }
    let policy = json!({ "user_id": "u", "tags": ["readOnlyHint"] });
    let reading = text(&api.post("/tool_router/session", &policy).await.expect(201), "session_id");
    let refused = dry_run(api, &reading, "UP_DELETE_NOTE", json!({ "id": 1 })).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    let body = json!({ "tool_slug": "UP_LIST_NOTES", "dry_run": "yes" });
    on_session(api, &session, "execute", &body).await.expect_error(400, "HTTP_BadRequest");

    // An account that cannot be used, and none at all: no link is made.
    let body = json!({ "arguments": {}, "user_id": "u", "connected_account_id": account, "dry_run": true });
    let disable = json!({ "enabled": false });
    api.call("PATCH", &format!("/connected_accounts/{account}/status"), disable.to_string()).await.expect(200);
    let refused = api.post("/tools/execute/UP_LIST_NOTES", &body).await;
    assert!(refused.status >= 400, "{}", refused.text());
    let other = text(&api.post("/tool_router/session", &json!({ "user_id": "other" })).await.expect(201), "session_id");
    let needed = dry_run(api, &other, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(
        (&needed["result_type"], &needed["data"]["error_code"]),
        (&json!("failed"), &json!("no_active_connection"))
    );
    assert!(needed["data"].get("redirect_url").is_none(), "{needed}");
    let accounts = api.get("/connected_accounts?user_ids=other").await.expect(200);
    assert_eq!(accounts["items"], json!([]), "a dry run makes no account");
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_neither_refreshes_nor_counts() {
    let upstream = Upstream::start().await;
    let layer = Layer { rate_limit_per_account_per_minute: Some(1), ..Layer::default() };
    let host = &upstream.host;
    let oauth = format!(
        "{}[oauth2]\nauthorization_url = \"http://{host}/authorize\"\ntoken_url = \"http://{host}/token\"\n\
         refresh = \"stable\"\n",
        super::help::bare("up", &format!("http://{host}/base"), host)
    );
    let server = TestServer::builder().toolkit("up", &oauth).tools("up", TOOLS).layer(layer).start().await;
    let api = &server.api;
    let config = json!({ "toolkit": { "slug": "up" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2",
        "credentials": { "client_id": "c", "client_secret": "s" } } });
    let config = text(&api.post("/auth_configs", &config).await.expect(201)["auth_config"], "id");
    let state = json!({ "authScheme": "OAUTH2", "val": { "status": "ACTIVE", "access_token": KEY,
        "refresh_token": "refresh-canary-1", "expires_in": 3600 } });
    let body = json!({ "auth_config": { "id": config }, "connection": { "user_id": "u", "state": state } });
    api.post("/connected_accounts", &body).await.expect(201);
    let session = api.session("u", "up").await;
    for (hours, is_due) in [(0, false), (2, true)] {
        server.clock.advance(std::time::Duration::from_hours(hours));
        for _ in 0..3 {
            let planned = dry_run(api, &session, "UP_LIST_NOTES", json!({})).await;
            let shown = planned.text();
            assert!(!shown.contains("canary"), "{shown}");
            let planned = planned.expect(200);
            assert_eq!(planned["data"]["account"]["needs_refresh"], is_due);
            let account = text(&planned["data"]["account"], "id");
            let header = format!("Bearer «account:{account}»");
            assert_eq!(planned["data"]["request"]["headers"]["authorization"], header);
        }
        assert!(upstream.take().is_empty());
    }
    // The call itself refreshes and counts.
    let token = br#"{"access_token":"next","token_type":"Bearer","expires_in":3600}"#;
    upstream.play(http("200 OK", "content-type: application/json\r\n", token));
    run(api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    let sent = upstream.take();
    assert!(sent.len() == 2 && sent[0].starts_with("POST /token ") && sent[1].contains("Bearer next"), "{sent:#?}");
    run(api, &session, "UP_LIST_NOTES", json!({})).await.expect_error(429, "HTTP_TooManyRequests");
    dry_run(api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
}
