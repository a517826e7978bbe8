//! The encoded forms of a secret, before any escaping.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use memchr::memmem::{self, Finder};
use self_cell::self_cell;
use std::ops::Range;
use zeroize::Zeroizing;

use super::unescape::{Escapes, unescaped};

/// Length of the searched suffix for rare forms that are several times as long as the secret.
const SUFFIX_LENGTH: usize = 64;

self_cell!(
    /// Bytes to search for, and their searcher, which borrows them: the bytes are in memory once and wiped when dropped.
    /// Making a searcher takes longer than searching a small answer.
    struct Needle {
        owner: Zeroizing<Vec<u8>>,
        #[covariant]
        dependent: Finder,
    }
);

/// What a form is searched by.
enum Text {
    /// Its searcher is made for each search.
    Short(Zeroizing<Vec<u8>>),
    Long(Needle),
}

impl Text {
    fn of(text: Zeroizing<Vec<u8>>) -> Self {
        if text.len() < MIN_KEPT {
            return Self::Short(text);
        }
        Self::Long(Needle::new(text, |text| Finder::new(text.as_slice())))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(text) => text,
            Self::Long(needle) => needle.borrow_owner(),
        }
    }

    fn find(&self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Short(text) => memmem::find(bytes, text),
            Self::Long(needle) => needle.borrow_dependent().find(bytes),
        }
    }
}

/// Minimum length of a form whose searcher is kept, in bytes. A searcher holds two bytes of the form and a hash of
/// 32 bits, which are not wiped. They say nothing about a long secret, but would help to guess a password.
const MIN_KEPT: usize = 32;

/// One form of a secret.
pub(super) struct Form {
    /// The whole form, or its suffix.
    text: Text,
    /// Length of the form before these bytes.
    before: usize,
    /// Base64: the preceding character also has bits of the secret.
    left: bool,
    /// Base64: the following character also has bits of the secret, and padding may follow.
    pub(super) right: bool,
}

impl Form {
    fn plain(text: impl Into<Vec<u8>>) -> Self {
        Self { text: Text::of(Zeroizing::new(text.into())), before: 0, left: false, right: false }
    }

    /// The bytes to search for: the whole form, or its suffix.
    pub(super) fn text(&self) -> &[u8] {
        self.text.bytes()
    }

    /// Length of the whole form in bytes.
    pub(super) fn length(&self) -> usize {
        self.before + self.text().len()
    }

    /// Whether the preceding byte has bits of the secret.
    pub(super) fn holds_bits_before(&self, byte: u8) -> bool {
        self.left && is_base64(byte)
    }

    /// Calls `found` with each match, in order.
    pub(super) fn find_all(&self, bytes: &[u8], mut found: impl FnMut(Range<usize>)) {
        // Most texts are shorter than most secrets: skip the search.
        let length = self.text().len();
        let mut from = 0;
        while bytes.len() - from >= length {
            let Some(at) = self.text.find(&bytes[from..]) else { return };
            let start = from + at;
            found(start..start + length);
            from = start + 1;
        }
    }

    /// The part of `bytes` to replace for this match.
    pub(super) fn widen(&self, bytes: &[u8], found: Range<usize>) -> Range<usize> {
        let is_base64 = |index: usize| bytes.get(index).is_some_and(|byte| is_base64(*byte));
        let start = found.start.saturating_sub(self.before);
        let start = if self.left && start > 0 && is_base64(start - 1) { start - 1 } else { start };
        let end = if self.right && is_base64(found.end) { found.end + 1 } else { found.end };
        start..end
    }
}

pub(super) fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

/// Adds all forms of one secret.
pub(super) fn collect(secret: &str, forms: &mut Vec<Form>) {
    let bytes = secret.as_bytes();
    push_plain(secret, forms);
    for offset in 0..3 {
        let once = base64(bytes, offset);
        for outer in 0..3 {
            push_base64(end_of_base64(once.text(), outer), forms);
        }
        push_base64(once, forms);
    }
    let end = &bytes[bytes.len().saturating_sub(SUFFIX_LENGTH / 2)..];
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        let hex: Vec<u8> =
            end.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|nibble| digits[usize::from(nibble)]).collect();
        forms.push(Form { before: 2 * (bytes.len() - end.len()), ..Form::plain(hex) });
    }
}

/// Adds the base64 of `user:password` (RFC 7617), with its padding.
pub(super) fn collect_pair(username: &str, password: &str, forms: &mut Vec<Form>) {
    /// Minimum length: eight characters of base64.
    const MIN_LENGTH: usize = 6;
    let pair = Zeroizing::new(format!("{username}:{password}"));
    if pair.len() >= MIN_LENGTH {
        forms.push(Form::plain(STANDARD.encode(pair.as_bytes())));
    }
}

/// The secret itself, with form-encoded blanks, and without its line breaks.
fn push_plain(secret: &str, forms: &mut Vec<Form>) {
    let bytes = secret.as_bytes();
    forms.push(Form::plain(bytes));
    // Most tokens consist of characters that no encoding changes.
    if bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/=".contains(byte)) {
        return;
    }
    if secret.contains(' ') {
        forms.push(Form::plain(secret.replace(' ', "+")));
    }
    let on_one_line = unescaped(bytes, Escapes::NONE);
    if on_one_line != bytes && !on_one_line.is_empty() {
        forms.push(Form::plain(on_one_line));
    }
}

/// The form in both base64 alphabets.
fn push_base64(form: Form, forms: &mut Vec<Form>) {
    if form.text().iter().any(|byte| matches!(byte, b'+' | b'/')) {
        let safe = form.text().iter().map(|byte| match byte {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        let text = Text::of(Zeroizing::new(safe.collect()));
        forms.push(Form { text, ..form });
    }
    forms.push(form);
}

/// The base64 characters that depend only on the secret, for a secret that starts at `offset` in a group of
/// three bytes. The adjacent characters have up to four more of its bits each; [`Form::widen`] includes them.
fn base64(secret: &[u8], offset: usize) -> Form {
    let shifted = Zeroizing::new([&[0; 2][..offset], secret].concat());
    let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(shifted.as_slice()));
    // A byte has 8 bits, a character 6: the range of characters that are entirely from the secret.
    let first = (offset * 8).div_ceil(6);
    let end = shifted.len() * 8 / 6;
    let text = Zeroizing::new(encoded.as_bytes()[first..end].to_vec());
    Form { text: Text::of(text), before: 0, left: offset != 0, right: shifted.len() % 3 != 0 }
}

/// The same, with only the suffix to search for.
fn end_of_base64(text: &[u8], offset: usize) -> Form {
    let skipped = text.len().saturating_sub(SUFFIX_LENGTH);
    let end = base64(&text[skipped..], (offset + skipped) % 3);
    // The number of characters that depend only on the text.
    let length = (offset + text.len()) * 8 / 6 - (offset * 8).div_ceil(6);
    Form { before: length - end.text().len(), left: offset != 0, ..end }
}
