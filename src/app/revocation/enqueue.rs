//! Queues revocations of credentials, in the unit that erases them from their accounts, so that a crash cannot
//! separate the two. Many accounts are processed in batches. If a request fails halfway, a second one continues.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;
use switchboard_store::accounts::{self, AccountRow, CredentialFilter};
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::revocations::{self, RevocationRow};
use switchboard_store::{Refusal, Unit, WriteError, links, unread_answers};
use switchboard_types::{
    AccountId, AuditAction, AuditOutcome, AuthConfigId, LinkOutcome, ProjectId, ReasonCode, Timestamp,
};
use switchboard_vault::Secrets;

use super::too_busy;
use crate::app::Actor;
use crate::app::base::errors::{account_not_found, auth_config_not_found};
use crate::app::credential::client::IssuedTo;
use crate::app::revocation::Revocations;
use crate::error::Result;
use crate::id::Kind;

/// Accounts in one unit.
const BATCH_SIZE: i64 = 20;
/// Maximum number of consecutive units that fail because a credential was rotated concurrently.
const MAX_RESTARTS: u32 = 50;

/// The state of an account after its credential was queued for revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndState {
    /// Deleted: no longer found.
    Deleted,
    /// REVOKED: still listed.
    Revoked,
}

/// Position in a list of accounts that is processed in batches. Batches get smaller after a conflict.
struct BatchCursor {
    /// The last account that was processed.
    after: AccountId,
    limit: i64,
    failures: u32,
}

impl BatchCursor {
    fn new() -> Self {
        Self { after: AccountId::default(), limit: BATCH_SIZE, failures: 0 }
    }

    /// Continues after a batch that ended with the account `last`.
    fn advance(&mut self, last: Option<AccountId>) {
        *self = Self { after: last.unwrap_or_default(), ..Self::new() };
    }

    /// Starts again with fewer accounts, after a credential was rotated or an account connected
    /// concurrently.
    fn restart_with_smaller_batch(&mut self) -> Result<()> {
        if self.failures == MAX_RESTARTS {
            return Err(too_busy());
        }
        *self = Self { after: AccountId::default(), limit: (self.limit / 2).max(1), failures: self.failures + 1 };
        Ok(())
    }
}

/// A page of accounts and the unit that ends them.
struct Batch {
    unit: Unit,
    accounts: usize,
    /// The last account; none if no account was left.
    last: Option<AccountId>,
    /// Whether these were the last accounts: fewer than the limit.
    is_last: bool,
}

impl Revocations {
    /// Deletes an account: erases its credential, ends its links, and queues the revocation at the provider.
    /// Returns the id of the job, if there was a credential.
    pub(in crate::app) async fn delete_and_revoke(&self, actor: &Actor, id: &AccountId) -> Result<Option<String>> {
        for _ in 0..MAX_RESTARTS {
            let project = &actor.project_id;
            let account = self.core.store.account(project, id).await?;
            let account = account.ok_or_else(|| account_not_found(id))?;
            let has_credential = account.credential_sealed.is_some();
            let job = if has_credential {
                Some(self.core.mint(Kind::RevokeJob).into())
            } else {
                self.core.store.conditional_job(project, id).await?
            };
            let detail = job.as_ref().map(|job| json!({ "revoke_job_id": job }));
            let now = self.core.now();
            let mut unit = Unit::new()
                .with(account.delete(now))
                .and(links::end_of_account(project, id, LinkOutcome::Deleted, now))
                .with(unread_answers::delete_of_account(project, id))
                .with(self.core.audit(
                    actor,
                    AuditAction::AccountDelete,
                    id,
                    AuditOutcome::Ok,
                    detail.map(|detail| detail.to_string()),
                ));
            if let Some(job) = job.as_ref().filter(|_| has_credential) {
                let config = self.core.store.auth_config(project, &account.auth_config_id).await?;
                unit = unit.and(revocations::insert(&self.row_for(job, &account, config.as_ref())));
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

    /// Deletes an auth config with its accounts, and queues their revocations as one job. Returns the id of the
    /// job, if there was a credential. Up to a hundred accounts are deleted in one unit. With more, a failure
    /// halfway leaves the rest; a second request deletes it.
    pub(in crate::app) async fn delete_auth_config_and_revoke(
        &self,
        actor: &Actor,
        id: &AuthConfigId,
    ) -> Result<Option<String>> {
        let project = &actor.project_id;
        let job = String::from(self.core.mint(Kind::RevokeJob));
        let filter = CredentialFilter { auth_config: Some(id.clone()), ..CredentialFilter::default() };
        let mut cursor = BatchCursor::new();
        loop {
            let config = self.core.store.auth_config(project, id).await?;
            config.ok_or_else(|| auth_config_not_found(id))?;
            let Batch { mut unit, last, is_last, .. } =
                self.batch(actor, &filter, EndState::Deleted, &job, &cursor).await?;
            if is_last {
                self.delete_accounts_in_batches(project, id, false).await?;
            }
            let now = self.core.now();
            if is_last {
                unit = auth_configs::lock_for_deletion(project, id)
                    .and(unit)
                    .and(links::end_of_auth_config(project, id, LinkOutcome::Deleted, now))
                    .with(auth_configs::delete_unused(project, id, now))
                    .with(unread_answers::delete_of_auth_config(project, id))
                    .with(accounts::delete_of_auth_config(project, id, now))
                    .with(self.core.audit(actor, AuditAction::AuthConfigDelete, id, AuditOutcome::Ok, None));
            }
            match self.core.store.apply(unit).await {
                Ok(_) if is_last => {
                    self.wake.notify_one();
                    let counts = self.core.store.revocation_counts(project, &job).await?;
                    return Ok((counts.total > 0).then_some(job));
                }
                Ok(_) => {
                    self.wake.notify_one();
                    cursor.advance(last);
                }
                Err(WriteError::Refused(_)) => cursor.restart_with_smaller_batch()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends all matching accounts of a project that have a credential, and queues their revocations as one job.
    /// Returns how many. If it fails halfway, the completed batches stay; a second call does the rest.
    pub async fn queue_revocations(
        &self,
        actor: &Actor,
        filter: &CredentialFilter,
        end_state: EndState,
        job: &str,
    ) -> Result<usize> {
        let (mut cursor, mut queued) = (BatchCursor::new(), 0);
        loop {
            let batch = self.batch(actor, filter, end_state, job, &cursor).await?;
            if batch.last.is_none() {
                if cursor.after.is_empty() {
                    return Ok(queued);
                }
                // Start again: an account may have been connected concurrently.
                cursor = BatchCursor::new();
                continue;
            }
            match self.core.store.apply(batch.unit).await {
                Ok(_) => {
                    queued += batch.accounts;
                    self.wake.notify_one();
                    cursor.advance(batch.last);
                }
                Err(WriteError::Refused(_)) => cursor.restart_with_smaller_batch()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Revokes all matching accounts of a project: here at once, at their providers as one job. Returns the id of
    /// the job, if there were any, and their number (R76).
    pub async fn revoke_accounts(&self, actor: &Actor, filter: &CredentialFilter) -> Result<(Option<String>, usize)> {
        self.projects.get(&actor.project_id).await?;
        let job = String::from(self.core.mint(Kind::RevokeJob));
        let queued = self.queue_revocations(actor, filter, EndState::Revoked, &job).await?;
        Ok(((queued > 0).then_some(job), queued))
    }

    /// Queues revocation for tokens from a refresh that finished after its account had ended. A revocation queued
    /// with the account has only the older tokens, and there is none if another server expired the account. If the
    /// account still has a credential, nothing is revoked: revoking one token of a grant may revoke them all
    /// (RFC 7009 section 2.1).
    pub(in crate::app) async fn revoke_orphan(&self, account: &AccountRow, credential: &Secrets) -> Result<()> {
        let project = &account.project_id;
        let now = self.core.store.account(project, &account.id).await?;
        if now.as_ref().is_some_and(|account| account.credential_sealed.is_some()) {
            return Ok(());
        }
        let job = match self.core.store.revocation_job_of_account(project, &account.id).await? {
            Some(job) => job,
            None if now.is_some() => self.core.mint(Kind::RevokeJob).into(),
            // The account was deleted without revocation.
            None => return Ok(()),
        };
        let config = self.core.store.auth_config(project, &account.auth_config_id).await?;
        self.queue_tokens(&job, account, config.as_ref(), credential, AuditOutcome::Ok).await
    }

    /// Queues revocation for tokens that were issued after the account or link had ended. They are unused, and
    /// must not stay valid at the provider (R42).
    pub(in crate::app) async fn revoke_unwanted(
        &self,
        account: &AccountRow,
        config: &AuthConfigRow,
        credential: &Secrets,
    ) -> Result<()> {
        self.queue_tokens(&self.core.mint(Kind::RevokeJob), account, Some(config), credential, AuditOutcome::Unwanted)
            .await
    }

    /// A conditional revocation of tokens that are pending confirmation by the user. It is due at `due`, unless it is
    /// cancelled before.
    pub(in crate::app) fn conditional_revocation(
        &self,
        account: &AccountRow,
        config: &AuthConfigRow,
        credential: &Secrets,
        verification: &str,
        due: Timestamp,
    ) -> RevocationRow {
        let material = self.with_client(credential.clone(), account, Some(config), IssuedTo::CurrentClient);
        let row = self.pending_row(&self.core.mint(Kind::RevokeJob), account, Some(config), material, due);
        RevocationRow { pending_verification_id: Some(verification.to_owned()), ..row }
    }

    /// Queues revocation for tokens that are not stored with an account.
    async fn queue_tokens(
        &self,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
        tokens: &Secrets,
        outcome: AuditOutcome,
    ) -> Result<()> {
        let material = self.with_client(tokens.clone(), account, config, IssuedTo::CurrentClient);
        let row = self.pending_row(job, account, config, material, self.core.now());
        let (actor, detail) = (Actor::system(&account.project_id), json!({ "revoke_job_id": job }));
        let audit = self.core.audit(&actor, AuditAction::AccountRevoke, &account.id, outcome, Some(detail.to_string()));
        self.spool.apply_with_retry(revocations::insert(&row).with(audit)).await?;
        self.wake.notify_one();
        Ok(())
    }

    async fn batch(
        &self,
        actor: &Actor,
        filter: &CredentialFilter,
        end_state: EndState,
        job: &str,
        cursor: &BatchCursor,
    ) -> Result<Batch> {
        let project = &actor.project_id;
        let rows = self.core.store.accounts_with_credential(project, filter, &cursor.after, cursor.limit).await?;
        let detail = json!({ "revoke_job_id": job });
        let ids: BTreeSet<&AuthConfigId> = rows.iter().map(|account| &account.auth_config_id).collect();
        let ids: Vec<AuthConfigId> = ids.into_iter().cloned().collect();
        let configs = self.core.store.auth_configs_by_id(project, &ids).await?;
        let configs: HashMap<&AuthConfigId, &AuthConfigRow> = configs.iter().map(|row| (&row.id, row)).collect();
        let mut unit = Unit::new();
        for account in &rows {
            let read;
            let config = if let Some(config) = configs.get(&account.auth_config_id) {
                Some(*config)
            } else {
                // Deleted, or unreadable: then nothing is erased.
                read = self.core.store.auth_config(project, &account.auth_config_id).await?;
                read.as_ref()
            };
            let (id, now) = (&account.id, self.core.now());
            let (end_account, action) = match end_state {
                EndState::Deleted => (account.delete(now), AuditAction::AccountDelete),
                EndState::Revoked => {
                    (account.revoke(&ReasonCode::RevokedByOperator.into(), now), AuditAction::AccountRevoke)
                }
            };
            unit.push(end_account);
            if end_state == EndState::Deleted {
                unit = unit.and(links::end_of_account(project, id, LinkOutcome::Deleted, now));
                unit.push(unread_answers::delete_of_account(project, id));
            }
            unit = unit.and(revocations::insert(&self.row_for(job, account, config)));
            unit.push(self.core.audit(actor, action, id, AuditOutcome::Ok, Some(detail.to_string())));
        }
        let is_last = i64::try_from(rows.len()).unwrap_or(i64::MAX) < cursor.limit;
        Ok(Batch { unit, accounts: rows.len(), last: rows.last().map(|account| account.id.clone()), is_last })
    }

    /// Deletes the accounts of an auth config in batches, so that other writes need not wait for all of them.
    /// Without `has_credential`, only accounts without a credential.
    pub(in crate::app) async fn delete_accounts_in_batches(
        &self,
        project: &ProjectId,
        id: &AuthConfigId,
        has_credential: bool,
    ) -> Result<()> {
        loop {
            let unit = accounts::delete_batch_of_auth_config(project, id, has_credential, self.core.now());
            let changed = self.core.store.apply(unit).await?;
            if changed.last().is_none_or(|rows| *rows < accounts::DELETE_BATCH) {
                return Ok(());
            }
        }
    }
}
