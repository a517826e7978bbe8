//! `POST …/revoke`: asks the provider at once. The account becomes REVOKED only if the provider confirms.
//!
//! Revocation and refreshes of an account exclude each other: by a lock within the process, by a lease between
//! processes. Otherwise a refresh could rotate the token meanwhile. The work runs in a task that outlives the
//! request, like a refresh.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchboard_store::accounts::{AccountRow, AccountStatus};
use switchboard_store::{Unit, WriteError};
use switchboard_types::{AccountId, AuditAction, AuditOutcome, Fence, ReasonCode};

use super::attempt::{AttemptStatus, Task};
use super::sharing::SharedTokens;
use super::{RevocationMethod, RevokedToken, revocation_method};
use crate::app::Actor;
use crate::app::base::errors::account_not_found;
use crate::app::credential::client::uses_managed_client;
use crate::app::provider::lease::{LEASE, is_leased, still_refreshing};
use crate::app::revocation::Revocations;
use crate::error::{Code, Error, Result};

/// Timeout for revoking all tokens at the provider. Shorter than the lease.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(LEASE.as_secs() - 5);
/// How often the revocation starts again after a concurrent change, before the caller gets an error.
const MAX_RESTARTS: u32 = 200;

impl Revocations {
    /// Revokes an account's credential at its provider and then here. Returns what was revoked; nothing if the
    /// account was REVOKED before.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn revoke_account(self: &Arc<Self>, actor: &Actor, id: &AccountId) -> Result<Vec<RevokedToken>> {
        // Locks are created only for ids of this project.
        let account = self.core.store.account(&actor.project_id, id).await?.ok_or_else(|| account_not_found(id))?;
        let lock = self.core.account_locks.for_account(&account.id);
        let (app, actor) = (Arc::clone(self), actor.clone());
        let task = self.core.tasks.spawn(async move {
            let _guard = lock.lock_owned().await;
            app.revoke_locked(&actor, &account.id).await
        });
        task.await.map_err(Error::internal)?
    }

    async fn revoke_locked(&self, actor: &Actor, id: &AccountId) -> Result<Vec<RevokedToken>> {
        for _ in 0..MAX_RESTARTS {
            let account = self.core.store.account(&actor.project_id, id).await?.ok_or_else(|| account_not_found(id))?;
            if self.spool.finish(&account).await? {
                continue;
            }
            if account.status == AccountStatus::Revoked {
                return Ok(Vec::new());
            }
            let toolkit = self.core.toolkit(&account.toolkit);
            let method =
                revocation_method(account.scheme, &account.toolkit, toolkit.as_deref()).map_err(not_revocable)?;
            if account.status != AccountStatus::Active {
                return Err(Error::of(Code::AccountConflict, &[("id", &id), ("status", &account.status.as_str())]));
            }
            let config = self.core.store.auth_config(&account.project_id, &account.auth_config_id).await?;
            let material = self.revocation_material(&account, config.as_ref())?;
            let params = self.core.params_of(&account);
            let mut shared = SharedTokens::default();
            if let (RevocationMethod::OAuth(oauth), Some(config)) = (method, &config) {
                let client_id = self.credentials.oauth_client(config)?.client_id;
                shared = self
                    .find_shared_tokens(oauth, &params, &client_id, (id, id), |name| material.get(name).is_some())
                    .await?;
            }
            let Some(fence) = self.acquire_lease(&account).await? else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let is_managed = config.as_ref().is_some_and(uses_managed_client);
            let toolkit = account.toolkit.as_str();
            let scheme = account.scheme;
            let task = Task { toolkit, scheme, method, is_managed, material: &material, params: &params, shared };
            let mut tokens = Vec::new();
            let result = tokio::time::timeout(PROVIDER_TIMEOUT, self.attempt_revocation(task, &mut tokens)).await;
            let (code, detail) = match result {
                Ok(AttemptStatus::Revoked) => {
                    return self.record_revoked(actor, &account, tokens, None).await;
                }
                // The account ends here; the shared grant stays at the provider.
                Ok(AttemptStatus::Kept(kept_detail)) => {
                    return self.record_revoked(actor, &account, tokens, Some(kept_detail)).await;
                }
                Ok(AttemptStatus::NotSupported(detail)) => (Code::AccountBadRequest, detail),
                Ok(AttemptStatus::Failed(detail) | AttemptStatus::Retry { detail, .. }) => {
                    (Code::UpstreamUnreachable, detail)
                }
                Err(_) => (Code::UpstreamUnreachable, "The provider did not answer in time".to_owned()),
            };
            tracing::warn!(account.id = %id, toolkit = %account.toolkit, "revocation failed");
            let unit = Unit::new().with(account.release_revocation_lease(fence)).with(self.core.audit(
                actor,
                AuditAction::AccountRevoke,
                id,
                AuditOutcome::Failed,
                Some(json!({ "detail": detail }).to_string()),
            ));
            self.core.store.apply(unit).await?;
            return Err(match code {
                Code::AccountBadRequest => not_revocable(detail),
                code => Error::new(code, detail).fix(STILL_ACTIVE),
            });
        }
        Err(still_refreshing())
    }

    /// Acquires the lease that excludes refreshes. None if it is taken.
    async fn acquire_lease(&self, account: &AccountRow) -> Result<Option<Fence>> {
        let now = self.core.now();
        if is_leased(account, now) {
            return Ok(None);
        }
        let (lease, fence) = account.lease_for_revocation(now, now + LEASE);
        match self.core.store.apply(Unit::new().with(lease)).await {
            Ok(_) => Ok(Some(fence)),
            Err(WriteError::Refused(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn record_revoked(
        &self,
        actor: &Actor,
        account: &AccountRow,
        tokens: Vec<RevokedToken>,
        kept_detail: Option<String>,
    ) -> Result<Vec<RevokedToken>> {
        let (project, id) = (&account.project_id, &account.id);
        let mut detail = json!({ "revoked_tokens": tokens });
        if let Some(kept_detail) = kept_detail {
            detail["detail"] = kept_detail.into();
        }
        let unit = Unit::new()
            .with(account.revoke(&ReasonCode::RevokedByRequest.into(), self.core.now()))
            .with(self.core.audit(actor, AuditAction::AccountRevoke, id, AuditOutcome::Ok, Some(detail.to_string())));
        match self.spool.apply_with_retry(unit).await {
            Ok(()) => Ok(tokens),
            // The account was changed concurrently, but the provider has revoked its tokens.
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

fn not_revocable(reason: String) -> Error {
    Error::new(Code::AccountBadRequest, reason)
        .fix("Delete the account to erase its credential here, and withdraw the access in the provider's own settings.")
}
