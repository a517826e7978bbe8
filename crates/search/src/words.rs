//! Terms of a text: words in lower case, reduced to their stems. Names of programs are split where people would pause:
//! `createPullRequest`, `CREATE_PULL_REQUEST` and `create pull request` have the same terms.

use std::ops::Range;

use rust_stemmers::{Algorithm, Stemmer};

/// Maximum length of a word, in bytes. Longer ones are keys and hashes.
const MAX_WORD: usize = 40;
/// Maximum length of a name that is also a term as a unit, such as `GitHub`.
const MAX_JOINED: usize = 20;

/// Makes terms of texts.
pub(crate) struct Words {
    stemmer: Stemmer,
    lower: String,
}

/// A word of a text, as the units that it may be read as.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Word {
    /// Its parts: one, unless it is a name such as `pullRequest`.
    pub parts: Vec<String>,
    /// All parts as one term, if there are several.
    pub joined: Option<String>,
}

impl Words {
    pub fn new() -> Self {
        Self { stemmer: Stemmer::create(Algorithm::English), lower: String::new() }
    }

    /// The stem of a word in lower case.
    pub fn stem(&self, word: &str) -> String {
        if word.len() > MAX_WORD || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return word.to_owned();
        }
        self.stemmer.stem(word).into_owned()
    }

    /// Calls `found` with each word of a text. Single letters are no words.
    pub fn each(&mut self, text: &str, mut found: impl FnMut(Word)) {
        for run in runs(text) {
            let run = &text[run];
            let parts = parts(run);
            let terms: Vec<String> = parts
                .iter()
                .filter(|part| is_word(&run[(*part).clone()]))
                .map(|part| self.term(&run[part.clone()]))
                .collect();
            let joined = (parts.len() > 1 && run.len() <= MAX_JOINED).then(|| self.term(run));
            if !terms.is_empty() || joined.is_some() {
                found(Word { parts: terms, joined });
            }
        }
    }

    fn term(&mut self, part: &str) -> String {
        self.lower.clear();
        self.lower.extend(part.chars().flat_map(char::to_lowercase));
        self.stem(&self.lower)
    }
}

fn is_word(part: &str) -> bool {
    part.len() <= MAX_WORD && (part.len() > 1 || part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Runs of letters and digits. What follows an apostrophe is dropped: `Jane's`, `don't`.
fn runs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(char::is_alphanumeric)?;
        let rest = &text[start..];
        let end = start + rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        at = end;
        if let Some(after) = text[end..].strip_prefix(['\'', '’']) {
            let suffix = after.find(|c: char| !c.is_alphanumeric()).unwrap_or(after.len());
            if suffix > 0 && suffix <= 2 {
                at = text.len() - after.len() + suffix;
            }
        }
        Some(start..end)
    })
}

/// Where a run is split: before an upper-case letter that follows a lower-case one, before the last of several upper-case
/// letters if a word begins there, and between letters and digits. A plural `s` stays: `URLs`.
fn parts(run: &str) -> Vec<Range<usize>> {
    let letters: Vec<(usize, char)> = run.char_indices().collect();
    let mut parts = Vec::new();
    let mut start = 0;
    for index in 1..letters.len() {
        let (before, (at, here)) = (letters[index - 1].1, letters[index]);
        let after = letters.get(index + 1).map(|(_, after)| *after);
        let is_plural = after == Some('s') && index + 2 == letters.len();
        let begins_word = before.is_uppercase() && here.is_uppercase() && after.is_some_and(char::is_lowercase);
        if before.is_lowercase() && here.is_uppercase()
            || begins_word && !is_plural
            || before.is_numeric() != here.is_numeric()
        {
            parts.push(start..at);
            start = at;
        }
    }
    parts.push(start..run.len());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(Vec<String>, Option<String>)> {
        let mut found = Vec::new();
        Words::new().each(text, |word| found.push((word.parts, word.joined)));
        found
    }

    fn parts_of(text: &str) -> Vec<String> {
        read(text).into_iter().flat_map(|(parts, _)| parts).collect()
    }

    #[test]
    fn names_of_programs_are_read_like_sentences() {
        for text in ["createPullRequests", "CREATE_PULL_REQUEST", "Created pull-requests!", "CreatePullRequest"] {
            assert_eq!(parts_of(text), ["creat", "pull", "request"], "{text}");
        }
        assert_eq!(parts_of("HTTPServer v2"), ["http", "server", "2"]);
        assert_eq!(parts_of("two URLs, the PRs"), ["two", "url", "the", "prs"]);
        assert_eq!(parts_of("Jane's; don’t o'clock"), ["jane", "don", "clock"]);
        assert_eq!(parts_of("Übung straße 東京"), ["übung", "straße", "東京"]);
    }

    #[test]
    fn a_name_of_several_parts_is_also_one_term() {
        assert_eq!(read("GitHub"), [(vec!["git".to_owned(), "hub".to_owned()], Some("github".to_owned()))]);
        assert_eq!(read("S3"), [(vec!["3".to_owned()], Some("s3".to_owned()))]);
        assert_eq!(read("github"), [(vec!["github".to_owned()], None)]);
    }

    #[test]
    fn texts_without_words_have_no_terms() {
        for text in ["", " ", "…!?", "a", "'s"] {
            assert!(parts_of(text).iter().all(|term| term.len() > 1 || text.is_empty()), "{text}");
        }
        assert!(parts_of(&"x".repeat(500)).is_empty(), "a key");
    }
}
