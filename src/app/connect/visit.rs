//! Finds the link behind a token. Reading changes nothing (R03): mail scanners, link previews and
//! prefetching browsers open links before people do.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_catalog::{Field, Scheme, Toolkit};
use switchboard_store::accounts::{AccountRow, ConnectingAccount};
use switchboard_store::attempts::AttemptRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::{LinkPurpose, LinkRow, LinkState};
use switchboard_types::{AccountParams, CredentialVersion, LinkId, LinkOutcome, Timestamp};
use switchboard_vault::{OneTimeToken, Secret, Secrets};

use super::{Ending, Finished};
use crate::app::connect::Connector;
use crate::app::credential::fields::{FormValues, read_fields};
use crate::app::model::auth_config_settings::AuthConfigSettings;
use crate::app::model::params::with_derived_values;
use crate::app::project::ProjectSettings;
use crate::app::session::link_scopes::LinkScopes;
use crate::error::Result;
use crate::id::Kind;

/// A link that can be completed now.
#[derive(Debug)]
pub struct Offer {
    /// The link.
    pub link: LinkRow,
    /// The account it connects.
    pub account: AccountRow,
    /// Its toolkit.
    pub toolkit: Arc<Toolkit>,
    /// Its auth config.
    pub config: AuthConfigRow,
    /// Parsed settings of that config.
    pub settings: AuthConfigSettings,
    /// The scheme of the auth config.
    pub scheme: Scheme,
    /// Name of the project that asks.
    pub project_name: String,
    /// Fields that are already known, from the developer or from the account.
    pub known: Secrets,
    /// Fields that all accounts of the auth config share: not part of the form, and no form changes
    /// them.
    pub shared: Secrets,
    /// Scopes that are requested from the provider.
    pub asked: LinkScopes,
    /// Where the developer confirms the user before the connection is completed (R05).
    pub verifier_url: Option<String>,
    /// The running attempt; none on the link's page and for entered credentials.
    pub(super) attempt_id: Option<String>,
    /// The attempt or verification that holds the link's exchange claim.
    pub(super) holder: Option<String>,
}

impl Offer {
    /// An outcome of the link.
    pub(super) fn finished(&self, ending: Ending) -> Finished {
        Finished::of(ending, &self.link, &self.account.toolkit)
    }

    /// Whether an active account gets a new credential.
    pub fn is_reconnect(&self) -> bool {
        self.link.purpose == LinkPurpose::Reconnect
    }

    /// The fields of the form. Shared fields are left out, and so are secrets that the developer gave
    /// and everything that was given beside a secret.
    pub fn form_fields(&self) -> Vec<Field> {
        let is_asked = |field: &Field| {
            let is_known = self.known.get(&field.name).is_some();
            self.shared.get(&field.name).is_none()
                && !self.is_fixed_address(&field.name)
                && !(is_known && (field.secret || self.has_given_secret()))
        };
        self.fields().into_iter().filter(is_asked).collect()
    }

    /// The validated values of a form, completed from the known fields. Shared fields always have the
    /// auth config's values.
    pub(super) fn read(&self, form: &Secrets) -> std::result::Result<FormValues, BTreeMap<String, String>> {
        let mut form = form.clone();
        let is_fixed = |name: &str| {
            self.shared.get(name).is_some()
                || self.is_fixed_address(name)
                || (self.has_given_secret() && self.known.get(name).is_some())
        };
        form.retain(|name| !is_fixed(name));
        read_fields(&self.fields(), &form, &self.known)
    }

    /// Whether the visitor may not change a field: the toolkit file reserves it for the developer, or
    /// it is part of the address to which a given secret is sent.
    fn is_fixed_address(&self, name: &str) -> bool {
        let is_named = |fields: Vec<&Field>| fields.iter().any(|field| field.name == name);
        is_named(self.toolkit.hidden_fields(self.scheme))
            || (self.has_given_secret() && is_named(self.toolkit.address_fields(self.scheme)))
    }

    /// The account's parameters, completed for requests.
    pub fn params(&self) -> Result<AccountParams> {
        Ok(with_derived_values(&self.account.params, &self.toolkit, self.scheme))
    }

    /// Whether a secret is known that the visitor did not enter. Then all known fields are fixed: a
    /// visitor who could change the host would have the secret sent there.
    fn has_given_secret(&self) -> bool {
        self.fields().iter().any(|field| field.secret && self.known.get(&field.name).is_some())
    }

    /// Continues with the fields that an attempt started with; other attempts may have different ones.
    pub(super) fn resume_attempt(&mut self, attempt: &AttemptRow) {
        if let Some(params) = attempt.params.as_ref().filter(|_| !self.is_reconnect()) {
            (*self.account.params).clone_from(params);
        }
        if let Some(params) = &attempt.params {
            self.asked.scopes.clone_from(&params.requested_scopes);
            self.asked.user_scopes.clone_from(&params.requested_user_scopes);
        }
        self.attempt_id = Some(attempt.id.clone());
    }

    /// All fields of the connection.
    pub fn fields(&self) -> Vec<Field> {
        self.toolkit.connection_fields(self.scheme)
    }

    /// Whether the credential contains tokens that were issued for this connection only, unlike an
    /// entered key.
    pub(super) fn has_issued_tokens(&self) -> bool {
        self.scheme.is_redirect() || self.toolkit.token_scheme(self.scheme).is_some()
    }
}

/// What a token leads to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a request, and handed on at once")]
pub enum Visit {
    /// A link to complete.
    Open(Box<Offer>),
    /// The link has ended.
    Ended(Finished),
}

impl Connector {
    /// Finds the link of a presented token, or of an attempt's id for the browser that started it and
    /// retries. A browser that used a connected link is told so.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn visit(&self, token: &str, cookie: impl Fn(&str) -> Option<String>) -> Result<Visit> {
        let Some(link) = self.presented_link(token, &cookie).await? else {
            return Ok(Visit::Ended(Finished::without_link(Ending::Invalid)));
        };
        let is_connected = matches!(&link.state, LinkState::Finished { outcome: LinkOutcome::Success });
        if is_connected && self.has_used_link(&link, &cookie).await? {
            return self.link_outcome(&link).await.map(Visit::Ended);
        }
        self.visit_link(link, None).await
    }

    async fn presented_link(&self, token: &str, cookie: &impl Fn(&str) -> Option<String>) -> Result<Option<LinkRow>> {
        if Kind::Attempt.admits(token) {
            let attempt =
                self.core.store.attempt(token).await?.filter(|attempt| self.is_attempt_browser(attempt, cookie));
            return match attempt {
                Some(attempt) => Ok(self.core.store.link(&attempt.link_id).await?),
                None => Ok(None),
            };
        }
        let Some(id) = OneTimeToken::row_id(token) else { return Ok(None) };
        let link = self.core.store.link(&id.into()).await?;
        Ok(link.filter(|link| OneTimeToken::matches(token, &link.token_hash)))
    }

    /// How a link ended, for a browser that used it; none for others. Every end without a connection is
    /// [`Ending::Denied`]: the visitor has already seen the reason.
    pub async fn finished_link(
        &self,
        link_id: &LinkId,
        cookie: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Finished>> {
        let Some(link) = self.core.store.link(link_id).await? else { return Ok(None) };
        if !self.has_link_cookie(&link, &cookie) {
            return Ok(None);
        }
        let account = self.core.store.account(&link.project_id, &link.account_id).await?;
        let Some(account) = account else { return Ok(None) };
        let is_connected = matches!(&link.state, LinkState::Finished { outcome: LinkOutcome::Success });
        let ending = if is_connected { Ending::Success } else { Ending::Denied };
        Ok(Some(Finished::of(ending, &link, &account.toolkit)))
    }

    /// The same for a link that is already known. `until` replaces the link's expiry, which is only for
    /// opening it.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn visit_link(&self, link: LinkRow, until: Option<Timestamp>) -> Result<Visit> {
        let session = link.session_id.as_ref();
        let found = self.core.store.connecting_account(&link.project_id, &link.account_id, session).await?;
        let Some(found) = found else { return Ok(Visit::Ended(Finished::without_link(Ending::Used))) };
        let ConnectingAccount { mut account, config, project, policy } = *found;
        if let Some(ending) = self.ending_of(&link, &account, until.unwrap_or(link.expires_at)) {
            return Ok(Visit::Ended(Finished::of(ending, &link, &account.toolkit)));
        }
        let toolkit = self.core.toolkit(&account.toolkit);
        let (Some(config), Some(toolkit)) = (config.filter(|config| config.is_enabled), toolkit) else {
            return Ok(Visit::Ended(Finished::of(Ending::Invalid, &link, &account.toolkit)));
        };
        let scheme = config.scheme;
        let settings = AuthConfigSettings::parse(&config.settings)?;
        let project = project.map(|row| ProjectSettings::parse(&row.settings).map(|settings| (row.name, settings)));
        let (project_name, verifier_url) = match project.transpose()? {
            Some((name, settings)) => (settings.display_name.unwrap_or(name), settings.oauth_callback_verifier_url),
            None => (String::new(), None),
        };
        let asked = self.asked_scopes(&link, &account, &config, &settings, &toolkit, policy.as_ref())?;
        let shared = self.shared_fields(&config, &toolkit, scheme, &link, &mut account)?;
        let known = self.known_fields(&link, &account, &toolkit, scheme, &shared)?;
        Ok(Visit::Open(Box::new(Offer {
            link,
            account,
            toolkit,
            config,
            settings,
            scheme,
            project_name,
            known,
            shared,
            asked,
            verifier_url,
            attempt_id: None,
            holder: None,
        })))
    }

    /// The developer's prefilled values; else the values that the account was connected with. Values of
    /// unfinished attempts are left out, because they may be another visitor's. Shared fields take
    /// precedence.
    fn known_fields(
        &self,
        link: &LinkRow,
        account: &AccountRow,
        toolkit: &Toolkit,
        scheme: Scheme,
        shared: &Secrets,
    ) -> Result<Secrets> {
        let mut known = self.credentials.open_prefill(link, account)?;
        let is_given = |field: &Field| field.secret && (known.get(&field.name).or(shared.get(&field.name))).is_some();
        let has_given_secret = toolkit.connection_fields(scheme).iter().any(is_given);
        // An address that a visitor entered earlier must not receive a secret that the developer gave
        // since.
        let fixed = if has_given_secret { toolkit.address_fields(scheme) } else { Vec::new() };
        let was_connected = account.credential_version > CredentialVersion::default();
        for (name, value) in account.params.fields.iter().filter(|_| was_connected) {
            if known.get(name).is_none() && !fixed.iter().any(|field| field.name == *name) {
                known.insert(name, Secret::from(value.as_str()));
            }
        }
        for (name, value) in shared.iter() {
            known.insert(name, Secret::from(value.expose()));
        }
        Ok(known)
    }

    /// The fields that all accounts of the auth config share. On a reconnect, an OAuth account keeps
    /// the values that it was connected with, because its code is exchanged with them. Values that
    /// belong to the auth config's client take precedence: if the client has moved to another host, so
    /// does the account.
    fn shared_fields(
        &self,
        config: &AuthConfigRow,
        toolkit: &Toolkit,
        scheme: Scheme,
        link: &LinkRow,
        account: &mut AccountRow,
    ) -> Result<Secrets> {
        let mut shared = self.credentials.open_shared(config)?;
        if link.purpose == LinkPurpose::Reconnect && scheme.is_redirect() {
            let mut params = account.params.clone();
            for field in toolkit.client_fields(scheme) {
                if let Some(value) = shared.get(&field.name) {
                    params.fields.insert(field.name.clone(), value.to_owned());
                }
            }
            for (name, value) in &params.fields {
                shared.insert(name, Secret::from(value.as_str()));
            }
            account.params = params;
        }
        Ok(shared)
    }

    fn ending_of(&self, link: &LinkRow, account: &AccountRow, until: Timestamp) -> Option<Ending> {
        if let LinkState::Finished { outcome } = &link.state {
            return Some(if *outcome == LinkOutcome::Expired { Ending::Expired } else { Ending::Used });
        }
        if self.core.now() >= until {
            return Some(Ending::Expired);
        }
        let is_open = match link.purpose {
            LinkPurpose::Connect => account.status.is_connecting(),
            LinkPurpose::Reconnect => account.status.is_reconnectable(),
        };
        (!is_open).then_some(Ending::Used)
    }
}
