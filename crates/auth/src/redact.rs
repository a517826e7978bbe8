//! The credential never comes back (R52): every form in which a provider may echo it is replaced.
//!
//! A secret is looked for as it is, in base64 (also twice, also broken into lines) and in hexadecimal;
//! each of them also escaped as URLs, JSON and HTML do it, in whichever mixture of escaped and plain
//! characters. Other transformations, such as encryption, reversal or a secret cut into pieces, are
//! not found.

mod forms;
mod json;
mod large;
mod unescape;

use std::borrow::Cow;
use std::ops::Range;

use switchboard_vault::{Secret, Secrets};

use forms::Form;
use unescape::{Escapes, has_escapes, unescape};

/// What stands in an answer for a secret.
const REPLACEMENT: &[u8] = b"REDACTED";

/// Shortest secret that is looked for inside other text, in characters. A shorter one would be found
/// in innocent text; it is replaced where it is a whole value.
const SHORTEST: usize = 8;

/// Largest text that is searched form by form. Building an automaton costs more than that; past
/// this length it pays.
const LARGE: usize = 64 * 1024;

/// Finds all forms of a set of secrets. Holds copies of the secrets until it is dropped, so it should
/// live as long as one request.
pub struct Redactor {
    forms: Vec<Form>,
    /// Secrets that are replaced as whole values only.
    short: Vec<Secret>,
    /// The readings of a text in which forms are looked for, besides the text as it is.
    readings: &'static [Escapes],
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(redacted)")
    }
}

impl Redactor {
    /// Prepares the search for the values that are secret, in time and memory linear in their length.
    /// Names, client identifiers and the like are not: `is_secret` says so by their names. What is said
    /// in one of those is no secret either.
    pub fn new(secrets: &Secrets, is_secret: impl Fn(&str) -> bool) -> Self {
        let mut redactor = Self { forms: Vec::new(), short: Vec::new(), readings: &[Escapes::ALL] };
        let is_public = |value: &Secret| secrets.iter().any(|(name, other)| !is_secret(name) && other == value);
        for (_, secret) in secrets.iter().filter(|(name, _)| is_secret(name)) {
            if secret.is_empty() || is_public(secret) {
                continue;
            }
            if secret.expose().chars().count() < SHORTEST {
                redactor.short.push(secret.clone());
            } else {
                forms::collect(secret.expose(), &mut redactor.forms);
                if secret.expose().contains(['%', '\\', '&']) {
                    // What looks like an escape in a secret is none; where one kind alone is undone, the
                    // others stay as they are.
                    redactor.readings = &Escapes::EACH;
                }
            }
        }
        redactor
    }

    /// The same, and what HTTP Basic makes of a user name and a password (RFC 7617), as a whole.
    #[must_use]
    pub fn with_basic(mut self, username: &str, password: &str) -> Self {
        forms::collect_pair(username, password, &mut self.forms);
        self
    }

    /// The bytes with every form of a secret replaced by `REDACTED`, borrowed when there is none.
    /// Overlapping forms are replaced as one. The bytes must be a whole header value or body: a
    /// secret that is cut by the end of a chunk is not found. Time is linear in their length.
    pub fn redact<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_short(bytes.trim_ascii()) {
            return Cow::Borrowed(REPLACEMENT);
        }
        let Some(spans) = self.find(bytes) else {
            // The automaton could not be built: nothing may pass.
            return Cow::Borrowed(REPLACEMENT);
        };
        if spans.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut redacted = Vec::with_capacity(bytes.len());
        let mut copied = 0;
        for span in spans {
            redacted.extend_from_slice(&bytes[copied..span.start]);
            redacted.extend_from_slice(REPLACEMENT);
            copied = span.end;
        }
        redacted.extend_from_slice(&bytes[copied..]);
        Cow::Owned(redacted)
    }

    /// The same of a JSON text, which stays one: only values are searched and replaced, never the keys
    /// of objects; a number or word that holds a secret becomes a string.
    pub fn redact_json<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.find(text.as_bytes()) {
            Some(spans) if spans.is_empty() && self.short.is_empty() => Cow::Borrowed(text),
            Some(spans) => json::redact(text, &spans, &|value| self.is_short(value)),
            None => Cow::Borrowed("\"REDACTED\""),
        }
    }

    fn is_short(&self, value: &[u8]) -> bool {
        self.short.iter().any(|secret| secret.expose().as_bytes() == value)
    }

    /// Where forms of secrets stand: in order, and none touching another.
    fn find(&self, bytes: &[u8]) -> Option<Vec<Range<usize>>> {
        if self.forms.is_empty() {
            return Some(Vec::new());
        }
        if bytes.len() > LARGE {
            return large::find(&self.forms, self.readings, bytes);
        }
        let mut found = Vec::new();
        for form in &self.forms {
            form.find_all(bytes, |span| found.push(form.widen(bytes, span)));
        }
        for escapes in self.readings.iter().filter(|_| has_escapes(bytes)) {
            let (mut text, mut places) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
            unescape(bytes, *escapes, |byte, place| {
                text.push(byte);
                places.push(place);
            });
            for form in &self.forms {
                form.find_all(&text, |span| {
                    let span = form.widen(&text, span);
                    found.push(places[span.start].start..places[span.end - 1].end);
                });
            }
        }
        found.sort_unstable_by_key(|span| (span.end, span.start));
        let mut spans = Vec::new();
        for span in found {
            push(&mut spans, span);
        }
        Some(spans)
    }
}

/// Adds a span that ends no earlier than those before it, joined with the ones that it overlaps.
fn push(spans: &mut Vec<Range<usize>>, mut span: Range<usize>) {
    while let Some(last) = spans.last().filter(|last| span.start < last.end) {
        span = span.start.min(last.start)..span.end.max(last.end);
        spans.pop();
    }
    spans.push(span);
}

#[cfg(test)]
mod tests;
