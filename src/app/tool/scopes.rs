//! Scopes that are enough for several tools.

use std::collections::BTreeSet;

use super::Tools;
use crate::app::base::scopes::{Need, add_least};
use crate::app::base::tools::FoundTool;
use crate::error::{Error, Result};

/// Which scopes may be used.
#[derive(Clone, Debug, Default)]
pub struct ScopeChoice {
    /// Asked for anyway.
    pub include: BTreeSet<String>,
    /// Not to be asked for.
    pub exclude: BTreeSet<String>,
    /// All that can be asked for; any if there are none.
    pub available: BTreeSet<String>,
}

/// Two sets of scopes, each enough for all tools.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecommendedScopes {
    /// For each tool its first alternative, without what others make unnecessary.
    pub least_privilege: BTreeSet<String>,
    /// As few scopes as possible.
    pub fewest: BTreeSet<String>,
}

impl ScopeChoice {
    fn admits(&self, scopes: &[String]) -> bool {
        scopes
            .iter()
            .all(|scope| !self.exclude.contains(scope) && (self.available.is_empty() || self.available.contains(scope)))
    }
}

impl Tools {
    /// The scopes that tools need.
    ///
    /// # Errors
    /// A tool cannot be called with the scopes that may be used.
    pub fn recommended_scopes(tools: &[FoundTool], choice: &ScopeChoice) -> Result<RecommendedScopes> {
        let mut alternatives = Vec::with_capacity(tools.len());
        let mut impossible = Vec::new();
        for found in tools.iter().filter(|found| !found.row.scopes.is_empty()) {
            // That a tool also works without scopes is no reason not to recommend what it needs for all data.
            let needed = found.row.scopes.iter().filter(|scopes| !scopes.is_empty());
            let usable: Vec<&[String]> = needed.filter(|scopes| choice.admits(scopes)).map(Vec::as_slice).collect();
            if usable.is_empty() && found.row.scopes.iter().any(Vec::is_empty) {
                continue;
            }
            if usable.is_empty() {
                impossible
                    .push(format!("Error in payload.tools: {} needs other scopes than those given", found.row.slug));
            }
            alternatives.push(usable);
        }
        if !impossible.is_empty() {
            return Err(Error::validation(impossible));
        }
        // Tools that need the same count once: the work grows with the number of different needs.
        alternatives.sort_unstable();
        alternatives.dedup();
        let mut least = choice.include.iter().map(String::as_str).collect();
        add_least(&mut least, alternatives.clone());
        Ok(RecommendedScopes {
            least_privilege: least.into_iter().map(str::to_owned).collect(),
            fewest: fewest(choice.include.clone(), alternatives),
        })
    }
}

/// Adds, again and again, the alternative that makes most tools possible for each scope that it adds.
fn fewest(mut asked: BTreeSet<String>, mut open: Vec<Need<'_>>) -> BTreeSet<String> {
    loop {
        let is_possible = |asked: &BTreeSet<String>, usable: &[&[String]]| {
            usable.iter().any(|scopes| scopes.iter().all(|scope| asked.contains(scope)))
        };
        open.retain(|usable| !is_possible(&asked, usable));
        let gain = |scopes: &[String]| {
            let added = scopes.iter().filter(|scope| !asked.contains(*scope)).count().max(1);
            let with: BTreeSet<String> = asked.iter().chain(scopes.iter()).cloned().collect();
            open.iter().filter(|usable| is_possible(&with, usable)).count() * 1_000 / added
        };
        // Of equal ones the first, which allows less.
        let best = open.iter().flatten().rev().max_by_key(|scopes| gain(scopes));
        match best {
            Some(scopes) => asked.extend(scopes.iter().cloned()),
            None => return asked,
        }
    }
}
