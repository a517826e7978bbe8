//! A credential is there: who is it, where is its data, and may it be? Only then does the account
//! work with it.

use serde_json::Value;
use switchboard_store::links::LinkPurpose;

use super::visit::Offer;
use super::{Ending, Finished, TokenCredential};
use crate::app::params::{AccountIdentity, AccountParams};
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
        let before = params.identity.take();
        if offer.toolkit.identity.as_ref().is_some_and(|identity| identity.request.is_none()) {
            params.identity = self.identify(&offer.toolkit, offer.scheme, &credential.secrets, &params, answer).await;
        }
        let chosen = Chosen::new();
        let found = self.post_connect(&offer.toolkit, offer.scheme, &credential.secrets, &mut params, &chosen).await;
        match found {
            Ok(Found::Settled) => {}
            Ok(Found::Choose { .. }) => {
                return self.refuse_connection(actor, offer, &credential, "several to choose from").await;
            }
            Err(error) => {
                tracing::warn!(account.id = %offer.account.id, error = error.message(), "a connection could not be completed");
                return self.refuse_connection(actor, offer, &credential, error.message()).await;
            }
        }
        if params.identity.is_none() {
            params.identity = self.identify(&offer.toolkit, offer.scheme, &credential.secrets, &params, answer).await;
        }
        if let Some(reason) = mismatch(offer, before.as_ref(), params.identity.as_ref()) {
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

/// Why an account is not the one that was meant; none when it is, or when nobody can tell.
fn mismatch(offer: &Offer, before: Option<&AccountIdentity>, now: Option<&AccountIdentity>) -> Option<String> {
    let (LinkPurpose::Reconnect, Some(before)) = (offer.link.purpose, before) else { return None };
    match now {
        Some(now) if now.is_same(before) => None,
        Some(now) => Some(format!(
            "account_mismatch: this connection belongs to {}, and {} signed in",
            before.shown(),
            now.shown()
        )),
        None => Some("account_mismatch: the provider did not say which account signed in".to_owned()),
    }
}
