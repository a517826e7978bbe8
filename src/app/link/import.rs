//! `POST /connected_accounts`, the older way to connect: with a complete credential, or with a link (contract
//! section 4.5). Both SDKs' `toolkits.authorize` still uses it.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard_catalog::Scheme;
use switchboard_store::accounts::{self, AccountStatus, AccountType, Activation};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::LinkChoice;
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AccountId, AccountParams, AuditAction, AuditOutcome, Timestamp};
use switchboard_vault::{Secret, Secrets};

use super::direct::{DirectLink, UsableAuthConfig, insert_error};
use super::{LinkDraft, check_access, check_alias};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::credential::fields::read_fields;
use crate::app::credential::secret_addresses::RequestFields;
use crate::app::link::Links;
use crate::app::model::access_list::Acl;
use crate::app::session::check_user;
use crate::error::{Code, Error, Result};
use crate::id::Kind;

/// The new account.
pub struct Connection {
    /// `ca_…`.
    pub account_id: AccountId,
    /// Contract name of the scheme.
    pub scheme: Scheme,
    /// ACTIVE with a credential, otherwise INITIATED.
    pub status: AccountStatus,
    /// The page to send the user to, if there is no credential yet.
    pub redirect_url: Option<String>,
    /// The requested account type.
    pub account_type: AccountType,
    /// The stored access list.
    pub acl: Option<Acl>,
}

/// A credential that was sent with the request.
struct Imported {
    secrets: Secrets,
    params: AccountParams,
    expires_at: Option<Timestamp>,
    /// The credential expires and can be refreshed with its refresh token.
    is_renewable: bool,
}

impl Links {
    /// Creates an account with its credential, or with a link for its user.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn create_connection(&self, actor: &Actor, request: DirectLink) -> Result<Connection> {
        let user_id = check_user(Some(request.user_id), "connection.user_id")?;
        let usable = self.usable_auth_config(actor, &request.auth_config_id).await?;
        let alias = check_alias(request.alias.as_deref())?;
        let acl = check_access(request.account_type, request.acl.as_ref())?;
        let shared = self.credentials.open_shared(&usable.config)?;
        let imported = match &request.known {
            Some(state) => {
                usable.check_scheme(&state.scheme, "connection.state")?;
                self.imported(&usable, &state.values, &shared)?
            }
            // The auth config's shared fields may be sufficient.
            None if !usable.scheme.is_redirect() && !shared.is_empty() => {
                self.imported(&usable, &Secrets::new(), &shared)?
            }
            None => None,
        };
        let mut draft = LinkDraft {
            session_id: None,
            user_id: &user_id,
            toolkit: &usable.toolkit,
            alias,
            acl,
            callback: None,
            account_type: request.account_type,
            base: None,
            choice: LinkChoice::None,
            prefill: Secrets::new(),
            expected: None,
        };
        let (account_id, status, redirect_url, unit) = if let Some(imported) = imported {
            let (id, unit) = self.insert_connected(actor, &draft, &usable.config, &imported);
            let secrets = Some(&imported.secrets);
            let grant =
                self.revocations.record_grant(&id, &usable.toolkit, &usable.config, &imported.params, secrets)?;
            let unit = grant.into_iter().fold(unit, Unit::with);
            (id, AccountStatus::Active, None, unit)
        } else {
            if !usable.scheme.is_redirect() {
                return Err(missing_fields(&usable));
            }
            draft.callback = self.link_callback(actor, request.callback_url.as_deref(), None).await?;
            if let Some(state) = &request.known {
                draft.prefill = usable.check_known(state, "connection.state")?;
            }
            self.credentials.check_offered(&usable.toolkit, &usable.config, &draft.prefill).await?;
            let (link, unit) = self.draft(actor, &draft, &usable.config, Unit::new());
            let params = AccountParams::default();
            let initiated = accounts::initiate(&actor.project_id, &link.account_id, &params, self.core.now());
            (link.account_id, AccountStatus::Initiated, Some(link.redirect_url), unit.with(initiated))
        };
        match self.core.store.apply(unit).await {
            Ok(_) => Ok(Connection {
                account_id,
                scheme: usable.config.scheme,
                status,
                redirect_url,
                account_type: draft.account_type,
                acl: draft.acl,
            }),
            Err(error @ WriteError::Refused(_)) => Err(insert_error(error.into(), alias, &usable.config)),
            Err(error) => Err(error.into()),
        }
    }

    /// The credential in a state, completed with the auth config's shared fields; none if the state contains
    /// connection fields only.
    fn imported(&self, usable: &UsableAuthConfig, values: &Secrets, shared: &Secrets) -> Result<Option<Imported>> {
        if usable.scheme.is_oauth2() {
            return self.imported_tokens(usable, values, shared);
        }
        let mut values = values.clone();
        name_generic_key(usable, &mut values);
        self.check_imported(usable, &values, shared)?;
        let entered = read_fields(&usable.fields(), &values, shared);
        let entered = entered.map_err(|errors| invalid_fields(usable, &values, errors))?;
        let entered = entered.into_credential(usable.scheme, &usable.toolkit);
        let params = AccountParams::from_fields(entered.fields);
        Ok(Some(Imported { secrets: entered.secrets, params, expires_at: None, is_renewable: false }))
    }

    /// Checks that neither the auth config's secrets nor its client are sent to an address that only this
    /// request names.
    fn check_imported(&self, usable: &UsableAuthConfig, values: &Secrets, shared: &Secrets) -> Result<()> {
        let fields = usable.fields();
        // Read like `read_fields`: blank values count as absent.
        let value = |name: &str| {
            let value = values.get(name)?;
            let field = fields.iter().find(|field| field.name == name);
            Some(field.map_or(value, |field| field.clean(value))).filter(|value| !value.is_empty())
        };
        let given = RequestFields { at: "connection.state", value: &value, overrides_secrets: true };
        self.credentials.check_given(&usable.toolkit, &usable.config, shared, given)
    }

    /// Tokens that were obtained elsewhere, with the same client or another one.
    fn imported_tokens(
        &self,
        usable: &UsableAuthConfig,
        values: &Secrets,
        shared: &Secrets,
    ) -> Result<Option<Imported>> {
        let Some(access_token) = values.get("access_token").filter(|token| !token.is_empty()) else { return Ok(None) };
        let mut secrets = Secrets::new();
        secrets.insert("access_token", Secret::from(access_token));
        for name in ["refresh_token", "id_token"] {
            if let Some(token) = values.get(name).filter(|token| !token.is_empty()) {
                secrets.insert(name, Secret::from(token));
            }
        }
        for (name, secret) in secrets.iter() {
            if secret.expose().chars().any(|letter| letter.is_control() || letter.is_whitespace()) {
                let field = format!("connection.state.val.{name}");
                return Err(Error::field(&field, "must not contain spaces, line breaks or other control characters"));
            }
        }
        self.check_imported(usable, values, shared)?;
        let entered = read_fields(&usable.fields(), values, shared);
        let entered = entered.map_err(|errors| invalid_fields(usable, values, errors))?;
        let expires_in = match values.get("expires_in").map(str::parse::<u64>) {
            // As for token responses: the toolkit's default lifetime if none is given.
            None => usable.toolkit.oauth(usable.scheme).and_then(|oauth| oauth.expires_in),
            Some(Ok(seconds)) => Some(seconds),
            Some(Err(_)) => {
                return Err(Error::field("connection.state.val.expires_in", "must be a whole number of seconds"));
            }
        };
        let scopes = values.get("scope").map(|scope| scope.split([' ', ',']).filter(|letter| !letter.is_empty()));
        let params = AccountParams {
            fields: entered.fields,
            expires_in,
            token_type: values.get("token_type").map(str::to_owned),
            granted_scopes: scopes.map(|scopes| scopes.map(ToOwned::to_owned).collect()),
            ..AccountParams::default()
        };
        let expires_at = expires_in.map(|seconds| self.core.now() + Duration::from_secs(seconds));
        let is_renewable = secrets.get("refresh_token").is_some();
        Ok(Some(Imported { secrets, params, expires_at, is_renewable }))
    }

    /// The statements that insert an account with its credential, and its id.
    fn insert_connected(
        &self,
        actor: &Actor,
        draft: &LinkDraft<'_>,
        config: &AuthConfigRow,
        imported: &Imported,
    ) -> (AccountId, Unit) {
        let id = AccountId::from(self.core.mint(Kind::ConnectedAccount));
        let activation = Activation {
            credential: Some(self.credentials.seal_credential(
                &draft.owner(&actor.project_id, &id, config),
                &imported.params,
                &imported.secrets,
            )),
            params: imported.params.stored(),
            identity: None,
            expires_at: imported.expires_at,
            refresh_due_at: self.refresher.due_at(None, imported.expires_at).filter(|_| imported.is_renewable),
            now: self.core.now(),
        };
        let facts = Facts {
            auth_config_id: Some(config.id.clone()),
            expires_at: imported.expires_at,
            is_renewable: Some(imported.is_renewable),
            ..Facts::default()
        };
        let unit = self
            .insert_account(actor, draft, config, &id, None)
            .with(accounts::activate(&actor.project_id, &id, activation))
            .with(self.core.audit(actor, AuditAction::AccountImport, &id, AuditOutcome::Ok, Some(facts.to_text())));
        (id, unit)
    }
}

/// SDKs send the key of every toolkit as `generic_api_key` or `api_key`. If the toolkit has one secret with
/// another name, it is stored under that name.
pub(in crate::app) fn name_generic_key(usable: &UsableAuthConfig, values: &mut Secrets) {
    let secrets: Vec<String> =
        usable.fields().into_iter().filter(|field| field.secret).map(|field| field.name).collect();
    let [only] = secrets.as_slice() else { return };
    if values.get(only).is_some() {
        return;
    }
    let generic = ["generic_api_key", "api_key", "bearer_token", "token", "generic_token"];
    if let Some(value) = generic.into_iter().find_map(|name| values.remove(name)) {
        values.insert(only, value);
    }
}

/// Missing fields have their own error (612); invalid fields are named one by one.
pub(in crate::app) fn invalid_fields(
    usable: &UsableAuthConfig,
    values: &Secrets,
    errors: BTreeMap<String, String>,
) -> Error {
    let is_missing = |name: &String| values.get(name).is_none_or(|value| value.trim().is_empty());
    let fields = usable.fields();
    let missing: Vec<&str> = fields
        .iter()
        .filter(|field| errors.contains_key(&field.name) && is_missing(&field.name))
        .map(|field| field.display_name.as_str())
        .collect();
    if !missing.is_empty() {
        return Error::of(Code::MissingRequiredFields, &[("fields", &missing.join(", "))]);
    }
    let lines =
        errors.into_iter().map(|(name, reason)| format!("Error in payload.connection.state.val.{name}: {reason}"));
    Error::validation(lines.collect())
}

fn missing_fields(usable: &UsableAuthConfig) -> Error {
    let fields = usable.fields();
    let names: Vec<&str> =
        fields.iter().filter(|letter| letter.required).map(|letter| letter.display_name.as_str()).collect();
    Error::of(Code::MissingRequiredFields, &[("fields", &names.join(", "))]).fix(
        "Give them in connection.state.val, or send the user to a page that asks for them: POST /api/v3.1/connected_accounts/link.",
    )
}

crate::redacted_debug!(Connection);
