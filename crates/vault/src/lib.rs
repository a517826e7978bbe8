//! The cryptography of the project: secret types, envelope encryption bound to a row, the key ring,
//! authentication codes, API keys and one-time tokens.
//!
//! The plaintext of a credential exists only as [`Secret`] or [`Secrets`]: both are wiped on drop, print
//! nothing and cannot be serialised. They reach a database only through [`KeyRing::seal`]; the ciphertext
//! opens only with the context that it was bound to (R70).

mod api_key;
mod context;
mod entropy;
mod error;
mod mac;
mod ring;
mod secret;
mod token;

pub use api_key::{ApiKey, ApiKeyError, KeyKind};
pub use context::{SealContext, is_first_layout};
pub use entropy::{Entropy, SystemEntropy};
pub use error::{KeyFileError, OpenError};
pub use mac::{MAC_LENGTH, Mac, MacError};
pub use ring::KeyRing;
pub use secret::{Secret, Secrets};
pub use token::{Digest, OneTimeToken, base62, base62_number, digest, push_base62};
