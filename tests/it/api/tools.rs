//! Running tools in a session (contract section 2.11): what is sent, what comes back, and what is refused before
//! anything is sent.

use serde_json::{Value, json};

use super::help::{KEY, TOOLS, Upstream, connect_key, finish, finish_oauth, http, on_session, text};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

/// A server with tools, and their provider.
pub async fn with_tools() -> (TestServer, Upstream) {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).tools("up", TOOLS).start().await;
    (server, upstream)
}

/// A call of a tool.
pub async fn run(api: &Api, session: &str, tool: &str, arguments: Value) -> Reply {
    on_session(api, session, "execute", &json!({ "tool_slug": tool, "arguments": arguments })).await
}

/// A session with this policy besides its user; its id.
async fn session(api: &Api, policy: Value) -> String {
    let mut body = json!({ "user_id": "u" });
    body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    text(&api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_sends_what_its_file_says_and_returns_the_result() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    upstream.play(http("201 Created", "content-type: application/json\r\n", br#"{"note":{"id":7,"text":"milk"}}"#));
    let arguments = json!({ "folder": "a/b", "text": "milk", "labels": ["x", "y"] });
    let done = run(&server.api, &session, "up_create_note", arguments).await.expect(200);
    assert_eq!(done["result_type"], "completed");
    assert_eq!(done["error"], Value::Null);
    assert_eq!(done["data"], json!({ "id": 7, "text": "milk" }));
    assert!(text(&done, "log_id").starts_with("log_"), "{done}");
    let seen = upstream.only();
    assert!(seen.starts_with("POST /base/folders/a%2Fb/notes?source=agent HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains(&format!("authorization: Key {KEY}\r\n")), "{seen}");
    assert!(seen.contains("content-type: application/json\r\n"), "{seen}");
    assert!(seen.contains(&format!("x-key: {}\r\n", text(&done, "log_id"))), "{seen}");
    assert!(seen.ends_with(r#"{"note":{"labels":["x","y"],"pinned":false,"text":"milk"}}"#), "{seen}");

    upstream.play(http("200 OK", "content-type: application/json\r\n", br#"[{"id":7}]"#));
    let listed = run(&server.api, &session, "UP_LIST_NOTES", json!("{\"labels\":[\"x\",\"y\"]}")).await.expect(200);
    assert_eq!(listed["data"], json!({ "items": [{ "id": 7 }] }));
    assert!(upstream.only().starts_with("GET /base/notes?labels=x%2Cy HTTP/1.1\r\n"));

    upstream.play(http("204 No Content", "", b""));
    let deleted = run(&server.api, &session, "UP_DELETE_NOTE", json!({ "id": 7 })).await.expect(200);
    assert_eq!((&deleted["result_type"], &deleted["data"]), (&json!("completed"), &json!({})));
    assert!(upstream.only().starts_with("DELETE /base/notes/7 HTTP/1.1\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_arguments_are_refused_before_anything_is_sent() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    for (arguments, expected) in [
        (json!({ "text": "x" }), "Error in payload.arguments.folder: is required"),
        (json!({ "folder": "f", "text": ["x"] }), "Error in payload.arguments.text: must be of type string, not array"),
        (
            json!({ "folder": "f", "text": "x".repeat(21) }),
            "Error in payload.arguments.text: must have at most 20 characters",
        ),
        (
            json!({ "folder": "f", "txt": "x", "text": "x" }),
            "Error in payload.arguments.txt: is no argument of this tool; did you mean `text`?",
        ),
        (
            json!({ "folder": "..", "text": "x" }),
            "Error in payload.arguments.folder: stands in the path: it must not be empty or have `.` or `..` between slashes",
        ),
        (json!([1]), "Error in payload.arguments: must be an object"),
        (json!("{not json"), "Error in payload.arguments: must be an object"),
    ] {
        let error = run(&server.api, &session, "UP_CREATE_NOTE", arguments.clone()).await;
        let error = error.expect_error(400, "HTTP_BadRequest");
        assert_eq!(error["errors"], json!([expected]), "{arguments}");
        // Many SDKs show only the message to a model.
        let (_, problem) = expected.split_once(": ").unwrap();
        assert!(!arguments.is_object() || error["message"].as_str().unwrap().ends_with(problem), "{error}");
    }
    let error =
        run(&server.api, &session, "UP_CREATE_NOTES", json!({})).await.expect_error(404, "ToolRouterV2_ToolNotFound");
    assert_eq!(error["suggested_fix"], "Did you mean UP_CREATE_NOTE?");
    run(&server.api, &session, "NO_SUCH_TOOL", json!({})).await.expect_error(404, "ToolRouterV2_ToolNotFound");
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_of_a_session_decides_which_tools_run() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    upstream.take();
    let cases = [
        (json!({}), [true, true, true]),
        (json!({ "toolkits": { "disable": ["up"] } }), [false, false, false]),
        (json!({ "tools": { "up": { "enable": ["UP_LIST_NOTES"] } } }), [false, false, true]),
        (json!({ "tools": { "up": { "disable": ["UP_DELETE_NOTE"] } } }), [true, false, true]),
        (json!({ "tags": ["readOnlyHint"] }), [false, false, true]),
        (json!({ "tags": { "disable": ["destructiveHint"] } }), [true, false, true]),
        (json!({ "tags": ["readOnlyHint"], "tools": { "up": { "tags": ["createHint"] } } }), [true, false, false]),
    ];
    for (policy, allowed) in cases {
        let session = session(api, policy.clone()).await;
        let calls = [
            ("UP_CREATE_NOTE", json!({ "folder": "f", "text": "x" })),
            ("UP_DELETE_NOTE", json!({ "id": 1 })),
            ("UP_LIST_NOTES", json!({})),
        ];
        for ((tool, arguments), allowed) in calls.into_iter().zip(allowed) {
            let reply = run(api, &session, tool, arguments).await;
            assert_eq!(reply.status, if allowed { 200 } else { 403 }, "{policy} {tool} {}", reply.text());
            assert_eq!(upstream.take().len(), usize::from(allowed), "{policy} {tool}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_call_does_nothing_that_the_rules_on_tools_exclude() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    upstream.take();
    for (policy, is_allowed) in [
        (json!({}), true),
        (json!({ "tags": ["readOnlyHint"] }), false),
        (json!({ "tags": { "disable": ["destructiveHint"] } }), false),
        (json!({ "tags": { "disable": ["destructiveHint"] }, "proxy_execute": { "enable": true } }), true),
        (json!({ "tools": { "up": { "tags": ["updateHint"] } } }), false),
        (json!({ "tools": { "sandbox": { "tags": ["updateHint"] } } }), true),
        (json!({ "tools": { "up": { "enable": ["UP_LIST_NOTES"] } } }), false),
        (json!({ "tools": { "up": { "disable": ["UP_DELETE_NOTE"] } } }), false),
        (json!({ "tools": { "up": { "enable": ["UP_LIST_NOTES"] } }, "proxy_execute": { "enable": true } }), true),
    ] {
        let session = session(api, policy.clone()).await;
        for method in ["GET", "POST", "PATCH"] {
            let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": method });
            let reply = on_session(api, &session, "proxy_execute", &body).await;
            assert_eq!(reply.status, if is_allowed { 200 } else { 403 }, "{policy} {method} {}", reply.text());
            assert_eq!(upstream.take().len(), usize::from(is_allowed), "{policy} {method}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_an_account_gets_a_link_that_makes_the_call_work() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({})).await;
    let needed = run(api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(needed["result_type"], "failed");
    assert_eq!(needed["data"]["error_code"], "no_active_connection");
    let link = text(&needed["data"], "redirect_url");
    assert!(text(&needed, "error").contains(&link), "{needed}");
    assert!(upstream.take().is_empty());
    finish(api, &needed["data"], &[("generic_api_key", KEY)]).await;
    upstream.take();
    assert_eq!(run(api, &session, "UP_LIST_NOTES", json!({})).await.expect(200)["result_type"], "completed");

    // The same link is offered until it is used, however many calls need it.
    let other = text(&api.post("/tool_router/session", &json!({ "user_id": "other" })).await.expect(201), "session_id");
    let first = run(api, &other, "UP_LIST_NOTES", json!({})).await.expect(200);
    let again = run(api, &other, "UP_DELETE_NOTE", json!({ "id": 1 })).await.expect(200);
    assert_eq!(first["data"]["redirect_url"], again["data"]["redirect_url"]);
    let body = json!({ "user_id": "other", "manage_connections": { "enable": false } });
    let silent = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    let needed = run(api, &silent, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(needed["data"]["error_code"], "no_active_connection");
    assert!(needed["data"].get("redirect_url").is_none(), "{needed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_accounts_need_a_choice_where_the_session_asks_for_one() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let policy = json!({ "multi_account": { "enable": true, "require_explicit_selection": true } });
    let session = session(api, policy).await;
    let mut accounts = Vec::new();
    for _ in 0..2 {
        let link = api.link(&session, "up").await;
        accounts.push(finish(api, &link, &[("generic_api_key", KEY)]).await);
    }
    upstream.take();
    run(api, &session, "UP_LIST_NOTES", json!({})).await.expect_error(400, "ToolRouterV2_BadRequest");
    assert!(upstream.take().is_empty());
    let body = json!({ "tool_slug": "UP_LIST_NOTES", "account": accounts[0] });
    assert_eq!(on_session(api, &session, "execute", &body).await.expect(200)["result_type"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_of_the_sandbox_are_created_listed_and_deleted() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = api.session("u", "sandbox").await;
    let link = api.link(&session, "sandbox").await;
    finish_oauth(api, &link).await;
    let made = run(api, &session, "SANDBOX_CREATE_NOTE", json!({ "text": "buy milk" })).await.expect(200);
    assert_eq!((&made["result_type"], &made["data"]["text"]), (&json!("completed"), &json!("buy milk")));
    let id = text(&made["data"], "id");
    let listed = run(api, &session, "SANDBOX_LIST_NOTES", json!({})).await.expect(200);
    let notes: Vec<&Value> = listed["data"]["notes"].as_array().unwrap().iter().map(|note| &note["id"]).collect();
    assert_eq!(notes, [&json!(id)]);
    let deleted = run(api, &session, "SANDBOX_DELETE_NOTE", json!({ "note_id": id })).await.expect(200);
    assert_eq!(deleted["result_type"], "completed");
    let gone = run(api, &session, "SANDBOX_DELETE_NOTE", json!({ "note_id": id })).await.expect(200);
    assert_eq!((&gone["result_type"], &gone["data"]["http_status"]), (&json!("failed"), &json!(404)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_without_a_scope_gets_a_link_for_the_same_account() {
    let server = TestServer::start().await;
    let api = &server.api;
    let config = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": {
        "type": "use_composio_managed_auth", "credentials": { "scopes": ["notes:read"] }, "name": "narrow",
    }});
    let config = text(&api.post("/auth_configs", &config).await.expect(201)["auth_config"], "id");
    let session = session(api, json!({ "auth_configs": { "sandbox": config } })).await;
    let link = api.link(&session, "sandbox").await;
    let account = finish_oauth(api, &link).await;
    assert_eq!(run(api, &session, "SANDBOX_LIST_NOTES", json!({})).await.expect(200)["result_type"], "completed");
    let needed = run(api, &session, "SANDBOX_CREATE_NOTE", json!({ "text": "x" })).await.expect(200);
    assert_eq!(needed["data"]["error_code"], "MISSING_SCOPE");
    assert_eq!(needed["data"]["missing_scopes"], json!(["notes:write"]));
    assert_eq!(needed["data"]["connected_account_id"], json!(account));
    assert!(needed["data"].get("redirect_url").is_none(), "the auth config would not ask for it: {needed}");
    // The developer admits the scope: now the user is asked for it, and the account keeps its id.
    let change = json!({ "type": "default", "scopes": ["notes:read", "notes:write"] });
    api.call("PATCH", &format!("/auth_configs/{config}"), change.to_string()).await.expect(200);
    let needed = run(api, &session, "SANDBOX_CREATE_NOTE", json!({ "text": "x" })).await.expect(200);
    assert_eq!(needed["data"]["connected_account_id"], json!(account));
    finish_oauth(api, &needed["data"]).await;
    assert_eq!(
        run(api, &session, "SANDBOX_CREATE_NOTE", json!({ "text": "x" })).await.expect(200)["result_type"],
        "completed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_of_a_shared_account_cannot_connect_it_again() {
    let server = TestServer::start().await;
    let api = &server.api;
    let owner = api.session("owner", "sandbox").await;
    let body = json!({ "toolkit": "sandbox", "experimental": {
        "account_type": "SHARED", "acl_config_for_shared": { "allowed_user_ids": ["friend"] },
    }});
    let link = api.post(&format!("/tool_router/session/{owner}/link"), &body).await.expect(201);
    let account = finish_oauth(api, &link).await;
    let pinned = json!({ "user_id": "friend", "connected_accounts": { "sandbox": [account] } });
    let friend = text(&api.post("/tool_router/session", &pinned).await.expect(201), "session_id");
    assert_eq!(run(api, &friend, "SANDBOX_LIST_NOTES", json!({})).await.expect(200)["result_type"], "completed");
    api.post(&format!("/connected_accounts/{account}/revoke"), &json!({})).await.expect(200);
    let needed = run(api, &friend, "SANDBOX_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(needed["data"]["error_code"], "connection_expired");
    assert!(needed["data"].get("redirect_url").is_none(), "it is not theirs: {needed}");
    let pinned = json!({ "user_id": "owner", "connected_accounts": { "sandbox": [account] } });
    let owner = text(&api.post("/tool_router/session", &pinned).await.expect(201), "session_id");
    let needed = run(api, &owner, "SANDBOX_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(needed["data"]["connected_account_id"], json!(account));
    finish_oauth(api, &needed["data"]).await;
    assert_eq!(run(api, &owner, "SANDBOX_LIST_NOTES", json!({})).await.expect(200)["result_type"], "completed");
}
