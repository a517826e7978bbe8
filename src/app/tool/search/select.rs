//! Which of the tools that were found are shown: the best, not too many of one toolkit, and those that help to call them.

use std::collections::HashMap;

use super::Item;
use super::plan::prerequisites;
use crate::app::base::tools::FoundTool;

/// Maximum number of tools that do what is wanted.
const MAX_PRIMARY: usize = 5;
/// Of these, the maximum of one toolkit that the query does not name.
const MAX_OF_TOOLKIT: usize = 3;
/// Maximum number of related tools, and of those that only fit less.
const MAX_RELATED: usize = 10;
const MAX_LESS_FITTING: usize = 5;
/// A tool with a smaller part of the best score is not shown.
const LEAST_PART: f32 = 0.35;

/// The tools that are shown for a query.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    pub primary: Vec<Item<'a>>,
    pub related: Vec<Item<'a>>,
}

impl<'a> Selection<'a> {
    /// Selects among hits with their scores, the best first. `may_run` finds a tool that the session may run.
    pub fn new(
        hits: Vec<(Item<'a>, f32)>,
        named_toolkits: &[String],
        may_run: impl Fn(&str) -> Option<Item<'a>>,
    ) -> Self {
        let least = hits.first().map_or(0.0, |(_, best)| best * LEAST_PART);
        let mut selection = Self { primary: Vec::new(), related: Vec::new() };
        let mut less_fitting = Vec::new();
        for (item, _) in hits.into_iter().filter(|(_, score)| *score >= least) {
            let is_named = named_toolkits.iter().any(|slug| slug == item.toolkit());
            let of_toolkit = selection.primary.iter().filter(|other| other.toolkit() == item.toolkit()).count();
            if selection.primary.len() < MAX_PRIMARY && (is_named || of_toolkit < MAX_OF_TOOLKIT) {
                selection.primary.push(item);
            } else {
                less_fitting.push(item);
            }
        }
        for item in selection.primary.clone() {
            let Item::Tool(found) = item else { continue };
            let needed = prerequisites(found).into_iter().map(|(_, slug)| slug);
            for slug in needed.chain(found.row.verify_with.as_deref()) {
                selection.relate(may_run(slug));
            }
        }
        for item in less_fitting.into_iter().take(MAX_LESS_FITTING) {
            selection.relate(Some(item));
        }
        selection
    }

    /// All of them.
    pub fn items(&self) -> impl Iterator<Item = Item<'a>> {
        self.primary.iter().chain(&self.related).copied()
    }

    /// The same with the versions of some of them, without those that have none.
    pub fn in_versions<'k>(self, kept: &'k HashMap<String, Option<FoundTool>>) -> Selection<'k>
    where
        'a: 'k,
    {
        let version = |item: Item<'a>| -> Option<Item<'k>> {
            match kept.get(item.slug()) {
                None => Some(item),
                Some(other) => other.as_ref().map(Item::Tool),
            }
        };
        Selection {
            primary: self.primary.into_iter().filter_map(version).collect(),
            related: self.related.into_iter().filter_map(version).collect(),
        }
    }

    /// Adds a related tool that is not shown yet.
    fn relate(&mut self, item: Option<Item<'a>>) {
        let Some(item) = item else { return };
        let is_new = !self.primary.iter().chain(&self.related).any(|other| other.slug() == item.slug());
        if is_new && self.related.len() < MAX_RELATED {
            self.related.push(item);
        }
    }
}
