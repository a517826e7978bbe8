//! Opening the application and serving it: master key, shutdown. Connections are let in by `door.rs`.

mod door;
mod listen;
mod places;
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
use data_encoding::HEXLOWER;
use hyper_util::server::graceful::GracefulShutdown;
use switchboard_catalog::{Catalog, Folders, Scheme};
use switchboard_egress::{Budget, Egress, EgressConfig, Observer};
use switchboard_store::{OpenError as DatabaseError, Store, Unit, WriteError, meta};
use switchboard_vault::{Entropy, KeyRing, OpenError, SealContext, SystemEntropy, is_first_layout};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::base::catalog::CurrentCatalog;
use crate::app::base::core::Core;
use crate::app::base::flights::Flights;
use crate::app::base::rate_limits::Limits;
use crate::app::base::threads::Threads;
use crate::app::jobs::supervision::STOP_TIME;
use crate::app::provider::redirect_uris;
use crate::app::{App, Parts, reseal};
use crate::client_address::TrustedProxies;
use crate::config::Config;
use crate::metrics::{self, Metrics};
use crate::time::{Clock, SystemClock};

use door::Door;
pub use listen::listen;

/// Connections of collectors of metrics at once.
const METRICS_PLACES: usize = 32;
/// Files that may be slow at once.
const FILE_THREADS: usize = 4;
/// How long accepted requests may take after SIGTERM, and then tasks that hold new tokens.
const GRACE: Duration = Duration::from_secs(25);

/// Names of the facts that say which keys sealed in this database.
const SEALING_KEY: &str = "sealing_key_";

/// What differs between `serve`, `dev`, `toolkit test` and tests.
pub struct Surroundings {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Template variables of the installation.
    pub builtins: BTreeMap<String, String>,
    /// Toolkits may call loopback addresses (`dev` and tests).
    pub allow_loopback: bool,
    /// Offer the sandbox toolkit, whose provider only `dev` starts.
    pub with_sandbox: bool,
    /// Where all providers are played, for `toolkit test`: see [`EgressConfig::redirect_all_to`]. There is
    /// no setting for it, and none must be made.
    pub redirect_all_to: Option<SocketAddr>,
    /// Who is shown what goes to providers, for `toolkit try`: see [`Observer`]. There is no setting for it, and
    /// none must be made.
    pub watch: Option<Arc<dyn Observer>>,
}

impl std::fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").field("builtins", &self.builtins).finish_non_exhaustive()
    }
}

impl Default for Surroundings {
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
pub async fn open(config: Config, surroundings: Surroundings) -> Result<Arc<App>> {
    open_by(config, surroundings, Store::open).await
}

/// The same for a command that seals or opens something, and that may run beside a server: it does not
/// take the schema from under one of an older version.
pub async fn open_beside_a_server(config: Config) -> Result<Arc<App>> {
    let surroundings = Surroundings { with_sandbox: true, ..Surroundings::default() };
    open_by(config, surroundings, Store::open_beside_a_server).await
}

async fn open_by(
    config: Config,
    surroundings: Surroundings,
    open: fn(&Path) -> Result<Store, DatabaseError>,
) -> Result<Arc<App>> {
    create_private_dir(&config.data_dir)?;
    refuse_emptied(&config.database, &config.master_key_file).await?;
    let store = open_store(&config.database, open)?;
    let ring = open_ring(&store, &config.master_key_file, Arc::clone(&surroundings.entropy)).await?;
    note_sealing_key(&store, &ring).await?;
    reseal::settle(&store, &ring, &config.data_dir, &beside(&config.database, ".spool")).await?;
    let app = assemble(config, surroundings, store, ring)?;
    if let Err(error) = app.redirect_uris.report_shared().await {
        bail!("cannot compare the redirect URIs of auth configs: {}", error.message());
    }
    let spool = app.spool.folder().display().to_string();
    let saved = app.spool.replay().await.with_context(|| format!("cannot look into {spool}"))?;
    if saved > 0 {
        tracing::info!(saved, "stored credentials that an earlier run had spooled");
    }
    Ok(app)
}

/// Opens the database alone. Sealed values cannot be read this way, and none must be written.
pub fn open_for_management(config: Config) -> Result<Arc<App>> {
    create_private_dir(&config.data_dir)?;
    let store = open_store(&config.database, Store::open_beside_a_server)?;
    let surroundings = Surroundings { with_sandbox: true, ..Surroundings::default() };
    let ring = KeyRing::ephemeral(Arc::clone(&surroundings.entropy));
    assemble(config, surroundings, store, ring)
}

/// Opens the database and the master key, and begins nothing: to look at the audit log.
pub async fn open_for_audit(config: Config) -> Result<Arc<App>> {
    let store = open_store(&config.database, Store::open_beside_a_server)?;
    let surroundings = Surroundings { with_sandbox: true, ..Surroundings::default() };
    let ring = open_ring(&store, &config.master_key_file, Arc::clone(&surroundings.entropy)).await?;
    assemble(config, surroundings, store, ring)
}

fn assemble(config: Config, surroundings: Surroundings, store: Store, ring: KeyRing) -> Result<Arc<App>> {
    let Surroundings { clock, entropy, builtins, allow_loopback, with_sandbox, redirect_all_to, watch } = surroundings;
    let mut catalog = Catalog::builtin()?;
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
        if client.one_redirect_uri && !redirect_uris::is_told_by_slug(toolkit, Scheme::OAuth2) {
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
        extra_ca_pem: config.extra_ca_pem,
        redirect_all_to,
        ..EgressConfig::default()
    })
    .context("setting extra_ca_file")?
    .with_observer(watch);
    let metrics = Arc::new(Metrics::default());
    let limits = Limits::new(config.settings.rate_limits, Arc::clone(&clock), Arc::clone(&metrics));
    Ok(Arc::new(App::new(Parts {
        ring,
        egress,
        answers: Budget::new(config.settings.proxy_memory),
        large_answers: Threads::start("large-answers", 1).context("cannot start a thread for large answers")?,
        limits,
        // Beside the database, so that all servers of one database share it.
        spool_dir: beside(&config.database, ".spool"),
        audit_head: config.audit_head_file.unwrap_or_else(|| beside(&config.database, ".audit-head")),
        core: Core {
            store,
            catalog,
            settings: config.settings,
            builtins,
            clock,
            entropy,
            files: Threads::start("files", FILE_THREADS).context("cannot start threads for files")?,
            tasks: TaskTracker::new(),
            flights: Flights::default(),
            metrics,
            ready_at: AtomicI64::new(0),
            stopping: CancellationToken::new(),
        },
    })))
}

/// Serves until `app.core.stopping` is cancelled; then finishes what was accepted and what must not be
/// lost (R94).
pub async fn serve(app: Arc<App>, router: Router, listener: TcpListener) -> Result<()> {
    let mut jobs = JoinSet::new();
    jobs.spawn(crate::app::jobs::run(Arc::clone(&app), app.core.stopping.clone()));
    let graceful = GracefulShutdown::new();
    let open_files = listen::raise_open_files();
    let places = listen::places(open_files);
    tracing::info!(connections = places, open_files, "connections that are served at once");
    let per_address = app.core.settings.max_connections_per_address;
    let door = Door::new(places, per_address, app.core.settings.trusted_proxies.clone(), router);
    app.core.stopping.run_until_cancelled(door.accept(&listener, &graceful)).await;
    drop(listener);
    tracing::info!("shutting down");
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("some connections did not end in time");
    }
    app.core.tasks.close();
    if tokio::time::timeout(GRACE, app.core.tasks.wait()).await.is_err() {
        tracing::error!("some credential writes did not finish in time");
    }
    // They were told together with everybody else; who is left is cut off.
    if tokio::time::timeout(STOP_TIME, jobs.join_next()).await.is_err() {
        tracing::warn!("some background jobs did not end in time");
    }
    app.audit_log.seal_at_end().await;
    app.core.store.finish();
    Ok(())
}

/// Serves metrics until `app.core.stopping` is cancelled, to a few connections at once.
pub async fn serve_metrics(app: Arc<App>, listener: TcpListener) {
    let router = metrics::router(Arc::clone(&app.core.metrics));
    let door = Door::new(METRICS_PLACES, None, TrustedProxies::default(), router);
    let graceful = GracefulShutdown::new();
    app.core.stopping.run_until_cancelled(door.accept(&listener, &graceful)).await;
}

/// Loads the master key, or makes one for a database that has none. A database that was sealed
/// with another key, or whose key file is gone, is not touched (R72). Several servers may start at
/// once: one makes the key and the check, the others use them.
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
        // In a new database nothing is sealed in an earlier layout.
        match store.apply(Unit::new().with(statement).with(reseal::mark(&ring))).await {
            Ok(_) => return Ok(ring),
            // Another process was faster; its key must be ours.
            Err(WriteError::Refused(_)) => store.meta("key_check").await?.unwrap_or_default(),
            Err(error) => return Err(error).context("cannot note the master key in the database"),
        }
    };
    let misfit = |error| anyhow!("master key file {} does not fit this database: {error}", path.display());
    if is_first_layout(&sealed) {
        let anew = ring.reseal(place(), &sealed, place()).map_err(misfit)?;
        let statement = switchboard_store::reseal::replace_meta("key_check", &sealed, anew);
        store.apply(Unit::new().with(statement)).await.context("cannot note the master key in the database")?;
    } else {
        ring.open(place(), &sealed).map_err(misfit)?;
    }
    Ok(ring)
}

/// Notes which key seals from now on, and says which of those that ever did are no longer in the ring: what
/// they sealed cannot be read. The server starts all the same, since a key may be lost for good.
async fn note_sealing_key(store: &Store, ring: &KeyRing) -> Result<()> {
    let place = |name: &str| SealContext::new("", "meta", name, "value");
    // A sealed value names its key in the four bytes after the layout.
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

/// A path that differs from another by what is appended to its name.
fn beside(path: &Path, appended: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(appended);
    PathBuf::from(name)
}

/// A folder that only its owner can look into.
pub fn create_private_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("setting data_dir: cannot create {}", path.display()))
}

/// Refuses a database file of 0 bytes beside a master key: it was cut to nothing, and would be taken for a
/// new one. Another server that starts in the same moment gets a while to fill it.
async fn refuse_emptied(database: &Path, key: &Path) -> Result<()> {
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

/// Opens the database, readable by its owner only. The file is there before SQLite opens it, since
/// the WAL beside it takes over its mode.
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
