//! What Switchboard does, a folder per subject. Handlers translate, this layer decides, the store
//! persists. Here is only [`App`], which has everything that the folders work with.

pub mod account;
pub mod audit;
pub mod auth_config;
pub mod base;
pub mod connect;
pub mod credential;
pub mod execute;
pub mod explain;
pub mod jobs;
pub mod link;
pub mod project;
pub mod provider;
pub mod refresh;
pub mod revocation;
pub mod session;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_egress::{Budget, Egress};
use switchboard_store::accounts::AccountRow;
use switchboard_store::{Store, Unit, meta};
use switchboard_vault::{Entropy, KeyRing};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::{Error, Result};
use crate::id::Kind;
use crate::metrics::Metrics;
use crate::time::{Clock, Millis};

use base::catalog::CurrentCatalog;
use base::recent::Recent;

use account::params::AccountParams;

pub use base::settings::{ManagedClient, Settings, UnknownParameters};

/// How long one finding of readiness counts, in milliseconds.
const READY_FOR: Millis = 1_000;

/// Everything the application works with. Shared by all requests.
pub struct App {
    /// Persistence.
    pub store: Store,
    /// Ciphers.
    pub ring: KeyRing,
    /// The only way out.
    pub egress: Egress,
    /// Bytes of answers to proxied calls that are held at once.
    pub answers: Budget,
    /// The thread that reads large answers, one after the other.
    pub large_answers: base::threads::Threads,
    /// Providers.
    pub catalog: CurrentCatalog,
    /// The operator's settings.
    pub settings: Settings,
    /// Template variables of the installation, such as `sandbox_url`.
    pub builtins: BTreeMap<String, String>,
    /// Threads that read files.
    pub files: base::threads::Threads,
    /// Where rotated credentials wait for a database that takes no writes.
    pub spool_dir: PathBuf,
    /// The audit log's head, outside the database.
    pub audit_head: PathBuf,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Tasks that outlive the request that caused them; awaited at shutdown.
    pub tasks: TaskTracker,
    /// Background jobs that do not run.
    pub jobs: jobs::supervision::Jobs,
    /// Refreshes under way in this process.
    pub flights: base::flights::Flights,
    /// Token endpoints that are down.
    pub breakers: provider::Breakers,
    /// The nonces that servers want in proofs of possession.
    pub dpop_nonces: provider::Nonces,
    /// How clients were found to authenticate.
    pub methods: provider::Methods,
    /// What providers said of themselves.
    pub discovered: provider::Discovered,
    /// Toolkits of whose accounts it is written down what they share at their provider.
    pub known_grants: revocation::Known,
    /// Told when a credential was handed over to be revoked at its provider.
    pub revocation_wake: Notify,
    /// Sessions of the last second, by project and id.
    pub recent_sessions: Recent<(String, String), Arc<session::Session>>,
    /// The auth configs that links of a project and toolkit may use, without their credentials.
    pub recent_auth_configs: Recent<(String, String), Arc<link::schemes::Candidates>>,
    /// Which keys' uses were noted lately.
    pub key_uses: project::key_uses::KeyUses,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How often each key, address, account and link was used lately.
    pub limits: base::rate_limits::Limits,
    /// When the database was last found ready.
    pub ready_at: AtomicI64,
    /// Cancelled when the server is told to end.
    pub stopping: CancellationToken,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("public_url", &self.settings.public_url).finish_non_exhaustive()
    }
}

impl App {
    /// Now.
    pub fn now(&self) -> Millis {
        self.clock.now()
    }

    /// A new identifier.
    pub fn mint(&self, kind: Kind) -> String {
        kind.mint(self.now(), &*self.entropy)
    }

    /// Whether the database takes reads and writes. Asked at most once a second: whoever may ask
    /// needs no key, and each answer costs a durable write.
    pub async fn check_ready(&self) -> Result<()> {
        let now = self.now();
        let last = self.ready_at.load(Ordering::Relaxed);
        if (last..last.saturating_add(READY_FOR)).contains(&now) {
            return Ok(());
        }
        self.store.apply(Unit::new().with(meta::put("ready_probe", now.to_be_bytes().to_vec()))).await?;
        self.store.meta("ready_probe").await?;
        self.ready_at.store(now, Ordering::Relaxed);
        Ok(())
    }

    /// A toolkit by its slug in any case.
    pub fn toolkit(&self, slug: &str) -> Option<Arc<Toolkit>> {
        let catalog = self.catalog.get();
        if slug.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return catalog.get(&slug.to_ascii_lowercase()).cloned();
        }
        catalog.get(slug).cloned()
    }

    /// Template variables of one account, then the installation's.
    pub fn variable(&self, params: &AccountParams, name: &str) -> Option<String> {
        params.value(name).or_else(|| self.builtins.get(name)).cloned()
    }

    /// An account's parameters, with what its toolkit's file makes of them now.
    pub(in crate::app) fn params_of(&self, account: &AccountRow) -> Result<AccountParams> {
        let params = AccountParams::parse(&account.params)?;
        let Some(toolkit) = self.toolkit(&account.toolkit) else { return Ok(params) };
        let scheme: Scheme = account.scheme.parse().map_err(Error::internal)?;
        Ok(params.completed(&toolkit, scheme))
    }
}

/// Who acts: an API key in a project, a browser with a link, or the server itself.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The project acted in.
    pub project_id: String,
    /// `key_…`, `link:lt_…`, `system`, `cli`.
    pub name: String,
    /// Our own id of the request that caused it.
    pub request_id: Option<String>,
    /// The caller's id of that request.
    pub caller_request_id: Option<String>,
}

impl Actor {
    /// The server itself.
    pub fn system(project_id: &str) -> Self {
        Self::without_request(project_id, "system")
    }

    /// Whoever runs a command.
    pub fn cli(project_id: &str) -> Self {
        Self::without_request(project_id, "cli")
    }

    /// Somebody who acts without a request.
    pub fn without_request(project_id: &str, name: &str) -> Self {
        let (project_id, name) = (project_id.to_owned(), name.to_owned());
        Self { project_id, name, request_id: None, caller_request_id: None }
    }
}
