//! Redacts a JSON text (RFC 8259) in one pass and keeps it valid.

use std::borrow::Cow;
use std::ops::Range;

use super::REPLACEMENT;
use super::unescape::{Escapes, unescaped};

/// Maximum length of a JSON value that can be a short secret: seven characters, each an escaped surrogate
/// pair.
const SHORT_VALUE: usize = 84;

/// Replaces the spans inside string values, and whole values that are a short secret. Object keys are kept.
/// The text must be valid JSON.
pub(super) fn redact<'a>(text: &'a str, spans: &[Range<usize>], is_short: &dyn Fn(&[u8]) -> bool) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let mut changes: Vec<Change> = Vec::new();
    let mut spans = spans.iter().peekable();
    let mut at = 0;
    while at < bytes.len() {
        let token = token(bytes, at);
        at = token.place.end;
        let place = match token.kind {
            Kind::Other | Kind::Key => continue,
            Kind::String => token.place.start + 1..token.place.end - 1,
            Kind::Word => token.place.clone(),
        };
        let value = &bytes[place.clone()];
        if value.len() <= SHORT_VALUE && is_short(&unescaped(value, JSON)) {
            changes.push(Change { place: token.place, quoted: true });
            continue;
        }
        while spans.next_if(|span| span.end <= place.start).is_some() {}
        while let Some(span) = spans.peek().filter(|span| span.start < place.end) {
            let covered = span.start.max(place.start)..span.end.min(place.end);
            if token.kind != Kind::String {
                changes.push(Change { place: place.clone(), quoted: true });
                break;
            }
            add(&mut changes, whole_escapes(value, place.start, covered));
            if span.end > place.end {
                break;
            }
            spans.next();
        }
    }
    if changes.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(rewritten(text, &changes)) }
}

/// Only JSON escapes: `%41` in a string is three characters.
const JSON: Escapes = Escapes { backslash: true, percent: false, html: false };

/// A replacement in the text.
struct Change {
    place: Range<usize>,
    /// Whether it replaces a whole value, so that the replacement needs quotes.
    quoted: bool,
}

/// Adds a part of a string, merged with the previous one if they touch after widening.
fn add(changes: &mut Vec<Change>, place: Range<usize>) {
    match changes.last_mut() {
        Some(last) if place.start < last.place.end => last.place.end = place.end.max(last.place.end),
        _ => changes.push(Change { place, quoted: false }),
    }
}

fn rewritten(text: &str, changes: &[Change]) -> String {
    let replacement = String::from_utf8_lossy(REPLACEMENT);
    let mut out = String::with_capacity(text.len());
    let mut copied = 0;
    for Change { place, quoted } in changes {
        let quote = if *quoted { "\"" } else { "" };
        for piece in [&text[copied..place.start], quote, &replacement, quote] {
            out.push_str(piece);
        }
        copied = place.end;
    }
    out.push_str(&text[copied..]);
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Key,
    String,
    /// A number, `true`, `false`, `null`.
    Word,
    /// White space and punctuation.
    Other,
}

struct Token {
    kind: Kind,
    place: Range<usize>,
}

fn token(bytes: &[u8], start: usize) -> Token {
    let rest = &bytes[start..];
    match bytes[start] {
        b'"' => {
            let end = start + string_length(rest);
            let next = bytes[end..].iter().find(|byte| !byte.is_ascii_whitespace());
            let kind = if next == Some(&b':') { Kind::Key } else { Kind::String };
            Token { kind, place: start..end }
        }
        byte if byte.is_ascii_alphanumeric() || byte == b'-' => {
            let is_end = |byte: &u8| byte.is_ascii_whitespace() || b",]}".contains(byte);
            let length = rest.iter().position(is_end).unwrap_or(rest.len());
            Token { kind: Kind::Word, place: start..start + length }
        }
        _ => Token { kind: Kind::Other, place: start..start + 1 },
    }
}

/// Length in bytes of the string at the start of a text, including both quotes.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

/// The span, extended to whole escapes and characters, so that the JSON stays valid.
fn whole_escapes(value: &[u8], offset: usize, span: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (span.start - offset, span.end - offset);
    // An escape has at most six bytes and starts after an even number of backslashes.
    let near = start.saturating_sub(6);
    let mut at = value[..near].iter().rposition(|byte| *byte != b'\\').map_or(0, |before| before + 1);
    while let Some(found) = value.get(at..end).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        let next = at + if value.get(at + 1) == Some(&b'u') { 6 } else { 2 };
        if at < start && start < next {
            start = at;
        }
        if at < end && end < next {
            end = next.min(value.len());
        }
        at = next;
    }
    let is_inside = |index: usize| value.get(index).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    while is_inside(start) {
        start -= 1;
    }
    while is_inside(end) {
        end += 1;
    }
    start + offset..end + offset
}
