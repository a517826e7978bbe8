//! A real server in a temporary folder, called through its router without a socket, for commands that
//! try a toolkit.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use axum::body::{Body, to_bytes};
use http::{HeaderValue, Request, header};
use serde_json::Value;
use switchboard_toolkit_tests::BrowserResponse;
use switchboard_vault::{SystemEntropy, base62};
use tower::ServiceExt as _;

use crate::api::Api;
use crate::app::App;
use crate::app::project::ProjectSettings;
use crate::cli::explain::explain;
use crate::client_address::Peer;

/// Maximum size of a response.
const MAX_ANSWER: usize = 4 << 20;

/// A temporary folder, removed on drop.
pub(super) struct TempFolder(PathBuf);

impl TempFolder {
    pub(super) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("switchboard-test-{}", base62(&SystemEntropy, 20))))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempFolder {
    fn drop(&mut self) {
        // A folder that cannot be removed is left behind.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// An API client with the key of a new project.
pub(super) struct ApiClient {
    service: Api,
    key: String,
    host: HeaderValue,
}

impl ApiClient {
    /// `host` is the server's name in the Host header.
    pub(super) async fn new(app: &Arc<App>, project: &str, host: &str) -> Result<Self> {
        let made = app.projects.create("cli", project, &ProjectSettings::default()).await;
        let key = made.map_err(|error| explain(&error))?.key.expose().to_owned();
        Ok(Self { service: Api::new(app), key, host: HeaderValue::from_str(host)? })
    }

    /// Calls an operation of the API.
    ///
    /// # Errors
    /// The server's message, for any status that is not a success.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = Request::builder().method(method).uri(format!("/api/v3.1{path}"));
        request = request.header("x-api-key", &self.key);
        let page = match body {
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                self.send(request.body(Body::from(body.to_string()))?).await?
            }
            None => self.send(request.body(Body::empty())?).await?,
        };
        let json: Value = serde_json::from_slice(&page.body).unwrap_or_default();
        if (200..300).contains(&page.status) {
            return Ok(json);
        }
        let error = &json["error"];
        let details = error["errors"].as_array().cloned().unwrap_or_default();
        let details: Vec<&str> = details.iter().filter_map(Value::as_str).collect();
        bail!(
            "the server answers {}: {} {}",
            page.status,
            error["message"].as_str().unwrap_or_default(),
            details.join("; ")
        )
    }

    pub(super) async fn send(&self, mut request: Request<Body>) -> Result<BrowserResponse> {
        request.headers_mut().insert(header::HOST, self.host.clone());
        request.extensions_mut().insert(Peer(SocketAddr::from(([127, 0, 0, 1], 0))));
        let response = self.service.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let cookies = parts.headers.get_all(header::SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok());
        // As a browser sends them back; an empty one is a removed cookie.
        let cookies = cookies.filter_map(|cookie| cookie.split(';').next()).filter(|pair| !pair.ends_with('='));
        Ok(BrowserResponse {
            status: parts.status.as_u16(),
            location: text(header::LOCATION),
            cookies: cookies.collect::<Vec<_>>().join("; "),
            body: to_bytes(body, MAX_ANSWER).await?.to_vec(),
        })
    }
}
