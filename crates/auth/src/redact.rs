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

/// Finds all forms of a set of secrets: as they are, escaped in JSON or HTML, percent-encoded, and
/// inside base64 at any alignment. Holds copies of the secrets until it is dropped, so it should
/// live as long as one request.
pub struct Redactor(Search);

enum Search {
    Nothing,
    Forms {
        automaton: AhoCorasick,
        forms: Vec<Form>,
    },
    /// The automaton could not be built: nothing may pass.
    Everything,
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
        if forms.is_empty() {
            return Self(Search::Nothing);
        }
        // A contiguous NFA is quick to build and small; the automaton serves one request.
        let built = AhoCorasick::builder()
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(forms.iter().map(|form| form.text.as_slice()));
        Self(built.map_or(Search::Everything, |automaton| Search::Forms { automaton, forms }))
    }

    /// The bytes with every form of a secret replaced by `REDACTED`, borrowed when there is none.
    /// Overlapping forms are replaced as one. The bytes must be a whole header value or body: a
    /// secret that is cut by the end of a chunk is not found. Time is linear in their length.
    pub fn redact<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let (automaton, forms) = match &self.0 {
            Search::Nothing => return Cow::Borrowed(bytes),
            Search::Everything => return Cow::Borrowed(REPLACEMENT),
            Search::Forms { automaton, forms } => (automaton, forms),
        };
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for found in automaton.find_overlapping_iter(bytes) {
            let form = &forms[found.pattern().as_usize()];
            let (mut start, mut end) = form.widen(bytes, found.start(), found.end());
            // Matches come ordered by their ends, so only the last spans can overlap a new one.
            while let Some(&(last_start, last_end)) = spans.last()
                && last_end > start
            {
                start = start.min(last_start);
                end = end.max(last_end);
                spans.pop();
            }
            spans.push((start, end));
        }
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
}

#[cfg(test)]
mod tests;
