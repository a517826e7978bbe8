//! Several attempts of one link: started in different browsers, in two tabs, or by a mail scanner.
//!
//! The first attempt that succeeds ends the link. Only one attempt at a time exchanges its code: it
//! claims the link's exchange before the code is spent, and the others wait. A failed attempt ends only
//! itself. The link, and with it the account, ends once no attempt can succeed any more.

use std::time::Duration;

use switchboard_store::accounts::{self, AccountRow, AccountStatus};
use switchboard_store::links::{self, LinkPurpose, LinkRow, LinkState};
use switchboard_store::{Statement, Unit, WriteError};
use switchboard_types::{AuditAction, LinkId, LinkOutcome, Reason, Timestamp};

use super::visit::{Offer, Visit};
use super::{Ending, Finished};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::connect::Connector;
use crate::error::{Error, Result};

/// An exchange claim older than this belongs to a server that is taken to have crashed.
const CLAIM_TIMEOUT: Duration = Duration::from_mins(2);
/// How long a browser waits for another attempt of its link.
const MAX_WAIT: Duration = Duration::from_secs(25);
/// Pause between two checks.
const POLL_INTERVAL: Duration = Duration::from_millis(150);

/// The state of a link once no other attempt is exchanging a code.
pub(super) enum ExchangeWait {
    /// Open.
    Open(LinkRow),
    /// Ended.
    Ended(LinkRow),
    /// Another exchange takes longer than the maximum wait.
    Busy,
}

impl Connector {
    /// Waits until no attempt other than `by` is exchanging a code of this link.
    pub(super) async fn wait_for_exchange(&self, link_id: &LinkId, by: Option<&str>) -> Result<ExchangeWait> {
        let mut waited = Duration::ZERO;
        loop {
            let link = self.core.store.link(link_id).await?;
            let link = link.ok_or_else(|| Error::internal("attempt without its link"))?;
            match &link.state {
                LinkState::Finished { .. } => return Ok(ExchangeWait::Ended(link)),
                LinkState::Exchanging { by: other, since }
                    if Some(other.as_str()) != by && *since >= self.stale_before() =>
                {
                    if waited >= MAX_WAIT {
                        return Ok(ExchangeWait::Busy);
                    }
                    tokio::time::sleep(POLL_INTERVAL).await;
                    waited += POLL_INTERVAL;
                }
                LinkState::Open | LinkState::Exchanging { .. } => return Ok(ExchangeWait::Open(link)),
            }
        }
    }

    fn stale_before(&self) -> Timestamp {
        self.core.now() - CLAIM_TIMEOUT
    }

    /// The statement that takes the place of a link for an exchange.
    pub(super) fn claim_exchange(&self, link_id: &LinkId, by: &str) -> Statement {
        links::claim_exchange(link_id, by, self.core.now(), self.stale_before())
    }

    /// The outcome for a visitor who arrives after the link or its attempt has ended.
    pub(super) async fn link_outcome(&self, link: &LinkRow) -> Result<Finished> {
        let account = self.core.store.account(&link.project_id, &link.account_id).await?;
        let toolkit = account.map(|account| account.toolkit).unwrap_or_default();
        let ending = match &link.state {
            LinkState::Finished { outcome: LinkOutcome::Success } => Ending::Connected,
            LinkState::Finished { outcome: LinkOutcome::Expired } => Ending::Expired,
            LinkState::Finished { .. } | LinkState::Open | LinkState::Exchanging { .. } => Ending::Invalid,
        };
        let mut finished = Finished::of(ending, link, &toolkit);
        finished.may_retry = !matches!(link.state, LinkState::Finished { .. }) && self.core.now() < link.expires_at;
        Ok(finished)
    }

    /// One attempt ended without a credential. The account stays in progress while another attempt is
    /// running, and while the visitor can retry on our page. There is no retry where the failure is
    /// reported to the app: where it has a callback URL, or confirms who finished.
    pub(super) async fn attempt_failed(
        &self,
        actor: &Actor,
        offer: &Offer,
        (ending, reason): (Ending, &Reason),
        facts: Facts,
    ) -> Result<Finished> {
        let (link, account) = (&offer.link, &offer.account);
        let now = self.core.now();
        let is_reported = link.callback_url.is_some() || offer.verifier_url.is_some();
        if is_reported || now >= link.expires_at {
            let outcome = if ending == Ending::Expired { LinkOutcome::Expired } else { LinkOutcome::Failed };
            let is_last = links::is_unused(&link.id, offer.holder.as_deref(), now, self.stale_before());
            let end = self.end_link_unit(actor, link, account, (outcome, reason), facts.clone());
            match self.core.store.apply(is_last.and(end)).await {
                Ok(_) => {
                    self.core.connection_waiters.wake(&account.project_id, &account.user_id);
                    return Ok(offer.finished(ending));
                }
                Err(WriteError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let facts = Facts { link_id: Some(link.id.clone()), is_reconnect: offer.is_reconnect(), ..facts };
        let mut unit = Unit::new().with(links::is_open(&link.id)).with(self.core.audit(
            actor,
            AuditAction::LinkFail,
            &account.id,
            reason,
            Some(facts.to_text()),
        ));
        if let Some(holder) = &offer.holder {
            unit.push(links::release_exchange(&link.id, holder));
        }
        if !offer.is_reconnect() {
            unit.push(accounts::record_failed_attempt(&account.project_id, &account.id, reason, now));
        }
        match self.core.store.apply(unit).await {
            Ok(_) => {
                let mut finished = offer.finished(ending);
                finished.may_retry = now < link.expires_at;
                Ok(finished)
            }
            // It ended differently at the same time, possibly with success.
            Err(WriteError::Refused(_)) => {
                let link = self.core.store.link(&link.id).await?;
                self.link_outcome(&link.ok_or_else(|| Error::internal("a link that was there is gone"))?).await
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Ends a link and its account without a credential; false when it had already ended. On a
    /// reconnect, the account keeps its current credential.
    pub(super) async fn end_link(
        &self,
        actor: &Actor,
        link: &LinkRow,
        account: &AccountRow,
        outcome: LinkOutcome,
        reason: &Reason,
    ) -> Result<bool> {
        match self.core.store.apply(self.ending(actor, link, account, outcome, reason)).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The unit of [`Self::end_link`], which is refused when the link or its account has already ended.
    pub(in crate::app) fn ending(
        &self,
        actor: &Actor,
        link: &LinkRow,
        account: &AccountRow,
        outcome: LinkOutcome,
        reason: &Reason,
    ) -> Unit {
        self.end_link_unit(actor, link, account, (outcome, reason), Facts::default())
    }

    /// Ends a link with an outcome, a reason and facts for the audit log.
    fn end_link_unit(
        &self,
        actor: &Actor,
        link: &LinkRow,
        account: &AccountRow,
        (outcome, reason): (LinkOutcome, &Reason),
        facts: Facts,
    ) -> Unit {
        let now = self.core.now();
        let is_reconnect = link.purpose == LinkPurpose::Reconnect;
        let facts = Facts { link_id: Some(link.id.clone()), is_reconnect, ..facts }.to_text();
        let status = if outcome == LinkOutcome::Expired { AccountStatus::Expired } else { AccountStatus::Failed };
        let unit = links::end(&link.id, outcome, now).with(self.core.audit(
            actor,
            AuditAction::LinkEnd,
            &account.id,
            reason,
            Some(facts),
        ));
        if is_reconnect {
            return unit;
        }
        unit.with(accounts::end_connecting(&account.project_id, &account.id, status, reason, now))
    }

    /// The outcome of an offer's link in its current state.
    pub(super) async fn current_outcome(&self, offer: &Offer) -> Result<Finished> {
        let link = self.core.store.link(&offer.link.id).await?;
        let link = link.ok_or_else(|| Error::internal("a link that was there is gone"))?;
        let is_connected = matches!(&link.state, LinkState::Finished { outcome: LinkOutcome::Success });
        // An entered credential is bound to no browser: another browser may have connected another
        // account.
        if is_connected && offer.attempt_id.is_some() {
            return self.link_outcome(&link).await;
        }
        match self.visit_link(link.clone(), None).await? {
            Visit::Ended(finished) => Ok(finished),
            Visit::Open(_) => Ok(Finished::of(Ending::Busy, &link, &offer.account.toolkit)),
        }
    }
}
