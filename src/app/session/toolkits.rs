//! The toolkits of a session: which ones it allows, and the account that it would use for each (contract
//! section 2.8).

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use switchboard_catalog::{Scheme, Toolkit};
use switchboard_store::accounts::{AccountRow, AccountStatus};

use super::Session;
use super::policy::CallKind;
use crate::app::account::effective_status;
use crate::app::base::errors::invalid_slugs;
use crate::app::session::Sessions;
use crate::app::toolkit::mentions;
use crate::error::Result;
use switchboard_types::AuthConfigId;

/// Which toolkits to list.
#[derive(Clone, Debug, Default)]
pub struct ToolkitFilter {
    /// These toolkits, even if the session excludes them; empty means all that the session allows.
    pub toolkits: Vec<String>,
    /// Only toolkits with, or without, an ACTIVE account.
    pub is_connected: Option<bool>,
    /// Part of name, slug or description, in any case.
    pub search: Option<String>,
}

/// A toolkit in the context of a session.
#[derive(Debug)]
pub struct SessionToolkit {
    /// The toolkit.
    pub toolkit: Arc<Toolkit>,
    /// Whether the session allows the toolkit.
    pub is_enabled: bool,
    /// Whether the toolkit needs no credential.
    pub is_no_auth: bool,
    /// The scheme that works without an auth config of the project, if any.
    pub managed_scheme: Option<Scheme>,
    /// The account that the session would use.
    pub account: Option<SessionAccount>,
}

/// The account that a session would use.
#[derive(Debug)]
pub struct SessionAccount {
    /// The row.
    pub row: AccountRow,
    /// Whether its auth config uses the operator's client.
    pub is_managed: bool,
}

impl Sessions {
    /// One page of a session's toolkits, ordered by slug, and the total number of matches.
    pub async fn toolkits(
        &self,
        session: &Session,
        filter: &ToolkitFilter,
        offset: usize,
        limit: usize,
    ) -> Result<(Vec<SessionToolkit>, usize)> {
        let unknown: Vec<&str> =
            filter.toolkits.iter().map(String::as_str).filter(|slug| self.core.toolkit(slug).is_none()).collect();
        if !unknown.is_empty() {
            return Err(invalid_slugs(&unknown));
        }
        let search = filter.search.as_deref().map(str::to_lowercase);
        let is_listed = |toolkit: &&Arc<Toolkit>| {
            let is_selected = if filter.toolkits.is_empty() {
                is_enabled(session, toolkit)
            } else {
                filter.toolkits.iter().any(|slug| slug.eq_ignore_ascii_case(&toolkit.slug))
            };
            is_selected && search.as_ref().is_none_or(|part| mentions(toolkit, part))
        };
        let catalog = self.core.catalog.get();
        let mut found: Vec<&Arc<Toolkit>> = catalog.iter().filter(is_listed).collect();
        // Without this filter only the toolkits of the page need their accounts.
        let mut accounts = HashMap::new();
        if let Some(expected) = filter.is_connected {
            accounts = self.default_accounts(session, &found).await?;
            found.retain(|toolkit| {
                let account = accounts.get(&toolkit.slug);
                account.is_some_and(|account| effective_status(account) == AccountStatus::Active) == expected
            });
        }
        let total = found.len();
        let page: Vec<&Arc<Toolkit>> = found.into_iter().skip(offset).take(limit).collect();
        if filter.is_connected.is_none() {
            accounts = self.default_accounts(session, &page).await?;
        }
        let used = page.iter().filter_map(|toolkit| accounts.get(&toolkit.slug));
        let ids: BTreeSet<AuthConfigId> = used.map(|account| account.auth_config_id.clone()).collect();
        let ids: Vec<AuthConfigId> = ids.into_iter().collect();
        let configs = self.core.store.auth_configs_by_id(&session.project_id, &ids).await?;
        let managed: BTreeSet<&str> =
            configs.iter().filter(|config| config.is_managed).map(|config| config.id.as_str()).collect();
        let toolkits = page.into_iter().map(|toolkit| {
            let account = accounts.remove(&toolkit.slug);
            let account =
                account.map(|row| SessionAccount { is_managed: managed.contains(row.auth_config_id.as_str()), row });
            self.toolkit(session, toolkit, account)
        });
        Ok((toolkits.collect(), total))
    }

    fn toolkit(&self, session: &Session, toolkit: &Arc<Toolkit>, account: Option<SessionAccount>) -> SessionToolkit {
        SessionToolkit {
            toolkit: Arc::clone(toolkit),
            is_enabled: is_enabled(session, toolkit),
            is_no_auth: toolkit.has_only_no_auth(),
            managed_scheme: self.auth_configs.managed_scheme(&session.project_id, toolkit),
            account,
        }
    }
}

/// Whether the session allows a toolkit.
fn is_enabled(session: &Session, toolkit: &Toolkit) -> bool {
    session.config.check(CallKind::Toolkit { toolkit: &toolkit.slug }).is_ok()
}
