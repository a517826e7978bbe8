//! Working off the queue: woken by whoever adds to it, and looking every two seconds besides.
//!
//! A few tries run at once, and fewer at one provider, so that one that hangs does not keep the
//! others waiting. Failures that may pass are tried again, ever more rarely, for a day.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use switchboard_store::revocations::{self, AttemptResult, RevocationOutcome, RevocationRow, RevocationState};
use switchboard_store::{Unit, WriteError};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio_util::sync::CancellationToken;

use super::attempt::{End, Task, Verdict};
use super::sharing::Share;
use super::{Revocable, parse_tokens, revocable, tokens_text};
use crate::app::Actor;
use crate::app::audit::Facts;
use crate::app::model::params::AccountParams;
use crate::app::provider::request::TOKEN_TIMEOUT;
use crate::app::revocation::Revocations;
use crate::error::{Error, Result};
use crate::time::{Millis, millis};

/// Tries at once.
const AT_ONCE: usize = 16;
/// Of these, at one toolkit's provider.
const PER_TOOLKIT: usize = 4;
/// Rows looked at in one go.
const PAGE: i64 = 32;
/// How long one try may take: two requests, and a moment for the database.
const CLAIM: Duration = Duration::from_secs(2 * TOKEN_TIMEOUT.as_secs() + 30);
/// How long a revocation is tried, in milliseconds: a day.
const PATIENCE: Millis = 24 * 60 * 60 * 1_000;
/// Pause after the first failure, in milliseconds.
const FIRST_PAUSE: Millis = 5_000;
/// Longest pause between two tries, unless the provider asks for more.
const LONGEST_PAUSE: Millis = 30 * 60 * 1_000;

/// The tries that are in flight.
#[derive(Debug)]
pub struct Queue {
    in_flight: Arc<Semaphore>,
    by_toolkit: HashMap<String, Arc<Semaphore>>,
}

impl Default for Queue {
    fn default() -> Self {
        Self { in_flight: Arc::new(Semaphore::new(AT_ONCE)), by_toolkit: HashMap::new() }
    }
}

/// What a try holds until its outcome is written down.
#[derive(Default)]
struct Held {
    /// What it ended, where that is more than a token.
    grant: Option<Vec<u8>>,
    /// The turn at it.
    turn: Option<OwnedMutexGuard<()>>,
}

impl Revocations {
    /// Resolves when something was added to the queue, or a try has ended.
    pub(in crate::app) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Starts the tries that are due, as far as there is room. Returns how many.
    pub(in crate::app) async fn start_due(
        self: &Arc<Self>,
        queue: &mut Queue,
        stop: &CancellationToken,
    ) -> Result<usize> {
        let Queue { in_flight, by_toolkit } = queue;
        let mut count = 0;
        by_toolkit.retain(|_, turns| turns.available_permits() < PER_TOOLKIT);
        while !stop.is_cancelled() {
            let is_full = |turns: &Semaphore| turns.available_permits() == 0;
            let full: Vec<String> =
                by_toolkit.iter().filter(|(_, turns)| is_full(turns)).map(|(slug, _)| slug.clone()).collect();
            let mut started = false;
            for mut row in self.core.store.due_revocations(self.core.now(), &full, PAGE).await? {
                let Ok(place) = Arc::clone(in_flight).try_acquire_owned() else { return Ok(count) };
                let turns =
                    by_toolkit.entry(row.toolkit.clone()).or_insert_with(|| Arc::new(Semaphore::new(PER_TOOLKIT)));
                let Ok(turn) = Arc::clone(turns).try_acquire_owned() else { continue };
                let claim = revocations::claim(&row, self.core.now() + millis(CLAIM));
                match self.core.store.apply(Unit::new().with(claim)).await {
                    Ok(_) => row.tries += 1,
                    Err(WriteError::Refused(_)) => continue,
                    Err(error) => return Err(error.into()),
                }
                started = true;
                count += 1;
                let revocations = Arc::clone(self);
                // Shutdown waits for it: its outcome is not lost.
                self.core.tasks.spawn(async move {
                    if let Err(error) = revocations.work_off(&row).await {
                        tracing::error!(revocation.id = %row.id, error = error.message(), cause = error.causes(), "a revocation was not settled");
                    }
                    drop((place, turn));
                    revocations.wake.notify_one();
                });
            }
            if !started {
                return Ok(count);
            }
        }
        Ok(count)
    }

    /// One try of one claimed revocation, and what follows from it.
    async fn work_off(&self, row: &RevocationRow) -> Result<()> {
        if row.pending_verification_id.is_some() && self.may_share_grant(row).await? {
            let withdraw = revocations::cancel_claimed(&row.project_id, &row.id, row.tries);
            return self.note(Unit::new().with(withdraw)).await;
        }
        let mut held = Held::default();
        let verdict = match self.try_row(row, &mut held).await {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::error!(revocation.id = %row.id, error = error.message(), cause = error.causes(), "a revocation cannot be tried");
                // Another server on this database may have the key that this one lacks.
                let end = End::Later { detail: error.message().to_owned(), wait: None };
                Verdict { tokens: parse_tokens(&row.tokens)?, end }
            }
        };
        let tokens = tokens_text(&verdict.tokens);
        let (outcome, detail) = match verdict.end {
            End::Revoked => (RevocationOutcome::Revoked, None),
            End::NotSupported(detail) => (RevocationOutcome::NotSupported, Some(detail)),
            End::Failed(detail) => (RevocationOutcome::Failed, Some(detail)),
            End::Kept(detail) => (RevocationOutcome::Kept, Some(detail)),
            End::Later { detail, wait } => match self.next_try(row, wait) {
                Some(at) => {
                    let tried = AttemptResult { tries: row.tries, tokens, detail: Some(detail), grant: None };
                    tracing::warn!(account.id = %row.account_id, toolkit = %row.toolkit, tries = row.tries, "revocation put off");
                    return self
                        .note(Unit::new().with(revocations::reschedule(&row.project_id, &row.id, &tried, at)))
                        .await;
                }
                None => (RevocationOutcome::Failed, Some(format!("Given up after {} tries: {detail}", row.tries))),
            },
        };
        tracing::info!(account.id = %row.account_id, toolkit = %row.toolkit, outcome = outcome.as_str(), "revocation finished");
        let tried = AttemptResult { tries: row.tries, tokens, detail, grant: held.grant };
        let actor = Actor::system(&row.project_id);
        let finish = revocations::finish(&row.project_id, &row.id, &tried, outcome, self.core.now());
        let facts = Facts { revoke_job_id: Some(row.job_id.clone()), detail: tried.detail.clone(), ..Facts::default() }
            .to_value();
        let audit = self.core.audit(
            &actor,
            "connected_account.revoke_upstream",
            &row.account_id,
            outcome.as_str(),
            Some(&facts),
        );
        self.note(Unit::new().with(finish).with(audit)).await
    }

    /// Whether the user of promised tokens has an account that works, which may be of the same grant.
    async fn may_share_grant(&self, row: &RevocationRow) -> Result<bool> {
        let Some(account) = self.core.store.account(&row.project_id, &row.account_id).await? else { return Ok(false) };
        Ok(self.core.store.user_has_credential(&row.project_id, &account.user_id, &account.auth_config_id).await?)
    }

    async fn try_row(&self, row: &RevocationRow, held: &mut Held) -> Result<Verdict> {
        let done = parse_tokens(&row.tokens)?;
        let RevocationState::Pending { material } = &row.state else {
            return Ok(Verdict { tokens: done, end: End::Revoked });
        };
        let material = self.credentials.open_revocation(row, material)?;
        let mut params = AccountParams::parse(&row.params)?;
        let toolkit = self.core.toolkit(&row.toolkit);
        if let (Some(toolkit), Ok(scheme)) = (&toolkit, row.scheme.parse()) {
            params = params.with_derived_values(toolkit, scheme);
        }
        if toolkit.is_none() {
            // Another server on this database may have its file.
            let detail = format!("This server has no toolkit \"{}\"", row.toolkit);
            return Ok(Verdict { tokens: done, end: End::Later { detail, wait: None } });
        }
        let how = match revocable(&row.scheme, &row.toolkit, toolkit.as_deref()) {
            Ok(how) => how,
            Err(why) => return Ok(Verdict { tokens: done, end: End::NotSupported(why) }),
        };
        let (toolkit, is_managed) = (row.toolkit.as_str(), row.is_managed);
        let managed =
            self.core.settings.managed.get(toolkit).filter(|_| is_managed).map(|client| client.client_id.as_str());
        let client_id = managed.or_else(|| material.get("client_id")).unwrap_or_default();
        let mut share = Share::default();
        if let Revocable::OAuth(oauth) = how {
            // One at a time: of several accounts that go together, one request ends what they share.
            if let Some(key) = self.grant_key(oauth, &params, client_id, None) {
                held.turn = Some(self.core.account_locks.for_account(&format!("grant {key:?}")).lock_owned().await);
            }
            share = self
                .share(oauth, &params, client_id, (&row.account_id, ""), |name| material.get(name).is_some())
                .await?;
            if let Some(key) = &share.key {
                if !share.first && self.core.store.grant_revoked_since(key, row.created_at).await? {
                    return Ok(Verdict { tokens: done, end: End::Revoked });
                }
                held.grant.clone_from(&key.grant);
            }
        }
        let scheme = row.scheme.parse().map_err(Error::internal)?;
        let task = Task { toolkit, scheme, how, is_managed, material: &material, params: &params, done, share };
        Ok(self.try_revoking(task).await)
    }

    /// Writes what is known by now. Another server that took over is told by its own try.
    async fn note(&self, unit: Unit) -> Result<()> {
        match self.spool.apply_with_retry(unit).await {
            Ok(()) | Err(WriteError::Refused(_)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// When to try again; never before the provider wants it, and once more at the end of the day.
    fn next_try(&self, row: &RevocationRow, wait: Option<Millis>) -> Option<Millis> {
        let (now, last) = (self.core.now(), row.created_at + PATIENCE);
        let exponent = u32::try_from((row.tries - 1).clamp(0, 16)).unwrap_or(16);
        let longest = (FIRST_PAUSE << exponent).min(LONGEST_PAUSE);
        let mut byte = [0];
        self.core.entropy.fill(&mut byte);
        let pause = longest / 2 + longest / 2 * i64::from(byte[0]) / 255;
        let asked = now.saturating_add(wait.unwrap_or(0));
        (now < last && asked <= last).then(|| (now + pause).max(asked).min(last))
    }
}
