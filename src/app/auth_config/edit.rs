//! Changes of an auth config: name, client, scopes, shared fields, enabled or disabled (contract section 5).
//!
//! Every change creates a new version (`updated_at`), which ends flows that began before it (R18). A change
//! replaces only the version that it was based on, so concurrent changes are not lost.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard_catalog::Scheme;
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AuditAction, AuditOutcome, AuthConfigId, ToolAccessConfig};
use switchboard_vault::{Secret, Secrets};

use super::tool_lists::check_tool_lists;
use super::{check_client, check_name, check_shared, client_names, toolkit_gone};
use crate::app::Actor;
use crate::app::auth_config::AuthConfigs;
use crate::app::base::errors::auth_config_not_found;
use crate::app::credential::secret_addresses::{changed, check_shared_secrets};
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::error::{Code, Error, Result};
use crate::text::{pasted, truncate};

/// How often a change is retried when the auth config changes concurrently.
const MAX_ATTEMPTS: usize = 50;

/// The fields to change; `None` leaves a field unchanged.
pub struct AuthConfigPatch {
    /// Whether the caller expects a managed auth config.
    pub is_managed: bool,
    /// A new name.
    pub name: Option<String>,
    /// New scopes; an empty list means the toolkit's defaults.
    pub scopes: Option<Vec<String>>,
    /// New user-level scopes.
    pub user_scopes: Option<Vec<String>>,
    /// Redirect URI registered at the provider; an empty string means the server's own.
    pub oauth_redirect_uri: Option<String>,
    /// New values by name; none removes a value.
    pub credentials: BTreeMap<String, Option<Secret>>,
    /// Replaces all shared fields.
    pub shared: Option<Secrets>,
    /// Whether sessions may use it.
    pub is_enabled_for_tool_router: Option<bool>,
    /// Each list that is given replaces the stored one; an empty one removes it.
    pub tool_access_config: Option<ToolAccessConfig>,
    /// Replaces the stored list.
    pub restrict_to_following_tools: Option<Vec<String>>,
}

impl AuthConfigs {
    /// Changes an auth config.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn patch(&self, actor: &Actor, id: &AuthConfigId, patch: &AuthConfigPatch) -> Result<()> {
        let name = check_name(patch.name.clone(), "name")?;
        let redirect = match &patch.oauth_redirect_uri {
            Some(uri) => {
                let row = self
                    .core
                    .store
                    .auth_config(&actor.project_id, id)
                    .await?
                    .ok_or_else(|| auth_config_not_found(id))?;
                Some(self.redirect_uris.choose(&row, uri, "credentials.oauth_redirect_uri").await?)
            }
            None => None,
        };
        self.change(actor, id, AuditAction::AuthConfigUpdate, |row| {
            patch.check_fits(row)?;
            row.name = name.clone().unwrap_or_else(|| row.name.clone());
            row.is_enabled_for_tool_router = patch.is_enabled_for_tool_router.unwrap_or(row.is_enabled_for_tool_router);
            let mut settings = AuthConfigSettings::parse(&row.settings)?;
            patch.apply(&mut settings);
            self.apply_tool_lists(row, patch, &mut settings)?;
            if let Some(redirect) = &redirect {
                redirect.store_in(&mut settings);
            }
            row.settings = serde_json::to_string(&settings).map_err(Error::internal)?;
            self.change_secrets(row, patch)?;
            Ok(true)
        })
        .await
    }

    /// Enables or disables an auth config. While it is disabled, its accounts cannot be used.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn set_enabled(&self, actor: &Actor, id: &AuthConfigId, enabled: bool) -> Result<()> {
        let action = if enabled { AuditAction::AuthConfigEnable } else { AuditAction::AuthConfigDisable };
        self.change(actor, id, action, |row| {
            let is_change = row.is_enabled != enabled;
            row.is_enabled = enabled;
            Ok(is_change)
        })
        .await
    }

    /// Reads, changes and writes a row, and retries if it was changed concurrently. `change` returns whether
    /// there is anything to write.
    async fn change(
        &self,
        actor: &Actor,
        id: &AuthConfigId,
        action: AuditAction,
        change: impl Fn(&mut AuthConfigRow) -> Result<bool>,
    ) -> Result<()> {
        for _ in 0..MAX_ATTEMPTS {
            let found = self.core.store.auth_config(&actor.project_id, id).await?;
            let mut row = found.ok_or_else(|| auth_config_not_found(id))?;
            let replaces = row.updated_at;
            if !change(&mut row)? {
                return Ok(());
            }
            // Always greater than before, even within the same millisecond: flows compare it as a version.
            row.updated_at = self.core.now().max(replaces + Duration::from_millis(1));
            let unit = Unit::new().with(auth_configs::replace(&row, replaces)).with(self.core.audit(
                actor,
                action,
                id,
                AuditOutcome::Ok,
                None,
            ));
            match self.core.store.apply(unit).await {
                Ok(_) => {
                    self.providers.forget_method_refusals();
                    self.recent.forget(&(row.project_id, row.toolkit.into()));
                    return Ok(());
                }
                // Deleted or changed concurrently: read it again.
                Err(WriteError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(Code::Conflict, "The auth config is being changed by others at this moment"))
    }

    /// Replaces the lists of tools that are given. Those that were accepted earlier stay: a tool may have gone since.
    fn apply_tool_lists(
        &self,
        row: &AuthConfigRow,
        patch: &AuthConfigPatch,
        settings: &mut AuthConfigSettings,
    ) -> Result<()> {
        let mut given = AuthConfigSettings {
            tool_access_config: patch.tool_access_config.clone(),
            restrict_to_following_tools: patch.restrict_to_following_tools.clone(),
            ..AuthConfigSettings::default()
        };
        check_tool_lists(self.core.toolkit(&row.toolkit).as_ref(), &mut given, "")?;
        if let Some(given) = given.tool_access_config {
            let access = settings.tool_access_config.get_or_insert_default();
            for (stored, given) in [
                (&mut access.tools_for_connected_account_creation, given.tools_for_connected_account_creation),
                (&mut access.tools_available_for_execution, given.tools_available_for_execution),
            ] {
                // SDKs send the object without the lists when they change something else.
                if given.is_some() {
                    *stored = given.filter(|list| !list.is_empty());
                }
            }
        }
        if given.restrict_to_following_tools.is_some() {
            settings.restrict_to_following_tools = given.restrict_to_following_tools;
        }
        Ok(())
    }

    /// Changes the client and the shared fields, which are bound to each other.
    fn change_secrets(&self, row: &mut AuthConfigRow, patch: &AuthConfigPatch) -> Result<()> {
        let scheme = row.scheme;
        let known = client_names(scheme);
        let changes = patch.credentials.iter().filter(|(name, _)| !row.is_managed && known.contains(&name.as_str()));
        let changes: Vec<(&String, &Option<Secret>)> = changes.collect();
        if changes.is_empty() && patch.shared.is_none() {
            return Ok(());
        }
        let toolkit = self.core.toolkit(&row.toolkit).ok_or_else(|| toolkit_gone(row))?;
        let mut client = self.credentials.open_auth_config(row)?;
        for (name, value) in &changes {
            match value {
                Some(value) => client.insert(name, Secret::from(pasted(value.expose()))),
                None => drop(client.remove(name)),
            }
        }
        if !changes.is_empty() {
            check_client(&toolkit, scheme, &client, "credentials")?;
        }
        if let Some(shared) = &patch.shared {
            check_shared(&toolkit, scheme, shared, "shared_connection_fields")?;
            check_shared_secrets(&toolkit, scheme, shared)?;
            let old = self.credentials.open_shared(row)?;
            let value = |of: &Secrets, name: &str| of.get(name).map(str::to_owned);
            let changed_fields =
                changed(&toolkit.client_fields(scheme), &|name| value(&old, name), &|name| value(shared, name));
            match changed_fields.first() {
                // A dynamically registered client belongs to the old address; it registers again at the new
                // one.
                Some(_) if scheme == Scheme::DcrOAuth => client = Secrets::new(),
                Some(field) => patch.check_secrets_are_given(&client, field)?,
                None => {}
            }
            row.shared_sealed = self.credentials.seal_shared(row, shared);
        }
        row.credentials_sealed = (!client.is_empty()).then(|| self.credentials.seal_client(row, &client));
        Ok(())
    }
}

impl AuthConfigPatch {
    /// Rejects a change of where a client secret is sent if the secret itself is kept.
    fn check_secrets_are_given(&self, client: &Secrets, field: &str) -> Result<()> {
        let is_kept = |name: &&str| {
            client.get(name).is_some_and(|value| !value.is_empty())
                && self.credentials.get(*name).is_none_or(Option::is_none)
        };
        let Some(secret) = ["client_secret", "consumer_secret", "private_key"].into_iter().find(is_kept) else {
            return Ok(());
        };
        let field = format!("shared_connection_fields.{field}");
        Err(Error::field(&field, format!("takes part in where {secret} goes, which was given for another value")).fix(
            format!(
                "Send credentials.{secret} in the same request. Accounts that were connected at the old place must be \
                 connected again."
            ),
        ))
    }

    fn check_fits(&self, row: &AuthConfigRow) -> Result<()> {
        if self.is_managed != row.is_managed {
            let word = if row.is_managed { "default" } else { "custom" };
            let message = format!("Auth config \"{}\" is of type {word}", row.id);
            return Err(Error::new(Code::AuthConfigBadRequest, message)
                .fix(format!("Send type {word}. An auth config keeps the type that it was made with.")));
        }
        let is_oauth = row.scheme.is_oauth2();
        let prefix = if row.is_managed { "" } else { "credentials." };
        let not_accepted = |name: &str| {
            Err(Error::field(
                &format!("{prefix}{}", truncate(name)),
                format!("is not taken with scheme {}; each user enters their own on the connect page", row.scheme),
            ))
        };
        let known = client_names(row.scheme);
        let is_unknown =
            |(name, value): &(&String, &Option<Secret>)| value.is_some() && !known.contains(&name.as_str());
        if let Some((name, _)) = self.credentials.iter().find(is_unknown) {
            return not_accepted(name);
        }
        let oauth_only = [
            ("scopes", self.scopes.as_ref().is_some_and(|value| !value.is_empty())),
            ("user_scopes", self.user_scopes.as_ref().is_some_and(|value| !value.is_empty())),
        ];
        let has_redirect = row.scheme.is_redirect();
        match oauth_only.iter().find(|(_, given)| *given) {
            Some((name, _)) if !is_oauth => not_accepted(name),
            _ if !has_redirect && self.oauth_redirect_uri.as_ref().is_some_and(|value| !value.is_empty()) => {
                not_accepted("oauth_redirect_uri")
            }
            _ => Ok(()),
        }
    }

    fn apply(&self, settings: &mut AuthConfigSettings) {
        if let Some(scopes) = &self.scopes {
            settings.scopes = Some(scopes.clone()).filter(|value| !value.is_empty());
        }
        if let Some(scopes) = &self.user_scopes {
            settings.user_scopes = Some(scopes.clone()).filter(|value| !value.is_empty());
        }
    }
}

crate::redacted_debug!(AuthConfigPatch);
