//! Opens and serves the application: master key, shutdown. `acceptor.rs` accepts connections.

mod acceptor;
mod background;
mod connection_limits;
mod listen;
mod stream;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use data_encoding::HEXLOWER;
use hyper_util::server::graceful::GracefulShutdown;
use switchboard_catalog::{Catalog, Folders, Scheme};
use switchboard_egress::{Budget, Egress, EgressConfig, Observer};
use switchboard_store::{OpenError as DatabaseError, Store, Unit, WriteError, enter_background, meta};
use switchboard_vault::{Entropy, KeyRing, OpenError, SealContext, SystemEntropy, is_first_layout};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::base::account_locks::AccountLocks;
use crate::app::base::catalog::CurrentCatalog;
use crate::app::base::connection_waiters::ConnectionWaiters;
use crate::app::base::core::Core;
use crate::app::base::rate_limits::Limits;
use crate::app::base::threads::Threads;
use crate::app::jobs::supervision::STOP_TIMEOUT;
use crate::app::object_store::ObjectStore;
use crate::app::provider::redirect_uris;
use crate::app::{App, Parts, queue, reseal};
use crate::client_address::TrustedProxies;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::time::{Clock, SystemClock};

use acceptor::Acceptor;
pub use acceptor::HttpService;
use background::Background;
pub use listen::listen;

/// Maximum concurrent connections for metrics.
const MAX_METRICS_CONNECTIONS: usize = 32;
/// Maximum concurrent slow file operations.
const FILE_THREADS: usize = 4;
/// Time for accepted requests after SIGTERM, and then again for tasks with new tokens.
const GRACE: Duration = Duration::from_secs(25);

/// Prefix of the `meta` entries for the keys that have sealed values of this database.
const SEALING_KEY: &str = "sealing_key_";

/// Dependencies that differ between `serve`, `dev`, `toolkit test` and tests.
pub struct Environment {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Template variables of the installation.
    pub builtins: BTreeMap<String, String>,
    /// Toolkits may call loopback addresses (`dev` and tests).
    pub allow_loopback: bool,
    /// Include the sandbox toolkit, whose provider only `dev` starts.
    pub with_sandbox: bool,
    /// The address of a simulated provider, for `toolkit test`: see [`EgressConfig::redirect_all_to`]. It
    /// must never become a setting.
    pub redirect_all_to: Option<SocketAddr>,
    /// Observes requests to providers, for `toolkit try`: see [`Observer`]. It must never become a setting.
    pub watch: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").field("builtins", &self.builtins).finish_non_exhaustive()
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            builtins: BTreeMap::new(),
            allow_loopback: false,
            with_sandbox: false,
            redirect_all_to: None,
            watch: None,
        }
    }
}

/// Opens the database, the master key, the toolkits.
pub async fn open(config: Config, environment: Environment) -> Result<Arc<App>> {
    let app = open_by(config, environment, Store::open).await?;
    if let Some(option) = app.core.store.missing_build_option() {
        tracing::warn!(option, "SQLite was built without an option for speed; build in the repository to have it");
    }
    Ok(app)
}

/// The same for a command that seals or opens values and may run beside a server: it does not migrate
/// the schema of a server with an older version.
pub async fn open_beside_a_server(config: Config) -> Result<Arc<App>> {
    let environment = Environment { with_sandbox: true, ..Environment::default() };
    open_by(config, environment, Store::open_beside_a_server).await
}

async fn open_by(
    config: Config,
    environment: Environment,
    open: fn(&Path) -> Result<Store, DatabaseError>,
) -> Result<Arc<App>> {
    create_private_dir(&config.data_dir)?;
    reject_truncated_database(&config.database, &config.master_key_file).await?;
    let store = open_store(&config.database, open)?;
    let ring = open_ring(&store, &config.master_key_file, Arc::clone(&environment.entropy)).await?;
    note_sealing_key(&store, &ring).await?;
    reseal::ensure_current_layout(&store, &ring, &config.data_dir, &with_suffix(&config.database, ".spool")).await?;
    let app = assemble(config, environment, store, ring)?;
    if let Err(error) = app.redirect_uris.report_shared().await {
        bail!("cannot compare the redirect URIs of auth configs: {}", error.message());
    }
    app.files.prepare()?;
    if let Err(error) = app.provider_limits.load_pauses().await {
        bail!("cannot read the pauses that providers asked for: {}", error.message());
    }
    let spool = app.spool.folder().display().to_string();
    let saved = app.spool.replay().await.with_context(|| format!("cannot look into {spool}"))?;
    if saved > 0 {
        tracing::info!(saved, "stored credentials that an earlier run had spooled");
    }
    Ok(app)
}

/// Opens only the database. Sealed values cannot be read, and none must be written.
pub fn open_for_management(config: Config) -> Result<Arc<App>> {
    create_private_dir(&config.data_dir)?;
    let store = open_store(&config.database, Store::open_beside_a_server)?;
    let environment = Environment { with_sandbox: true, ..Environment::default() };
    let ring = KeyRing::ephemeral(Arc::clone(&environment.entropy));
    assemble(config, environment, store, ring)
}

/// Opens the database and the master key without starting anything, to read the audit log.
pub async fn open_for_audit(config: Config) -> Result<Arc<App>> {
    let store = open_store(&config.database, Store::open_beside_a_server)?;
    let environment = Environment { with_sandbox: true, ..Environment::default() };
    let ring = open_ring(&store, &config.master_key_file, Arc::clone(&environment.entropy)).await?;
    assemble(config, environment, store, ring)
}

fn assemble(config: Config, environment: Environment, store: Store, ring: KeyRing) -> Result<Arc<App>> {
    let Environment { clock, entropy, builtins, allow_loopback, with_sandbox, redirect_all_to, watch } = environment;
    let mut catalog = Catalog::builtin();
    if !with_sandbox {
        catalog = catalog.without("sandbox");
    }
    let folders = Folders::open(&config.toolkits, config.settings.allow_http.clone())
        .map_err(|error| anyhow!("setting toolkits:\n{error}"))?;
    let catalog = CurrentCatalog::new(catalog, folders);
    for (slug, client) in &config.settings.managed {
        let current = catalog.get();
        let toolkit = current.get(slug).filter(|toolkit| toolkit.oauth2.is_some());
        let Some(toolkit) = toolkit else {
            bail!("setting managed.{slug}: there is no toolkit {slug:?} with OAuth 2.0");
        };
        let has_open_host = !toolkit.developer_fields(Scheme::OAuth2).is_empty();
        if !has_open_host && !client.hosts.is_empty() {
            bail!("setting managed.{slug}.hosts: has no use, the file of toolkit {slug} says where its client goes");
        }
        if client.one_redirect_uri && !redirect_uris::is_identified_by_slug(toolkit, Scheme::OAuth2) {
            bail!(
                "setting managed.{slug}.one_redirect_uri: toolkit {slug:?} can belong to different providers, so each auth config needs a redirect URI of its own"
            );
        }
        if has_open_host && client.hosts.is_empty() && client.client_secret.is_some() {
            tracing::warn!(toolkit = %slug, "the managed client is refused until managed.{slug}.hosts says where its secret may be sent");
        }
    }
    let egress = Egress::new(EgressConfig {
        allow: config.allow_egress,
        allow_loopback,
        plain: config.settings.allow_http.origins().map(str::to_owned).collect(),
        extra_ca_pem: config.extra_ca_pem.clone(),
        redirect_all_to,
        ..EgressConfig::default()
    })
    .context("setting extra_ca_file")?
    .with_observer(watch);
    // What callers name by a URL: no exception of the operator's is for them.
    let file_egress = Egress::new(EgressConfig {
        allow_loopback,
        extra_ca_pem: config.extra_ca_pem.clone(),
        redirect_all_to,
        ..EgressConfig::default()
    })
    .context("setting extra_ca_file")?;
    let objects = ObjectStore::open(config.file_store, &config.extra_ca_pem, &clock)?;
    let metrics = Arc::new(Metrics::default());
    let limits = Limits::new(config.settings.rate_limits, Arc::clone(&clock), Arc::clone(&metrics));
    Ok(Arc::new(App::new(Parts {
        ring,
        egress,
        file_egress,
        objects,
        answers: Budget::new(config.settings.proxy_memory),
        large_answers: Threads::start("large-answers", 1).context("cannot start a thread for large answers")?,
        limits,
        // Next to the database, so that all servers of one database share it.
        spool_dir: with_suffix(&config.database, ".spool"),
        audit_head: config.audit_head_file.unwrap_or_else(|| with_suffix(&config.database, ".audit-head")),
        core: Core {
            store,
            catalog,
            settings: config.settings,
            builtins,
            clock,
            entropy,
            files: Threads::start("files", FILE_THREADS).context("cannot start threads for files")?,
            tasks: TaskTracker::new(),
            account_locks: AccountLocks::default(),
            connection_waiters: ConnectionWaiters::default(),
            metrics,
            ready_at: AtomicI64::new(0),
            stopping: CancellationToken::new(),
        },
    })))
}

/// Serves until `app.core.stopping` is cancelled, then finishes accepted requests and work that must
/// not be lost (R94).
pub async fn serve(app: Arc<App>, service: impl HttpService, listener: TcpListener) -> Result<()> {
    let background = Background::start(enter_background).context("cannot start the thread of the background jobs")?;
    let jobs = background.spawn(crate::app::jobs::run(Arc::clone(&app), app.core.stopping.clone()));
    let graceful = GracefulShutdown::new();
    let open_files = listen::raise_open_file_limit();
    let max_connections = listen::max_connections(open_files);
    tracing::info!(connections = max_connections, open_files, "connections that are served at once");
    let per_address = app.core.settings.max_connections_per_address;
    let acceptor = Acceptor::new(max_connections, per_address, app.core.settings.trusted_proxies.clone(), service);
    app.core.stopping.run_until_cancelled(acceptor.accept(&listener, &graceful)).await;
    drop(listener);
    tracing::info!("shutting down");
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    app.core.tasks.close();
    if tokio::time::timeout(GRACE, app.core.tasks.wait()).await.is_err() {
        tracing::error!("some credential writes did not finish in time");
    }
    // Jobs were stopped at the same time as everything else; the remaining ones are aborted.
    if tokio::time::timeout(STOP_TIMEOUT, jobs).await.is_err() {
        tracing::warn!("some background jobs did not end in time");
    }
    if let Err(error) = app.call_log.write().await {
        tracing::error!(error = error.message(), cause = error.causes(), "the last calls are not in their log");
    }
    app.audit_log.seal_on_shutdown().await;
    app.core.store.finish();
    Ok(())
}

/// Serves metrics until `app.core.stopping` is cancelled, on a few connections.
pub async fn serve_metrics(app: Arc<App>, listener: TcpListener) {
    let router = Router::new().route("/metrics", get(show_metrics)).with_state(Arc::clone(&app));
    let acceptor = Acceptor::new(MAX_METRICS_CONNECTIONS, None, TrustedProxies::default(), router);
    let graceful = GracefulShutdown::new();
    app.core.stopping.run_until_cancelled(acceptor.accept(&listener, &graceful)).await;
}

async fn show_metrics(State(app): State<Arc<App>>) -> Response {
    queue::status::record_metrics(&app.core).await;
    app.core.metrics.response()
}

/// Loads the master key, or creates one for a new database. A database that was sealed with another
/// key, or whose key file is missing, is not changed (R72). If several servers start at once, one
/// creates the key and the check value, and the others use them.
async fn open_ring(store: &Store, path: &Path, entropy: Arc<dyn Entropy>) -> Result<KeyRing> {
    let place = || SealContext::new("", "meta", "key_check", "value");
    let check = store.meta("key_check").await?;
    if !path.exists() {
        if check.is_some() {
            bail!(
                "setting master_key_file: {} is missing, and the database holds data sealed with it: restore the file, or name it with --master-key-file",
                path.display()
            );
        }
        let is_new = KeyRing::create(path, &*entropy).context("setting master_key_file")?;
        if is_new {
            tracing::info!(file = %path.display(), "created a master key: back it up apart from the database");
        }
    }
    let ring = KeyRing::load(path, entropy).context("setting master_key_file")?;
    let sealed = if let Some(sealed) = check {
        sealed
    } else {
        let statement = meta::insert("key_check", ring.seal(place(), b"switchboard"));
        // A new database has no values in an earlier layout.
        match store.apply(Unit::new().with(statement).with(reseal::mark(&ring))).await {
            Ok(_) => return Ok(ring),
            // Another process was faster; its key must be the same.
            Err(WriteError::Refused(_)) => store.meta("key_check").await?.unwrap_or_default(),
            Err(error) => return Err(error).context("cannot note the master key in the database"),
        }
    };
    let mismatch = |error| anyhow!("master key file {} does not fit this database: {error}", path.display());
    if is_first_layout(&sealed) {
        let anew = ring.reseal(place(), &sealed, place()).map_err(mismatch)?;
        let statement = switchboard_store::reseal::replace_meta("key_check", &sealed, anew);
        store.apply(Unit::new().with(statement)).await.context("cannot note the master key in the database")?;
    } else {
        ring.open(place(), &sealed).map_err(mismatch)?;
    }
    Ok(ring)
}

/// Records the current sealing key, and reports keys that have sealed values but are missing from the
/// ring: their values cannot be read. The server starts anyway, because a key may be lost for good.
async fn note_sealing_key(store: &Store, ring: &KeyRing) -> Result<()> {
    let place = |name: &str| SealContext::new("", "meta", name, "value");
    // The four bytes after the layout byte identify the key.
    let probe = ring.seal(place(SEALING_KEY), b"");
    let id = HEXLOWER.encode(probe.get(1..5).unwrap_or_default());
    let name = format!("{SEALING_KEY}{id}");
    if store.meta(&name).await?.is_none() {
        let statement = meta::put(&name, ring.seal(place(&name), b"switchboard"));
        store.apply(Unit::new().with(statement)).await.context("cannot note the master key in the database")?;
    }
    for (name, sealed) in store.meta_with_prefix(SEALING_KEY).await? {
        if let Err(error @ OpenError::UnknownKey(_)) = ring.open(place(&name), &sealed) {
            tracing::error!(error = %error, "a master key is missing that values of this database were sealed with; accounts and clients sealed with it cannot be used");
        }
    }
    Ok(())
}

/// A path with something appended to its file name.
fn with_suffix(path: &Path, appended: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(appended);
    PathBuf::from(name)
}

/// Creates a folder that only its owner can read.
pub fn create_private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("setting data_dir: cannot create {}", path.display()))
}

/// Rejects an empty database file next to a master key: it was truncated and would be mistaken for a
/// new one. Another server that is starting gets some time to fill it.
async fn reject_truncated_database(database: &Path, key: &Path) -> Result<()> {
    let is_empty = || key.exists() && fs::metadata(database).is_ok_and(|file| file.len() == 0);
    for _ in 0..20 {
        if !is_empty() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!(
        "setting database_url: {} has 0 bytes, and there is a master key ({}): restore the database from a backup, or remove the empty file to begin anew",
        database.display(),
        key.display()
    )
}

/// Opens the database, readable by its owner only. The file is created before SQLite opens it, because
/// the WAL copies its mode.
fn open_store(database: &Path, open: impl FnOnce(&Path) -> Result<Store, DatabaseError>) -> Result<Store> {
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(database)
        .and_then(|file| file.set_permissions(fs::Permissions::from_mode(0o600)))
        .with_context(|| format!("setting database_url: cannot use {}", database.display()))?;
    open(database).map_err(|error| anyhow::Error::new(error).context("setting database_url"))
}
