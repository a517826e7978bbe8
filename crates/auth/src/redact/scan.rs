//! Searches a text of any length for all forms with one automaton, run once over the raw bytes and once for each
//! way of unescaping. The text may arrive in pieces. It takes linear time; memory depends only on the longest
//! form and on how many matches lie apart from each other.

use std::ops::Range;

use aho_corasick::Anchored;
use aho_corasick::automaton::{Automaton, StateID};
use aho_corasick::nfa::contiguous::NFA;

use super::forms::{Form, is_base64};
use super::push;
use super::unescape::{Escapes, Unescaper};

/// Spans of the forms in a whole text, in order and without overlap. `None` if there are too many forms for an
/// automaton.
pub(super) fn find(forms: &[Form], readings: &[Escapes], bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut scanner = Scanner::new(forms, readings)?;
    scanner.scan(bytes, 0, true);
    Some(scanner.take_spans(usize::MAX))
}

/// A search in progress. Positions are those in the whole text.
pub(super) struct Scanner<'f> {
    search: Search<'f>,
    raw: Raw,
    readings: Vec<Reading>,
}

/// The automaton of all forms.
struct Search<'f> {
    forms: &'f [Form],
    automaton: NFA,
    start: StateID,
    /// The bytes that forms start with. In the start state, the automaton stays there for all others.
    first: [bool; 256],
    /// Length of the longest form in bytes.
    max_length: usize,
}

impl<'f> Scanner<'f> {
    /// `None` if there are too many forms for an automaton.
    pub(super) fn new(forms: &'f [Form], readings: &[Escapes]) -> Option<Self> {
        let automaton = NFA::new(forms.iter().map(Form::text)).ok()?;
        let start = automaton.start_state(Anchored::No).ok()?;
        let max_length = forms.iter().map(Form::length).max().unwrap_or_default();
        let readings = readings.iter().map(|escapes| Reading::new(*escapes, start, max_length)).collect();
        let mut first = [false; 256];
        for byte in forms.iter().filter_map(|form| form.text().first()) {
            first[usize::from(*byte)] = true;
        }
        let raw = Raw { state: start, at: 0, is_open: false, spans: Vec::new() };
        Some(Self { search: Search { forms, automaton, start, first, max_length }, raw, readings })
    }

    /// Scans what is new in `window`: the text from position `offset` on, as far as it has arrived. The window
    /// begins at or before [`Self::settled`].
    pub(super) fn scan(&mut self, window: &[u8], offset: usize, is_last: bool) {
        self.raw.scan(&self.search, window, offset);
        for reading in &mut self.readings {
            reading.scan(&self.search, window, offset, is_last);
        }
    }

    /// The position before which no further match will start.
    pub(super) fn settled(&self) -> usize {
        let raw = self.raw.at.saturating_sub(self.search.max_length + 1);
        self.readings.iter().map(|reading| reading.settled(&self.search)).fold(raw, usize::min)
    }

    /// Length of the longest form in bytes.
    pub(super) fn max_length(&self) -> usize {
        self.search.max_length
    }

    /// Removes and returns the matches that start before a position, in order and without overlap.
    pub(super) fn take_spans(&mut self, before: usize) -> Vec<Range<usize>> {
        let mut spans = Vec::new();
        let readings = self.readings.iter_mut().map(|reading| &mut reading.spans);
        for found in std::iter::once(&mut self.raw.spans).chain(readings) {
            let count = found.partition_point(|span| span.start < before);
            spans.extend(found.drain(..count));
        }
        spans.sort_unstable_by_key(|span| (span.end, span.start));
        let mut joined = Vec::with_capacity(spans.len());
        for span in spans {
            push(&mut joined, span);
        }
        joined
    }
}

impl<'f> Search<'f> {
    /// Whether no form is under way, and none starts with this byte.
    fn is_idle(&self, state: StateID, byte: u8) -> bool {
        state == self.start && !self.first[usize::from(byte)]
    }

    fn step(&self, state: StateID, byte: u8) -> StateID {
        self.automaton.next_state(Anchored::No, state, byte)
    }

    /// The forms that end with the byte that led to this state.
    fn matches(&self, state: StateID) -> impl Iterator<Item = &'f Form> {
        let count = if self.automaton.is_match(state) { self.automaton.match_len(state) } else { 0 };
        (0..count).map(move |index| &self.forms[self.automaton.match_pattern(state, index).as_usize()])
    }
}

/// The search in the raw bytes.
struct Raw {
    state: StateID,
    /// Position of the next byte.
    at: usize,
    /// Whether a form ended with the previous byte, and this one may also have bits of the secret.
    is_open: bool,
    spans: Vec<Range<usize>>,
}

impl Raw {
    fn scan(&mut self, search: &Search<'_>, window: &[u8], offset: usize) {
        for &byte in &window[self.at - offset..] {
            if std::mem::take(&mut self.is_open) && is_base64(byte) {
                push(&mut self.spans, self.at - 1..self.at + 1);
            }
            self.at += 1;
            if search.is_idle(self.state, byte) {
                continue;
            }
            self.state = search.step(self.state, byte);
            for form in search.matches(self.state) {
                let start = self.at.saturating_sub(form.length());
                let before = start.checked_sub(offset + 1).and_then(|index| window.get(index));
                let is_wider = before.is_some_and(|byte| form.holds_bits_before(*byte));
                push(&mut self.spans, start - usize::from(is_wider)..self.at);
                self.is_open |= form.right;
            }
        }
    }
}

/// The search in the text as it is after unescaping.
struct Reading {
    unescaper: Unescaper,
    state: StateID,
    /// Position of the next byte.
    at: usize,
    /// The last unescaped bytes.
    recent: Recent,
    /// The place of the previous byte, if a form ended with it: this one may also have bits of the secret.
    open: Option<usize>,
    spans: Vec<Range<usize>>,
}

impl Reading {
    fn new(escapes: Escapes, start: StateID, max_length: usize) -> Self {
        // One more, because the preceding character may have bits of the secret.
        let recent = Recent::new(max_length + 1);
        Self { unescaper: Unescaper::new(escapes), state: start, at: 0, recent, open: None, spans: Vec::new() }
    }

    fn scan(&mut self, search: &Search<'_>, window: &[u8], offset: usize, is_last: bool) {
        let Self { unescaper, state, recent, open, spans, .. } = self;
        let read = unescaper.read(window, self.at - offset, is_last, |byte, place| {
            let place = place.start + offset..place.end + offset;
            if let Some(start) = open.take().filter(|_| is_base64(byte)) {
                push(spans, start..place.end);
            }
            recent.push(byte, place.start);
            if search.is_idle(*state, byte) {
                return;
            }
            *state = search.step(*state, byte);
            for form in search.matches(*state) {
                push(spans, recent.start_of(form)..place.end);
                if form.right {
                    *open = Some(place.start);
                }
            }
        });
        self.at = offset + read;
    }

    fn settled(&self, search: &Search<'_>) -> usize {
        let first = self.recent.before_last(search.max_length.saturating_sub(1)).or_else(|| self.recent.first());
        first.map_or(self.at, |(_, start)| start)
    }
}

/// A ring of the last bytes with their positions in the text.
struct Recent {
    bytes: Vec<(u8, usize)>,
    /// Index of the next byte.
    next: usize,
    is_full: bool,
}

impl Recent {
    fn new(length: usize) -> Self {
        Self { bytes: vec![(0, 0); length], next: 0, is_full: false }
    }

    fn push(&mut self, byte: u8, start: usize) {
        self.bytes[self.next] = (byte, start);
        self.next += 1;
        if self.next == self.bytes.len() {
            (self.next, self.is_full) = (0, true);
        }
    }

    /// The byte with `count` others after it.
    fn before_last(&self, count: usize) -> Option<(u8, usize)> {
        match self.next.checked_sub(count + 1) {
            Some(index) => self.bytes.get(index).copied(),
            None if self.is_full => self.bytes.get((self.next + self.bytes.len()).checked_sub(count + 1)?).copied(),
            None => None,
        }
    }

    /// The first byte of the text, as long as it is remembered.
    fn first(&self) -> Option<(u8, usize)> {
        if self.is_full || self.next == 0 { None } else { self.bytes.first().copied() }
    }

    /// Where a form starts that ends with the last byte.
    fn start_of(&self, form: &Form) -> usize {
        let length = form.length();
        let before = self.before_last(length).filter(|(byte, _)| form.holds_bits_before(*byte));
        let first = before.or_else(|| self.before_last(length - 1)).or_else(|| self.first());
        first.map_or(0, |(_, start)| start)
    }
}
