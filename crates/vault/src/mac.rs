//! Message authentication codes: proof that this program wrote data that need not be secret.
//!
//! HMAC-SHA256 (RFC 2104). Each purpose has its own key: the HMAC of its name under a root key, which is
//! derived from the master key in the same way. Codes of one purpose reveal nothing about another, and the
//! encryption key is separate from both.

use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::KeyRing;

/// Label for deriving the root key from a master key.
const ROOT: &[u8] = b"switchboard: root of authentication keys, version 1";

/// Bytes of a code.
pub const MAC_LENGTH: usize = 32;

/// An authentication code and the master key it was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mac {
    /// Eight hex digits, as in the key file.
    pub key_id: String,
    /// The code.
    pub code: [u8; MAC_LENGTH],
}

/// Why a code was rejected.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MacError {
    /// Made with a key that is not in the ring.
    #[error("master key {0} is not in the key file")]
    UnknownKey(String),
    /// The code does not match the message.
    #[error("the authentication code does not match")]
    Mismatch,
}

/// The root key for authentication codes of a master key.
pub(crate) fn root(master_key: &[u8; 32]) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(finish(start(master_key, ROOT)))
}

impl KeyRing {
    /// Authenticates a message for one purpose, with the current master key.
    pub fn authenticate(&self, purpose: &str, message: &[u8]) -> Mac {
        let (key_id, root) = self.current_root();
        Mac { key_id, code: finish(start(&key_for(root, purpose), message)) }
    }

    /// Verifies a code in constant time.
    pub fn verify(&self, purpose: &str, message: &[u8], key_id: &str, code: &[u8]) -> Result<(), MacError> {
        let root = self.root_of(key_id).ok_or_else(|| MacError::UnknownKey(key_id.to_owned()))?;
        start(&key_for(root, purpose), message).verify_slice(code).map_err(|_| MacError::Mismatch)
    }
}

fn key_for(root: &[u8; 32], purpose: &str) -> Zeroizing<[u8; 32]> {
    Zeroizing::new(finish(start(root, purpose.as_bytes())))
}

fn start(key: &[u8; 32], message: &[u8]) -> Hmac<Sha256> {
    // HMAC pads a short key with zeros to a block of 64 bytes.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    let mut hmac = Hmac::<Sha256>::new((&*block).into());
    hmac.update(message);
    hmac
}

fn finish(hmac: Hmac<Sha256>) -> [u8; 32] {
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::SystemEntropy;

    #[test]
    fn the_code_is_hmac_sha256() {
        // RFC 4231 section 4.3: a key shorter than a block.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let code = finish(start(&key, b"what do ya want for nothing?"));
        let expected = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7, 0x5a, 0x00,
            0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
        ];
        assert_eq!(code, expected);
    }

    #[test]
    fn a_code_depends_on_key_purpose_and_message() {
        let ring = KeyRing::ephemeral(Arc::new(SystemEntropy));
        let mac = ring.authenticate("audit", b"message");
        assert_eq!(ring.verify("audit", b"message", &mac.key_id, &mac.code), Ok(()));
        for (purpose, message) in [("audi", "message"), ("other", "message"), ("audit", "messagf"), ("audit", "")] {
            let refused = ring.verify(purpose, message.as_bytes(), &mac.key_id, &mac.code);
            assert_eq!(refused, Err(MacError::Mismatch), "{purpose} {message}");
        }
        for code in [&mac.code[..31], &[0; 32], &[]] {
            assert_eq!(ring.verify("audit", b"message", &mac.key_id, code), Err(MacError::Mismatch));
        }
        let other = KeyRing::ephemeral(Arc::new(SystemEntropy));
        let refused = other.verify("audit", b"message", &mac.key_id, &mac.code);
        assert_eq!(refused, Err(MacError::UnknownKey(mac.key_id.clone())));
        let forged = other.authenticate("audit", b"message");
        assert_eq!(ring.verify("audit", b"message", &mac.key_id, &forged.code), Err(MacError::Mismatch));
    }
}
