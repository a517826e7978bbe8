//! Links without a session, for one auth config and one user (contract section 3.7).

use std::sync::Arc;

use switchboard_catalog::{Field, Scheme, Toolkit};
use switchboard_store::Refusal;
use switchboard_store::Unit;
use switchboard_store::accounts::AccountType;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::LinkChoice;
use switchboard_vault::{Secret, Secrets};

use super::{LinkDraft, PreparedLink, alias_in_use, check_access, check_alias, check_needs_account};
use crate::app::Actor;
use crate::app::auth_config::{disabled, toolkit_gone};
use crate::app::base::errors::auth_config_not_found;
use crate::app::base::idempotency::{Commit, CommitError, IdempotencyKey, Prepared, StoredResponse};
use crate::app::link::Links;
use crate::app::model::access_list::AclInput;
use crate::app::model::expected_identity::{Expectation, ExpectedIdentity};
use crate::app::session::check_user;
use crate::error::{Error, Result};
use switchboard_types::AuthConfigId;

/// A request for a link, or for an account with the complete credential in `known` (`import.rs`).
pub struct DirectLink {
    /// The auth config to connect with.
    pub auth_config_id: AuthConfigId,
    /// The project's end user.
    pub user_id: String,
    /// Name of the connection, unique per user and toolkit.
    pub alias: Option<String>,
    /// Where the browser is redirected afterwards.
    pub callback_url: Option<String>,
    /// Who may use the account.
    pub account_type: AccountType,
    /// Access list; only for SHARED accounts.
    pub acl: Option<AclInput>,
    /// Connection fields that are already known.
    pub known: Option<KnownFields>,
    /// The expected account at the provider.
    pub expected: Option<ExpectedIdentity>,
}

/// Connection fields as the API receives them: the scheme and the values by name.
pub struct KnownFields {
    /// Contract name of the scheme.
    pub scheme: String,
    /// Values by field name.
    pub values: Secrets,
}

/// An enabled auth config with its toolkit and scheme.
pub(in crate::app) struct UsableAuthConfig {
    pub config: AuthConfigRow,
    pub toolkit: Arc<Toolkit>,
    pub scheme: Scheme,
}

impl Links {
    /// Prepares a link for an auth config and a user.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn prepare_direct(&self, actor: &Actor, request: DirectLink) -> Result<Prepared<PreparedLink>> {
        let user_id = check_user(Some(request.user_id), "user_id")?;
        let usable = self.usable_auth_config(actor, &request.auth_config_id).await?;
        let prefill = match &request.known {
            Some(known) => usable.check_known(known, "connection_data")?,
            None => Secrets::new(),
        };
        let alias = check_alias(request.alias.as_deref())?;
        let expected =
            request.expected.map(|identity| identity.check(&usable.toolkit, "expected_identity")).transpose()?;
        let draft = LinkDraft {
            session_id: None,
            user_id: &user_id,
            toolkit: &usable.toolkit,
            alias,
            acl: check_access(request.account_type, request.acl.as_ref())?,
            callback: self.link_callback(actor, request.callback_url.as_deref(), None).await?,
            account_type: request.account_type,
            base: None,
            choice: LinkChoice::None,
            prefill,
            expected: expected.map(|identity| Expectation { identity: Some(identity), ..Expectation::default() }),
        };
        self.credentials.check_offered(&usable.toolkit, &usable.config, &draft.prefill).await?;
        let (link, unit) = self.draft(actor, &draft, &usable.config, Unit::new());
        let alias = request.alias.clone();
        Ok(Prepared::new(PreparedLink { link, alias, config: Arc::new(usable.config) }, unit))
    }

    /// Stores a prepared link of an auth config with its response.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn commit_direct(
        &self,
        prepared: Prepared<PreparedLink>,
        key: Option<&IdempotencyKey>,
        response: &StoredResponse,
    ) -> Result<Commit> {
        let PreparedLink { alias, config, .. } = &prepared.object;
        let committed = self.idempotency.commit(prepared.unit, key, response).await;
        committed.map_err(|error| insert_error(error, alias.as_deref(), config))
    }

    /// The auth config of a request, if it can connect accounts.
    pub(in crate::app) async fn usable_auth_config(
        &self,
        actor: &Actor,
        id: &AuthConfigId,
    ) -> Result<UsableAuthConfig> {
        let config = self.core.store.auth_config(&actor.project_id, id).await?;
        let config = config.ok_or_else(|| auth_config_not_found(id))?;
        if !config.is_enabled {
            return Err(disabled(&config));
        }
        let toolkit = self.core.toolkit(&config.toolkit).ok_or_else(|| toolkit_gone(&config))?;
        check_needs_account(&toolkit)?;
        if self.auth_configs.lacks_client(&config) {
            return Err(crate::app::auth_config::schemes::no_managed_auth(&toolkit));
        }
        let scheme = config.scheme;
        Ok(UsableAuthConfig { config, toolkit, scheme })
    }
}

impl UsableAuthConfig {
    /// The connection fields of this auth config.
    pub fn fields(&self) -> Vec<Field> {
        self.toolkit.connection_fields(self.scheme)
    }

    /// Validates the known connection fields. Other names are dropped.
    pub fn check_known(&self, known: &KnownFields, at: &str) -> Result<Secrets> {
        self.check_scheme(&known.scheme, at)?;
        let mut valid = Secrets::new();
        let mut errors = Vec::new();
        for field in self.fields() {
            let Some(value) = known.values.get(&field.name).filter(|value| !value.is_empty()) else { continue };
            match field.check(value) {
                Ok(()) => valid.insert(&field.name, Secret::from(value)),
                Err(reason) => errors.push(format!("Error in payload.{at}.val.{}: {reason}", field.name)),
            }
        }
        if errors.is_empty() { Ok(valid) } else { Err(Error::validation(errors)) }
    }

    /// Checks that a state has the auth config's scheme.
    pub fn check_scheme(&self, given: &str, at: &str) -> Result<()> {
        if given == self.config.scheme.as_str() {
            return Ok(());
        }
        Err(Error::field(&format!("{at}.authScheme"), format!("must be {}, as the auth config's", self.config.scheme)))
    }
}

/// Translates the refusal to insert an account.
pub(in crate::app) fn insert_error(insert_error: CommitError, alias: Option<&str>, config: &AuthConfigRow) -> Error {
    match insert_error {
        CommitError::Refused(Refusal::AliasInUse) => alias_in_use(alias.unwrap_or_default()),
        CommitError::Refused(Refusal::AuthConfigGone) => disabled(config),
        other => other.into(),
    }
}

crate::redacted_debug!(DirectLink, KnownFields);
