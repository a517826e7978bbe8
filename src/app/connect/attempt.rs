//! Several attempts of one link: begun in different browsers, twice in one, or by a mail scanner.
//!
//! The first that succeeds ends the link. One at a time exchanges its code, and takes the link's place
//! for that before the code is spent, so that no code is spent for nothing; the others wait. An attempt
//! that fails ends itself: the link, and with it the account, ends only when nothing can succeed any more.

use std::time::Duration;

use switchboard_store::accounts::{self, AccountRow, AccountStatus};
use switchboard_store::links::{self, LinkPurpose, LinkRow, LinkState};
use switchboard_store::{Statement, Unit, WriteError};

use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::error::{Error, Result};
use crate::time::{Millis, millis};

/// After this a server that has the place of a link is taken to be dead.
const STALE: Duration = Duration::from_mins(2);
/// How long a browser waits for another attempt of its link.
const PATIENCE: Duration = Duration::from_secs(25);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(150);

/// What a link is like once no code of it is being exchanged.
pub(super) enum Free {
    /// Open.
    Open(LinkRow),
    /// Over.
    Over(LinkRow),
    /// An exchange takes longer than anybody waits.
    Busy,
}

impl Connector {
    /// Waits until no other than `by` exchanges a code of a link.
    pub(super) async fn wait_for_exchange(&self, link_id: &str, by: Option<&str>) -> Result<Free> {
        let mut waited = Duration::ZERO;
        loop {
            let link = self.core.store.link(link_id).await?;
            let link = link.ok_or_else(|| Error::internal("attempt without its link"))?;
            match &link.state {
                LinkState::Finished { .. } => return Ok(Free::Over(link)),
                LinkState::Exchanging { by: other, since }
                    if Some(other.as_str()) != by && *since >= self.stale_before() =>
                {
                    if waited >= PATIENCE {
                        return Ok(Free::Busy);
                    }
                    tokio::time::sleep(LOOK).await;
                    waited += LOOK;
                }
                LinkState::Open | LinkState::Exchanging { .. } => return Ok(Free::Open(link)),
            }
        }
    }

    fn stale_before(&self) -> Millis {
        self.core.now() - millis(STALE)
    }

    /// The statement that takes the place of a link for an exchange.
    pub(super) fn take_exchange(&self, link_id: &str, by: &str) -> Statement {
        links::claim_exchange(link_id, by, self.core.now(), self.stale_before())
    }

    /// How a visit ends that came after the end of its link, or of its attempt.
    pub(super) async fn ended(&self, link: &LinkRow) -> Result<Finished> {
        let account = self.core.store.account(&link.project_id, &link.account_id).await?;
        let toolkit = account.map(|account| account.toolkit).unwrap_or_default();
        let ending = match &link.state {
            LinkState::Finished { outcome } if outcome == "success" => Ending::Connected,
            LinkState::Finished { outcome } if outcome == "expired" => Ending::Expired,
            LinkState::Finished { .. } | LinkState::Open | LinkState::Exchanging { .. } => Ending::Invalid,
        };
        let mut finished = Finished::of(ending, link, &toolkit);
        finished.may_retry = !matches!(link.state, LinkState::Finished { .. }) && self.core.now() < link.expires_at;
        Ok(finished)
    }

    /// One attempt ended without a credential. The account goes on connecting while another attempt is
    /// under way, and while the visitor can try again here: where the app has no page of its own, or
    /// confirms who finished, he cannot, since the app is told.
    pub(super) async fn attempt_failed(
        &self,
        actor: &Actor,
        offer: &Offer,
        (ending, reason): (Ending, &str),
        facts: Facts,
    ) -> Result<Finished> {
        let (link, account) = (&offer.link, &offer.account);
        let now = self.core.now();
        let is_told = link.callback_url.is_some() || offer.verifier_url.is_some();
        if is_told || now >= link.expires_at {
            let outcome = if ending == Ending::Expired { "expired" } else { "failed" };
            let is_last = links::is_unused(&link.id, offer.holder.as_deref(), now, self.stale_before());
            let end = self.end_unit(actor, link, account, (outcome, reason), facts.clone());
            match self.core.store.apply(Unit::new().with(is_last).and(end)).await {
                Ok(_) => return Ok(Finished::of(ending, link, &account.toolkit)),
                Err(WriteError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let facts = Facts { link_id: Some(link.id.clone()), is_reconnect: offer.is_reconnect(), ..facts };
        let mut unit = Unit::new().with(links::is_open(&link.id)).with(self.core.audit(
            actor,
            "link.fail",
            &account.id,
            reason,
            Some(&facts.to_value()),
        ));
        if let Some(holder) = &offer.holder {
            unit.push(links::release_exchange(&link.id, holder));
        }
        if !offer.is_reconnect() {
            unit.push(accounts::record_failed_attempt(&account.project_id, &account.id, reason, now));
        }
        match self.core.store.apply(unit).await {
            Ok(_) => {
                let mut finished = Finished::of(ending, link, &account.toolkit);
                finished.may_retry = now < link.expires_at;
                Ok(finished)
            }
            // It ended otherwise in the same moment, maybe well.
            Err(WriteError::Refused(_)) => {
                let link = self.core.store.link(&link.id).await?;
                self.ended(&link.ok_or_else(|| Error::internal("a link that was there is gone"))?).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a link and its account without a credential; false when it had ended otherwise. An
    /// account that was to get a new credential keeps the one it has.
    pub(in crate::app) async fn end_link(
        &self,
        actor: &Actor,
        link: &LinkRow,
        account: &AccountRow,
        outcome: &str,
        reason: &str,
    ) -> Result<bool> {
        let unit = self.end_unit(actor, link, account, (outcome, reason), Facts::default());
        match self.core.store.apply(unit).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What ends a link: its outcome and reason, and facts for whoever asks.
    fn end_unit(
        &self,
        actor: &Actor,
        link: &LinkRow,
        account: &AccountRow,
        (outcome, reason): (&str, &str),
        facts: Facts,
    ) -> Unit {
        let now = self.core.now();
        let is_reconnect = link.purpose == LinkPurpose::Reconnect;
        let facts = Facts { link_id: Some(link.id.clone()), is_reconnect, ..facts }.to_value();
        let status = if outcome == "expired" { AccountStatus::Expired } else { AccountStatus::Failed };
        let unit = links::end(&link.id, outcome, now).with(self.core.audit(
            actor,
            "link.end",
            &account.id,
            reason,
            Some(&facts),
        ));
        if is_reconnect {
            return unit;
        }
        unit.with(accounts::end_connecting(&account.project_id, &account.id, status, reason, now))
    }

    /// The link of an offer, as it stands now.
    pub(super) async fn lost(&self, offer: &Offer) -> Result<Finished> {
        let link = self.core.store.link(&offer.link.id).await?;
        let link = link.ok_or_else(|| Error::internal("a link that was there is gone"))?;
        let is_connected = matches!(&link.state, LinkState::Finished { outcome } if outcome == "success");
        // What was entered belongs to no browser: another one may have connected another account.
        if is_connected && offer.attempt_id.is_some() {
            return self.ended(&link).await;
        }
        match self.visit_link(link.clone(), None).await? {
            Visit::Over(finished) => Ok(finished),
            Visit::Open(_) => Ok(Finished::of(Ending::Busy, &link, &offer.account.toolkit)),
        }
    }
}
