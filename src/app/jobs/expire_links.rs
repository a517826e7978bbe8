//! Ends links that have expired.

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::links::{LinkPurpose, LinkRow};
use switchboard_store::{WriteError, links};
use switchboard_types::{LinkOutcome, Reason, ReasonCode};
use tokio_util::sync::CancellationToken;

use super::Sweeps;
use super::runner::Job;
use crate::app::Actor;
use crate::error::Result;

/// How long an authorization code that was received may take to become a credential.
const EXCHANGE_TIMEOUT: Duration = Duration::from_mins(11);
/// Maximum number of links that one activation ends.
const BATCH: i64 = 500;

/// The job.
pub(super) struct ExpireLinks(pub Arc<Sweeps>);

impl Job for ExpireLinks {
    const NAME: &'static str = "expire_links";
    const INTERVAL: Duration = Duration::from_secs(2);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        self.0.expire_links().await
    }
}

impl Sweeps {
    /// Ends overdue links: their accounts become EXPIRED and their aliases can be used again. Returns how
    /// many. An error with one link does not delay the others.
    pub async fn expire_links(&self) -> Result<usize> {
        let now = self.core.now();
        let overdue = self.core.store.overdue_links(now, now - EXCHANGE_TIMEOUT, BATCH).await?;
        let mut ended = 0;
        for link in &overdue {
            match self.expire_link(link).await {
                Ok(()) => ended += 1,
                Err(error) => {
                    tracing::error!(link.id = %link.id, error = error.message(), cause = error.causes(), "a link could not be ended");
                }
            }
        }
        Ok(ended)
    }

    async fn expire_link(&self, link: &LinkRow) -> Result<()> {
        let actor = Actor::system(&link.project_id);
        let seconds = self.core.settings.link_ttl.as_secs();
        let time =
            if seconds.is_multiple_of(60) { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") };
        let expired = Reason::with_detail(ReasonCode::LinkExpired, time);
        if let Some(account) = self.core.store.account(&link.project_id, &link.account_id).await? {
            // After a failed attempt, the account has its reason.
            let failure = account.status_reason.clone().filter(|_| link.purpose == LinkPurpose::Connect);
            let (outcome, reason) = match failure {
                Some(reason) if reason.code() == ReasonCode::DeviceCodeExpired => (LinkOutcome::Expired, reason),
                Some(reason) => (LinkOutcome::Failed, reason),
                None => (LinkOutcome::Expired, expired),
            };
            if self.connector.end_link(&actor, link, &account, outcome, &reason).await? {
                return Ok(());
            }
        }
        // The account was deleted, or connected by other means: only the link ends.
        match self.core.store.apply(links::end(&link.id, LinkOutcome::Expired, self.core.now())).await {
            Ok(_) | Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
