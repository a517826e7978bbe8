//! Where secrets are sealed, and the only functions that open them.

use switchboard_catalog::Scheme;
use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_store::links::LinkRow;
use switchboard_vault::{Place, Secret, Secrets};

use super::{App, ManagedClient};
use crate::error::{Code, Error, Result};

/// OAuth client of an auth config, ready for a token request.
#[derive(Debug)]
pub struct Client {
    /// Client identifier.
    pub client_id: String,
    /// Client secret; none for a public client.
    pub client_secret: Option<Secret>,
    /// Private key in PEM, for a client that signs.
    pub private_key: Option<Secret>,
    /// Which of the client's keys that is.
    pub key_id: Option<String>,
    /// Certificate of the key in PEM.
    pub certificate: Option<String>,
}

impl Client {
    /// One without a secret.
    pub fn public(client_id: String) -> Self {
        Self { client_id, client_secret: None, private_key: None, key_id: None, certificate: None }
    }

    /// The operator's.
    pub fn managed(client: &ManagedClient) -> Self {
        Self {
            client_id: client.client_id.clone(),
            client_secret: client.client_secret.clone(),
            private_key: None,
            key_id: None,
            certificate: None,
        }
    }

    /// The client that some secrets are, by the names that the API has for them.
    pub fn of(secrets: &mut Secrets) -> Option<Self> {
        let text = |secrets: &Secrets, name: &str| secrets.get(name).filter(|it| !it.is_empty()).map(str::to_owned);
        Some(Self {
            client_id: text(secrets, "client_id").or_else(|| text(secrets, "consumer_key"))?,
            key_id: text(secrets, "key_id"),
            certificate: text(secrets, "certificate"),
            client_secret: ["client_secret", "consumer_secret"]
                .into_iter()
                .find_map(|name| secrets.remove(name).filter(|secret| !secret.is_empty())),
            private_key: secrets.remove("private_key").filter(|secret| !secret.is_empty()),
        })
    }
}

fn account_place<'a>(project: &'a str, account: &'a str) -> Place<'a> {
    Place { project, table: "connected_accounts", row: account, field: "credential_sealed" }
}

fn auth_config_place<'a>(project: &'a str, auth_config: &'a str) -> Place<'a> {
    Place { project, table: "auth_configs", row: auth_config, field: "credentials_sealed" }
}

fn shared_place<'a>(project: &'a str, auth_config: &'a str) -> Place<'a> {
    Place { project, table: "auth_configs", row: auth_config, field: "shared_sealed" }
}

fn verifier_place<'a>(project: &'a str, attempt: &'a str) -> Place<'a> {
    Place { project, table: "attempts", row: attempt, field: "verifier_sealed" }
}

fn revocation_place<'a>(project: &'a str, revocation: &'a str) -> Place<'a> {
    Place { project, table: "revocations", row: revocation, field: "material_sealed" }
}

fn prefill_place<'a>(project: &'a str, link: &'a str) -> Place<'a> {
    Place { project, table: "links", row: link, field: "prefill_sealed" }
}

fn parked_place<'a>(project: &'a str, verification: &'a str) -> Place<'a> {
    Place { project, table: "verifications", row: verification, field: "parked_sealed" }
}

impl App {
    /// Seals the fields that a developer gave with a link; none when there are none.
    pub fn seal_prefill(&self, project: &str, link: &str, fields: &Secrets) -> Option<Vec<u8>> {
        (!fields.is_empty()).then(|| self.ring.seal_secrets(&prefill_place(project, link), fields))
    }

    /// Opens the fields that a developer gave with a link.
    pub fn open_prefill(&self, link: &LinkRow) -> Result<Secrets> {
        let Some(sealed) = &link.prefill_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(&prefill_place(&link.project_id, &link.id), sealed)?)
    }

    /// Seals what waits for the developer's word: a code with its verifier, or what was entered.
    pub fn seal_parked(&self, project: &str, verification: &str, parked: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(&parked_place(project, verification), parked)
    }

    /// Opens what waited for the developer's word.
    pub fn open_parked(&self, project: &str, verification: &str, sealed: &[u8]) -> Result<Secrets> {
        Ok(self.ring.open_secrets(&parked_place(project, verification), sealed)?)
    }

    /// Seals an account's credential for its row.
    pub fn seal_credential(&self, project: &str, account: &str, secrets: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(&account_place(project, account), secrets)
    }

    /// Opens an account's credential; empty when it has none.
    pub fn open_credential(&self, account: &AccountRow) -> Result<Secrets> {
        let Some(sealed) = &account.credential_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(&account_place(&account.project_id, &account.id), sealed)?)
    }

    /// Seals the client credentials of an auth config.
    pub fn seal_client(&self, project: &str, auth_config: &str, secrets: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(&auth_config_place(project, auth_config), secrets)
    }

    /// Opens the stored client credentials of a custom auth config.
    pub fn open_auth_config(&self, config: &AuthConfigRow) -> Result<Secrets> {
        let Some(sealed) = &config.credentials_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(&auth_config_place(&config.project_id, &config.id), sealed)?)
    }

    /// Seals the connection fields that all accounts of an auth config share; none when there are none.
    pub fn seal_shared(&self, project: &str, auth_config: &str, fields: &Secrets) -> Option<Vec<u8>> {
        (!fields.is_empty()).then(|| self.ring.seal_secrets(&shared_place(project, auth_config), fields))
    }

    /// Opens the connection fields that all accounts of an auth config share.
    pub fn open_shared(&self, config: &AuthConfigRow) -> Result<Secrets> {
        let Some(sealed) = &config.shared_sealed else { return Ok(Secrets::new()) };
        Ok(self.ring.open_secrets(&shared_place(&config.project_id, &config.id), sealed)?)
    }

    /// The OAuth client to use with an auth config: its own, or the operator's while this project
    /// is still listed for it.
    pub fn oauth_client(&self, config: &AuthConfigRow) -> Result<Client> {
        if config.is_managed {
            let client = self.settings.managed_client(&config.toolkit, &config.project_id).ok_or_else(|| {
                Error::new(
                    Code::NoManagedAuth,
                    format!("The operator offers no OAuth client for toolkit {} to this project", config.toolkit),
                )
            })?;
            return Ok(Client::managed(client));
        }
        if config.scheme == Scheme::CimdOAuth.as_str() {
            return Ok(Client::public(self.client_metadata_url(&config.id)));
        }
        let mut secrets = self.open_auth_config(config)?;
        Client::of(&mut secrets).ok_or_else(|| {
            Error::new(Code::AuthConfigBadRequest, format!("Auth config \"{}\" has no client_id", config.id))
        })
    }

    /// Seals a PKCE verifier.
    pub fn seal_verifier(&self, project: &str, attempt: &str, verifier: &Secret) -> Vec<u8> {
        self.ring.seal(&verifier_place(project, attempt), verifier.expose().as_bytes())
    }

    /// Opens a PKCE verifier.
    pub fn open_verifier(&self, project: &str, attempt: &str, sealed: &[u8]) -> Result<Secret> {
        let plaintext = self.ring.open(&verifier_place(project, attempt), sealed)?;
        String::from_utf8(plaintext.to_vec())
            .map(Secret::new)
            .map_err(|_| Error::new(Code::CredentialUnreadable, "A stored PKCE verifier cannot be read"))
    }

    /// Seals what a queued revocation needs.
    pub fn seal_revocation(&self, project: &str, revocation: &str, material: &Secrets) -> Vec<u8> {
        self.ring.seal_secrets(&revocation_place(project, revocation), material)
    }

    /// Opens what a queued revocation needs.
    pub fn open_revocation(&self, project: &str, revocation: &str, sealed: &[u8]) -> Result<Secrets> {
        Ok(self.ring.open_secrets(&revocation_place(project, revocation), sealed)?)
    }
}
