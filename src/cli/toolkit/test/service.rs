//! A server of its own for one dance: a real application in a folder that is thrown away, asked through
//! its router without a socket, as a developer and as a browser.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::{Context as _, Result, bail};
use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, header};
use serde_json::Value;
use switchboard_vault::{SystemEntropy, base62};
use tower::ServiceExt as _;

use super::super::super::explain;
use crate::api;
use crate::app::App;
use crate::app::projects::ProjectSettings;
use crate::client_address::Peer;
use crate::config::Layer;
use crate::server::{self, Surroundings};
use crate::time::{Clock, Millis, SystemClock};

/// Where the server would be; nothing listens there.
pub(super) const PUBLIC_URL: &str = "https://switchboard.example";
/// Its name.
const HOST: &str = "switchboard.example";
/// Largest answer read.
const MAX_ANSWER: usize = 4 << 20;

/// A clock that can be put forward, so that tokens end.
#[derive(Debug, Default)]
pub(super) struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Millis {
        SystemClock.now().saturating_add(self.0.load(Ordering::Relaxed))
    }
}

impl Ahead {
    /// Puts the clock to a moment, if that is to come.
    pub(super) fn advance_to(&self, at: Millis) {
        self.0.fetch_add((at - self.now()).max(0), Ordering::Relaxed);
    }
}

/// A folder that is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("switchboard-test-{}", base62(&SystemEntropy, 20))))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is in it was made up; nobody can do anything about a folder that stays.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A server with one project.
pub(super) struct Service {
    app: Arc<App>,
    router: Router,
    key: String,
    _folder: Folder,
}

/// An answer.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    cookies: Vec<String>,
    body: Vec<u8>,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The cookies that it sets, as a browser sends them back.
    pub(super) fn cookies(&self) -> String {
        let pairs = self.cookies.iter().filter_map(|cookie| cookie.split(';').next());
        pairs.filter(|pair| !pair.ends_with('=')).collect::<Vec<_>>().join("; ")
    }
}

impl Service {
    /// With the toolkit's file in the place of a built-in one, or with folders of toolkits.
    pub(super) async fn open(
        slug: &str,
        file: Option<&Path>,
        folders: &[PathBuf],
        played_at: SocketAddr,
        installation: BTreeMap<String, String>,
        clock: Arc<Ahead>,
    ) -> Result<Self> {
        let folder = Folder::new();
        server::create_private_dir(&folder.0)?;
        let mut toolkits = folders.to_vec();
        if let Some(file) = file {
            let own = folder.0.join("toolkits");
            std::fs::create_dir_all(own.join(slug)).context("cannot make a temporary folder")?;
            std::fs::copy(file, own.join(slug).join(super::super::source::FILE_NAME))
                .with_context(|| format!("cannot read {}", file.display()))?;
            toolkits = vec![own];
        }
        let layer = Layer {
            public_url: Some(PUBLIC_URL.to_owned()),
            data_dir: Some(folder.0.clone()),
            toolkits: Some(toolkits),
            // The dance says when a token is refreshed.
            keep_accounts_alive: Some(false),
            ..Layer::default()
        };
        let config = layer.over(Layer::defaults()?).check()?;
        let surroundings = Surroundings {
            clock,
            builtins: installation,
            // Files may name this machine; nothing reaches it.
            allow_loopback: true,
            with_sandbox: true,
            played_at: Some(played_at),
            ..Surroundings::default()
        };
        let app = server::open(config, surroundings).await?;
        let made = app.create_project("cli", "Toolkit test", &ProjectSettings::default()).await;
        let key = made.map_err(|error| explain(&error))?.key.expose().to_owned();
        // Revocations are worked off in the background.
        tokio::spawn(crate::app::jobs::run(Arc::clone(&app), app.stopping.clone()));
        Ok(Self { router: api::router(&app), app, key, _folder: folder })
    }

    /// An operation of the API.
    ///
    /// # Errors
    /// The server's words, for any status that is no success.
    pub(super) async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let mut request = Request::builder().method(method).uri(format!("/api/v3.1{path}"));
        request = request.header("x-api-key", &self.key);
        let reply = match body {
            Some(body) => {
                let request = request.header(header::CONTENT_TYPE, "application/json");
                self.send(request.body(Body::from(body.to_string()))?).await?
            }
            None => self.send(request.body(Body::empty())?).await?,
        };
        let json = reply.json();
        if (200..300).contains(&reply.status) {
            return Ok(json);
        }
        let error = &json["error"];
        let details = error["errors"].as_array().cloned().unwrap_or_default();
        let details: Vec<&str> = details.iter().filter_map(Value::as_str).collect();
        bail!(
            "the server answers {}: {} {}",
            reply.status,
            error["message"].as_str().unwrap_or_default(),
            details.join("; ")
        )
    }

    /// A page, opened by a browser with these cookies; with a form, it is posted.
    pub(super) async fn browse(&self, path: &str, cookies: &str, form: Option<&[(String, String)]>) -> Result<Reply> {
        let mut request = Request::builder().uri(path).header(header::ACCEPT, "text/html");
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        let Some(form) = form else { return self.send(request.body(Body::empty())?).await };
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = request
            .method("POST")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("sec-fetch-site", "same-origin");
        self.send(request.body(Body::from(body))?).await
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Reply> {
        request.headers_mut().insert(header::HOST, header::HeaderValue::from_static(HOST));
        request.extensions_mut().insert(Peer(SocketAddr::from(([127, 0, 0, 1], 0))));
        let response = self.router.clone().oneshot(request).await?;
        let (parts, body) = response.into_parts();
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let cookies = parts.headers.get_all(header::SET_COOKIE).iter();
        Ok(Reply {
            status: parts.status.as_u16(),
            location: text(header::LOCATION),
            cookies: cookies.filter_map(|cookie| cookie.to_str().ok().map(str::to_owned)).collect(),
            body: to_bytes(body, MAX_ANSWER).await?.to_vec(),
        })
    }

    /// Ends it, so that its folder can be removed.
    pub(super) async fn close(self) {
        self.app.stopping.cancel();
        self.app.tasks.close();
        self.app.tasks.wait().await;
        self.app.store.finish();
    }
}
