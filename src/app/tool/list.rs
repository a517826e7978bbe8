//! Lists of tools: of the catalog, and those that a session has preloaded.

use std::sync::Arc;

use switchboard_catalog::{Tool, ToolRow, Toolkit};
use switchboard_search::{DocumentSet, Search, Source};
use switchboard_types::AllowedTools;

use super::search::ToolIndex;
use super::{Tools, tags};
use crate::app::base::tools::FoundTool;
use crate::app::session::Session;
use crate::app::session::policy::{CallKind, PreloadTools, Tag, ToolDescription};
use crate::error::Result;

/// Which tools are listed.
#[derive(Clone, Debug, Default)]
pub struct ToolFilter {
    /// Of these toolkits, by slug.
    pub toolkits: Vec<String>,
    /// These, by slug in any case, whatever else is given.
    pub slugs: Vec<String>,
    /// With one of these tags.
    pub tags: Vec<Tag>,
    /// That one of these scopes is enough for.
    pub scopes: Vec<String>,
    /// That an auth config allows: toolkits, each with the tools that it is limited to. All if there are none.
    pub auth_configs: Vec<(String, Option<AllowedTools>)>,
    /// What they are for, in words: the best first.
    pub search: Option<String>,
    /// Also those that will be removed.
    pub include_deprecated: bool,
}

impl Tools {
    /// The tools of a filter: in the order of their slugs, or the best first if it searches.
    ///
    /// # Errors
    /// The index of the tools cannot be made.
    pub async fn list(&self, filter: &ToolFilter) -> Result<Vec<FoundTool>> {
        let found = self.filtered(filter);
        match filter.search.as_deref().filter(|_| filter.slugs.is_empty()) {
            Some(search) => Ok(ranked(&*self.indexes.of(&self.core).await?, &found, search)),
            None => Ok(found),
        }
    }

    /// The tools of a filter in the order of their slugs, whether or not it searches.
    fn filtered(&self, filter: &ToolFilter) -> Vec<FoundTool> {
        if !filter.slugs.is_empty() {
            return filter.slugs.iter().filter_map(|slug| self.find(slug).ok()).collect();
        }
        let catalog = self.core.catalog.get();
        let mut found: Vec<FoundTool> = match filter.toolkits.as_slice() {
            [] => catalog.iter().flat_map(rows).collect(),
            slugs => {
                slugs.iter().filter_map(|slug| self.core.toolkit(slug)).flat_map(|toolkit| rows(&toolkit)).collect()
            }
        };
        found.retain(|found| filter.admits(&found.row) && filter.is_of_auth_config(found));
        found
    }

    /// The slugs of all tools.
    pub fn slugs(&self) -> Vec<String> {
        self.core.catalog.get().iter().flat_map(rows).map(|found| found.row.slug.clone()).collect()
    }

    /// The tools that a session has preloaded and may use, in the order of their slugs.
    pub fn preloaded(&self, session: &Session) -> Vec<FoundTool> {
        let preload = session.config.preload.as_ref().and_then(|preload| preload.tools.as_ref());
        let mut found = match preload {
            None => Vec::new(),
            Some(PreloadTools::All(_)) => self.filtered(&ToolFilter::default()),
            Some(PreloadTools::These(slugs)) => {
                self.filtered(&ToolFilter { slugs: slugs.clone(), ..ToolFilter::default() })
            }
        };
        found.retain(|found| is_allowed(session, found));
        found.sort_by(|one, other| one.row.slug.cmp(&other.row.slug));
        found.dedup_by(|one, other| one.row.slug == other.row.slug);
        found
    }

    /// Of those, the ones that the auth config of the account allows which the session would use. Where a call may choose
    /// among several accounts, it decides.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn listed(&self, session: &Session) -> Result<Vec<FoundTool>> {
        let mut found = self.preloaded(session);
        if session.config.is_multi_account() || found.is_empty() {
            return Ok(found);
        }
        // They are in the order of their slugs, so that tools of one toolkit are mostly neighbours.
        let mut toolkits: Vec<&Arc<Toolkit>> = found.iter().map(|found| &found.toolkit).collect();
        toolkits.dedup_by(|one, other| Arc::ptr_eq(one, other));
        let accounts = self.sessions.default_accounts(session, &toolkits).await?;
        found.retain(|found| {
            let allowed = accounts.get(&found.toolkit.slug).and_then(|account| account.allowed_tools.as_deref());
            let call = CallKind::ToolName { slug: &found.row.slug, toolkit: &found.toolkit.slug };
            session.config.check_account(call, allowed).is_ok()
        });
        Ok(found)
    }
}

/// Whether the session's policy allows a tool.
pub fn is_allowed(session: &Session, found: &FoundTool) -> bool {
    let tags = tags(&found.row);
    let description = ToolDescription { slug: &found.row.slug, toolkit: &found.toolkit.slug, tags: &tags };
    session.config.check(CallKind::Tool(&description)).is_ok()
}

fn rows(toolkit: &Arc<Toolkit>) -> Vec<FoundTool> {
    let found = |row: &Arc<ToolRow>| FoundTool { toolkit: Arc::clone(toolkit), row: Arc::clone(row) };
    toolkit.tools().iter().map(found).collect()
}

impl ToolFilter {
    fn is_of_auth_config(&self, found: &FoundTool) -> bool {
        let admits = |(toolkit, allowed): &(String, Option<AllowedTools>)| {
            *toolkit == found.toolkit.slug && allowed.as_ref().is_none_or(|allowed| allowed.admits(&found.row.slug))
        };
        self.auth_configs.is_empty() || self.auth_configs.iter().any(admits)
    }

    fn admits(&self, tool: &Tool) -> bool {
        let has_tag = self.tags.is_empty() || tags(tool).iter().any(|tag| self.tags.contains(tag));
        let is_enough = |scopes: &Vec<String>| scopes.iter().all(|scope| self.scopes.contains(scope));
        let has_scope = self.scopes.is_empty() || tool.scopes.iter().any(is_enough);
        has_tag && has_scope && (self.include_deprecated || !is_deprecated(tool))
    }
}

/// Whether a tool will be removed.
pub fn is_deprecated(tool: &Tool) -> bool {
    tool.deprecated || tool.replaced_by.is_some()
}

/// The tools among these that fit a search, the best first.
fn ranked(index: &ToolIndex, among: &[FoundTool], search: &str) -> Vec<FoundTool> {
    let mut allowed = DocumentSet::new(index.index.len());
    for document in among.iter().filter_map(|found| index.index.document(&found.row.slug)) {
        allowed.insert(document);
    }
    let source = Source { index: &index.index, allowed: Some(&allowed) };
    let search = Search { text: search, limit: among.len(), ..Search::default() };
    let hits = switchboard_search::search(&[source], &search).hits;
    hits.iter().filter_map(|hit| index.tool(hit.document).cloned()).collect()
}
