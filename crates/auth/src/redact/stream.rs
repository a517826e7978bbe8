//! Redacts a body that arrives in chunks: what can no longer be a part of a secret is handed on, the rest is
//! held back until more has arrived.

use bytes::{Buf as _, BytesMut};

use super::scan::Scanner;
use super::unescape::MAX_ESCAPE;
use super::{REPLACEMENT, Redactor};

/// Bytes of line breaks and blanks, with which a secret is broken into lines, that are held back at once.
const MAX_BREAKS: usize = 16 * 1024;
/// Bytes of blanks before and after a body that is nothing but a short secret, that are held back.
const MAX_BLANKS: usize = 1024;

/// A redaction in progress. The result equals [`Redactor::redact`] of the whole body, whatever the borders of
/// the chunks, in linear time.
///
/// At a time, at most 12 bytes (the length of an escape) are held back for each byte of the longest form of a
/// secret, which can be twice as long as the secret, and 16 KiB more. This bound has two consequences for
/// bodies of which no provider is known: a secret that is pulled apart by more than 16 KiB of line breaks is
/// replaced only from what is held back on, and around a short secret that is the only value of a body, more
/// than 1 KiB of blanks is kept.
pub struct RedactStream<'r> {
    redactor: &'r Redactor,
    search: Search<'r>,
    /// What is held back.
    held: BytesMut,
    /// Position in the body of the first byte that is held back.
    start: usize,
    /// Position in the body up to which it is replaced. Matches that overlap with this are replaced as one.
    replaced: usize,
    /// Whether the body may still turn out to be nothing but a short secret.
    may_be_short: bool,
}

enum Search<'r> {
    /// There is nothing to search for.
    Nothing,
    Running(Box<Scanner<'r>>),
    /// The automaton could not be built: everything is redacted.
    Impossible,
}

impl std::fmt::Debug for RedactStream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RedactStream(redacted)")
    }
}

impl<'r> RedactStream<'r> {
    pub(super) fn new(redactor: &'r Redactor) -> Self {
        let search = if redactor.forms.is_empty() {
            Search::Nothing
        } else {
            let scanner = Scanner::new(&redactor.forms, redactor.readings);
            scanner.map_or(Search::Impossible, |scanner| Search::Running(Box::new(scanner)))
        };
        let may_be_short = !redactor.short.is_empty();
        Self { redactor, search, held: BytesMut::new(), start: 0, replaced: 0, may_be_short }
    }

    /// Takes the next chunk, and appends to `safe` what can be handed on, redacted.
    pub fn push(&mut self, chunk: &[u8], safe: &mut Vec<u8>) {
        if matches!(self.search, Search::Impossible) {
            return;
        }
        self.held.extend_from_slice(chunk);
        let settled = self.scan();
        let settled = if self.may_be_short { settled.min(self.undecided_from(safe)) } else { settled };
        self.hand_on(settled, safe);
    }

    /// Appends to `safe` what was held back, redacted.
    pub fn finish(mut self, safe: &mut Vec<u8>) {
        let is_short = self.may_be_short && self.redactor.is_short(self.held.trim_ascii());
        if is_short || matches!(self.search, Search::Impossible) {
            safe.extend_from_slice(REPLACEMENT);
            return;
        }
        if let Search::Running(scanner) = &mut self.search {
            scanner.scan(&self.held, self.start, true);
        }
        self.hand_on(self.start + self.held.len(), safe);
    }

    /// Searches what is new. Returns the position before which no further match starts.
    fn scan(&mut self) -> usize {
        let end = self.start + self.held.len();
        let Search::Running(scanner) = &mut self.search else { return end };
        scanner.scan(&self.held, self.start, false);
        let max_held = MAX_ESCAPE * (scanner.max_length() + 2) + MAX_BREAKS;
        scanner.settled().max(end.saturating_sub(max_held))
    }

    /// The position from which on the body may be a short secret. If that can no longer be, it is the end.
    fn undecided_from(&mut self, safe: &mut Vec<u8>) -> usize {
        let value = self.held.trim_ascii_start();
        let value_start = self.start + self.held.len() - value.len();
        let secrets = self.redactor.short.iter().map(|secret| secret.expose().as_bytes());
        let complete = secrets.clone().find(|secret| value.strip_prefix(*secret).is_some_and(is_blank));
        let is_possible = complete.is_some() || secrets.clone().any(|secret| secret.starts_with(value));
        let is_held = self.held.len() <= MAX_BLANKS;
        match complete {
            _ if is_possible && is_held => return self.start,
            // Blanks before the value, but not after it.
            _ if is_possible && value.len() <= MAX_BLANKS => return value_start,
            Some(secret) => {
                let end = value_start + secret.len();
                self.hand_on(value_start, safe);
                safe.extend_from_slice(REPLACEMENT);
                self.replaced = end;
            }
            None => {}
        }
        self.may_be_short = false;
        usize::MAX
    }

    /// Hands on what stands before a position.
    fn hand_on(&mut self, settled: usize, safe: &mut Vec<u8>) {
        let spans = match &mut self.search {
            Search::Running(scanner) => scanner.take_spans(settled),
            Search::Nothing | Search::Impossible => Vec::new(),
        };
        for span in spans {
            if span.start >= self.replaced {
                self.hand_on_plain(span.start, safe);
                safe.extend_from_slice(REPLACEMENT);
            }
            self.replaced = self.replaced.max(span.end);
        }
        self.hand_on_plain(settled, safe);
    }

    /// Hands on what stands before a position and is not replaced.
    fn hand_on_plain(&mut self, end: usize, safe: &mut Vec<u8>) {
        let length = end.saturating_sub(self.start);
        let replaced = self.replaced.saturating_sub(self.start).min(length);
        safe.extend_from_slice(&self.held[replaced..length]);
        self.held.advance(length);
        self.start += length;
    }
}

fn is_blank(text: &[u8]) -> bool {
    text.trim_ascii().is_empty()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use switchboard_vault::{Secret, Secrets};

    use super::super::LARGE_TEXT;
    use super::super::forms::Form;
    use super::*;

    fn redactor(values: &[String]) -> Redactor {
        let mut secrets = Secrets::new();
        for (index, value) in values.iter().enumerate() {
            secrets.insert(&index.to_string(), Secret::from(value.as_str()));
        }
        Redactor::new(&secrets, |_| true)
    }

    /// Redacts in chunks that end at these positions, and checks the bound of what is held back.
    fn redact_in_chunks(redactor: &Redactor, body: &[u8], borders: impl IntoIterator<Item = usize>) -> Vec<u8> {
        let mut stream = redactor.stream();
        let longest = redactor.forms.iter().map(Form::length).max().unwrap_or_default();
        let bound = 12 * (longest + 2) + MAX_BREAKS.max(MAX_BLANKS);
        let (mut safe, mut at) = (Vec::new(), 0);
        for border in borders {
            let border = border.clamp(at, body.len());
            stream.push(&body[at..border], &mut safe);
            assert!(stream.held.len() <= bound, "{} of {bound} bytes are held back", stream.held.len());
            at = border;
        }
        stream.push(&body[at..], &mut safe);
        stream.finish(&mut safe);
        safe
    }

    /// A secret in one of its forms.
    fn form(secret: &str, number: usize) -> Vec<u8> {
        let each = |write: &dyn Fn(u8) -> String| secret.bytes().map(write).collect::<Vec<_>>().concat();
        let letters = |write: &dyn Fn(u32) -> String| {
            secret.encode_utf16().map(|unit| write(u32::from(unit))).collect::<Vec<_>>().concat()
        };
        let in_lines = |text: String, width: usize, ending: &str| {
            let lines: Vec<_> = text.as_bytes().chunks(width).map(String::from_utf8_lossy).collect();
            lines.join(ending)
        };
        let text = match number {
            0 => secret.to_owned(),
            1 => serde_json::Value::String(secret.to_owned()).to_string(),
            2 => crate::form::encode(secret),
            3 => STANDARD.encode(secret),
            4 => in_lines(STANDARD.encode(format!("user:{secret}")), 4, "\r\n "),
            5 => STANDARD.encode(STANDARD.encode(secret)),
            6 => in_lines(STANDARD.encode(format!("ab{}c", STANDARD.encode(format!("x{secret}y")))), 7, "\n"),
            7 => each(&|byte| format!("{byte:02x}")),
            8 => each(&|byte| format!("%{byte:02X}")),
            9 => letters(&|unit| format!("\\u{unit:04x}")),
            10 => secret.chars().map(|letter| format!("&#x{:X};", u32::from(letter))).collect::<Vec<_>>().concat(),
            11 => in_lines(each(&|byte| format!("\\x{byte:02X}")), 8, "\\n  "),
            _ => URL_SAFE_NO_PAD.encode(format!("{secret}.x")),
        };
        text.into_bytes()
    }

    fn noise() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "[ \r\n\t%&#x;\\\\u0-9a-fA-F=+/-]{0,40}".prop_map(String::into_bytes),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Parts of secrets and of their forms stand beside whole ones, so that matches overlap and break off.
        #[test]
        fn chunks_are_redacted_as_the_whole_is(
            secrets in proptest::collection::vec("[ -~ü😀\n]{1,24}|[ab]{8,12}", 1..4),
            parts in proptest::collection::vec((0..4_usize, 0..14_usize, noise(), 0..60_usize, 0..60_usize), 0..8),
            chunks in proptest::collection::vec(0..50_usize, 0..60),
            is_long: bool,
        ) {
            let redactor = redactor(&secrets);
            let mut body = Vec::new();
            for (secret, number, noise, start, left) in parts {
                let text = form(&secrets[secret % secrets.len()], number);
                // Half of them are whole.
                let part = if start % 2 == 0 { &text[..] } else { &text[(start % 8).min(text.len())..] };
                let part = if left % 2 == 0 { part } else { &part[..left.min(part.len())] };
                body.extend_from_slice(part);
                body.extend_from_slice(&noise);
            }
            if is_long {
                // The whole is then searched with the automaton, too.
                body.extend_from_slice(&b"-\n".repeat(LARGE_TEXT / 2 + 1));
            }
            let expected = redactor.redact(&body).into_owned();
            let borders = chunks.iter().scan(0, |at, length| {
                *at += length;
                Some(*at)
            });
            prop_assert_eq!(redact_in_chunks(&redactor, &body, borders), expected.clone());
            if !is_long {
                prop_assert_eq!(redact_in_chunks(&redactor, &body, 0..body.len()), expected);
            }
        }

        #[test]
        fn a_short_secret_is_replaced_only_as_the_whole_body(
            before in "[ \n]{0,9}|x", secret in "[a-c]{1,7}", after in "[ \n]{0,9}|[a-d ]{0,4}", at in 0..30_usize,
        ) {
            let redactor = redactor(&[secret.clone(), "abcabca".to_owned()]);
            let body = format!("{before}{secret}{after}").into_bytes();
            let expected = redactor.redact(&body).into_owned();
            prop_assert_eq!(redact_in_chunks(&redactor, &body, [at]), expected.clone());
            prop_assert_eq!(redact_in_chunks(&redactor, &body, 0..body.len()), expected);
        }
    }

    #[test]
    fn what_is_held_back_is_bounded_and_no_secret_is_left() {
        let token = "tok-12345678".to_owned();
        let redactor = redactor(&[token.clone(), "pin".to_owned()]);
        let breaks = "\n".repeat(3 * MAX_BREAKS);
        let blanks = " ".repeat(3 * MAX_BLANKS);
        for (body, expected) in [
            (format!("{breaks}{token}{breaks}"), format!("{breaks}REDACTED{breaks}")),
            (format!("{blanks}pin{blanks}"), format!("{blanks}REDACTED{blanks}")),
            (format!("{blanks}pins{blanks}"), format!("{blanks}pins{blanks}")),
            // What was handed on is not called back; the rest is replaced.
            (format!("x{}{breaks}{}y", &token[..6], &token[6..]), format!("x{}{breaks}REDACTEDy", &token[..6])),
        ] {
            let found = redact_in_chunks(&redactor, body.as_bytes(), (0..body.len()).step_by(500));
            let shown = String::from_utf8(found).unwrap();
            if body.starts_with('x') {
                assert!(!shown.contains(&token[6..]) && shown.ends_with("REDACTEDy"), "{}", shown.trim());
            } else {
                assert!(shown == expected, "{}", shown.trim());
            }
        }
    }

    #[test]
    fn a_body_full_of_matches_takes_linear_time() {
        let secret = "a".repeat(4_096);
        let redactor = redactor(&[secret]);
        for body in ["a".repeat(4 << 20), "\\u0061".repeat(1 << 18)] {
            let found = redact_in_chunks(&redactor, body.as_bytes(), (0..body.len()).step_by(1_000));
            assert_eq!(String::from_utf8_lossy(&found), "REDACTED");
        }
        let body = "aaa ".repeat(1 << 18);
        let found = redact_in_chunks(&redactor, body.as_bytes(), (0..body.len()).step_by(3));
        assert!(found == body.as_bytes());
    }
}
