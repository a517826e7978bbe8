//! Baselines of `proxy_execute`: an upstream that returns 1 KB, and a proxy that only forwards.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::listen;

/// Path of the only resource.
pub const PATH: &str = "/me";

/// Path of a text of ten megabytes whose bytes take six each in JSON.
pub const LARGE_PATH: &str = "/large";
/// Its size in bytes.
pub const LARGE: usize = 10_400_000;

/// Serves 1,024 bytes of JSON, and the large text.
pub fn run_upstream() -> Result<()> {
    let filler = "x".repeat(1_024 - r#"{"id":"user-1","note":""}"#.len());
    let body: Arc<str> = format!(r#"{{"id":"user-1","note":"{filler}"}}"#).into();
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

/// Forwards every request over pooled connections and streams both bodies.
pub fn run_proxy(upstream: SocketAddr) -> Result<()> {
    listen::run(async move {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Router::new().fallback(forward).with_state(Forward { client, upstream }))
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
