//! Lists toolkits: filter and order.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use switchboard_catalog::Toolkit;
use switchboard_types::ProjectId;

use crate::app::auth_config::AuthConfigs;
use crate::app::base::core::Core;
use crate::error::Result;

/// Which toolkits to list; an absent field matches all.
#[derive(Clone, Debug, Default)]
pub struct ToolkitListFilter {
    /// These slugs, in any case; an empty list matches none.
    pub slugs: Option<Vec<String>>,
    /// Identifier of a category, in any case.
    pub category: Option<String>,
    /// Part of slug, name or description, in any case.
    pub search: Option<String>,
    /// Whether the project can connect it without an auth config of its own.
    pub managed: Option<bool>,
    /// Order by number of accounts instead of by name.
    pub by_usage: bool,
}

/// Whether slug, name or description of a toolkit contain a text, given in lower case.
pub(in crate::app) fn mentions(toolkit: &Toolkit, lower: &str) -> bool {
    let texts = [&toolkit.slug, &toolkit.name, &toolkit.description];
    texts.iter().any(|text| text.to_lowercase().contains(lower))
}

/// The toolkits that a project can use.
pub struct Toolkits {
    core: Arc<Core>,
    auth_configs: Arc<AuthConfigs>,
}

crate::redacted_debug!(Toolkits);

impl Toolkits {
    /// Creates the service.
    pub fn new(core: Arc<Core>, auth_configs: Arc<AuthConfigs>) -> Self {
        Self { core, auth_configs }
    }
}

impl Toolkits {
    /// The toolkits that match a filter, ordered by name or by usage.
    pub async fn list(&self, project: &ProjectId, filter: &ToolkitListFilter) -> Result<Vec<Arc<Toolkit>>> {
        let slugs: Option<BTreeSet<String>> =
            filter.slugs.as_ref().map(|slugs| slugs.iter().map(|slug| slug.to_ascii_lowercase()).collect());
        let category = filter.category.as_deref().map(str::to_ascii_lowercase);
        let search = filter.search.as_deref().map(str::to_lowercase);
        let matches_filter = |toolkit: &&Arc<Toolkit>| {
            slugs.as_ref().is_none_or(|expected| expected.contains(&toolkit.slug))
                && category.as_ref().is_none_or(|expected| toolkit.categories.contains(expected))
                && search.as_ref().is_none_or(|expected| mentions(toolkit, expected))
                && filter
                    .managed
                    .is_none_or(|expected| expected == self.auth_configs.managed_scheme(project, toolkit).is_some())
        };
        let mut found: Vec<Arc<Toolkit>> = self.core.catalog.get().iter().filter(matches_filter).cloned().collect();
        let usage: HashMap<String, i64> = if filter.by_usage {
            self.core.store.accounts_per_toolkit(project).await?.into_iter().collect()
        } else {
            HashMap::new()
        };
        // The slug makes the order total, so that pages neither repeat nor skip toolkits.
        found.sort_by_cached_key(|toolkit| {
            let accounts = usage.get(&toolkit.slug).copied().unwrap_or_default();
            (Reverse(accounts), toolkit.name.to_lowercase(), toolkit.slug.clone())
        });
        Ok(found)
    }

    /// All categories in use, in order.
    pub fn categories(&self) -> BTreeSet<String> {
        self.core.catalog.get().iter().flat_map(|toolkit| toolkit.categories.iter().cloned()).collect()
    }
}
