//! The installation as an organisation: one, with an id that is made once, and its projects.

use serde::{Deserialize, Serialize};
use switchboard_store::projects::Project;
use switchboard_store::{Unit, WriteError, meta};
use switchboard_vault::ApiKey;

use super::ProjectSettings;
use super::keys::KeyScope;
use crate::app::Actor;
use crate::app::project::Projects;
use crate::error::{Error, Result};
use crate::id::Kind;
use crate::time::Millis;

/// Where it is kept among the facts of the installation.
const FACT: &str = "organization";

/// The installation.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Organization {
    /// `ok_…`.
    pub id: String,
    /// When somebody first asked for it.
    pub created_at: Millis,
}

impl Organization {
    /// Its name; there is no other organisation to tell it from.
    pub const NAME: &'static str = "Switchboard";
}

impl Projects {
    /// The organisation that this installation is. Made when first asked for; of several servers
    /// that ask at once, one makes it.
    pub async fn organization(&self) -> Result<Organization> {
        if let Some(found) = self.core.store.meta(FACT).await? {
            return serde_json::from_slice(&found).map_err(Error::internal);
        }
        let made = Organization { id: self.core.mint(Kind::Organization), created_at: self.core.now() };
        let value = serde_json::to_vec(&made).map_err(Error::internal)?;
        match self.core.store.apply(Unit::new().with(meta::insert(FACT, value))).await {
            Ok(_) => Ok(made),
            Err(WriteError::Refused(_)) => {
                let found = self.core.store.meta(FACT).await?.unwrap_or_default();
                serde_json::from_slice(&found).map_err(Error::internal)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a project for the holder of an organisation key.
    pub async fn new_project(
        &self,
        actor: &Actor,
        name: &str,
        settings: &ProjectSettings,
        key: Option<&KeyScope>,
    ) -> Result<(Project, Option<ApiKey>)> {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
        if !plain || !(3..=75).contains(&name.len()) {
            return Err(Error::field("name", "must have 3 to 75 letters, digits, underscores or hyphens"));
        }
        let (project, key) = self.add_project(actor, name, settings, key).await?;
        Ok((project, key.map(|(key, _)| key)))
    }
}
