//! The credential never comes back (R52): every form in which a provider may echo it is replaced.

mod forms;

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use switchboard_vault::Secrets;

use forms::Form;

/// What stands in an answer for a secret.
const REPLACEMENT: &[u8] = b"REDACTED";

/// Shortest secret that is looked for, in bytes. A shorter one would be found in innocent text.
const SHORTEST: usize = 6;

/// Largest text that is searched form by form. Building an automaton costs more than that; past
/// this length it pays.
const LARGE: usize = 64 * 1024;

/// Finds all forms of a set of secrets: as they are, escaped in JSON or HTML, percent-encoded, and
/// inside base64 at any alignment. Holds copies of the secrets until it is dropped, so it should
/// live as long as one request.
pub struct Redactor {
    forms: Vec<Form>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(redacted)")
    }
}

impl Redactor {
    /// Prepares the search, in time and memory linear in the length of the secrets. Values of less
    /// than 6 bytes are not looked for. `username` and `password` are also looked for together, as
    /// HTTP Basic joins them.
    pub fn new(secrets: &Secrets) -> Self {
        let mut forms = Vec::new();
        for (_, secret) in secrets.iter().filter(|(_, secret)| secret.expose().len() >= SHORTEST) {
            forms::collect(secret.expose(), &mut forms);
        }
        if let (Some(username), Some(password)) = (secrets.get("username"), secrets.get("password")) {
            forms::collect_pair(username, password, &mut forms);
        }
        forms.sort_by(|one, other| one.text.as_slice().cmp(other.text.as_slice()));
        forms.dedup_by(|later, earlier| later.text == earlier.text);
        Self { forms }
    }

    /// The bytes with every form of a secret replaced by `REDACTED`, borrowed when there is none.
    /// Overlapping forms are replaced as one. The bytes must be a whole header value or body: a
    /// secret that is cut by the end of a chunk is not found. Time is linear in their length.
    pub fn redact<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let found = if bytes.len() > LARGE { self.search_large(bytes) } else { Some(self.search(bytes)) };
        let Some(spans) = found else {
            // The automaton could not be built: nothing may pass.
            return Cow::Borrowed(REPLACEMENT);
        };
        if spans.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut redacted = Vec::with_capacity(bytes.len());
        let mut copied = 0;
        for (start, end) in spans {
            redacted.extend_from_slice(&bytes[copied..start]);
            redacted.extend_from_slice(REPLACEMENT);
            copied = end;
        }
        redacted.extend_from_slice(&bytes[copied..]);
        Cow::Owned(redacted)
    }

    /// The spans to replace, in order, none overlapping another.
    fn search(&self, bytes: &[u8]) -> Vec<(usize, usize)> {
        let mut spans = Vec::new();
        for form in &self.forms {
            let mut from = 0;
            while let Some(at) = form.find(&bytes[from..]) {
                let start = from + at;
                spans.push(form.widen(bytes, start, start + form.text.len()));
                from = start + 1;
            }
        }
        spans.sort_unstable();
        let mut joined = Vec::with_capacity(spans.len());
        for span in spans {
            join(&mut joined, span);
        }
        joined
    }

    fn search_large(&self, bytes: &[u8]) -> Option<Vec<(usize, usize)>> {
        if self.forms.is_empty() {
            return Some(Vec::new());
        }
        let automaton = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(self.forms.iter().map(|form| form.text.as_slice()))
            .ok()?;
        let found = automaton.find_overlapping_iter(bytes);
        // Joined as they are found: a text may hold millions that overlap.
        let mut joined = Vec::new();
        for it in found {
            join(&mut joined, self.forms[it.pattern().as_usize()].widen(bytes, it.start(), it.end()));
        }
        Some(joined)
    }
}

/// Adds a span and takes those into it that it overlaps. Each must end behind all that were added
/// before, or begin behind them: so matches come that are sought in order of their ends, or sorted.
fn join(joined: &mut Vec<(usize, usize)>, (mut start, mut end): (usize, usize)) {
    while let Some(&(last_start, last_end)) = joined.last() {
        if start >= last_end {
            break;
        }
        start = start.min(last_start);
        end = end.max(last_end);
        joined.pop();
    }
    joined.push((start, end));
}

#[cfg(test)]
mod tests;
