//! Makes an index of documents: their words are collected first, because lengths of fields count in relation to the
//! average, and then written as the lists that a search reads.

use std::collections::{BTreeMap, HashMap};

use crate::document::{
    DESCRIPTION, Document, FIELDS, MAX_DESCRIPTION, MAX_PARAMETER_TEXT, MAX_PARAMETER_TEXTS, MAX_PARAMETERS, NAME,
    PARAMETER_TEXTS, PARAMETERS, SATURATION, TOOLKIT, USE_CASES,
};
use crate::index::{DEPRECATED, Index, TITLE_TERMS, Texts, put_number, title_hash};
use crate::vocabulary::vocabulary;
use crate::words::Words;

/// Bits of an entry: term, document, field, occurrences.
const DOCUMENT_SHIFT: u32 = 12;
const FIELD_SHIFT: u32 = 8;
const TERM_SHIFT: u32 = 36;
const MAX_DOCUMENTS: usize = 1 << (TERM_SHIFT - DOCUMENT_SHIFT);
const MAX_OCCURRENCES: u64 = 255;

/// Collects documents for an index.
pub struct IndexBuilder {
    words: Words,
    terms: HashMap<String, u32>,
    /// A number for each term, document and field, with how often the term occurs there.
    entries: Vec<u64>,
    documents: Vec<Collected>,
    toolkits: BTreeMap<String, Vec<Vec<String>>>,
    /// Terms of the field that is read, in their order.
    field: Vec<String>,
}

/// A document that was added.
struct Collected {
    slug: String,
    toolkit: String,
    flags: u8,
    lengths: [u16; FIELDS.len()],
    /// The hash of its title, if that has several terms.
    title: Option<u32>,
}

impl std::fmt::Debug for IndexBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexBuilder").field("documents", &self.documents.len()).finish_non_exhaustive()
    }
}

impl Default for IndexBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl IndexBuilder {
    /// A builder without documents.
    pub fn new() -> Self {
        Self {
            words: Words::new(),
            terms: HashMap::new(),
            entries: Vec::new(),
            documents: Vec::new(),
            toolkits: BTreeMap::new(),
            field: Vec::new(),
        }
    }

    /// Adds a document. An index has at most 16,777,216; further ones are left out.
    pub fn add(&mut self, document: &Document<'_>) {
        if self.documents.len() >= MAX_DOCUMENTS {
            return;
        }
        let prefix = document.toolkit.len();
        let has_prefix = document.slug.get(..prefix).is_some_and(|start| start.eq_ignore_ascii_case(document.toolkit));
        let name = if has_prefix { &document.slug[prefix..] } else { document.slug };
        let title = self.title(document.title);
        self.documents.push(Collected {
            slug: document.slug.to_owned(),
            toolkit: document.toolkit.to_owned(),
            flags: document.effect.map_or(0, |effect| effect as u8)
                | if document.is_deprecated { DEPRECATED } else { 0 },
            lengths: [0; FIELDS.len()],
            title,
        });
        self.read(name);
        self.read(document.title);
        // A word that slug and title share is one word of the name.
        self.put(NAME, true);
        self.read(document.toolkit);
        document.toolkit_names.iter().chain(document.toolkit_words).for_each(|text| self.read(text));
        self.put(TOOLKIT, true);
        document.use_cases.iter().for_each(|text| self.read(text));
        self.put(USE_CASES, false);
        self.read(first(document.description, MAX_DESCRIPTION));
        self.put(DESCRIPTION, false);
        document.parameters.iter().take(MAX_PARAMETERS).for_each(|text| self.read(text));
        self.put(PARAMETERS, false);
        for text in document.parameter_texts.iter().take(MAX_PARAMETER_TEXTS) {
            self.read(first(text, MAX_PARAMETER_TEXT));
        }
        self.put(PARAMETER_TEXTS, false);
        self.name_toolkit(document);
    }

    /// The hash of a title, if it has several terms.
    fn title(&mut self, title: &str) -> Option<u32> {
        let mut terms = Vec::new();
        self.words.each(title, |word| terms.extend(word.parts));
        TITLE_TERMS.contains(&terms.len()).then(|| title_hash(&terms))
    }

    /// Adds the terms of a text to the field that is read.
    fn read(&mut self, text: &str) {
        let field = &mut self.field;
        self.words.each(text, |word| {
            field.extend(word.parts);
            field.extend(word.joined);
        });
    }

    /// Ends a field. With `once`, a term that occurs several times counts once.
    fn put(&mut self, number: usize, once: bool) {
        let known = vocabulary();
        let mut terms = std::mem::take(&mut self.field);
        let phrases = (0..terms.len()).filter_map(|at| known.phrase(&terms[at..])).map(|(term, _)| term.to_owned());
        let phrases: Vec<String> = phrases.collect();
        terms.extend(phrases);
        if !FIELDS[number].keeps_stop_words {
            terms.retain(|term| !known.is_stop_word(term));
        }
        terms.sort_unstable();
        if once {
            terms.dedup();
        }
        let document = self.documents.len() - 1;
        self.documents[document].lengths[number] = u16::try_from(terms.len()).unwrap_or(u16::MAX);
        for same in terms.chunk_by(|one, other| one == other) {
            let next = u32::try_from(self.terms.len()).unwrap_or(u32::MAX);
            let term = match self.terms.get(&same[0]) {
                Some(term) => *term,
                None => *self.terms.entry(same[0].clone()).or_insert(next),
            };
            let occurrences = (same.len() as u64).min(MAX_OCCURRENCES);
            self.entries.push(
                u64::from(term) << TERM_SHIFT
                    | (document as u64) << DOCUMENT_SHIFT
                    | (number as u64) << FIELD_SHIFT
                    | occurrences,
            );
        }
        terms.clear();
        self.field = terms;
    }

    /// Remembers by which words a toolkit is named.
    fn name_toolkit(&mut self, document: &Document<'_>) {
        if self.toolkits.contains_key(document.toolkit) {
            return;
        }
        let mut names = Vec::new();
        for name in document.toolkit_names.iter().copied().chain([document.toolkit]) {
            let (mut parts, mut joined) = (Vec::new(), None);
            self.words.each(name, |word| {
                joined = word.joined;
                parts.extend(word.parts);
            });
            // `GitHub` is also named `github`, `Google Docs` is not named `docs`.
            let is_one_word = !name.contains(|c: char| !c.is_alphanumeric());
            names.extend(joined.filter(|_| is_one_word).map(|joined| vec![joined]));
            names.push(parts);
        }
        names.retain(|name| !name.is_empty());
        names.sort_unstable();
        names.dedup();
        self.toolkits.insert(document.toolkit.to_owned(), names);
    }

    /// The index of the documents. Of several with one slug, the first remains.
    pub fn finish(mut self) -> Index {
        let mut order: Vec<usize> = (0..self.documents.len()).collect();
        order.sort_by(|one, other| self.documents[*one].slug.cmp(&self.documents[*other].slug));
        order.dedup_by(|later, first| self.documents[*later].slug == self.documents[*first].slug);
        let mut terms: Vec<(String, u32)> = self.terms.drain().collect();
        terms.sort_unstable();
        self.renumber(&order, &terms);
        let averages = self.averages(&order);
        let (toolkits, names): (Vec<String>, Vec<Vec<Vec<String>>>) =
            std::mem::take(&mut self.toolkits).into_iter().unzip();
        let names = names.into_iter().enumerate();
        let mut names: Vec<(Vec<String>, u16)> =
            names.flat_map(|(place, names)| names.into_iter().map(move |name| (name, narrow(place)))).collect();
        names.sort_unstable();
        let toolkit_of = |slug: &str| toolkits.binary_search_by(|toolkit| toolkit.as_str().cmp(slug)).unwrap_or(0);
        let documents: Vec<&Collected> = order.iter().map(|number| &self.documents[*number]).collect();
        let mut postings = Vec::new();
        let mut starts = Vec::with_capacity(terms.len() + 1);
        let mut counts = Vec::with_capacity(terms.len());
        let mut by_term = self.entries.chunk_by(|one, other| one >> TERM_SHIFT == other >> TERM_SHIFT).peekable();
        let mut used = Vec::with_capacity(terms.len());
        for (number, (term, _)) in terms.iter().enumerate() {
            // A term of left out documents only has no entries.
            let Some(entries) = by_term.next_if(|entries| entries[0] >> TERM_SHIFT == number as u64) else { continue };
            used.push(term.as_str());
            starts.push(u32::try_from(postings.len()).unwrap_or(u32::MAX));
            counts.push(put_postings(entries, &documents, &averages, &mut postings));
        }
        postings.shrink_to_fit();
        let titles = (0_u32..).zip(&documents).filter_map(|(place, document)| Some((document.title?, place)));
        let mut titles: Vec<(u32, u32)> = titles.collect();
        titles.sort_unstable();
        Index {
            terms: Texts::new(used),
            starts,
            counts,
            postings,
            slugs: Texts::new(documents.iter().map(|document| document.slug.as_str())),
            toolkit_of: documents.iter().map(|document| narrow(toolkit_of(&document.toolkit))).collect(),
            flags: documents.iter().map(|document| document.flags).collect(),
            toolkits,
            names,
            titles,
        }
    }

    /// Gives documents their place among the slugs, and terms theirs in the order of letters.
    fn renumber(&mut self, order: &[usize], terms: &[(String, u32)]) {
        let mut documents = vec![None; self.documents.len()];
        for (place, document) in order.iter().enumerate() {
            documents[*document] = Some(place as u64);
        }
        let mut places = vec![0_u64; terms.len()];
        for (place, (_, term)) in terms.iter().enumerate() {
            places[*term as usize] = place as u64;
        }
        self.entries.retain_mut(|entry| {
            let (term, document) = ((*entry >> TERM_SHIFT) as usize, document_of(*entry));
            let Some(place) = documents[document] else { return false };
            *entry = places[term] << TERM_SHIFT | place << DOCUMENT_SHIFT | *entry & ((1 << DOCUMENT_SHIFT) - 1);
            true
        });
        self.entries.sort_unstable();
    }

    /// The average length of each field among documents that have it.
    #[expect(clippy::cast_precision_loss, reason = "an average")]
    fn averages(&self, order: &[usize]) -> [f32; FIELDS.len()] {
        std::array::from_fn(|field| {
            let lengths =
                order.iter().map(|document| self.documents[*document].lengths[field]).filter(|length| *length > 0);
            let (count, sum) =
                lengths.fold((0_u64, 0_u64), |(count, sum), length| (count + 1, sum + u64::from(length)));
            if count == 0 { 1.0 } else { sum as f32 / count as f32 }
        })
    }
}

fn document_of(entry: u64) -> usize {
    (entry >> DOCUMENT_SHIFT) as usize & (MAX_DOCUMENTS - 1)
}

fn narrow(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Writes the documents of a term: the distance from the one before, and how much the term says of it. Returns their
/// number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of 255 fits a byte; documents have 24 bits"
)]
fn put_postings(entries: &[u64], documents: &[&Collected], averages: &[f32], postings: &mut Vec<u8>) -> u32 {
    let mut before = 0;
    let mut count = 0;
    for of_document in entries.chunk_by(|one, other| document_of(*one) == document_of(*other)) {
        let document = document_of(of_document[0]);
        let weight: f32 = of_document
            .iter()
            .map(|entry| {
                let number = (entry >> FIELD_SHIFT) as usize & 15;
                let (field, length) = (FIELDS[number], f32::from(documents[document].lengths[number]));
                let penalty = 1.0 - field.length_penalty + field.length_penalty * length / averages[number];
                field.weight * f32::from((entry & MAX_OCCURRENCES) as u8) / penalty
            })
            .sum();
        put_number(postings, (document - before) as u32);
        postings.push((255.0 * weight / (SATURATION + weight)).round().clamp(1.0, 255.0) as u8);
        before = document;
        count += 1;
    }
    count
}

/// The first characters of a text.
fn first(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}
