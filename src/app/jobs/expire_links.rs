//! Links past their time end.

use std::sync::Arc;
use std::time::Duration;

use switchboard_store::links::{LinkPurpose, LinkRow};
use switchboard_store::{WriteError, links};
use tokio_util::sync::CancellationToken;

use super::Sweeps;
use super::runner::Job;
use crate::app::Actor;
use crate::error::Result;

/// A code that came back may take this long to become a credential, in milliseconds.
const EXCHANGE_TIME: i64 = 11 * 60 * 1_000;
/// Links ended by one activation.
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
    /// Ends overdue links: their accounts become EXPIRED and their aliases free. Returns how many.
    /// A link that cannot be ended now does not keep the others.
    pub async fn expire_links(&self) -> Result<usize> {
        let now = self.core.now();
        let overdue = self.core.store.overdue_links(now, now - EXCHANGE_TIME, BATCH).await?;
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
        let reason = format!("Connection initiation did not complete within {time}");
        if let Some(account) = self.core.store.account(&link.project_id, &link.account_id).await? {
            // The last attempt has failed, and its reason is the account's.
            let failed = account.status_reason.clone().filter(|_| link.purpose == LinkPurpose::Connect);
            let (outcome, reason) = match failed {
                Some(reason) if !reason.starts_with("expired_token") => ("failed", reason),
                Some(reason) => ("expired", reason),
                None => ("expired", reason),
            };
            if self.connector.end_link(&actor, link, &account, outcome, &reason).await? {
                return Ok(());
            }
        }
        // Its account is gone, or was connected otherwise: the link ends alone.
        match self.core.store.apply(links::end(&link.id, "expired", self.core.now())).await {
            Ok(_) | Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
