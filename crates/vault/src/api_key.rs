//! API keys: a prefix for the kind of owner · 27 random base62 characters (160 bits) · 6 characters of
//! checksum.
//!
//! The checksum distinguishes a typing error or a scanner's false positive from a wrong key without a
//! database query (R58). Only the SHA-256 is stored (R59): the key is random, so that a slow password hash
//! would add no protection and cost every request.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::Entropy;
use crate::token::{Digest, base62, base62_number, digest};

const RANDOM: usize = 27;
const CHECKSUM: usize = 6;

/// Kind of owner, given by the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `ak_…`: valid for one project.
    Project,
    /// `uak_…`: of a person; valid for every project of the organisation.
    User,
    /// `oak_…`: manages projects; valid for none.
    Organization,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Project, Self::User, Self::Organization];

    /// The prefix, including its underscore.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Project => "ak_",
            Self::User => "uak_",
            Self::Organization => "oak_",
        }
    }
}

/// A well-formed API key in memory. Wiped on drop; `Debug` shows only its display prefix.
pub struct ApiKey {
    kind: KeyKind,
    text: Zeroizing<String>,
}

/// The text is not an API key.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not an API key")]
pub struct ApiKeyError;

impl ApiKey {
    /// Generates a project key.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        Self::generate_of(KeyKind::Project, entropy)
    }

    /// Generates a key of a kind.
    pub fn generate_of(kind: KeyKind, entropy: &dyn Entropy) -> Self {
        let random = Zeroizing::new(base62(entropy, RANDOM));
        let text = format!("{}{}{}", kind.prefix(), *random, String::from_iter(checksum(&random)));
        Self { kind, text: Zeroizing::new(text) }
    }

    /// Checks format and checksum, offline.
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let split = KeyKind::ALL.iter().find_map(|kind| Some((*kind, text.strip_prefix(kind.prefix())?)));
        let (kind, rest) = split.ok_or(ApiKeyError)?;
        if rest.len() != RANDOM + CHECKSUM || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ApiKeyError);
        }
        let (random, sum) = rest.split_at(RANDOM);
        if !sum.chars().eq(checksum(random)) {
            return Err(ApiKeyError);
        }
        Ok(Self { kind, text: Zeroizing::new(text.to_owned()) })
    }

    /// Kind of owner.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The whole key, to be displayed once.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The digest for the database.
    pub fn digest(&self) -> Digest {
        digest(&self.text)
    }

    /// The prefix and 7 characters, to recognise a key in a list.
    pub fn display_prefix(&self) -> &str {
        &self.text[..self.kind.prefix().len() + 7]
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKey({}…)", self.display_prefix())
    }
}

fn checksum(random: &str) -> [char; CHECKSUM] {
    base62_number(u64::from(crc32fast::hash(random.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    #[test]
    fn a_generated_key_parses_and_any_changed_character_does_not() {
        for kind in KeyKind::ALL {
            let key = ApiKey::generate_of(kind, &SystemEntropy);
            let parsed = ApiKey::parse(key.expose()).unwrap();
            assert_eq!((parsed.digest(), parsed.kind()), (key.digest(), kind));
            for position in kind.prefix().len()..key.expose().len() {
                let mut bytes = key.expose().as_bytes().to_vec();
                bytes[position] = if bytes[position] == b'x' { b'y' } else { b'x' };
                let changed = String::from_utf8(bytes).unwrap();
                assert_eq!(ApiKey::parse(&changed).unwrap_err(), ApiKeyError, "position {position}");
            }
        }
    }

    #[test]
    fn debug_output_contains_only_the_prefix() {
        let key = ApiKey::generate(&SystemEntropy);
        let printed = format!("{key:?}");
        assert!(!printed.contains(&key.expose()[12..]), "{printed}");
    }
}
