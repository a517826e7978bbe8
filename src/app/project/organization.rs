//! The installation as the only organization: its id, created once, and its projects.

use serde::{Deserialize, Serialize};
use switchboard_store::projects::Project;
use switchboard_store::{Unit, WriteError, meta};
use switchboard_types::Timestamp;
use switchboard_vault::ApiKey;

use super::ProjectSettings;
use super::keys::KeyScope;
use crate::app::Actor;
use crate::app::project::Projects;
use crate::error::{Error, Result};
use crate::id::Kind;

/// Key in the `meta` table.
const META_KEY: &str = "organization";

/// The organization of this installation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Organization {
    /// `ok_…`.
    pub id: String,
    /// When the organization was first requested.
    pub created_at: Timestamp,
}

impl Organization {
    /// The name, always the same because there is only one organization.
    pub const NAME: &'static str = "Switchboard";
}

impl Projects {
    /// The organization of this installation. It is created at the first request; if several servers do so at
    /// once, one of them wins.
    pub async fn organization(&self) -> Result<Organization> {
        if let Some(found) = self.core.store.meta(META_KEY).await? {
            return serde_json::from_slice(&found).map_err(Error::internal);
        }
        let new = Organization { id: self.core.mint(Kind::Organization).into(), created_at: self.core.now() };
        let value = serde_json::to_vec(&new).map_err(Error::internal)?;
        match self.core.store.apply(Unit::new().with(meta::insert(META_KEY, value))).await {
            Ok(_) => Ok(new),
            Err(WriteError::Refused(_)) => {
                let found = self.core.store.meta(META_KEY).await?.unwrap_or_default();
                serde_json::from_slice(&found).map_err(Error::internal)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a project for the holder of an organization key.
    pub async fn new_project(
        &self,
        actor: &Actor,
        name: &str,
        settings: &ProjectSettings,
        key: Option<&KeyScope>,
    ) -> Result<(Project, Option<ApiKey>)> {
        let is_valid = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !is_valid || !(3..=75).contains(&name.len()) {
            return Err(Error::field("name", "must have 3 to 75 letters, digits, underscores or hyphens"));
        }
        let (project, key) = self.add_project(actor, name, settings, key).await?;
        Ok((project, key.map(|(key, _)| key)))
    }
}
