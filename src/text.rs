//! Text for messages and forms: truncating input that is echoed, capitalizing, and cleaning pasted values.

/// Maximum characters of echoed input in a message. Longer than any id of ours.
pub const MAX_ECHO: usize = 64;

/// Truncates a caller's input to [`MAX_ECHO`] characters and replaces control characters.
pub fn truncate(text: &str) -> String {
    truncate_to(text, MAX_ECHO)
}

/// The same with another limit.
pub fn truncate_to(text: &str, max: usize) -> String {
    let mut shown: String = text.chars().take(max).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(max).is_some() {
        shown.push('…');
    }
    shown
}

/// Capitalizes the first letter.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// An invisible character, which no identifier or key contains: zero-width characters, a byte order mark,
/// direction marks, control characters.
pub fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// A pasted value without surrounding blanks and invisible characters.
pub fn pasted(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || is_invisible(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrounding_blanks_and_invisible_characters_are_trimmed() {
        for text in ["a b", " a b ", "a b\u{200b}", "\u{feff}a b\r\n", "\u{a0}a b\u{2060}\t"] {
            assert_eq!(pasted(text), "a b", "{text:?}");
        }
        assert_eq!(pasted(" \u{200b} "), "");
        assert!(pasted("a\u{200b}b").chars().any(is_invisible));
    }

    #[test]
    fn input_is_truncated_and_stays_one_line() {
        assert_eq!(truncate("ca_1\r\nx"), "ca_1  x");
        assert_eq!(truncate(&"é".repeat(MAX_ECHO)), "é".repeat(MAX_ECHO));
        assert_eq!(truncate(&"é".repeat(MAX_ECHO + 1)), format!("{}…", "é".repeat(MAX_ECHO)));
    }

    #[test]
    fn a_capital_letter_needs_a_letter() {
        assert_eq!(capital("écru"), "Écru");
        assert_eq!((capital("").as_str(), capital("1a").as_str()), ("", "1a"));
    }
}
