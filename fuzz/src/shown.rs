//! Text of a provider or browser that is stored and displayed: short, on one line, without secrets.

use switchboard_auth::TokenError;

/// Maximum length of a description in characters.
const DESCRIPTION: usize = 200;

/// From this length on, a run of token characters counts as a token.
const TOKEN: usize = 32;

/// Checks an error code and a description.
pub fn check(code: Option<&str>, description: Option<&str>) {
    if let Some(code) = code {
        let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        assert!((1..=64).contains(&code.len()) && code.chars().all(allowed), "code {code:?}");
    }
    if let Some(description) = description {
        assert!(!description.is_empty(), "an empty description is none");
        assert!(description.chars().count() <= DESCRIPTION, "long description {description:?}");
    }
    for text in [code, description].into_iter().flatten() {
        assert!(!text.chars().any(char::is_control), "control character in {text:?}");
        assert!(longest_token(text) < TOKEN, "looks like a token: {text:?}");
    }
}

/// Checks a token endpoint's error, also with a value of the request removed.
pub fn check_error(error: &TokenError) {
    let (code, description) = (error.code.as_deref(), error.description.as_deref());
    check(code, description);
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
    let words = description.unwrap_or_default().split_whitespace().chain(code);
    // A mask may contain these characters itself.
    for word in words.filter(|word| !word.contains(['[', '…', ']'])).take(8) {
        let clean = error.clone().without(&[word]);
        check(clean.code.as_deref(), clean.description.as_deref());
        let texts = [clean.code.as_deref(), clean.description.as_deref()];
        assert!(!texts.into_iter().flatten().any(|text| text.contains(word)), "{word:?} is still in {clean:?}");
    }
}

/// Length of the longest run of token characters (RFC 6750 section 2.1).
fn longest_token(text: &str) -> usize {
    let is_token = |letter: char| letter.is_ascii_alphanumeric() || "-._~+/=".contains(letter);
    text.split(|letter| !is_token(letter)).map(str::len).max().unwrap_or_default()
}
