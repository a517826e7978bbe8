//! The OAuth client of an auth config, as token requests need it.

use switchboard_catalog::Scheme;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_vault::{Secret, Secrets};

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
    /// Whether it has one that must not reach anybody else.
    pub fn has_secret(&self) -> bool {
        self.client_secret.is_some() || self.private_key.is_some()
    }

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

impl App {
    /// The OAuth client of an auth config: its own, or the operator's while this project is still listed for it.
    /// Requests for an account take it from [`Self::client_for`], which looks where they go.
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
}
