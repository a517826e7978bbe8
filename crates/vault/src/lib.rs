//! The only ciphers of the project: secret types, envelope encryption bound to a row, the key
//! ring, API keys and one-time tokens.
//!
//! Plaintext of a credential exists only as [`Secret`] or [`Secrets`]: both are wiped when
//! dropped, print nothing and cannot be serialised. They reach a database only through
//! [`KeyRing::seal`], whose ciphertext opens at the row it was sealed for and nowhere else (R70).

mod api_key;
mod entropy;
mod ring;
mod secret;
mod token;

pub use api_key::{ApiKey, ApiKeyError, KeyKind};
pub use entropy::{Entropy, SystemEntropy};
pub use ring::{KeyFileError, KeyRing, OpenError, Place};
pub use secret::{Secret, Secrets};
pub use token::{Digest, OneTimeToken, base62, base62_number, digest};
