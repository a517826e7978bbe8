//! Search: which tools of a session do what a user wants, with everything that an agent needs to call them.
//!
//! [`Tools::search`] finds tools for each query among those that the session may run, and reads the session's accounts
//! once. `index.rs` makes the index of a catalog when it is first needed; `allowed.rs` says which tools may be found, and
//! why a better one may not; `select.rs` picks the best; `plan.rs`, `schemas.rs` and `connections.rs` fill the parts of the
//! answer, which `answer.rs` defines. Every text that an agent reads comes from tool files, or states a fact of the session.

mod allowed;
pub mod answer;
mod connections;
mod index;
mod own_tools;
mod plan;
mod schemas;
mod select;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use switchboard_catalog::Toolkit;
use switchboard_search::{Search, Source};

use super::Tools;
use crate::app::base::errors::invalid_slugs;
use crate::app::base::tools::FoundTool;
use crate::app::session::Session;
use crate::app::session::custom_tools::{self, CustomTool};
use crate::app::session::policy::Experimental;
use crate::error::{Class, Result};
use crate::time::iso;

use allowed::{Allowed, Rules};
use answer::{SearchResult, SearchSession, TimeInfo, ToolSearch};
use connections::Connections;
pub(super) use index::Indexes;
pub use index::ToolIndex;
use own_tools::OwnTools;
use schemas::Schemas;
use select::Selection;

/// Documents that are looked at for a query.
const CANDIDATES: usize = 60;

/// What is searched for.
#[derive(Clone, Debug, Default)]
pub struct SearchRequest {
    /// One answer for each.
    pub queries: Vec<ToolQuery>,
    /// Tools of these toolkits only, by slug in any case; of all that the session allows if there are none.
    pub toolkits: Vec<String>,
    /// The caller's own tools, which are searched, too.
    pub own: Experimental,
    /// The id that the answer names in `session`; the session's own when omitted.
    pub workflow: Option<String>,
}

/// One thing that a user wants.
#[derive(Clone, Debug, Default)]
pub struct ToolQuery {
    /// In words.
    pub use_case: String,
    /// Values that are known: `key:value, key:value`.
    pub known_fields: Option<String>,
}

/// A tool that was found.
#[derive(Clone, Copy, Debug)]
enum Item<'a> {
    /// Of a toolkit of this server.
    Tool(&'a FoundTool),
    /// Of the caller: its toolkit's slug, and the tool.
    Own(&'a str, &'a CustomTool),
}

impl<'a> Item<'a> {
    fn slug(self) -> &'a str {
        match self {
            Self::Tool(found) => &found.row.slug,
            Self::Own(_, tool) => &tool.slug,
        }
    }

    fn toolkit(self) -> &'a str {
        match self {
            Self::Tool(found) => &found.toolkit.slug,
            Self::Own(toolkit, _) => toolkit,
        }
    }

    fn description(self) -> &'a str {
        match self {
            Self::Tool(found) => &found.row.description,
            Self::Own(_, tool) => &tool.description,
        }
    }
}

impl Tools {
    /// The tools that fit each query and that the session may run: at most five that do it, and further ones that help.
    ///
    /// # Errors
    /// A toolkit of the request does not exist, the caller's own tools are invalid, or the database does not respond.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn search(&self, session: &Session, request: &SearchRequest) -> Result<ToolSearch> {
        let toolkits = self.toolkits_of_search(request)?;
        let mut own = request.own.clone();
        custom_tools::prepare(&mut own)?;
        let own = OwnTools::new(&own);
        let index = self.indexes.of(&self.core).await?;
        let by_policy = self.indexes.allowed(session, &index);
        let enabled = index.toolkits_of(&by_policy);
        let enabled: Vec<&Arc<Toolkit>> = enabled
            .into_iter()
            .filter(|toolkit| toolkits.as_ref().is_none_or(|set| set.contains(&toolkit.slug)))
            .collect();
        let defaults = self.sessions.default_accounts(session, &enabled).await?;
        let rules = Rules { session, toolkits: toolkits.as_ref(), accounts: &defaults };
        let allowed = Allowed::new(&index, &by_policy, &rules);
        let connected = connections::connected(&defaults, &enabled);
        let finder = Finder { index: &index, own: &own, allowed: &allowed, connected: &connected };
        let selections: Vec<_> = request.queries.iter().map(|query| finder.find(&query.use_case)).collect();
        let kept = self.kept(session, &selections).await?;
        let selections: Vec<_> =
            selections.into_iter().map(|(selection, hidden)| (selection.in_versions(&kept), hidden)).collect();
        let mentioned = mentioned(&selections);
        let shown: Vec<&Arc<Toolkit>> =
            enabled.iter().copied().filter(|toolkit| mentioned.contains(toolkit.slug.as_str())).collect();
        let accounts = self.sessions.accounts_of_toolkits(session, &shown, defaults.clone()).await?;
        let own_toolkits = mentioned.iter().filter_map(|slug| Some((*slug, own.description(slug)?))).collect();
        let connections = Connections::new(session, &shown, &accounts, own_toolkits);
        Ok(self.answer(session, request, &selections, &connections))
    }

    /// The tools of which the session uses another version than the index has, by slug; none where that version has no
    /// such tool, or is withdrawn.
    async fn kept(&self, session: &Session, selections: &[Selected<'_>]) -> Result<HashMap<String, Option<FoundTool>>> {
        let mut kept = HashMap::new();
        for item in selections.iter().flat_map(|(selection, _)| selection.items()) {
            let Item::Tool(current) = item else { continue };
            match self.find_in(session, &current.row.slug).await {
                Ok(found) if found.earlier.is_none() => {}
                Ok(found) => drop(kept.insert(found.row.slug.clone(), Some(found))),
                Err(error) if matches!(error.code().class(), Class::Internal | Class::Unavailable) => {
                    return Err(error);
                }
                Err(_) => drop(kept.insert(current.row.slug.clone(), None)),
            }
        }
        Ok(kept)
    }

    /// The answer with everything on the tools that were selected.
    fn answer(
        &self,
        session: &Session,
        request: &SearchRequest,
        selections: &[Selected<'_>],
        connections: &Connections<'_>,
    ) -> ToolSearch {
        let mut schemas = Schemas::default();
        let mut results = Vec::with_capacity(selections.len());
        let mut notes = Vec::new();
        for ((number, query), (selection, hidden)) in (1..).zip(&request.queries).zip(selections) {
            schemas.add(selection);
            results.push(result(number, query, selection, hidden.as_ref(), connections));
            let hidden = hidden.as_ref().filter(|_| !selection.primary.is_empty());
            notes.extend(hidden.map(|hidden| format!("Query {number}: {hidden}")));
        }
        let now = self.core.now();
        let tool_schemas = schemas.finish();
        ToolSearch {
            results,
            toolkit_connection_statuses: connections.statuses(),
            next_steps_guidance: plan::next_steps(connections, &tool_schemas, notes),
            tool_schemas,
            time_info: TimeInfo::at(iso(now), now.as_millis() / 1_000),
            session: SearchSession::new(request.workflow.clone().unwrap_or_else(|| session.id.to_string())),
        }
    }

    /// The toolkits that a search is limited to; none if it is not.
    fn toolkits_of_search(&self, request: &SearchRequest) -> Result<Option<BTreeSet<String>>> {
        let unknown: Vec<&str> =
            request.toolkits.iter().map(String::as_str).filter(|slug| self.core.toolkit(slug).is_none()).collect();
        if !unknown.is_empty() {
            return Err(invalid_slugs(&unknown));
        }
        let slugs: BTreeSet<String> = request.toolkits.iter().map(|slug| slug.to_ascii_lowercase()).collect();
        Ok((!slugs.is_empty()).then_some(slugs))
    }
}

/// The tools of a query, and why a better one is not among them.
type Selected<'a> = (Selection<'a>, Option<String>);

/// What queries are answered from.
struct Finder<'a> {
    index: &'a ToolIndex,
    own: &'a OwnTools<'a>,
    allowed: &'a Allowed<'a>,
    /// Slugs of the toolkits with an account.
    connected: &'a [&'a str],
}

impl<'a> Finder<'a> {
    fn find(&self, use_case: &str) -> Selected<'a> {
        let sources = [
            Source { index: &self.index.index, allowed: Some(&self.allowed.documents) },
            Source { index: &self.own.index, allowed: None },
        ];
        let search = Search { text: use_case, connected: self.connected, limit: CANDIDATES };
        let found = switchboard_search::search(&sources, &search);
        let hits = found.hits.iter().filter_map(|hit| {
            let item = if hit.source == 0 { self.index.item(hit.document) } else { self.own.item(hit.document) };
            Some((item?, hit.score))
        });
        let hits: Vec<(Item<'_>, f32)> = hits.collect();
        let hidden = self.allowed.hidden(use_case, hits.first().map(|(_, score)| *score));
        let may_run = |slug: &str| {
            let document = self.index.index.document(slug);
            let document = document.filter(|document| self.allowed.documents.contains(*document));
            document.and_then(|document| self.index.item(document))
        };
        (Selection::new(hits, &found.named_toolkits, may_run), hidden)
    }
}

/// The slugs of the toolkits whose tools were selected.
fn mentioned<'a>(selections: &[Selected<'a>]) -> BTreeSet<&'a str> {
    let items = selections.iter().flat_map(|(selection, _)| selection.primary.iter().chain(&selection.related));
    items.map(|item| item.toolkit()).collect()
}

fn result(
    index: usize,
    query: &ToolQuery,
    selection: &Selection<'_>,
    hidden: Option<&String>,
    connections: &Connections<'_>,
) -> SearchResult {
    let slugs = |items: &[Item<'_>]| items.iter().map(|item| item.slug().to_owned()).collect();
    let mut toolkits: Vec<String> = Vec::new();
    for item in selection.primary.iter().chain(&selection.related) {
        if !toolkits.iter().any(|slug| slug == item.toolkit()) {
            toolkits.push(item.toolkit().to_owned());
        }
    }
    let error = selection.primary.is_empty().then(|| match hidden {
        Some(hidden) => format!("No tool that this session may use fits. {hidden}"),
        None => "No tool fits. Say in other words what should be done, and with which service.".to_owned(),
    });
    SearchResult {
        index,
        use_case: query.use_case.clone(),
        primary_tool_slugs: slugs(&selection.primary),
        related_tool_slugs: slugs(&selection.related),
        toolkits,
        recommended_plan_steps: plan::steps(selection, query.known_fields.as_deref(), connections),
        known_pitfalls: plan::pitfalls(selection),
        error,
    }
}
