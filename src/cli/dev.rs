//! `switchboard dev`: everything in one process, for trying out and for development.
//!
//! SQLite and a master key in a folder, a project whose key is printed once, and the sandbox provider
//! on a separate listener, so that links can be completed without an account at a real provider.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use switchboard_sandbox::{Client, SandboxConfig};
use switchboard_vault::{Entropy, Secret, SystemEntropy, base62};
use tokio::net::TcpListener;

use super::data::DataArgs;
use super::environment::trimmed;
use super::explain::explain;
use super::serve::{ServerArgs, bind_metrics, serve_metrics, stop_on_signal};
use super::walkthrough;
use crate::api::Api;
use crate::app::project::ProjectSettings;
use crate::app::{App, ManagedClient};
use crate::config::Layer;
use crate::log;
use crate::server::{self, Environment};
use crate::time::{Clock, SystemClock};

/// Short, so that refreshes can be observed.
const ACCESS_TOKEN_SECONDS: u64 = 60;
/// Default data folder of `dev`.
const DATA_DIR: &str = ".switchboard-dev";
/// The managed client of the sandbox toolkit.
const CLIENT_ID: &str = "switchboard-dev";

#[derive(Debug, Args)]
pub(super) struct DevArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    server: ServerArgs,
    /// Lifetime of the sandbox provider's access tokens, in seconds.
    #[arg(long, env = "SWITCHBOARD_SANDBOX_TOKEN_SECONDS", value_parser = trimmed::<u64>, value_name = "SECONDS", default_value_t = ACCESS_TOKEN_SECONDS)]
    sandbox_token_seconds: u64,
}

struct SandboxClock(SystemClock);

impl switchboard_sandbox::Clock for SandboxClock {
    fn now_ms(&self) -> i64 {
        self.0.now().as_millis()
    }
}

pub(super) async fn run(args: DevArgs) -> Result<()> {
    let defaults = Layer {
        data_dir: Some(PathBuf::from(DATA_DIR)),
        log: Some("warn,switchboard=info".to_owned()),
        ..Layer::default()
    };
    let mut layer = args.data.layer(args.server.layer())?.overlay(defaults).overlay(Layer::defaults()?);
    let wanted = layer.listen.clone().unwrap_or_default().trim().to_owned();
    // Bound before the configuration is validated: with port 0 the public URL needs the actual port.
    let listener = match wanted.parse() {
        Ok(address) => server::listen(address),
        // A name, such as localhost.
        Err(_) => TcpListener::bind(&wanted).await,
    };
    let listener = listener
        .with_context(|| format!("setting listen: cannot listen on {wanted:?}; is another server running there?"))?;
    let address = listener.local_addr()?;
    layer.listen = Some(address.to_string());
    let mut config = layer.check()?;
    log::start(&config.log, config.log_json)?;

    let sandbox = bind_sandbox(address.port()).await?;
    let sandbox_host = sandbox.local_addr()?.to_string();
    let sandbox_url = format!("http://{sandbox_host}");
    let secret = base62(&SystemEntropy as &dyn Entropy, 40);
    let managed = ManagedClient {
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(Secret::from(secret.as_str())),
        projects: vec!["*".to_owned()],
        ..ManagedClient::default()
    };
    config.settings.managed.insert("sandbox".to_owned(), managed);
    let callback = format!("{}/api/v3.1/toolkits/auth/callback/", config.settings.public_url);
    let data_dir = config.data_dir.clone();

    let environment = Environment {
        builtins: BTreeMap::from([
            ("sandbox_url".to_owned(), sandbox_url.clone()),
            ("sandbox_host".to_owned(), sandbox_host),
        ]),
        allow_loopback: true,
        with_sandbox: true,
        ..Environment::default()
    };
    let metrics_listener = bind_metrics(&config)?;
    let app = server::open(config, environment).await?;
    serve_metrics(&app, metrics_listener);
    let client = |client_id: &str, client_secret: &str| Client {
        client_id: client_id.to_owned(),
        client_secret: Some(client_secret.to_owned()),
        redirect_uri_prefixes: vec![callback.clone()],
    };
    let provider = switchboard_sandbox::router(
        SandboxConfig {
            issuer: sandbox_url.clone(),
            // The second one is public, for auth configs that developers create themselves.
            clients: vec![client(CLIENT_ID, &secret), client("sandbox-client", "sandbox-secret")],
            access_token_ttl_seconds: args.sandbox_token_seconds,
            state_file: Some(data_dir.join("sandbox.json")),
        },
        Arc::new(SandboxClock(SystemClock)),
    )?;

    let key = default_key(&app).await?;
    stop_on_signal(&app)?;
    if let Err(error) = walkthrough::print(&app.core.settings.public_url, &sandbox_url, &data_dir, key.as_deref()) {
        tracing::warn!(error = %format!("{error:#}"), "the walkthrough could not be printed");
    }
    let stopping = app.core.stopping.clone();
    let serving_sandbox = tokio::spawn(async move {
        axum::serve(sandbox, provider).with_graceful_shutdown(async move { stopping.cancelled().await }).await
    });
    let service = Api::new(&app);
    server::serve(app, service, listener).await?;
    // Browsers keep idle connections open; they must not delay the exit.
    serving_sandbox.abort();
    Ok(())
}

/// The next port if it is free, so that URLs stay the same between starts.
async fn bind_sandbox(port: u16) -> Result<TcpListener> {
    if let Some(next) = port.checked_add(1)
        && let Ok(listener) = TcpListener::bind(("127.0.0.1", next)).await
    {
        return Ok(listener);
    }
    TcpListener::bind("127.0.0.1:0").await.context("cannot listen for the sandbox provider")
}

/// The key of the default project, only on the first start.
async fn default_key(app: &Arc<App>) -> Result<Option<String>> {
    if !app.core.store.projects().await?.is_empty() {
        return Ok(None);
    }
    let made = app
        .projects
        .create("cli", "Development", &ProjectSettings::default())
        .await
        .map_err(|error| explain(&error))?;
    Ok(Some(made.key.expose().to_owned()))
}
