//! Fields that decide where a client's secret is sent come from the developer: with the auth config, or with
//! the link. A visitor who could enter the address of an issuer would have the secret sent to himself.

use std::collections::BTreeSet;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_vault::Secrets;

use super::App;
use super::connect::unconfirmable;
use super::projects::ProjectSettings;
use crate::error::{Code, Error, Result};

impl App {
    /// Refuses a link by a code in a project that confirms who finished.
    pub(super) async fn check_unconfirmed(&self, project: &str) -> Result<()> {
        let project = self.project(project).await?;
        let settings = ProjectSettings::parse(&project.settings)?;
        if settings.oauth_callback_verifier_url.is_some() { Err(unconfirmable()) } else { Ok(()) }
    }

    /// Refuses a link whose visitor would have to enter such a field. `prefill` is what the developer gave
    /// with the link.
    ///
    /// # Errors
    /// 612, naming the fields.
    pub(super) async fn check_developer_fields(
        &self,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        prefill: &Secrets,
    ) -> Result<()> {
        let scheme: Scheme = config.scheme.parse().map_err(Error::internal)?;
        if toolkit.uses_device_code(scheme) {
            self.check_unconfirmed(&config.project_id).await?;
        }
        let needed = toolkit.developer_fields(scheme);
        if needed.is_empty() {
            return Ok(());
        }
        // Rows that are remembered have no sealed columns.
        let shared = match self.store.auth_config(&config.project_id, &config.id).await? {
            Some(config) => self.open_shared(&config)?,
            None => Secrets::new(),
        };
        let is_given = |name: &&str| shared.get(name).is_some() || prefill.get(name).is_some();
        let missing: BTreeSet<&str> = needed.into_iter().filter(|name| !is_given(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = missing.into_iter().collect();
        Err(Error::of(Code::MissingRequiredFields, &[("fields", &names.join(", "))]).fix(
            "Set them in shared_connection_fields of the auth config, or in connection_data of the link: they decide where your client secret is sent, so the user is not asked for them.",
        ))
    }
}
