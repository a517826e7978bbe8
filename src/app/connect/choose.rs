//! An account that reaches several things of which one is meant: its user says which, on a page of
//! ours, before the account works. Until then the credential waits, sealed, as it does for a
//! developer's confirmation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;
use switchboard_store::Unit;
use switchboard_store::links::{LinkRow, LinkState};
use switchboard_store::verifications::{self, ParkedKind, VerificationRow};
use switchboard_vault::{OneTimeToken, Secret, Secrets};

use super::visit::{Offer, Visit};
use super::{Ending, Finished, TokenCredential, browser_cookie_name};
use crate::app::params::AccountParams;
use crate::app::provider::{Chosen, Thing};
use crate::app::{Actor, App};
use crate::error::{Error, Result};
use crate::id::Kind;
use crate::time::{Millis, millis};

/// Name of the secret that holds what is no secret but waits with them.
const WAITING: &str = "_waiting";

/// A credential whose connection is not settled.
#[derive(Debug)]
pub(super) struct Pending {
    pub credential: TokenCredential,
    pub params: AccountParams,
    /// What the user chose so far.
    pub chosen: Chosen,
}

/// What waits beside the credential.
#[derive(Debug, Deserialize, Serialize)]
struct Waiting {
    expires_at: Option<Millis>,
    chosen: BTreeMap<usize, String>,
    step: usize,
    title: String,
    options: Vec<Thing>,
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

impl App {
    /// Keeps a credential until its user has said which of several things is meant.
    pub(super) async fn park_choice(
        &self,
        actor: &Actor,
        offer: &Offer,
        pending: &Pending,
        step: usize,
        title: String,
        options: Vec<Thing>,
    ) -> Result<Finished> {
        let now = self.now();
        let id = self.mint(Kind::Verification);
        let session = OneTimeToken::new(&*self.entropy, &id);
        let project = &offer.link.project_id;
        let waiting =
            Waiting { expires_at: pending.credential.expires_at, chosen: pending.chosen.clone(), step, title, options };
        let mut parked = pending.credential.secrets.clone();
        parked.insert(WAITING, Secret::new(serde_json::to_string(&waiting).map_err(Error::internal)?));
        let row = VerificationRow {
            project_id: project.clone(),
            link_id: offer.link.id.clone(),
            account_id: offer.account.id.clone(),
            auth_config_version: offer.config.updated_at,
            token_hash: session.digest().to_vec(),
            kind: ParkedKind::Choice,
            parked_sealed: Some(self.seal_parked(project, &id, &parked)),
            params: pending.params.to_text(),
            redirect_uri: None,
            created_at: now,
            expires_at: now + millis(self.settings.link_ttl),
            consumed_at: None,
            id,
        };
        let detail = json!({ "question": waiting.title, "choices": waiting.options.len() });
        let unit = Unit::new()
            .with(verifications::cancel_of_link(&offer.link.id, now))
            .with(verifications::insert(&row))
            .with(self.audit(actor, "link.choose", &offer.account.id, "asked", Some(&detail)));
        self.apply_patiently(unit).await?;
        let mut finished = Finished::of(Ending::Choose, &offer.link, &offer.account.toolkit);
        finished.choose_url = Some(format!("{}/link/choice/{}", self.settings.public_url, session.text()));
        Ok(finished)
    }

    /// What a browser is to choose; reading changes nothing. The browser that claimed the link must
    /// be the one that chooses, where one did.
    pub async fn choice(
        &self,
        token: &str,
        cookie: impl Fn(&str) -> Option<String>,
    ) -> Result<std::result::Result<Choice, Finished>> {
        let invalid = || Ok(Err(Finished::bare(Ending::Invalid)));
        let Some(id) = OneTimeToken::row_id(token) else { return invalid() };
        let Some(row) = self.store.choice(id).await? else { return invalid() };
        if !OneTimeToken::matches(token, &row.token_hash) {
            return invalid();
        }
        let Some(link) = self.store.link(&row.link_id).await? else { return invalid() };
        if let LinkState::Claimed { browser_hash } = &link.state {
            let browser = cookie(&browser_cookie_name(&link.id));
            if !browser.is_some_and(|browser| OneTimeToken::matches(&browser, browser_hash)) {
                return Ok(Err(Finished::bare(Ending::BrowserMismatch)));
            }
        }
        // The choice has a time of its own: the link's is for opening it.
        let link = LinkRow { expires_at: row.expires_at, ..link };
        let mut offer = match self.visit_link(link).await? {
            Visit::Open(offer) => offer,
            Visit::Over(finished) => return Ok(Err(finished)),
        };
        let is_live = row.consumed_at.is_none() && self.now() < row.expires_at;
        if !is_live || offer.config.updated_at != row.auth_config_version {
            return Ok(Err(Finished::of(Ending::Expired, &offer.link, &offer.account.toolkit)));
        }
        let (_, waiting) = self.waiting(&row)?;
        // A working account stays as it is until it has its new credential.
        if !offer.is_reconnect() {
            offer.account.params.clone_from(&row.params);
        }
        Ok(Ok(Choice { title: waiting.title, options: waiting.options, offer, row }))
    }

    /// The user chose. None when that is not one of the things that there are.
    pub async fn choose(&self, choice: &Choice, id: &str, request_id: &str) -> Result<Option<Finished>> {
        if !choice.options.iter().any(|option| option.id == id) {
            return Ok(None);
        }
        let offer = &choice.offer;
        let actor = Actor {
            project_id: offer.link.project_id.clone(),
            name: format!("link:{}", offer.link.id),
            request_id: Some(request_id.to_owned()),
        };
        let (secrets, waiting) = self.waiting(&choice.row)?;
        let mut chosen = waiting.chosen;
        chosen.insert(waiting.step, id.to_owned());
        let credential = TokenCredential { secrets, expires_at: waiting.expires_at };
        let params = AccountParams::parse(&choice.row.params)?;
        self.settle_chosen(&actor, offer, Pending { credential, params, chosen }).await.map(Some)
    }

    fn waiting(&self, row: &VerificationRow) -> Result<(Secrets, Waiting)> {
        let sealed = row.parked_sealed.as_deref().ok_or_else(|| Error::internal("choice without its content"))?;
        let mut parked = self.open_parked(&row.project_id, &row.id, sealed)?;
        let waiting = parked.remove(WAITING).ok_or_else(|| Error::internal("choice without its question"))?;
        let waiting = serde_json::from_str(waiting.expose()).map_err(Error::internal)?;
        Ok((parked, waiting))
    }
}
