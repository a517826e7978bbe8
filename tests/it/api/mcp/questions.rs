//! A person is asked before a call, as the client can ask: in the result of a stateless one, on the stream of one with a
//! handshake.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use switchboard::app::project::keys::KeyScope;

use super::{Endpoint, connected, request, said, session};
use crate::api::help::{Upstream, http as answer};
use crate::support::server::TestServer;

const REVISION: &str = "2025-06-18";

/// A session that asks before anything is deleted.
async fn careful() -> (TestServer, Upstream, Endpoint) {
    let (server, upstream, ..) = connected().await;
    let id = session(&server.api, json!({ "tags": { "require_approval": ["destructiveHint"] } })).await;
    let endpoint = Endpoint::new(&server.api, &id);
    upstream.play(answer("200 OK", "content-type: application/json\r\n", b"{}"));
    (server, upstream, endpoint)
}

fn delete() -> Value {
    json!({ "name": "UP_DELETE_NOTE", "arguments": { "id": 7 } })
}

fn accept(decision: &str) -> Value {
    json!({ "action": "accept", "content": { "decision": decision } })
}

/// A response that is a stream of events.
struct Stream {
    body: Incoming,
    read: String,
}

impl Stream {
    /// Sends a request of a client with a handshake.
    async fn open(endpoint: &Endpoint, id: &str, method: &str, params: Value) -> Self {
        let message = request(method, params).to_string();
        let sent = http::Request::post(&endpoint.url)
            .header("x-api-key", &endpoint.key)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", REVISION)
            .header("mcp-session-id", id)
            .body(Full::new(Bytes::from(message)))
            .unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let response = client.request(sent).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { body: response.into_body(), read: String::new() }
    }

    /// The next message.
    async fn next(&mut self) -> Value {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                let rest = rest.to_owned();
                self.read = rest;
                match data {
                    Some(data) => return serde_json::from_str(&data).unwrap(),
                    None => continue,
                }
            }
            let frame = self.body.frame().await.unwrap().unwrap();
            self.read.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    }
}

/// The answer of a client with a handshake, which is a message of its own.
async fn respond(endpoint: &Endpoint, id: &str, question: &Value, result: Value) {
    let message = json!({ "jsonrpc": "2.0", "id": question, "result": result });
    let headers = [("mcp-protocol-version", REVISION), ("mcp-session-id", id)];
    let reply = endpoint.post(&headers, message.to_string()).await;
    assert_eq!((reply.status, reply.body.len()), (202, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_handshake_is_asked_on_the_stream_of_its_request() {
    let (server, upstream, endpoint) = careful().await;
    let id = endpoint.begin(REVISION, json!({ "elicitation": {} })).await;
    let mut stream = Stream::open(&endpoint, &id, "tools/call", delete()).await;
    let question = stream.next().await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    assert_eq!(question["params"]["requestedSchema"]["required"], json!(["decision"]), "{question}");
    assert_eq!(upstream.take(), Vec::<String>::new(), "nothing is sent before the answer");
    // An answer counts only from the session and the key that were asked.
    let other = Endpoint::new(&server.api, &session(&server.api, json!({})).await);
    let of_other = other.begin(REVISION, json!({})).await;
    respond(&other, &of_other, &question["id"], accept("approve")).await;
    let mut stranger = endpoint.clone();
    stranger.key = server.scoped_key(&KeyScope::default()).await;
    respond(&stranger, &id, &question["id"], accept("approve")).await;
    assert_eq!(upstream.take(), Vec::<String>::new());
    respond(&endpoint, &id, &question["id"], accept("approve")).await;
    let response = stream.next().await;
    assert_eq!((&response["id"], &response["result"]["isError"]), (&json!(7), &json!(false)), "{response}");
    assert!(upstream.only().starts_with("DELETE /base/notes/7 "));

    // The approval was for one call, and this time the person says no.
    let mut stream = Stream::open(&endpoint, &id, "tools/call", delete()).await;
    let question = stream.next().await;
    respond(&endpoint, &id, &question["id"], json!({ "action": "decline" })).await;
    assert_eq!(stream.next().await["result"]["isError"], true);
    assert_eq!(upstream.take(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stateless_client_repeats_its_request_with_the_answer() {
    let (_server, upstream, endpoint) = careful().await;
    let form = json!({ "elicitation": { "form": {} } });
    let ask = async |params: Value| endpoint.ask_with(&form, "tools/call", params).await.expect(200)["result"].clone();
    let asked = ask(delete()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    let (question, _) = asked["inputRequests"].as_object().unwrap().iter().next().unwrap();
    let answered = |decision: &str| {
        let mut params = delete();
        params["inputResponses"] = json!({ question: accept(decision), "unknown": { "action": "cancel" } });
        params["requestState"] = asked["requestState"].clone();
        params
    };
    // Without the state, or with one that this server did not make, nothing is allowed.
    let mut forged = answered("approve");
    forged["requestState"] = "AAAA".into();
    let reply = endpoint.ask_with(&form, "tools/call", forged).await;
    assert!(reply.json().get("error").is_some() || reply.json()["result"]["resultType"] == "input_required");
    assert_eq!(upstream.take(), Vec::<String>::new());
    let done = ask(answered("approve")).await;
    assert_eq!((&done["resultType"], &done["isError"]), (&json!("complete"), &json!(false)), "{done}");
    assert!(upstream.only().starts_with("DELETE /base/notes/7 "));
    // It was for one call.
    assert_eq!(ask(delete()).await["resultType"], "input_required");
    assert_eq!(upstream.take(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_cannot_ask_is_told_so() {
    let (_server, upstream, endpoint) = careful().await;
    let called = endpoint.call("UP_DELETE_NOTE", json!({ "id": 7 })).await;
    assert_eq!(called["isError"], true, "{called}");
    assert!(said(&called).contains("approval_required"), "{called}");
    assert_eq!(upstream.take(), Vec::<String>::new());
}
