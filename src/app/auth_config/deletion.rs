//! Deleting an auth config: its accounts go first, in batches.

use switchboard_store::auth_configs;
use switchboard_store::{Unit, WriteError, accounts, links, unread_answers};

use super::not_found;
use crate::app::{Actor, App};
use crate::error::Result;

impl App {
    /// Deletes an auth config and, with it, its accounts and their credentials. With `revoke`,
    /// their provider is asked to forget those, too; then the id of that job, where there were any.
    pub async fn delete_auth_config(&self, actor: &Actor, id: &str, revoke: bool) -> Result<Option<String>> {
        if revoke {
            let job = self.delete_auth_config_and_revoke(actor, id).await;
            self.recent_auth_configs.forget_where(|it| it.has(id));
            return job;
        }
        if self.store.auth_config(&actor.project_id, id).await?.is_none() {
            return Err(not_found(id));
        }
        self.delete_accounts_in_batches(&actor.project_id, id, true).await?;
        let now = self.now();
        let unit = Unit::new()
            .with(auth_configs::delete(&actor.project_id, id, now))
            .and(links::end_of_auth_config(&actor.project_id, id, "deleted", now))
            .with(unread_answers::delete_of_auth_config(&actor.project_id, id))
            .with(accounts::delete_of_auth_config(&actor.project_id, id, now))
            .with(self.audit(actor, "auth_config.delete", id, "ok", None));
        match self.store.apply(unit).await {
            Ok(_) => {
                self.recent_auth_configs.forget_where(|it| it.has(id));
                Ok(None)
            }
            Err(WriteError::Refused("auth_config_not_found")) => Err(not_found(id)),
            Err(error) => Err(error.into()),
        }
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
            let unit = accounts::delete_some_of_auth_config(project, id, is_held, self.now());
            let changed = self.store.apply(unit).await?;
            if changed.last().is_none_or(|rows| *rows < accounts::SOME) {
                return Ok(());
            }
        }
    }
}
