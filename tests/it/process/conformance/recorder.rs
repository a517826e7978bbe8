//! Stands between an SDK and the server, passes everything on, and remembers which operations were
//! called.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use serde_json::json;
use switchboard::api::operations::Operation;
use switchboard::api::table;
use tokio::net::TcpListener;

use crate::support::http::Http;

/// Bound, and not serving yet: the server that it passes on to needs its URL first.
pub struct Recorder {
    listener: TcpListener,
    pub url: String,
}

#[derive(Clone)]
struct Passing {
    http: Http,
    server: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        Self { listener, url }
    }

    /// Passes on to a server. Where SDKs go, and where the operations are taken with a POST.
    pub fn serve(self, server: &str) -> (String, String) {
        let passing = Passing { http: Http::new(), server: server.to_owned(), seen: Arc::default() };
        let taken = format!("{}/recorded", self.url);
        let router = Router::new().route("/recorded", post(take)).fallback(pass).with_state(passing);
        tokio::spawn(async move { axum::serve(self.listener, router).await });
        (self.url, taken)
    }
}

async fn take(State(passing): State<Passing>) -> String {
    json!(std::mem::take(&mut *passing.seen.lock().unwrap())).to_string()
}

async fn pass(State(passing): State<Passing>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(operation) = called(parts.method.as_str(), parts.uri.path()) {
        passing.seen.lock().unwrap().push(operation);
    }
    let headers: Vec<(&str, &str)> = parts
        .headers
        .iter()
        .filter(|(name, _)| {
            !["connection", "keep-alive", "content-length", "transfer-encoding"].contains(&name.as_str())
        })
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    let url = format!("{}{}", passing.server, parts.uri);
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let reply = passing.http.send(parts.method.as_str(), &url, &headers, body).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in
        reply.headers.iter().filter(|(name, _)| !["connection", "transfer-encoding"].contains(&name.as_str()))
    {
        response = response.header(name, value);
    }
    response.body(Body::from(reply.body)).unwrap()
}

/// A request as an operation: `METHOD /path`. Requests outside of the API are not counted; one that
/// is no operation shows with its whole path.
fn called(method: &str, path: &str) -> Option<String> {
    let path = path.strip_prefix("/api/v3.1").or_else(|| path.strip_prefix("/api/v3"))?;
    if path.starts_with("/toolkits/auth/callback") {
        return None;
    }
    let template = table::all()
        .filter(|it| it.method == method && matches(it.path, path))
        .min_by_key(|it| it.path.matches('{').count());
    Some(format!("{method} {}", template.map_or(path, |it| it.path)))
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    template.len() == path.len()
        && template.iter().zip(path).all(|(wanted, it)| wanted.starts_with('{') || *wanted == it)
}

/// Whether an operation, as recorded, answers 501.
pub fn is_unbuilt(operation: &str) -> bool {
    let is_it = |it: &&Operation| operation.split_once(' ') == Some((it.method, it.path));
    table::all().find(is_it).is_some_and(|it| !it.works_here())
}
