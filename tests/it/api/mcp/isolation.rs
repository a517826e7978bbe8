//! What a key of another project and a session of another user do not get.

use serde_json::{Value, json};

use super::{Endpoint, connected, request, said, session};
use crate::api::help::http;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_project_is_one_that_does_not_exist() {
    let (server, upstream, id, endpoint) = connected().await;
    let other = server.other_project("other").await;
    let own = endpoint.begin("2025-11-25", json!({})).await;
    let foreign = Endpoint::new(&other, &id);
    let call = json!({ "name": "UP_LIST_NOTES", "arguments": {} });
    let messages = [
        ("initialize", json!({ "protocolVersion": "2025-11-25", "capabilities": {} })),
        ("tools/list", json!({})),
        ("tools/call", call.clone()),
        ("ping", json!({})),
    ];
    for (method, params) in messages {
        let with_id = [("mcp-session-id", own.as_str())];
        let reply = foreign.post(&with_id, request(method, params).to_string()).await;
        reply.expect_error(404, "ToolRouterV2_SessionNotFound");
        assert_eq!(reply.header("mcp-session-id"), None, "{method}");
    }
    foreign.ask_with(&json!({}), "tools/call", call).await.expect_error(404, "ToolRouterV2_SessionNotFound");
    assert_eq!(upstream.take(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_runs_with_the_account_of_the_session_s_user_only() {
    let (server, upstream, _, endpoint) = connected().await;
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"[]"));
    let body = json!({ "user_id": "someone else", "toolkits": { "enable": ["up"] } });
    let made = server.api.post("/tool_router/session", &body).await.expect(201);
    let other = Endpoint::new(&server.api, made["session_id"].as_str().unwrap());
    let called = other.call("UP_LIST_NOTES", json!({})).await;
    let answer: Value = serde_json::from_str(&said(&called)).unwrap();
    assert_eq!(answer["data"]["error_code"], "no_active_connection", "{answer}");
    assert_eq!(upstream.take(), Vec::<String>::new());
    // Naming the account does not help.
    let accounts = server.api.get("/connected_accounts").await.expect(200);
    let account = &accounts["items"][0]["id"];
    let call = json!({
        "name": "UP_LIST_NOTES",
        "arguments": {},
        "_meta": { "dev.switchboard/account": account },
    });
    assert_eq!(other.ask("tools/call", call).await["isError"], true);
    assert_eq!(upstream.take(), Vec::<String>::new());
    assert_eq!(endpoint.call("UP_LIST_NOTES", json!({})).await["isError"], false);
    upstream.only();
    // A session without meta tools has none.
    let policy = json!({
        "search": { "enable": false },
        "manage_connections": { "enable": false },
        "execute": { "enable_multi_execute": false },
    });
    let plain = Endpoint::new(&server.api, &session(&server.api, policy).await);
    assert_eq!(plain.ask("tools/list", json!({})).await["tools"], json!([]));
    for name in ["COMPOSIO_SEARCH_TOOLS", "COMPOSIO_MANAGE_CONNECTIONS", "COMPOSIO_MULTI_EXECUTE_TOOL"] {
        let called = plain.call(name, json!({ "tools": [], "queries": [], "toolkits": ["up"] })).await;
        assert_eq!(called["isError"], true, "{name}");
        assert!(said(&called).contains("does not have"), "{called}");
    }
}
