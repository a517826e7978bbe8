//! Projects and their API keys.

use serde::{Deserialize, Serialize};
use switchboard_store::api_keys::{self, ApiKeyRow};
use switchboard_store::projects::{self, Project};
use switchboard_store::{Unit, WriteError};
use switchboard_vault::ApiKey;

use super::{Actor, App, callback_url};
use crate::error::{Code, Error, Result};
use crate::id::Kind;

/// A minute: `last_used_at` is no more precise, so that reads stay reads.
const TOUCH_INTERVAL: i64 = 60_000;

/// Switches of a project.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct ProjectSettings {
    /// Registered callback URLs; where there are none, any that passes the syntax rules is taken.
    pub callback_urls: Vec<String>,
    /// Show only the first four characters of secrets in account answers. On unless switched off:
    /// a reader of accounts has no need of tokens (R74).
    pub mask_secret_keys_in_connected_account: bool,
    /// Where a browser goes that finished a connection, before the connection counts (contract
    /// section 3.8, R05); none: it counts at once.
    pub oauth_callback_verifier_url: Option<String>,
}

impl Default for ProjectSettings {
    fn default() -> Self {
        Self {
            callback_urls: Vec::new(),
            mask_secret_keys_in_connected_account: true,
            oauth_callback_verifier_url: None,
        }
    }
}

/// A new project and its first key.
#[derive(Debug)]
pub struct NewProject {
    /// The project.
    pub project: Project,
    /// Its key, shown once.
    pub key: ApiKey,
    /// Identifier of the key.
    pub key_id: String,
}

/// A key that was accepted.
#[derive(Clone, Debug)]
pub struct Authenticated {
    /// `key_…`.
    pub key_id: String,
    /// The project it opens.
    pub project_id: String,
}

impl App {
    /// Makes a project with one key.
    pub async fn create_project(&self, actor_name: &str, name: &str, settings: &ProjectSettings) -> Result<NewProject> {
        let name = name.trim();
        if !(1..=100).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Error::field("name", "must have 1 to 100 characters and no control characters"));
        }
        for url in &settings.callback_urls {
            callback_url::check(url).map_err(|reason| Error::field("callback_urls", format!("{url} {reason}")))?;
        }
        let project = Project {
            id: self.mint(Kind::Project),
            name: name.to_owned(),
            settings: serde_json::to_string(settings).map_err(Error::internal)?,
            created_at: self.now(),
        };
        let (key, row) = self.new_key(&project.id, "default");
        let actor = Actor { project_id: project.id.clone(), name: actor_name.to_owned(), request_id: None };
        let unit = Unit::new()
            .with(projects::insert(&project))
            .with(self.audit(&actor, "project.create", &project.id, "ok", None))
            .with(api_keys::insert(&row, key.digest()))
            .with(self.audit(&actor, "api_key.create", &row.id, "ok", None));
        self.store.apply(unit).await?;
        Ok(NewProject { project, key, key_id: row.id })
    }

    /// Makes a further key.
    pub async fn create_key(&self, actor: &Actor, name: &str) -> Result<(ApiKey, ApiKeyRow)> {
        let found = self.store.project(&actor.project_id).await?;
        found.ok_or_else(|| project_not_found(&actor.project_id))?;
        let (key, row) = self.new_key(&actor.project_id, name);
        let unit = Unit::new().with(api_keys::insert(&row, key.digest())).with(self.audit(
            actor,
            "api_key.create",
            &row.id,
            "ok",
            None,
        ));
        self.store.apply(unit).await?;
        Ok((key, row))
    }

    /// Revokes a key. Every server on this database refuses it from its next request on.
    pub async fn revoke_key(&self, actor: &Actor, id: &str) -> Result<()> {
        let unit = Unit::new().with(api_keys::revoke(&actor.project_id, id, self.now())).with(self.audit(
            actor,
            "api_key.revoke",
            id,
            "ok",
            None,
        ));
        match self.store.apply(unit).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused("api_key_not_found")) => {
                Err(Error::new(Code::NotFound, format!("API key \"{id}\" not found, or revoked already")))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The project that a key opens. Malformed keys never reach the database (R58).
    pub async fn authenticate(&self, presented: &str) -> Result<Authenticated> {
        let refused = || Error::new(Code::Unauthorized, "Invalid API key");
        let key = ApiKey::parse(presented).map_err(|_| refused())?;
        // Read each time: a key revoked from the command line is refused from the next request on.
        let row = self.store.api_key_by_hash(key.digest()).await?.ok_or_else(refused)?;
        let now = self.now();
        if row.revoked_at.is_some() || row.expires_at.is_some_and(|expires| expires <= now) {
            return Err(refused());
        }
        if row.last_used_at.is_none_or(|used| used + TOUCH_INTERVAL <= now) {
            self.touch_key(&row.id, now);
        }
        Ok(Authenticated { key_id: row.id, project_id: row.project_id })
    }

    /// The switches of a project.
    pub async fn project_settings(&self, project: &str) -> Result<ProjectSettings> {
        let row = self.store.project(project).await?.ok_or_else(|| project_not_found(project))?;
        serde_json::from_str(&row.settings).map_err(Error::internal)
    }

    /// Refuses a callback URL that is not on the project's list, where it has one (R08).
    pub async fn check_registered(&self, project: &str, url: &str, field: &str) -> Result<()> {
        let settings = self.project_settings(project).await?;
        if settings.callback_urls.is_empty() || callback_url::is_registered(url, &settings.callback_urls) {
            return Ok(());
        }
        Err(Error::field(field, "is not one of the project's registered callback URLs")
            .fix(format!("Use one of: {}", settings.callback_urls.join(", "))))
    }

    fn new_key(&self, project: &str, name: &str) -> (ApiKey, ApiKeyRow) {
        let key = ApiKey::generate(&*self.entropy);
        let row = ApiKeyRow {
            id: self.mint(Kind::ApiKey),
            project_id: project.to_owned(),
            name: name.to_owned(),
            prefix: key.display_prefix().to_owned(),
            created_at: self.now(),
            expires_at: None,
            last_used_at: None,
            revoked_at: None,
        };
        (key, row)
    }

    /// Notes the use of a key without making the request wait for the disk.
    fn touch_key(&self, id: &str, now: i64) {
        let store = self.store.clone();
        let statement = api_keys::touch(id, now);
        self.tasks.spawn(async move {
            if let Err(error) = store.apply(Unit::new().with(statement)).await {
                tracing::warn!(error = %error, "the use of an API key was not noted");
            }
        });
    }
}

fn project_not_found(id: &str) -> Error {
    Error::new(Code::NotFound, format!("Project \"{id}\" not found"))
        .fix("`switchboard project list` shows the projects of this installation.")
}
