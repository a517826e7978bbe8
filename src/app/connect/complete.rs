//! Identifies the account behind a new credential, checks that it is the expected one, and activates
//! it.

use serde_json::Value;
use switchboard_store::{Unit, revocations};
use switchboard_types::{AccountIdentity, AccountParams, AuditAction, AuditOutcome, Reason, ReasonCode};
use switchboard_vault::Secrets;

use super::choose::PendingConnection;
use super::visit::Offer;
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::model::expected_identity::Expectation;
use crate::app::provider::{PostConnectOutcome, Selections, TokenCredential};
use crate::error::Result;

impl Connector {
    /// Completes a connection: runs the toolkit's follow-up requests, checks the identity and activates
    /// the account. `answer` is the token response. Revokes the tokens if the account must not be
    /// connected.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn complete_connection(
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
        self.complete_after_choice(
            actor,
            offer,
            PendingConnection { credential, params, chosen: Selections::new(), verification_id: None },
        )
        .await
    }

    /// The same with the choices that the user made so far.
    pub(super) async fn complete_after_choice(
        &self,
        actor: &Actor,
        offer: &Offer,
        pending: PendingConnection,
    ) -> Result<Finished> {
        let PendingConnection { credential, mut params, chosen, verification_id } = pending;
        let secrets = self.providers.signing_secrets(
            &offer.toolkit,
            offer.scheme,
            &offer.config,
            &params,
            &credential.secrets,
        )?;
        let found = self.providers.post_connect(&offer.toolkit, offer.scheme, &secrets, &mut params, &chosen).await;
        match found {
            Ok(PostConnectOutcome::Complete) => {}
            Ok(PostConnectOutcome::Choose { title, options }) => {
                let pending = PendingConnection { credential, params, chosen, verification_id };
                return self.store_pending_choice(actor, offer, &pending, title, options).await;
            }
            Err(error) => {
                tracing::warn!(account.id = %offer.account.id, error = error.message(), "connection could not be completed");
                let identity = params.identity.as_ref();
                let refused = UnusedTokens {
                    secrets: &credential.secrets,
                    verification_id: verification_id.as_deref(),
                    identity,
                };
                let reason = Reason::with_detail(ReasonCode::PostConnectFailed, error.message());
                return self.reject_connection(actor, offer, refused, &reason).await;
            }
        }
        if params.identity.is_none() {
            params.identity = self.providers.identify(&offer.toolkit, offer.scheme, &secrets, &params, None).await;
        }
        let before = offer.account.params.identity.clone().filter(|_| offer.is_reconnect());
        let expectation = Expectation::parse(offer.link.expected.as_deref())?;
        if let Some(code) = expectation.mismatch(before.as_ref(), params.identity.as_ref()) {
            let identity = params.identity.as_ref();
            let refused =
                UnusedTokens { secrets: &credential.secrets, verification_id: verification_id.as_deref(), identity };
            self.revoke_unused_tokens(offer, refused).await?;
            let reason = Reason::new(code);
            let ending = (Ending::AccountMismatch, &reason);
            let mut finished = self.attempt_failed(actor, offer, ending, Facts::default()).await?;
            // Only for the page: the person who signed in may see the name of their own account.
            finished.signed_in = identity.map(|identity| identity.display_name().to_owned());
            return Ok(finished.with_finding(reason.to_string()));
        }
        params.consented_at = Some(self.core.now());
        self.activate_account(actor, offer, credential, &params, verification_id.as_deref()).await
    }

    /// Ends a connection that must not be completed, and revokes its tokens.
    pub(super) async fn reject_connection(
        &self,
        actor: &Actor,
        offer: &Offer,
        refused: UnusedTokens<'_>,
        reason: &Reason,
    ) -> Result<Finished> {
        self.revoke_unused_tokens(offer, refused).await?;
        let finished = self.attempt_failed(actor, offer, (Ending::ProviderError, reason), Facts::default()).await?;
        Ok(finished.with_finding(reason.to_string()))
    }

    /// Revokes tokens that no account uses, unless an active account may share their grant: revoking
    /// one token may end the whole grant (RFC 7009 section 2.1).
    pub(super) async fn revoke_unused_tokens(&self, offer: &Offer, refused: UnusedTokens<'_>) -> Result<()> {
        let UnusedTokens { secrets, verification_id, identity } = refused;
        if !offer.has_issued_tokens() {
            return Ok(());
        }
        let project = &offer.account.project_id;
        let is_shared_grant = match identity {
            Some(identity) => self.is_connected(offer, identity).await?,
            // Most likely the user whose account it is.
            None => self.core.store.user_has_credential(project, &offer.account.user_id, &offer.config.id).await?,
        };
        if is_shared_grant {
            let mut unit = Unit::new().with(self.core.audit(
                &Actor::system(project),
                AuditAction::AccountRevoke,
                &offer.account.id,
                AuditOutcome::Kept,
                None,
            ));
            if let Some(verification) = verification_id {
                unit = unit.and(revocations::cancel_conditional(project, verification));
            }
            self.spool.apply_with_retry(unit).await?;
            return Ok(());
        }
        if let Some(verification) = verification_id {
            let unit = revocations::make_unconditional(project, verification, self.core.now());
            self.spool.apply_with_retry(unit).await?;
            self.revocations.wake_up();
            return Ok(());
        }
        let mut account = offer.account.clone();
        if let Some(identity) = identity {
            // The identity decides which other accounts share the grant.
            account.params.identity = Some(identity.clone());
        }
        self.revocations.revoke_unwanted(&account, &offer.config, secrets).await
    }

    /// Whether an account of the same auth config is connected as this identity.
    async fn is_connected(&self, offer: &Offer, identity: &AccountIdentity) -> Result<bool> {
        let (project, config) = (&offer.account.project_id, &offer.config.id);
        // The account itself may be connected with an unknown identity.
        let own = self.core.store.account(project, &offer.account.id).await?;
        if let Some(own) = own.filter(|own| own.credential_sealed.is_some())
            && own.params.identity.is_none()
        {
            return Ok(true);
        }
        // Another tenant of the same person may share the grant.
        Ok(self.core.store.is_connected_as(project, config, &identity.id).await?)
    }
}

/// Tokens that no account uses.
#[derive(Clone, Copy)]
pub(super) struct UnusedTokens<'a> {
    pub secrets: &'a Secrets,
    /// The verification that holds them.
    pub verification_id: Option<&'a str>,
    /// Their identity, where the provider gave one.
    pub identity: Option<&'a AccountIdentity>,
}

crate::redacted_debug!(UnusedTokens<'a>);
