//! Ends links that have expired.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use switchboard_store::accounts::AccountRow;
use switchboard_store::links::{LinkPurpose, LinkRow, OverdueLink};
use switchboard_store::{Unit, WriteError, links};
use switchboard_types::{LinkOutcome, Reason, ReasonCode};
use tokio_util::sync::CancellationToken;

use super::Sweeps;
use super::runner::Job;
use crate::app::Actor;
use crate::error::{Error, Result};
use crate::id::Kind;

/// How long an authorization code that was received may take to become a credential.
const EXCHANGE_TIMEOUT: Duration = Duration::from_mins(11);
/// Maximum number of links that one activation ends because of their own time, see [`Store::overdue_links`].
///
/// [`Store::overdue_links`]: switchboard_store::Store::overdue_links
const BATCH: usize = 2_000;
/// Maximum number of steps along the ids of links in one activation, and links of each.
const STEPS: (usize, i64) = (4, 500);
/// Links that are ended in one commit. It takes the writer a few milliseconds, for which other writes wait.
const GROUP: usize = 32;
/// Pause between two groups, in which other writes get their turn.
const GROUP_PAUSE: Duration = Duration::from_millis(1);

/// The job.
pub(super) struct ExpireLinks {
    sweeps: Arc<Sweeps>,
    /// The last activation did not come to the end.
    is_behind: bool,
}

impl ExpireLinks {
    pub(super) fn new(sweeps: Arc<Sweeps>) -> Self {
        Self { sweeps, is_behind: false }
    }
}

impl Job for ExpireLinks {
    const NAME: &'static str = "expire_links";
    const INTERVAL: Duration = Duration::from_secs(2);

    async fn activate(&mut self, _: &CancellationToken) -> Result<usize> {
        self.is_behind = false;
        let (ended, is_behind) = self.sweeps.sweep_links().await?;
        self.is_behind = is_behind;
        Ok(ended)
    }

    async fn woken(&self) {
        if !self.is_behind {
            std::future::pending::<()>().await;
        }
    }
}

impl Sweeps {
    /// Ends overdue links: their accounts become EXPIRED and their aliases can be used again. Returns how
    /// many. An error with one link does not delay the others.
    ///
    /// # Errors
    /// If the database cannot be read, or accepts none of a group of writes.
    pub async fn expire_links(&self) -> Result<usize> {
        Ok(self.sweep_links().await?.0)
    }

    /// The same, and whether more links may be overdue.
    async fn sweep_links(&self) -> Result<(usize, bool)> {
        let now = self.core.now();
        let exchanging_since = now - EXCHANGE_TIMEOUT;
        let limit = i64::try_from(BATCH).map_err(Error::internal)?;
        let overdue = self.core.store.overdue_links(now, exchanging_since, limit).await?;
        let mut ended = self.end_in_groups(overdue).await?;
        let is_behind = ended == BATCH;
        // Links of an earlier process may have had another lifetime: the first sweep gives all of them their own time.
        let has_seen_old = self.has_seen_old_links.load(Ordering::Relaxed);
        let born = if has_seen_old { now - self.core.settings.link_ttl + Duration::from_millis(1) } else { now };
        let before = String::from(Kind::Link.first_at(born));
        for _ in 0..STEPS.0 {
            let step = self.core.store.sweep_step(before.clone(), now, exchanging_since, STEPS.1).await?;
            let is_last = step.as_ref().is_none_or(|step| step.is_last);
            if let Some(step) = step {
                ended += self.end_in_groups(step.overdue).await?;
                self.core.store.apply(links::end_step(&step.until_id)).await?;
            }
            if is_last {
                self.has_seen_old_links.store(true, Ordering::Relaxed);
                return Ok((ended, is_behind));
            }
            if self.is_stopped_after(GROUP_PAUSE).await {
                break;
            }
        }
        Ok((ended, true))
    }

    /// Ends links, [`GROUP`] in a commit. Returns how many.
    async fn end_in_groups(&self, overdue: Vec<OverdueLink>) -> Result<usize> {
        let mut overdue = overdue.into_iter();
        let mut ended = 0;
        while overdue.len() > 0 {
            ended += self.expire_group(overdue.by_ref().take(GROUP)).await?;
            if overdue.len() > 0 && self.is_stopped_after(GROUP_PAUSE).await {
                break;
            }
        }
        Ok(ended)
    }

    /// Ends links in one commit. Returns how many.
    async fn expire_group(&self, overdue: impl Iterator<Item = OverdueLink>) -> Result<usize> {
        let (mut links, mut units) = (Vec::with_capacity(GROUP), Vec::with_capacity(GROUP));
        for OverdueLink { link, account } in overdue {
            match account {
                Ok(Some(account)) => units.push(self.expiry(&link, &account)),
                // The account was deleted: only the link ends.
                Ok(None) => units.push(self.end_without_account(&link)),
                Err(error) => {
                    log_failure(&link, &error.into());
                    continue;
                }
            }
            links.push(link);
        }
        let outcomes = self.core.store.apply_each(units).await;
        let (mut ended, mut refused, mut failed) = (0, Vec::new(), Vec::new());
        for (link, outcome) in links.into_iter().zip(outcomes) {
            match outcome {
                Ok(_) => ended += 1,
                Err(WriteError::Refused(_)) => refused.push(link),
                Err(error) => failed.push((link, error)),
            }
        }
        // The account was deleted meanwhile, or connected by other means: only the link ends.
        let units = refused.iter().map(|link| self.end_without_account(link)).collect();
        for (link, outcome) in refused.into_iter().zip(self.core.store.apply_each(units).await) {
            match outcome {
                Ok(_) | Err(WriteError::Refused(_)) => ended += 1,
                Err(error) => failed.push((link, error)),
            }
        }
        if ended == 0
            && let Some((_, error)) = failed.pop()
        {
            return Err(error.into());
        }
        for (link, error) in failed {
            log_failure(&link, &error.into());
        }
        Ok(ended)
    }

    /// Ends a link and its account.
    fn expiry(&self, link: &LinkRow, account: &AccountRow) -> Unit {
        // After a failed attempt, the account has its reason.
        let failure = account.status_reason.clone().filter(|_| link.purpose == LinkPurpose::Connect);
        let (outcome, reason) = match failure {
            Some(reason) if reason.code() == ReasonCode::DeviceCodeExpired => (LinkOutcome::Expired, reason),
            Some(reason) => (LinkOutcome::Failed, reason),
            None => (LinkOutcome::Expired, self.expired()),
        };
        self.connector.ending(&Actor::system(&link.project_id), link, account, outcome, &reason)
    }

    fn end_without_account(&self, link: &LinkRow) -> Unit {
        links::end(&link.id, LinkOutcome::Expired, self.core.now())
    }

    /// Why a link that no one used ends.
    fn expired(&self) -> Reason {
        let seconds = self.core.settings.link_ttl.as_secs();
        let time =
            if seconds.is_multiple_of(60) { format!("{} minutes", seconds / 60) } else { format!("{seconds} seconds") };
        Reason::with_detail(ReasonCode::LinkExpired, time)
    }
}

fn log_failure(link: &LinkRow, error: &Error) {
    tracing::error!(link.id = %link.id, error = error.message(), cause = error.causes(), "a link could not be ended");
}
