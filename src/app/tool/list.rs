//! Lists of tools: of the catalog, and those that a session has preloaded.

use std::collections::BTreeMap;
use std::sync::Arc;

use switchboard_catalog::{Tool, Toolkit};
use switchboard_search::{DocumentSet, Search, Source};
use switchboard_types::AllowedTools;

use super::search::ToolIndex;
use super::{Tools, tags};
use crate::app::base::tools::{FoundTool, ToolkitVersion};
use crate::app::session::Session;
use crate::app::session::policy::{CallKind, PreloadTools, Tag, ToolDescription};
use crate::error::{Code, Result};

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
    /// Versions of toolkits, by slug; of all others, the one in the catalog.
    pub versions: BTreeMap<String, String>,
}

impl Tools {
    /// The tools of a filter: in the order of their slugs, or the best first if it searches.
    ///
    /// # Errors
    /// There is no such version of a toolkit, or it is withdrawn.
    pub async fn list(&self, filter: &ToolFilter) -> Result<Vec<FoundTool>> {
        let mut earlier = BTreeMap::new();
        for (slug, version) in &filter.versions {
            let Some(toolkit) = self.core.toolkit(slug) else { continue };
            let place = format!("query.toolkit_versions.{}", toolkit.slug);
            earlier.insert(slug.as_str(), self.versions.named(&toolkit, Some(version), &place).await?);
        }
        let version_of = |toolkit: &Arc<Toolkit>| {
            let version = earlier.get(toolkit.slug.as_str()).cloned();
            version.unwrap_or_else(|| ToolkitVersion::current(toolkit))
        };
        if !filter.slugs.is_empty() {
            let find = |slug: &String| {
                self.core.toolkits_of_tool(slug).iter().find_map(|toolkit| version_of(toolkit).tool(slug))
            };
            return Ok(filter.slugs.iter().filter_map(find).collect());
        }
        let rows = |toolkit: &Arc<Toolkit>| version_of(toolkit).all().collect::<Vec<_>>();
        let mut found: Vec<FoundTool> = match filter.toolkits.as_slice() {
            [] => self.core.catalog.get().iter().flat_map(rows).collect(),
            slugs => {
                slugs.iter().filter_map(|slug| self.core.toolkit(slug)).flat_map(|toolkit| rows(&toolkit)).collect()
            }
        };
        found.retain(|found| filter.admits(&found.row) && filter.is_of_auth_config(found));
        match &filter.search {
            Some(search) => Ok(ranked(&*self.indexes.of(&self.core).await?, &found, search)),
            None => Ok(found),
        }
    }

    /// The slugs of all tools.
    pub fn slugs(&self) -> Vec<String> {
        self.core.catalog.get().iter().flat_map(rows).map(|found| found.row.slug.clone()).collect()
    }

    /// The tools that a session has preloaded and may use, in the versions that it uses, in the order of their slugs.
    ///
    /// # Errors
    /// One of them is withdrawn, or the database does not respond.
    pub async fn preloaded(&self, session: &Session) -> Result<Vec<FoundTool>> {
        let preload = session.config.preload.as_ref().and_then(|preload| preload.tools.as_ref());
        let mut found = Vec::new();
        match preload {
            None => {}
            Some(PreloadTools::All(_)) => {
                let admits = |toolkit: &str| session.config.check(CallKind::Toolkit { toolkit }).is_ok();
                for version in self.sessions.all_tools_of(session, admits).await? {
                    let tools = version.all().filter(|found| !is_deprecated(&found.row) && is_allowed(session, found));
                    for tool in tools {
                        version.check_withdrawn(&tool.row.slug, &session.id)?;
                        found.push(tool);
                    }
                }
            }
            Some(PreloadTools::These(slugs)) => {
                for slug in slugs {
                    match self.find_in(session, slug).await {
                        Ok(tool) => found.extend(Some(tool).filter(|tool| is_allowed(session, tool))),
                        // A tool may have gone since.
                        Err(error) if error.code() == Code::SessionToolNotFound => {}
                        Err(error) => return Err(error),
                    }
                }
            }
        }
        found.sort_by(|one, other| one.row.slug.cmp(&other.row.slug));
        found.dedup_by(|one, other| one.row.slug == other.row.slug);
        Ok(found)
    }

    /// Of those, the ones that the auth config of the account allows which the session would use. Where a call may choose
    /// among several accounts, it decides.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn listed(&self, session: &Session) -> Result<Vec<FoundTool>> {
        let mut found = self.preloaded(session).await?;
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
    ToolkitVersion::current(toolkit).all().collect()
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
