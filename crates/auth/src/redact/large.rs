//! Searches a large text with one automaton for all forms, run once over the raw bytes and once for each way
//! of unescaping. It takes linear time; memory depends only on the longest form.

use std::ops::Range;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;

use super::forms::{Form, is_base64};
use super::push;
use super::unescape::{Escapes, unescape};

/// Spans of the forms, in order and without contact. `None` if there are too many forms for an automaton.
pub(super) fn find(forms: &[Form], readings: &[Escapes], bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let automaton = NFA::new(forms.iter().map(|form| form.text.as_slice())).ok()?;
    let start = automaton.start_state(Anchored::No).ok()?;
    let mut spans = Vec::new();
    let mut state = start;
    for (at, byte) in bytes.iter().enumerate() {
        state = automaton.next_state(Anchored::No, state, *byte);
        for form in matches(&automaton, state, forms) {
            let end = at + 1;
            push(&mut spans, form.widen(bytes, end - form.text.len()..end));
        }
    }
    for escapes in readings {
        spans.append(&mut read(&automaton, start, forms, *escapes, bytes));
    }
    spans.sort_unstable_by_key(|span| (span.end, span.start));
    let mut joined = Vec::with_capacity(spans.len());
    for span in spans {
        push(&mut joined, span);
    }
    Some(joined)
}

/// Finds the forms after undoing these escapes.
fn read(automaton: &NFA, start: StateID, forms: &[Form], escapes: Escapes, bytes: &[u8]) -> Vec<Range<usize>> {
    let mut reader = Unescaped::new(forms);
    let mut spans: Vec<Range<usize>> = Vec::new();
    let mut state = start;
    // Set when a form ended with the previous byte: the next one may also have bits of the secret.
    let mut ended = false;
    unescape(bytes, escapes, |byte, place| {
        if std::mem::take(&mut ended)
            && is_base64(byte)
            && let Some(span) = spans.last_mut()
        {
            span.end = place.end;
        }
        state = automaton.next_state(Anchored::No, state, byte);
        reader.see(byte, place);
        for form in matches(automaton, state, forms) {
            push(&mut spans, reader.span(form));
            ended |= form.right;
        }
    });
    spans
}

fn matches<'f>(automaton: &NFA, state: StateID, forms: &'f [Form]) -> impl Iterator<Item = &'f Form> {
    let count = if automaton.is_match(state) { automaton.match_len(state) } else { 0 };
    let patterns: Vec<_> = (0..count).map(|index| automaton.match_pattern(state, index)).collect();
    patterns.into_iter().map(|pattern| &forms[pattern.as_usize()])
}

/// The last unescaped bytes with their positions, as many as the longest form has.
struct Unescaped {
    last: Vec<(u8, Range<usize>)>,
    seen: usize,
}

impl Unescaped {
    fn new(forms: &[Form]) -> Self {
        // One more, because the preceding character may have bits of the secret.
        let max_length = forms.iter().map(Form::length).max().unwrap_or_default() + 1;
        Self { last: vec![(0, 0..0); max_length], seen: 0 }
    }

    fn see(&mut self, byte: u8, place: Range<usize>) {
        let index = self.seen % self.last.len();
        self.last[index] = (byte, place);
        self.seen += 1;
    }

    /// The byte before the last `bytes` bytes.
    fn byte_before(&self, bytes: usize) -> Option<&(u8, Range<usize>)> {
        (bytes < self.seen.min(self.last.len())).then(|| &self.last[(self.seen - 1 - bytes) % self.last.len()])
    }

    /// The span to replace for a form that ends with the last byte.
    fn span(&self, form: &Form) -> Range<usize> {
        let end = self.byte_before(0).map_or(0, |(_, place)| place.end);
        let length = form.length();
        let before = self.byte_before(length).filter(|(byte, _)| form.holds_bits_before(*byte));
        let first = before.or_else(|| self.byte_before(length - 1));
        first.map_or(0, |(_, place)| place.start)..end
    }
}
