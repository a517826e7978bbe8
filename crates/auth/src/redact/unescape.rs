//! Undoes escaping byte by byte and keeps the position of each byte, so that a secret is found in any escaped
//! spelling.

use std::ops::Range;

/// Which kinds of escapes to undo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escapes {
    /// `%41` in URLs and forms (RFC 3986 section 2.1).
    pub(super) percent: bool,
    /// `\u0041`, `\x41`, `\n`, `\/` in JSON and programming languages.
    pub(super) backslash: bool,
    /// `&amp;`, `&#65;`, `&#x41;` in HTML and XML.
    pub(super) html: bool,
}

impl Escapes {
    /// All kinds.
    pub(super) const ALL: Self = Self { percent: true, backslash: true, html: true };
    /// All kinds together, and each one alone.
    pub(super) const EACH: [Self; 4] = [
        Self::ALL,
        Self { percent: true, ..Self::NONE },
        Self { backslash: true, ..Self::NONE },
        Self { html: true, ..Self::NONE },
    ];
    /// No kind: only line breaks are removed.
    pub(super) const NONE: Self = Self { percent: false, backslash: false, html: false };
}

/// Whether a text contains anything to undo.
pub(super) fn has_escapes(text: &[u8]) -> bool {
    memchr::memchr3(b'%', b'\\', b'&', text).is_some() || memchr::memchr2(b'\n', b'\r', text).is_some()
}

/// Longest escape in bytes: a surrogate pair, or an entity.
pub(super) const MAX_ESCAPE: usize = 12;

/// Calls `emit` with each byte of the text and its position; see [`Unescaper`].
pub(super) fn unescape(text: &[u8], escapes: Escapes, emit: impl FnMut(u8, Range<usize>)) {
    Unescaper::new(escapes).read(text, 0, true, emit);
}

/// Unescapes a text that may arrive in pieces. Escapes are undone once. Line breaks and blanks at the start of
/// the next line are skipped: base64 in mail and PEM has line breaks (RFC 2045 section 6.8), and headers are
/// folded.
pub(super) struct Unescaper {
    escapes: Escapes,
    is_line_start: bool,
}

impl Unescaper {
    pub(super) fn new(escapes: Escapes) -> Self {
        Self { escapes, is_line_start: false }
    }

    /// Calls `emit` with each byte from `at` on and its position in the text. Returns the position of the first
    /// unread byte: an escape that the next piece may continue is read with it, unless this piece is the last.
    pub(super) fn read(
        &mut self,
        text: &[u8],
        mut at: usize,
        is_last: bool,
        mut emit: impl FnMut(u8, Range<usize>),
    ) -> usize {
        while at < text.len() {
            let is_escape = match text[at] {
                b'%' | b'\\' | b'&' => true,
                b'\r' | b'\n' => false,
                b' ' | b'\t' if self.is_line_start => false,
                byte => {
                    // The usual case, without the detour of a piece.
                    self.is_line_start = false;
                    emit(byte, at..at + 1);
                    at += 1;
                    continue;
                }
            };
            if is_escape && !is_last && text.len() - at < MAX_ESCAPE {
                break;
            }
            let (piece, length) = next(&text[at..], self.escapes);
            let place = at..at + length;
            at += length;
            for &byte in piece.bytes() {
                match byte {
                    b'\r' | b'\n' => self.is_line_start = true,
                    b' ' | b'\t' if self.is_line_start => {}
                    _ => {
                        self.is_line_start = false;
                        emit(byte, place.clone());
                    }
                }
            }
        }
        at
    }
}

/// The text as `unescape` emits it.
pub(super) fn unescaped(text: &[u8], escapes: Escapes) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    unescape(text, escapes, |byte, _| bytes.push(byte));
    bytes
}

/// The result of one escape: a character in UTF-8.
struct Piece {
    bytes: [u8; 4],
    length: usize,
}

impl Piece {
    fn byte(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn character(character: char) -> Self {
        let mut bytes = [0; 4];
        let length = character.encode_utf8(&mut bytes).len();
        Self { bytes, length }
    }

    fn bytes(&self) -> std::slice::Iter<'_, u8> {
        self.bytes[..self.length].iter()
    }
}

/// The first byte of a text, or the result of its first escape, with its length in the text.
fn next(text: &[u8], escapes: Escapes) -> (Piece, usize) {
    let first = text[0];
    let found = match first {
        b'%' if escapes.percent => number(text.get(1..3), 16).map(|byte| (Piece::byte(low(byte)), 3)),
        b'\\' if escapes.backslash => backslash(text),
        b'&' if escapes.html => entity(text),
        _ => None,
    };
    found.unwrap_or((Piece::byte(first), 1))
}

fn low(number: u32) -> u8 {
    number.to_le_bytes()[0]
}

/// Parses digits only.
fn number(digits: Option<&[u8]>, radix: u32) -> Option<u32> {
    let digits = digits.filter(|digits| !digits.is_empty())?;
    digits
        .iter()
        .try_fold(0_u32, |value, digit| value.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?))
}

fn backslash(text: &[u8]) -> Option<(Piece, usize)> {
    let plain = |byte| Some((Piece::byte(byte), 2));
    match *text.get(1)? {
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'b' => plain(8),
        b'f' => plain(12),
        byte @ (b'"' | b'\\' | b'/' | b'\'') => plain(byte),
        b'x' => number(text.get(2..4), 16).map(|byte| (Piece::byte(low(byte)), 4)),
        b'u' => {
            let first = number(text.get(2..6), 16)?;
            if let Some(character) = char::from_u32(first) {
                return Some((Piece::character(character), 6));
            }
            // A high surrogate; the low one follows (RFC 8259 section 7).
            let second = text.get(6..8).filter(|start| *start == b"\\u").and_then(|_| number(text.get(8..12), 16))?;
            let is_pair = (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second);
            let code = is_pair.then(|| 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
            Some((Piece::character(char::from_u32(code)?), 12))
        }
        _ => None,
    }
}

fn entity(text: &[u8]) -> Option<(Piece, usize)> {
    let end = text.iter().take(MAX_ESCAPE).position(|byte| *byte == b';')?;
    let character = match &text[1..end] {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        [b'#', b'x' | b'X', digits @ ..] => char::from_u32(number(Some(digits), 16)?)?,
        [b'#', digits @ ..] => char::from_u32(number(Some(digits), 10)?)?,
        _ => return None,
    };
    Some((Piece::character(character), end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_escape_is_undone_once() {
        for (text, expected) in [
            ("a%41%2f%2F%zz%", "aA//%zz%"),
            ("%2541", "%41"),
            (r#"\u0041\x41\"\\\/\q\u00fc\ud83d\ude00\ud83d!"#, "AA\"\\/\\qü😀\\ud83d!"),
            ("\\\\u0041", "\\u0041"),
            ("&lt;&gt;&amp;&quot;&apos;&#39;&#x27;&#X41;&#0065;&nope;&amp", "<>&\"'''AA&nope;&amp"),
            ("&amp;amp;", "&amp;"),
            ("a\r\n  b\\n\\tc%0Ad&#10;e f", "abcde f"),
            ("&#1114112;&#xffffffffff;", "&#1114112;&#xffffffffff;"),
        ] {
            assert_eq!(String::from_utf8_lossy(&unescaped(text.as_bytes(), Escapes::ALL)), expected, "{text}");
        }
        assert_eq!(unescaped(b"%41\n\\n&amp;", Escapes::NONE), b"%41\\n&amp;");
    }

    proptest! {
        #[test]
        fn places_are_in_order_and_nothing_panics(text in "[%\\\\&#;xu0-9a-f \n]{0,60}|\\PC{0,20}") {
            let bytes = text.as_bytes();
            let mut last = 0;
            unescape(bytes, Escapes::ALL, |_, place| {
                assert!(place.start < place.end && place.end <= bytes.len() && place.start >= last.min(place.start));
                last = place.start;
            });
            prop_assert!(unescaped(bytes, Escapes::ALL).len() <= bytes.len());
        }
    }
}
