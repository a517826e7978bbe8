//! Words for people: what a caller wrote, cut short, and a capital letter at the start. And what people
//! paste, without what was copied along.

/// Longest part of a message that the caller wrote, in characters. Longer than any id of ours.
pub const MAX_ECHO: usize = 64;

/// At most [`MAX_ECHO`] characters of what a caller wrote, none of them a control character.
pub fn cut(text: &str) -> String {
    cut_to(text, MAX_ECHO)
}

/// The same with another limit.
pub fn cut_to(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).map(|it| if it.is_control() { ' ' } else { it }).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    shown
}

/// With a capital letter at its start.
pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// A character that nobody sees and that no identifier or key has: zero-width ones, a byte order mark,
/// marks of direction, control characters.
pub fn is_invisible(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// What was pasted, without the blanks and invisible characters around it.
pub fn pasted(text: &str) -> &str {
    text.trim_matches(|letter: char| letter.is_whitespace() || is_invisible(letter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_copied_along_is_cut_off() {
        for text in ["a b", " a b ", "a b\u{200b}", "\u{feff}a b\r\n", "\u{a0}a b\u{2060}\t"] {
            assert_eq!(pasted(text), "a b", "{text:?}");
        }
        assert_eq!(pasted(" \u{200b} "), "");
        assert!(pasted("a\u{200b}b").chars().any(is_invisible));
    }

    #[test]
    fn what_a_caller_wrote_is_cut_and_stays_one_line() {
        assert_eq!(cut("ca_1\r\nx"), "ca_1  x");
        assert_eq!(cut(&"é".repeat(MAX_ECHO)), "é".repeat(MAX_ECHO));
        assert_eq!(cut(&"é".repeat(MAX_ECHO + 1)), format!("{}…", "é".repeat(MAX_ECHO)));
    }

    #[test]
    fn a_capital_letter_needs_a_letter() {
        assert_eq!(capital("écru"), "Écru");
        assert_eq!((capital("").as_str(), capital("1a").as_str()), ("", "1a"));
    }
}
