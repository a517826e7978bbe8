//! Where secrets are sealed, and the only functions that open them; what each is bound to (R43, R70).
//!
//! A secret is bound to where it is stored, to whose it is and to where it may be sent: the account's
//! connection fields, and what its provider's answers said of where its data is, by name and value. Whoever
//! rewrites the row makes the secret unreadable, not another's. Whatever changes a value that a secret is
//! bound to seals it anew in the same statement.

use std::collections::BTreeMap;

use serde::Deserialize;
use switchboard_store::accounts::{AccountRow, AccountType};
use switchboard_store::attempts::AttemptRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::LinkRow;
use switchboard_store::revocations::RevocationRow;
use switchboard_store::unread_answers::UnreadAnswerRow;
use switchboard_store::verifications::VerificationRow;
use switchboard_vault::{SealContext, Secret, Secrets};
use zeroize::Zeroizing;

use crate::app::credential::Credentials;
use crate::app::model::params::AccountParams;
use crate::error::{Code, Error, Result};

/// Whose a secret is.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// The project.
    pub project_id: &'a str,
    /// `ca_…`.
    pub account_id: &'a str,
    /// The project's end user.
    pub user_id: &'a str,
    /// Toolkit slug.
    pub toolkit: &'a str,
    /// `ac_…`.
    pub auth_config_id: &'a str,
    /// Who may use the account.
    pub account_type: AccountType,
    /// Contract name of the scheme.
    pub scheme: &'a str,
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
            scheme: &row.scheme,
        }
    }
}

impl Owner<'_> {
    fn place(&self, table: &str, row: &str, column: &str) -> SealContext {
        SealContext::new(self.project_id, table, row, column)
            .with("account", self.account_id)
            .with("user", self.user_id)
            .with("toolkit", self.toolkit)
            .with("auth_config", self.auth_config_id)
            .with("account_type", self.account_type.as_str())
            .with("scheme", self.scheme)
    }
}

/// Where a secret may be sent, as far as that is an account's own: of its parameters the part that takes part
/// in addresses. It does not depend on the toolkit's file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::app) struct Destination {
    fields: BTreeMap<String, String>,
    captured: BTreeMap<String, String>,
}

impl Destination {
    /// Of stored parameters.
    pub(in crate::app) fn parse(params: &str) -> Result<Self> {
        serde_json::from_str(params).map_err(Error::internal)
    }
}

fn bound_to_values(mut place: SealContext, kind: &str, values: &BTreeMap<String, String>) -> SealContext {
    for (name, value) in values {
        place = place.with(kind, name).with("value", value);
    }
    place
}

fn bound_to_destination(
    place: SealContext,
    fields: &BTreeMap<String, String>,
    captured: &BTreeMap<String, String>,
) -> SealContext {
    bound_to_values(bound_to_values(place, "field", fields), "captured", captured)
}

/// Place of an account's credential.
pub(in crate::app) fn credential_place(owner: &Owner<'_>, destination: &Destination) -> SealContext {
    credential_place_for(owner, &destination.fields, &destination.captured)
}

fn credential_place_for(
    owner: &Owner<'_>,
    fields: &BTreeMap<String, String>,
    captured: &BTreeMap<String, String>,
) -> SealContext {
    bound_to_destination(owner.place("connected_accounts", owner.account_id, "credential_sealed"), fields, captured)
}

/// Place of an auth config's client. It is bound to the sealed shared fields as they are: a host among them
/// cannot be exchanged beside it.
pub(in crate::app) fn client_place(config: &AuthConfigRow) -> SealContext {
    SealContext::new(&config.project_id, "auth_configs", &config.id, "credentials_sealed")
        .with("toolkit", &config.toolkit)
        .with("scheme", &config.scheme)
        .with("shared", config.shared_sealed.as_deref().unwrap_or_default())
}

/// Place of the fields that all accounts of an auth config share.
pub(in crate::app) fn shared_place(config: &AuthConfigRow) -> SealContext {
    SealContext::new(&config.project_id, "auth_configs", &config.id, "shared_sealed")
        .with("toolkit", &config.toolkit)
        .with("scheme", &config.scheme)
}

/// Place of the fields that a developer gave with a link.
pub(in crate::app) fn prefill_place(owner: &Owner<'_>, link: &str) -> SealContext {
    owner.place("links", link, "prefill_sealed")
}

/// Place of what an attempt keeps until its end. `params` are the account's.
pub(in crate::app) fn verifier_place(owner: &Owner<'_>, attempt: &AttemptRow, params: &str) -> Result<SealContext> {
    let place = owner
        .place("attempts", &attempt.id, "verifier_sealed")
        .with("link", &attempt.link_id)
        .with("redirect_uri", &attempt.redirect_uri);
    // What the callback says of the place is known only then.
    Ok(bound_to_values(place, "field", &Destination::parse(params)?.fields))
}

/// Place of what waits for somebody's word.
pub(in crate::app) fn parked_place(owner: &Owner<'_>, row: &VerificationRow) -> Result<SealContext> {
    let place = owner
        .place("verifications", &row.id, "parked_sealed")
        .with("link", &row.link_id)
        .with("kind", row.kind.as_str())
        .with("redirect_uri", row.redirect_uri.as_deref().unwrap_or_default());
    let destination = Destination::parse(&row.params)?;
    Ok(bound_to_destination(place, &destination.fields, &destination.captured))
}

/// Place of an answer of an account's token endpoint that could not be read.
fn unread_place(owner: &Owner<'_>, id: &str) -> SealContext {
    SealContext::new(owner.project_id, "unread_answers", id, "answer_sealed")
        .with("account", owner.account_id)
        .with("user", owner.user_id)
        .with("toolkit", owner.toolkit)
        .with("auth_config", owner.auth_config_id)
        .with("scheme", owner.scheme)
}

/// Place of what a queued revocation needs.
pub(in crate::app) fn revocation_place(row: &RevocationRow) -> Result<SealContext> {
    let place = SealContext::new(&row.project_id, "revocations", &row.id, "material_sealed")
        .with("account", &row.account_id)
        .with("toolkit", &row.toolkit)
        .with("auth_config", &row.auth_config_id)
        .with("scheme", &row.scheme)
        .with("managed", if row.is_managed { "yes" } else { "no" });
    let destination = Destination::parse(&row.params)?;
    Ok(bound_to_destination(place, &destination.fields, &destination.captured))
}

impl Credentials {
    /// Seals the fields that a developer gave with a link; none when there are none.
    pub fn seal_prefill(&self, owner: &Owner<'_>, link: &str, fields: &Secrets) -> Option<Vec<u8>> {
        (!fields.is_empty()).then(|| self.ring.seal_secrets(prefill_place(owner, link), fields))
    }

    /// Opens the fields that a developer gave with a link for an account.
    pub fn open_prefill(&self, link: &LinkRow, account: &AccountRow) -> Result<Secrets> {
        let Some(sealed) = &link.prefill_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(prefill_place(&account.into(), &link.id), sealed)?)
    }

    /// Seals what waits for the developer's word: a code with its verifier, or what was entered; or for the
    /// user's choice.
    pub fn seal_parked(&self, row: &VerificationRow, account: &AccountRow, parked: &Secrets) -> Result<Vec<u8>> {
        Ok(self.ring.seal_secrets(parked_place(&account.into(), row)?, parked))
    }

    /// Opens what waited.
    pub fn open_parked(&self, row: &VerificationRow, account: &AccountRow) -> Result<Secrets> {
        let sealed = row.parked_sealed.as_deref();
        let sealed = sealed.ok_or_else(|| Error::internal("verification without its content"))?;
        Ok(self.ring.open_secrets(parked_place(&account.into(), row)?, sealed)?)
    }

    /// Seals an account's credential for its row, together with the parameters that are stored beside it.
    pub fn seal_credential(&self, owner: &Owner<'_>, params: &AccountParams, secrets: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(credential_place_for(owner, &params.fields, &params.captured), secrets)
    }

    /// Opens an account's credential; empty when it has none.
    pub fn open_credential(&self, account: &AccountRow) -> Result<Secrets> {
        let Some(sealed) = &account.credential_sealed else { return Ok(Secrets::new()) };
        let destination = Destination::parse(&account.params)?;
        Ok(self.ring.open_secrets(credential_place(&account.into(), &destination), sealed)?)
    }

    /// Refuses a credential that was not sealed for an account with these parameters.
    pub(in crate::app) fn check_sealed_for(&self, account: &AccountRow, params: &str, sealed: &[u8]) -> Result<()> {
        let place = credential_place(&account.into(), &Destination::parse(params)?);
        self.ring.open(place, sealed)?;
        Ok(())
    }

    /// Seals the client credentials of an auth config, whose shared fields are sealed already.
    pub fn seal_client(&self, config: &AuthConfigRow, secrets: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(client_place(config), secrets)
    }

    /// Opens the stored client credentials of a custom auth config.
    pub fn open_auth_config(&self, config: &AuthConfigRow) -> Result<Secrets> {
        let Some(sealed) = &config.credentials_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(client_place(config), sealed)?)
    }

    /// Seals the connection fields that all accounts of an auth config share; none when there are none.
    pub fn seal_shared(&self, config: &AuthConfigRow, fields: &Secrets) -> Option<Vec<u8>> {
        (!fields.is_empty()).then(|| self.ring.seal_secrets(shared_place(config), fields))
    }

    /// Opens the connection fields that all accounts of an auth config share.
    pub fn open_shared(&self, config: &AuthConfigRow) -> Result<Secrets> {
        let Some(sealed) = &config.shared_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(shared_place(config), sealed)?)
    }

    /// Seals what an attempt keeps: a PKCE verifier, temporary credentials, a device code. `params` are those
    /// that the account has while it is under way.
    pub fn seal_verifier(
        &self,
        attempt: &AttemptRow,
        account: &AccountRow,
        params: &str,
        verifier: &Secret,
    ) -> Result<Vec<u8>> {
        Ok(self.ring.seal(verifier_place(&account.into(), attempt, params)?, verifier.expose().as_bytes()))
    }

    /// Opens what an attempt keeps; none where that is used, or it keeps nothing.
    pub fn open_verifier(&self, attempt: &AttemptRow, account: &AccountRow) -> Result<Option<Secret>> {
        let Some(sealed) = &attempt.verifier_sealed else { return Ok(None) };
        let plaintext = self.ring.open(verifier_place(&account.into(), attempt, &account.params)?, sealed)?;
        String::from_utf8(plaintext.to_vec())
            .map(|text| Some(Secret::new(text)))
            .map_err(|_| Error::new(Code::CredentialUnreadable, "A stored PKCE verifier cannot be read"))
    }

    /// Seals an answer of an account's token endpoint that could not be read.
    pub(in crate::app) fn seal_unread(&self, owner: &Owner<'_>, id: &str, answer: &[u8]) -> Vec<u8> {
        self.ring.seal(unread_place(owner, id), answer)
    }

    /// Opens such an answer.
    pub(in crate::app) fn open_unread(&self, owner: &Owner<'_>, row: &UnreadAnswerRow) -> Result<Zeroizing<Vec<u8>>> {
        Ok(self.ring.open(unread_place(owner, &row.id), &row.answer_sealed)?)
    }

    /// Seals what a queued revocation needs.
    pub fn seal_revocation(&self, row: &RevocationRow, material: &Secrets) -> Result<Vec<u8>> {
        Ok(self.ring.seal_secrets(revocation_place(row)?, material))
    }

    /// Opens what a queued revocation needs.
    pub fn open_revocation(&self, row: &RevocationRow, sealed: &[u8]) -> Result<Secrets> {
        Ok(self.ring.open_secrets(revocation_place(row)?, sealed)?)
    }
}
