//! What Switchboard does, a folder per subject. Handlers translate, this layer decides, the store
//! persists. Here is only [`App`], which has everything that the folders work with.

pub mod account;
pub mod approval;
pub mod audit;
pub mod auth_config;
pub mod base;
pub mod call_log;
pub mod connect;
pub mod credential;
pub mod execute;
pub mod explain;
pub mod file;
pub mod jobs;
pub mod link;
pub mod meta;
pub mod model;
pub mod object_store;
pub mod project;
pub mod project_deletion;
pub mod provider;
pub mod provider_limits;
pub mod queue;
pub mod refresh;
pub mod reseal;
pub mod revocation;
pub mod session;
pub mod spool;
pub mod tool;
pub mod tool_versions;
pub mod toolkit;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use switchboard_egress::{Budget, Egress};
use switchboard_vault::KeyRing;

use account::Accounts;
use approval::Approvals;
use audit::AuditLog;
use auth_config::AuthConfigs;
use base::core::Core;
use base::idempotency::Idempotency;
use base::rate_limits::Limits;
use base::threads::Threads;
use call_log::CallLog;
use connect::Connector;
use credential::Credentials;
use execute::Executor;
use explain::Explanations;
use file::Files;
use jobs::Sweeps;
use jobs::supervision::Jobs;
use link::Links;
use meta::MetaTools;
use object_store::ObjectStore;
use project::Projects;
use project::keys::Keys;
use project_deletion::ProjectDeletion;
use provider::Providers;
use provider::redirect_uris::RedirectUris;
use provider_limits::ProviderLimits;
use refresh::Refresher;
use revocation::Revocations;
use session::Sessions;
use spool::Spool;
use tool::Tools;
use tool_versions::ToolVersions;
use toolkit::Toolkits;

pub use base::core::Actor;
pub use base::settings::{ManagedClient, Settings, UnknownParameters};

/// What the services are made of.
pub struct Parts {
    /// What each of them stands on.
    pub core: Core,
    /// Ciphers.
    pub ring: KeyRing,
    /// The only way out.
    pub egress: Egress,
    /// The same for URLs that callers give: to public addresses only.
    pub file_egress: Egress,
    /// The bytes of files.
    pub objects: ObjectStore,
    /// Bytes of answers to proxied calls that are held at once.
    pub answers: Budget,
    /// The thread that reads large answers, one after the other.
    pub large_answers: Threads,
    /// How often each key, address, account and link was used lately.
    pub limits: Limits,
    /// Where rotated credentials wait for a database that takes no writes.
    pub spool_dir: PathBuf,
    /// The audit log's head, outside the database.
    pub audit_head: PathBuf,
}

crate::redacted_debug!(Parts);

/// The services of the application. Shared by all requests.
pub struct App {
    /// What each of them stands on.
    pub core: Arc<Core>,
    /// How often each key, address, account and link was used lately.
    pub limits: Arc<Limits>,
    /// Background jobs that do not run.
    pub jobs: Jobs,
    /// Answers that are remembered under an idempotency key.
    pub idempotency: Arc<Idempotency>,
    /// The audit log: sealing, checking and dropping its segments.
    pub audit_log: Arc<AuditLog>,
    /// API keys of projects and of the organization.
    pub keys: Arc<Keys>,
    /// Projects and their settings.
    pub projects: Arc<Projects>,
    /// Sealing and opening of secrets, and where each may be sent.
    pub credentials: Arc<Credentials>,
    /// Which redirect URI an auth config uses, and whether two use the same.
    pub redirect_uris: Arc<RedirectUris>,
    /// Requests to providers: discovery, token endpoints, identity.
    pub providers: Arc<Providers>,
    /// What providers have said about their limits.
    pub provider_limits: Arc<ProviderLimits>,
    /// Writes that must not be lost.
    pub spool: Arc<Spool>,
    /// Credentials on their way to be revoked at their providers.
    pub revocations: Arc<Revocations>,
    /// Credentials that are refreshed before they end.
    pub refresher: Arc<Refresher>,
    /// Auth configs, and which of them a link uses.
    pub auth_configs: Arc<AuthConfigs>,
    /// Connected accounts as resources.
    pub accounts: Arc<Accounts>,
    /// Sessions, their policy, and which account a session uses.
    pub sessions: Arc<Sessions>,
    /// Links, and the other ways of an account to a credential.
    pub links: Arc<Links>,
    /// The connect flow, from an opened link to an ACTIVE account.
    pub connector: Arc<Connector>,
    /// The log of calls.
    pub call_log: Arc<CallLog>,
    /// Calls with the credential of an account.
    pub executor: Arc<Executor>,
    /// Files: uploads, results of tools, and what sessions keep.
    pub files: Arc<Files>,
    /// A person's consent to calls.
    pub approvals: Arc<Approvals>,
    /// The versions of tools that sessions keep.
    pub versions: Arc<ToolVersions>,
    /// Lists and calls of tools.
    pub tools: Arc<Tools>,
    /// Tools of the server itself.
    pub meta_tools: Arc<MetaTools>,
    /// What happened to an account or a link, and what to do.
    pub explanations: Arc<Explanations>,
    /// Deletion of projects with all that is theirs.
    pub project_deletion: Arc<ProjectDeletion>,
    /// The toolkits that a project can use.
    pub toolkits: Arc<Toolkits>,
    /// What ends or goes after its time.
    pub sweeps: Arc<Sweeps>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("core", &self.core).finish_non_exhaustive()
    }
}

impl App {
    /// Makes each service once, from below to above: none can call one that is made after it.
    pub fn new(parts: Parts) -> Self {
        let Parts { core, ring, egress, file_egress, objects, answers, large_answers, limits, spool_dir, audit_head } =
            parts;
        let (core, limits) = (Arc::new(core), Arc::new(limits));
        let idempotency = Arc::new(Idempotency::new(Arc::clone(&core), ring.clone()));
        let audit_log = Arc::new(AuditLog::new(Arc::clone(&core), ring.clone(), audit_head));
        let keys = Arc::new(Keys::new(Arc::clone(&core)));
        let projects = Arc::new(Projects::new(Arc::clone(&core), Arc::clone(&keys)));
        let credentials = Arc::new(Credentials::new(Arc::clone(&core), Arc::clone(&projects), ring.clone()));
        let redirect_uris = Arc::new(RedirectUris::new(Arc::clone(&core)));
        let providers =
            Arc::new(Providers::new(Arc::clone(&core), Arc::clone(&credentials), Arc::clone(&redirect_uris), egress));
        let provider_limits = Arc::new(ProviderLimits::new(Arc::clone(&core)));
        let spool = Arc::new(Spool::new(Arc::clone(&core), Arc::clone(&credentials), spool_dir));
        let revocations = Arc::new(Revocations::new(
            Arc::clone(&core),
            Arc::clone(&projects),
            Arc::clone(&credentials),
            Arc::clone(&providers),
            Arc::clone(&spool),
        ));
        let refresher = Arc::new(Refresher::new(
            Arc::clone(&core),
            Arc::clone(&credentials),
            Arc::clone(&providers),
            Arc::clone(&spool),
            Arc::clone(&revocations),
        ));
        let auth_configs = Arc::new(AuthConfigs::new(
            Arc::clone(&core),
            Arc::clone(&idempotency),
            Arc::clone(&credentials),
            Arc::clone(&redirect_uris),
            Arc::clone(&providers),
            Arc::clone(&revocations),
        ));
        let accounts = Arc::new(Accounts::new(
            Arc::clone(&core),
            Arc::clone(&projects),
            Arc::clone(&credentials),
            Arc::clone(&revocations),
        ));
        let versions = Arc::new(ToolVersions::new(Arc::clone(&core)));
        let sessions = Arc::new(Sessions::new(
            Arc::clone(&core),
            Arc::clone(&idempotency),
            Arc::clone(&projects),
            Arc::clone(&auth_configs),
            Arc::clone(&versions),
        ));
        let files = Arc::new(Files::new(
            Arc::clone(&core),
            Arc::clone(&sessions),
            ring.clone(),
            objects,
            file_egress,
            answers.clone(),
        ));
        let links = Arc::new(Links::new(
            Arc::clone(&core),
            Arc::clone(&idempotency),
            Arc::clone(&projects),
            Arc::clone(&credentials),
            Arc::clone(&auth_configs),
            Arc::clone(&refresher),
            Arc::clone(&revocations),
        ));
        let connector = Arc::new(Connector::new(
            Arc::clone(&core),
            Arc::clone(&limits),
            Arc::clone(&credentials),
            Arc::clone(&redirect_uris),
            Arc::clone(&auth_configs),
            Arc::clone(&providers),
            Arc::clone(&spool),
            Arc::clone(&refresher),
            Arc::clone(&revocations),
        ));
        let call_log = Arc::new(CallLog::new(Arc::clone(&core), Arc::clone(&projects), ring.clone()));
        let executor = Arc::new(Executor::new(
            Arc::clone(&core),
            Arc::clone(&limits),
            Arc::clone(&credentials),
            Arc::clone(&providers),
            Arc::clone(&provider_limits),
            Arc::clone(&refresher),
            Arc::clone(&sessions),
            answers,
            large_answers,
        ));
        let approvals = Arc::new(Approvals::new(Arc::clone(&core), ring.clone()));
        let tools = Arc::new(Tools::new(
            Arc::clone(&core),
            Arc::clone(&executor),
            Arc::clone(&links),
            Arc::clone(&files),
            Arc::clone(&sessions),
            Arc::clone(&approvals),
            Arc::clone(&versions),
            ring.clone(),
        ));
        let meta_tools = Arc::new(MetaTools::new(
            Arc::clone(&core),
            Arc::clone(&sessions),
            Arc::clone(&links),
            Arc::clone(&call_log),
            Arc::clone(&executor),
            Arc::clone(&tools),
            ring,
        ));
        let explanations = Arc::new(Explanations::new(
            Arc::clone(&core),
            Arc::clone(&credentials),
            Arc::clone(&redirect_uris),
            Arc::clone(&refresher),
            Arc::clone(&call_log),
        ));
        let project_deletion = Arc::new(ProjectDeletion::new(
            Arc::clone(&core),
            Arc::clone(&auth_configs),
            Arc::clone(&sessions),
            Arc::clone(&revocations),
        ));
        let toolkits = Arc::new(Toolkits::new(Arc::clone(&core), Arc::clone(&auth_configs)));
        let sweeps = Arc::new(Sweeps::new(Arc::clone(&core), Arc::clone(&connector), Arc::clone(&versions)));
        Self {
            core,
            limits,
            jobs: Jobs::default(),
            idempotency,
            audit_log,
            keys,
            projects,
            credentials,
            redirect_uris,
            providers,
            provider_limits,
            spool,
            revocations,
            refresher,
            auth_configs,
            accounts,
            sessions,
            links,
            connector,
            call_log,
            executor,
            files,
            approvals,
            versions,
            tools,
            meta_tools,
            explanations,
            project_deletion,
            toolkits,
            sweeps,
        }
    }
}
