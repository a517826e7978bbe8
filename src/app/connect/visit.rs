//! Finding the link behind a token. Reading changes nothing (R03): mail scanners, link previews
//! and prefetching browsers all open links before people do.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_catalog::{Field, Scheme, Toolkit};
use switchboard_store::accounts::{AccountRow, AccountStatus};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::{LinkPurpose, LinkRow, LinkState};
use switchboard_vault::{OneTimeToken, Secret, Secrets};

use super::secrets::{Entered, read_fields};
use super::{Ending, Finished, browser_cookie_name};
use crate::app::App;
use crate::app::auth_configs::AuthConfigSettings;
use crate::app::params::AccountParams;
use crate::app::projects::ProjectSettings;
use crate::error::{Error, Result};

/// A link that can be completed now.
#[derive(Debug)]
pub struct Offer {
    /// The link.
    pub link: LinkRow,
    /// The account it connects.
    pub account: AccountRow,
    /// With which toolkit.
    pub toolkit: Arc<Toolkit>,
    /// And which auth config.
    pub config: AuthConfigRow,
    /// Parsed settings of that config.
    pub settings: AuthConfigSettings,
    /// How it authenticates.
    pub scheme: Scheme,
    /// Who asks.
    pub project_name: String,
    /// Fields that are known already: the developer gave them, or the account has them.
    pub known: Secrets,
    /// Fields that all accounts of the auth config share: nobody is asked for them, and no form
    /// changes them.
    pub shared: Secrets,
    /// Where the developer confirms who finished, before the connection counts (R05).
    pub verifier_url: Option<String>,
}

impl Offer {
    /// Whether the account works already and gets a new credential.
    pub fn is_reconnect(&self) -> bool {
        self.link.purpose == LinkPurpose::Reconnect
    }

    /// Fields that the visitor is asked for: shared ones are not, nor secrets that the developer gave,
    /// nor what else was given beside a secret.
    pub fn asked_fields(&self) -> Vec<Field> {
        let is_asked = |field: &Field| {
            let is_known = self.known.get(&field.name).is_some();
            self.shared.get(&field.name).is_none()
                && !self.is_fixed_address(&field.name)
                && !(is_known && (field.secret || self.has_given_secret()))
        };
        self.fields().into_iter().filter(is_asked).collect()
    }

    /// The values of a form, completed from what is known and checked; shared fields are taken as the
    /// auth config has them, whatever the form says.
    pub(super) fn read(
        &self,
        form: &BTreeMap<String, String>,
    ) -> std::result::Result<Entered, BTreeMap<String, String>> {
        let mut form = form.clone();
        let is_fixed = |name: &String| {
            self.shared.get(name).is_some()
                || self.is_fixed_address(name)
                || (self.has_given_secret() && self.known.get(name).is_some())
        };
        form.retain(|name, _| !is_fixed(name));
        read_fields(&self.fields(), &form, &self.known)
    }

    /// Whether a field is not the visitor's: the file gives it to the developer, or it takes part in where a
    /// secret goes that the visitor did not enter.
    fn is_fixed_address(&self, name: &str) -> bool {
        let is_named = |fields: Vec<&Field>| fields.iter().any(|field| field.name == name);
        is_named(self.toolkit.unasked_fields(self.scheme))
            || (self.has_given_secret() && is_named(self.toolkit.address_fields(self.scheme)))
    }

    /// The account's parameters, as requests for it need them.
    pub fn params(&self) -> Result<AccountParams> {
        Ok(AccountParams::parse(&self.account.params)?.completed(&self.toolkit, self.scheme))
    }

    /// Whether a secret is known that the visitor did not enter. Then all that is known is fixed: a
    /// visitor who could change the host beside it would have the secret sent there.
    fn has_given_secret(&self) -> bool {
        self.fields().iter().any(|field| field.secret && self.known.get(&field.name).is_some())
    }

    /// All fields of the connection.
    pub fn fields(&self) -> Vec<Field> {
        connection_fields(&self.toolkit, self.scheme)
    }

    /// Whether another browser has claimed the link. `cookie` gives the value of a cookie by name.
    pub fn is_elsewhere(&self, cookie: impl Fn(&str) -> Option<String>) -> bool {
        let LinkState::Claimed { browser_hash } = &self.link.state else { return false };
        let browser = cookie(&browser_cookie_name(&self.link.id));
        !browser.is_some_and(|browser| OneTimeToken::matches(&browser, browser_hash))
    }

    /// Whether the credential holds tokens that were issued for this connection, and that nobody else
    /// has: unlike a key that was entered.
    pub(super) fn has_bought_tokens(&self) -> bool {
        self.scheme.is_redirect() || self.toolkit.token_scheme(self.scheme).is_some()
    }

    /// Scopes that the provider will be asked for.
    pub fn scopes(&self) -> Vec<String> {
        let Some(oauth) = self.toolkit.oauth(self.scheme) else { return Vec::new() };
        // A token that may be the only one is what user-level scopes alone ask for.
        let only_theirs = oauth.tokens.iter().any(|token| token.alone) && self.settings.user_scopes.is_some();
        let default = || if only_theirs { Vec::new() } else { oauth.scopes.clone() };
        let mut scopes = self.settings.scopes.clone().unwrap_or_else(default);
        for scope in &oauth.always_scopes {
            if !scopes.contains(scope) {
                scopes.push(scope.clone());
            }
        }
        scopes
    }
}

/// What stands behind a token.
#[derive(Debug)]
pub enum Visit {
    /// Something to complete.
    Open(Box<Offer>),
    /// Nothing any more.
    Over(Finished),
}

impl App {
    /// Finds the link of a presented token.
    pub async fn visit(&self, token: &str) -> Result<Visit> {
        let invalid = || Ok(Visit::Over(Finished::bare(Ending::Invalid)));
        let Some(id) = OneTimeToken::row_id(token) else { return invalid() };
        let Some(link) = self.store.link(id).await? else { return invalid() };
        if !OneTimeToken::matches(token, &link.token_hash) {
            return invalid();
        }
        self.visit_link(link).await
    }

    /// The project whose link a token is.
    pub async fn visit_project(&self, token: &str) -> Result<Option<String>> {
        let Some(id) = OneTimeToken::row_id(token) else { return Ok(None) };
        let link = self.store.link(id).await?;
        Ok(link.filter(|link| OneTimeToken::matches(token, &link.token_hash)).map(|link| link.project_id))
    }

    /// The same for a link that was found otherwise.
    pub(super) async fn visit_link(&self, link: LinkRow) -> Result<Visit> {
        let Some(mut account) = self.store.account(&link.project_id, &link.account_id).await? else {
            return Ok(Visit::Over(Finished::bare(Ending::Used)));
        };
        if let Some(ending) = self.ending_of(&link, &account) {
            return Ok(Visit::Over(Finished::of(ending, &link, &account.toolkit)));
        }
        let config = self.store.auth_config(&link.project_id, &account.auth_config_id).await?;
        let toolkit = self.toolkit(&account.toolkit);
        let (Some(config), Some(toolkit)) = (config.filter(|config| config.is_enabled), toolkit) else {
            return Ok(Visit::Over(Finished::of(Ending::Invalid, &link, &account.toolkit)));
        };
        let scheme = config.scheme.parse().map_err(Error::internal)?;
        let project = self.store.project(&link.project_id).await?;
        let settings = AuthConfigSettings::parse(&config.settings)?;
        let (project_name, verifier_url) = match project {
            Some(project) => {
                let settings = ProjectSettings::parse(&project.settings)?;
                (settings.display_name.unwrap_or(project.name), settings.oauth_callback_verifier_url)
            }
            None => (String::new(), None),
        };
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
            verifier_url,
        })))
    }

    /// What the developer gave with the link; else what the account was connected with, or started to.
    /// Shared fields come before either.
    fn known_fields(
        &self,
        link: &LinkRow,
        account: &AccountRow,
        toolkit: &Toolkit,
        scheme: Scheme,
        shared: &Secrets,
    ) -> Result<Secrets> {
        let mut known = self.open_prefill(link, account)?;
        let is_given = |field: &Field| field.secret && (known.get(&field.name).or(shared.get(&field.name))).is_some();
        let has_given_secret = connection_fields(toolkit, scheme).iter().any(is_given);
        // Where a visitor connected before is not where a secret goes that somebody else gave since.
        let fixed = if has_given_secret { toolkit.address_fields(scheme) } else { Vec::new() };
        for (name, value) in AccountParams::parse(&account.params)?.fields {
            if known.get(&name).is_none() && !fixed.iter().any(|field| field.name == name) {
                known.insert(&name, Secret::new(value));
            }
        }
        for (name, value) in shared.iter() {
            known.insert(name, Secret::from(value.expose()));
        }
        Ok(known)
    }

    /// What all accounts of the auth config share. A working OAuth account keeps the values that it was connected
    /// with, and its visitor is not asked for them: its code is exchanged with those. Where the auth config says by
    /// now that its client is for another place, the account moves there.
    fn shared_fields(
        &self,
        config: &AuthConfigRow,
        toolkit: &Toolkit,
        scheme: Scheme,
        link: &LinkRow,
        account: &mut AccountRow,
    ) -> Result<Secrets> {
        let mut shared = self.open_shared(config)?;
        if link.purpose == LinkPurpose::Reconnect && scheme.is_redirect() {
            let mut params = AccountParams::parse(&account.params)?;
            for field in toolkit.client_fields(scheme) {
                if let Some(value) = shared.get(&field.name) {
                    params.fields.insert(field.name.clone(), value.to_owned());
                }
            }
            for (name, value) in &params.fields {
                shared.insert(name, Secret::from(value.as_str()));
            }
            account.params = params.to_text();
        }
        Ok(shared)
    }

    fn ending_of(&self, link: &LinkRow, account: &AccountRow) -> Option<Ending> {
        if let LinkState::Finished { outcome } = &link.state {
            return Some(if outcome == "expired" { Ending::Expired } else { Ending::Used });
        }
        if self.now() >= link.expires_at {
            return Some(Ending::Expired);
        }
        let is_open = match link.purpose {
            LinkPurpose::Connect => {
                matches!(account.status, AccountStatus::Initializing | AccountStatus::Initiated)
            }
            LinkPurpose::Reconnect => {
                matches!(account.status, AccountStatus::Active | AccountStatus::Inactive | AccountStatus::Expired)
            }
        };
        (!is_open).then_some(Ending::Used)
    }
}

/// What a connection with a scheme asks for; a token of one's own is taken for OAuth toolkits, too.
pub fn connection_fields(toolkit: &Toolkit, scheme: Scheme) -> Vec<Field> {
    if scheme == Scheme::BearerToken && toolkit.bearer_token.is_none() {
        let mut fields = toolkit.fields.clone();
        fields.push(imported_token_field(&toolkit.name));
        return fields;
    }
    toolkit.scheme_fields(scheme)
}

fn imported_token_field(toolkit: &str) -> Field {
    Field {
        description: format!("An access token of your own for {toolkit}."),
        secret: true,
        ..Field::text("token", "Access token")
    }
}
