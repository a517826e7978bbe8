//! Deletes an auth config. Its accounts are deleted first, in batches.

use switchboard_store::{Refusal, WriteError, accounts, auth_configs, links, unread_answers};
use switchboard_types::{AuditAction, AuditOutcome, AuthConfigId, LinkOutcome};

use crate::app::Actor;
use crate::app::auth_config::AuthConfigs;
use crate::app::base::errors::auth_config_not_found;
use crate::error::Result;

impl AuthConfigs {
    /// Deletes an auth config with its accounts and their credentials. With `revoke`, the credentials are also
    /// revoked at the provider; returns the id of that job if there were any.
    pub async fn delete(&self, actor: &Actor, id: &AuthConfigId, revoke: bool) -> Result<Option<String>> {
        if revoke {
            let job = self.revocations.delete_auth_config_and_revoke(actor, id).await;
            self.recent.forget_where(|candidates| candidates.has(id));
            return job;
        }
        if self.core.store.auth_config(&actor.project_id, id).await?.is_none() {
            return Err(auth_config_not_found(id));
        }
        self.revocations.delete_accounts_in_batches(&actor.project_id, id, true).await?;
        let now = self.core.now();
        let unit = auth_configs::lock_for_deletion(&actor.project_id, id)
            .with(auth_configs::delete(&actor.project_id, id, now))
            .and(links::end_of_auth_config(&actor.project_id, id, LinkOutcome::Deleted, now))
            .with(unread_answers::delete_of_auth_config(&actor.project_id, id))
            .with(accounts::delete_of_auth_config(&actor.project_id, id, now))
            .with(self.core.audit(actor, AuditAction::AuthConfigDelete, id, AuditOutcome::Ok, None));
        match self.core.store.apply(unit).await {
            Ok(_) => {
                self.recent.forget_where(|candidates| candidates.has(id));
                Ok(None)
            }
            Err(WriteError::Refused(Refusal::AuthConfigNotFound)) => Err(auth_config_not_found(id)),
            Err(error) => Err(error.into()),
        }
    }
}
