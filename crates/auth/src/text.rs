//! Cleans text from a provider or browser, to store and display it.

/// Maximum length of a description in characters.
const DESCRIPTION: usize = 200;

/// Replaces possible secrets in a description.
const MASK: &str = "[…]";

/// Only `VSCHAR`, 0x20–0x7E (RFC 6749 appendix A).
pub(crate) fn is_vschar(text: &str) -> bool {
    text.bytes().all(|byte| (0x20..=0x7e).contains(&byte))
}

/// An error code that matches `[A-Za-z0-9_.-]{1,64}` and does not look like a secret; `None` for other text.
/// Nothing is repaired: removing characters might yield a different, known code.
pub(crate) fn error_code(raw: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let is_code = (1..=64).contains(&raw.len()) && raw.bytes().all(allowed) && !may_be_secret(raw);
    is_code.then(|| raw.to_owned())
}

/// At most 200 printable characters of a description, on one line. Control and invisible characters are
/// removed, and words that look like a token are masked: some providers repeat the code or token of the
/// request. `None` if nothing is left.
pub(crate) fn description(raw: &str) -> Option<String> {
    let printable: String = raw.chars().filter_map(printable).collect();
    let one_line = printable.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut shown = String::new();
    let mut rest = one_line.as_str();
    while let Some(start) = rest.find(is_token_character) {
        let (before, from_word) = rest.split_at(start);
        let end = from_word.find(|letter| !is_token_character(letter)).unwrap_or(from_word.len());
        let (word, after) = from_word.split_at(end);
        shown.push_str(before);
        shown.push_str(if may_be_secret(word) { MASK } else { word });
        rest = after;
    }
    shown.push_str(rest);
    let shortened = shorten(&shown);
    (!shortened.is_empty()).then_some(shortened)
}

/// Replaces a known secret in a description made by [`description`], within the same maximum length.
pub(crate) fn mask(description: &str, secret: &str) -> String {
    shorten(&description.replace(secret, MASK))
}

fn shorten(description: &str) -> String {
    description.chars().take(DESCRIPTION).collect()
}

/// White space becomes a space. Control characters, and characters that are invisible or change the text
/// direction, are removed.
fn printable(letter: char) -> Option<char> {
    if letter.is_whitespace() {
        return Some(' ');
    }
    let hidden = letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    (!hidden).then_some(letter)
}

fn is_token_character(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "._~+/=%-".contains(letter)
}

/// Long, or of medium length with a digit: typical for codes and tokens, not for words.
fn may_be_secret(word: &str) -> bool {
    word.len() >= 32 || (word.len() >= 16 && word.bytes().any(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn error_codes_are_never_repaired() {
        let max_length = "a_".repeat(15);
        for code in ["invalid_grant", "E.1-2", "AADSTS70008", "unsupported_token_type", &max_length] {
            assert_eq!(error_code(code).as_deref(), Some(code));
        }
        let long = "a".repeat(65);
        for other in ["", "invalid grant", "<img onerror>", "a\r\nb", "ü", &long, "sk_live_0123456789abcdef"] {
            assert_eq!(error_code(other), None, "{other}");
        }
    }

    #[test]
    fn descriptions_are_short_printable_and_without_tokens() {
        let cases = [
            ("", None),
            ("\u{202e}\0\u{200b}", None),
            ("  The  code\r\nhas expired.\u{7} ", Some("The code has expired.")),
            ("Token ya29.a0AfH6SMBx1234 is bad", Some("Token […] is bad")),
            ("Token ya29.a0Af\u{200b}H6SMBx1234!", Some("Token […]!")),
            ("code='4/0AX4XfWh_long-1' (expired)", Some("code='[…]' (expired)")),
            ("token abcdefghijklmnopqrstuvwxyzABCDEF", Some("token […]")),
            ("misconfiguration of authorization_endpoint", Some("misconfiguration of authorization_endpoint")),
            ("<b>ungültig</b> ", Some("<b>ungültig</b>")),
        ];
        for (raw, expected) in cases {
            assert_eq!(description(raw).as_deref(), expected, "{raw:?}");
        }
        assert_eq!(description(&"ab ".repeat(500)).unwrap().chars().count(), 200);
    }

    proptest! {
        #[test]
        fn descriptions_are_always_clean(raw in any::<String>(), token in "[A-Za-z0-9_-]{32,80}") {
            for text in [raw.clone(), format!("{raw} {token} {raw}"), format!("{raw}{token}{raw}")] {
                let shown = description(&text).unwrap_or_default();
                prop_assert!(shown.chars().count() <= 200);
                prop_assert!(!shown.chars().any(char::is_control));
                prop_assert!(!shown.contains(&token));
            }
        }
    }
}
