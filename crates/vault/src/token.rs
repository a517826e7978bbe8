//! Random identifiers and one-time tokens (link tokens, OAuth `state`, browser secrets).
//!
//! A one-time token consists of a row id, which finds the row (and starts with the time, so that inserts
//! append), and a secret of 160 random bits, of which only the SHA-256 is stored (R01). Comparison takes
//! constant time.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::Entropy;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A stored SHA-256.
pub type Digest = [u8; 32];

/// SHA-256 of a secret that is itself random (never of a password).
pub fn digest(text: &str) -> Digest {
    Sha256::digest(text.as_bytes()).into()
}

/// `length` base62 characters, each with log2(62) = 5.95 random bits.
pub fn base62(entropy: &dyn Entropy, length: usize) -> String {
    let mut text = String::with_capacity(length);
    push_base62(&mut text, entropy, length);
    text
}

/// Appends `length` such characters to a text.
pub fn push_base62(text: &mut impl Extend<char>, entropy: &dyn Entropy, length: usize) {
    let mut left = length;
    let mut buffer = [0_u8; 64];
    while left > 0 {
        entropy.fill(&mut buffer);
        // Rejection sampling: bytes beyond the last multiple of 62 are dropped, so that all characters are
        // equally likely.
        let usable = buffer.iter().filter(|byte| **byte < 248).take(left);
        text.extend(usable.map(|byte| char::from(ALPHABET[usize::from(*byte % 62)])).inspect(|_| left -= 1));
    }
}

/// A number as base62 digits, which sort like the number.
pub fn base62_number<const WIDTH: usize>(mut number: u64) -> [char; WIDTH] {
    let mut digits = ['0'; WIDTH];
    for digit in digits.iter_mut().rev() {
        *digit = char::from(ALPHABET[usize::try_from(number % 62).unwrap_or(0)]);
        number /= 62;
    }
    digits
}

/// A one-time token: the text for its holder, the digest for the database.
pub struct OneTimeToken {
    text: String,
}

impl std::fmt::Debug for OneTimeToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneTimeToken(redacted)")
    }
}

impl OneTimeToken {
    /// Characters of the secret part: 27 × 5.95 = 160 bits.
    pub const SECRET_LENGTH: usize = 27;

    /// A new token for the row `row_id`.
    pub fn new(entropy: &dyn Entropy, row_id: &str) -> Self {
        let mut text = String::with_capacity(row_id.len() + Self::SECRET_LENGTH);
        text.push_str(row_id);
        push_base62(&mut text, entropy, Self::SECRET_LENGTH);
        Self { text }
    }

    /// The text for the holder.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The digest for the database.
    pub fn digest(&self) -> Digest {
        digest(&self.text)
    }

    /// The row id in a presented token, if the token is well-formed.
    pub fn row_id(presented: &str) -> Option<&str> {
        let well_formed = presented.len() > Self::SECRET_LENGTH
            && presented.len() <= 128
            && presented.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        well_formed.then(|| &presented[..presented.len() - Self::SECRET_LENGTH])
    }

    /// Whether a presented token matches the stored digest, in constant time.
    pub fn matches(presented: &str, stored: &[u8]) -> bool {
        digest(presented).ct_eq(stored).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    #[test]
    fn a_token_contains_its_row_id_and_matches_only_itself() {
        let token = OneTimeToken::new(&SystemEntropy, "lt_0abc");
        assert_eq!(OneTimeToken::row_id(token.text()), Some("lt_0abc"));
        assert!(OneTimeToken::matches(token.text(), &token.digest()));
        let other = OneTimeToken::new(&SystemEntropy, "lt_0abc");
        assert!(!OneTimeToken::matches(other.text(), &token.digest()));
    }

    #[test]
    fn malformed_tokens_have_no_row() {
        let long = "a".repeat(200);
        for presented in
            ["", "short", "lt_ü23456789012345678901234567890", &long, "lt_0abc'; DROP TABLE x; --0000000000000"]
        {
            assert_eq!(OneTimeToken::row_id(presented), None, "{presented}");
        }
    }

    #[test]
    fn base62_numbers_sort_as_numbers_do() {
        let mut texts: Vec<String> =
            [0, 1, 61, 62, 3_843, 1_700_000_000_000].map(|n| String::from_iter(base62_number::<9>(n))).into();
        let sorted = {
            let mut copy = texts.clone();
            copy.sort();
            copy
        };
        assert_eq!(texts, sorted);
        texts.dedup();
        assert_eq!(texts.len(), 6);
    }

    #[test]
    fn all_characters_occur_about_equally_often() {
        let text = base62(&SystemEntropy, 62_000);
        for letter in ALPHABET {
            let count = text.bytes().filter(|byte| byte == letter).count();
            assert!((800..1200).contains(&count), "{} occurs {count} times", char::from(*letter));
        }
    }
}
