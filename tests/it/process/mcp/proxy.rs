//! A listener that adds the API key to each request and changes nothing else: the conformance suite can send no headers,
//! and authentication stays on.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Uri};
use axum::response::Response;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;

#[derive(Clone)]
struct Target {
    client: Client<HttpConnector, Body>,
    url: Uri,
    key: HeaderValue,
}

/// Starts it for an endpoint; its own URL.
pub(super) async fn start(url: &str, key: &str) -> String {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let target = Target { client, url: url.parse().unwrap(), key: key.parse().unwrap() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = format!("http://{}/mcp", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(forward).with_state(target);
    tokio::spawn(async move { axum::serve(listener, app).await });
    own
}

async fn forward(State(target): State<Target>, mut request: Request) -> Response {
    *request.uri_mut() = target.url;
    request.headers_mut().insert("x-api-key", target.key);
    target.client.request(request).await.unwrap().map(Body::new)
}
