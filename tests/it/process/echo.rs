//! A provider of the worst kind: it repeats whatever it was sent, in every form it can think of.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use tokio::net::TcpListener;

/// A running one.
pub struct Echo {
    pub host: String,
    /// Every credential that arrived.
    pub credentials: Arc<Mutex<BTreeSet<String>>>,
}

impl Echo {
    /// `/verify` refuses credentials that contain the word `wrong`; every other path echoes.
    pub async fn start() -> Self {
        let credentials = Arc::default();
        let router = Router::new().fallback(any(answer)).with_state(Arc::clone(&credentials));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { host, credentials }
    }

    /// A toolkit file with one way to authenticate.
    pub fn toolkit(&self, slug: &str, scheme: &str) -> String {
        let host = &self.host;
        format!(
            "slug = \"{slug}\"\nname = \"Echo\"\ndescription = \"Repeats what it is sent\"\n\
             categories = [\"testing\"]\ncolor = \"#336699\"\nversion = \"20261122_00\"\n\
             base_url = \"http://{host}\"\nhosts = [\"{host}\"]\n{scheme}\n"
        )
    }
}

/// A key in a header, verified.
pub const API_KEY: &str = r#"
[api_key]
fields = [{ name = "generic_api_key", display_name = "API key", secret = true }]
apply = [{ header = "X-Echo-Key", value = "{generic_api_key}" }, { query = "key", value = "{generic_api_key}" }]
verify = { url = "/verify" }
"#;

/// A bearer token, verified.
pub const BEARER: &str = r#"
[bearer_token]
fields = [{ name = "token", display_name = "Token", secret = true }]
apply = [{ header = "Authorization", value = "Bearer {token}" }]
verify = { url = "/verify" }
"#;

/// User name and password, verified.
pub const BASIC: &str = "[basic]\n[basic.verify]\nurl = \"/verify\"\n";

async fn answer(State(credentials): State<Arc<Mutex<BTreeSet<String>>>>, request: Request) -> Response {
    let credential = credential(request.headers());
    credentials.lock().unwrap().insert(credential.clone());
    let path = request.uri().path();
    let status = match path {
        "/verify" if credential.contains("wrong") => StatusCode::UNAUTHORIZED,
        "/broken" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::OK,
    };
    let percent: String = form_urlencoded::byte_serialize(credential.as_bytes()).collect();
    let body = json!({
        "credential": credential,
        "base64": STANDARD.encode(&credential),
        "percent": percent,
        "url": request.uri().to_string(),
        "authorization": request.headers().get("authorization").map(|it| it.to_str().unwrap()),
        "harmless": "this text arrives",
    });
    let headers = [("x-echo", credential.clone()), ("set-cookie", format!("session={percent}"))];
    let content_type = if path == "/text" { "text/plain" } else { "application/json" };
    (status, [("content-type", content_type.to_owned())], headers, body.to_string()).into_response()
}

/// The credential of a request; HTTP Basic as `name:password`.
fn credential(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let authorization = text("authorization");
    if let Some(basic) = authorization.strip_prefix("Basic ") {
        return String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
    }
    match authorization.strip_prefix("Bearer ") {
        Some(token) => token.to_owned(),
        None => text("x-echo-key"),
    }
}
