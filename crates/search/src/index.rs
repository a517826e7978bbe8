//! An index as it is searched: sorted terms, and for each term the documents that have it.

use std::fmt;

use crate::document::Effect;

/// The bit of a document that will be removed.
pub(crate) const DEPRECATED: u8 = 1 << 7;
/// The bits of a document's effect.
const EFFECT: u8 = 7;

/// The words of documents. Immutable; a document is known by its place among the sorted slugs.
pub struct Index {
    pub(crate) terms: Texts,
    /// Where the documents of each term begin.
    pub(crate) starts: Vec<u32>,
    /// How many documents have each term.
    pub(crate) counts: Vec<u32>,
    /// For each document of a term: the distance from the one before, in groups of seven bits, and a byte that says how
    /// much the term says of it.
    pub(crate) postings: Vec<u8>,
    pub(crate) slugs: Texts,
    /// By document: place of its toolkit.
    pub(crate) toolkit_of: Vec<u16>,
    /// By document: effect, and whether it will be removed.
    pub(crate) flags: Vec<u8>,
    /// Slugs of toolkits, sorted.
    pub(crate) toolkits: Vec<String>,
    /// The terms of a name of a toolkit, and its place; sorted.
    pub(crate) names: Vec<(Vec<String>, u16)>,
    /// Hashes of titles with their documents; sorted.
    pub(crate) titles: Vec<(u32, u32)>,
}

/// Number of terms of a title that counts as one: a single word says too little.
pub(crate) const TITLE_TERMS: std::ops::RangeInclusive<usize> = 2..=10;

/// The hash of the terms of a title.
pub(crate) fn title_hash(terms: &[String]) -> u32 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    terms.hash(&mut hasher);
    // Its upper half.
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("documents", &self.len())
            .field("terms", &self.terms.len())
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Number of documents.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are no documents.
    pub fn is_empty(&self) -> bool {
        self.flags.is_empty()
    }

    /// The slug of a document; empty if there is none with this number.
    pub fn slug(&self, document: u32) -> &str {
        self.slugs.get(document as usize)
    }

    /// The document of a slug.
    pub fn document(&self, slug: &str) -> Option<u32> {
        self.slugs.place(slug)
    }

    /// The slug of a document's toolkit.
    pub fn toolkit(&self, document: u32) -> &str {
        let place = self.toolkit_of.get(document as usize).map(|place| usize::from(*place));
        place.and_then(|place| self.toolkits.get(place)).map_or("", String::as_str)
    }

    /// Memory that the index takes, in bytes, without that of its few toolkits.
    pub fn memory(&self) -> usize {
        let numbers = self.starts.len() + self.counts.len();
        self.terms.memory()
            + self.slugs.memory()
            + 4 * numbers
            + self.postings.len()
            + 8 * self.titles.len()
            + 3 * self.len()
    }

    /// The places of the toolkits with a name that stands in a sequence of terms.
    pub(crate) fn named_toolkits(&self, sequence: &[String]) -> Vec<u16> {
        let mut named = Vec::new();
        for at in 0..sequence.len() {
            let rest = &sequence[at..];
            let start = self.names.partition_point(|(name, _)| name[0] < rest[0]);
            let same_start = self.names[start..].iter().take_while(|(name, _)| name[0] == rest[0]);
            named.extend(same_start.filter(|(name, _)| rest.starts_with(name)).map(|(_, toolkit)| *toolkit));
        }
        named.sort_unstable();
        named.dedup();
        named
    }

    /// The documents whose title stands in a sequence of terms, sorted.
    pub(crate) fn titled(&self, sequence: &[String]) -> Vec<u32> {
        let mut titled = Vec::new();
        for length in TITLE_TERMS {
            for window in sequence.windows(length) {
                let hash = title_hash(window);
                let start = self.titles.partition_point(|(other, _)| *other < hash);
                let same = self.titles[start..].iter().take_while(|(other, _)| *other == hash);
                titled.extend(same.map(|(_, document)| *document));
            }
        }
        titled.sort_unstable();
        titled
    }

    pub(crate) fn effect(&self, document: u32) -> Option<Effect> {
        let effects = [Effect::Read, Effect::Create, Effect::Update, Effect::Destructive];
        let flags = self.flags.get(document as usize)?;
        effects.into_iter().find(|effect| *effect as u8 == flags & EFFECT)
    }

    pub(crate) fn is_deprecated(&self, document: u32) -> bool {
        self.flags.get(document as usize).is_some_and(|flags| flags & DEPRECATED != 0)
    }

    /// How many documents have a term.
    pub(crate) fn count(&self, term: u32) -> u32 {
        self.counts.get(term as usize).copied().unwrap_or(0)
    }

    /// Calls `found` with each document of a term and how much the term says of it, of 255.
    pub(crate) fn each_document(&self, term: u32, mut found: impl FnMut(u32, u8)) {
        let Some(start) = self.starts.get(term as usize) else { return };
        let mut rest = self.postings.get(*start as usize..).unwrap_or_default();
        let mut document = 0;
        for _ in 0..self.count(term) {
            let Some(distance) = take_number(&mut rest) else { return };
            let Some((weight, after)) = rest.split_first() else { return };
            rest = after;
            document += distance;
            found(document, *weight);
        }
    }
}

/// Appends a number, seven bits in a byte, the lowest first. The highest bit says that another byte follows.
#[expect(clippy::cast_possible_truncation, reason = "seven bits fit a byte")]
pub(crate) fn put_number(bytes: &mut Vec<u8>, mut number: u32) {
    while number > 127 {
        bytes.push((number & 127) as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for place in 0..5 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 127) << (7 * place);
        if *byte < 128 {
            break;
        }
    }
    Some(number)
}

/// Sorted texts in one piece of memory.
pub(crate) struct Texts {
    text: Box<str>,
    ends: Vec<u32>,
}

impl Texts {
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for next in texts {
            text.push_str(next);
            ends.push(u32::try_from(text.len()).unwrap_or(u32::MAX));
        }
        ends.shrink_to_fit();
        Self { text: text.into_boxed_str(), ends }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text at a place; empty if there is none.
    pub fn get(&self, place: usize) -> &str {
        let Some(end) = self.ends.get(place) else { return "" };
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        self.text.get(start as usize..*end as usize).unwrap_or_default()
    }

    /// The place of a text.
    pub fn place(&self, text: &str) -> Option<u32> {
        let place = self.first_not_before(text);
        (place < self.len() && self.get(place) == text).then(|| u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// The place of the first text that does not come before this one.
    pub fn first_not_before(&self, text: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self.get(middle) < text {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn memory(&self) -> usize {
        self.text.len() + 4 * self.ends.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let numbers = [0, 1, 127, 128, 300, 16_383, 16_384, 1 << 24, u32::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            put_number(&mut bytes, number);
        }
        let mut rest = bytes.as_slice();
        let read: Vec<u32> = std::iter::from_fn(|| take_number(&mut rest)).collect();
        assert_eq!(read, numbers);
    }

    #[test]
    fn texts_are_found_by_place_and_by_text() {
        let texts = Texts::new(["", "a", "bc", "bd"]);
        assert_eq!((0..5).map(|place| texts.get(place)).collect::<Vec<_>>(), ["", "a", "bc", "bd", ""]);
        assert_eq!(texts.place("bc"), Some(2));
        assert_eq!(texts.place("b"), None);
        assert_eq!(texts.first_not_before("b"), 2);
        assert_eq!(texts.first_not_before("c"), 4);
    }
}
