//! Redacts credentials in responses (R52), in every form in which a provider may echo them.
//!
//! A secret is found as it is, in base64 (also twice, also with line breaks) and in hexadecimal; each also
//! escaped for URLs, JSON or HTML, in any mixture of escaped and plain characters. Other transformations,
//! such as encryption, reversal or splitting, are not found.

mod forms;
mod json;
mod scan;
mod stream;
mod unescape;

use std::borrow::Cow;
use std::ops::Range;

use switchboard_vault::{Secret, Secrets};

use forms::Form;
pub use stream::RedactStream;
use unescape::{Escapes, has_escapes, unescape};

/// Replaces a secret in a response.
const REPLACEMENT: &[u8] = b"REDACTED";

/// Minimum length of a secret to search for inside other text, in characters. A shorter one would match
/// innocent text; it is replaced only if it is a whole value.
const MIN_LENGTH: usize = 8;

/// Maximum size of a text that is searched form by form. Above it, building an automaton pays off.
const LARGE_TEXT: usize = 64 * 1024;

/// Finds all forms of a set of secrets. It contains copies of the secrets, which are wiped when it is dropped, so that it
/// should live no longer than they do.
pub struct Redactor {
    forms: Vec<Form>,
    /// Secrets that are replaced only as whole values.
    short: Vec<Secret>,
    /// The ways of unescaping a text before the search, in addition to the raw text.
    readings: &'static [Escapes],
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(redacted)")
    }
}

impl Redactor {
    /// Prepares the search, in time and memory linear in the length of the secrets. `is_secret` selects the
    /// secret values by name; client ids and the like are not secret. A value that also occurs as a public
    /// one is not secret, either.
    pub fn new(secrets: &Secrets, is_secret: impl Fn(&str) -> bool) -> Self {
        let mut redactor = Self { forms: Vec::new(), short: Vec::new(), readings: &[Escapes::ALL] };
        let is_public = |value: &Secret| secrets.iter().any(|(name, other)| !is_secret(name) && other == value);
        for (_, secret) in secrets.iter().filter(|(name, _)| is_secret(name)) {
            if secret.is_empty() || is_public(secret) {
                continue;
            }
            if secret.expose().chars().count() < MIN_LENGTH {
                redactor.short.push(secret.clone());
            } else {
                forms::collect(secret.expose(), &mut redactor.forms);
                if secret.expose().contains(['%', '\\', '&']) {
                    // Something that looks like an escape in a secret is not one; undoing one kind at a time
                    // keeps the others.
                    redactor.readings = &Escapes::EACH;
                }
            }
        }
        redactor
    }

    /// The same, with the whole HTTP Basic encoding of a user name and a password (RFC 7617).
    #[must_use]
    pub fn with_basic(mut self, username: &str, password: &str) -> Self {
        forms::collect_pair(username, password, &mut self.forms);
        self
    }

    /// Replaces every form of a secret with `REDACTED`; borrowed if there is none. Overlapping matches are
    /// replaced as one. Pass a whole header value or body: a secret that is split between two calls is not
    /// found; [`Self::stream`] is for bodies in chunks. Takes linear time.
    pub fn redact<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_short(bytes.trim_ascii()) {
            return Cow::Borrowed(REPLACEMENT);
        }
        let Some(spans) = self.find(bytes) else {
            // The automaton could not be built: redact everything.
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

    /// Does the same as [`Self::redact`] for a body that arrives in chunks.
    pub fn stream(&self) -> RedactStream<'_> {
        RedactStream::new(self)
    }

    /// Redacts a JSON text and keeps it valid: only values are searched, never object keys. A number or
    /// literal that contains a secret becomes a string.
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

    /// Spans of secrets, in order and without overlap or contact.
    fn find(&self, bytes: &[u8]) -> Option<Vec<Range<usize>>> {
        if self.forms.is_empty() {
            return Some(Vec::new());
        }
        if bytes.len() > LARGE_TEXT {
            return scan::find(&self.forms, self.readings, bytes);
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

/// Adds a span that ends no earlier than the previous ones and merges it with those that it overlaps.
fn push(spans: &mut Vec<Range<usize>>, mut span: Range<usize>) {
    while let Some(last) = spans.last().filter(|last| span.start < last.end) {
        span = span.start.min(last.start)..span.end.max(last.end);
        spans.pop();
    }
    spans.push(span);
}

#[cfg(test)]
mod tests;
