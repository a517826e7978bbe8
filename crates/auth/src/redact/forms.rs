//! The forms in which a secret may stand in an answer.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use memchr::memmem;
use zeroize::Zeroizing;

/// One form of a secret.
pub(super) struct Form {
    /// The bytes to look for.
    pub(super) text: Zeroizing<Vec<u8>>,
    /// Base64: the character before also holds bits of the secret.
    left: bool,
    /// Base64: the character after also holds bits of the secret, and padding may follow.
    right: bool,
}

impl Form {
    fn plain(text: &str) -> Self {
        Self { text: Zeroizing::new(text.as_bytes().to_vec()), left: false, right: false }
    }

    /// Where this form stands first.
    pub(super) fn find(&self, bytes: &[u8]) -> Option<usize> {
        // Most texts are shorter than most secrets; no search is faster than none.
        if bytes.len() < self.text.len() { None } else { memmem::find(bytes, &self.text) }
    }

    /// The part of `bytes` to replace when this form was found from `start` to `end`.
    pub(super) fn widen(&self, bytes: &[u8], start: usize, end: usize) -> (usize, usize) {
        let is_base64 = |index: usize| bytes.get(index).is_some_and(|byte| is_base64(*byte));
        let wide_start = if self.left && start > 0 && is_base64(start - 1) { start - 1 } else { start };
        let wide_end = if self.right && is_base64(end) { end + 1 } else { end };
        (wide_start, wide_end)
    }
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}

/// Adds all forms of one secret.
pub(super) fn collect(secret: &str, forms: &mut Vec<Form>) {
    forms.push(Form::plain(secret));
    for offset in 0..3 {
        push_base64(secret, offset, forms);
    }
    // Most tokens are of letters that no encoding touches; then all the forms below are the secret.
    if secret.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
        return;
    }
    for text in [
        json(secret, |_| false),
        json(secret, |letter| !letter.is_ascii()),
        json(secret, |letter| "<>&'".contains(letter) || !letter.is_ascii()),
        json(secret, |letter| "<>&".contains(letter)),
        html(secret),
    ] {
        push_with_escaped_slashes(&text, forms);
    }
    push_percent(secret, forms);
}

/// Adds the whole of `user:password` in base64 (RFC 7617), with its padding.
pub(super) fn collect_pair(username: &str, password: &str, forms: &mut Vec<Form>) {
    let pair = Zeroizing::new(format!("{username}:{password}"));
    if pair.len() < super::SHORTEST {
        return;
    }
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    push_with_escaped_slashes(&encoded, forms);
    push_percent(&encoded, forms);
}

/// The form, and as encoders write it that put a `\` before each `/` in JSON.
fn push_with_escaped_slashes(text: &str, forms: &mut Vec<Form>) {
    forms.push(Form::plain(text));
    let escaped = Zeroizing::new(text.replace('/', "\\/"));
    forms.push(Form::plain(&escaped));
}

/// Percent-encoded as a form and as a URI component (RFC 3986), in both cases of the digits.
fn push_percent(text: &str, forms: &mut Vec<Form>) {
    for (kept, space) in [("*-._", "+"), ("-._~", "%20"), ("-._~!*'()", "%20")] {
        for lower in [false, true] {
            let mut encoded = Zeroizing::new(String::new());
            for byte in text.bytes() {
                let letter = char::from(byte);
                // Writing to a string cannot fail.
                let _ = match byte {
                    b' ' => encoded.write_str(space),
                    _ if byte.is_ascii_alphanumeric() || kept.contains(letter) => encoded.write_char(letter),
                    _ if lower => write!(encoded, "%{byte:02x}"),
                    _ => write!(encoded, "%{byte:02X}"),
                };
            }
            forms.push(Form::plain(&encoded));
        }
    }
}

/// The characters of base64 that depend on the secret alone when `offset` other bytes stand before
/// it in its group of three. The characters at the borders hold up to four more of its bits each;
/// [`Form::widen`] takes them along.
fn push_base64(secret: &str, offset: usize, forms: &mut Vec<Form>) {
    let shifted = Zeroizing::new([&[0; 2][..offset], secret.as_bytes()].concat());
    let encoded = Zeroizing::new(STANDARD_NO_PAD.encode(shifted.as_slice()));
    // A byte is 8 bits, a character 6: the first whole one and the end of the last whole one.
    let first = (offset * 8).div_ceil(6);
    let end = shifted.len() * 8 / 6;
    let standard = &encoded[first..end];
    if !standard.contains(['+', '/']) {
        let text = Zeroizing::new(standard.as_bytes().to_vec());
        forms.push(Form { text, left: offset != 0, right: shifted.len() % 3 != 0 });
        return;
    }
    let url_safe = Zeroizing::new(standard.replace('+', "-").replace('/', "_"));
    let in_json = Zeroizing::new(standard.replace('/', "\\/"));
    let percent = |plus: &str, slash: &str| Zeroizing::new(standard.replace('+', plus).replace('/', slash));
    for text in [standard, &url_safe, &in_json, &percent("%2B", "%2F"), &percent("%2b", "%2f")] {
        let text = Zeroizing::new(text.as_bytes().to_vec());
        forms.push(Form { text, left: offset != 0, right: shifted.len() % 3 != 0 });
    }
}

/// The inside of a JSON string, with more characters written as `\uXXXX` than need be.
fn json(secret: &str, escape: impl Fn(char) -> bool) -> Zeroizing<String> {
    let mut escaped = Zeroizing::new(String::new());
    for letter in secret.chars() {
        match letter {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            '\u{8}' => escaped.push_str("\\b"),
            '\u{c}' => escaped.push_str("\\f"),
            _ if letter < ' ' || escape(letter) => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(escaped, "\\u{unit:04x}");
                }
            }
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn html(secret: &str) -> Zeroizing<String> {
    let mut escaped = Zeroizing::new(String::new());
    for letter in secret.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(letter),
        }
    }
    escaped
}
