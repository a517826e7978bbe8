//! Handing credentials over to be revoked: in the unit that erases them from their accounts, so
//! that a crash loses neither. Many accounts go in batches; what is not done yet is still there for
//! whoever asks again.

use std::collections::HashMap;

use serde_json::json;
use switchboard_store::accounts::{self, AccountRow, HeldFilter};
use switchboard_store::auth_configs::{self, AuthConfigRow};
use switchboard_store::revocations::{self, RevocationOutcome, RevocationRow, RevocationState};
use switchboard_store::{Unit, WriteError, links};
use switchboard_vault::Secrets;

use super::{BY_OPERATOR, revocable, tokens_text, too_busy};
use crate::app::{Actor, App};
use crate::error::{Code, Error, Result};
use crate::id::Kind;

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

/// A page of accounts and the unit that ends them.
struct Batch {
    unit: Unit,
    accounts: usize,
    /// The last account; none when there was no account left.
    last: Option<String>,
    /// Fewer than asked for: these were the last.
    is_last: bool,
}

impl App {
    /// Deletes an account: its credential is erased at once, its links end, and the provider is
    /// asked to forget the credential. The job's id, where there was a credential.
    pub(in crate::app) async fn delete_and_revoke(&self, actor: &Actor, id: &str) -> Result<Option<String>> {
        for _ in 0..PATIENCE {
            let project = &actor.project_id;
            let account = self.store.account(project, id).await?;
            let account = account.ok_or_else(|| crate::app::accounts::not_found(id))?;
            let job = account.credential_sealed.is_some().then(|| self.mint(Kind::RevokeJob));
            let detail = job.as_ref().map(|job| json!({ "revoke_job_id": job }));
            let now = self.now();
            let mut unit = Unit::new()
                .with(accounts::delete_version(project, id, account.credential_version, now))
                .and(links::end_of_account(project, id, "deleted", now))
                .with(self.audit(actor, "connected_account.delete", id, "ok", detail.as_ref()));
            if let Some(job) = &job {
                let config = self.store.auth_config(project, &account.auth_config_id).await?;
                unit.push(revocations::insert(&self.revocation_of(job, &account, config.as_ref())));
            }
            match self.store.apply(unit).await {
                Ok(_) => {
                    self.revocation_wake.notify_one();
                    return Ok(job);
                }
                Err(WriteError::Refused("account_changed")) => {}
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
        let job = self.mint(Kind::RevokeJob);
        let filter = HeldFilter { auth_config: Some(id.to_owned()), ..HeldFilter::default() };
        let (mut after, mut limit, mut failures) = (String::new(), BATCH, 0);
        loop {
            let config = self.store.auth_config(project, id).await?;
            config.ok_or_else(|| crate::app::auth_configs::not_found(id))?;
            let Batch { mut unit, last, is_last, .. } =
                self.batch(actor, &filter, Fate::Deleted, &job, (&after, limit)).await?;
            let now = self.now();
            if is_last {
                unit = unit
                    .and(links::end_of_auth_config(project, id, "deleted", now))
                    .with(auth_configs::delete_unused(project, id, now))
                    .with(accounts::delete_of_auth_config(project, id, now))
                    .with(self.audit(actor, "auth_config.delete", id, "ok", None));
            }
            match self.store.apply(unit).await {
                Ok(_) if is_last => {
                    self.revocation_wake.notify_one();
                    let counts = self.store.revocation_counts(project, &job).await?;
                    return Ok((counts.total > 0).then_some(job));
                }
                Ok(_) => {
                    self.revocation_wake.notify_one();
                    after = last.unwrap_or_default();
                    (limit, failures) = (BATCH, 0);
                }
                // Rotated, or connected, in the meantime: look again, at fewer of them.
                Err(WriteError::Refused("account_changed" | "auth_config_busy")) if failures < PATIENCE => {
                    failures += 1;
                    limit = (limit / 2).max(1);
                    after.clear();
                }
                Err(WriteError::Refused(_)) => return Err(too_busy()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends all accounts of a project that hold a credential and match, and queues their
    /// revocations under one job. Returns how many. What it did is done even if it fails half-way;
    /// called again, it does the rest.
    pub async fn queue_revocations(&self, actor: &Actor, filter: &HeldFilter, fate: Fate, job: &str) -> Result<usize> {
        let (mut after, mut limit, mut failures, mut queued) = (String::new(), BATCH, 0, 0);
        loop {
            let batch = self.batch(actor, filter, fate, job, (&after, limit)).await?;
            let Some(last) = batch.last else {
                if after.is_empty() {
                    return Ok(queued);
                }
                // Once more from the front: one may have been connected behind our back.
                after.clear();
                continue;
            };
            match self.store.apply(batch.unit).await {
                Ok(_) => {
                    queued += batch.accounts;
                    self.revocation_wake.notify_one();
                    after = last;
                    (limit, failures) = (BATCH, 0);
                }
                Err(WriteError::Refused("account_changed")) if failures < PATIENCE => {
                    failures += 1;
                    limit = (limit / 2).max(1);
                }
                Err(WriteError::Refused(_)) => return Err(too_busy()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Revokes all accounts of a project that match, here at once and at their providers as one job:
    /// its id, where there were any, and how many (R76).
    pub async fn revoke_accounts(&self, actor: &Actor, filter: &HeldFilter) -> Result<(Option<String>, usize)> {
        let project = &actor.project_id;
        if self.store.project(project).await?.is_none() {
            return Err(Error::of(Code::ProjectNotFound, &[("id", project)]));
        }
        let job = self.mint(Kind::RevokeJob);
        let queued = self.queue_revocations(actor, filter, Fate::Revoked, &job).await?;
        Ok(((queued > 0).then_some(job), queued))
    }

    /// Empties a project that is being deleted: all its accounts are deleted, their credentials go
    /// to be revoked, its links end, its auth configs lose their clients. The job's id, where there
    /// was a credential; it follows from the project's id, so that whoever goes on has the same.
    ///
    /// For `DELETE /org/owner/project/{id}`: set the project's `deleted_at` in a unit of its own
    /// first (so that no key opens it any more), then call this. It works in batches and may be
    /// called any number of times. If it is cut short, the jobs of any server on this database
    /// finish it: they look for projects with `deleted_at` that still have accounts. A project that
    /// is to be deleted without revoking therefore takes `accounts::delete_of_project` into the
    /// unit that sets `deleted_at`.
    pub async fn queue_revocations_of_project(&self, actor: &Actor) -> Result<Option<String>> {
        let project = &actor.project_id;
        let own = project.strip_prefix(Kind::Project.prefix()).unwrap_or(project);
        let job = format!("{}{own}", Kind::RevokeJob.prefix());
        self.queue_revocations(actor, &HeldFilter::default(), Fate::Deleted, &job).await?;
        let now = self.now();
        let unit = Unit::new()
            .with(links::finish_of_project(project, "deleted", now))
            .with(accounts::delete_unconnected_of_project(project, now))
            .with(auth_configs::delete_unused_of_project(project, now))
            .with(self.audit(actor, "project.empty", project, "ok", None));
        self.store.apply(unit).await?;
        self.recent_auth_configs.forget_where(|config| config.project_id == *project);
        let counts = self.store.revocation_counts(project, &job).await?;
        Ok((counts.total > 0).then_some(job))
    }

    /// Goes on with deleted projects that were not emptied to the end.
    pub async fn empty_deleted_projects(&self) -> Result<()> {
        for project in self.store.deleted_projects_with_accounts(100).await? {
            // One that cannot be emptied now does not keep the others.
            if let Err(error) = self.queue_revocations_of_project(&Actor::system(&project)).await {
                tracing::error!(project.id = %project, error = error.message(), cause = error.causes(), "a deleted project could not be emptied");
            }
        }
        Ok(())
    }

    /// Queues a credential that a refresh brought home after its account had been ended: the
    /// revocation that was queued then has only the older tokens.
    pub(in crate::app) async fn revoke_orphan(&self, account: &AccountRow, credential: &Secrets) -> Result<()> {
        let project = &account.project_id;
        // Nobody asked for a revocation, or the account lives on with another server's refresh.
        let Some(job) = self.store.revocation_job_of_account(project, &account.id).await? else { return Ok(()) };
        let now = self.store.account(project, &account.id).await?;
        if now.is_some_and(|account| account.credential_sealed.is_some()) {
            return Ok(());
        }
        let config = self.store.auth_config(project, &account.auth_config_id).await?;
        let material = self.with_client(credential.clone(), &account.auth_config_id, config.as_ref());
        let row = self.revocation_row(&job, account, config.as_ref(), material);
        let detail = json!({ "revoke_job_id": job });
        let actor = Actor::system(project);
        let unit = Unit::new().with(revocations::insert(&row)).with(self.audit(
            &actor,
            "connected_account.revoke",
            &account.id,
            "ok",
            Some(&detail),
        ));
        self.apply_patiently(unit).await?;
        self.revocation_wake.notify_one();
        Ok(())
    }

    /// Queues tokens that a code bought after its account or link had ended: nobody will use them,
    /// and they must not live on at the provider (R42).
    pub(in crate::app) async fn revoke_unwanted(
        &self,
        account: &AccountRow,
        config: &AuthConfigRow,
        credential: &Secrets,
    ) -> Result<()> {
        let job = self.mint(Kind::RevokeJob);
        let material = self.with_client(credential.clone(), &account.auth_config_id, Some(config));
        let row = self.revocation_row(&job, account, Some(config), material);
        let detail = json!({ "revoke_job_id": job });
        let actor = Actor::system(&account.project_id);
        let unit = Unit::new().with(revocations::insert(&row)).with(self.audit(
            &actor,
            "connected_account.revoke",
            &account.id,
            "unwanted",
            Some(&detail),
        ));
        self.apply_patiently(unit).await?;
        self.revocation_wake.notify_one();
        Ok(())
    }

    async fn batch(
        &self,
        actor: &Actor,
        filter: &HeldFilter,
        fate: Fate,
        job: &str,
        (after, limit): (&str, i64),
    ) -> Result<Batch> {
        let project = &actor.project_id;
        let held = self.store.accounts_with_credential(project, filter, after, limit).await?;
        let detail = json!({ "revoke_job_id": job });
        let mut configs: HashMap<String, Option<AuthConfigRow>> = HashMap::new();
        let mut unit = Unit::new();
        for account in &held {
            if !configs.contains_key(&account.auth_config_id) {
                let config = self.store.auth_config(project, &account.auth_config_id).await?;
                configs.insert(account.auth_config_id.clone(), config);
            }
            let config = configs.get(&account.auth_config_id).and_then(Option::as_ref);
            let (id, version, now) = (&account.id, account.credential_version, self.now());
            let (end, action) = match fate {
                Fate::Deleted => (accounts::delete_version(project, id, version, now), "connected_account.delete"),
                Fate::Revoked => {
                    (accounts::revoke_version(project, id, version, BY_OPERATOR, now), "connected_account.revoke")
                }
            };
            unit.push(end);
            if fate == Fate::Deleted {
                unit = unit.and(links::end_of_account(project, id, "deleted", now));
            }
            unit.push(revocations::insert(&self.revocation_of(job, account, config)));
            unit.push(self.audit(actor, action, id, "ok", Some(&detail)));
        }
        let is_last = i64::try_from(held.len()).unwrap_or(i64::MAX) < limit;
        Ok(Batch { unit, accounts: held.len(), last: held.last().map(|account| account.id.clone()), is_last })
    }

    fn revocation_of(&self, job: &str, account: &AccountRow, config: Option<&AuthConfigRow>) -> RevocationRow {
        // A toolkit that only the server knows, not the command line, is the server's to judge.
        let toolkit = self.toolkit(&account.toolkit);
        let known = revocable(&account.scheme, &account.toolkit, toolkit.map(AsRef::as_ref));
        if let Err(why) = known
            && (toolkit.is_some() || account.scheme != switchboard_catalog::Scheme::OAuth2.as_str())
        {
            return self.settled(job, account, config, RevocationOutcome::NotSupported, why);
        }
        self.revocation_row(job, account, config, self.revocation_material(account, config))
    }

    fn revocation_row(
        &self,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
        material: Result<Secrets>,
    ) -> RevocationRow {
        match material {
            Ok(material) => {
                let mut row = self.settled(job, account, config, RevocationOutcome::Failed, String::new());
                let material = self.seal_revocation(&row.project_id, &row.id, &material);
                (row.state, row.detail) = (RevocationState::Pending { material }, None);
                row
            }
            Err(error) => self.unusable(job, account, config, &error),
        }
    }

    fn unusable(
        &self,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
        error: &Error,
    ) -> RevocationRow {
        tracing::error!(account.id = %account.id, error = error.message(), cause = error.causes(), "a credential cannot be revoked");
        self.settled(job, account, config, RevocationOutcome::Failed, error.message().to_owned())
    }

    fn settled(
        &self,
        job: &str,
        account: &AccountRow,
        config: Option<&AuthConfigRow>,
        outcome: RevocationOutcome,
        detail: String,
    ) -> RevocationRow {
        let now = self.now();
        RevocationRow {
            id: self.mint(Kind::Revocation),
            job_id: job.to_owned(),
            project_id: account.project_id.clone(),
            account_id: account.id.clone(),
            toolkit: account.toolkit.clone(),
            auth_config_id: account.auth_config_id.clone(),
            is_managed: config.is_some_and(|config| config.is_managed),
            params: account.params.clone(),
            state: RevocationState::Finished { outcome, at: now },
            tokens: tokens_text(&[]),
            detail: Some(detail),
            tries: 0,
            next_try_at: now,
            created_at: now,
        }
    }
}
