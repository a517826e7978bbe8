//! Ranks the documents of one or several indexes.

use std::cmp::Ordering;

use crate::index::Index;
use crate::query::{ReadQuery, Slot};
use crate::set::DocumentSet;

/// What is added to the score of a document, as a part of the best score: its toolkit is named.
const NAMED: f32 = 0.25;
/// Its toolkit has a connected account.
const CONNECTED: f32 = 0.1;
/// Its title stands in the search.
const TITLED: f32 = 0.2;
/// It does what the verb of the search says.
const SAME_EFFECT: f32 = 0.05;
/// What remains of the score of a document that will be removed.
const DEPRECATED: f32 = 0.5;

/// A search.
#[derive(Clone, Copy, Debug, Default)]
pub struct Search<'q> {
    /// What the tool should do, in words.
    pub text: &'q str,
    /// Slugs of toolkits that are preferred among equals: they have a connected account.
    pub connected: &'q [&'q str],
    /// Number of documents that are wanted.
    pub limit: usize,
}

/// An index that is searched.
#[derive(Clone, Copy, Debug)]
pub struct Source<'i> {
    /// The index.
    pub index: &'i Index,
    /// The documents that may be found; all if there is no set.
    pub allowed: Option<&'i DocumentSet>,
}

/// A document that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hit {
    /// Which of the searched indexes has it.
    pub source: usize,
    /// Its number there.
    pub document: u32,
    /// How well it fits; only comparable within one search.
    pub score: f32,
}

/// What a search found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The best documents, the best first; those with equal scores in the order of their slugs.
    pub hits: Vec<Hit>,
    /// The slugs of the toolkits that the search names, in their order.
    pub named_toolkits: Vec<String>,
}

/// Searches indexes as if they were one.
pub fn search(sources: &[Source<'_>], search: &Search<'_>) -> Found {
    let indexes: Vec<&Index> = sources.iter().map(|source| source.index).collect();
    let query = ReadQuery::new(search.text, &indexes);
    let mut hits = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        score(number, source, &query, &indexes, &mut hits);
    }
    let best = hits.iter().map(|hit| hit.score).fold(0.0, f32::max);
    let mut named_toolkits = Vec::new();
    for (number, source) in sources.iter().enumerate() {
        let toolkits = &source.index.toolkits;
        let named = source.index.named_toolkits(&query.sequence);
        let connected: Vec<u16> = (0_u16..)
            .zip(toolkits)
            .filter(|(_, slug)| search.connected.contains(&slug.as_str()))
            .map(|(place, _)| place)
            .collect();
        let titled = source.index.titled(&query.sequence);
        named_toolkits.extend(named.iter().filter_map(|place| toolkits.get(usize::from(*place)).cloned()));
        for hit in hits.iter_mut().filter(|hit| hit.source == number) {
            let toolkit = source.index.toolkit_of.get(hit.document as usize);
            let is = |places: &[u16]| toolkit.is_some_and(|place| places.contains(place));
            let does_that = query.effect.is_some() && source.index.effect(hit.document) == query.effect;
            let is_titled = titled.binary_search(&hit.document).is_ok();
            let parts =
                [(is(&named), NAMED), (is(&connected), CONNECTED), (is_titled, TITLED), (does_that, SAME_EFFECT)];
            hit.score += best * parts.iter().filter(|(holds, _)| *holds).map(|(_, part)| part).sum::<f32>();
            if source.index.is_deprecated(hit.document) {
                hit.score *= DEPRECATED;
            }
        }
    }
    let order = |one: &Hit, other: &Hit| order(sources, one, other);
    if hits.len() > search.limit && search.limit > 0 {
        hits.select_nth_unstable_by(search.limit - 1, order);
    }
    hits.truncate(search.limit);
    hits.sort_by(order);
    named_toolkits.sort_unstable();
    named_toolkits.dedup();
    Found { hits, named_toolkits }
}

fn order(sources: &[Source<'_>], one: &Hit, other: &Hit) -> Ordering {
    other.score.total_cmp(&one.score).then_with(|| {
        if one.source == other.source {
            return one.document.cmp(&other.document);
        }
        let slug = |hit: &Hit| sources.get(hit.source).map(|source| source.index.slug(hit.document));
        slug(one).cmp(&slug(other)).then(one.source.cmp(&other.source))
    })
}

/// Adds the documents of an index that have a word of the search and may be found.
fn score(number: usize, source: &Source<'_>, query: &ReadQuery, indexes: &[&Index], hits: &mut Vec<Hit>) {
    let mut scores = vec![0.0_f32; source.index.len()];
    // The best term of the slot that is read, of each document, and which documents have one.
    let mut in_slot = vec![0.0_f32; source.index.len()];
    let mut touched: Vec<u32> = Vec::new();
    let mut found: Vec<u32> = Vec::new();
    for slot in &query.slots {
        for (term, weight) in weighted(slot, indexes) {
            let Some(term) = source.index.terms.place(term) else { continue };
            source.index.each_document(term, |document, says| {
                if !source.allowed.is_none_or(|allowed| allowed.contains(document)) {
                    return;
                }
                let value = weight * f32::from(says) / 255.0;
                let Some(best) = in_slot.get_mut(document as usize) else { return };
                if *best == 0.0 {
                    touched.push(document);
                }
                *best = best.max(value);
            });
        }
        for document in touched.drain(..) {
            let (best, score) = (&mut in_slot[document as usize], &mut scores[document as usize]);
            if *score == 0.0 {
                found.push(document);
            }
            *score += *best;
            *best = 0.0;
        }
    }
    hits.extend(found.into_iter().map(|document| Hit { source: number, document, score: scores[document as usize] }));
}

/// The terms of a slot with their weights: the fewer documents have a term, the more it counts. A synonym never counts
/// more than the word itself, which may be frequent.
fn weighted<'s>(slot: &'s Slot, indexes: &[&Index]) -> Vec<(&'s str, f32)> {
    let documents: usize = indexes.iter().map(|index| index.len()).sum();
    let count = |term: &str| -> u32 {
        indexes.iter().filter_map(|index| index.terms.place(term).map(|place| index.count(place))).sum()
    };
    let mut limit = f32::MAX;
    let mut weighted = Vec::with_capacity(slot.terms.len());
    for (term, weight) in &slot.terms {
        let count = count(term);
        if count > 0 {
            let rarity = rarity(documents, count).min(limit);
            if *weight >= 1.0 {
                limit = rarity;
            }
            weighted.push((term.as_str(), weight * rarity));
        }
    }
    weighted
}

/// Inverse document frequency, as in BM25; above 0 for any count.
#[expect(clippy::cast_precision_loss, reason = "a logarithm of counts")]
fn rarity(documents: usize, count: u32) -> f32 {
    let (documents, count) = (documents as f32, count as f32);
    (1.0 + (documents - count + 0.5).max(0.0) / (count + 0.5)).ln()
}
