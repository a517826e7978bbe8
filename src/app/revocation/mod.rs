//! Revoking credentials at their provider (R42, R76; contract sections 4.6 and 5).
//!
//! A credential that is deleted here would live on at the provider: whoever stole it could go on.
//! So deleting hands it over to a queue, in the same unit that erases it from its account
//! (`queue.rs`, one entry in `row.rs`); the queue is worked off in the background, for up to a day
//! (`drain.rs`); what came of it can be read as a receipt (`receipt.rs`). `POST …/revoke` asks the
//! provider at once and waits for its word (`now.rs`). `attempt.rs` is one try,
//! whose requests `request.rs` makes.

mod attempt;
mod drain;
mod now;
mod queue;
mod receipt;
mod request;
mod row;
mod sharing;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use switchboard_catalog::{Call, OAuth2, Scheme, Toolkit};
use switchboard_store::accounts::AccountRow;
use switchboard_store::auth_configs::AuthConfigRow;
use switchboard_vault::{Secret, Secrets};
use tokio::sync::Notify;

use crate::app::base::core::Core;
use crate::app::base::errors::auth_config_not_found;
use crate::app::credential::Credentials;
use crate::app::credential::client::{Client, IssuedTo, uses_managed_client};
use crate::app::model::params::AccountParams;
use crate::app::project::Projects;
use crate::app::provider::Providers;
use crate::app::spool::Spool;
use crate::error::{Code, Error, Result};

pub use drain::Queue;
pub use queue::Fate;
pub use receipt::{RevokeJob, RevokeJobItem};
pub use sharing::Known;

/// Status reason of an account that was revoked on request.
const BY_REQUEST: &str = "Revoked via user-initiated revoke endpoint";
/// Status reason of an account that the operator revoked.
const BY_OPERATOR: &str = "Revoked via admin tool";

/// What was revoked at the provider.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedToken {
    /// The access token.
    AccessToken,
    /// The refresh token.
    RefreshToken,
    /// A further token of the account, or a credential that is no token.
    Credential,
}

impl RevokedToken {
    /// Name of the secret, and of the token type in RFC 7009.
    fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
            Self::Credential => "credential",
        }
    }
}

/// How a scheme's credential is revoked.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) enum Revocable<'a> {
    /// As RFC 7009 says, or as the file does; a discovered endpoint is looked up.
    OAuth(&'a OAuth2),
    /// As the file says.
    Call(&'a Call),
    /// As the file says, and signed.
    Signed(&'a Toolkit, &'a Call),
}

/// How an account's credential can be revoked, or why it cannot.
fn revocable<'a>(scheme: &str, slug: &str, toolkit: Option<&'a Toolkit>) -> std::result::Result<Revocable<'a>, String> {
    let parsed: Option<Scheme> = scheme.parse().ok();
    let Some(parsed) = parsed.filter(|scheme| is_revocable(*scheme)) else {
        return Err(format!(
            "A credential of auth scheme {scheme} cannot be revoked from here; withdraw it in the provider's settings"
        ));
    };
    let toolkit = toolkit.ok_or_else(|| format!("This server has no toolkit {slug}"))?;
    let none = || format!("The provider of toolkit {slug} has no revocation endpoint");
    if let Some(tokens) = toolkit.token_scheme(parsed) {
        return tokens.revoke.as_ref().map(Revocable::Call).ok_or_else(none);
    }
    if parsed == Scheme::OAuth1 {
        let call = toolkit.oauth1.as_ref().and_then(|oauth1| oauth1.revoke.as_ref());
        return call.map(|call| Revocable::Signed(toolkit, call)).ok_or_else(none);
    }
    let oauth = toolkit.oauth(parsed).filter(|oauth| {
        oauth.revocation_url.is_some()
            || oauth.revoke.is_some()
            || oauth.discovery_url.is_some()
            || oauth.resource.is_some()
    });
    oauth.map(Revocable::OAuth).ok_or_else(none)
}

/// Whether a scheme has tokens, which a provider can be asked to forget.
fn is_revocable(scheme: Scheme) -> bool {
    !matches!(scheme, Scheme::ApiKey | Scheme::BearerToken | Scheme::Basic | Scheme::NoAuth)
}

/// Credentials on their way to be revoked at their providers.
pub struct Revocations {
    core: Arc<Core>,
    projects: Arc<Projects>,
    credentials: Arc<Credentials>,
    providers: Arc<Providers>,
    spool: Arc<Spool>,
    known_grants: Known,
    wake: Notify,
}

crate::redacted_debug!(Revocations);

impl Revocations {
    /// With the services that it calls.
    pub fn new(
        core: Arc<Core>,
        projects: Arc<Projects>,
        credentials: Arc<Credentials>,
        providers: Arc<Providers>,
        spool: Arc<Spool>,
    ) -> Self {
        Self { core, projects, credentials, providers, spool, known_grants: Known::default(), wake: Notify::new() }
    }

    /// Says that something was queued: it is not to wait for the next round.
    pub fn wake_up(&self) {
        self.wake.notify_one();
    }
}

impl Revocations {
    /// What a revocation needs of an account's credential: its tokens and, unless the operator
    /// owns it, the client they were issued to. The auth config may be gone when it is used.
    fn revocation_material(&self, account: &AccountRow, config: Option<&AuthConfigRow>) -> Result<Secrets> {
        let credential = self.credentials.open_credential(account)?;
        let client_id = AccountParams::parse(&account.params)?.client_id;
        self.with_client(credential, account, config, IssuedTo::ClientId(client_id.as_deref()))
    }

    /// The same for a credential that never reached its account.
    fn with_client(
        &self,
        mut credential: Secrets,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
        issued: IssuedTo<'_>,
    ) -> Result<Secrets> {
        let mut material = Secrets::new();
        for token in [RevokedToken::RefreshToken, RevokedToken::AccessToken] {
            if let Some(secret) = credential.remove(token.as_str()).filter(|secret| !secret.is_empty()) {
                material.insert(token.as_str(), secret);
            }
        }
        let further: Vec<String> = credential.iter().map(|(name, _)| name.to_owned()).collect();
        for name in further.iter().filter(|name| name.ends_with("_access_token")) {
            if let Some(secret) = credential.remove(name).filter(|secret| !secret.is_empty()) {
                material.insert(name, secret);
            }
        }
        if let Some(key) = credential.remove("dpop_key") {
            material.insert("dpop_key", key);
        }
        let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
        let scheme: Scheme = config.scheme.parse().map_err(Error::internal)?;
        if !scheme.is_redirect() {
            // What was entered is what the request needs.
            for (name, secret) in credential.iter() {
                material.insert(name, secret.clone());
            }
            return Ok(material);
        }
        // The operator's is looked up, and looked at, when the provider is asked.
        if uses_managed_client(config) && scheme.is_oauth2() {
            return Ok(material);
        }
        let client = self.revoking_client(account, scheme, config, issued)?;
        if scheme == Scheme::OAuth1 {
            // The token stands where all tokens do.
            if let Some(token) = credential.get("oauth_token") {
                material.insert("access_token", Secret::from(token));
            }
            for (name, secret) in credential.iter() {
                material.insert(name, secret.clone());
            }
            material.insert("consumer_key", Secret::new(client.client_id));
            if let Some(secret) = client.client_secret {
                material.insert("consumer_secret", secret);
            }
        } else {
            material.insert("client_id", Secret::new(client.client_id));
            if let Some(method) = client.method {
                material.insert("token_endpoint_auth_method", Secret::from(method.config_name()));
            }
            let parts = [("client_secret", client.client_secret), ("private_key", client.private_key)];
            for (name, secret) in parts {
                if let Some(secret) = secret {
                    material.insert(name, secret);
                }
            }
            for (name, text) in [("key_id", client.key_id), ("certificate", client.certificate)] {
                if let Some(text) = text {
                    material.insert(name, Secret::new(text));
                }
            }
        }
        Ok(material)
    }
}

impl Revocations {
    /// The client of an account that is being revoked, if its secret was given for where the account is.
    fn revoking_client(
        &self,
        account: &AccountRow,
        scheme: Scheme,
        config: &AuthConfigRow,
        issued: IssuedTo<'_>,
    ) -> Result<Client> {
        let params = AccountParams::parse(&account.params)?;
        match self.core.toolkit(&account.toolkit) {
            Some(toolkit) => {
                let params = params.with_derived_values(&toolkit, scheme);
                self.credentials.client_for(&toolkit, scheme, config, &params, issued)
            }
            // Only the server has its file: what is shared must be as it was.
            None => self.credentials.client_for_unknown(config, &params, issued),
        }
    }
}

fn tokens_text(tokens: &[RevokedToken]) -> String {
    // A list of words always serialises; an empty one is the harmless answer.
    serde_json::to_string(tokens).unwrap_or_else(|_| "[]".to_owned())
}

fn parse_tokens(text: &str) -> Result<Vec<RevokedToken>> {
    serde_json::from_str(text).map_err(Error::internal)
}

/// The account's credential went on changing while it was being handed over.
fn too_busy() -> Error {
    Error::new(Code::CredentialStoreUnavailable, "The credential is being refreshed over and over")
}
