//! Keys, tokens and passwords that the visitor enters: validated, verified at the provider where the
//! toolkit says how, then sealed. An entered secret is never shown again.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_auth::TokenErrorKind;
use switchboard_catalog::{Probe, Scheme};
use switchboard_store::accounts::AccountStatus;
use switchboard_types::{AccountParams, AuditOutcome, Reason, ReasonCode};
use switchboard_vault::Secrets;

use super::start::Started;
use super::visit::Offer;
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::model::params::with_derived_values;
use crate::app::provider::request::Verification;
use crate::app::provider::{Failure, TokenCredential};
use crate::error::{Code, Error, Result};

impl Connector {
    /// Accepts an entered credential. Nothing is written before the provider has verified it: a
    /// mistyped key leaves the link unchanged for a retry.
    pub(super) async fn enter_secrets(
        self: &Arc<Self>,
        actor: Actor,
        offer: Box<Offer>,
        form: &Secrets,
    ) -> Result<Started> {
        let entered = match offer.read(form) {
            Ok(entered) => entered.into_credential(offer.scheme, &offer.toolkit),
            Err(wrong) => return Ok(Started::Form { offer, wrong, message: None }),
        };
        self.limits.count_link_submission(&offer.link.id)?;
        if offer.verifier_url.is_some() && offer.toolkit.token_scheme(offer.scheme).is_some() {
            // Fetching a token is a token request, which waits for the developer's confirmation (R05).
            let params = AccountParams::from_fields(entered.fields);
            return self.store_pending_entered(&actor, &offer, &entered.secrets, &params).await.map(Started::Ended);
        }
        let connector = Arc::clone(self);
        // A second click cancels the browser's first request; its work is finished anyway.
        let task = self.core.tasks.spawn(async move {
            let params = with_derived_values(&AccountParams::from_fields(entered.fields), &offer.toolkit, offer.scheme);
            if let Some(message) = connector.verify_entered_credential(&offer, &entered.secrets, &params).await {
                let facts = Facts { detail: Some(message.clone()), ..Facts::default() };
                connector.record_refusal(&actor, &offer.account.id, AuditOutcome::CredentialRefused, &facts).await;
                return Ok(Started::Form { offer, wrong: BTreeMap::new(), message: Some(message) });
            }
            if offer.verifier_url.is_some() {
                return connector
                    .store_pending_entered(&actor, &offer, &entered.secrets, &params)
                    .await
                    .map(Started::Ended);
            }
            match connector.credential_of(&offer, entered.secrets, params).await {
                Ok((credential, params)) => {
                    connector.complete_connection(&actor, &offer, credential, params, None).await.map(Started::Ended)
                }
                Err(failure) => {
                    let facts = failure.facts();
                    connector.record_refusal(&actor, &offer.account.id, AuditOutcome::CredentialRefused, &facts).await;
                    let message = Some(refusal_message(&offer.toolkit.name, &failure));
                    Ok(Started::Form { offer, wrong: BTreeMap::new(), message })
                }
            }
        });
        task.await.map_err(Error::internal)?
    }

    /// The account's credential: what was entered and, for some schemes, a token that was requested
    /// with it.
    pub(super) async fn credential_of(
        &self,
        offer: &Offer,
        secrets: Secrets,
        mut params: AccountParams,
    ) -> std::result::Result<(TokenCredential, AccountParams), Failure> {
        let Some(tokens) = offer.toolkit.token_scheme(offer.scheme) else {
            return Ok((TokenCredential { secrets, expires_at: None }, params));
        };
        let token = self.providers.fetch_token(tokens, &secrets, &params).await?;
        let mut credential = TokenCredential::new(token, &mut params, self.core.now());
        for (name, secret) in secrets.iter() {
            credential.secrets.insert(name, secret.clone());
        }
        if let Some(probe) = &tokens.verify
            && let Some(why) = self.verify_with_probe(offer, probe, &credential.secrets, &params).await
        {
            return Err(Failure::Unsent(Error::new(Code::AuthConfigBadRequest, why)));
        }
        Ok((credential, params))
    }

    /// Why the provider does not accept the credential, as a message for the visitor. None when it
    /// does, or when the toolkit has no verification.
    async fn verify_entered_credential(
        &self,
        offer: &Offer,
        secrets: &Secrets,
        params: &AccountParams,
    ) -> Option<String> {
        self.verify_with_probe(offer, verification(offer)?, secrets, params).await
    }

    /// The same with a given request.
    async fn verify_with_probe(
        &self,
        offer: &Offer,
        probe: &Probe,
        secrets: &Secrets,
        params: &AccountParams,
    ) -> Option<String> {
        let name = &offer.toolkit.name;
        match self.providers.probe(&offer.toolkit, offer.scheme, probe, secrets, params).await {
            Ok((Verification::Accepted, _)) => None,
            Ok((Verification::Refused, _)) => {
                Some(format!("{name} does not accept this. Check that it was copied completely and is still valid."))
            }
            Ok((Verification::Unclear, _)) => {
                Some(format!("{name} could not confirm this right now. Try again in a minute."))
            }
            Err(error) => {
                tracing::warn!(toolkit = %offer.toolkit.slug, error = error.message(), "verification failed");
                Some(format!("{name} could not be reached to confirm this. Try again in a minute."))
            }
        }
    }

    /// Activates the account with an entered credential, once its user was confirmed.
    pub(super) async fn activate_entered(
        &self,
        actor: &Actor,
        offer: &Offer,
        secrets: Secrets,
        params: AccountParams,
    ) -> Result<Finished> {
        match self.credential_of(offer, secrets, params).await {
            Ok((credential, params)) => self.complete_connection(actor, offer, credential, params, None).await,
            Err(failure) => {
                let message = refusal_message(&offer.toolkit.name, &failure);
                let reason = Reason::with_detail(ReasonCode::CredentialRefused, message.as_str());
                let facts = failure.facts();
                let finished = self.attempt_failed(actor, offer, (Ending::ProviderError, &reason), facts).await?;
                Ok(finished.with_finding(message))
            }
        }
    }

    /// Whether the account is already connected with exactly this credential: the form was submitted
    /// twice.
    pub(super) async fn already_has_credential(&self, offer: &Offer, secrets: &Secrets) -> Result<bool> {
        let account = self.core.store.account(&offer.account.project_id, &offer.account.id).await?;
        let Some(account) = account.filter(|account| account.status == AccountStatus::Active) else {
            return Ok(false);
        };
        let (mut stored, mut given) = (self.credentials.open_credential(&account)?, secrets.clone());
        if offer.toolkit.token_scheme(offer.scheme).is_some() {
            // Each submission requested its own token.
            stored.remove("access_token");
            given.remove("access_token");
        }
        Ok(stored == given)
    }
}

fn verification(offer: &Offer) -> Option<&Probe> {
    let toolkit = &offer.toolkit;
    match offer.scheme {
        Scheme::ApiKey => toolkit.api_key.as_ref()?.verify.as_ref(),
        Scheme::BearerToken => match &toolkit.bearer_token {
            Some(bearer) => bearer.verify.as_ref(),
            None => toolkit.identity_of(Scheme::BearerToken)?.request.as_ref(),
        },
        Scheme::Basic => toolkit.basic.as_ref()?.verify.as_ref(),
        // The token request itself verifies what was entered.
        _ => None,
    }
}

/// Why the provider issued no token for an entered credential, as a message for the visitor.
fn refusal_message(name: &str, failure: &Failure) -> String {
    match failure {
        Failure::Refused { error, .. }
            if !matches!(error.kind, TokenErrorKind::Transient | TokenErrorKind::Unreadable) =>
        {
            let reason = failure.message().map(|reason| format!(" ({reason})")).unwrap_or_default();
            format!("{name} does not accept this{reason}. Check that it was copied completely and is still valid.")
        }
        Failure::Unsent(error) if error.code() == Code::AuthConfigBadRequest => error.message().to_owned(),
        _ => format!("{name} could not be reached to confirm this. Try again in a minute."),
    }
}
