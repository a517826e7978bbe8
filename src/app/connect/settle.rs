//! A credential is there: who is it, where is its data, and may it be? Only then does the account
//! work with it.

use serde_json::Value;

use super::choose::Pending;
use super::visit::Offer;
use super::{Ending, Finished, TokenCredential};
use crate::app::expectation::Expectation;
use crate::app::params::AccountParams;
use crate::app::provider::{Chosen, Found};
use crate::app::{Actor, App};
use crate::error::Result;

impl App {
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
        let secrets = self.signing_secrets(offer.scheme, &offer.config, &credential.secrets)?;
        if offer.toolkit.identity.as_ref().is_some_and(|identity| identity.request.is_none()) {
            params.identity = self.identify(&offer.toolkit, offer.scheme, &secrets, &params, answer).await;
        }
        self.settle_chosen(actor, offer, Pending { credential, params, chosen: Chosen::new() }).await
    }

    /// The same with what the user chose so far.
    pub(super) async fn settle_chosen(&self, actor: &Actor, offer: &Offer, pending: Pending) -> Result<Finished> {
        let Pending { credential, mut params, chosen } = pending;
        let secrets = self.signing_secrets(offer.scheme, &offer.config, &credential.secrets)?;
        let found = self.post_connect(&offer.toolkit, offer.scheme, &secrets, &mut params, &chosen).await;
        match found {
            Ok(Found::Settled) => {}
            Ok(Found::Choose { step, title, options }) => {
                let pending = Pending { credential, params, chosen };
                return self.park_choice(actor, offer, &pending, step, title, options).await;
            }
            Err(error) => {
                tracing::warn!(account.id = %offer.account.id, error = error.message(), "a connection could not be completed");
                return self.refuse_connection(actor, offer, &credential, error.message()).await;
            }
        }
        if params.identity.is_none() {
            params.identity = self.identify(&offer.toolkit, offer.scheme, &secrets, &params, None).await;
        }
        let before = AccountParams::parse(&offer.account.params)?.identity.filter(|_| offer.is_reconnect());
        let expectation = Expectation::parse(offer.link.expected.as_deref())?;
        if let Some(reason) = expectation.mismatch(before.as_ref(), params.identity.as_ref()) {
            return self.refuse_connection(actor, offer, &credential, &reason).await;
        }
        params.consented_at = Some(self.now());
        self.activate_exchanged(actor, offer, credential, &params).await
    }

    /// Ends a connection that must not be, and gives its tokens back.
    async fn refuse_connection(
        &self,
        actor: &Actor,
        offer: &Offer,
        credential: &TokenCredential,
        reason: &str,
    ) -> Result<Finished> {
        if offer.scheme.is_redirect() {
            self.revoke_unwanted(&offer.account, &offer.config, &credential.secrets).await?;
        }
        self.end_link(actor, &offer.link, &offer.account, "failed", reason).await?;
        let finished = Finished::of(Ending::ProviderError, &offer.link, &offer.account.toolkit);
        Ok(finished.saying(Some(reason.to_owned())))
    }
}
