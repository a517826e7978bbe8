//! A secret may only be sent to the address that it was given for (R43). The party that supplies a secret also
//! supplies the fields that decide where it is sent: the auth config for a client secret, the operator for the
//! managed client, the user for a key or password. No other party can choose the host.

use std::collections::BTreeSet;

use switchboard_catalog::{Field, FieldFormat, Scheme, Toolkit};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_types::{AccountParams, ProjectId};
use switchboard_vault::Secrets;
use url::Url;

use super::client::{Client, IssuedTo, uses_managed_client};
use crate::app::ManagedClient;
use crate::app::credential::Credentials;
use crate::app::project::ProjectSettings;
use crate::error::{Code, Error, Result};

/// Connection fields that a developer sends with a link or a credential, and their path in the request.
#[derive(Clone, Copy)]
pub(in crate::app) struct RequestFields<'a> {
    pub at: &'a str,
    pub value: &'a dyn Fn(&str) -> Option<&'a str>,
    /// A secret in the request takes precedence over a shared one of the auth config.
    pub overrides_secrets: bool,
}

impl Credentials {
    /// Rejects a device code link in a project that confirms users through a verifier URL.
    pub(in crate::app) async fn check_no_verifier(&self, project: &ProjectId) -> Result<()> {
        let project = self.projects.get(project).await?;
        let settings = ProjectSettings::parse(&project.settings)?;
        if settings.oauth_callback_verifier_url.is_some() { Err(verifier_not_supported()) } else { Ok(()) }
    }

    /// Rejects a link that could send a secret to another address than it was given for. `prefill` contains the
    /// fields that the developer sent with the link.
    ///
    /// # Errors
    /// 612 for missing fields; a validation error for a field that belongs to another party's secret.
    pub(in crate::app) async fn check_offered(
        &self,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        prefill: &Secrets,
    ) -> Result<()> {
        let scheme = config.scheme;
        if toolkit.uses_device_code(scheme) {
            self.check_no_verifier(&config.project_id).await?;
        }
        let mut hidden = toolkit.hidden_fields(scheme);
        hidden.retain(|field| field.by_developer && field.required);
        let is_fixed = || toolkit.developer_fields(scheme).is_empty() && scheme.is_redirect() && prefill.is_empty();
        if hidden.is_empty() && (toolkit.address_fields(scheme).is_empty() || is_fixed()) {
            return Ok(());
        }
        // Cached rows have no sealed columns, and a row not yet stored has nothing sealed.
        let stored = self.core.store.auth_config(&config.project_id, &config.id).await?;
        let given = RequestFields { at: "connection_data", value: &|name| prefill.get(name), overrides_secrets: false };
        let config = stored.as_ref().unwrap_or(config);
        let shared = if stored.is_some() { self.open_shared(config)? } else { Secrets::new() };
        let is_given = |name: &str| shared.get(name).or_else(|| prefill.get(name)).is_some();
        check_present(&hidden, &is_given, NOT_ASKED)?;
        self.check_given(toolkit, config, &shared, given)
    }

    /// Rejects request fields that would send a secret to another address, and a link that leaves the address
    /// of a given secret open.
    pub(in crate::app) fn check_given(
        &self,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        shared: &Secrets,
        given: RequestFields<'_>,
    ) -> Result<()> {
        let scheme = config.scheme;
        let addresses = toolkit.address_fields(scheme);
        for field in &addresses {
            if let (Some(shared_value), Some(account_value)) = (shared.get(&field.name), (given.value)(&field.name))
                && shared_value != account_value
            {
                return Err(address_conflict(field, given.at));
            }
        }
        let value = |name: &str| shared.get(name).or_else(|| (given.value)(name)).map(str::to_owned);
        self.check_client_fields(toolkit, config, shared, given, &value)?;
        let secrets: Vec<Field> = toolkit.connection_fields(scheme).into_iter().filter(|field| field.secret).collect();
        let is_own = |field: &Field| (given.value)(&field.name).is_some();
        let is_shared =
            |field: &Field| shared.get(&field.name).is_some() && !(given.overrides_secrets && is_own(field));
        if secrets.iter().any(is_shared) {
            // A field that the auth config leaves out has its default; no other party may set it.
            let is_overridden = |field: &&&Field| {
                let own = (given.value)(&field.name);
                shared.get(&field.name).is_none() && own.is_some() && own != field.default.as_deref()
            };
            if let Some(field) = addresses.iter().find(is_overridden) {
                return Err(address_conflict(field, given.at));
            }
            return check_complete(&addresses, &|name| shared.get(name).map(str::to_owned));
        }
        if secrets.iter().any(is_own) { check_complete(&addresses, &value) } else { Ok(()) }
    }

    /// Checks the fields that decide where a client's secret is sent. They must come from the auth config if
    /// the client has a secret.
    fn check_client_fields(
        &self,
        toolkit: &Toolkit,
        config: &AuthConfigRow,
        shared: &Secrets,
        given: RequestFields<'_>,
        value: &dyn Fn(&str) -> Option<String>,
    ) -> Result<()> {
        let scheme = config.scheme;
        let needed = toolkit.developer_fields(scheme);
        if needed.is_empty() {
            return Ok(());
        }
        if uses_managed_client(config) {
            check_present(&needed, &|name| value(name).is_some(), BOTH_PLACES)?;
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
            check_present(&needed, &|name| shared.get(name).is_some(), WITH_THE_SECRET)?;
            // A field that the auth config leaves out has its default.
            let is_overridden = |field: &&&Field| {
                let own = (given.value)(&field.name);
                shared.get(&field.name).is_none() && own.is_some() && own != field.default.as_deref()
            };
            return needed.iter().find(is_overridden).map_or(Ok(()), |field| Err(address_conflict(field, given.at)));
        }
        check_present(&needed, &|name| value(name).is_some(), BOTH_PLACES)
    }

    /// The OAuth client for an account with these parameters, if its secret may be sent to their address.
    ///
    /// # Errors
    /// `reauth_required` if the auth config names another address now; otherwise errors of the auth config.
    pub fn client_for(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        config: &AuthConfigRow,
        params: &AccountParams,
        issued: IssuedTo<'_>,
    ) -> Result<Client> {
        let client = self.issued_client(config, issued)?;
        if !client.has_secret() || toolkit.client_fields(scheme).is_empty() {
            return Ok(client);
        }
        if uses_managed_client(config) {
            if let Some(managed) = self.core.settings.managed_client(&config.toolkit, &config.project_id) {
                check_managed_hosts(toolkit, scheme, managed, &|name| params.value(name).cloned())?;
            }
            return Ok(client);
        }
        let shared = self.open_shared(config)?;
        let open = toolkit.developer_fields(scheme);
        for field in toolkit.client_fields(scheme) {
            let is_open = open.iter().any(|candidate| candidate.name == field.name);
            let given = shared.get(&field.name);
            if is_open && given.or(field.default.as_deref()).is_none() {
                return Err(Error::new(
                    Code::AuthConfigBadRequest,
                    format!("Auth config \"{}\" does not say for which {} its client secret is", config.id, field.name),
                )
                .fix(WITH_THE_SECRET));
            }
            let account_value = params.value(&field.name).map(String::as_str).or(field.default.as_deref());
            if (is_open || given.is_some()) && account_value != given.or(field.default.as_deref()) {
                return Err(address_changed());
            }
        }
        Ok(client)
    }
}

impl Credentials {
    /// The same without a toolkit file: every shared field must equal the account's.
    pub(in crate::app) fn client_for_unknown(
        &self,
        config: &AuthConfigRow,
        params: &AccountParams,
        issued: IssuedTo<'_>,
    ) -> Result<Client> {
        let client = self.issued_client(config, issued)?;
        let shared = self.open_shared(config)?;
        let is_other =
            |(name, value): (&String, &String)| shared.get(name).is_some_and(|shared_value| shared_value != value);
        if client.has_secret() && params.fields.iter().any(is_other) { Err(address_changed()) } else { Ok(client) }
    }
}

const WITH_THE_SECRET: &str = "Set them in shared_connection_fields of the auth config, in one request with its client \
                               secret, if it has one: they decide where that is sent, so no one else is asked for them.";
const BOTH_PLACES: &str = "Set them in shared_connection_fields of the auth config, or in connection_data of the link: they \
                           decide where the client is used, so the user is not asked for them.";

const NOT_ASKED: &str = "Set them in shared_connection_fields of the auth config, or in connection_data of the link: \
                         the user is not asked for them.";

/// The account was connected at another address than its auth config names now.
fn address_changed() -> Error {
    Error::new(Code::ReauthRequired, "The account was connected at another host than its auth config names now")
        .fix("Connect the account again: POST /api/v3.1/connected_accounts/{id}/refresh gives a link for its user.")
}

fn address_conflict(field: &Field, at: &str) -> Error {
    Error::field(
        &format!("{at}.val.{}", field.name),
        "takes part in where a secret of the auth config goes, and differs from what the auth config says",
    )
    .fix("Leave it out, or use an auth config that was made for this value, with its own secret.")
}

/// Checks that the operator's client is sent only to hosts that the operator listed.
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

/// The origin that a field's value stands for, in the format of the settings.
fn origin(field: &Field, value: &str) -> Option<String> {
    let url = if field.format == FieldFormat::Origin { value.to_owned() } else { format!("https://{value}") };
    Some(Url::parse(&url).ok()?.origin().ascii_serialization())
}

fn check_present(needed: &[&Field], is_given: &dyn Fn(&str) -> bool, fix: &'static str) -> Result<()> {
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

/// Checks that a shared secret comes with all fields that decide where it is sent.
///
/// # Errors
/// 612, naming the fields that a user could otherwise choose.
pub(in crate::app) fn check_shared_secrets(toolkit: &Toolkit, scheme: Scheme, shared: &Secrets) -> Result<()> {
    let is_shared = |field: &Field| field.secret && shared.get(&field.name).is_some();
    if !toolkit.connection_fields(scheme).iter().any(is_shared) {
        return Ok(());
    }
    check_complete(&toolkit.address_fields(scheme), &|name| shared.get(name).map(str::to_owned))
}

/// Checks that all fields that take part in an address have a value or a default.
fn check_complete(addresses: &[&Field], value: &dyn Fn(&str) -> Option<String>) -> Result<()> {
    let with_default = |name: &str| {
        let default = || addresses.iter().find(|field| field.name == name).and_then(|field| field.default.clone());
        value(name).or_else(default)
    };
    let is_needed = |field: &&&Field| {
        let is_visible =
            field.visible_when.as_ref().is_none_or(|when| with_default(&when.field).as_deref() == Some(&when.is));
        field.required && is_visible
    };
    let needed: Vec<&Field> = addresses.iter().filter(is_needed).copied().collect();
    check_present(
        &needed,
        &|name| value(name).is_some(),
        "Give them together with the secret: they decide where it is sent, so the user is not asked for them.",
    )
}

/// Names of the fields whose values differ, including defaults.
pub(in crate::app) fn changed<'f>(
    fields: &[&'f Field],
    old: &dyn Fn(&str) -> Option<String>,
    new: &dyn Fn(&str) -> Option<String>,
) -> Vec<&'f str> {
    let differs = |field: &&&Field| {
        let with_default = |value: Option<String>| value.or_else(|| field.default.clone());
        with_default(old(&field.name)) != with_default(new(&field.name))
    };
    fields.iter().filter(differs).map(|field| field.name.as_str()).collect()
}

/// With a verifier URL, no token may be requested before the developer confirms the user (R05). A device code
/// flow has no redirect in which the user could be confirmed.
pub(in crate::app) fn verifier_not_supported() -> Error {
    Error::new(Code::NotImplemented, "Connecting by a code in a project with oauth_callback_verifier_url is not built")
        .fix("Connect such toolkits in a project of their own, without that setting.")
}
