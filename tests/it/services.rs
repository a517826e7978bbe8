//! Services are built from what their constructors name: without a server, a listener or the others.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use switchboard::app::base::account_locks::AccountLocks;
use switchboard::app::base::catalog::CurrentCatalog;
use switchboard::app::base::connection_waiters::ConnectionWaiters;
use switchboard::app::base::core::Core;
use switchboard::app::base::threads::Threads;
use switchboard::app::credential::Credentials;
use switchboard::app::project::Projects;
use switchboard::app::project::keys::Keys;
use switchboard::app::provider::Providers;
use switchboard::app::provider::redirect_uris::RedirectUris;
use switchboard::app::refresh::Refresher;
use switchboard::app::revocation::Revocations;
use switchboard::app::spool::Spool;
use switchboard::config::Layer;
use switchboard::error::Code;
use switchboard::time::Clock;
use switchboard_catalog::{Catalog, Folders, PlainHttp};
use switchboard_egress::{Egress, EgressConfig};
use switchboard_store::Store;
use switchboard_store::accounts::{AccountRow, AccountStatus, AccountType};
use switchboard_types::{AccountParams, Scheme};
use switchboard_vault::{KeyRing, Secret, Secrets, SystemEntropy};

use crate::support::clock::ManualClock;

fn core(folder: &Path, clock: &ManualClock) -> Core {
    let own = Layer { data_dir: Some(folder.to_owned()), ..Layer::default() };
    let layer = own.overlay(Layer::defaults().unwrap());
    Core {
        store: Store::open(&folder.join("switchboard.db")).unwrap(),
        catalog: CurrentCatalog::new(Catalog::builtin(), Folders::open(&[], PlainHttp::default()).unwrap()),
        settings: layer.check().unwrap().settings,
        builtins: BTreeMap::new(),
        clock: Arc::new(clock.clone()),
        entropy: Arc::new(SystemEntropy),
        files: Threads::start("files", 1).unwrap(),
        tasks: tokio_util::task::TaskTracker::new(),
        account_locks: AccountLocks::default(),
        connection_waiters: ConnectionWaiters::default(),
        metrics: Arc::default(),
        ready_at: AtomicI64::new(0),
        stopping: tokio_util::sync::CancellationToken::new(),
    }
}

fn refresher(folder: &Path, clock: &ManualClock) -> (Arc<Refresher>, Arc<Credentials>) {
    let core = Arc::new(core(folder, clock));
    let keys = Arc::new(Keys::new(Arc::clone(&core)));
    let projects = Arc::new(Projects::new(Arc::clone(&core), keys));
    let ring = KeyRing::ephemeral(Arc::new(SystemEntropy));
    let credentials = Arc::new(Credentials::new(Arc::clone(&core), Arc::clone(&projects), ring));
    let redirect_uris = Arc::new(RedirectUris::new(Arc::clone(&core)));
    let egress = Egress::new(EgressConfig::default()).unwrap();
    let providers = Arc::new(Providers::new(Arc::clone(&core), Arc::clone(&credentials), redirect_uris, egress));
    let spool = Arc::new(Spool::new(Arc::clone(&core), Arc::clone(&credentials), folder.join("spool")));
    let revocations = Revocations::new(
        Arc::clone(&core),
        projects,
        Arc::clone(&credentials),
        Arc::clone(&providers),
        Arc::clone(&spool),
    );
    let refresher = Refresher::new(core, Arc::clone(&credentials), providers, spool, Arc::new(revocations));
    (Arc::new(refresher), credentials)
}

/// An account that is in no database.
fn account(clock: &ManualClock, credentials: &Credentials) -> AccountRow {
    let now = clock.now();
    let mut row = AccountRow {
        id: "ca_1".into(),
        project_id: "pr_1".into(),
        user_id: "u".to_owned(),
        toolkit: "github".to_owned(),
        auth_config_id: "ac_1".into(),
        scheme: Scheme::OAuth2,
        status: AccountStatus::Active,
        status_reason: None,
        alias: None,
        word_id: "github_red-castle-7k2m".to_owned(),
        account_type: AccountType::Private,
        acl: None,
        params: Box::default(),
        credential_sealed: None,
        credential_version: switchboard_types::CredentialVersion(1),
        expires_at: Some(now + Duration::from_hours(1)),
        issued_at: Some(now),
        refresh_fence: switchboard_types::Fence(0),
        refresh_lease_until: None,
        refresh_started_at: None,
        refresh_failures: 0,
        refresh_rejections: 0,
        refresh_retry_at: None,
        refresh_due_at: None,
        link_id: None,
        created_at: now,
        updated_at: now,
        has_enabled_auth_config: true,
        allowed_tools: None,
    };
    let secrets = Secrets::from([("access_token", Secret::from("at-1"))]);
    row.credential_sealed = Some(credentials.seal_credential(&(&row).into(), &AccountParams::default(), &secrets));
    row
}

#[tokio::test]
async fn a_refresher_needs_no_server() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let (refresher, credentials) = refresher(folder.path(), &clock);
    let account = Arc::new(account(&clock, &credentials));
    let toolkit = Catalog::builtin().get("github").unwrap().clone();
    let (_, secrets) = refresher.fresh_credential(Arc::clone(&account), &toolkit).await.unwrap();
    assert_eq!(secrets.get("access_token"), Some("at-1"), "a fresh token is used as it is");
    clock.advance(Duration::from_hours(2));
    // A dead token is refreshed, and for that the account is read again.
    let error = refresher.fresh_credential(Arc::clone(&account), &toolkit).await.unwrap_err();
    assert_eq!(error.code(), Code::AccountNotFound);
}
