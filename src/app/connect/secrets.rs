//! Keys, tokens and passwords that the visitor enters: checked, proven at the provider where the
//! toolkit says how, then sealed. What was entered is never shown again.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_auth::TokenErrorKind;
use switchboard_catalog::{Probe, Scheme};
use switchboard_store::accounts::AccountStatus;
use switchboard_vault::Secrets;

use super::start::Started;
use super::visit::Offer;
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::model::params::AccountParams;
use crate::app::provider::request::Verification;
use crate::app::provider::{Failure, TokenCredential};
use crate::error::{Code, Error, Result};

impl Connector {
    /// Takes an entered credential. Nothing is written before the provider has confirmed it: a
    /// mistyped key leaves the link as it was, for another try.
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
            // Fetching a token is a token request, which waits for the developer's word (R05).
            let params = AccountParams::of_fields(entered.fields);
            return self.park_entered(&actor, &offer, &entered.secrets, &params).await.map(Started::Over);
        }
        let connector = Arc::clone(self);
        // A second click cancels the browser's first request; what that began is finished anyway.
        let task = self.core.tasks.spawn(async move {
            let params = AccountParams::of_fields(entered.fields).completed(&offer.toolkit, offer.scheme);
            if let Some(message) = connector.disproof(&offer, &entered.secrets, &params).await {
                let facts = Facts { detail: Some(message.clone()), ..Facts::default() };
                connector.note_refusal(&actor, &offer.account.id, "credential_refused", &facts).await;
                return Ok(Started::Form { offer, wrong: BTreeMap::new(), message: Some(message) });
            }
            if offer.verifier_url.is_some() {
                return connector.park_entered(&actor, &offer, &entered.secrets, &params).await.map(Started::Over);
            }
            match connector.credential_of(&offer, entered.secrets, params).await {
                Ok((credential, params)) => {
                    connector.settle_connection(&actor, &offer, credential, params, None).await.map(Started::Over)
                }
                Err(failure) => {
                    let facts = failure.facts();
                    connector.note_refusal(&actor, &offer.account.id, "credential_refused", &facts).await;
                    let message = Some(refused_words(&offer.toolkit.name, &failure));
                    Ok(Started::Form { offer, wrong: BTreeMap::new(), message })
                }
            }
        });
        task.await.map_err(Error::internal)?
    }

    /// What the account will work with: what was entered, and for some schemes a token that it buys.
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
            && let Some(why) = self.disproof_by(offer, probe, &credential.secrets, &params).await
        {
            return Err(Failure::Unsent(Error::new(Code::AuthConfigBadRequest, why)));
        }
        Ok((credential, params))
    }

    /// Why the credential is not accepted, in words for the visitor; none when it is, or when the
    /// toolkit has no way to tell.
    async fn disproof(&self, offer: &Offer, secrets: &Secrets, params: &AccountParams) -> Option<String> {
        self.disproof_by(offer, verification(offer)?, secrets, params).await
    }

    /// The same by one request.
    async fn disproof_by(
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

    /// Makes the account work with what was entered, once its user was confirmed.
    pub(super) async fn activate_entered(
        &self,
        actor: &Actor,
        offer: &Offer,
        secrets: Secrets,
        params: AccountParams,
    ) -> Result<Finished> {
        match self.credential_of(offer, secrets, params).await {
            Ok((credential, params)) => self.settle_connection(actor, offer, credential, params, None).await,
            Err(failure) => {
                let reason = refused_words(&offer.toolkit.name, &failure);
                let facts = failure.facts();
                let finished = self.attempt_failed(actor, offer, (Ending::ProviderError, &reason), facts).await?;
                Ok(finished.finding(reason))
            }
        }
    }

    /// Whether the account is connected with exactly this credential: the form was sent twice.
    pub(super) async fn holds(&self, offer: &Offer, secrets: &Secrets) -> Result<bool> {
        let account = self.core.store.account(&offer.account.project_id, &offer.account.id).await?;
        let Some(account) = account.filter(|account| account.status == AccountStatus::Active) else {
            return Ok(false);
        };
        let (mut held, mut given) = (self.credentials.open_credential(&account)?, secrets.clone());
        if offer.toolkit.token_scheme(offer.scheme).is_some() {
            // Each form bought a token of its own.
            held.remove("access_token");
            given.remove("access_token");
        }
        Ok(held == given)
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
        // A token proves what was entered.
        _ => None,
    }
}

/// Why a provider gave no token for what was entered, for whoever entered it.
fn refused_words(name: &str, failure: &Failure) -> String {
    match failure {
        Failure::Refused { error, .. }
            if !matches!(error.kind, TokenErrorKind::Transient | TokenErrorKind::Unreadable) =>
        {
            let said = failure.shown().map(|said| format!(" ({said})")).unwrap_or_default();
            format!("{name} does not accept this{said}. Check that it was copied completely and is still valid.")
        }
        Failure::Unsent(error) if error.code() == Code::AuthConfigBadRequest => error.message().to_owned(),
        _ => format!("{name} could not be reached to confirm this. Try again in a minute."),
    }
}
