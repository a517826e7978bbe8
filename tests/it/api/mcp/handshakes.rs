//! Clients with a handshake and stateless ones, as they talk on the wire.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Endpoint, NEWEST, connected, failure, request, said, session};
use crate::support::connected::second_server;
use crate::support::server::TestServer;

async fn endpoint(server: &TestServer) -> Endpoint {
    let policy = json!({ "toolkits": { "enable": ["sandbox"] }, "preload": { "tools": ["SANDBOX_LIST_NOTES"] } });
    Endpoint::new(&server.api, &session(&server.api, policy).await)
}

fn names(result: &Value) -> Vec<&str> {
    result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

const LISTED: [&str; 5] = [
    "SANDBOX_LIST_NOTES",
    "COMPOSIO_SEARCH_TOOLS",
    "COMPOSIO_GET_TOOL_SCHEMAS",
    "COMPOSIO_MANAGE_CONNECTIONS",
    "COMPOSIO_MULTI_EXECUTE_TOOL",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_2025_03_26_sends_no_header_of_the_version() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{"sampling":{},"roots":{"listChanged":true}},"clientInfo":{"name":"mcp","version":"0.1.0"}}}"#;
    let reply = endpoint.post(&[], hello).await;
    let response = reply.expect(200);
    assert_eq!((&response["id"], &response["result"]["protocolVersion"]), (&json!(0), &json!("2025-03-26")));
    assert_eq!(response["result"]["capabilities"], json!({ "tools": {}, "prompts": {}, "resources": {} }));
    assert_eq!(response["result"]["serverInfo"]["name"], "switchboard");
    assert!(response["result"].get("resultType").is_none() && response["result"].get("_meta").is_none(), "{response}");
    let id = reply.header("mcp-session-id").unwrap();
    assert!(id.bytes().all(|byte| (0x21..=0x7e).contains(&byte)), "{id}");
    let with_id = [("mcp-session-id", id)];
    let ready = endpoint.post(&with_id, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    assert_eq!((ready.status, ready.body.len()), (202, 0));
    let listed = endpoint.post(&with_id, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await.expect(200);
    assert_eq!(names(&listed["result"]), LISTED);
    let pong = endpoint.post(&with_id, r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await.expect(200);
    assert_eq!(pong, json!({ "jsonrpc": "2.0", "id": 2, "result": {} }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_2025_06_18_sends_it_after_the_handshake() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let hello = r#"{"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"elicitation":{}},"clientInfo":{"name":"client","version":"1.0.0"}},"jsonrpc":"2.0","id":"a"}"#;
    let reply = endpoint.post(&[], hello).await;
    let response = reply.expect(200);
    assert_eq!((&response["id"], &response["result"]["protocolVersion"]), (&json!("a"), &json!("2025-06-18")));
    let headers = [("mcp-session-id", reply.header("mcp-session-id").unwrap()), ("mcp-protocol-version", "2025-06-18")];
    let ready = endpoint.post(&headers, r#"{"method":"notifications/initialized","jsonrpc":"2.0"}"#).await;
    assert_eq!((ready.status, ready.body.len()), (202, 0));
    let list = r#"{"method":"tools/list","params":{"_meta":{"progressToken":1}},"jsonrpc":"2.0","id":"b"}"#;
    let result = endpoint.post(&headers, list).await.expect(200)["result"].clone();
    assert_eq!(names(&result), LISTED);
    assert!(result.get("ttlMs").is_none() && result.get("resultType").is_none(), "{result}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateless_client_discovers_and_calls() {
    let (_server, _upstream, _, endpoint) = connected().await;
    let found = endpoint.ask("server/discover", json!({})).await;
    assert_eq!(found["supportedVersions"], json!([NEWEST, "2025-11-25", "2025-06-18", "2025-03-26"]));
    assert_eq!(found["capabilities"], json!({ "tools": {}, "prompts": {}, "resources": {} }));
    for method in ["server/discover", "tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
        let result = endpoint.ask(method, json!({})).await;
        let cache = (&result["ttlMs"], &result["cacheScope"], &result["resultType"]);
        assert_eq!(cache, (&json!(60_000), &json!("private"), &json!("complete")), "{method}");
        assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "switchboard", "{method}");
    }
    // It keeps no session, and one that it sends does not matter.
    let headers = [("mcp-protocol-version", NEWEST), ("mcp-method", "tools/list"), ("mcp-session-id", "any")];
    let params = json!({ "_meta": {
        "io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientCapabilities": {},
    } });
    let reply = endpoint.post(&headers, request("tools/list", params).to_string()).await;
    reply.expect(200);
    assert_eq!(reply.header("mcp-session-id"), None);
    let called = endpoint.call("UP_LIST_NOTES", json!({})).await;
    assert_eq!((&called["isError"], &called["resultType"]), (&json!(false), &json!("complete")), "{called}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_revisions_are_offered_the_newest_with_a_handshake() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    for revision in ["2024-11-05", NEWEST, "1"] {
        let params = json!({ "protocolVersion": revision, "capabilities": {} });
        let reply = endpoint.post(&[], request("initialize", params).to_string()).await;
        assert_eq!(reply.expect(200)["result"]["protocolVersion"], "2025-11-25", "{revision}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_first_revision_has_batches() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let id = endpoint.begin("2025-03-26", json!({})).await;
    let with_id = [("mcp-session-id", id.as_str())];
    let batch = json!([
        { "jsonrpc": "2.0", "id": 1, "method": "ping" },
        { "jsonrpc": "2.0", "method": "notifications/initialized" },
        { "jsonrpc": "2.0", "id": 2, "method": "tools/list" },
        { "jsonrpc": "1.0", "id": 3, "method": "ping" },
        { "jsonrpc": "2.0", "id": 4, "method": "no/such" },
    ]);
    let responses = endpoint.post(&with_id, batch.to_string()).await.expect(200);
    let ids: Vec<&Value> = responses.as_array().unwrap().iter().map(|response| &response["id"]).collect();
    assert_eq!(ids, [&json!(1), &json!(2), &json!(3), &json!(4)]);
    assert_eq!(names(&responses[1]["result"]), LISTED);
    assert_eq!((&responses[2]["error"]["code"], &responses[3]["error"]["code"]), (&json!(-32_600), &json!(-32_601)));
    let silent = endpoint.post(&with_id, r#"[{"jsonrpc":"2.0","method":"notifications/initialized"}]"#).await;
    assert_eq!((silent.status, silent.body.len()), (202, 0));
    let ping = |count: usize| Value::from(vec![request("ping", json!({})); count]).to_string();
    assert_eq!(endpoint.post(&with_id, ping(50)).await.expect(200).as_array().unwrap().len(), 50);
    assert_eq!(failure(&endpoint.post(&with_id, ping(51)).await), (400, -32_600, Value::Null));
    let later = endpoint.begin("2025-06-18", json!({})).await;
    let headers = [("mcp-session-id", later.as_str()), ("mcp-protocol-version", "2025-06-18")];
    assert_eq!(failure(&endpoint.post(&headers, ping(1)).await), (400, -32_600, Value::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_id_is_good_for_its_session_for_a_day_and_on_every_server() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let revision = "2025-11-25";
    let id = endpoint.begin(revision, json!({})).await;
    let list = async |endpoint: &Endpoint, id: &str| endpoint.ask_in(revision, id, "tools/list", json!({})).await;
    list(&endpoint, &id).await.expect(200);
    // As after a restart: nothing is kept in memory.
    let second = second_server(&server).await;
    let session = endpoint.url.rsplit('/').nth(1).unwrap();
    list(&Endpoint::new(&second, session), &id).await.expect(200);
    let other = self::endpoint(&server).await;
    let mut forged = id.clone();
    forged.replace_range(2..3, if &id[2..3] == "A" { "B" } else { "A" });
    for (title, endpoint, id) in [
        ("of another session", &other, id.as_str()),
        ("changed", &endpoint, forged.as_str()),
        ("invented", &endpoint, "5f0c2c9c-6a2a-4e0e-9d53-2f6f5f0f7f10"),
    ] {
        assert_eq!(failure(&list(endpoint, id).await), (404, -32_600, json!(7)), "{title}");
    }
    server.clock.advance(Duration::from_hours(24));
    list(&endpoint, &id).await.expect(200);
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(failure(&list(&endpoint, &id).await), (404, -32_600, json!(7)), "too old");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_shown_as_the_client_can_show_it() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let call = || json!({ "name": "SANDBOX_LIST_NOTES", "arguments": {} });
    let url_mode = json!({ "elicitation": { "url": {} } });
    let is_link = |url: &Value| url.as_str().is_some_and(|url| url.starts_with(&format!("{}/link/lt_", server.url)));

    let asked = endpoint.ask_with(&url_mode, "tools/call", call()).await.expect(200)["result"].clone();
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let question = &asked["inputRequests"]["link"];
    assert_eq!((&question["method"], &question["params"]["mode"]), (&json!("elicitation/create"), &json!("url")));
    assert!(is_link(&question["params"]["url"]), "{asked}");

    let id = endpoint.begin("2025-11-25", url_mode.clone()).await;
    let reply = endpoint.ask_in("2025-11-25", &id, "tools/call", call()).await;
    assert_eq!(failure(&reply), (200, -32_042, json!(7)));
    let elicitation = reply.json()["error"]["data"]["elicitations"][0].clone();
    assert!(elicitation["mode"] == "url" && is_link(&elicitation["url"]), "{elicitation}");
    assert!(elicitation["elicitationId"].is_string(), "{elicitation}");

    // Earlier revisions have no URLs, and a client without the capability cannot show them.
    for (revision, capabilities) in [("2025-06-18", url_mode), ("2025-11-25", json!({ "elicitation": {} }))] {
        let id = endpoint.begin(revision, capabilities).await;
        let result = endpoint.ask_in(revision, &id, "tools/call", call()).await.expect(200)["result"].clone();
        assert_eq!(result["isError"], true);
        assert!(result.get("structuredContent").is_none(), "{result}");
        let answer: Value = serde_json::from_str(&said(&result)).unwrap();
        assert_eq!(
            (&answer["successful"], &answer["data"]["error_code"]),
            (&json!(false), &json!("no_active_connection"))
        );
        assert!(is_link(&answer["data"]["redirect_url"]), "{answer}");
    }
}
