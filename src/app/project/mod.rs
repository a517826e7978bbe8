//! Projects, which are the tenants: their settings, API keys and permissions, the organization that owns them,
//! and the allowed callback URLs.

pub mod callback_url;
pub mod config;
pub mod key_uses;
pub mod keys;
pub mod organization;
pub mod permissions;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use switchboard_store::projects::{self, Project};
use switchboard_store::{ListPage, PageQuery, Refusal, Unit, WriteError, api_keys};
use switchboard_types::{AuditAction, AuditOutcome, ProjectId};
use switchboard_vault::ApiKey;

use crate::app::Actor;
use crate::app::base::core::Core;
use crate::app::project::keys::Keys;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::text::truncate;

use keys::KeyScope;

/// Settings of a project. Those without effect on this server are stored and returned, so that tools made for
/// the hosted service find what they wrote.
#[derive(Clone, Debug, Deserialize, Serialize, schemars::JsonSchema)]
#[serde(default)]
pub struct ProjectSettings {
    /// Registered callback URLs; where there are none, any that passes the syntax rules is taken.
    pub callback_urls: Vec<String>,
    /// Show only the first four characters of secrets in account answers. On unless switched off:
    /// a reader of accounts has no need of tokens (R74).
    pub mask_secret_keys_in_connected_account: bool,
    /// Shown on connect pages instead of the project's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Where a browser goes that finished a connection, before the connection counts (contract
    /// section 3.8, R05); none: it counts at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth_callback_verifier_url: Option<String>,
    /// Kept; no effect on this server.
    #[serde(rename = "is_2FA_enabled", skip_serializing_if = "Option::is_none")]
    pub is_2fa_enabled: Option<bool>,
    /// Whether the log of calls keeps arguments and answers: only with `show_all`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_visibility_setting: Option<LogVisibility>,
    /// Kept; no effect on this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub require_mcp_api_key: Option<bool>,
    /// Kept; no effect on this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// Kept; no effect on this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed_url_file_expiry_in_seconds: Option<u32>,
    /// Kept; no effect on this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_composio_link_enabled_for_managed_auth: Option<bool>,
    /// Kept; no effect on this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub theme: Option<BTreeMap<String, Value>>,
    /// Kept; no effect on this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_instant: Option<bool>,
    /// Kept; no effect on this server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zdr_enabled: Option<bool>,
}

/// What logs show of a tool's arguments and results.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogVisibility {
    /// Everything.
    ShowAll,
    /// Nothing; it is not stored.
    DontStoreData,
}

impl Default for ProjectSettings {
    fn default() -> Self {
        Self {
            callback_urls: Vec::new(),
            mask_secret_keys_in_connected_account: true,
            display_name: None,
            oauth_callback_verifier_url: None,
            is_2fa_enabled: None,
            log_visibility_setting: None,
            require_mcp_api_key: None,
            logo_url: None,
            signed_url_file_expiry_in_seconds: None,
            is_composio_link_enabled_for_managed_auth: None,
            theme: None,
            enable_instant: None,
            zdr_enabled: None,
        }
    }
}

impl ProjectSettings {
    /// Parses the stored form.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(Error::internal)
    }
}

/// A new project and its first key.
#[derive(Debug)]
pub struct NewProject {
    /// The project.
    pub project: Project,
    /// The key, shown only once.
    pub key: ApiKey,
    /// Identifier of the key.
    pub key_id: String,
}

/// Projects and their settings.
pub struct Projects {
    core: Arc<Core>,
    keys: Arc<Keys>,
}

crate::redacted_debug!(Projects);

impl Projects {
    /// Creates the service.
    pub fn new(core: Arc<Core>, keys: Arc<Keys>) -> Self {
        Self { core, keys }
    }
}

impl Projects {
    /// Creates a project with one key.
    pub async fn create(&self, actor_name: &str, name: &str, settings: &ProjectSettings) -> Result<NewProject> {
        let name = name.trim();
        if !(1..=100).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Error::field("name", "must have 1 to 100 characters and no control characters"));
        }
        for url in &settings.callback_urls {
            callback_url::check(url).map_err(|reason| Error::field("callback_urls", format!("{url} {reason}")))?;
        }
        let actor = Actor::without_request(&ProjectId::default(), actor_name);
        let (project, key) = self.add_project(&actor, name, settings, Some(&KeyScope::default())).await?;
        let (key, key_id) = key.ok_or_else(|| Error::internal("a project was made without its key"))?;
        Ok(NewProject { project, key, key_id })
    }

    /// Adds a project with a validated name and settings, and a key if requested.
    pub(super) async fn add_project(
        &self,
        actor: &Actor,
        name: &str,
        settings: &ProjectSettings,
        scope: Option<&KeyScope>,
    ) -> Result<(Project, Option<(ApiKey, String)>)> {
        let now = self.core.now();
        let project = Project {
            id: self.core.mint(Kind::Project).into(),
            name: name.to_owned(),
            settings: serde_json::to_string(settings).map_err(Error::internal)?,
            created_at: now,
            updated_at: now,
        };
        let actor = Actor { project_id: project.id.clone(), ..actor.clone() };
        let mut unit = Unit::new().with(projects::insert(&project)).with(self.core.audit(
            &actor,
            AuditAction::ProjectCreate,
            &project.id,
            AuditOutcome::Ok,
            None,
        ));
        let mut created = None;
        if let Some(scope) = scope {
            let (key, row) = self.keys.new_key(&project.id, "default", scope)?;
            unit = unit.and(self.keys.insert(&actor, &key, &row));
            created = Some((key, row.id));
        }
        self.core.store.apply(unit).await?;
        Ok((project, created))
    }

    /// A project that is not deleted.
    pub async fn get(&self, id: &ProjectId) -> Result<Project> {
        self.core.store.project(id).await?.ok_or_else(|| not_found(id))
    }

    /// The project, if there is exactly one.
    pub async fn sole(&self) -> Result<Option<Project>> {
        Ok(self.core.store.sole_project().await?)
    }

    /// A page of all projects.
    pub async fn page(&self, query: PageQuery) -> Result<ListPage<Project>> {
        Ok(self.core.store.projects_page(query).await?)
    }

    /// Creates a new key with full access and revokes all earlier keys of the project at the same time.
    pub async fn regenerate_key(&self, actor: &Actor, project: &ProjectId) -> Result<(ApiKey, api_keys::ApiKeyRow)> {
        let actor = Actor { project_id: project.to_owned(), ..actor.clone() };
        let (key, row) = self.keys.new_key(project, "default", &KeyScope::default())?;
        let unit = Unit::new()
            .with(projects::require_live(project))
            .with(api_keys::revoke_of_project(project, self.core.now()))
            .with(self.core.audit(&actor, AuditAction::ApiKeyRevokeAll, project, AuditOutcome::Ok, None))
            .and(self.keys.insert(&actor, &key, &row));
        match self.core.store.apply(unit).await {
            Ok(_) => Ok((key, row)),
            Err(WriteError::Refused(Refusal::ProjectGone)) => Err(not_found(project)),
            Err(error) => Err(error.into()),
        }
    }

    /// The settings of a project.
    pub async fn settings(&self, project: &ProjectId) -> Result<ProjectSettings> {
        ProjectSettings::parse(&self.get(project).await?.settings)
    }

    /// Rejects a callback URL that is not registered, if the project has registered any (R08).
    pub async fn check_registered(&self, project: &ProjectId, url: &str, field: &str) -> Result<()> {
        let settings = self.settings(project).await?;
        if settings.callback_urls.is_empty() || callback_url::is_registered(url, &settings.callback_urls) {
            return Ok(());
        }
        Err(Error::field(field, "is not one of the project's registered callback URLs")
            .fix(format!("Use one of: {}", settings.callback_urls.join(", "))))
    }
}

/// Unknown, deleted or inaccessible project: the same error for all three.
pub fn not_found(id: &str) -> Error {
    Error::of(Code::ProjectNotFound, &[("id", &truncate(id))])
}
