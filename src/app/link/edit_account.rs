//! Changes of an account by the developer: alias, access list, key or password, enabled or disabled (contract
//! section 4.6).

use std::collections::BTreeMap;

use switchboard_catalog::Scheme;
use switchboard_store::accounts::{self, AccountRow, AccountStatus, AccountType, AliasEdit, CredentialEdit, Edit};
use switchboard_store::{Refusal, Unit, WriteError};
use switchboard_types::{AccountId, AccountParams, AuditAction, AuditOutcome, ReasonCode};
use switchboard_vault::{Secret, Secrets};

use super::direct::UsableAuthConfig;
use super::import::{invalid_fields, name_generic_key};
use super::{alias_in_use, check_alias};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::base::errors::account_not_found;
use crate::app::credential::fields::{FormValues, read_fields};
use crate::app::credential::secret_addresses::changed;
use crate::app::link::Links;
use crate::app::model::access_list::{Acl, AclInput};
use crate::error::{Code, Error, Result};

/// How often a change is retried when the account changes concurrently.
const MAX_ATTEMPTS: usize = 5;

/// The fields to change; `None` leaves a field unchanged.
#[derive(Default)]
pub struct AccountPatch {
    /// The new alias; an empty string removes it.
    pub alias: Option<String>,
    /// The access list; each given field replaces the stored one.
    pub acl: Option<AclInput>,
    /// The scheme and the values to change; `None` removes a value.
    pub credential: Option<CredentialPatch>,
}

impl AccountPatch {
    /// Names of the changed parts, for the audit log.
    fn changed(&self) -> Vec<String> {
        let parts = [
            (self.alias.is_some(), "alias"),
            (self.acl.is_some(), "access list"),
            (self.credential.is_some(), "credential"),
        ];
        parts.iter().filter(|(is_given, _)| *is_given).map(|(_, name)| (*name).to_owned()).collect()
    }
}

/// Changes of a credential.
pub struct CredentialPatch {
    /// Contract name of the scheme; must equal the account's.
    pub scheme: String,
    /// New values by name; none removes a value.
    pub values: BTreeMap<String, Option<Secret>>,
}

impl Links {
    /// Changes an account and returns the new row.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn patch_account(&self, actor: &Actor, id: &AccountId, patch: &AccountPatch) -> Result<AccountRow> {
        let not_found = || account_not_found(id);
        for _ in 0..MAX_ATTEMPTS {
            let row = self.core.store.account(&actor.project_id, id).await?.ok_or_else(not_found)?;
            let edit = Edit {
                alias: alias_edit(patch.alias.as_deref())?,
                acl: acl_edit(&row, patch.acl.as_ref())?,
                credential: match &patch.credential {
                    Some(credential) => Some(self.credential_edit(actor, &row, credential).await?),
                    None => None,
                },
            };
            let facts = Facts { changed: patch.changed(), ..Facts::default() }.to_text();
            let unit = Unit::new()
                .with(accounts::edit(&actor.project_id, id, edit, self.core.now()))
                .with(self.core.audit(actor, AuditAction::AccountUpdate, id, AuditOutcome::Ok, Some(facts)));
            match self.core.store.apply(unit).await {
                Ok(_) => return self.core.store.account(&actor.project_id, id).await?.ok_or_else(not_found),
                Err(WriteError::Refused(Refusal::AliasInUse)) => {
                    return Err(alias_in_use(patch.alias.as_deref().unwrap_or_default()));
                }
                // Deleted or changed concurrently: read it again.
                Err(WriteError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(Code::Conflict, "The account is being changed by others at this moment"))
    }

    /// Disables or enables an account.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn set_account_enabled(&self, actor: &Actor, id: &AccountId, enabled: bool) -> Result<()> {
        let row = self.core.store.account(&actor.project_id, id).await?.ok_or_else(|| account_not_found(id))?;
        let now = self.core.now();
        let statement = match (enabled, row.status) {
            (false, AccountStatus::Inactive)
            | (true, AccountStatus::Active | AccountStatus::Initializing | AccountStatus::Initiated) => return Ok(()),
            (true, AccountStatus::Inactive) => accounts::enable(&actor.project_id, id, now),
            (false, AccountStatus::Active) => {
                accounts::disable(&actor.project_id, id, &ReasonCode::Disabled.into(), now)
            }
            (_, status) => {
                let word = if enabled { "enabled" } else { "disabled" };
                let reason = format!("Connected account {id} is in {} state and cannot be {word}", status.as_str());
                return Err(Error::new(Code::AccountBadRequest, reason)
                    .fix("Only a connected account can be switched off and on. Connect it first, or delete it."));
            }
        };
        let action = if enabled { AuditAction::AccountEnable } else { AuditAction::AccountDisable };
        let unit = Unit::new().with(statement).with(self.core.audit(actor, action, id, AuditOutcome::Ok, None));
        match self.core.store.apply(unit).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(_)) => Err(Error::new(Code::Conflict, "The account changed in the same moment")),
            Err(error) => Err(error.into()),
        }
    }

    async fn credential_edit(
        &self,
        actor: &Actor,
        row: &AccountRow,
        patch: &CredentialPatch,
    ) -> Result<CredentialEdit> {
        let usable = self.usable_auth_config(actor, &row.auth_config_id).await?;
        usable.check_scheme(&patch.scheme, "connection.state")?;
        let is_editable = matches!(usable.scheme, Scheme::ApiKey | Scheme::BearerToken | Scheme::Basic);
        let has_credential = row.status.is_reconnectable();
        if !is_editable || !has_credential {
            let reason = if is_editable {
                format!("Connected account {} is in {} state and has no credential", row.id, row.status.as_str())
            } else {
                format!("A credential of scheme {} cannot be changed by hand", usable.scheme)
            };
            return Err(Error::new(Code::AccountBadRequest, reason)
                .fix("Connect the account by a link: POST /api/v3.1/connected_accounts/{id}/refresh gives one."));
        }
        let params = row.params.clone();
        let is_kept = |name: &str| patch.values.get(name).is_none_or(Option::is_some);
        let mut form = patch.given(&usable);
        for (name, value) in params.fields.iter().filter(|(name, _)| is_kept(name)) {
            if form.get(name).is_none() {
                form.insert(name, Secret::from(value.as_str()));
            }
        }
        let mut known = Secrets::new();
        for (name, secret) in self.credentials.open_credential(row)?.iter() {
            // An imported token is stored under the name that the toolkit uses.
            let is_imported = usable.scheme == Scheme::BearerToken && name == "access_token";
            let name = if is_imported { "token" } else { name };
            if is_kept(name) {
                known.insert(name, secret.clone());
            }
        }
        let entered = read_fields(&usable.fields(), &form, &known);
        let entered = entered.map_err(|errors| invalid_fields(&usable, &form, errors))?;
        check_secrets_are_given(&usable, &params.fields, &entered)?;
        let entered = entered.into_credential(usable.scheme, &usable.toolkit);
        let params = AccountParams { fields: entered.fields, ..*params };
        Ok(CredentialEdit {
            sealed: self.credentials.seal_credential(&row.into(), &params, &entered.secrets),
            params: params.stored(),
            replaces: row.credential_version,
        })
    }
}

impl CredentialPatch {
    /// The values to set, by the names of the connection fields.
    fn given(&self, usable: &UsableAuthConfig) -> Secrets {
        let mut given: Secrets =
            self.values.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
        name_generic_key(usable, &mut given);
        given
    }
}

/// Rejects a change of where a secret is sent if the secret itself is kept.
fn check_secrets_are_given(
    usable: &UsableAuthConfig,
    old: &BTreeMap<String, String>,
    entered: &FormValues,
) -> Result<()> {
    let addresses = usable.toolkit.address_fields(usable.scheme);
    let changed_fields = changed(&addresses, &|name| old.get(name).cloned(), &|name| entered.fields.get(name).cloned());
    let Some(changed_fields) = changed_fields.first() else { return Ok(()) };
    let secret = entered.secrets.names().find(|name| !entered.filled.contains(*name));
    let Some(secret) = secret else { return Ok(()) };
    let field = format!("connection.state.val.{changed_fields}");
    Err(Error::field(&field, format!("takes part in where {secret} goes, which was given for another value"))
        .fix(format!("Send {secret} in the same request, or connect the account again by a link.")))
}

fn alias_edit(alias: Option<&str>) -> Result<AliasEdit> {
    Ok(match check_alias(alias.filter(|alias| !alias.is_empty()))? {
        Some(alias) => AliasEdit::Set(alias.to_owned()),
        None if alias.is_some() => AliasEdit::Remove,
        None => AliasEdit::Keep,
    })
}

/// The stored access list and its replacement.
fn acl_edit(row: &AccountRow, given: Option<&AclInput>) -> Result<Option<(Option<String>, String)>> {
    let Some(given) = given else { return Ok(None) };
    if row.account_type == AccountType::Private {
        return Err(Error::new(Code::AccountBadRequest, "acl_config_for_shared is only valid on SHARED connections")
            .fix("The type of a connection is fixed when it is made; connect a SHARED one."));
    }
    let stored: Acl = match &row.acl {
        Some(text) => serde_json::from_str(text).map_err(Error::internal)?,
        None => Acl::default(),
    };
    let merged = AclInput {
        allow_all_users: given.allow_all_users.or(Some(stored.allow_all_users)),
        allowed_user_ids: given.allowed_user_ids.clone().or(Some(stored.allowed_user_ids)),
        not_allowed_user_ids: given.not_allowed_user_ids.clone().or(Some(stored.not_allowed_user_ids)),
    };
    let acl = merged.check("experimental.acl_config_for_shared")?;
    Ok(Some((row.acl.clone(), serde_json::to_string(&acl).map_err(Error::internal)?)))
}

crate::redacted_debug!(AccountPatch, CredentialPatch);
