//! Proof Key for Code Exchange (RFC 7636), always with the S256 method (R19).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use switchboard_vault::{Entropy, Secret};
use zeroize::Zeroizing;

/// A verifier and its challenge, for one flow.
#[derive(Debug)]
pub struct PkcePair {
    /// For the token request: 43 characters, base64url of 32 random bytes (section 4.1).
    pub verifier: Secret,
    /// For the authorization request: base64url of the verifier's SHA-256 (section 4.2).
    pub challenge: String,
}

impl PkcePair {
    /// A new pair.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut random = Zeroizing::new([0_u8; 32]);
        entropy.fill(&mut *random);
        let verifier = Secret::new(URL_SAFE_NO_PAD.encode(random.as_slice()));
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose().as_bytes()));
        Self { verifier, challenge }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switchboard_vault::SystemEntropy;

    /// The random octets of RFC 7636 appendix B.
    struct AppendixB;

    impl Entropy for AppendixB {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.copy_from_slice(&[
                116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214,
                191, 240, 91, 88, 5, 88, 83, 132, 141, 121,
            ]);
        }
    }

    #[test]
    fn the_example_of_the_rfc_is_reproduced() {
        let pair = PkcePair::new(&AppendixB);
        assert_eq!(pair.verifier.expose(), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(pair.challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(!format!("{pair:?}").contains("dBjft"));
    }

    #[test]
    fn every_flow_has_its_own_verifier() {
        let [one, other] = [PkcePair::new(&SystemEntropy), PkcePair::new(&SystemEntropy)];
        assert_eq!(one.verifier.expose().len(), 43);
        assert!(one.verifier.expose().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_ne!(one.challenge, other.challenge);
    }
}
