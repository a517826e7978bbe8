//! `POST …/revoke`: the provider is asked at once, and the account is REVOKED only on its word.
//!
//! It takes its turn among the refreshes of the account, in this process by their lock, between
//! processes by their lease: a token that is being rotated is not the one to revoke. The work runs
//! in a task that outlives the request, as a refresh does.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchboard_store::accounts::{self, AccountRow, AccountStatus};
use switchboard_store::{Unit, WriteError};

use super::attempt::{End, Task};
use super::sharing::Share;
use super::{BY_REQUEST, Revocable, RevokedToken, revocable};
use crate::app::Actor;
use crate::app::base::errors::account_not_found;
use crate::app::credential::client::uses_managed_client;
use crate::app::provider::lease::{LEASE, is_leased, still_refreshing};
use crate::app::revocation::Revocations;
use crate::error::{Code, Error, Result};
use crate::time::millis;

/// How long the provider has for all tokens. Shorter than the lease.
const PROVIDER_TIME: Duration = Duration::from_secs(LEASE.as_secs() - 5);
/// Turns lost to others before the caller is told to come back.
const TURNS: u32 = 200;

impl Revocations {
    /// Revokes an account's credential at its provider and, then, here. What was revoked; nothing
    /// when it had been before.
    pub async fn revoke_account(self: &Arc<Self>, actor: &Actor, id: &str) -> Result<Vec<RevokedToken>> {
        // Only an id of this project gets a lock.
        let account = self.core.store.account(&actor.project_id, id).await?.ok_or_else(|| account_not_found(id))?;
        let lock = self.core.account_locks.for_account(&account.id);
        let (app, actor) = (Arc::clone(self), actor.clone());
        let task = self.core.tasks.spawn(async move {
            let _turn = lock.lock_owned().await;
            app.revoke_in_turn(&actor, &account.id).await
        });
        task.await.map_err(Error::internal)?
    }

    async fn revoke_in_turn(&self, actor: &Actor, id: &str) -> Result<Vec<RevokedToken>> {
        for _ in 0..TURNS {
            let account = self.core.store.account(&actor.project_id, id).await?.ok_or_else(|| account_not_found(id))?;
            if self.spool.finish(&account).await? {
                continue;
            }
            if account.status == AccountStatus::Revoked {
                return Ok(Vec::new());
            }
            let toolkit = self.core.toolkit(&account.toolkit);
            let how = revocable(&account.scheme, &account.toolkit, toolkit.as_deref()).map_err(cannot)?;
            if account.status != AccountStatus::Active {
                return Err(Error::of(Code::AccountConflict, &[("id", &id), ("status", &account.status.as_str())]));
            }
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let material = self.revocation_material(&account, config.as_ref())?;
            let params = self.core.params_of(&account)?;
            let mut share = Share::default();
            if let (Revocable::OAuth(oauth), Some(config)) = (how, &config) {
                let client_id = self.credentials.oauth_client(config)?.client_id;
                share = self.share(oauth, &params, &client_id, (id, id), |name| material.get(name).is_some()).await?;
            }
            if !self.hold(&account).await? {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            let is_managed = config.as_ref().is_some_and(uses_managed_client);
            let toolkit = account.toolkit.as_str();
            let scheme = account.scheme.parse().map_err(Error::internal)?;
            let task = Task {
                toolkit,
                scheme,
                how,
                is_managed,
                material: &material,
                params: &params,
                done: Vec::new(),
                share,
            };
            let tried = tokio::time::timeout(PROVIDER_TIME, self.try_revoking(task)).await;
            let (code, detail) = match tried.map(|verdict| (verdict.end, verdict.tokens)) {
                Ok((End::Revoked, tokens)) => return self.note_revoked(actor, &account, tokens, None).await,
                // Here it ends; at the provider the others go on.
                Ok((End::Kept(kept), tokens)) => return self.note_revoked(actor, &account, tokens, Some(kept)).await,
                Ok((End::NotSupported(detail), _)) => (Code::AccountBadRequest, detail),
                Ok((End::Failed(detail) | End::Later { detail, .. }, _)) => (Code::UpstreamUnreachable, detail),
                Err(_) => (Code::UpstreamUnreachable, "The provider did not answer in time".to_owned()),
            };
            tracing::warn!(account.id = %id, toolkit = %account.toolkit, "revocation failed");
            let unit = Unit::new()
                .with(accounts::release_revocation_lease(&account.project_id, id, account.refresh_fence + 1))
                .with(self.core.audit(
                    actor,
                    "connected_account.revoke",
                    id,
                    "failed",
                    Some(&json!({ "detail": detail })),
                ));
            self.core.store.apply(unit).await?;
            return Err(match code {
                Code::AccountBadRequest => cannot(detail),
                code => Error::new(code, detail).fix(STILL_ACTIVE),
            });
        }
        Err(still_refreshing())
    }

    /// Keeps refreshes away; false while another is at it.
    async fn hold(&self, account: &AccountRow) -> Result<bool> {
        let now = self.core.now();
        if is_leased(account, now) {
            return Ok(false);
        }
        let (version, fence) = (account.credential_version, account.refresh_fence);
        let hold =
            accounts::lease_for_revocation(&account.project_id, &account.id, version, fence, now, now + millis(LEASE));
        match self.core.store.apply(Unit::new().with(hold)).await {
            Ok(_) => Ok(true),
            Err(WriteError::Refused(_)) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn note_revoked(
        &self,
        actor: &Actor,
        account: &AccountRow,
        tokens: Vec<RevokedToken>,
        kept: Option<String>,
    ) -> Result<Vec<RevokedToken>> {
        let (project, id) = (&account.project_id, &account.id);
        let mut detail = json!({ "revoked_tokens": tokens });
        if let Some(kept) = kept {
            detail["detail"] = kept.into();
        }
        let unit = Unit::new()
            .with(accounts::revoke_version(project, id, account.credential_version, BY_REQUEST, self.core.now()))
            .with(self.core.audit(actor, "connected_account.revoke", id, "ok", Some(&detail)));
        match self.spool.apply_with_retry(unit).await {
            Ok(()) => Ok(tokens),
            // Ended by somebody else in the meantime; its tokens are as dead.
            Err(WriteError::Refused(_)) => match self.core.store.account(project, id).await? {
                None => Err(account_not_found(id)),
                Some(now) if now.status == AccountStatus::Revoked => Ok(tokens),
                Some(_) => Err(still_refreshing()),
            },
            Err(error) => Err(error.into()),
        }
    }
}

const STILL_ACTIVE: &str = "The account is still ACTIVE. Try again; or delete it: that erases the credential here at \
                            once and goes on asking the provider for a day.";

fn cannot(why: String) -> Error {
    Error::new(Code::AccountBadRequest, why)
        .fix("Delete the account to erase its credential here, and withdraw the access in the provider's own settings.")
}
