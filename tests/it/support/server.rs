//! A server in this process: real sockets, a real database file, a clock that the test moves.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use switchboard::api;
use switchboard::app::project::ProjectSettings;
use switchboard::app::project::keys::{KeyOwner, KeyScope};
use switchboard::app::{Actor, App, ManagedClient};
use switchboard::config::Layer;
use switchboard::server::{self, Environment};
use switchboard_sandbox::{Client, SandboxConfig};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::clock::ManualClock;
use super::http::Api;

/// A running server with one project. It ends with the test's runtime.
pub struct TestServer {
    pub app: Arc<App>,
    pub clock: ManualClock,
    /// Origin, without a trailing slash.
    pub url: String,
    pub sandbox_url: String,
    pub project_id: switchboard_types::ProjectId,
    /// A client of that project.
    pub api: Api,
    pub dir: TempDir,
}

/// How a server is to be started.
#[derive(Default)]
pub struct Builder {
    toolkits: Vec<(String, String)>,
    tools: Vec<(String, String)>,
    managed: BTreeMap<String, ManagedClient>,
    project: ProjectSettings,
    layer: Layer,
    redirect_all_to: Option<SocketAddr>,
}

impl TestServer {
    /// With the sandbox provider and nothing else.
    pub async fn start() -> Self {
        Builder::default().start().await
    }

    pub fn builder() -> Builder {
        Builder::default()
    }

    pub fn database(&self) -> PathBuf {
        self.dir.path().join("switchboard.db")
    }

    /// A key of the organisation.
    pub async fn organization_key(&self) -> String {
        self.key_beyond(&KeyOwner::Organization).await
    }

    /// A key of a member.
    pub async fn user_key(&self, email: &str) -> String {
        self.key_beyond(&KeyOwner::User { email: email.to_owned() }).await
    }

    async fn key_beyond(&self, reach: &KeyOwner) -> String {
        let actor = Actor::cli(&"".into());
        self.app.keys.create_organization_key(&actor, "test", reach).await.unwrap().0.expose().to_owned()
    }

    /// A further key of the project, with a scope.
    pub async fn scoped_key(&self, scope: &KeyScope) -> String {
        let actor = Actor::cli(&self.project_id);
        self.app.keys.create_scoped_key(&actor, "scoped", scope).await.unwrap().0.expose().to_owned()
    }

    /// A second project; a client with its key.
    pub async fn other_project(&self, name: &str) -> Api {
        let made = self.app.projects.create("cli", name, &ProjectSettings::default()).await.unwrap();
        Api::new(&self.url, made.key.expose())
    }
}

impl Builder {
    /// Adds a toolkit file.
    #[must_use]
    pub fn toolkit(mut self, slug: &str, text: &str) -> Self {
        self.toolkits.push((slug.to_owned(), text.to_owned()));
        self
    }

    /// Adds the file with the tools of a toolkit.
    #[must_use]
    pub fn tools(mut self, slug: &str, text: &str) -> Self {
        self.tools.push((slug.to_owned(), text.to_owned()));
        self
    }

    /// Adds an operator-managed client.
    #[must_use]
    pub fn managed(mut self, toolkit: &str, client: ManagedClient) -> Self {
        self.managed.insert(toolkit.to_owned(), client);
        self
    }

    /// Settings of the project that tests use.
    #[must_use]
    pub fn project(mut self, settings: ProjectSettings) -> Self {
        self.project = settings;
        self
    }

    /// Further settings of the server.
    #[must_use]
    pub fn layer(mut self, layer: Layer) -> Self {
        self.layer = layer;
        self
    }

    /// Every connection to a provider goes to this address instead, without TLS.
    #[must_use]
    pub fn redirect_all_to(mut self, address: SocketAddr) -> Self {
        self.redirect_all_to = Some(address);
        self
    }

    pub async fn start(self) -> TestServer {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let toolkits = dir.path().join("toolkits");
        std::fs::create_dir(&toolkits).unwrap();
        for (slug, text) in &self.toolkits {
            std::fs::create_dir(toolkits.join(slug)).unwrap();
            std::fs::write(toolkits.join(slug).join("toolkit.toml"), text).unwrap();
        }
        for (slug, text) in &self.tools {
            std::fs::write(toolkits.join(slug).join("tools.toml"), text).unwrap();
        }
        let own = Layer {
            listen: Some(address.to_string()),
            data_dir: Some(dir.path().to_owned()),
            toolkits: Some(vec![toolkits]),
            ..Layer::default()
        };
        // All tests are one address; the clock stands still while they ask.
        let roomy = Layer {
            rate_limit_per_address_per_minute: Some(1_000_000),
            // Tests say when a token is refreshed.
            keep_accounts_alive: Some(false),
            ..Layer::default()
        };
        let layer = own.overlay(self.layer).overlay(roomy).overlay(Layer::defaults().unwrap());
        let mut config = layer.check().unwrap();
        let url = config.settings.public_url.clone();
        config.settings.managed = self.managed;

        let sandbox = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sandbox_host = sandbox.local_addr().unwrap().to_string();
        let sandbox_url = format!("http://{sandbox_host}");
        let secret = "sandbox secret with :odd/ %characters+";
        config.settings.managed.entry("sandbox".to_owned()).or_insert_with(|| ManagedClient {
            client_id: "test".to_owned(),
            client_secret: Some(secret.into()),
            projects: vec!["*".to_owned()],
            ..ManagedClient::default()
        });
        let client = Client {
            client_id: "test".to_owned(),
            client_secret: Some(secret.to_owned()),
            redirect_uri_prefixes: vec![format!("{url}/api/v3.1/toolkits/auth/callback/")],
        };
        let provider = switchboard_sandbox::router(
            SandboxConfig {
                issuer: sandbox_url.clone(),
                clients: vec![client],
                access_token_ttl_seconds: 60,
                state_file: None,
            },
            Arc::new(clock.clone()),
        )
        .unwrap();
        tokio::spawn(async move { axum::serve(sandbox, provider).await });

        let environment = Environment {
            clock: Arc::new(clock.clone()),
            builtins: BTreeMap::from([
                ("sandbox_url".to_owned(), sandbox_url.clone()),
                ("sandbox_host".to_owned(), sandbox_host),
            ]),
            allow_loopback: true,
            with_sandbox: true,
            redirect_all_to: self.redirect_all_to,
            ..Environment::default()
        };
        let app = server::open(config, environment).await.unwrap();
        let made = app.projects.create("cli", "Test project", &self.project).await.unwrap();
        let service = api::Api::new(&app);
        tokio::spawn(server::serve(Arc::clone(&app), service, listener));
        TestServer {
            api: Api::new(&url, made.key.expose()),
            project_id: made.project.id,
            app,
            clock,
            url,
            sandbox_url,
            dir,
        }
    }
}
