//! A credential is there: who is it, where is its data, and may it be? Only then does the account
//! work with it.

use serde_json::Value;
use switchboard_store::{Unit, revocations};
use switchboard_vault::Secrets;

use super::choose::Pending;
use super::visit::Offer;
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::model::expected_identity::Expectation;
use crate::app::model::params::{AccountIdentity, AccountParams};
use crate::app::provider::{Chosen, Found, TokenCredential};
use crate::error::Result;

impl Connector {
    /// Learns what the toolkit wants to know of the account, checks that it is the expected one, and
    /// connects it. `answer` is the token answer. What must not be connected is given back to its
    /// provider.
    pub(super) async fn settle_connection(
        &self,
        actor: &Actor,
        offer: &Offer,
        credential: TokenCredential,
        mut params: AccountParams,
        answer: Option<&Value>,
    ) -> Result<Finished> {
        params.identity = None;
        let secrets = self.providers.signing_secrets(
            &offer.toolkit,
            offer.scheme,
            &offer.config,
            &params,
            &credential.secrets,
        )?;
        if offer.toolkit.identity_of(offer.scheme).is_some_and(|identity| identity.request.is_none()) {
            params.identity = self.providers.identify(&offer.toolkit, offer.scheme, &secrets, &params, answer).await;
        }
        self.settle_chosen(actor, offer, Pending { credential, params, chosen: Chosen::new(), waited_in: None }).await
    }

    /// The same with what the user chose so far.
    pub(super) async fn settle_chosen(&self, actor: &Actor, offer: &Offer, pending: Pending) -> Result<Finished> {
        let Pending { credential, mut params, chosen, waited_in } = pending;
        let secrets = self.providers.signing_secrets(
            &offer.toolkit,
            offer.scheme,
            &offer.config,
            &params,
            &credential.secrets,
        )?;
        let found = self.providers.post_connect(&offer.toolkit, offer.scheme, &secrets, &mut params, &chosen).await;
        match found {
            Ok(Found::Settled) => {}
            Ok(Found::Choose { title, options }) => {
                let pending = Pending { credential, params, chosen, waited_in };
                return self.park_choice(actor, offer, &pending, title, options).await;
            }
            Err(error) => {
                tracing::warn!(account.id = %offer.account.id, error = error.message(), "a connection could not be completed");
                let identity = params.identity.as_ref();
                let refused = Refused { secrets: &credential.secrets, waited_in: waited_in.as_deref(), identity };
                return self.refuse_connection(actor, offer, refused, error.message()).await;
            }
        }
        if params.identity.is_none() {
            params.identity = self.providers.identify(&offer.toolkit, offer.scheme, &secrets, &params, None).await;
        }
        let before = AccountParams::parse(&offer.account.params)?.identity.filter(|_| offer.is_reconnect());
        let expectation = Expectation::parse(offer.link.expected.as_deref())?;
        if let Some(reason) = expectation.mismatch(before.as_ref(), params.identity.as_ref()) {
            let identity = params.identity.as_ref();
            let refused = Refused { secrets: &credential.secrets, waited_in: waited_in.as_deref(), identity };
            self.give_tokens_back(offer, refused).await?;
            let ending = (Ending::AccountMismatch, reason);
            let mut finished = self.attempt_failed(actor, offer, ending, Facts::default()).await?;
            // For the page alone: whoever signed in may read as whom.
            finished.signed_in = identity.map(|identity| identity.shown().to_owned());
            return Ok(finished.finding(reason));
        }
        params.consented_at = Some(self.core.now());
        self.activate_exchanged(actor, offer, credential, &params, waited_in.as_deref()).await
    }

    /// Ends a connection that must not be, and gives its tokens back.
    pub(super) async fn refuse_connection(
        &self,
        actor: &Actor,
        offer: &Offer,
        refused: Refused<'_>,
        reason: &str,
    ) -> Result<Finished> {
        self.give_tokens_back(offer, refused).await?;
        let finished = self.attempt_failed(actor, offer, (Ending::ProviderError, reason), Facts::default()).await?;
        Ok(finished.finding(reason))
    }

    /// Gives tokens back that no account gets, unless a working account may be of the same grant: to
    /// revoke one token of a grant may end them all (RFC 7009 section 2.1).
    pub(super) async fn give_tokens_back(&self, offer: &Offer, refused: Refused<'_>) -> Result<()> {
        let Refused { secrets, waited_in, identity } = refused;
        if !offer.has_bought_tokens() {
            return Ok(());
        }
        let project = &offer.account.project_id;
        let lives_on = match identity {
            Some(identity) => self.is_connected(offer, identity).await?,
            // Most likely the user whose account it is.
            None => self.core.store.user_has_credential(project, &offer.account.user_id, &offer.config.id).await?,
        };
        if lives_on {
            let mut unit = Unit::new().with(self.core.audit(
                &Actor::system(project),
                "connected_account.revoke",
                &offer.account.id,
                "kept",
                None,
            ));
            if let Some(verification) = waited_in {
                unit.push(revocations::cancel_conditional(project, verification));
            }
            self.spool.apply_patiently(unit).await?;
            return Ok(());
        }
        if let Some(verification) = waited_in {
            let unit = Unit::new().with(revocations::make_unconditional(project, verification, self.core.now()));
            self.spool.apply_patiently(unit).await?;
            self.revocations.wake_up();
            return Ok(());
        }
        let mut account = offer.account.clone();
        if let Some(identity) = identity {
            // It says who else may live on these.
            let params = AccountParams::parse(&account.params)?;
            account.params = AccountParams { identity: Some(identity.clone()), ..params }.to_text();
        }
        self.revocations.revoke_unwanted(&account, &offer.config, secrets).await
    }

    /// Whether an account of the same auth config works as this identity.
    async fn is_connected(&self, offer: &Offer, identity: &AccountIdentity) -> Result<bool> {
        let (project, config) = (&offer.account.project_id, &offer.config.id);
        // The account itself may work without anybody knowing as whom.
        let own = self.core.store.account(project, &offer.account.id).await?;
        if let Some(own) = own.filter(|own| own.credential_sealed.is_some())
            && AccountParams::parse(&own.params)?.identity.is_none()
        {
            return Ok(true);
        }
        // Another tenant of the same person may be the same grant.
        Ok(self.core.store.is_connected_as(project, config, &identity.id).await?)
    }
}

/// Tokens that no account gets.
#[derive(Clone, Copy)]
pub(super) struct Refused<'a> {
    pub secrets: &'a Secrets,
    /// The verification that they waited in.
    pub waited_in: Option<&'a str>,
    /// Whose they are, where the provider said.
    pub identity: Option<&'a AccountIdentity>,
}

crate::redacted_debug!(Refused<'a>);
