//! Confirmation of the user who finished a connection, where a project requires it (R05, contract
//! section 3.8).
//!
//! A link that was sent to another person can be finished in that person's browser. PKCE and the
//! browser's cookie do not prevent this, because that browser runs the whole flow. So the code (or the
//! entered credential) is stored sealed, and the browser goes to the project's verifier URL with a
//! one-time session URI. The token request is sent only after the developer has named, with its API
//! key, the user of that browser, and it is the user of the link.

use std::sync::Arc;

use switchboard_store::attempts::{self, AttemptRow};
use switchboard_store::verifications::{self, ParkedKind, VerificationRow};
use switchboard_store::{Refusal, Unit, WriteError, links};
use switchboard_types::{AccountId, AccountParams, AuditAction, AuditOutcome, LinkOutcome, Reason, ReasonCode};
use switchboard_vault::{OneTimeToken, Secret, Secrets};
use url::Url;

use super::attempt::ExchangeWait;
use super::exchange::Grant;
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::app::model::params::with_derived_values;
use crate::error::{Code, Error, Result};
use crate::id::Kind;

/// A connection whose user was confirmed.
#[derive(Debug)]
pub struct Confirmed {
    /// The account.
    pub account_id: AccountId,
    /// Toolkit slug.
    pub toolkit: String,
    /// Where the user chooses one of several options; the account is not ACTIVE before.
    pub choose_url: Option<String>,
}

impl Connector {
    /// Stores a code until the developer has confirmed the user.
    pub(super) async fn store_pending_code(
        &self,
        actor: &Actor,
        offer: &Offer,
        attempt: &AttemptRow,
        grant: Grant,
    ) -> Result<Finished> {
        let mut parked = Secrets::from([("code", grant.code)]);
        if let Some(verifier) = grant.verifier {
            parked.insert("code_verifier", verifier);
        }
        if let Some(key) = grant.dpop_key {
            parked.insert("dpop_key", key);
        }
        parked.insert("state", Secret::new(grant.state));
        let unit = Unit::new().with(attempts::consume(&attempt.id, self.core.now())).with(self.core.audit(
            actor,
            AuditAction::LinkCallback,
            &attempt.account_id,
            AuditOutcome::AwaitingConfirmation,
            None,
        ));
        self.store_pending(offer, ParkedKind::Code, &parked, Some(grant.redirect_uri), &offer.account.params, unit)
            .await
    }

    /// Stores an entered credential until the developer has confirmed the user.
    pub(super) async fn store_pending_entered(
        &self,
        actor: &Actor,
        offer: &Offer,
        secrets: &Secrets,
        params: &AccountParams,
    ) -> Result<Finished> {
        let unit = Unit::new().with(verifications::cancel_of_attempt(&offer.link.id, None, self.core.now())).with(
            self.core.audit(actor, AuditAction::LinkEnter, &offer.account.id, AuditOutcome::AwaitingConfirmation, None),
        );
        self.store_pending(offer, ParkedKind::Credential, secrets, None, params, unit).await
    }

    async fn store_pending(
        &self,
        offer: &Offer,
        kind: ParkedKind,
        parked: &Secrets,
        redirect_uri: Option<String>,
        params: &AccountParams,
        unit: Unit,
    ) -> Result<Finished> {
        let now = self.core.now();
        let id = self.core.mint(Kind::Verification);
        let session = OneTimeToken::new(&*self.core.entropy, &id);
        let project = &offer.link.project_id;
        let mut row = VerificationRow {
            project_id: project.clone(),
            link_id: offer.link.id.clone(),
            account_id: offer.account.id.clone(),
            auth_config_version: offer.config.updated_at,
            token_hash: session.digest().to_vec(),
            kind,
            parked_sealed: None,
            params: Box::new(params.stored()),
            redirect_uri,
            created_at: now,
            expires_at: now + self.core.settings.link_ttl,
            consumed_at: None,
            attempt_id: offer.attempt_id.clone(),
            id: id.into(),
        };
        row.parked_sealed = Some(self.credentials.seal_pending(&row, &offer.account, parked));
        let unit = Unit::new().with(links::is_open(&offer.link.id)).and(unit).with(verifications::insert(&row));
        match self.core.store.apply(unit).await {
            Ok(_) => {}
            // Another request used the same state, or ended the link.
            Err(WriteError::Refused(_)) => return Ok(Finished::without_link(Ending::Invalid)),
            Err(error) => return Err(error.into()),
        }
        let mut finished = offer.finished(Ending::Unconfirmed);
        finished.verify_url = offer.verifier_url.as_deref().and_then(|url| verify_url(url, session.text()));
        Ok(finished)
    }

    /// The developer names the user who finished (`complete_auth`). If it is the user of the link, the
    /// code is exchanged now. Otherwise the connection fails for good.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn complete_auth(self: &Arc<Self>, actor: &Actor, session_uri: &str, user: &str) -> Result<Confirmed> {
        let unknown = || Error::of(Code::AuthSessionNotFound, &[]);
        let id = OneTimeToken::row_id(session_uri).ok_or_else(unknown)?;
        let row = self.core.store.verification(&actor.project_id, id).await?;
        let row = row.filter(|row| row.kind != ParkedKind::Choice).ok_or_else(unknown)?;
        let is_live = row.consumed_at.is_none() && self.core.now() < row.expires_at;
        if !OneTimeToken::matches(session_uri, &row.token_hash) || !is_live {
            return Err(unknown());
        }
        let link = match self.wait_for_exchange(&row.link_id, Some(&row.id)).await? {
            ExchangeWait::Open(link) => link,
            ExchangeWait::Ended(_) => return Err(unknown()),
            ExchangeWait::Busy => return Err(busy()),
        };
        // The verification has its own expiry; the link's is for opening it.
        let Visit::Open(mut offer) = self.visit_link(link, Some(row.expires_at)).await? else {
            return Err(unknown());
        };
        offer.attempt_id.clone_from(&row.attempt_id);
        offer.holder = Some(row.id.clone());
        let (app, actor, user) = (Arc::clone(self), actor.clone(), user.to_owned());
        // The stored code is consumed from here on, so the rest runs without the caller (R35).
        let task = self.core.tasks.spawn(async move { Box::pin(app.confirm(&actor, *offer, row, &user)).await });
        task.await.map_err(Error::internal)?
    }

    /// Consumes a session URI: completes the connection, or ends it for a wrong user.
    #[tracing::instrument(level = "debug", skip_all)]
    async fn confirm(&self, actor: &Actor, mut offer: Offer, row: VerificationRow, user: &str) -> Result<Confirmed> {
        let is_theirs = offer.account.user_id == user;
        let outcome = if is_theirs { AuditOutcome::Ok } else { AuditOutcome::WrongUser };
        let facts = Facts::of_link(&row.link_id).to_text();
        let mut unit = Unit::new()
            .with(verifications::consume(&actor.project_id, &row.id, self.core.now()))
            .with(self.core.audit(actor, AuditAction::LinkConfirm, &row.account_id, outcome, Some(facts)));
        if is_theirs {
            unit.push(self.claim_exchange(&row.link_id, &row.id));
        }
        match self.core.store.apply(unit).await {
            Ok(_) => {}
            Err(WriteError::Refused(Refusal::ExchangeBusy)) => return Err(busy()),
            Err(WriteError::Refused(_)) => return Err(Error::of(Code::AuthSessionNotFound, &[])),
            Err(error) => return Err(error.into()),
        }
        if !is_theirs {
            self.end_link(actor, &offer.link, &offer.account, LinkOutcome::Failed, &ReasonCode::WrongUser.into())
                .await?;
            return Err(Error::new(
                Code::AccountBadRequest,
                "The user who finished the connection is not the one it was created for",
            )
            .fix("Nothing was connected. Create a new link for the user who is signed in, and complete that."));
        }
        if offer.config.updated_at != row.auth_config_version {
            let reason = Reason::new(ReasonCode::AuthConfigChangedLater);
            self.attempt_failed(actor, &offer, (Ending::ProviderError, &reason), Facts::default()).await?;
            return Err(Error::new(Code::AccountBadRequest, reason.to_string()).fix("Create a new link."));
        }
        // The code belongs to the fields of its own attempt.
        offer.account.params.clone_from(&row.params);
        Box::pin(self.complete_confirmed(actor, &offer, row)).await
    }

    async fn complete_confirmed(&self, actor: &Actor, offer: &Offer, row: VerificationRow) -> Result<Confirmed> {
        let mut parked = self.credentials.open_pending(&row, &offer.account)?;
        let finished = match row.kind {
            // Chosen by the user's browser, not by a developer.
            ParkedKind::Choice => return Err(Error::of(Code::AuthSessionNotFound, &[])),
            ParkedKind::Credential => {
                let params = with_derived_values(&row.params, &offer.toolkit, offer.scheme);
                self.activate_entered(actor, offer, parked, params).await?
            }
            ParkedKind::Code => {
                let code = parked.remove("code").ok_or_else(|| Error::internal("verification without its code"))?;
                let redirect_uri = row.redirect_uri.unwrap_or_default();
                let state = parked.remove("state").map(|state| state.expose().to_owned()).unwrap_or_default();
                let (verifier, dpop_key) = (parked.remove("code_verifier"), parked.remove("dpop_key"));
                let grant = Grant { code, verifier, dpop_key, redirect_uri, state };
                Box::pin(self.exchange(actor, offer, &grant, None)).await?
            }
        };
        match finished.ending {
            Ending::Success | Ending::Choose => Ok(Confirmed {
                account_id: offer.account.id.clone(),
                toolkit: offer.account.toolkit.clone(),
                choose_url: finished.choose_url,
            }),
            Ending::ProviderError | Ending::AccountMismatch => Err(Error::new(
                Code::AccountBadRequest,
                format!(
                    "The provider did not complete the connection{}",
                    finished.detail.or(finished.finding).map(|why| format!(": {why}")).unwrap_or_default()
                ),
            )
            .fix("Codes of providers live for a minute or less: confirm at once. Create a new link.")),
            _ => Err(Error::of(Code::AuthSessionNotFound, &[])),
        }
    }
}

/// Another attempt of the same link is being connected right now.
fn busy() -> Error {
    Error::of(Code::Conflict, &[("reason", &"Another attempt of the same link is being connected")])
        .fix("Read the account in a few seconds: it is connected then, or call complete_auth again.")
}

/// The verifier URL with its own query kept and the session URI appended.
fn verify_url(base: &str, session_uri: &str) -> Option<String> {
    let mut url = Url::parse(base).ok()?;
    url.query_pairs_mut().append_pair("session_uri", session_uri);
    Some(url.into())
}
