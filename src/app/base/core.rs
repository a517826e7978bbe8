//! What every service depends on: the database, time, randomness, settings and the current catalog.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde_json::{Map, Value};
use switchboard_catalog::Toolkit;
use switchboard_store::accounts::AccountRow;
use switchboard_store::audit::{self, AuditEvent};
use switchboard_store::{Statement, Store, Unit, meta};
use switchboard_types::{AccountParams, AuditAction, AuditResult, CompactString, ProjectId, Timestamp};
use switchboard_vault::Entropy;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::account_locks::AccountLocks;
use super::catalog::CurrentCatalog;
use super::connection_waiters::ConnectionWaiters;
use super::settings::Settings;
use super::threads::Threads;
use crate::app::model::params::with_derived_values;
use crate::error::Result;
use crate::id::Kind;
use crate::metrics::Metrics;
use crate::time::Clock;

/// How long a successful readiness check is reused, in milliseconds.
const READINESS_TTL: Duration = Duration::from_secs(1);

/// What every service depends on.
pub struct Core {
    /// Persistence.
    pub store: Store,
    /// Toolkits.
    pub catalog: CurrentCatalog,
    /// The operator's settings.
    pub settings: Settings,
    /// Template variables of the installation, such as `sandbox_url`.
    pub builtins: BTreeMap<String, String>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Tasks that outlive their request. Shutdown waits for them.
    pub tasks: TaskTracker,
    /// Threads that read files.
    pub files: Threads,
    /// Locks of accounts and auth configs in this process.
    pub account_locks: AccountLocks,
    /// Who waits until a user has connected an account.
    pub connection_waiters: ConnectionWaiters,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// When the database last passed the readiness check.
    pub ready_at: AtomicI64,
    /// Cancelled when the server is asked to stop.
    pub stopping: CancellationToken,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("public_url", &self.settings.public_url).finish_non_exhaustive()
    }
}

impl Core {
    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new identifier.
    pub fn mint(&self, kind: Kind) -> CompactString {
        kind.mint(self.now(), &*self.entropy)
    }

    /// Checks that the database accepts reads and writes. The check runs at most once a second, because it
    /// needs no key and each run costs a durable write.
    pub async fn check_ready(&self) -> Result<()> {
        let now = self.now();
        let last = Timestamp::from_millis(self.ready_at.load(Ordering::Relaxed));
        if (last..last + READINESS_TTL).contains(&now) {
            return Ok(());
        }
        self.store.apply(Unit::new().with(meta::put("ready_probe", now.as_millis().to_be_bytes().to_vec()))).await?;
        self.store.meta("ready_probe").await?;
        self.ready_at.store(now.as_millis(), Ordering::Relaxed);
        Ok(())
    }

    /// Finds a toolkit by its slug, in any case.
    pub fn toolkit(&self, slug: &str) -> Option<Arc<Toolkit>> {
        let catalog = self.catalog.get();
        if slug.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return catalog.get(&slug.to_ascii_lowercase()).cloned();
        }
        catalog.get(slug).cloned()
    }

    /// A template variable of one account, or else of the installation.
    pub fn variable(&self, params: &AccountParams, name: &str) -> Option<String> {
        params.value(name).or_else(|| self.builtins.get(name)).cloned()
    }

    /// An account's parameters, including the values that its current toolkit file derives.
    pub(in crate::app) fn params_of(&self, account: &AccountRow) -> AccountParams {
        let Some(toolkit) = self.toolkit(&account.toolkit) else { return (*account.params).clone() };
        with_derived_values(&account.params, &toolkit, account.scheme)
    }

    /// The statement that records `action` on `object`. `detail` is a JSON object and never contains a secret. An event
    /// that failed for a reason has the reason's code in its detail, too, as `reason`.
    pub fn audit<'r>(
        &self,
        actor: &Actor,
        action: AuditAction,
        object: &str,
        result: impl Into<AuditResult<'r>>,
        detail: Option<String>,
    ) -> Statement {
        let result = result.into();
        let detail = match result.reason_code() {
            None => detail,
            Some(code) => {
                let detail = detail.and_then(|detail| serde_json::from_str::<Map<String, Value>>(&detail).ok());
                let mut detail = detail.unwrap_or_default();
                detail.insert("reason".to_owned(), code.as_str().into());
                Some(Value::Object(detail).to_string())
            }
        };
        audit::insert(AuditEvent {
            id: self.mint(Kind::AuditEvent),
            project_id: (!actor.project_id.is_empty()).then(|| actor.project_id.clone()),
            at: self.now(),
            actor: actor.name.clone(),
            action: action.into(),
            object: object.into(),
            outcome: result.stored(),
            request_id: actor.request_id.clone(),
            caller_request_id: actor.caller_request_id.clone(),
            detail,
        })
    }
}

/// Who acts: an API key in a project, a browser with a link, or the server itself.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The project acted in.
    pub project_id: ProjectId,
    /// `key_…`, `link:lt_…`, `system`, `cli`.
    pub name: CompactString,
    /// Our own id of the request that caused it.
    pub request_id: Option<CompactString>,
    /// The caller's id of that request.
    pub caller_request_id: Option<CompactString>,
}

impl Actor {
    /// The server itself.
    pub fn system(project_id: &ProjectId) -> Self {
        Self::without_request(project_id, "system")
    }

    /// The user of the command line.
    pub fn cli(project_id: &ProjectId) -> Self {
        Self::without_request(project_id, "cli")
    }

    /// An actor outside any request.
    pub fn without_request(project_id: &ProjectId, name: &str) -> Self {
        let (project_id, name) = (project_id.clone(), name.into());
        Self { project_id, name, request_id: None, caller_request_id: None }
    }
}
