//! Revoking credentials at their provider (R42, R76; contract sections 4.6 and 5).
//!
//! A credential that is only deleted here would stay valid at the provider, also for a thief. So deleting queues
//! it for revocation, in the unit that erases it from its account (`enqueue.rs`; rows are created in `row.rs`). A
//! job of the queue revokes it, with retries for up to a day (`job.rs`). The receipt shows the outcome
//! (`receipt.rs`). `POST …/revoke` asks the provider at once and waits for the response (`now.rs`). `attempt.rs` is
//! one attempt, with the requests of `request.rs`. `sharing.rs` keeps grants that other accounts still use.

mod attempt;
mod enqueue;
mod job;
mod now;
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
use crate::app::model::params::with_derived_values;
use crate::app::project::Projects;
use crate::app::provider::Providers;
use crate::app::queue::Worker;
use crate::app::spool::Spool;
use crate::error::{Code, Error, Result};

pub use enqueue::EndState;
pub use receipt::{RevokeJob, RevokeJobItem};
pub use sharing::RecordedToolkits;

/// A token or credential that was revoked at the provider.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevokedToken {
    /// The access token.
    AccessToken,
    /// The refresh token.
    RefreshToken,
    /// An extra token of the account, or a credential that is not a token.
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

/// How the credential of a scheme is revoked.
#[derive(Clone, Copy, Debug)]
pub(in crate::app) enum RevocationMethod<'a> {
    /// By RFC 7009 or the call of the toolkit file. The endpoint may come from discovery.
    OAuth(&'a OAuth2),
    /// By the call of the toolkit file.
    Call(&'a Call),
    /// By the call of the toolkit file, with an OAuth 1.0a signature.
    Signed(&'a Toolkit, &'a Call),
}

/// How an account's credential can be revoked, or why it cannot.
fn revocation_method<'a>(
    scheme: Scheme,
    slug: &str,
    toolkit: Option<&'a Toolkit>,
) -> std::result::Result<RevocationMethod<'a>, String> {
    if !is_revocable(scheme) {
        return Err(format!(
            "A credential of auth scheme {scheme} cannot be revoked from here; withdraw it in the provider's settings"
        ));
    }
    let toolkit = toolkit.ok_or_else(|| format!("This server has no toolkit {slug}"))?;
    let none = || format!("The provider of toolkit {slug} has no revocation endpoint");
    if let Some(tokens) = toolkit.token_scheme(scheme) {
        return tokens.revoke.as_ref().map(RevocationMethod::Call).ok_or_else(none);
    }
    if scheme == Scheme::OAuth1 {
        let call = toolkit.oauth1.as_ref().and_then(|oauth1| oauth1.revoke.as_ref());
        return call.map(|call| RevocationMethod::Signed(toolkit, call)).ok_or_else(none);
    }
    let oauth = toolkit.oauth(scheme).filter(|oauth| {
        oauth.revocation_url.is_some()
            || oauth.revoke.is_some()
            || oauth.discovery_url.is_some()
            || oauth.resource.is_some()
    });
    oauth.map(RevocationMethod::OAuth).ok_or_else(none)
}

/// Whether a scheme has tokens that a provider can revoke.
fn is_revocable(scheme: Scheme) -> bool {
    !matches!(scheme, Scheme::ApiKey | Scheme::BearerToken | Scheme::Basic | Scheme::NoAuth)
}

/// Revokes credentials at their providers.
pub struct Revocations {
    core: Arc<Core>,
    projects: Arc<Projects>,
    credentials: Arc<Credentials>,
    providers: Arc<Providers>,
    spool: Arc<Spool>,
    recorded_toolkits: RecordedToolkits,
    wake: Notify,
}

crate::redacted_debug!(Revocations);

impl Revocations {
    /// Creates the service from the services that it uses.
    pub fn new(
        core: Arc<Core>,
        projects: Arc<Projects>,
        credentials: Arc<Credentials>,
        providers: Arc<Providers>,
        spool: Arc<Spool>,
    ) -> Self {
        Self {
            core,
            projects,
            credentials,
            providers,
            spool,
            recorded_toolkits: RecordedToolkits::default(),
            wake: Notify::new(),
        }
    }

    /// Wakes the worker: a revocation was queued.
    pub fn wake_up(&self) {
        self.wake.notify_one();
    }

    /// A worker of the queue that revokes what is due.
    pub(in crate::app) fn worker(self: &Arc<Self>) -> Worker<Self> {
        Worker::new(Arc::clone(&self.core), Arc::clone(&self.spool), Arc::clone(self))
    }
}

impl Revocations {
    /// The secrets that revoking an account's credential needs: its tokens and, unless it is the operator's, the
    /// client that they were issued to. The auth config may be deleted by the time they are used.
    fn revocation_material(&self, account: &AccountRow, config: Option<&AuthConfigRow>) -> Result<Secrets> {
        let credential = self.credentials.open_credential(account)?;
        let client_id = account.params.client_id.clone();
        self.with_client(credential, account, config, IssuedTo::ClientId(client_id.as_deref()))
    }

    /// The same for a credential that was not stored with its account.
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
        let extra: Vec<String> = credential.iter().map(|(name, _)| name.to_owned()).collect();
        for name in extra.iter().filter(|name| name.ends_with("_access_token")) {
            if let Some(secret) = credential.remove(name).filter(|secret| !secret.is_empty()) {
                material.insert(name, secret);
            }
        }
        if let Some(key) = credential.remove("dpop_key") {
            material.insert("dpop_key", key);
        }
        let config = config.ok_or_else(|| auth_config_not_found(&account.auth_config_id))?;
        let scheme = config.scheme;
        if !scheme.is_redirect() {
            // The request uses the fields that the user entered.
            for (name, secret) in credential.iter() {
                material.insert(name, secret.clone());
            }
            return Ok(material);
        }
        // The operator's client is looked up and checked when the request is built.
        if uses_managed_client(config) && scheme.is_oauth2() {
            return Ok(material);
        }
        let client = self.revoking_client(account, scheme, config, issued)?;
        if scheme == Scheme::OAuth1 {
            // The token is also stored under the name that all schemes use.
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
    /// The client of the account. Fails if its secret was configured for other hosts than those of the account.
    fn revoking_client(
        &self,
        account: &AccountRow,
        scheme: Scheme,
        config: &AuthConfigRow,
        issued: IssuedTo<'_>,
    ) -> Result<Client> {
        let params = account.params.clone();
        match self.core.toolkit(&account.toolkit) {
            Some(toolkit) => {
                let params = with_derived_values(&params, &toolkit, scheme);
                self.credentials.client_for(&toolkit, scheme, config, &params, issued)
            }
            // Only the server has the toolkit file, so the parameters must be unchanged.
            None => self.credentials.client_for_unknown(config, &params, issued),
        }
    }
}

fn tokens_text(tokens: &[RevokedToken]) -> String {
    // Serialising a list of words cannot fail. The fallback is an empty list.
    serde_json::to_string(tokens).unwrap_or_else(|_| "[]".to_owned())
}

fn parse_tokens(text: &str) -> Result<Vec<RevokedToken>> {
    serde_json::from_str(text).map_err(Error::internal)
}

/// The account's credential kept changing while its revocation was queued.
fn too_busy() -> Error {
    Error::new(Code::CredentialStoreUnavailable, "The credential is being refreshed over and over")
}
