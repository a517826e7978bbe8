//! An account that reaches several things of which one is meant: its user says which, on a page of
//! ours, before the account works. Until then the credential waits, sealed, as it does for a
//! developer's confirmation.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_store::accounts::AccountRow;
use switchboard_store::links::{self, LinkState};
use switchboard_store::verifications::{self, ParkedKind, VerificationRow};
use switchboard_store::{Unit, WriteError, revocations};
use switchboard_vault::{OneTimeToken, Secret, Secrets};

use super::attempt::Free;
use super::settle::Refused;
use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::connect::Connector;
use crate::app::model::params::AccountParams;
use crate::app::provider::{Chosen, Thing, TokenCredential};
use crate::error::{Error, Result};
use crate::id::Kind;
use crate::time::{Millis, millis};

/// Name of the secret that holds what is no secret but waits with them.
const WAITING: &str = "_waiting";
/// How long a connection may take once the user has chosen, with ten minutes for the database: then
/// its tokens are given back.
pub(super) const SETTLING: Duration = Duration::from_mins(12);

/// A credential whose connection is not settled.
#[derive(Debug)]
pub(super) struct Pending {
    pub credential: TokenCredential,
    pub params: AccountParams,
    /// What the user chose so far.
    pub chosen: Chosen,
    /// The verification that it waited in, with the promise to give it back.
    pub waited_in: Option<String>,
}

/// What waits beside the credential.
#[derive(Debug, Deserialize, Serialize)]
struct Waiting {
    expires_at: Option<Millis>,
    chosen: Chosen,
    title: String,
    options: Vec<Thing>,
    /// Its tokens are revoked unless somebody chooses.
    #[serde(default)]
    has_promise: bool,
}

/// A choice that can be made now.
#[derive(Debug)]
pub struct Choice {
    /// The question.
    pub title: String,
    /// What there is.
    pub options: Vec<Thing>,
    /// The link that it belongs to, still open.
    pub offer: Box<Offer>,
    row: VerificationRow,
}

/// How a submitted choice ended.
#[derive(Debug)]
pub enum Chose {
    /// It named none of the things that there are: the question stands.
    Nothing(Choice),
    /// It could not be made any more.
    Before(Finished),
    /// It was made.
    Now {
        /// How the connection ended.
        finished: Finished,
        /// Its attempt, whose cookie is done unless there is another question.
        attempt_id: Option<String>,
    },
}

impl Connector {
    /// Keeps a credential until its user has said which of several things is meant.
    pub(super) async fn park_choice(
        &self,
        actor: &Actor,
        offer: &Offer,
        pending: &Pending,
        title: String,
        options: Vec<Thing>,
    ) -> Result<Finished> {
        let now = self.core.now();
        let expires_at = now + millis(self.core.settings.link_ttl);
        let id = self.core.mint(Kind::Verification);
        let session = OneTimeToken::new(&*self.core.entropy, &id);
        let project = &offer.link.project_id;
        let waiting = Waiting {
            expires_at: pending.credential.expires_at,
            chosen: pending.chosen.clone(),
            title,
            options,
            has_promise: offer.has_bought_tokens(),
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
            params: pending.params.to_text(),
            redirect_uri: None,
            created_at: now,
            expires_at,
            consumed_at: None,
            attempt_id: offer.attempt_id.clone(),
            id,
        };
        row.parked_sealed = Some(self.credentials.seal_parked(&row, &offer.account, &parked)?);
        let detail = json!({ "question": waiting.title, "choices": waiting.options.len() });
        let mut unit = Unit::new()
            .with(links::is_open(&offer.link.id))
            .with(verifications::cancel_of_attempt(&offer.link.id, offer.attempt_id.as_deref(), now))
            .with(verifications::insert(&row))
            .with(revocations::postpone_of_account(project, &offer.account.id, expires_at))
            .with(self.core.audit(actor, "link.choose", &offer.account.id, "asked", Some(&detail)));
        if let Some(holder) = &offer.holder {
            unit.push(links::release_exchange(&offer.link.id, holder));
        }
        if let Some(earlier) = &pending.waited_in {
            unit.push(revocations::cancel_conditional(project, earlier));
        }
        if waiting.has_promise {
            let secrets = &pending.credential.secrets;
            let promise = self.revocations.promise(&offer.account, &offer.config, secrets, &row.id, expires_at);
            unit.push(revocations::insert(&promise));
        }
        match self.spool.apply_patiently(unit).await {
            Ok(()) => {}
            // Deleted, or ended otherwise, while the provider answered.
            Err(WriteError::Refused(_)) => {
                let (secrets, waited_in) = (&pending.credential.secrets, pending.waited_in.as_deref());
                let identity = pending.params.identity.as_ref();
                self.give_tokens_back(offer, Refused { secrets, waited_in, identity }).await?;
                return self.lost(offer).await;
            }
            Err(error) => return Err(error.into()),
        }
        let mut finished = Finished::of(Ending::Choose, &offer.link, &offer.account.toolkit);
        finished.choose_url = Some(format!("{}/link/choice/{}", self.core.settings.public_url, session.text()));
        Ok(finished)
    }

    /// What a browser is to choose; reading changes nothing. The browser of the attempt must be the one
    /// that chooses; what was entered belongs to none.
    pub async fn choice(
        &self,
        token: &str,
        cookie: &impl Fn(&str) -> Option<String>,
    ) -> Result<std::result::Result<Choice, Finished>> {
        let invalid = || Ok(Err(Finished::bare(Ending::Invalid)));
        let Some(id) = OneTimeToken::row_id(token) else { return invalid() };
        let Some(row) = self.core.store.choice(id).await? else { return invalid() };
        if !OneTimeToken::matches(token, &row.token_hash) {
            return invalid();
        }
        let Some(link) = self.core.store.link(&row.link_id).await? else { return invalid() };
        if !self.may_choose(&row, cookie).await? {
            // The cookie of an attempt goes when that is over.
            let is_known = row.consumed_at.is_some() && self.went_through(&link, cookie).await?;
            let finished = if is_known { self.ended(&link).await? } else { Finished::bare(Ending::BrowserMismatch) };
            return Ok(Err(finished));
        }
        // The choice has a time of its own: the link's is for opening it.
        let mut offer = match self.visit_link(link, Some(row.expires_at)).await? {
            Visit::Open(offer) => offer,
            Visit::Over(finished) => return Ok(Err(finished)),
        };
        offer.attempt_id.clone_from(&row.attempt_id);
        if row.consumed_at.is_some() {
            return Ok(Err(Finished::of(Ending::Used, &offer.link, &offer.account.toolkit)));
        }
        if self.core.now() >= row.expires_at || offer.config.updated_at != row.auth_config_version {
            return Ok(Err(Finished::of(Ending::Expired, &offer.link, &offer.account.toolkit)));
        }
        let (_, waiting) = self.waiting(&row, &offer.account)?;
        // A working account stays as it is until it has its new credential.
        if !offer.is_reconnect() {
            offer.account.params.clone_from(&row.params);
        }
        Ok(Ok(Choice { title: waiting.title, options: waiting.options, offer, row }))
    }

    /// Whether a browser may choose: that of the attempt; anybody, where a credential was entered.
    async fn may_choose(&self, row: &VerificationRow, cookie: &impl Fn(&str) -> Option<String>) -> Result<bool> {
        let Some(id) = &row.attempt_id else { return Ok(true) };
        let attempt = self.core.store.attempt(id).await?;
        Ok(attempt.is_some_and(|attempt| self.began(&attempt, cookie)))
    }

    /// The user chose. A second click waits for the first, and ends as that did.
    pub async fn choose(
        self: &Arc<Self>,
        token: &str,
        cookie: impl Fn(&str) -> Option<String>,
        chosen: &str,
        request_id: &str,
    ) -> Result<Chose> {
        // In a name space of its own: an address is anybody's to make up.
        let lock = self.core.flights.lock_of(&format!("choice {}", OneTimeToken::row_id(token).unwrap_or_default()));
        let (turn, is_second) = match Arc::clone(&lock).try_lock_owned() {
            Ok(turn) => (turn, false),
            Err(_) => (lock.lock_owned().await, true),
        };
        let choice = match self.choice(token, &cookie).await? {
            Ok(choice) => choice,
            Err(finished) if is_second => return self.chosen_before(token, finished).await,
            Err(finished) => return Ok(Chose::Before(finished)),
        };
        if !choice.options.iter().any(|option| option.id == chosen) {
            return Ok(Chose::Nothing(choice));
        }
        let actor = Actor {
            project_id: choice.offer.link.project_id.clone(),
            name: format!("link:{}", choice.offer.link.id),
            request_id: Some(request_id.to_owned()),
            caller_request_id: None,
        };
        if let Free::Busy = self.wait_for_exchange(&choice.offer.link.id, Some(&choice.row.id)).await? {
            return Ok(Chose::Before(Finished::bare(Ending::Busy)));
        }
        let attempt_id = choice.row.attempt_id.clone();
        let (app, chosen) = (Arc::clone(self), chosen.to_owned());
        // What waited is spent from here on: the rest finishes without the browser (R35).
        let task = self.core.tasks.spawn(async move {
            let _turn = turn;
            app.take_choice(&actor, choice, chosen).await
        });
        let finished = task.await.map_err(Error::internal)??;
        Ok(Chose::Now { finished, attempt_id })
    }

    async fn take_choice(&self, actor: &Actor, choice: Choice, id: String) -> Result<Finished> {
        let Choice { mut offer, row, .. } = choice;
        let (offer, row) = (&mut offer, &row);
        offer.holder = Some(row.id.clone());
        let (secrets, waiting) = self.waiting(row, &offer.account)?;
        let now = self.core.now();
        let detail = json!({ "question": waiting.title, "chosen": id });
        let mut unit = Unit::new()
            .with(verifications::consume(&row.project_id, &row.id, now))
            .with(self.take_exchange(&offer.link.id, &row.id))
            .with(self.core.audit(actor, "link.choose", &row.account_id, "ok", Some(&detail)));
        if waiting.has_promise {
            // Kept by whoever finds it, should we not come to an end.
            unit.push(revocations::postpone(&row.project_id, &row.id, now + millis(SETTLING)));
            unit.push(revocations::postpone_of_account(&row.project_id, &row.account_id, now + millis(SETTLING)));
        }
        match self.core.store.apply(unit).await {
            Ok(_) => {}
            // On another server, in the same moment; or its time is over.
            Err(WriteError::Refused(_)) => return self.lost(offer).await,
            Err(error) => return Err(error.into()),
        }
        let mut chosen = waiting.chosen;
        chosen.insert(waiting.title, id);
        let pending = Pending {
            credential: TokenCredential { secrets, expires_at: waiting.expires_at },
            params: AccountParams::parse(&row.params)?.completed(&offer.toolkit, offer.scheme),
            chosen,
            waited_in: waiting.has_promise.then(|| row.id.clone()),
        };
        self.settle_chosen(actor, offer, pending).await
    }

    /// How a choice ended that another click made in the same moment.
    async fn chosen_before(&self, token: &str, finished: Finished) -> Result<Chose> {
        let row = match OneTimeToken::row_id(token) {
            Some(id) => self.core.store.choice(id).await?.filter(|row| OneTimeToken::matches(token, &row.token_hash)),
            None => None,
        };
        let Some(row) = row else { return Ok(Chose::Before(finished)) };
        let Some(link) = self.core.store.link(&row.link_id).await? else { return Ok(Chose::Before(finished)) };
        let is_connected = matches!(&link.state, LinkState::Finished { outcome } if outcome == "success");
        if !is_connected {
            return Ok(Chose::Before(finished));
        }
        let finished = Finished { ending: Ending::Success, ..finished };
        Ok(Chose::Now { finished, attempt_id: row.attempt_id })
    }

    fn waiting(&self, row: &VerificationRow, account: &AccountRow) -> Result<(Secrets, Waiting)> {
        let mut parked = self.credentials.open_parked(row, account)?;
        let waiting = parked.remove(WAITING).ok_or_else(|| Error::internal("choice without its question"))?;
        let waiting = serde_json::from_str(waiting.expose()).map_err(Error::internal)?;
        Ok((parked, waiting))
    }
}
