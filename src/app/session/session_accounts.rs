//! The accounts that a session can use for several toolkits, read at once.

use std::collections::HashMap;
use std::sync::Arc;

use switchboard_catalog::Toolkit;
use switchboard_store::accounts::AccountRow;

use super::resolve::may_use;
use super::{Session, Sessions};
use crate::error::Result;

impl Sessions {
    /// The accounts that a call may use, by toolkit, the default one first. Without `multi_account` there is one at most:
    /// those of [`Self::default_accounts`], which are given. With it, one read finds the accounts of all toolkits, and one
    /// those that are pinned.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn accounts_of_toolkits(
        &self,
        session: &Session,
        toolkits: &[&Arc<Toolkit>],
        defaults: HashMap<String, AccountRow>,
    ) -> Result<HashMap<String, Vec<AccountRow>>> {
        if !session.config.is_multi_account() {
            return Ok(defaults.into_iter().map(|(toolkit, account)| (toolkit, vec![account])).collect());
        }
        let slugs = toolkits.iter().map(|toolkit| toolkit.slug.as_str());
        let (pinned, free): (Vec<&str>, Vec<&str>) = slugs.partition(|slug| session.config.pins(slug).is_some());
        let pins: Vec<String> =
            pinned.iter().flat_map(|slug| session.config.pins(slug).unwrap_or_default()).cloned().collect();
        let mut found = self.core.store.accounts_by_id(&session.project_id, &pins).await?;
        found.sort_by_key(|account| pins.iter().position(|pin| account.id == *pin));
        let free = free.into_iter().map(|slug| (slug.to_owned(), session.config.auth_config(slug))).collect();
        let limit = i64::try_from(session.config.max_accounts()).unwrap_or(1);
        let (project, user) = (&session.project_id, session.user_id.as_str());
        found.extend(self.core.store.active_accounts_of_toolkits(project, user, free, limit).await?);
        let mut accounts: HashMap<String, Vec<AccountRow>> = HashMap::new();
        for account in found {
            if may_use(session, &account)? {
                accounts.entry(account.toolkit.clone()).or_default().push(account);
            }
        }
        Ok(accounts)
    }
}
