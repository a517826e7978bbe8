//! The credential reaches several things (sites, workspaces), and the user selects one on our page
//! before the account becomes ACTIVE. Until then the credential is stored sealed, as it is while a
//! developer's confirmation is pending.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_store::accounts::AccountRow;
use switchboard_store::links::{self, LinkState};
use switchboard_store::verifications::{self, ParkedKind, VerificationRow};
use switchboard_store::{Unit, WriteError, revocations};
use switchboard_types::{AccountParams, AuditAction, AuditOutcome, LinkOutcome, Timestamp, format_compact};
use switchboard_vault::{OneTimeToken, Secret, Secrets};

use super::attempt::ExchangeWait;
use super::complete::UnusedTokens;
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::connect::Connector;
use crate::app::model::params::with_derived_values;
use crate::app::provider::{ConnectOption, Selections, TokenCredential};
use crate::error::{Error, Result};
use crate::id::Kind;

/// Name of the entry in the sealed secrets that holds the other data of a pending choice.
const WAITING: &str = "_waiting";
/// Deadline for completing a connection after the user's choice, including ten minutes for the
/// database. After it the tokens are revoked.
pub(super) const COMPLETION_TIMEOUT: Duration = Duration::from_mins(12);

/// A credential whose connection is not complete.
#[derive(Debug)]
pub(super) struct PendingConnection {
    pub credential: TokenCredential,
    pub params: AccountParams,
    /// The user's choices so far.
    pub chosen: Selections,
    /// The verification that holds it, with its conditional revocation.
    pub verification_id: Option<String>,
}

/// Stored beside the credential while the choice is pending.
#[derive(Debug, Deserialize, Serialize)]
struct PendingChoice {
    expires_at: Option<Timestamp>,
    chosen: Selections,
    title: String,
    options: Vec<ConnectOption>,
    /// The tokens are revoked unless the user chooses.
    #[serde(default, rename = "has_promise")]
    has_conditional_revocation: bool,
}

/// A pending choice.
#[derive(Debug)]
pub struct Choice {
    /// The question.
    pub title: String,
    /// The available options.
    pub options: Vec<ConnectOption>,
    /// The link, still open.
    pub offer: Box<Offer>,
    row: VerificationRow,
}

/// The result of a submitted choice.
#[derive(Debug)]
pub enum ChoiceResult {
    /// The submitted id is none of the options; ask again.
    NotAnOption(Choice),
    /// The choice could no longer be made.
    TooLate(Finished),
    /// The choice was made.
    Made {
        /// How the connection ended.
        finished: Finished,
        /// The attempt. Its cookie is cleared unless another question follows.
        attempt_id: Option<String>,
    },
}

impl Connector {
    /// Stores a credential until its user has chosen one of several options.
    pub(super) async fn store_pending_choice(
        &self,
        actor: &Actor,
        offer: &Offer,
        pending: &PendingConnection,
        title: String,
        options: Vec<ConnectOption>,
    ) -> Result<Finished> {
        let now = self.core.now();
        let expires_at = now + self.core.settings.link_ttl;
        let id = self.core.mint(Kind::Verification);
        let session = OneTimeToken::new(&*self.core.entropy, &id);
        let project = &offer.link.project_id;
        let waiting = PendingChoice {
            expires_at: pending.credential.expires_at,
            chosen: pending.chosen.clone(),
            title,
            options,
            has_conditional_revocation: offer.has_issued_tokens(),
        };
        let mut parked = pending.credential.secrets.clone();
        parked.insert(WAITING, Secret::new(serde_json::to_string(&waiting).map_err(Error::internal)?));
        let mut row = VerificationRow {
            project_id: project.clone(),
            link_id: offer.link.id.clone(),
            account_id: offer.account.id.clone(),
            auth_config_version: offer.config.updated_at,
            token_hash: session.digest().to_vec(),
            kind: ParkedKind::Choice,
            parked_sealed: None,
            params: Box::new(pending.params.stored()),
            redirect_uri: None,
            created_at: now,
            expires_at,
            consumed_at: None,
            attempt_id: offer.attempt_id.clone(),
            id: id.into(),
        };
        row.parked_sealed = Some(self.credentials.seal_pending(&row, &offer.account, &parked));
        let detail = json!({ "question": waiting.title, "choices": waiting.options.len() });
        let mut unit = Unit::new()
            .with(links::is_open(&offer.link.id))
            .with(verifications::cancel_of_attempt(&offer.link.id, offer.attempt_id.as_deref(), now))
            .with(verifications::insert(&row))
            .with(revocations::postpone_of_account(project, &offer.account.id, expires_at))
            .with(self.core.audit(
                actor,
                AuditAction::LinkChoose,
                &offer.account.id,
                AuditOutcome::Asked,
                Some(detail.to_string()),
            ));
        if let Some(holder) = &offer.holder {
            unit.push(links::release_exchange(&offer.link.id, holder));
        }
        if let Some(earlier) = &pending.verification_id {
            unit = unit.and(revocations::cancel_conditional(project, earlier));
        }
        if waiting.has_conditional_revocation {
            let secrets = &pending.credential.secrets;
            let conditional =
                self.revocations.conditional_revocation(&offer.account, &offer.config, secrets, &row.id, expires_at);
            unit = unit.and(revocations::insert(&conditional));
        }
        match self.spool.apply_with_retry(unit).await {
            Ok(()) => {}
            // The account was deleted or the link ended while the provider responded.
            Err(WriteError::Refused(_)) => {
                let (secrets, verification_id) = (&pending.credential.secrets, pending.verification_id.as_deref());
                let identity = pending.params.identity.as_ref();
                self.revoke_unused_tokens(offer, UnusedTokens { secrets, verification_id, identity }).await?;
                return self.current_outcome(offer).await;
            }
            Err(error) => return Err(error.into()),
        }
        let mut finished = offer.finished(Ending::Choose);
        finished.choose_url = Some(format!("{}/link/choice/{}", self.core.settings.public_url, session.text()));
        Ok(finished)
    }

    /// The pending choice of a browser; reads only. It must be the browser that started the attempt; an
    /// entered credential is bound to no browser.
    pub async fn choice(
        &self,
        token: &str,
        cookie: &impl Fn(&str) -> Option<String>,
    ) -> Result<std::result::Result<Choice, Finished>> {
        let invalid = || Ok(Err(Finished::without_link(Ending::Invalid)));
        let Some(id) = OneTimeToken::row_id(token) else { return invalid() };
        let Some(row) = self.core.store.choice(id).await? else { return invalid() };
        if !OneTimeToken::matches(token, &row.token_hash) {
            return invalid();
        }
        let Some(link) = self.core.store.link(&row.link_id).await? else { return invalid() };
        if !self.may_choose(&row, cookie).await? {
            // The cookie of an attempt is cleared when the attempt ends.
            let is_known = row.consumed_at.is_some() && self.has_used_link(&link, cookie).await?;
            let finished = if is_known {
                self.link_outcome(&link).await?
            } else {
                Finished::without_link(Ending::BrowserMismatch)
            };
            return Ok(Err(finished));
        }
        // The choice has its own expiry; the link's is for opening it.
        let mut offer = match self.visit_link(link, Some(row.expires_at)).await? {
            Visit::Open(offer) => offer,
            Visit::Ended(finished) => return Ok(Err(finished)),
        };
        offer.attempt_id.clone_from(&row.attempt_id);
        if row.consumed_at.is_some() {
            return Ok(Err(offer.finished(Ending::Used)));
        }
        if self.core.now() >= row.expires_at || offer.config.updated_at != row.auth_config_version {
            return Ok(Err(offer.finished(Ending::Expired)));
        }
        let (_, waiting) = self.waiting(&row, &offer.account)?;
        // On a reconnect, the account is unchanged until it has its new credential.
        if !offer.is_reconnect() {
            offer.account.params.clone_from(&row.params);
        }
        Ok(Ok(Choice { title: waiting.title, options: waiting.options, offer, row }))
    }

    /// Whether a browser may choose: only the one that started the attempt, or any where a credential
    /// was entered.
    async fn may_choose(&self, row: &VerificationRow, cookie: &impl Fn(&str) -> Option<String>) -> Result<bool> {
        let Some(id) = &row.attempt_id else { return Ok(true) };
        let attempt = self.core.store.attempt(id).await?;
        Ok(attempt.is_some_and(|attempt| self.is_attempt_browser(&attempt, cookie)))
    }

    /// Submits the user's choice. A second click waits for the first and gets the same result.
    pub async fn choose(
        self: &Arc<Self>,
        token: &str,
        cookie: impl Fn(&str) -> Option<String>,
        chosen: &str,
        request_id: &str,
    ) -> Result<ChoiceResult> {
        // Prefixed: this part of the URL is untrusted input and must not collide with other lock names.
        let lock =
            self.core.account_locks.for_account(&format!("choice {}", OneTimeToken::row_id(token).unwrap_or_default()));
        let (turn, is_second) = match Arc::clone(&lock).try_lock_owned() {
            Ok(turn) => (turn, false),
            Err(_) => (lock.lock_owned().await, true),
        };
        let choice = match self.choice(token, &cookie).await? {
            Ok(choice) => choice,
            Err(finished) if is_second => return self.earlier_choice(token, finished).await,
            Err(finished) => return Ok(ChoiceResult::TooLate(finished)),
        };
        if !choice.options.iter().any(|option| option.id == chosen) {
            return Ok(ChoiceResult::NotAnOption(choice));
        }
        let actor = Actor {
            project_id: choice.offer.link.project_id.clone(),
            name: format_compact!("link:{}", choice.offer.link.id),
            request_id: Some(request_id.into()),
            caller_request_id: None,
        };
        if let ExchangeWait::Busy = self.wait_for_exchange(&choice.offer.link.id, Some(&choice.row.id)).await? {
            return Ok(ChoiceResult::TooLate(Finished::without_link(Ending::Busy)));
        }
        let attempt_id = choice.row.attempt_id.clone();
        let (app, chosen) = (Arc::clone(self), chosen.to_owned());
        // The pending choice is consumed from here on, so the rest runs without the browser (R35).
        let task = self.core.tasks.spawn(async move {
            let _turn = turn;
            app.apply_choice(&actor, choice, chosen).await
        });
        let finished = task.await.map_err(Error::internal)??;
        Ok(ChoiceResult::Made { finished, attempt_id })
    }

    async fn apply_choice(&self, actor: &Actor, choice: Choice, id: String) -> Result<Finished> {
        let Choice { mut offer, row, .. } = choice;
        let (offer, row) = (&mut offer, &row);
        offer.holder = Some(row.id.clone());
        let (secrets, waiting) = self.waiting(row, &offer.account)?;
        let now = self.core.now();
        let detail = json!({ "question": waiting.title, "chosen": id });
        let mut unit = Unit::new()
            .with(verifications::consume(&row.project_id, &row.id, now))
            .with(self.claim_exchange(&offer.link.id, &row.id))
            .with(self.core.audit(
                actor,
                AuditAction::LinkChoose,
                &row.account_id,
                AuditOutcome::Ok,
                Some(detail.to_string()),
            ));
        if waiting.has_conditional_revocation {
            // If this task is interrupted, the conditional revocation revokes the tokens.
            unit.push(revocations::postpone(&row.project_id, &row.id, now + COMPLETION_TIMEOUT));
            unit.push(revocations::postpone_of_account(&row.project_id, &row.account_id, now + COMPLETION_TIMEOUT));
        }
        match self.core.store.apply(unit).await {
            Ok(_) => {}
            // Another server consumed it, or it has expired.
            Err(WriteError::Refused(_)) => return self.current_outcome(offer).await,
            Err(error) => return Err(error.into()),
        }
        let mut chosen = waiting.chosen;
        chosen.insert(waiting.title, id);
        let pending = PendingConnection {
            credential: TokenCredential { secrets, expires_at: waiting.expires_at },
            params: with_derived_values(&row.params, &offer.toolkit, offer.scheme),
            chosen,
            verification_id: waiting.has_conditional_revocation.then(|| row.id.clone()),
        };
        self.complete_after_choice(actor, offer, pending).await
    }

    /// The result of a choice that another click made at the same time.
    async fn earlier_choice(&self, token: &str, finished: Finished) -> Result<ChoiceResult> {
        let row = match OneTimeToken::row_id(token) {
            Some(id) => self.core.store.choice(id).await?.filter(|row| OneTimeToken::matches(token, &row.token_hash)),
            None => None,
        };
        let Some(row) = row else { return Ok(ChoiceResult::TooLate(finished)) };
        let Some(link) = self.core.store.link(&row.link_id).await? else { return Ok(ChoiceResult::TooLate(finished)) };
        let is_connected = matches!(&link.state, LinkState::Finished { outcome: LinkOutcome::Success });
        if !is_connected {
            return Ok(ChoiceResult::TooLate(finished));
        }
        let finished = Finished { ending: Ending::Success, ..finished };
        Ok(ChoiceResult::Made { finished, attempt_id: row.attempt_id })
    }

    fn waiting(&self, row: &VerificationRow, account: &AccountRow) -> Result<(Secrets, PendingChoice)> {
        let mut parked = self.credentials.open_pending(row, account)?;
        let waiting = parked.remove(WAITING).ok_or_else(|| Error::internal("choice without its question"))?;
        let waiting = serde_json::from_str(waiting.expose()).map_err(Error::internal)?;
        Ok((parked, waiting))
    }
}
