//! The MCP endpoint of a session, message by message. `tests/it/process/mcp` has the published clients and suites.

mod calls;
mod handshakes;
mod isolation;
mod lists;
mod questions;
mod refusals;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::help::{Upstream, connect_key, text};
use super::tools::with_tools;
use crate::support::http::{Api, Http, Reply};
use crate::support::server::TestServer;

const NEWEST: &str = "2026-07-28";

/// The endpoint of a session, with the headers that every client sends.
#[derive(Clone)]
struct Endpoint {
    http: Http,
    url: String,
    key: String,
}

impl Endpoint {
    fn new(api: &Api, session: &str) -> Self {
        let origin = api.base.strip_suffix("/api/v3.1").unwrap();
        Self { http: Http::new(), url: format!("{origin}/tool_router/{session}/mcp"), key: api.key.clone() }
    }

    /// A message with these headers besides those that every client sends.
    async fn post(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        let common = [
            ("x-api-key", self.key.as_str()),
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
        ];
        let is_given = |name: &str| headers.iter().any(|(given, _)| *given == name);
        let common = common.into_iter().filter(|(name, _)| !is_given(name));
        let all: Vec<(&str, &str)> = common.chain(headers.iter().copied()).collect();
        self.http.send("POST", &self.url, &all, body).await
    }

    /// A request of a stateless client with these capabilities.
    async fn ask_with(&self, capabilities: &Value, method: &str, params: Value) -> Reply {
        let mut params = params;
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = NEWEST.into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut headers = vec![("mcp-protocol-version", NEWEST), ("mcp-method", method)];
        if !name.is_empty() {
            headers.push(("mcp-name", &name));
        }
        self.post(&headers, request(method, params).to_string()).await
    }

    /// The result of a request of a stateless client that can do nothing special.
    async fn ask(&self, method: &str, params: Value) -> Value {
        let reply = self.ask_with(&json!({}), method, params).await;
        let response = reply.expect(200);
        assert_eq!((&response["jsonrpc"], &response["id"]), (&json!("2.0"), &json!(7)), "{response}");
        assert!(response.get("error").is_none(), "{response}");
        response["result"].clone()
    }

    /// The same of a call of a tool.
    async fn call(&self, tool: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({ "name": tool, "arguments": arguments })).await
    }

    /// The session id of a client with a handshake of a revision.
    async fn begin(&self, revision: &str, capabilities: Value) -> String {
        let params = json!({
            "protocolVersion": revision,
            "capabilities": capabilities,
            "clientInfo": { "name": "test", "version": "1" },
        });
        let reply = self.post(&[], request("initialize", params).to_string()).await;
        assert_eq!(reply.expect(200)["result"]["protocolVersion"], revision);
        reply.header("mcp-session-id").unwrap().to_owned()
    }

    /// A request of a client with a handshake.
    async fn ask_in(&self, revision: &str, session: &str, method: &str, params: Value) -> Reply {
        let headers = [("mcp-protocol-version", revision), ("mcp-session-id", session)];
        self.post(&headers, request(method, params).to_string()).await
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers write it in place")]
fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

/// Status, code of the error and id of its request.
#[track_caller]
fn failure(reply: &Reply) -> (u16, i64, Value) {
    let response = reply.json();
    assert!(response["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{response}");
    let code = response["error"]["code"].as_i64().unwrap_or_else(|| panic!("no code in {response}"));
    (reply.status, code, response["id"].clone())
}

/// The text of the result of a call.
#[track_caller]
fn said(result: &Value) -> String {
    assert_eq!(result["content"].as_array().map(Vec::len), Some(1), "{result}");
    text(&result["content"][0], "text")
}

/// A session of user `u` with this policy.
async fn session(api: &Api, policy: Value) -> String {
    let mut body = Map::from_iter([("user_id".to_owned(), json!("u"))]);
    body.extend(policy.as_object().unwrap().clone());
    text(&api.post("/tool_router/session", &body.into()).await.expect(201), "session_id")
}

/// A server with tools, a session whose user has connected, and its endpoint.
async fn connected() -> (TestServer, Upstream, String, Endpoint) {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    let endpoint = Endpoint::new(&server.api, &session);
    (server, upstream, session, endpoint)
}
