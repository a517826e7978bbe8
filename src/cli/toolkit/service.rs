//! The server of one toolkit test: a real application in a temporary folder, called through its router
//! without a socket, as a developer and as a browser.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::Body;
use http::{Request, header};
use serde_json::Value;
use switchboard_toolkit_tests::{BrowserResponse, Server, ToolkitTest};
use switchboard_types::Timestamp;

use super::api_client::{ApiClient, TempFolder};
use super::source::{FILE_NAME, Source, TOOLS_FILE_NAME};
use crate::app::App;
use crate::config::Layer;
use crate::server::{self, Environment};
use crate::time::{Clock, SystemClock};

/// The public URL; nothing listens there.
const PUBLIC_URL: &str = "https://switchboard.example";
/// The host of the public URL.
const HOST: &str = "switchboard.example";

/// A clock that can be advanced, so that tokens expire.
#[derive(Debug, Default)]
pub(super) struct AdjustableClock(AtomicU64);

impl Clock for AdjustableClock {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

impl switchboard_toolkit_tests::Clock for AdjustableClock {
    fn now_ms(&self) -> i64 {
        self.now().as_millis()
    }

    fn advance_to(&self, at: i64) {
        let ahead = Timestamp::from_millis(at).since(self.now());
        self.0.fetch_add(u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// A server with one project.
pub(super) struct Service {
    app: Arc<App>,
    client: ApiClient,
    _folder: TempFolder,
}

impl Service {
    /// With the toolkit's file in place of a built-in one, or with folders of toolkits. All its
    /// connections go to the test's provider.
    pub(super) async fn open(
        slug: &str,
        source: &Source,
        test: &ToolkitTest,
        clock: Arc<AdjustableClock>,
    ) -> Result<Self> {
        let folder = TempFolder::new();
        server::create_private_dir(folder.path())?;
        let mut toolkits = source.folders().to_vec();
        if let Some(file) = source.file() {
            let own = folder.path().join("toolkits");
            std::fs::create_dir_all(own.join(slug)).context("cannot make a temporary folder")?;
            std::fs::copy(&file, own.join(slug).join(FILE_NAME))
                .with_context(|| format!("cannot read {}", file.display()))?;
            if let Some(tools) = source.tools_file() {
                std::fs::copy(&tools, own.join(slug).join(TOOLS_FILE_NAME))
                    .with_context(|| format!("cannot read {}", tools.display()))?;
            }
            toolkits = vec![own];
        }
        let layer = Layer {
            public_url: Some(PUBLIC_URL.to_owned()),
            data_dir: Some(folder.path().to_owned()),
            toolkits: Some(toolkits),
            // The test triggers refreshes.
            keep_accounts_alive: Some(false),
            ..Layer::default()
        };
        let config = layer.overlay(Layer::defaults()?).check()?;
        let environment = Environment {
            clock,
            builtins: test.installation_variables().clone(),
            // Files may name this machine; nothing reaches it.
            allow_loopback: true,
            with_sandbox: true,
            redirect_all_to: Some(test.address()),
            ..Environment::default()
        };
        let app = server::open(config, environment).await?;
        let client = ApiClient::new(&app, "Toolkit test", HOST).await?;
        // Revocations run in the background.
        tokio::spawn(crate::app::jobs::run(Arc::clone(&app), app.core.stopping.clone()));
        Ok(Self { client, app, _folder: folder })
    }

    /// Stops it, so that its folder can be removed.
    pub(super) async fn close(self) {
        self.app.core.stopping.cancel();
        self.app.core.tasks.close();
        self.app.core.tasks.wait().await;
        self.app.core.store.finish();
    }
}

impl Server for Service {
    fn public_url(&self) -> &str {
        PUBLIC_URL
    }

    async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        self.client.call(method, path, body).await
    }

    async fn browse(&self, path: &str, cookies: &str, form: Option<&[(String, String)]>) -> Result<BrowserResponse> {
        let mut request = Request::builder().uri(path).header(header::ACCEPT, "text/html");
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        let request = match form {
            None => request.body(Body::empty())?,
            Some(form) => {
                let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
                request
                    .method("POST")
                    .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
                    .header("sec-fetch-site", "same-origin")
                    .body(Body::from(body))?
            }
        };
        self.client.send(request).await
    }
}
