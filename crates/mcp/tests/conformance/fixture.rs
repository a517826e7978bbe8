//! The server that the suite is held against: on loopback, without credentials, and therefore closed to pages of other
//! sites.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use futures_util::StreamExt;
use ring::hmac;
use ring::rand::SystemRandom;
use serde_json::{Value, json};
use switchboard_mcp::{Cache, Failure, Implementation, Outcome, Peer, Pending, Request, Revision, Server};

use crate::{prompts, resources, tools};

/// What all requests share.
pub struct Fixture {
    key: hmac::Key,
    pending: Arc<Pending>,
}

/// Starts a server and returns the URL of its endpoint.
pub async fn start() -> String {
    let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).unwrap();
    let fixture = Arc::new(Fixture { key, pending: Arc::default() });
    let app = Router::new().route("/mcp", post(endpoint)).with_state(fixture);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/mcp")
}

async fn endpoint(State(fixture): State<Arc<Fixture>>, headers: HeaderMap, body: Bytes) -> Response {
    if !is_local(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    match switchboard_mcp::respond(&fixture, &headers, &body).await {
        switchboard_mcp::Response::Stream(events) => {
            let body = Body::from_stream(events.map(Ok::<_, std::convert::Infallible>));
            ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
        }
        switchboard_mcp::Response::Whole { status, session, body } => {
            let json = body.is_some().then_some((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
            let session = session.and_then(|session| HeaderValue::from_str(&session).ok());
            let session = session.map(|session| (header::HeaderName::from_static("mcp-session-id"), session));
            let mut response = (status, body.unwrap_or_default()).into_response();
            response.headers_mut().remove(header::CONTENT_TYPE);
            response.headers_mut().extend(json.into_iter().chain(session));
            response
        }
    }
}

/// Whether `Host`, and `Origin` if there is one, name this machine: a page whose name was bound to the address of this
/// machine names another.
fn is_local(headers: &HeaderMap) -> bool {
    let names_loopback = |value: &HeaderValue| {
        let uri = value.to_str().ok().and_then(|value| value.parse::<Uri>().ok());
        let host = uri.as_ref().and_then(Uri::host);
        host.is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host))
    };
    headers.get(header::HOST).is_some_and(names_loopback) && headers.get(header::ORIGIN).is_none_or(names_loopback)
}

impl Fixture {
    /// A state that comes back with the answers to a question.
    pub fn state(&self, step: &str) -> String {
        self.seal(step.as_bytes())
    }

    /// The step that a state stands for. One that was not made here is an error.
    pub fn step(&self, state: Option<&str>) -> Result<Option<String>, Failure> {
        let Some(state) = state else { return Ok(None) };
        let step = self.open(state).and_then(|step| String::from_utf8(step).ok());
        step.map(Some).ok_or_else(|| Failure::invalid_params("requestState was not made by this server"))
    }
}

impl Server for Fixture {
    fn implementation(&self) -> Implementation {
        Implementation { name: "conformance", title: "Conformance", version: "1.0.0" }
    }

    fn capabilities(&self, revision: Revision) -> Value {
        let mut all = json!({ "tools": {}, "prompts": {}, "resources": {}, "completions": {} });
        if !revision.is_stateless() {
            all["logging"] = json!({});
            all["resources"]["subscribe"] = true.into();
        }
        all
    }

    fn instructions(&self) -> Option<String> {
        None
    }

    fn cache(&self) -> Cache {
        Cache { ttl_ms: 60_000, is_private: false }
    }

    fn pending(&self) -> &Arc<Pending> {
        &self.pending
    }

    fn scope(&self) -> String {
        String::new()
    }

    fn now(&self) -> u64 {
        // Session ids of the suite are used at once, so the time may stand still.
        1_800_000_000
    }

    fn seal(&self, content: &[u8]) -> String {
        BASE64.encode([content, hmac::sign(&self.key, content).as_ref()].concat())
    }

    fn open(&self, sealed: &str) -> Option<Vec<u8>> {
        let sealed = BASE64.decode(sealed).ok()?;
        let (content, code) = sealed.split_at_checked(sealed.len().checked_sub(32)?)?;
        hmac::verify(&self.key, content, code).is_ok().then(|| content.to_vec())
    }

    async fn handle(&self, request: Request, peer: &Peer) -> Result<Outcome, Failure> {
        match request {
            Request::ListTools { .. } => Ok(Outcome::of(&tools::list())),
            Request::CallTool(call) => tools::call(self, call, peer).await,
            Request::ListPrompts { .. } => Ok(Outcome::of(&prompts::list())),
            Request::GetPrompt(call) => prompts::get(&call),
            Request::ListResources { .. } => Ok(Outcome::of(&resources::list())),
            Request::ListResourceTemplates { .. } => Ok(Outcome::of(&resources::templates())),
            Request::ReadResource { uri, .. } => resources::read(&uri, peer),
            Request::Other { method, params } => other(&method, &params),
        }
    }
}

/// Methods that only some servers have. Those of clients with a handshake never come from stateless ones.
fn other(method: &str, params: &serde_json::Map<String, Value>) -> Result<Outcome, Failure> {
    match method {
        "completion/complete" if params.get("ref").is_some_and(Value::is_object) => Ok(Outcome::of(
            &json!({ "completion": { "values": ["paris", "park", "party"], "total": 3, "hasMore": false } }),
        )),
        "completion/complete" => Err(Failure::invalid_params("ref must be an object")),
        "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => Ok(Outcome::of(&json!({}))),
        _ => Err(Failure::unknown_method(method)),
    }
}
