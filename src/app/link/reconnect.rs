//! `POST /connected_accounts/{id}/refresh`: gets a new credential for an account (contract section 4.6).
//!
//! A refresh token is used at the provider. If there is none, or the account has ended, the user reconnects
//! through a link. A working account keeps working until it has its new credential.

use std::sync::Arc;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{self, AccountRow, AccountStatus, Relink};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::{self, LinkChoice, LinkPurpose, NewLink};
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_types::{AccountId, AuditAction, AuditOutcome, LinkOutcome};

use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::base::errors::{account_not_found, auth_config_not_found};
use crate::app::link::Links;
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::app::model::expected_identity::Expectation;
use crate::app::refresh::renewal::Renewal;
use crate::app::session::link_scopes::ScopeRules;
use crate::error::{Code, Error, Result};

/// The result of a refresh.
pub struct RefreshResult {
    /// The account.
    pub id: AccountId,
    /// Its status now.
    pub status: AccountStatus,
    /// Where to send the user, if the user must reconnect.
    pub redirect_url: Option<String>,
}

impl Links {
    /// Refreshes an account's credential, or creates a link for its user.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn refresh_account(
        self: &Arc<Self>,
        actor: &Actor,
        id: &AccountId,
        callback_url: Option<&str>,
        may_change: bool,
    ) -> Result<RefreshResult> {
        let not_found = || account_not_found(id);
        let account = self.core.store.account(&actor.project_id, id).await?.ok_or_else(not_found)?;
        let callback = self.link_callback(actor, callback_url, None).await?;
        let toolkit =
            self.core.toolkit(&account.toolkit).ok_or_else(|| cannot_refresh(&account, "its toolkit is gone"))?;
        let scheme = account.scheme;
        if !account.has_enabled_auth_config {
            return Err(cannot_refresh(&account, "its auth config is disabled"));
        }
        let account = match account.status {
            AccountStatus::Inactive => return Err(cannot_refresh(&account, "it is disabled; enable it first")),
            // A token of OAuth 1.0a does not expire, but the user may have withdrawn it and can grant it again.
            AccountStatus::Active if scheme == Scheme::OAuth1 => account,
            AccountStatus::Active if !scheme.is_oauth2() && toolkit.token_scheme(scheme).is_none() => {
                return Err(cannot_refresh(&account, &format!("{scheme} credentials do not expire")));
            }
            AccountStatus::Active if self.can_renew(&account, &toolkit, scheme)? => {
                match self.refresher.refresh_now(&account, &toolkit).await {
                    // A refresh cannot add scopes that the user did not grant: the user is asked, and the
                    // account keeps working.
                    Ok(account) => {
                        if !self.lacks_scopes(&account, &toolkit, scheme).await? {
                            return Ok(refreshed(&account));
                        }
                        account
                    }
                    // The provider will never refresh this token again: the user must reconnect.
                    Err(error) if error.code() == Code::ReauthRequired => {
                        self.core.store.account(&actor.project_id, id).await?.ok_or_else(not_found)?
                    }
                    Err(error) => return Err(error),
                }
            }
            _ => account,
        };
        let expectation = Expectation { may_change, ..Expectation::default() };
        self.create_link(actor, &account, callback.as_deref(), expectation).await
    }

    fn can_renew(&self, account: &AccountRow, toolkit: &Toolkit, scheme: Scheme) -> Result<bool> {
        let Some(renewal) = Renewal::of(toolkit, scheme) else { return Ok(false) };
        Ok(renewal.is_possible(&self.credentials.open_credential(account)?))
    }

    /// Whether the granted scopes are incomplete, or the auth config requests further scopes by now. Imported
    /// tokens do not record what was requested, so they count as complete. If the scopes depend on tools, a call that
    /// lacks some says which.
    async fn lacks_scopes(&self, account: &AccountRow, toolkit: &Toolkit, scheme: Scheme) -> Result<bool> {
        let params = &account.params;
        if !params.missing_scopes().is_empty() {
            return Ok(true);
        }
        if params.consented_at.is_none() && params.requested_scopes.is_empty() {
            return Ok(false);
        }
        let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
        let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
        let settings = AuthConfigSettings::parse(&config.settings)?;
        if self.scope_rules(&config, &settings, toolkit).depend_on_tools() {
            return Ok(false);
        }
        let granted = params.granted_scopes.as_deref().unwrap_or_default();
        let is_new = |scope: &String| !params.requested_scopes.contains(scope) && !granted.contains(scope);
        let of_user = settings.user_scopes.iter().flatten();
        Ok(settings.scopes_to_request(toolkit, scheme).iter().any(is_new)
            || of_user.into_iter().any(|scope| !params.requested_user_scopes.contains(scope)))
    }

    /// What the scopes of a link depend on.
    pub(super) fn scope_rules<'a>(
        &'a self,
        config: &'a AuthConfigRow,
        settings: &'a AuthConfigSettings,
        toolkit: &'a Toolkit,
    ) -> ScopeRules<'a> {
        let client = self.core.settings.managed_client(&toolkit.slug, &config.project_id);
        ScopeRules::new(toolkit, config, settings, client)
    }

    /// Creates a link through which the user reconnects the account, who stays the same unless `expectation` says
    /// otherwise.
    pub(super) async fn create_link(
        &self,
        actor: &Actor,
        account: &AccountRow,
        callback: Option<&str>,
        expectation: Expectation,
    ) -> Result<RefreshResult> {
        let scheme = account.scheme;
        if self.core.toolkit(&account.toolkit).is_some_and(|toolkit| toolkit.uses_device_code(scheme)) {
            self.credentials.check_no_verifier(&actor.project_id).await?;
        }
        let now = self.core.now();
        let expected = Expectation { before: account.params.identity.clone(), ..expectation }.to_text();
        let (project, id) = (&actor.project_id, &account.id);
        let (token, link_id) = self.mint_link();
        let Relink { purpose, status, statement } = account.relink(&link_id, now);
        let link = NewLink {
            id: &link_id,
            project_id: project,
            session_id: None,
            account_id: id,
            token_hash: token.digest(),
            callback_url: callback,
            choice: LinkChoice::None,
            purpose,
            prefill_sealed: None,
            expected: expected.as_deref(),
            created_at: now,
            expires_at: now + self.core.settings.link_ttl,
        };
        let facts = Facts {
            auth_config_id: Some(account.auth_config_id.clone()),
            link_expires_at: Some(link.expires_at),
            is_reconnect: purpose == LinkPurpose::Reconnect,
            ..Facts::of_link(&link_id)
        };
        let unit = Unit::new()
            .with(accounts::lock_for_link(project, id))
            .and(links::end_of_account(project, id, LinkOutcome::Replaced, now))
            .with(statement)
            .with(links::insert(&link))
            .with(self.core.audit(actor, AuditAction::LinkCreate, id, AuditOutcome::Ok, Some(facts.to_text())));
        match self.core.store.apply(unit).await {
            Ok(_) => {}
            Err(WriteError::Refused(Refusal::AccountChanged)) => {
                return Err(Error::new(Code::Conflict, "The account changed in the same moment"));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(RefreshResult { id: id.clone(), status, redirect_url: Some(self.link_url(None, &token)) })
    }
}

fn refreshed(account: &AccountRow) -> RefreshResult {
    RefreshResult { id: account.id.clone(), status: account.status, redirect_url: None }
}

fn cannot_refresh(account: &AccountRow, reason: &str) -> Error {
    Error::new(Code::AccountBadRequest, format!("Connected account {} cannot be refreshed: {reason}", account.id))
        .fix("Keys, tokens and passwords are replaced with PATCH /connected_accounts/{id}, or by a new link.")
}

crate::redacted_debug!(RefreshResult);
