//! Baselines of `proxy_execute` and of reads: an upstream that returns 1 KB, a proxy that only forwards, a proxy
//! that takes the product's request and gives its response, JSON from memory.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::listen;

/// Path of the only resource.
pub const PATH: &str = "/me";
/// Path at which the proxy takes the product's request.
pub const EXECUTE: &str = "/proxy_execute";
/// Largest answer that the proxy reads, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// Path of a text of ten megabytes whose bytes take six each in JSON.
pub const LARGE_PATH: &str = "/large";
/// Its size in bytes.
pub const LARGE: usize = 10_400_000;

/// JSON of this many bytes, or of 25 if it would be less.
fn json_of(length: usize) -> String {
    let filler = "x".repeat(length.saturating_sub(r#"{"id":"user-1","note":""}"#.len()));
    format!(r#"{{"id":"user-1","note":"{filler}"}}"#)
}

/// Serves JSON of one size at every path.
pub fn run_fixed(length: usize) -> Result<()> {
    let body = bytes::Bytes::from(json_of(length));
    let answer = move || {
        let body = body.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], body) }
    };
    listen::run(async { Ok(Router::new().fallback(answer)) })
}

/// Serves 1,024 bytes of JSON, and the large text.
pub fn run_upstream() -> Result<()> {
    let body: Arc<str> = json_of(1_024).into();
    let json = [(header::CONTENT_TYPE, "application/json")];
    let answer = move || {
        let body = bytes::Bytes::copy_from_slice(body.as_bytes());
        async move { (json, body) }
    };
    let large = bytes::Bytes::from(vec![1; LARGE]);
    let text = [(header::CONTENT_TYPE, "text/plain")];
    let large = move || {
        let large = large.clone();
        async move { (text, large) }
    };
    listen::run(async { Ok(Router::new().route(PATH, get(answer)).route(LARGE_PATH, get(large))) })
}

#[derive(Clone)]
struct Forward {
    client: Client<HttpConnector, Body>,
    upstream: SocketAddr,
}

/// Forwards every request over pooled connections and streams both bodies; at [`EXECUTE`], does what the
/// request says.
pub fn run_proxy(upstream: SocketAddr) -> Result<()> {
    listen::run(async move {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        let router = Router::new().route(EXECUTE, post(execute)).fallback(forward);
        Ok(router.with_state(Forward { client, upstream }))
    })
}

async fn forward(State(to): State<Forward>, mut request: Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("http://{}{path}", to.upstream).parse::<Uri>() else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    *request.uri_mut() = uri;
    request.headers_mut().remove(header::HOST);
    match to.client.request(request).await {
        Ok(answer) => answer.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

/// What the product's request says of a GET.
#[derive(Deserialize)]
struct Call {
    endpoint: String,
}

/// Reads the request's JSON, sends a GET, reads the answer's JSON and wraps it as the product does. No key, no
/// database, no credential, no redaction.
async fn execute(State(to): State<Forward>, body: bytes::Bytes) -> Response {
    let Ok(call) = serde_json::from_slice::<Call>(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let Ok(request) = Request::get(format!("http://{}{}", to.upstream, call.endpoint)).body(Body::empty()) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let Ok(answer) = to.client.request(request).await else { return StatusCode::BAD_GATEWAY.into_response() };
    let (head, body) = answer.into_parts();
    let Ok(body) = axum::body::to_bytes(Body::new(body), MAX_ANSWER).await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let headers: BTreeMap<&str, &str> =
        head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    let (Ok(data), Ok(headers)) = (serde_json::from_slice::<&RawValue>(&body), serde_json::to_string(&headers)) else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let status = head.status.as_u16();
    let text = format!(r#"{{"result_type":"completed","status":{status},"data":{data},"headers":{headers}}}"#);
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_size_that_was_asked_for() {
        assert_eq!(json_of(1_024).len(), 1_024);
        assert!(serde_json::from_str::<&RawValue>(&json_of(100)).is_ok());
    }
}
