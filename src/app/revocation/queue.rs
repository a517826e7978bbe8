//! Handing credentials over to be revoked: in the unit that erases them from their accounts, so
//! that a crash loses neither. Many accounts go in batches; what is not done yet is still there for
//! whoever asks again.

use std::collections::HashMap;

use serde_json::json;
use switchboard_store::accounts::{self, AccountRow, CredentialFilter};
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::revocations::{self, RevocationRow};
use switchboard_store::{Refusal, Unit, WriteError, links, unread_answers};
use switchboard_vault::Secrets;

use super::{BY_OPERATOR, too_busy};
use crate::app::Actor;
use crate::app::base::errors::{account_not_found, auth_config_not_found};
use crate::app::credential::client::IssuedTo;
use crate::app::revocation::Revocations;
use crate::error::Result;
use crate::id::Kind;
use crate::time::Millis;

/// Accounts in one unit.
const BATCH: i64 = 100;
/// Units that may be refused in a row because a credential was rotated under them.
const PATIENCE: u32 = 50;

/// What becomes of an account whose credential goes to be revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Deleted: unknown from now on.
    Deleted,
    /// REVOKED: still listed.
    Revoked,
}

/// How far a walk over many accounts got: in whole batches, and in smaller ones after a refusal.
struct Walk {
    /// The last account that is done.
    after: String,
    limit: i64,
    failures: u32,
}

impl Walk {
    fn new() -> Self {
        Self { after: String::new(), limit: BATCH, failures: 0 }
    }

    /// A batch is done, of which this was the last account.
    fn goes_on_after(&mut self, last: Option<String>) {
        *self = Self { after: last.unwrap_or_default(), ..Self::new() };
    }

    /// A credential was rotated, or an account connected, in the meantime: from the front, with
    /// fewer accounts.
    fn goes_back(&mut self) -> Result<()> {
        if self.failures == PATIENCE {
            return Err(too_busy());
        }
        *self = Self { after: String::new(), limit: (self.limit / 2).max(1), failures: self.failures + 1 };
        Ok(())
    }
}

/// A page of accounts and the unit that ends them.
struct Batch {
    unit: Unit,
    accounts: usize,
    /// The last account; none when there was no account left.
    last: Option<String>,
    /// Fewer than asked for: these were the last.
    is_last: bool,
}

impl Revocations {
    /// Deletes an account: its credential is erased at once, its links end, and the provider is
    /// asked to forget the credential. The job's id, where there was a credential.
    pub(in crate::app) async fn delete_and_revoke(&self, actor: &Actor, id: &str) -> Result<Option<String>> {
        for _ in 0..PATIENCE {
            let project = &actor.project_id;
            let account = self.core.store.account(project, id).await?;
            let account = account.ok_or_else(|| account_not_found(id))?;
            let is_held = account.credential_sealed.is_some();
            let job = if is_held {
                Some(self.core.mint(Kind::RevokeJob))
            } else {
                self.core.store.conditional_job(project, id).await?
            };
            let detail = job.as_ref().map(|job| json!({ "revoke_job_id": job }));
            let now = self.core.now();
            let mut unit = Unit::new()
                .with(accounts::delete_version(project, id, account.credential_version, now))
                .and(links::end_of_account(project, id, "deleted", now))
                .with(unread_answers::delete_of_account(project, id))
                .with(self.core.audit(actor, "connected_account.delete", id, "ok", detail.as_ref()));
            if let Some(job) = job.as_ref().filter(|_| is_held) {
                let config = self.core.store.auth_config(project, &account.auth_config_id).await?;
                unit.push(revocations::insert(&self.revocation_of(job, &account, config.as_ref())));
            }
            match self.core.store.apply(unit).await {
                Ok(_) => {
                    self.wake.notify_one();
                    return Ok(job);
                }
                Err(WriteError::Refused(Refusal::AccountChanged)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(too_busy())
    }

    /// Deletes an auth config with its accounts, whose credentials go to be revoked as one job: the
    /// job's id, where there were any. Up to a hundred accounts go in one unit; of more, those that
    /// went are queued even if this ends half-way, and the rest is there to be deleted again.
    pub(in crate::app) async fn delete_auth_config_and_revoke(
        &self,
        actor: &Actor,
        id: &str,
    ) -> Result<Option<String>> {
        let project = &actor.project_id;
        let job = self.core.mint(Kind::RevokeJob);
        let filter = CredentialFilter { auth_config: Some(id.to_owned()), ..CredentialFilter::default() };
        let mut walk = Walk::new();
        loop {
            let config = self.core.store.auth_config(project, id).await?;
            config.ok_or_else(|| auth_config_not_found(id))?;
            let Batch { mut unit, last, is_last, .. } = self.batch(actor, &filter, Fate::Deleted, &job, &walk).await?;
            if is_last {
                self.delete_accounts_in_batches(project, id, false).await?;
            }
            let now = self.core.now();
            if is_last {
                unit = unit
                    .and(links::end_of_auth_config(project, id, "deleted", now))
                    .with(auth_configs::delete_unused(project, id, now))
                    .with(unread_answers::delete_of_auth_config(project, id))
                    .with(accounts::delete_of_auth_config(project, id, now))
                    .with(self.core.audit(actor, "auth_config.delete", id, "ok", None));
            }
            match self.core.store.apply(unit).await {
                Ok(_) if is_last => {
                    self.wake.notify_one();
                    let counts = self.core.store.revocation_counts(project, &job).await?;
                    return Ok((counts.total > 0).then_some(job));
                }
                Ok(_) => {
                    self.wake.notify_one();
                    walk.goes_on_after(last);
                }
                Err(WriteError::Refused(_)) => walk.goes_back()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends all accounts of a project that hold a credential and match, and queues their
    /// revocations under one job. Returns how many. What it did is done even if it fails half-way;
    /// called again, it does the rest.
    pub async fn queue_revocations(
        &self,
        actor: &Actor,
        filter: &CredentialFilter,
        fate: Fate,
        job: &str,
    ) -> Result<usize> {
        let (mut walk, mut queued) = (Walk::new(), 0);
        loop {
            let batch = self.batch(actor, filter, fate, job, &walk).await?;
            if batch.last.is_none() {
                if walk.after.is_empty() {
                    return Ok(queued);
                }
                // Once more from the front: one may have been connected behind our back.
                walk = Walk::new();
                continue;
            }
            match self.core.store.apply(batch.unit).await {
                Ok(_) => {
                    queued += batch.accounts;
                    self.wake.notify_one();
                    walk.goes_on_after(batch.last);
                }
                Err(WriteError::Refused(_)) => walk.goes_back()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Revokes all accounts of a project that match, here at once and at their providers as one job:
    /// its id, where there were any, and how many (R76).
    pub async fn revoke_accounts(&self, actor: &Actor, filter: &CredentialFilter) -> Result<(Option<String>, usize)> {
        self.projects.get(&actor.project_id).await?;
        let job = self.core.mint(Kind::RevokeJob);
        let queued = self.queue_revocations(actor, filter, Fate::Revoked, &job).await?;
        Ok(((queued > 0).then_some(job), queued))
    }

    /// Queues a credential that a refresh brought home after its account had been ended: a revocation
    /// that was queued then has only the older tokens, and an account that another server took for
    /// dead has none. An account that lives on with another's refresh keeps its grant: to revoke one
    /// token of it may end them all (RFC 7009 section 2.1).
    pub(in crate::app) async fn revoke_orphan(&self, account: &AccountRow, credential: &Secrets) -> Result<()> {
        let project = &account.project_id;
        let now = self.core.store.account(project, &account.id).await?;
        if now.as_ref().is_some_and(|account| account.credential_sealed.is_some()) {
            return Ok(());
        }
        let job = match self.core.store.revocation_job_of_account(project, &account.id).await? {
            Some(job) => job,
            None if now.is_some() => self.core.mint(Kind::RevokeJob),
            // Deleted by somebody who wanted nothing revoked.
            None => return Ok(()),
        };
        let config = self.core.store.auth_config(project, &account.auth_config_id).await?;
        self.queue_tokens(&job, account, config.as_ref(), credential, "ok").await
    }

    /// Queues tokens that a code bought after its account or link had ended: nobody will use them,
    /// and they must not live on at the provider (R42).
    pub(in crate::app) async fn revoke_unwanted(
        &self,
        account: &AccountRow,
        config: &AuthConfigRow,
        credential: &Secrets,
    ) -> Result<()> {
        self.queue_tokens(&self.core.mint(Kind::RevokeJob), account, Some(config), credential, "unwanted").await
    }

    /// What gives tokens back that wait for their user's choice, from `due` on, unless it is withdrawn.
    pub(in crate::app) fn promise(
        &self,
        account: &AccountRow,
        config: &AuthConfigRow,
        credential: &Secrets,
        verification: &str,
        due: Millis,
    ) -> RevocationRow {
        let material = self.with_client(credential.clone(), account, Some(config), IssuedTo::CurrentClient);
        let row = self.revocation_row(&self.core.mint(Kind::RevokeJob), account, Some(config), material);
        RevocationRow { pending_verification_id: Some(verification.to_owned()), next_try_at: due, ..row }
    }

    /// Queues tokens that no account holds.
    async fn queue_tokens(
        &self,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
        tokens: &Secrets,
        outcome: &str,
    ) -> Result<()> {
        let material = self.with_client(tokens.clone(), account, config, IssuedTo::CurrentClient);
        let row = self.revocation_row(job, account, config, material);
        let (actor, detail) = (Actor::system(&account.project_id), json!({ "revoke_job_id": job }));
        let audit = self.core.audit(&actor, "connected_account.revoke", &account.id, outcome, Some(&detail));
        self.spool.apply_with_retry(Unit::new().with(revocations::insert(&row)).with(audit)).await?;
        self.wake.notify_one();
        Ok(())
    }

    async fn batch(
        &self,
        actor: &Actor,
        filter: &CredentialFilter,
        fate: Fate,
        job: &str,
        walk: &Walk,
    ) -> Result<Batch> {
        let project = &actor.project_id;
        let held = self.core.store.accounts_with_credential(project, filter, &walk.after, walk.limit).await?;
        let detail = json!({ "revoke_job_id": job });
        let mut configs: HashMap<String, Option<AuthConfigRow>> = HashMap::new();
        let mut unit = Unit::new();
        for account in &held {
            if !configs.contains_key(&account.auth_config_id) {
                let config = self.core.store.auth_config(project, &account.auth_config_id).await?;
                configs.insert(account.auth_config_id.clone(), config);
            }
            let config = configs.get(&account.auth_config_id).and_then(Option::as_ref);
            let (id, version, now) = (&account.id, account.credential_version, self.core.now());
            let (end, action) = match fate {
                Fate::Deleted => (accounts::delete_version(project, id, version, now), "connected_account.delete"),
                Fate::Revoked => {
                    (accounts::revoke_version(project, id, version, BY_OPERATOR, now), "connected_account.revoke")
                }
            };
            unit.push(end);
            if fate == Fate::Deleted {
                unit = unit.and(links::end_of_account(project, id, "deleted", now));
                unit.push(unread_answers::delete_of_account(project, id));
            }
            unit.push(revocations::insert(&self.revocation_of(job, account, config)));
            unit.push(self.core.audit(actor, action, id, "ok", Some(&detail)));
        }
        let is_last = i64::try_from(held.len()).unwrap_or(i64::MAX) < walk.limit;
        Ok(Batch { unit, accounts: held.len(), last: held.last().map(|account| account.id.clone()), is_last })
    }

    /// Deletes the accounts of an auth config that is going away, batch by batch, so that no other write
    /// waits for all of them; without `is_held` only such as hold no credential.
    pub(in crate::app) async fn delete_accounts_in_batches(
        &self,
        project: &str,
        id: &str,
        is_held: bool,
    ) -> Result<()> {
        loop {
            let unit = accounts::delete_batch_of_auth_config(project, id, is_held, self.core.now());
            let changed = self.core.store.apply(unit).await?;
            if changed.last().is_none_or(|rows| *rows < accounts::DELETE_BATCH) {
                return Ok(());
            }
        }
    }
}
