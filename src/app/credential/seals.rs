//! The only functions that seal and open stored secrets, and what each secret is bound to (R43, R70).
//!
//! A secret is bound to where it is stored, to its owner and to where it may be sent: the account's connection
//! fields and captured values, by name and value. Changing the row in the database makes the secret unreadable
//! instead of redirecting it. A change of a bound value must reseal the secret in the same statement.

use std::collections::BTreeMap;

use switchboard_catalog::Scheme;
use switchboard_store::accounts::{AccountRow, AccountType};
use switchboard_store::attempts::AttemptRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::LinkRow;
use switchboard_store::revocations::RevocationRow;
use switchboard_store::unread_answers::UnreadAnswerRow;
use switchboard_store::verifications::VerificationRow;
use switchboard_types::{AccountId, AccountParams, AuthConfigId, LinkId, ProjectId};
use switchboard_vault::{SealContext, Secret, Secrets};
use zeroize::Zeroizing;

use crate::app::credential::Credentials;
use crate::error::{Code, Error, Result};

/// The owner of a secret.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The project.
    pub project_id: &'a ProjectId,
    /// `ca_…`.
    pub account_id: &'a AccountId,
    /// The project's end user.
    pub user_id: &'a str,
    /// Toolkit slug.
    pub toolkit: &'a str,
    /// `ac_…`.
    pub auth_config_id: &'a AuthConfigId,
    /// Who may use the account.
    pub account_type: AccountType,
    /// Contract name of the scheme.
    pub scheme: Scheme,
}

impl<'a> From<&'a AccountRow> for Owner<'a> {
    fn from(row: &'a AccountRow) -> Self {
        Self {
            project_id: &row.project_id,
            account_id: &row.id,
            user_id: &row.user_id,
            toolkit: &row.toolkit,
            auth_config_id: &row.auth_config_id,
            account_type: row.account_type,
            scheme: row.scheme,
        }
    }
}

impl Owner<'_> {
    fn context(&self, table: &str, row: &str, column: &str) -> SealContext {
        SealContext::new(self.project_id, table, row, column)
            .with("account", self.account_id)
            .with("user", self.user_id)
            .with("toolkit", self.toolkit)
            .with("auth_config", self.auth_config_id)
            .with("account_type", self.account_type.as_str())
            .with("scheme", self.scheme.as_str())
    }
}

fn bound_to_values(mut context: SealContext, kind: &str, values: &BTreeMap<String, String>) -> SealContext {
    for (name, value) in values {
        context = context.with(kind, name).with("value", value);
    }
    context
}

/// Bound to the parameters that decide where the secret may be sent.
fn bound_to_destination(context: SealContext, params: &AccountParams) -> SealContext {
    bound_to_values(bound_to_values(context, "field", &params.fields), "captured", &params.captured)
}

/// Refuses parameters that could not be read: nothing may be opened, sealed or shown with them.
pub(in crate::app) fn check_readable(params: &AccountParams) -> Result<()> {
    if params.is_unreadable {
        return Err(Error::of(Code::RowUnreadable, &[("what", &"parameters of a connected account")]));
    }
    Ok(())
}

/// Seal context of an account's credential.
pub(in crate::app) fn credential_context(owner: &Owner<'_>, params: &AccountParams) -> SealContext {
    bound_to_destination(owner.context("connected_accounts", owner.account_id, "credential_sealed"), params)
}

/// Seal context of an auth config's client. It includes the sealed shared fields, so that a host among them
/// cannot be replaced separately.
pub(in crate::app) fn client_context(config: &AuthConfigRow) -> SealContext {
    SealContext::new(&config.project_id, "auth_configs", &config.id, "credentials_sealed")
        .with("toolkit", &config.toolkit)
        .with("scheme", config.scheme.as_str())
        .with("shared", config.shared_sealed.as_deref().unwrap_or_default())
}

/// Seal context of the connection fields shared by all accounts of an auth config.
pub(in crate::app) fn shared_context(config: &AuthConfigRow) -> SealContext {
    SealContext::new(&config.project_id, "auth_configs", &config.id, "shared_sealed")
        .with("toolkit", &config.toolkit)
        .with("scheme", config.scheme.as_str())
}

/// Seal context of the fields that a developer sent with a link.
pub(in crate::app) fn prefill_context(owner: &Owner<'_>, link: &LinkId) -> SealContext {
    owner.context("links", link, "prefill_sealed")
}

/// Seal context of an attempt's secret. `params` are the account's.
pub(in crate::app) fn verifier_context(owner: &Owner<'_>, attempt: &AttemptRow, params: &AccountParams) -> SealContext {
    let context = owner
        .context("attempts", &attempt.id, "verifier_sealed")
        .with("link", &attempt.link_id)
        .with("redirect_uri", &attempt.redirect_uri);
    // Values captured from the callback are not known yet.
    bound_to_values(context, "field", &params.fields)
}

/// Seal context of a secret that is pending confirmation or a choice.
pub(in crate::app) fn pending_context(owner: &Owner<'_>, row: &VerificationRow) -> SealContext {
    let context = owner
        .context("verifications", &row.id, "parked_sealed")
        .with("link", &row.link_id)
        .with("kind", row.kind.as_str())
        .with("redirect_uri", row.redirect_uri.as_deref().unwrap_or_default());
    bound_to_destination(context, &row.params)
}

/// Seal context of an unreadable response of an account's token endpoint.
fn unread_context(owner: &Owner<'_>, id: &str) -> SealContext {
    SealContext::new(owner.project_id, "unread_answers", id, "answer_sealed")
        .with("account", owner.account_id)
        .with("user", owner.user_id)
        .with("toolkit", owner.toolkit)
        .with("auth_config", owner.auth_config_id)
        .with("scheme", owner.scheme.as_str())
}

/// Seal context of the secrets of a queued revocation.
pub(in crate::app) fn revocation_context(row: &RevocationRow) -> SealContext {
    let context = SealContext::new(&row.project_id, "revocations", &row.id, "material_sealed")
        .with("account", &row.account_id)
        .with("toolkit", &row.toolkit)
        .with("auth_config", &row.auth_config_id)
        .with("scheme", row.scheme.as_str())
        .with("managed", if row.is_managed { "yes" } else { "no" });
    bound_to_destination(context, &row.params)
}

impl Credentials {
    /// Seals the fields that a developer sent with a link; none if there are none.
    pub fn seal_prefill(&self, owner: &Owner<'_>, link: &LinkId, fields: &Secrets) -> Option<Vec<u8>> {
        (!fields.is_empty()).then(|| self.ring.seal_secrets(prefill_context(owner, link), fields))
    }

    /// Opens the fields that a developer sent with a link.
    pub fn open_prefill(&self, link: &LinkRow, account: &AccountRow) -> Result<Secrets> {
        let Some(sealed) = &link.prefill_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(prefill_context(&account.into(), &link.id), sealed)?)
    }

    /// Seals a secret that is pending: a code with its verifier or entered values until the developer confirms,
    /// or tokens until the user chooses.
    pub fn seal_pending(&self, row: &VerificationRow, account: &AccountRow, pending: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(pending_context(&account.into(), row), pending)
    }

    /// Opens a pending secret.
    pub fn open_pending(&self, row: &VerificationRow, account: &AccountRow) -> Result<Secrets> {
        let sealed = row.parked_sealed.as_deref();
        let sealed = sealed.ok_or_else(|| Error::internal("verification without its pending secret"))?;
        Ok(self.ring.open_secrets(pending_context(&account.into(), row), sealed)?)
    }

    /// Seals an account's credential for its row, bound to the parameters stored with it.
    pub fn seal_credential(&self, owner: &Owner<'_>, params: &AccountParams, secrets: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(credential_context(owner, params), secrets)
    }

    /// Opens an account's credential; empty if it has none.
    pub fn open_credential(&self, account: &AccountRow) -> Result<Secrets> {
        let Some(sealed) = &account.credential_sealed else { return Ok(Secrets::new()) };
        check_readable(&account.params)?;
        Ok(self.ring.open_secrets(credential_context(&account.into(), &account.params), sealed)?)
    }

    /// Fails if a credential was not sealed for this account with these parameters.
    pub(in crate::app) fn check_sealed_for(
        &self,
        account: &AccountRow,
        params: &AccountParams,
        sealed: &[u8],
    ) -> Result<()> {
        let context = credential_context(&account.into(), params);
        self.ring.open(context, sealed)?;
        Ok(())
    }

    /// Seals the client credentials of an auth config. The shared fields must be sealed first.
    pub fn seal_client(&self, config: &AuthConfigRow, secrets: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(client_context(config), secrets)
    }

    /// Opens the client credentials of a custom auth config.
    pub fn open_auth_config(&self, config: &AuthConfigRow) -> Result<Secrets> {
        let Some(sealed) = &config.credentials_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(client_context(config), sealed)?)
    }

    /// Seals the connection fields shared by all accounts of an auth config; none if there are none.
    pub fn seal_shared(&self, config: &AuthConfigRow, fields: &Secrets) -> Option<Vec<u8>> {
        (!fields.is_empty()).then(|| self.ring.seal_secrets(shared_context(config), fields))
    }

    /// Opens the connection fields shared by all accounts of an auth config.
    pub fn open_shared(&self, config: &AuthConfigRow) -> Result<Secrets> {
        let Some(sealed) = &config.shared_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(shared_context(config), sealed)?)
    }

    /// Seals an attempt's secret: a PKCE verifier, temporary credentials or a device code. `params` are those
    /// that the account has during the attempt.
    pub fn seal_verifier(
        &self,
        attempt: &AttemptRow,
        account: &AccountRow,
        params: &AccountParams,
        verifier: &Secret,
    ) -> Vec<u8> {
        self.ring.seal(verifier_context(&account.into(), attempt, params), verifier.expose().as_bytes())
    }

    /// Opens an attempt's secret; none if it is used or there never was one.
    pub fn open_verifier(&self, attempt: &AttemptRow, account: &AccountRow) -> Result<Option<Secret>> {
        let Some(sealed) = &attempt.verifier_sealed else { return Ok(None) };
        let plaintext = self.ring.open(verifier_context(&account.into(), attempt, &account.params), sealed)?;
        String::from_utf8(plaintext.to_vec())
            .map(|text| Some(Secret::new(text)))
            .map_err(|_| Error::new(Code::CredentialUnreadable, "A stored PKCE verifier cannot be read"))
    }

    /// Seals an unreadable response of an account's token endpoint.
    pub(in crate::app) fn seal_unread(&self, owner: &Owner<'_>, id: &str, answer: &[u8]) -> Vec<u8> {
        self.ring.seal(unread_context(owner, id), answer)
    }

    /// Opens an unreadable response.
    pub(in crate::app) fn open_unread(&self, owner: &Owner<'_>, row: &UnreadAnswerRow) -> Result<Zeroizing<Vec<u8>>> {
        Ok(self.ring.open(unread_context(owner, &row.id), &row.answer_sealed)?)
    }

    /// Seals the secrets of a queued revocation.
    pub fn seal_revocation(&self, row: &RevocationRow, material: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(revocation_context(row), material)
    }

    /// Opens the secrets of a queued revocation.
    pub fn open_revocation(&self, row: &RevocationRow, sealed: &[u8]) -> Result<Secrets> {
        Ok(self.ring.open_secrets(revocation_context(row), sealed)?)
    }
}
