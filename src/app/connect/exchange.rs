//! From a code to a credential: the token request, and the account's new state.
//!
//! Runs in a task that outlives the browser's request (R35): once the code is spent, what it bought
//! must be stored whether or not anybody still waits.

use std::time::Duration;

use switchboard_auth::{ClientCredentials, TokenSet, code_request, parse_token_response};
use switchboard_catalog::OAuth2;
use switchboard_store::accounts::{self, AccountRow, AccountStatus, Activation};
use switchboard_store::links::{self, LinkPurpose, LinkRow};
use switchboard_store::{Statement, WriteError};
use switchboard_vault::{Secret, Secrets};

use super::visit::Offer;
use super::{Ending, Finished};
use crate::app::params::AccountParams;
use crate::app::upstream::egress_error;
use crate::app::{Actor, App};
use crate::error::{Error, Result};
use crate::time::{Millis, millis};

/// `status_reason` of an account whose code could not be exchanged (contract section 3.4).
const EXCHANGE_FAILED: &str = "OAuth callback failed during token exchange";

/// A token answer, parted into what is sealed and what is not.
#[derive(Debug)]
pub struct TokenCredential {
    /// `access_token`, `refresh_token`, `id_token`.
    pub secrets: Secrets,
    /// When the access token dies.
    pub expires_at: Option<Millis>,
}

impl TokenCredential {
    /// Takes a token answer that arrived at `now`; its public parts go into `params`.
    pub fn new(token: TokenSet, params: &mut AccountParams, now: Millis) -> Self {
        let mut secrets = Secrets::from([("access_token", token.access_token)]);
        if let Some(refresh_token) = token.refresh_token {
            secrets.insert("refresh_token", refresh_token);
        }
        if let Some(id_token) = token.id_token {
            secrets.insert("id_token", id_token);
        }
        params.token_type = Some(token.token_type);
        params.expires_in = token.expires_in;
        if token.scope.is_some() {
            params.granted_scopes = token.scope;
        }
        params.captured.extend(token.captured);
        let expires_at = token.expires_in.map(|seconds| now.saturating_add(millis(Duration::from_secs(seconds))));
        Self { secrets, expires_at }
    }
}

/// A code that may be exchanged: its state is consumed, its browser is the right one, and its user
/// was confirmed where the project asks for that.
pub(super) struct Grant {
    pub code: Secret,
    /// PKCE verifier; none with a provider that refuses PKCE.
    pub verifier: Option<Secret>,
    /// Exactly as in the authorization request.
    pub redirect_uri: String,
}

impl Offer {
    /// The statement that gives the account its credential.
    pub(super) fn activation(&self, activation: Activation) -> Statement {
        let (project, id) = (&self.account.project_id, &self.account.id);
        match self.link.purpose {
            LinkPurpose::Connect => accounts::activate(project, id, activation),
            LinkPurpose::Reconnect => accounts::reconnect(project, id, activation),
        }
    }
}

impl App {
    /// Exchanges a code and connects the account.
    pub(super) async fn exchange(&self, actor: &Actor, offer: &Offer, grant: &Grant) -> Result<Finished> {
        let oauth = offer
            .toolkit
            .oauth2
            .as_ref()
            .ok_or_else(|| Error::internal("auth config of a scheme that the toolkit lost"))?;
        let mut params = AccountParams::parse(&offer.account.params)?;
        match self.token_of(oauth, offer, grant, &params).await {
            Ok(token) => {
                if offer.is_reconnect() {
                    params.requested_scopes = offer.scopes();
                    params.granted_scopes = None;
                }
                let credential = TokenCredential::new(token, &mut params, self.now());
                self.activate_exchanged(actor, offer, credential, &params).await
            }
            Err(failure) => {
                tracing::warn!(account.id = %offer.account.id, toolkit = %offer.toolkit.slug, reason = %failure.log, "token exchange failed");
                let reason = match &failure.shown {
                    Some(shown) => format!("{EXCHANGE_FAILED}: {shown}"),
                    None => EXCHANGE_FAILED.to_owned(),
                };
                self.end_link(actor, &offer.link, &offer.account, "failed", &reason).await?;
                Ok(Finished::of(Ending::ProviderError, &offer.link, &offer.account.toolkit).saying(failure.shown))
            }
        }
    }

    async fn token_of(
        &self,
        oauth: &OAuth2,
        offer: &Offer,
        grant: &Grant,
        params: &AccountParams,
    ) -> std::result::Result<TokenSet, Failure> {
        let client = self.oauth_client(&offer.config).map_err(|error| Failure::ours(&error))?;
        let client_secret = client.client_secret.as_ref().map(Secret::expose);
        let verifier = grant.verifier.as_ref().map(Secret::expose);
        let credentials = ClientCredentials { client_id: &client.client_id, client_secret };
        let request = code_request(oauth, &credentials, grant.code.expose(), &grant.redirect_uri, verifier, &|name| {
            self.variable(&params.fields, name)
        })
        .map_err(|error| Failure::ours(&Error::internal(error)))?;
        let answer = self.send_protocol(request).await.map_err(|error| Failure::ours(&egress_error(&error)))?;
        let content_type = answer.headers().get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        parse_token_response(oauth, answer.status().as_u16(), content_type, answer.body()).map_err(|error| {
            let sent = [Some(grant.code.expose()), client_secret, verifier];
            let sent: Vec<&str> = sent.into_iter().flatten().collect();
            Failure::of(&error.without(&sent))
        })
    }

    async fn activate_exchanged(
        &self,
        actor: &Actor,
        offer: &Offer,
        credential: TokenCredential,
        params: &AccountParams,
    ) -> Result<Finished> {
        let now = self.now();
        let activation = Activation {
            credential: Some(self.seal_credential(&actor.project_id, &offer.account.id, &credential.secrets)),
            params: params.to_text(),
            expires_at: credential.expires_at,
            now,
        };
        let unit = links::end(&offer.link.id, "success", now).with(offer.activation(activation)).with(self.audit(
            actor,
            "connected_account.connect",
            &offer.account.id,
            "ok",
            None,
        ));
        match self.apply_patiently(unit).await {
            Ok(()) => Ok(Finished::of(Ending::Success, &offer.link, &offer.account.toolkit)),
            // Deleted, or ended otherwise, while the provider answered.
            Err(WriteError::Refused(_)) => {
                self.revoke_unwanted(&offer.account, &offer.config, &credential.secrets).await?;
                Ok(Finished::of(Ending::Used, &offer.link, &offer.account.toolkit))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a link and its account without a credential; false when it had ended otherwise. An
    /// account that was to get a new credential keeps the one it has.
    pub(in crate::app) async fn end_link(
        &self,
        actor: &Actor,
        link: &LinkRow,
        account: &AccountRow,
        outcome: &str,
        reason: &str,
    ) -> Result<bool> {
        let now = self.now();
        let status = if outcome == "expired" { AccountStatus::Expired } else { AccountStatus::Failed };
        let unit = links::end(&link.id, outcome, now).with(self.audit(actor, "link.end", &account.id, reason, None));
        let unit = match link.purpose {
            LinkPurpose::Connect => {
                unit.with(accounts::end_unconnected(&account.project_id, &account.id, status, reason, now))
            }
            LinkPurpose::Reconnect => unit,
        };
        match self.store.apply(unit).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Why there is no token: for the person, and for the log. Neither holds a secret.
struct Failure {
    shown: Option<String>,
    log: String,
}

impl Failure {
    fn ours(error: &Error) -> Self {
        let log = match error.causes() {
            Some(causes) => format!("{}: {causes}", error.message()),
            None => error.message().to_owned(),
        };
        Self { shown: Some(error.message().to_owned()), log }
    }

    fn of(error: &switchboard_auth::TokenError) -> Self {
        let shown = match (&error.code, &error.description) {
            (Some(code), Some(description)) => Some(format!("{code}: {description}")),
            (Some(code), None) => Some(code.clone()),
            (None, Some(description)) => Some(description.clone()),
            (None, None) => None,
        };
        Self { log: format!("{:?} {}", error.kind, shown.as_deref().unwrap_or("without a code")), shown }
    }
}
