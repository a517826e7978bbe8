//! Sessions: a user id and a policy. Created, read and deleted here; sessions do not expire. `policy/` defines
//! the policy, `patch.rs` and `change.rs` change it, and `resolve.rs` selects the account that a session uses.

pub mod change;
mod check_tools;
pub mod custom_tools;
pub mod link_scopes;
pub mod patch;
pub mod policy;
pub mod resolve;
pub mod rules;
mod session_accounts;
pub mod toolkits;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::accounts::{AccountRow, AccountStatus, AccountType};
use switchboard_store::sessions::{self, SessionRow};
use switchboard_store::{Refusal, Topic, Unit, Versioned, WriteError, files};
use switchboard_types::{AuditAction, AuditOutcome, AuthConfigId, ProjectId, SessionId, Timestamp};

use crate::app::Actor;
use crate::app::auth_config::AuthConfigs;
use crate::app::base::core::Core;
use crate::app::base::errors::invalid_slugs;
use crate::app::base::idempotency::{Commit, Idempotency, IdempotencyKey, Prepared, StoredResponse};
use crate::app::base::recent::Recent;
use crate::app::model::access_list::Acl;
use crate::app::project::Projects;
use crate::app::tool_versions::ToolVersions;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::text::truncate;

use policy::{CallKind, SessionConfig};
use resolve::AccountKey;

/// How long an account is remembered. A change by a server or command of ours is seen at once; only one that is made
/// to the database by other means waits for this.
const ACCOUNT_LIFETIME: Duration = Duration::from_secs(1);
/// Maximum size of a policy that is cached, in bytes.
const MAX_CACHED: usize = 4_096;
/// Maximum size of a policy, in bytes of JSON. A page of a session's history contains a hundred of them.
const MAX_POLICY: usize = 256 * 1024;
/// Maximum number of accounts that a session may pin per toolkit.
const MAX_PINS: usize = 10;

/// A session with its policy parsed.
#[derive(Clone, Debug)]
pub struct Session {
    /// `trs_…`.
    pub id: SessionId,
    /// The project.
    pub project_id: ProjectId,
    /// The project's end user.
    pub user_id: String,
    /// The policy.
    pub config: SessionConfig,
    /// 1 at creation.
    pub config_version: i64,
    /// Time of creation.
    pub created_at: Timestamp,
    /// The versions of tools that it uses. None if it has used no tool since there are such.
    pub release_set: Option<i64>,
}

impl Session {
    /// Its id, if it is stored: a call without a session has one that is not.
    pub fn stored_id(&self) -> Option<&SessionId> {
        (!self.id.is_empty()).then_some(&self.id)
    }

    /// Parses a stored session.
    pub(super) fn read(row: SessionRow) -> Result<Self> {
        Ok(Self {
            id: row.id,
            project_id: row.project_id,
            user_id: row.user_id,
            config: serde_json::from_str(&row.config).map_err(Error::internal)?,
            config_version: row.config_version,
            created_at: row.created_at,
            release_set: row.release_set,
        })
    }
}

/// Sessions, their policy, and which account a session uses.
pub struct Sessions {
    core: Arc<Core>,
    idempotency: Arc<Idempotency>,
    projects: Arc<Projects>,
    auth_configs: Arc<AuthConfigs>,
    versions: Arc<ToolVersions>,
    recent: Recent<(ProjectId, SessionId), Arc<Session>>,
    /// Accounts that calls used lately, as they are stored now.
    accounts: Versioned<AccountKey, Arc<AccountRow>>,
}

crate::redacted_debug!(Sessions);

impl Sessions {
    /// Creates the service.
    pub fn new(
        core: Arc<Core>,
        idempotency: Arc<Idempotency>,
        projects: Arc<Projects>,
        auth_configs: Arc<AuthConfigs>,
        versions: Arc<ToolVersions>,
    ) -> Self {
        let accounts = Versioned::new(Topic::Accounts, ACCOUNT_LIFETIME, resolve::is_small);
        Self { core, idempotency, projects, auth_configs, versions, recent: Recent::default(), accounts }
    }

    /// Removes the accounts from the cache that were remembered for long enough.
    pub(in crate::app) fn forget_old_accounts(&self) {
        self.accounts.forget_old();
    }

    /// Removes a project's sessions from the cache.
    pub(in crate::app) fn forget_project(&self, project: &ProjectId) {
        self.recent.forget_where(|session| session.project_id == *project);
    }
}

impl Sessions {
    /// Prepares a session. Every call makes a new one, even with the same input.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn prepare(&self, actor: &Actor, mut config: SessionConfig) -> Result<Prepared<Session>> {
        let user_id = check_user(config.user_id.take(), "user_id")?;
        self.check_policy(actor, &user_id, &mut config).await?;
        let asked = self.versions.set_with(None, config.toolkit_versions.take().as_ref()).await?;
        let set = match asked {
            Some(set) => set,
            None => self.versions.current_set().await?,
        };
        self.check_tools(&config, Some(set)).await?;
        self.check_preload_tools(&config, Some(set)).await?;
        let session = Session {
            id: self.core.mint(Kind::Session).into(),
            project_id: actor.project_id.clone(),
            user_id,
            config,
            config_version: 1,
            created_at: self.core.now(),
            release_set: Some(set),
        };
        let unit = sessions::insert(&to_row(&session)?).with(self.core.audit(
            actor,
            AuditAction::SessionCreate,
            &session.id,
            AuditOutcome::Ok,
            None,
        ));
        Ok(Prepared::new(session, unit))
    }

    /// Stores a prepared session with its response.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn commit(
        &self,
        prepared: Prepared<Session>,
        key: Option<&IdempotencyKey>,
        response: &StoredResponse,
    ) -> Result<Commit> {
        Ok(self.idempotency.commit(prepared.unit, key, response).await?)
    }

    /// Normalises and validates a policy, at creation and after each change. Slugs become lower case, and
    /// custom tools get their final names.
    pub(super) async fn check_policy(&self, actor: &Actor, user: &str, config: &mut SessionConfig) -> Result<()> {
        config.normalise()?;
        rules::check(config)?;
        if let Some(experimental) = &mut config.experimental {
            custom_tools::prepare(experimental)?;
        }
        self.check_toolkits(config)?;
        self.check_preload(config)?;
        self.check_auth_configs(actor, config).await?;
        self.check_pins(actor, user, config).await?;
        if let Some(url) = config.manage_connections.as_ref().and_then(|manage| manage.callback_url.as_deref()) {
            self.projects.check_registered(&actor.project_id, url, "manage_connections.callback_url").await?;
        }
        Ok(())
    }

    /// One session of the caller's project.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn get(&self, project: &ProjectId, id: &SessionId) -> Result<Arc<Session>> {
        check_id(id)?;
        let cache_key = (project.to_owned(), id.to_owned());
        if let Some(session) = self.recent.get(&cache_key) {
            return Ok(session);
        }
        let before = self.recent.before();
        let row = self.core.store.session(project, id).await?.ok_or_else(|| not_found(id))?;
        let is_small = row.config.len() <= MAX_CACHED;
        let session = Arc::new(Session::read(row)?);
        if is_small {
            self.recent.put(cache_key, before, Arc::clone(&session));
        }
        Ok(session)
    }

    /// Deletes a session. Its id is unknown from then on.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn delete(&self, actor: &Actor, id: &SessionId) -> Result<()> {
        self.get(&actor.project_id, id).await?;
        let now = self.core.now();
        let unit = Unit::new()
            .with(sessions::delete(&actor.project_id, id, now))
            .with(files::delete_of_session(&actor.project_id, id, now))
            .with(self.core.audit(actor, AuditAction::SessionDelete, id, AuditOutcome::Ok, None));
        match self.core.store.apply(unit).await {
            Ok(_) => {
                self.recent.forget(&(actor.project_id.clone(), id.to_owned()));
                Ok(())
            }
            Err(WriteError::Refused(Refusal::SessionNotFound)) => Err(not_found(id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks that all toolkits named in the policy exist.
    pub(super) fn check_toolkits(&self, config: &SessionConfig) -> Result<()> {
        let mut unknown: Vec<&str> =
            config.named_toolkits().into_iter().filter(|slug| self.core.toolkit(slug).is_none()).collect();
        let extended = config.experimental.iter().flat_map(|experimental| experimental.custom_tools.iter().flatten());
        let extended = extended.filter_map(|tool| tool.extends_toolkit.as_deref());
        unknown.extend(extended.filter(|slug| self.core.toolkit(slug).is_none()));
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() { Ok(()) } else { Err(invalid_slugs(&unknown)) }
    }

    /// Checks that auth configs belong to the project and to their toolkit, are enabled, and that the session
    /// enables the toolkit.
    async fn check_auth_configs(&self, actor: &Actor, config: &SessionConfig) -> Result<()> {
        let ids: Vec<AuthConfigId> = config.auth_configs.iter().flatten().map(|(_, id)| id.as_str().into()).collect();
        let all = self.core.store.auth_configs_by_id(&actor.project_id, &ids).await?;
        for (toolkit, id) in config.auth_configs.iter().flatten() {
            let found = all.iter().find(|found| found.id == *id);
            let is_valid = found.is_some_and(|found| found.toolkit == *toolkit && found.is_enabled);
            if !is_valid {
                return Err(Error::of(Code::InvalidAuthConfigIds, &[("slug", toolkit), ("id", &truncate(id))]));
            }
            if config.check(CallKind::Toolkit { toolkit }).is_err() {
                return Err(Error::new(
                    Code::InvalidAuthConfigIds,
                    format!("auth_configs names toolkit \"{toolkit}\", which the session does not enable"),
                ));
            }
        }
        Ok(())
    }

    /// Checks that pinned accounts exist, are usable by this user and are within the limits (section 2.1).
    async fn check_pins(&self, actor: &Actor, user: &str, config: &SessionConfig) -> Result<()> {
        let limit = usize::try_from(config.max_accounts()).unwrap_or(MAX_PINS);
        let all_pins = config.connected_accounts.iter().flatten();
        // Limit the rows to what a valid session may need. Longer lists are rejected anyway.
        let ids: Vec<String> = all_pins.flat_map(|(_, pins)| pins.0.iter().take(MAX_PINS)).cloned().collect();
        let all = self.core.store.accounts_by_id(&actor.project_id, &ids).await?;
        for (toolkit, pins) in config.connected_accounts.iter().flatten() {
            let mut accounts = Vec::new();
            let mut missing = Vec::new();
            for id in pins.0.iter().take(MAX_PINS) {
                match all.iter().find(|account| account.id == *id) {
                    Some(account) if is_pinnable(account, toolkit, user) => accounts.push(account.clone()),
                    _ => missing.push(truncate(id)),
                }
            }
            if !missing.is_empty() {
                return Err(Error::of(Code::InvalidConnectedAccountIds, &[("ids", &missing.join(", "))]));
            }
            self.check_shared_pins(toolkit, user, &accounts)?;
            if pins.0.len() > limit {
                return Err(Error::new(
                    Code::SessionBadRequest,
                    format!(
                        "Toolkit \"{toolkit}\" has {} connected accounts pinned; this session allows {limit}",
                        pins.0.len()
                    ),
                )
                .fix("Pin fewer accounts, or set multi_account.enable and max_accounts_per_toolkit."));
            }
        }
        Ok(())
    }

    fn check_shared_pins(&self, toolkit: &str, user: &str, accounts: &[AccountRow]) -> Result<()> {
        let shared: Vec<&AccountRow> =
            accounts.iter().filter(|account| account.account_type == AccountType::Shared).collect();
        for account in &shared {
            if !may_use_shared(account, user)? {
                return Err(Error::of(Code::SharedNotAccessible, &[("user", &user), ("id", &account.id)]));
            }
        }
        let limit = self.core.settings.max_shared_accounts_per_toolkit;
        if shared.len() > limit {
            let limit = if limit == 1 {
                "one SHARED connection is".to_owned()
            } else {
                format!("{limit} SHARED connections are")
            };
            let ids: Vec<&str> = shared.iter().map(|account| account.id.as_str()).collect();
            let placeholders: [(&str, &dyn std::fmt::Display); 4] =
                [("slug", &toolkit), ("count", &ids.len()), ("ids", &ids.join(", ")), ("limit", &limit)];
            return Err(Error::of(Code::MultipleSharedAccounts, &placeholders));
        }
        Ok(())
    }
}

fn is_pinnable(account: &AccountRow, toolkit: &str, user: &str) -> bool {
    account.toolkit == toolkit
        && account.status != AccountStatus::Inactive
        && (account.account_type == AccountType::Shared || account.user_id == user)
}

/// Whether a user may use a SHARED account: creator, deny list, everyone, allow list (contract section 3.6).
pub fn may_use_shared(account: &AccountRow, user: &str) -> Result<bool> {
    if account.user_id == user {
        return Ok(true);
    }
    let Some(text) = &account.acl else { return Ok(false) };
    let acl: Acl = serde_json::from_str(text).map_err(Error::internal)?;
    Ok(acl.admits(user))
}

/// Validates the developer's id of an end user: 1 to 256 visible characters.
pub(super) fn check_user(user_id: Option<String>, field: &str) -> Result<String> {
    let user_id = user_id.ok_or_else(|| {
        Error::field(field, "is required").fix("Give the id by which your application knows the end user.")
    })?;
    if !(1..=256).contains(&user_id.chars().count()) || user_id.chars().any(char::is_control) {
        return Err(Error::field(field, "must have 1 to 256 characters and no control characters"));
    }
    Ok(user_id)
}

/// The stored form of a policy.
pub(super) fn policy_text(config: &SessionConfig) -> Result<String> {
    let text = serde_json::to_string(config).map_err(Error::internal)?;
    if text.len() <= MAX_POLICY {
        return Ok(text);
    }
    let message = format!("Error in payload: the session's policy would be larger than {MAX_POLICY} bytes");
    Err(Error::validation(vec![message]).fix("Name fewer tools, or say it with toolkits and tags."))
}

pub(super) fn to_row(session: &Session) -> Result<SessionRow> {
    Ok(SessionRow {
        id: session.id.clone(),
        project_id: session.project_id.clone(),
        user_id: session.user_id.clone(),
        config: policy_text(&session.config)?,
        config_version: session.config_version,
        created_at: session.created_at,
        release_set: session.release_set,
    })
}

/// Checks that a session id in a path has the right form.
pub(super) fn check_id(id: &SessionId) -> Result<()> {
    if Kind::Session.admits(id) {
        return Ok(());
    }
    Err(Error::validation(vec![format!(
        "Error in path.session_id: must have the form trs_…, not \"{}\"",
        truncate(id)
    )]))
}

/// Unknown, deleted or foreign session: the same error for all three.
pub(super) fn not_found(id: &SessionId) -> Error {
    Error::of(Code::SessionNotFound, &[("id", &truncate(id))])
}
