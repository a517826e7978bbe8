//! The OAuth client of an auth config, as used in token requests.

use switchboard_catalog::{ClientAuthentication, Scheme};
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_types::AuthConfigId;
use switchboard_vault::{Secret, Secrets};

use crate::app::ManagedClient;
use crate::app::credential::Credentials;
use crate::error::{Code, Error, Result};

/// The OAuth client of an auth config, ready for a token request.
#[derive(Debug)]
pub struct Client {
    /// Client identifier.
    pub client_id: String,
    /// Client secret; none for a public client.
    pub client_secret: Option<Secret>,
    /// Private key in PEM, for a client that authenticates with a signature.
    pub private_key: Option<Secret>,
    /// Identifier of the private key.
    pub key_id: Option<String>,
    /// Certificate of the key, in PEM.
    pub certificate: Option<String>,
    /// How the client authenticates, if its registration or the auth config says so.
    pub method: Option<ClientAuthentication>,
}

impl Client {
    /// Whether the client has a secret or a private key.
    pub fn has_secret(&self) -> bool {
        self.client_secret.is_some() || self.private_key.is_some()
    }

    /// A client without a secret.
    pub fn public(client_id: String) -> Self {
        Self { client_id, client_secret: None, private_key: None, key_id: None, certificate: None, method: None }
    }

    /// The operator's client.
    pub fn managed(client: &ManagedClient) -> Self {
        Self {
            client_id: client.client_id.clone(),
            client_secret: client.client_secret.clone(),
            private_key: None,
            key_id: None,
            certificate: None,
            method: None,
        }
    }

    /// The previous client of an auth config that has registered again.
    pub fn former(secrets: &Secrets) -> Option<Self> {
        let mut own = Secrets::new();
        for (name, secret) in secrets.iter() {
            if let Some(name) = name.strip_prefix(FORMER_PREFIX) {
                own.insert(name, secret.clone());
            }
        }
        Self::of(&mut own)
    }

    /// The client stored in these secrets, under the field names of the API.
    pub fn of(secrets: &mut Secrets) -> Option<Self> {
        let text = |secrets: &Secrets, name: &str| secrets.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
        Some(Self {
            client_id: text(secrets, "client_id").or_else(|| text(secrets, "consumer_key"))?,
            key_id: text(secrets, "key_id"),
            certificate: text(secrets, "certificate"),
            method: secrets.get("token_endpoint_auth_method").and_then(ClientAuthentication::from_name),
            client_secret: ["client_secret", "consumer_secret"]
                .into_iter()
                .find_map(|name| secrets.remove(name).filter(|secret| !secret.is_empty())),
            private_key: secrets.remove("private_key").filter(|secret| !secret.is_empty()),
        })
    }
}

/// Whether the auth config uses the operator's client. Managed auth configs with dynamic registration or a
/// client metadata document have a client of their own.
pub(in crate::app) fn uses_managed_client(config: &AuthConfigRow) -> bool {
    config.is_managed && !matches!(config.scheme, Scheme::DcrOAuth | Scheme::CimdOAuth)
}

/// Prefix of the stored fields of the previous client. Accounts that were connected with it keep using it.
pub(in crate::app) const FORMER_PREFIX: &str = "former_";

/// The client that tokens were issued to.
#[derive(Clone, Copy, Debug)]
pub enum IssuedTo<'a> {
    /// The current client of the auth config.
    CurrentClient,
    /// The client with this identifier; none for old accounts, which do not record it.
    ClientId(Option<&'a str>),
}

impl Credentials {
    /// The client id of a client with a metadata document: the URL of the document.
    pub fn client_metadata_url(&self, auth_config: &AuthConfigId) -> String {
        format!("{}/api/v3.1/toolkits/auth/client/{auth_config}", self.core.settings.public_url)
    }

    /// The OAuth client of an auth config: its own, or the operator's while this project may use it. Requests
    /// for an account use [`Self::client_for`], which also checks where they are sent.
    pub fn oauth_client(&self, config: &AuthConfigRow) -> Result<Client> {
        if uses_managed_client(config) {
            let client = self.core.settings.managed_client(&config.toolkit, &config.project_id).ok_or_else(|| {
                Error::new(
                    Code::NoManagedAuth,
                    format!("The operator offers no OAuth client for toolkit {} to this project", config.toolkit),
                )
            })?;
            return Ok(Client::managed(client));
        }
        if config.scheme == Scheme::CimdOAuth {
            return Ok(Client::public(self.client_metadata_url(&config.id)));
        }
        let mut secrets = self.open_auth_config(config)?;
        Self::parse_client(config, &mut secrets)
    }

    /// The client that an account was connected with. After a new registration this may be the previous client.
    /// `client_id` is the account's; none for accounts that do not record it.
    pub fn client_of(&self, config: &AuthConfigRow, client_id: Option<&str>) -> Result<Client> {
        if config.scheme != Scheme::DcrOAuth {
            return self.oauth_client(config);
        }
        let mut secrets = self.open_auth_config(config)?;
        let former = Client::former(&secrets);
        if let Some(former) = former.filter(|former| client_id.is_none_or(|id| id == former.client_id)) {
            return Ok(former);
        }
        Self::parse_client(config, &mut secrets)
    }

    /// The client that tokens were issued to.
    pub(in crate::app) fn issued_client(&self, config: &AuthConfigRow, issued: IssuedTo<'_>) -> Result<Client> {
        match issued {
            IssuedTo::CurrentClient => self.oauth_client(config),
            IssuedTo::ClientId(client_id) => self.client_of(config, client_id),
        }
    }

    fn parse_client(config: &AuthConfigRow, secrets: &mut Secrets) -> Result<Client> {
        Client::of(secrets).ok_or_else(|| {
            Error::new(Code::AuthConfigBadRequest, format!("Auth config \"{}\" has no client_id", config.id))
        })
    }
}
