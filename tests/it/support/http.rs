//! A plain HTTP client: one request, one answer, no redirects, no cookies.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}): {} {}", self.status, self.text()))
    }

    /// The answer's JSON, after checking its status.
    #[track_caller]
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    /// The error of an envelope that is complete (contract section 9), after checking status and slug.
    #[track_caller]
    pub fn expect_error(&self, status: u16, slug: &str) -> Value {
        let error = self.expect(status)["error"].clone();
        assert_eq!(error["slug"], slug, "{error}");
        assert_eq!(error["status"], status, "{error}");
        assert!(error["code"].is_u64() && error["errors"].is_array(), "{error}");
        for text in ["message", "request_id", "suggested_fix"] {
            assert!(error[text].as_str().is_some_and(|it| !it.is_empty()), "{text}: {error}");
        }
        assert_eq!(self.header("x-request-id"), error["request_id"].as_str());
        error
    }
}

/// A client that keeps connections open.
#[derive(Clone)]
pub struct Http(Client<HttpConnector, Full<Bytes>>);

impl Http {
    pub fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    pub async fn send(&self, method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        self.try_send(method, url, headers, body).await.unwrap_or_else(|error| panic!("{method} {url}: {error}"))
    }

    pub async fn try_send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Reply, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.0.request(request.body(Full::new(body.into()))?).await?;
        let (parts, body) = answer.into_parts();
        Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body: body.collect().await?.to_bytes() })
    }
}

/// An API client with a project key.
#[derive(Clone)]
pub struct Api {
    pub http: Http,
    pub base: String,
    pub key: String,
}

impl Api {
    pub fn new(origin: &str, key: &str) -> Self {
        Self { http: Http::new(), base: format!("{origin}/api/v3.1"), key: key.to_owned() }
    }

    pub async fn call(&self, method: &str, path: &str, body: impl Into<Bytes>) -> Reply {
        self.call_with(method, path, &[], body).await
    }

    pub async fn call_with(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        let mut all = vec![("x-api-key", self.key.as_str()), ("content-type", "application/json")];
        all.extend_from_slice(headers);
        self.http.send(method, &format!("{}{path}", self.base), &all, body).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, "").await
    }

    pub async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, body.to_string()).await
    }

    /// A session for a user with one toolkit enabled; its id.
    pub async fn session(&self, user: &str, toolkit: &str) -> String {
        let body = serde_json::json!({ "user_id": user, "toolkits": { "enable": [toolkit] } });
        let session = self.post("/tool_router/session", &body).await.expect(201);
        session["session_id"].as_str().unwrap().to_owned()
    }

    /// A link; its whole answer.
    pub async fn link(&self, session: &str, toolkit: &str) -> Value {
        let body = serde_json::json!({ "toolkit": toolkit });
        self.post(&format!("/tool_router/session/{session}/link"), &body).await.expect(201)
    }

    /// One proxied GET; the whole answer.
    pub async fn proxy_get(&self, session: &str, toolkit: &str, endpoint: &str) -> Reply {
        let body = serde_json::json!({ "toolkit_slug": toolkit, "endpoint": endpoint, "method": "GET" });
        self.post(&format!("/tool_router/session/{session}/proxy_execute"), &body).await
    }

    /// Status of an account.
    pub async fn status(&self, account: &str) -> String {
        let account = self.get(&format!("/connected_accounts/{account}")).await.expect(200);
        account["status"].as_str().unwrap().to_owned()
    }
}
