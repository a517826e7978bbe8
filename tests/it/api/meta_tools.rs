//! Meta tools over REST: schemas, links in chat, waiting, several calls at once, raw calls.

use std::time::Instant;

use serde_json::{Value, json};

use super::help::{connect_key, finish, http, on_session, text};
use super::tools::{run, with_tools};
use crate::support::http::Api;

/// The meta tools of a session without rules on them.
pub const META_TOOLS: [&str; 4] = [
    "COMPOSIO_SEARCH_TOOLS",
    "COMPOSIO_GET_TOOL_SCHEMAS",
    "COMPOSIO_MANAGE_CONNECTIONS",
    "COMPOSIO_MULTI_EXECUTE_TOOL",
];

async fn session(api: &Api, policy: Value) -> String {
    let mut body = json!({ "user_id": "u" });
    body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    text(&api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lists_the_meta_tools_that_it_has() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    for (policy, expected) in [
        (json!({}), vec!["SEARCH_TOOLS", "GET_TOOL_SCHEMAS", "MANAGE_CONNECTIONS", "MULTI_EXECUTE_TOOL"]),
        (
            json!({ "search": { "enable": false }, "execute": { "enable_multi_execute": false },
                    "manage_connections": { "enable": true, "enable_wait_for_connections": true },
                    "proxy_execute": { "enable": true }, "preload": { "tools": ["UP_LIST_NOTES"] } }),
            vec!["MANAGE_CONNECTIONS", "WAIT_FOR_CONNECTIONS", "PROXY_EXECUTE"],
        ),
        (
            json!({ "manage_connections": { "enable": false }, "search": { "enable": false } }),
            vec!["MULTI_EXECUTE_TOOL"],
        ),
    ] {
        let expected: Vec<String> = expected.into_iter().map(|name| format!("COMPOSIO_{name}")).collect();
        let mut body = json!({ "user_id": "u" });
        body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
        let created = api.post("/tool_router/session", &body).await.expect(201);
        assert_eq!(created["tool_router_tools"], json!(expected));
        let listed = api.get(&format!("/tool_router/session/{}/tools", text(&created, "session_id"))).await.expect(200);
        let slugs: Vec<&str> =
            listed["items"].as_array().unwrap().iter().filter_map(|item| item["slug"].as_str()).collect();
        let preloaded = policy.get("preload").map(|_| "UP_LIST_NOTES".to_owned());
        let all: Vec<String> = preloaded.into_iter().chain(expected).collect();
        assert_eq!(slugs, all);
        assert_eq!(listed["items"].as_array().unwrap().last().unwrap()["toolkit"]["slug"], "COMPOSIO");
    }
    let read = api.get("/tools/COMPOSIO_SEARCH_TOOLS").await.expect(200);
    assert_eq!(read["input_parameters"]["required"], json!(["queries"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_returned_of_the_tools_that_the_session_may_use() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({ "tools": { "up": { "disable": ["UP_DELETE_NOTE"] } } })).await;
    let arguments = json!({ "tool_slugs": ["up_create_note", "UP_DELETE_NOTE", "UP_CREATE_NOTES"],
                            "include": ["input_schema", "output_schema"] });
    let done = run(api, &session, "COMPOSIO_GET_TOOL_SCHEMAS", arguments).await.expect(200);
    let data = &done["data"];
    assert_eq!(data["success"], false);
    let schema = &data["tool_schemas"]["UP_CREATE_NOTE"];
    assert_eq!(schema["input_schema"]["required"], json!(["folder", "text"]));
    assert_eq!((&schema["toolkit"], &schema["output_schema"]["type"]), (&json!("up"), &json!("object")));
    assert_eq!(data["not_found"], json!(["UP_DELETE_NOTE", "UP_CREATE_NOTES"]));
    assert_eq!(data["suggestions"]["UP_CREATE_NOTES"][0], "UP_CREATE_NOTE");
    let suggested: Vec<&Value> = data["suggestions"].as_object().unwrap().values().collect();
    assert!(!json!(suggested).to_string().contains("UP_DELETE_NOTE"), "{data}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_links_an_app_and_waits_for_it() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let policy = json!({ "manage_connections": { "enable_wait_for_connections": true } });
    let session = session(api, policy).await;
    let manage = json!({ "toolkits": ["up", "nowhere"] });
    let linked = run(api, &session, "COMPOSIO_MANAGE_CONNECTIONS", manage.clone()).await.expect(200);
    let data = &linked["data"];
    let up = &data["results"]["up"];
    assert_eq!((&up["status"], &up["has_active_connection"]), (&json!("initiated"), &json!(false)));
    assert_eq!(data["results"]["nowhere"]["status"], "failed");
    assert_eq!(
        data["summary"],
        json!({ "total_toolkits": 2, "active_connections": 0, "initiated_connections": 1, "failed_connections": 1 })
    );

    let wait = json!({ "toolkits": ["up"], "mode": "all" });
    let (woken, connected) = tokio::join!(
        async {
            let reply = run(api, &session, "COMPOSIO_WAIT_FOR_CONNECTIONS", wait.clone()).await.expect(200);
            (Instant::now(), reply)
        },
        async {
            // The waiter is in its place before the person is done, or finds the account at once: both are right.
            finish(api, up, &[("generic_api_key", super::help::KEY)]).await;
            Instant::now()
        }
    );
    let (woken_at, reply) = woken;
    assert_eq!(reply["data"]["results"]["up"]["status"], "ACTIVE");
    assert!(woken_at.saturating_duration_since(connected).as_secs() < 4, "woken, not found at the next look");

    let again = run(api, &session, "COMPOSIO_MANAGE_CONNECTIONS", manage).await.expect(200);
    assert_eq!(again["data"]["results"]["up"]["status"], "active");
    let renewed = json!({ "toolkits": ["up"], "reinitiate_all": true });
    let renewed = run(api, &session, "COMPOSIO_MANAGE_CONNECTIONS", renewed).await.expect(200);
    let up = &renewed["data"]["results"]["up"];
    assert_eq!((&up["status"], &up["was_reinitiated"]), (&json!("initiated"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_tools_run_at_once_with_a_result_each() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, _) = connect_key(api, "u", "up").await;
    upstream.take();
    upstream.play(http("200 OK", "content-type: application/json\r\n", br#"{"notes":[]}"#));
    let arguments = json!({ "tools": [
        { "tool_slug": "UP_LIST_NOTES", "arguments": {} },
        { "tool_slug": "UP_CREATE_NOTE", "arguments": { "folder": "a" } },
        { "tool_slug": "UP_NOTHING", "arguments": {} },
        { "tool_slug": "UP_CREATE_NOTE", "arguments": { "folder": "a", "text": "x" }, "dry_run": true },
    ] });
    let body = json!({ "slug": "COMPOSIO_MULTI_EXECUTE_TOOL", "arguments": arguments });
    let done = on_session(api, &session, "execute_meta", &body).await.expect(200);
    let data = &done["data"];
    assert_eq!((&data["total_count"], &data["success_count"], &data["error_count"]), (&json!(4), &json!(2), &json!(2)));
    let results = data["results"].as_array().unwrap();
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
    }
    assert_eq!(results[0]["response"]["successful"], true);
    assert!(text(&results[0]["response"], "log_id").starts_with("log_"));
    assert!(text(&results[1], "error").contains("text"), "{data}");
    assert_eq!((&results[1]["response"], &results[2]["response"]), (&Value::Null, &Value::Null));
    assert_eq!(results[3]["response"]["data"]["dry_run"], true);
    assert_eq!(upstream.take().len(), 1);

    let meta = json!({ "tools": [{ "tool_slug": "COMPOSIO_SEARCH_TOOLS", "arguments": {} }] });
    run(api, &session, "COMPOSIO_MULTI_EXECUTE_TOOL", meta).await.expect_error(400, "HTTP_BadRequest");
    let misspelt = json!({ "tool": [] });
    let error = run(api, &session, "COMPOSIO_MULTI_EXECUTE_TOOL", misspelt).await;
    assert!(error.expect_error(400, "HTTP_BadRequest")["message"].to_string().contains("tools"));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_calls_with_a_key_are_made_once_each() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, _) = connect_key(api, "u", "up").await;
    upstream.take();
    let body = json!({ "tool_slug": "COMPOSIO_MULTI_EXECUTE_TOOL", "arguments": { "tools": [
        { "tool_slug": "UP_CREATE_NOTE", "arguments": { "folder": "a", "text": "x" } },
        { "tool_slug": "UP_CREATE_NOTE", "arguments": { "folder": "a", "text": "x" } },
    ] } });
    let path = format!("/tool_router/session/{session}/execute");
    let send = || api.call_with("POST", &path, &[("idempotency-key", "k1")], body.to_string());
    let first = send().await.expect(200);
    assert_eq!(upstream.take().len(), 2);
    let second = send().await.expect(200);
    assert!(upstream.take().is_empty());
    assert_eq!(first["data"], second["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_calls_by_agents_need_the_session_and_the_key_to_allow_them() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let with_raw = session(api, json!({ "proxy_execute": { "enable": true } })).await;
    let without = session(api, json!({})).await;
    upstream.take();
    upstream.play(http("404 Not Found", "content-type: application/json\r\n", br#"{"no":1}"#));
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET",
                       "parameters": [{ "name": "q", "value": "1", "type": "query" }] });
    let done = run(api, &with_raw, "COMPOSIO_PROXY_EXECUTE", call.clone()).await.expect(200);
    assert_eq!((&done["data"]["status"], &done["data"]["data"]), (&json!(404), &json!({ "no": 1 })));
    assert!(upstream.only().starts_with("GET /base/x?q=1 HTTP/1.1\r\n"));
    run(api, &without, "COMPOSIO_PROXY_EXECUTE", call).await.expect_error(403, "HTTP_Forbidden");
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_built_is_said_by_name() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({})).await;
    for slug in ["COMPOSIO_REMOTE_WORKBENCH", "COMPOSIO_REMOTE_BASH_TOOL", "COMPOSIO_SUBMIT_FEEDBACK"] {
        let error = run(api, &session, slug, json!({})).await.expect_error(501, "HTTP_NotImplemented");
        assert!(error["message"].to_string().contains(slug), "{error}");
    }
    run(api, &session, "COMPOSIO_NOTHING", json!({})).await.expect_error(404, "ToolRouterV2_ToolNotFound");
    let body = json!({ "slug": "UP_LIST_NOTES", "arguments": {} });
    on_session(api, &session, "execute_meta", &body).await.expect_error(400, "HTTP_BadRequest");
}
