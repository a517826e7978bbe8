//! Lenient PEM (RFC 7468), as users paste it: any or no line ends, `\n` as two characters from JSON, text
//! around it.
//!
//! `rustls-pki-types`, which parses the certificate authorities for TLS, requires proper lines and leaves a
//! copy of the key in memory; here the decoded bytes are wiped on drop.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// Maximum size of a text in bytes: enough for a certificate chain.
const MAX: usize = 256 * 1024;

/// One section from `-----BEGIN label-----` to `-----END label-----`.
#[derive(Clone, Copy)]
pub(crate) struct Section<'t> {
    /// Type of the content, such as `PRIVATE KEY`.
    pub(crate) label: &'t str,
    body: &'t str,
}

impl<'t> Section<'t> {
    /// All complete sections of a text, in order.
    pub(crate) fn all(text: &'t str) -> impl Iterator<Item = Self> {
        let mut rest = if text.len() <= MAX { text } else { "" };
        std::iter::from_fn(move || {
            let (section, after) = first(rest)?;
            rest = after;
            Some(section)
        })
    }

    /// Whether it is encrypted in the legacy format, which has header lines (RFC 1421 section 4.6).
    pub(crate) fn is_encrypted(&self) -> bool {
        self.body.contains("ENCRYPTED")
    }

    /// The bytes; `None` if the content is not base64.
    pub(crate) fn decode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let mut base64 = Zeroizing::new(String::with_capacity(self.body.len()));
        let mut letters = self.body.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                // The rest of an escaped line end; base64 has no backslash.
                '\\' => drop(letters.next_if(|next| matches!(next, 'n' | 'r' | 't'))),
                _ if letter.is_ascii_whitespace() => {}
                _ => base64.push(letter),
            }
        }
        STANDARD.decode(base64.as_bytes()).ok().filter(|bytes| !bytes.is_empty()).map(Zeroizing::new)
    }
}

fn first(text: &str) -> Option<(Section<'_>, &str)> {
    let (_, from_label) = text.split_once(BEGIN)?;
    let (label, from_body) = from_label.split_once(DASHES)?;
    let (body, from_end) = from_body.split_once(END)?;
    let after = from_end.strip_prefix(label)?.strip_prefix(DASHES)?;
    Some((Section { label, body }, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(text: &str) -> Vec<(&str, Option<Vec<u8>>)> {
        Section::all(text).map(|section| (section.label, section.decode().map(|bytes| bytes.to_vec()))).collect()
    }

    #[test]
    fn any_line_ends_are_accepted() {
        for line_end in ["\n", "\r\n", "\r", "\\n", "\\r\\n", "\\\\n", " ", "", " \\n\n\t"] {
            let text = ["\"-----BEGIN A B-----", "AAEC", "AwQ=", "-----END A B-----", "\""].join(line_end);
            assert_eq!(decoded(&text), [("A B", Some(vec![0, 1, 2, 3, 4]))], "{text}");
        }
    }

    #[test]
    fn complete_sections_are_returned_in_order() {
        let two = "x -----BEGIN A-----AAEC-----END A----- y -----BEGIN B-----AA=-----END B-----";
        assert_eq!(decoded(two), [("A", Some(vec![0, 1, 2])), ("B", None)]);
        let truncated = "-----BEGIN A-----AAEC";
        let crossed = "-----BEGIN A-----AAEC-----END B-----";
        let empty = "-----BEGIN A----------END A-----";
        assert_eq!((decoded(truncated), decoded(crossed), decoded(empty)), (vec![], vec![], vec![("A", None)]));
        let large = format!("-----BEGIN A-----{}-----END A-----", "AAAA".repeat(MAX / 4));
        assert_eq!(decoded(&large), []);
    }

    proptest! {
        #[test]
        fn bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 1..200), width in 1_usize..80) {
            let base64 = STANDARD.encode(&bytes);
            let lines: Vec<&str> = base64.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
            let text = format!("-----BEGIN K-----\n{}\n-----END K-----\n", lines.join("\\n"));
            prop_assert_eq!(decoded(&text), [("K", Some(bytes))]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(-----BEGIN |-----END |-----|K|A|\\\\|n|=|ü|.){0,20}") {
            let _ = decoded(&text);
        }
    }
}
