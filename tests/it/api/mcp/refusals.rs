//! What is refused, each with its status and code.

use serde_json::{Value, json};
use switchboard::app::project::keys::KeyScope;
use switchboard::app::project::permissions::{Access, Permissions, Preset};
use switchboard::id::Kind;

use super::{Endpoint, NEWEST, failure, request, session};
use crate::api::help::unknown;
use crate::support::server::TestServer;

const VERSION: (&str, &str) = ("mcp-protocol-version", NEWEST);
const METHOD: (&str, &str) = ("mcp-method", "tools/call");
const NAME: (&str, &str) = ("mcp-name", "COMPOSIO_GET_TOOL_SCHEMAS");

async fn endpoint(server: &TestServer) -> Endpoint {
    Endpoint::new(&server.api, &session(&server.api, json!({ "toolkits": { "enable": ["sandbox"] } })).await)
}

/// A call of a stateless client, of which `change` breaks something.
fn call(change: impl FnOnce(&mut Value)) -> String {
    let mut message = request(
        "tools/call",
        json!({
            "name": NAME.1,
            "arguments": { "tool_slugs": ["SANDBOX_GET_PROFILE"] },
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": NEWEST,
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        }),
    );
    change(&mut message);
    message.to_string()
}

fn meta<'a>(message: &'a mut Value, key: &str) -> &'a mut Value {
    &mut message["params"]["_meta"][format!("io.modelcontextprotocol/{key}")]
}

/// A name, headers, a body, and the failure: status, code and id.
type Case<'a> = (&'a str, Vec<(&'a str, &'a str)>, String, (u16, i64, Value));

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_wrong_gets_the_status_and_the_code_of_its_fault() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let all = [VERSION, METHOD, NAME];
    assert_eq!(endpoint.post(&all, call(|_| ())).await.expect(200)["result"]["isError"], false);
    let none = Value::Null;
    let id = json!(7);
    let remove = |key: &'static str| {
        move |message: &mut Value| {
            let meta = message["params"]["_meta"].as_object_mut().unwrap();
            meta.remove(&format!("io.modelcontextprotocol/{key}")).unwrap();
        }
    };
    let cases: Vec<Case<'_>> = vec![
        ("no JSON", all.to_vec(), "{".to_owned(), (400, -32_700, none.clone())),
        ("nothing", all.to_vec(), String::new(), (400, -32_700, none.clone())),
        ("an array", all.to_vec(), format!("[{}]", call(|_| ())), (400, -32_600, none.clone())),
        ("a number", all.to_vec(), "3".to_owned(), (400, -32_600, none.clone())),
        ("another JSON-RPC", all.to_vec(), call(|it| it["jsonrpc"] = "1.0".into()), (400, -32_600, id.clone())),
        ("an id that is null", all.to_vec(), call(|it| it["id"] = Value::Null), (400, -32_600, none.clone())),
        ("params that are a list", all.to_vec(), call(|it| it["params"] = json!([])), (400, -32_602, id.clone())),
        ("no _meta", all.to_vec(), call(|it| it["params"]["_meta"] = Value::Null), (400, -32_602, id.clone())),
        ("no version in _meta", all.to_vec(), call(remove("protocolVersion")), (400, -32_602, id.clone())),
        ("no capabilities in _meta", all.to_vec(), call(remove("clientCapabilities")), (400, -32_602, id.clone())),
        ("no header of the version", vec![METHOD, NAME], call(|_| ()), (400, -32_020, id.clone())),
        ("no header of the method", vec![VERSION, NAME], call(|_| ()), (400, -32_020, id.clone())),
        ("no header of the name", vec![VERSION, METHOD], call(|_| ()), (400, -32_020, id.clone())),
        (
            "another version in the header",
            vec![("mcp-protocol-version", "2025-11-25"), METHOD, NAME],
            call(|_| ()),
            (400, -32_020, id.clone()),
        ),
        (
            "another method in the header",
            vec![VERSION, ("mcp-method", "tools/list"), NAME],
            call(|_| ()),
            (400, -32_020, id.clone()),
        ),
        (
            "another name in the header",
            vec![VERSION, METHOD, ("mcp-name", "COMPOSIO_SEARCH_TOOLS")],
            call(|_| ()),
            (400, -32_020, id.clone()),
        ),
        (
            "an unknown version",
            vec![("mcp-protocol-version", "2099-01-01"), METHOD, NAME],
            call(|it| *meta(it, "protocolVersion") = "2099-01-01".into()),
            (400, -32_022, id.clone()),
        ),
        (
            "an unknown version without _meta",
            vec![("mcp-protocol-version", "2024-11-05")],
            request("tools/list", json!({})).to_string(),
            (400, -32_022, id.clone()),
        ),
        (
            "another Content-Type",
            [all.as_slice(), &[("content-type", "text/plain")]].concat(),
            call(|_| ()),
            (415, -32_600, none.clone()),
        ),
        (
            "another Accept",
            [all.as_slice(), &[("accept", "text/html")]].concat(),
            call(|_| ()),
            (406, -32_600, none.clone()),
        ),
        (
            "a tool without a name",
            vec![VERSION, METHOD],
            call(|it| it["params"]["name"] = 3.into()),
            (200, -32_602, id),
        ),
    ];
    for (title, headers, body, expected) in cases {
        let reply = endpoint.post(&headers, body).await;
        assert_eq!(failure(&reply), expected, "{title}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_version_is_answered_with_those_that_are() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let headers = [("mcp-protocol-version", "2099-01-01"), METHOD, NAME];
    let reply = endpoint.post(&headers, call(|it| *meta(it, "protocolVersion") = "2099-01-01".into())).await;
    let supported = ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];
    let expected = json!({ "requested": "2099-01-01", "supported": supported });
    assert_eq!(reply.expect(400)["error"]["data"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_a_revision_does_not_have_are_not_found() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    for method in
        ["ping", "logging/setLevel", "resources/subscribe", "subscriptions/listen", "completion/complete", "no/such"]
    {
        let reply = endpoint.ask_with(&json!({}), method, json!({})).await;
        assert_eq!(failure(&reply), (404, -32_601, json!(7)), "{method}");
    }
    // Clients with a handshake read the code, not the status.
    let id = endpoint.begin("2025-11-25", json!({})).await;
    for method in ["logging/setLevel", "server/discover", "completion/complete", "no/such"] {
        let reply = endpoint.ask_in("2025-11-25", &id, method, json!({})).await;
        assert_eq!(failure(&reply), (200, -32_601, json!(7)), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_of_http_are_refused() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    for method in ["GET", "DELETE", "PUT", "PATCH"] {
        let headers = [("x-api-key", endpoint.key.as_str()), ("accept", "text/event-stream")];
        let reply = endpoint.http.send(method, &endpoint.url, &headers, "").await;
        reply.expect_error(405, "HTTP_MethodNotAllowed");
        assert_eq!(reply.header("allow"), Some("POST"), "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_checked_as_those_of_the_api() {
    let server = TestServer::start().await;
    let mut endpoint = endpoint(&server).await;
    let list = || request("tools/list", json!({})).to_string();
    let without = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    let reply = endpoint.http.send("POST", &endpoint.url, &without, list()).await;
    reply.expect_error(401, "HTTP_Unauthorized");
    let scope =
        |preset| KeyScope { permissions: Some(Permissions([(preset, Access::Write)].into())), ..KeyScope::default() };
    endpoint.key = server.scoped_key(&scope(Preset::AuthConfigs)).await;
    endpoint.post(&[], list()).await.expect_error(403, "HTTP_Forbidden");
    endpoint.key = server.scoped_key(&scope(Preset::SessionToolExecution)).await;
    endpoint.post(&[], list()).await.expect(200);
    endpoint.key = server.other_project("other").await.key;
    endpoint.post(&[], list()).await.expect_error(404, "ToolRouterV2_SessionNotFound");
    let nowhere = Endpoint::new(&server.api, &unknown(Kind::Session));
    nowhere.post(&[], list()).await.expect_error(404, "ToolRouterV2_SessionNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_refused() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let list = request("tools/list", json!({})).to_string();
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example", ""] {
        endpoint.post(&[("origin", origin)], list.clone()).await.expect_error(403, "HTTP_Forbidden");
    }
    endpoint.post(&[("origin", &server.url)], list).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_more_than_four_mebibytes_is_refused() {
    let server = TestServer::start().await;
    let endpoint = endpoint(&server).await;
    let padded = |bytes: usize| {
        let empty = request("tools/list", json!({ "x": "" })).to_string().len();
        request("tools/list", json!({ "x": "a".repeat(bytes - empty) })).to_string()
    };
    endpoint.post(&[], padded(4 << 20)).await.expect(200);
    let error = endpoint.post(&[], padded((4 << 20) + 1)).await.expect_error(413, "HTTP_PayloadTooLarge");
    assert_eq!(error["suggested_fix"], "Send a body of at most 4 MiB.");
}
