//! Reads a provider's JSON within limits of memory.

use serde_json::Value;

/// Maximum number of values. Each takes up to some hundred bytes of memory, however few it has in the text.
const MAX_VALUES: usize = 100_000;

/// Why JSON cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unreadable {
    /// It has too many values.
    TooLarge,
    /// It nests too deep, has a number that is too large, or is none.
    Malformed,
}

/// The value of a JSON text. A half of a surrogate pair, where a provider cut a text in the middle of a character, is
/// read as a replacement character.
///
/// # Errors
/// It is too large or malformed.
pub fn parse(bytes: &[u8]) -> Result<Value, Unreadable> {
    // Also counts those in texts, which makes the limit a little lower.
    if bytes.iter().filter(|byte| matches!(byte, b',' | b'{' | b'[')).count() > MAX_VALUES {
        return Err(Unreadable::TooLarge);
    }
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Ok(value);
    }
    serde_json::from_slice(&without_halves(bytes)).map_err(|_| Unreadable::Malformed)
}

/// The text with each half of a surrogate pair replaced.
fn without_halves(bytes: &[u8]) -> Vec<u8> {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(br"\u")?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let mut replaced = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let length = match (unit(at), unit(at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                replaced.extend_from_slice(br"\ufffd");
                at += 6;
                continue;
            }
            // An escape has two bytes, so that the second backslash of two begins none.
            _ if *byte == b'\\' => 2,
            _ => 1,
        };
        replaced.extend_from_slice(bytes.get(at..at + length).unwrap_or_default());
        at += length;
    }
    replaced
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_character_that_was_cut_is_replaced() {
        for (text, expected) in [
            (r#"{"a":"x\ud83d"}"#, json!({ "a": "x\u{fffd}" })),
            (r#"{"a":"\ude00y"}"#, json!({ "a": "\u{fffd}y" })),
            (r#"{"a":"\ud83d\ude00 \ud83d"}"#, json!({ "a": "😀 \u{fffd}" })),
            (r#"{"a":"\\ud83d \ud83d"}"#, json!({ "a": "\\ud83d \u{fffd}" })),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_takes_too_much_memory_or_is_no_json_is_refused() {
        assert_eq!(parse(format!("[{}1]", "1,".repeat(MAX_VALUES)).as_bytes()), Err(Unreadable::TooLarge));
        assert_eq!(parse(format!("{}1{}", "[".repeat(500), "]".repeat(500)).as_bytes()), Err(Unreadable::Malformed));
        for text in ["1e400", "{", ""] {
            assert_eq!(parse(text.as_bytes()), Err(Unreadable::Malformed), "{text}");
        }
    }
}
