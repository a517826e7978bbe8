//! A session's toolkits as it sees them: which it admits, and the account that it would use for
//! each (contract section 2.8).

use std::sync::Arc;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{AccountRow, AccountStatus};

use super::App;
use super::accounts::shown_status;
use super::links::invalid_slugs;
use super::sessions::Session;
use super::toolkits::mentions;
use crate::error::Result;

/// Which toolkits to list.
#[derive(Clone, Debug, Default)]
pub struct ToolkitFilter {
    /// These, also where the session excludes them; empty: those that the session admits.
    pub toolkits: Vec<String>,
    /// Only those with, or without, an ACTIVE account.
    pub is_connected: Option<bool>,
    /// Part of name, slug or description, in any case.
    pub search: Option<String>,
}

/// A toolkit as a session sees it.
#[derive(Debug)]
pub struct SessionToolkit {
    /// The toolkit.
    pub toolkit: Arc<Toolkit>,
    /// The session admits it.
    pub is_enabled: bool,
    /// It asks for no credential.
    pub is_no_auth: bool,
    /// The operator's client can be used for it.
    pub managed_scheme: Option<Scheme>,
    /// What the session would use.
    pub account: Option<ShownAccount>,
}

/// The account that a session would use.
#[derive(Debug)]
pub struct ShownAccount {
    /// The row.
    pub row: AccountRow,
    /// Its auth config uses the operator's client.
    pub is_managed: bool,
}

impl App {
    /// One page of a session's toolkits, by slug, and the number of all that match.
    pub async fn session_toolkits(
        &self,
        session: &Session,
        filter: &ToolkitFilter,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<SessionToolkit>, usize)> {
        let unknown: Vec<&str> =
            filter.toolkits.iter().map(String::as_str).filter(|slug| self.toolkit(slug).is_none()).collect();
        if !unknown.is_empty() {
            return Err(invalid_slugs(&unknown));
        }
        let search = filter.search.as_deref().map(str::to_lowercase);
        let is_listed = |toolkit: &&Arc<Toolkit>| {
            let is_wanted = if filter.toolkits.is_empty() {
                session.config.admits_toolkit(&toolkit.slug)
            } else {
                filter.toolkits.iter().any(|slug| slug.eq_ignore_ascii_case(&toolkit.slug))
            };
            is_wanted && search.as_ref().is_none_or(|part| mentions(toolkit, part))
        };
        let catalog = self.catalog.get();
        let mut found: Vec<(&Arc<Toolkit>, Option<AccountRow>)> = Vec::new();
        for toolkit in catalog.iter().filter(is_listed) {
            // Without the filter only the page's own toolkits need their accounts.
            let Some(wanted) = filter.is_connected else {
                found.push((toolkit, None));
                continue;
            };
            let account = self.shown_account(session, &toolkit.slug).await?;
            if account.as_ref().is_some_and(|it| shown_status(it) == AccountStatus::Active) == wanted {
                found.push((toolkit, account));
            }
        }
        let total = found.len();
        let mut page = Vec::new();
        for (toolkit, account) in found.into_iter().skip(offset).take(limit) {
            let account = match (account, filter.is_connected) {
                (None, None) => self.shown_account(session, &toolkit.slug).await?,
                (account, _) => account,
            };
            page.push(self.session_toolkit(session, toolkit, account).await?);
        }
        Ok((page, total))
    }

    async fn session_toolkit(
        &self,
        session: &Session,
        toolkit: &Arc<Toolkit>,
        account: Option<AccountRow>,
    ) -> Result<SessionToolkit> {
        let account = match account {
            Some(row) => {
                let config = self.store.auth_config(&session.project_id, &row.auth_config_id).await?;
                Some(ShownAccount { row, is_managed: config.is_some_and(|config| config.is_managed) })
            }
            None => None,
        };
        Ok(SessionToolkit {
            toolkit: Arc::clone(toolkit),
            is_enabled: session.config.admits_toolkit(&toolkit.slug),
            is_no_auth: toolkit.schemes() == [Scheme::NoAuth],
            managed_scheme: self.managed_scheme(&session.project_id, toolkit),
            account,
        })
    }
}
