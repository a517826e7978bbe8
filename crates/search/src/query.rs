//! What a search asks for: its words, each with those that mean the same.

use crate::document::Effect;
use crate::index::Index;
use crate::vocabulary::vocabulary;
use crate::words::Words;

/// Weight of a word that means the same.
const SYNONYM: f32 = 0.5;
/// Weight of a word that a misspelt one is like.
const MISSPELT: f32 = 0.8;
/// Weight of a word of which only the beginning is given.
const INCOMPLETE: f32 = 0.7;
/// Number of words that a beginning stands for, and its minimum length in bytes.
const MAX_LONGER: usize = 8;
const MIN_BEGINNING: usize = 3;
/// Maximum number of words that are searched for, so that a long text costs no more than a long sentence.
const MAX_SLOTS: usize = 48;
/// Maximum length of a word that may be misspelt, in bytes.
const MAX_MISSPELT: usize = 24;
/// Shortest words that may have one wrong letter, and two.
const ONE_WRONG: usize = 4;
const TWO_WRONG: usize = 8;

/// A word of a search: the terms that stand for it, each with its weight. The best of them counts.
#[derive(Debug)]
pub(crate) struct Slot {
    pub terms: Vec<(String, f32)>,
}

/// A search that was read.
#[derive(Debug)]
pub(crate) struct ReadQuery {
    pub slots: Vec<Slot>,
    /// All terms in their order, with those that say nothing: names of toolkits are found among them.
    pub sequence: Vec<String>,
    /// What should be done to the data, by the first verb.
    pub effect: Option<Effect>,
}

impl ReadQuery {
    /// Reads the text of a search of these indexes.
    pub fn new(text: &str, indexes: &[&Index]) -> Self {
        let known = vocabulary();
        let sequence = sequence(text, indexes);
        let effect = sequence.iter().find_map(|term| known.effect(term));
        let mut terms: Vec<&str> = Vec::new();
        let mut at = 0;
        while at < sequence.len() {
            // A phrase is one term more, beside its words.
            if let Some((term, _)) = known.phrase(&sequence[at..]) {
                terms.push(term);
            }
            terms.push(&sequence[at]);
            at += 1;
        }
        let mut telling: Vec<&str> = terms.iter().copied().filter(|term| !known.is_stop_word(term)).collect();
        if telling.is_empty() {
            telling = terms;
        }
        let mut seen = std::collections::HashSet::new();
        telling.retain(|term| seen.insert(*term));
        let slots = telling.into_iter().take(MAX_SLOTS).map(|term| slot(term, indexes)).collect();
        Self { slots, sequence, effect }
    }
}

/// The terms of a text. A name such as `GitHub` is one term if a document has it, else its parts.
fn sequence(text: &str, indexes: &[&Index]) -> Vec<String> {
    let mut sequence = Vec::new();
    Words::new().each(text, |word| match word.joined {
        Some(joined) if is_known(&joined, indexes) => sequence.push(joined),
        Some(joined) if word.parts.is_empty() => sequence.push(joined),
        _ => sequence.extend(word.parts),
    });
    sequence
}

fn is_known(term: &str, indexes: &[&Index]) -> bool {
    indexes.iter().any(|index| index.terms.place(term).is_some())
}

fn slot(term: &str, indexes: &[&Index]) -> Slot {
    let synonyms = vocabulary().synonyms(term);
    let mut terms = vec![(term.to_owned(), 1.0)];
    terms.extend(synonyms.iter().map(|synonym| (synonym.clone(), SYNONYM)));
    if !terms.iter().any(|(term, _)| is_known(term, indexes)) {
        terms.extend(longer(term, indexes).into_iter().map(|longer| (longer, INCOMPLETE)));
        if terms.len() == 1 + synonyms.len() {
            terms.extend(similar(term, indexes).map(|similar| (similar, MISSPELT)));
        }
    }
    Slot { terms }
}

/// The first terms that begin with this one, as it is typed.
fn longer(term: &str, indexes: &[&Index]) -> Vec<String> {
    if term.len() < MIN_BEGINNING {
        return Vec::new();
    }
    let mut longer: Vec<String> = Vec::new();
    for index in indexes {
        let places = index.terms.first_not_before(term)..index.terms.len();
        let found = places.map(|place| index.terms.get(place)).take_while(|other| other.starts_with(term));
        longer.extend(found.take(MAX_LONGER).map(str::to_owned));
    }
    longer.sort_unstable();
    longer.dedup();
    longer.truncate(MAX_LONGER);
    longer
}

/// The term that a misspelt one is like: with the same first letter, and one or two letters wrong.
fn similar(term: &str, indexes: &[&Index]) -> Option<String> {
    let is_word = term.bytes().all(|byte| byte.is_ascii_lowercase());
    if !is_word || !(ONE_WRONG..=MAX_MISSPELT).contains(&term.len()) {
        return None;
    }
    let allowed = if term.len() < TWO_WRONG { 1 } else { 2 };
    let letters = letters(term);
    let mut best: Option<(usize, std::cmp::Reverse<u32>, &str)> = None;
    for index in indexes {
        let start = index.terms.first_not_before(&term[..1]);
        for place in start..index.terms.len() {
            let other = index.terms.get(place);
            if !other.starts_with(&term[..1]) {
                break;
            }
            // Each wrong letter changes two bits at most.
            let is_like = other.len().abs_diff(term.len()) <= allowed
                && (letters ^ self::letters(other)).count_ones() as usize <= 2 * allowed;
            if !is_like {
                continue;
            }
            let distance = strsim::osa_distance(term, other);
            let count = index.count(u32::try_from(place).unwrap_or(u32::MAX));
            if distance <= allowed && best.is_none_or(|best| (distance, std::cmp::Reverse(count), other) < best) {
                best = Some((distance, std::cmp::Reverse(count), other));
            }
        }
    }
    best.map(|(_, _, other)| other.to_owned())
}

/// Which letters a word has, a bit for each.
fn letters(word: &str) -> u32 {
    word.bytes().filter(u8::is_ascii_lowercase).fold(0, |letters, byte| letters | 1 << (byte - b'a'))
}
