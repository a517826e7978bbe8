//! A secret belongs to the place that it was given for (R43). Fields that take part in where it goes are chosen by whoever
//! gives the secret, together with it: for a client's secret the auth config, for the operator's client the operator,
//! for a key or password whoever enters it. Nobody chooses the host of somebody else's secret.

use std::collections::BTreeSet;

use switchboard_catalog::{Field, FieldFormat, Scheme, Toolkit};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_vault::Secrets;
use url::Url;

use super::client::{Client, Issued, has_operators_client};
use crate::app::ManagedClient;
use crate::app::credential::Credentials;
use crate::app::model::params::AccountParams;
use crate::app::project::ProjectSettings;
use crate::error::{Code, Error, Result};

/// Fields that a developer gives with a link or a credential: where the request has them, and their values.
#[derive(Clone, Copy)]
pub(in crate::app) struct Given<'a> {
    pub at: &'a str,
    pub value: &'a dyn Fn(&str) -> Option<&'a str>,
    /// The request's own secret goes before one that the auth config shares.
    pub overrides_secrets: bool,
}

impl Credentials {
    /// Refuses a link by a code in a project that confirms who finished.
    pub(in crate::app) async fn check_unconfirmed(&self, project: &str) -> Result<()> {
        let project = self.projects.get(project).await?;
        let settings = ProjectSettings::parse(&project.settings)?;
        if settings.oauth_callback_verifier_url.is_some() { Err(unconfirmable()) } else { Ok(()) }
    }

    /// Refuses a link by which a secret could go elsewhere than where it was given for. `prefill` is what the
    /// developer gave with the link.
    ///
    /// # Errors
    /// 612, naming fields that are missing; a validation error for one that belongs to another's secret.
    pub(in crate::app) async fn check_offered(
        &self,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        prefill: &Secrets,
    ) -> Result<()> {
        let scheme: Scheme = config.scheme.parse().map_err(Error::internal)?;
        if toolkit.uses_device_code(scheme) {
            self.check_unconfirmed(&config.project_id).await?;
        }
        let mut unasked = toolkit.hidden_fields(scheme);
        unasked.retain(|field| field.by_developer && field.required);
        let is_fixed = || toolkit.developer_fields(scheme).is_empty() && scheme.is_redirect() && prefill.is_empty();
        if unasked.is_empty() && (toolkit.address_fields(scheme).is_empty() || is_fixed()) {
            return Ok(());
        }
        // Rows that are remembered have no sealed columns; one that is just being made has nothing sealed.
        let stored = self.core.store.auth_config(&config.project_id, &config.id).await?;
        let given = Given { at: "connection_data", value: &|name| prefill.get(name), overrides_secrets: false };
        let config = stored.as_ref().unwrap_or(config);
        let shared = if stored.is_some() { self.open_shared(config)? } else { Secrets::new() };
        let is_given = |name: &str| shared.get(name).or_else(|| prefill.get(name)).is_some();
        missing(&unasked, &is_given, NOT_ASKED)?;
        self.check_given(toolkit, config, &shared, given)
    }

    /// Refuses fields of a link or a credential that would take a secret elsewhere, and a link that leaves the
    /// place of a given secret open.
    pub(in crate::app) fn check_given(
        &self,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        shared: &Secrets,
        given: Given<'_>,
    ) -> Result<()> {
        let scheme: Scheme = config.scheme.parse().map_err(Error::internal)?;
        let addresses = toolkit.address_fields(scheme);
        for field in &addresses {
            if let (Some(ours), Some(theirs)) = (shared.get(&field.name), (given.value)(&field.name))
                && ours != theirs
            {
                return Err(not_yours(field, given.at));
            }
        }
        let value = |name: &str| shared.get(name).or_else(|| (given.value)(name)).map(str::to_owned);
        self.check_client_fields(toolkit, config, shared, given, &value)?;
        let secrets: Vec<Field> = toolkit.connection_fields(scheme).into_iter().filter(|field| field.secret).collect();
        let is_own = |field: &Field| (given.value)(&field.name).is_some();
        let is_shared =
            |field: &Field| shared.get(&field.name).is_some() && !(given.overrides_secrets && is_own(field));
        if secrets.iter().any(is_shared) {
            // What the auth config leaves open is at its default: nobody else names it.
            let is_moved = |field: &&&Field| {
                let own = (given.value)(&field.name);
                shared.get(&field.name).is_none() && own.is_some() && own != field.default.as_deref()
            };
            if let Some(field) = addresses.iter().find(is_moved) {
                return Err(not_yours(field, given.at));
            }
            return complete(&addresses, &|name| shared.get(name).map(str::to_owned));
        }
        if secrets.iter().any(is_own) { complete(&addresses, &value) } else { Ok(()) }
    }

    /// The fields that decide where a client's secret goes: with the auth config, where it has one.
    fn check_client_fields(
        &self,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        shared: &Secrets,
        given: Given<'_>,
        value: &dyn Fn(&str) -> Option<String>,
    ) -> Result<()> {
        let scheme: Scheme = config.scheme.parse().map_err(Error::internal)?;
        let needed = toolkit.developer_fields(scheme);
        if needed.is_empty() {
            return Ok(());
        }
        if has_operators_client(config) {
            missing(&needed, &|name| value(name).is_some(), BOTH_PLACES)?;
            let Some(client) = self.core.settings.managed_client(&config.toolkit, &config.project_id) else {
                return Ok(());
            };
            return check_managed_hosts(toolkit, scheme, client, value);
        }
        let registers = scheme == Scheme::DcrOAuth;
        let has_secret = registers || {
            let client = Client::of(&mut self.open_auth_config(config)?);
            client.is_some_and(|client| client.has_secret())
        };
        if has_secret {
            missing(&needed, &|name| shared.get(name).is_some(), WITH_THE_SECRET)?;
            // One that the auth config does not name is at its default.
            let is_moved = |field: &&&Field| {
                let own = (given.value)(&field.name);
                shared.get(&field.name).is_none() && own.is_some() && own != field.default.as_deref()
            };
            return needed.iter().find(is_moved).map_or(Ok(()), |field| Err(not_yours(field, given.at)));
        }
        missing(&needed, &|name| value(name).is_some(), BOTH_PLACES)
    }

    /// The OAuth client for an account with these parameters, if its secret was given for where they lead.
    ///
    /// # Errors
    /// `reauth_required` when the auth config names another place by now; errors of the auth config otherwise.
    pub fn client_for(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        config: &AuthConfigRow,
        params: &AccountParams,
        issued: Issued<'_>,
    ) -> Result<Client> {
        let client = self.issued_client(config, issued)?;
        if !client.has_secret() || toolkit.client_fields(scheme).is_empty() {
            return Ok(client);
        }
        if has_operators_client(config) {
            if let Some(managed) = self.core.settings.managed_client(&config.toolkit, &config.project_id) {
                check_managed_hosts(toolkit, scheme, managed, &|name| params.value(name).cloned())?;
            }
            return Ok(client);
        }
        let shared = self.open_shared(config)?;
        let open = toolkit.developer_fields(scheme);
        for field in toolkit.client_fields(scheme) {
            let is_open = open.iter().any(|it| it.name == field.name);
            let given = shared.get(&field.name);
            if is_open && given.or(field.default.as_deref()).is_none() {
                return Err(Error::new(
                    Code::AuthConfigBadRequest,
                    format!("Auth config \"{}\" does not say for which {} its client secret is", config.id, field.name),
                )
                .fix(WITH_THE_SECRET));
            }
            let theirs = params.value(&field.name).map(String::as_str).or(field.default.as_deref());
            if (is_open || given.is_some()) && theirs != given.or(field.default.as_deref()) {
                return Err(moved());
            }
        }
        Ok(client)
    }
}

impl Credentials {
    /// The same without the toolkit's file: all that the auth config shares must be as the account has it.
    pub(in crate::app) fn client_for_unknown(
        &self,
        config: &AuthConfigRow,
        params: &AccountParams,
        issued: Issued<'_>,
    ) -> Result<Client> {
        let client = self.issued_client(config, issued)?;
        let shared = self.open_shared(config)?;
        let is_other = |(name, value): (&String, &String)| shared.get(name).is_some_and(|ours| ours != value);
        if client.has_secret() && params.fields.iter().any(is_other) { Err(moved()) } else { Ok(client) }
    }
}

const WITH_THE_SECRET: &str = "Set them in shared_connection_fields of the auth config, in one request with its client \
                               secret, if it has one: they decide where that is sent, so nobody else is asked for them.";
const BOTH_PLACES: &str = "Set them in shared_connection_fields of the auth config, or in connection_data of the link: they \
                           decide where the client is used, so the user is not asked for them.";

const NOT_ASKED: &str = "Set them in shared_connection_fields of the auth config, or in connection_data of the link: \
                         the user is not asked for them.";

/// An account that was connected at another place than its auth config names.
fn moved() -> Error {
    Error::new(Code::ReauthRequired, "The account was connected at another host than its auth config names now")
        .fix("Connect the account again: POST /api/v3.1/connected_accounts/{id}/refresh gives a link for its user.")
}

fn not_yours(field: &Field, at: &str) -> Error {
    Error::field(
        &format!("{at}.val.{}", field.name),
        "takes part in where a secret of the auth config goes, and differs from what the auth config says",
    )
    .fix("Leave it out, or use an auth config that was made for this value, with its own secret.")
}

/// The operator's client goes to the hosts that the operator names.
pub(in crate::app) fn check_managed_hosts(
    toolkit: &Toolkit,
    scheme: Scheme,
    client: &ManagedClient,
    value: &dyn Fn(&str) -> Option<String>,
) -> Result<()> {
    let open = toolkit.developer_fields(scheme);
    if open.is_empty() || client.client_secret.is_none() {
        return Ok(());
    }
    if client.hosts.is_empty() {
        return Err(Error::new(
            Code::NoManagedAuth,
            format!("The operator's OAuth client for toolkit {} names no hosts that it may be used with", toolkit.slug),
        )
        .fix(format!(
            "The operator sets hosts in [managed.{}] of switchboard.toml. Or create an auth config of your own.",
            toolkit.slug
        )));
    }
    for field in open {
        let value = value(&field.name).or_else(|| field.default.clone());
        let origin = value.as_deref().and_then(|value| origin(field, value));
        if !origin.is_some_and(|origin| client.hosts.contains(&origin)) {
            return Err(Error::new(
                Code::AuthConfigBadRequest,
                format!("The operator's OAuth client for toolkit {} is not for this {}", toolkit.slug, field.name),
            )
            .fix(format!("Use one of: {}. Or create an auth config of your own.", client.hosts.join(", "))));
        }
    }
    Ok(())
}

/// The origin that a field's value stands for, as settings have it.
fn origin(field: &Field, value: &str) -> Option<String> {
    let url = if field.format == FieldFormat::Origin { value.to_owned() } else { format!("https://{value}") };
    Some(Url::parse(&url).ok()?.origin().ascii_serialization())
}

fn missing(needed: &[&Field], is_given: &dyn Fn(&str) -> bool, fix: &'static str) -> Result<()> {
    let names: BTreeSet<&str> = needed
        .iter()
        .filter(|field| field.default.is_none() && !is_given(&field.name))
        .map(|field| field.name.as_str())
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = names.into_iter().collect();
    Err(Error::of(Code::MissingRequiredFields, &[("fields", &names.join(", "))]).fix(fix))
}

/// Shared secrets are shared with the place that they are for.
///
/// # Errors
/// 612, naming the fields that would be left open for a visitor.
pub(in crate::app) fn check_shared_secrets(toolkit: &Toolkit, scheme: Scheme, shared: &Secrets) -> Result<()> {
    let is_shared = |field: &Field| field.secret && shared.get(&field.name).is_some();
    if !toolkit.connection_fields(scheme).iter().any(is_shared) {
        return Ok(());
    }
    complete(&toolkit.address_fields(scheme), &|name| shared.get(name).map(str::to_owned))
}

/// Whether all fields that take part in an address have a value, or one by default.
fn complete(addresses: &[&Field], value: &dyn Fn(&str) -> Option<String>) -> Result<()> {
    let valued = |name: &str| {
        let default = || addresses.iter().find(|field| field.name == name).and_then(|field| field.default.clone());
        value(name).or_else(default)
    };
    let is_needed = |field: &&&Field| {
        let is_asked = field.visible_when.as_ref().is_none_or(|when| valued(&when.field).as_deref() == Some(&when.is));
        field.required && is_asked
    };
    let needed: Vec<&Field> = addresses.iter().filter(is_needed).copied().collect();
    missing(
        &needed,
        &|name| value(name).is_some(),
        "Give them together with the secret: they decide where it is sent, so the user is not asked for them.",
    )
}

/// Names of the fields whose value differs between two sets, defaults counted.
pub(in crate::app) fn changed<'f>(
    fields: &[&'f Field],
    old: &dyn Fn(&str) -> Option<String>,
    new: &dyn Fn(&str) -> Option<String>,
) -> Vec<&'f str> {
    let differs = |field: &&&Field| {
        let valued = |value: Option<String>| value.or_else(|| field.default.clone());
        valued(old(&field.name)) != valued(new(&field.name))
    };
    fields.iter().filter(differs).map(|field| field.name.as_str()).collect()
}

/// Where the developer confirms who finished, no token is asked for before (R05); and here nobody comes
/// back who could be confirmed.
pub(in crate::app) fn unconfirmable() -> Error {
    Error::new(Code::NotImplemented, "Connecting by a code in a project with oauth_callback_verifier_url is not built")
        .fix("Connect such toolkits in a project of their own, without that setting.")
}
