//! Which tools a search may find: those that the session may run now. If a better one exists, it says which rule leaves it
//! out, and names its toolkit only.

use std::collections::{BTreeSet, HashMap};

use switchboard_search::{DocumentSet, Search, Source};
use switchboard_store::accounts::AccountRow;

use super::index::ToolIndex;
use crate::app::base::tools::FoundTool;
use crate::app::session::Session;
use crate::app::session::policy::{CallKind, ToolDescription};
use crate::app::tool::tags;
use crate::error::Error;

/// How much better a tool that may not be used must be for it to be mentioned.
const MUCH_BETTER: f32 = 1.25;
/// Tools that are looked at to say how many fit.
const LOOKED_AT: usize = 5;

/// What decides which tools are found.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub session: &'a Session,
    /// The toolkits that the search is limited to.
    pub toolkits: Option<&'a BTreeSet<String>>,
    /// The account that each toolkit's calls use.
    pub accounts: &'a HashMap<String, AccountRow>,
}

/// The tools that may be found.
pub(super) struct Allowed<'a> {
    index: &'a ToolIndex,
    rules: &'a Rules<'a>,
    pub documents: DocumentSet,
}

impl<'a> Allowed<'a> {
    /// Those of the policy that the search and the accounts' auth configs do not leave out.
    pub fn new(index: &'a ToolIndex, by_policy: &DocumentSet, rules: &'a Rules<'a>) -> Self {
        let has_limits = rules.accounts.values().any(|account| account.allowed_tools.is_some());
        let mut allowed = Self { index, rules, documents: by_policy.clone() };
        if has_limits && !rules.session.config.is_multi_account() || rules.toolkits.is_some() {
            let mut documents = DocumentSet::new(index.index.len());
            let remaining = index.documents().filter(|(document, _)| by_policy.contains(*document));
            for (document, _) in
                remaining.filter(|(_, found)| allowed.is_in_search(found) && allowed.account_error(found).is_none())
            {
                documents.insert(document);
            }
            allowed.documents = documents;
        }
        allowed
    }

    fn is_in_search(&self, found: &FoundTool) -> bool {
        self.rules.toolkits.is_none_or(|toolkits| toolkits.contains(&found.toolkit.slug))
    }

    /// The error of a call that the auth config of the account leaves out. Where a call may choose among several accounts,
    /// it decides.
    fn account_error(&self, found: &FoundTool) -> Option<Error> {
        if self.rules.session.config.is_multi_account() {
            return None;
        }
        let allowed = self.rules.accounts.get(&found.toolkit.slug)?.allowed_tools.as_deref();
        let call = CallKind::ToolName { slug: &found.row.slug, toolkit: &found.toolkit.slug };
        self.rules.session.config.check_account(call, allowed).err().map(|denial| denial.error(call))
    }

    /// Why the best tool of all is not found, if it is much better than the best that is.
    pub fn hidden(&self, use_case: &str, best: Option<f32>) -> Option<String> {
        if self.documents.len() == self.index.index.len() {
            return None;
        }
        let source = Source { index: &self.index.index, allowed: None };
        let search = Search { text: use_case, limit: LOOKED_AT, ..Search::default() };
        let hits = switchboard_search::search(&[source], &search).hits;
        let first = hits.first().filter(|first| best.is_none_or(|best| first.score > MUCH_BETTER * best))?;
        if self.documents.contains(first.document) {
            return None;
        }
        let found = self.index.tool(first.document)?;
        let toolkit = &found.toolkit.slug;
        let is_hidden = |document| !self.documents.contains(document) && self.index.index.toolkit(document) == toolkit;
        let count = hits.iter().filter(|hit| is_hidden(hit.document)).count();
        let tools = if count == 1 { "1 tool".to_owned() } else { format!("{count} tools") };
        Some(format!("{tools} of toolkit {toolkit} would fit. {}", self.reason(found)))
    }

    /// The rule that leaves a tool out, and how it can be allowed.
    fn reason(&self, found: &FoundTool) -> String {
        let tags = tags(&found.row);
        let description = ToolDescription { slug: &found.row.slug, toolkit: &found.toolkit.slug, tags: &tags };
        let call = CallKind::Tool(&description);
        let error = match self.rules.session.config.check(call) {
            Err(denial) => denial.error(call),
            Ok(()) => match self.account_error(found) {
                Some(error) => error,
                None => return "The `toolkits` of the search leave it out.".to_owned(),
            },
        };
        let message = error.message().trim_end_matches('.');
        match error.suggested_fix() {
            "" => format!("{message}."),
            fix => format!("{message}. {fix}"),
        }
    }
}
