//! From a code to a credential: the token request, and the account's new state.
//!
//! Runs in a task that outlives the browser's request (R35): once the code is spent, the tokens must be
//! stored even if the browser has disconnected.

use std::time::Duration;

use switchboard_auth::TokenSet;
use switchboard_catalog::{RefreshToken, Scheme, Toolkit, template};
use switchboard_store::accounts::{self, Activation};
use switchboard_store::failpoint;
use switchboard_store::links::{self, LinkPurpose};
use switchboard_store::{Statement, Unit, WriteError, revocations};
use switchboard_types::{
    AccountParams, AuditAction, AuditOutcome, LinkOutcome, Reason, ReasonCode, Timestamp, missing_scopes,
};
use switchboard_vault::Secret;

use super::complete::UnusedTokens;
use super::visit::Offer;
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::credential::client::IssuedTo;
use crate::app::provider::{FailedExchange, Failure, Provider, TokenCredential, learned_by_exchange};
use crate::app::refresh::renewal::Renewal;
use crate::error::{Code, Error, Result};

/// A code that may be exchanged: its state is consumed, the browser is the right one, and the user is
/// confirmed where the project requires it.
pub(super) struct Grant {
    pub code: Secret,
    /// PKCE verifier; none for a provider that rejects PKCE.
    pub verifier: Option<Secret>,
    /// The key that the code is bound to (RFC 9449 section 10).
    pub dpop_key: Option<Secret>,
    /// Exactly as in the authorization request.
    pub redirect_uri: String,
    /// The state of the authorization request, for the few providers that require it again.
    pub state: String,
}

/// What an attempt stores from its authorization request, as one string: the PKCE verifier and, on the
/// following lines, the key that the code is bound to.
pub(super) fn kept(verifier: Option<Secret>, key: Option<&Secret>) -> Option<Secret> {
    let Some(key) = key else { return verifier };
    let verifier = verifier.as_ref().map(Secret::expose).unwrap_or_default();
    Some(Secret::new(format!("{verifier}\n{}", key.expose())))
}

/// Splits a stored string into verifier and key.
pub(super) fn verifier_and_key(kept: Option<Secret>) -> (Option<Secret>, Option<Secret>) {
    let Some((verifier, key)) = kept.as_ref().and_then(|kept| kept.expose().split_once('\n')) else {
        return (kept, None);
    };
    ((!verifier.is_empty()).then(|| Secret::from(verifier)), Some(Secret::from(key)))
}

impl Offer {
    /// Whether the toolkit's refresh requests repeat the redirect URI.
    fn repeats_redirect_uri(&self) -> bool {
        let Some(oauth) = self.toolkit.oauth(self.scheme) else { return false };
        let call = oauth.refresh_call.iter().flat_map(|call| {
            call.parameters.values().chain(call.headers.values()).chain(&call.body).chain([&call.url])
        });
        let mut texts = oauth.refresh_parameters.iter().flat_map(|parameters| parameters.values()).chain(call);
        texts.any(|text| template::variables(text).is_ok_and(|used| used.iter().any(|name| name == "redirect_uri")))
    }

    /// Stores the credential and activates the account.
    pub(super) fn activation(&self, activation: Activation) -> Statement {
        let (project, id) = (&self.account.project_id, &self.account.id);
        match self.link.purpose {
            LinkPurpose::Connect => accounts::activate(project, id, activation),
            LinkPurpose::Reconnect => accounts::reconnect(project, id, activation),
        }
    }
}

impl Connector {
    /// Exchanges a code and connects the account. `provider` is the offer's provider if it is already resolved.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn exchange(
        &self,
        actor: &Actor,
        offer: &Offer,
        grant: &Grant,
        provider: Option<Provider<'_>>,
    ) -> Result<Finished> {
        let mut params = offer.params()?;
        if let Some(oauth1) = offer.toolkit.oauth1.as_ref().filter(|_| offer.scheme == Scheme::OAuth1) {
            let kept = grant.verifier.as_ref().ok_or_else(|| Error::internal("attempt without its credentials"))?;
            let client = self.credentials.client_for(
                &offer.toolkit,
                offer.scheme,
                &offer.config,
                &params,
                IssuedTo::CurrentClient,
            )?;
            return match self.providers.oauth1_finish(oauth1, &client, kept, &grant.code, &mut params).await {
                Ok(secrets) => {
                    let seconds = oauth1.expires_in.map(Duration::from_secs);
                    let expires_at = seconds.map(|lifetime| self.core.now() + lifetime);
                    let credential = TokenCredential { secrets, expires_at };
                    self.complete_connection(actor, offer, credential, params, None).await
                }
                Err(failure) => self.fail_exchange(actor, offer, &failure).await,
            };
        }
        let (mut client_id, mut learned) = (None, None);
        let request_params = params.clone();
        let provider = match provider {
            Some(provider) => Ok(provider),
            None => self.providers.provider(&offer.toolkit, offer.scheme, &offer.config, &request_params).await,
        };
        let token = match provider {
            Ok(provider) => {
                let (verifier, key) = (grant.verifier.as_ref(), grant.dpop_key.as_ref());
                client_id = Some(provider.client.client_id.clone());
                let exchanged = Box::pin(self.providers.exchange_code(
                    &provider,
                    &grant.code,
                    &grant.redirect_uri,
                    verifier,
                    &grant.state,
                    key,
                ))
                .await;
                let result = exchanged.as_ref().map_err(|unfinished| &unfinished.failure);
                learned = learned_by_exchange(&offer.config, &provider, result);
                exchanged
            }
            Err(error) => Err(Failure::Unsent(error).into()),
        };
        if let (Err(unfinished), Some(client_id)) = (&token, &client_id) {
            self.providers.handle_forgotten_client(actor, &offer.config, client_id, &unfinished.failure).await;
        }
        params.redirect_uri = offer.repeats_redirect_uri().then(|| grant.redirect_uri.clone());
        params.client_id = client_id.filter(|_| offer.scheme == Scheme::DcrOAuth);
        let finished = match token {
            Ok(token) => self.complete_with_tokens(actor, offer, token, params).await,
            Err(unfinished) => self.abandon_exchange(actor, offer, unfinished, &mut params).await,
        };
        // Only after the tokens are stored: nothing may come between the provider's response and the
        // store.
        if let Some(learned) = learned {
            self.providers.store_method(actor, &offer.config, learned).await;
        }
        finished
    }

    /// The tokens were issued: complete the connection.
    pub(super) async fn complete_with_tokens(
        &self,
        actor: &Actor,
        offer: &Offer,
        token: TokenSet,
        mut params: AccountParams,
    ) -> Result<Finished> {
        failpoint::hit("after_code_response");
        if offer.is_reconnect() {
            params.requested_scopes.clone_from(&offer.asked.scopes);
            params.requested_user_scopes.clone_from(&offer.asked.user_scopes);
            params.granted_scopes = None;
        }
        params.refresh_expires_at = None;
        params.only_token = None;
        let must_refresh = offer.toolkit.oauth(offer.scheme).map(|oauth| oauth.refresh_token);
        let lacks_refresh = token.refresh_token.is_none() && must_refresh == Some(RefreshToken::Required);
        let answer = token.rest.0.clone();
        let credential = TokenCredential::new(token, &mut params, self.core.now());
        if lacks_refresh {
            let reason = ReasonCode::NoRefreshToken.into();
            let refused = UnusedTokens { secrets: &credential.secrets, verification_id: None, identity: None };
            return self.reject_connection(actor, offer, refused, &reason).await;
        }
        self.complete_connection(actor, offer, credential, params, Some(&answer)).await
    }

    /// The exchange did not complete; revokes the tokens that were issued on the way.
    pub(super) async fn abandon_exchange(
        &self,
        actor: &Actor,
        offer: &Offer,
        unfinished: FailedExchange,
        params: &mut AccountParams,
    ) -> Result<Finished> {
        if let Some(issued) = unfinished.issued {
            let secrets = TokenCredential::new(*issued, params, self.core.now()).secrets;
            let refused = UnusedTokens { secrets: &secrets, verification_id: None, identity: None };
            self.revoke_unused_tokens(offer, refused).await?;
        }
        self.fail_exchange(actor, offer, &unfinished.failure).await
    }

    pub(super) async fn fail_exchange(&self, actor: &Actor, offer: &Offer, failure: &Failure) -> Result<Finished> {
        tracing::warn!(account.id = %offer.account.id, toolkit = %offer.toolkit.slug, reason = %failure.log_text(), "token exchange failed");
        let shown = failure.message();
        let code = match failure {
            Failure::Unsent(error) if error.code() == Code::AuthConfigBadRequest => ReasonCode::ExchangeNotSent,
            _ => ReasonCode::ExchangeFailed,
        };
        let reason =
            shown.as_ref().map_or_else(|| Reason::new(code), |shown| Reason::with_detail(code, shown.as_str()));
        let facts = failure.facts();
        if let Some(kept) = self.credentials.keep_unread(&offer.account, failure.unread()) {
            self.spool.apply_with_retry(kept).await?;
        }
        let finished = self.attempt_failed(actor, offer, (Ending::ProviderError, &reason), facts).await?;
        Ok(match (failure, shown) {
            (Failure::Lost(_) | Failure::Unsent(_), Some(ours)) => finished.with_finding(ours),
            (_, detail) => finished.with_detail(detail),
        })
    }

    /// When a new credential is due for a refresh; none where it cannot be refreshed.
    pub(in crate::app) fn first_due_at(
        &self,
        toolkit: &Toolkit,
        scheme: Scheme,
        credential: &TokenCredential,
    ) -> Option<Timestamp> {
        let renewal = Renewal::of(toolkit, scheme).filter(|renewal| renewal.is_possible(&credential.secrets))?;
        self.refresher.due_at(renewal.margin(), credential.expires_at)
    }

    /// Activates the account with its new credential.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn activate_account(
        &self,
        actor: &Actor,
        offer: &Offer,
        credential: TokenCredential,
        params: &AccountParams,
        verification_id: Option<&str>,
    ) -> Result<Finished> {
        let now = self.core.now();
        let (project, account) = (&actor.project_id, &offer.account.id);
        let activation = Activation {
            credential: Some(self.credentials.seal_credential(&(&offer.account).into(), params, &credential.secrets)),
            params: params.stored(),
            identity: params.identity.as_ref().map(|identity| identity.id.clone()),
            expires_at: credential.expires_at,
            refresh_due_at: self.first_due_at(&offer.toolkit, offer.scheme, &credential),
            now,
        };
        let facts = Facts {
            missing_scopes: missing_scopes(&params.requested_scopes, params.granted_scopes.as_deref()),
            expires_at: credential.expires_at,
            is_renewable: Some(activation.refresh_due_at.is_some()),
            is_reconnect: offer.is_reconnect(),
            ..Facts::of_link(&offer.link.id)
        };
        let grant =
            self.revocations.record_grant(account, &offer.toolkit, &offer.config, params, Some(&credential.secrets))?;
        let unit = links::end(&offer.link.id, LinkOutcome::Success, now)
            .with(offer.activation(activation))
            .and(revocations::cancel_conditional_of_account(project, account))
            .with(self.core.audit(
                actor,
                AuditAction::AccountConnect,
                account,
                AuditOutcome::Ok,
                Some(facts.to_text()),
            ));
        let unit = grant.into_iter().fold(unit, Unit::with);
        match self.spool.apply_with_retry(unit).await {
            Ok(()) => {
                self.core.connection_waiters.wake(project, &offer.account.user_id);
                Ok(offer.finished(Ending::Success))
            }
            // The account was deleted or the link ended while the provider responded.
            Err(WriteError::Refused(_)) => {
                // The form was submitted twice, and the other request finished first.
                if self.already_has_credential(offer, &credential.secrets).await? {
                    return Ok(offer.finished(Ending::Success));
                }
                let identity = params.identity.as_ref();
                self.revoke_unused_tokens(
                    offer,
                    UnusedTokens { secrets: &credential.secrets, verification_id, identity },
                )
                .await?;
                self.current_outcome(offer).await
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_verifier_and_key_are_split_again() {
        let secret = |text: Option<&str>| text.map(Secret::from);
        let key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----\n";
        for (verifier, key) in [(Some("v-1"), None), (Some("v-1"), Some(key)), (None, Some(key)), (None, None)] {
            let (first, second) = verifier_and_key(kept(secret(verifier), secret(key).as_ref()));
            let text = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());
            assert_eq!((text(first).as_deref(), text(second).as_deref()), (verifier, key));
        }
    }
}
