//! The `UsernameToken` header (`X-WSSE`), which proves a password without sending it. It uses the digest of
//! the OASIS Web Services Security `UsernameToken` profile 1.1 section 3.1 in an HTTP header; providers
//! differ in the encoding of nonce and digest.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use http::HeaderValue;
use ring::digest;
use switchboard_vault::{Entropy, Secret};
use zeroize::Zeroizing;

use crate::client::sensitive;
use crate::error::BuildError;
use crate::{SignatureHash, utc};

/// Random bytes of a nonce.
const NONCE: usize = 16;

/// Input of the base64 in `PasswordDigest`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WsseDigest {
    /// The digest's bytes, as in the profile.
    Bytes,
    /// The digest's hexadecimal digits.
    HexDigits,
}

/// Encoding of `Nonce`. The digest always covers the nonce's 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WsseNonce {
    /// The digits.
    Text,
    /// Base64 of the digits, as in the profile.
    Base64,
}

/// The user, and the provider's encodings.
#[derive(Clone, Copy)]
pub struct WsseUser<'a> {
    /// Sent in plain text.
    pub username: &'a str,
    /// The password, or the API secret in its place.
    pub secret: &'a Secret,
    /// Hash function of the digest.
    pub hash: SignatureHash,
    /// Encoding of the digest.
    pub digest: WsseDigest,
    /// Encoding of the nonce.
    pub nonce: WsseNonce,
}

impl std::fmt::Debug for WsseUser<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WsseUser").field("username", &self.username).finish_non_exhaustive()
    }
}

impl WsseUser<'_> {
    /// The header value for one request: `PasswordDigest` is base64 of the hash of nonce, time and secret.
    /// Marked sensitive: it can be replayed until the provider forgets the nonce. `timestamp` is in seconds
    /// since 1970.
    ///
    /// # Errors
    /// [`BuildError::Credential`] for an empty secret, and for a user name that is empty or contains a
    /// quotation mark, a backslash or a control character. [`BuildError::Time`].
    pub fn header(&self, timestamp: i64, entropy: &dyn Entropy) -> Result<HeaderValue, BuildError> {
        let username = self.username;
        if username.is_empty() || username.chars().any(|letter| letter.is_control() || "\"\\".contains(letter)) {
            return Err(BuildError::Credential { name: "username", reason: "is empty or cannot be quoted" });
        }
        if self.secret.is_empty() {
            return Err(BuildError::Credential { name: "secret", reason: "is empty" });
        }
        let created = utc::extended(timestamp)?;
        let mut random = [0_u8; NONCE];
        entropy.fill(&mut random);
        let nonce = HEXLOWER.encode(&random);

        let proof = Zeroizing::new(format!("{nonce}{created}{}", self.secret.expose()));
        let hashed = digest::digest(self.hash.digest(), proof.as_bytes());
        let digest = match self.digest {
            WsseDigest::Bytes => STANDARD.encode(hashed),
            WsseDigest::HexDigits => STANDARD.encode(HEXLOWER.encode(hashed.as_ref())),
        };
        let nonce = match self.nonce {
            WsseNonce::Text => nonce,
            WsseNonce::Base64 => STANDARD.encode(nonce),
        };
        let value = format!(
            "UsernameToken Username=\"{username}\", PasswordDigest=\"{digest}\", Nonce=\"{nonce}\", Created=\"{created}\""
        );
        sensitive("x-wsse", &value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use switchboard_vault::SystemEntropy;

    /// The nonce of the example in "Atom Authentication" (M. Pilgrim, 2003), which made the header known.
    struct Example;

    impl Entropy for Example {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.copy_from_slice(&HEXLOWER.decode(b"d36e316282959a9ed4c89851497a717f").unwrap());
        }
    }

    const CREATED: i64 = 1_071_499_387;

    fn user(secret: &Secret) -> WsseUser<'_> {
        let (hash, digest, nonce) = (SignatureHash::Sha1, WsseDigest::Bytes, WsseNonce::Text);
        WsseUser { username: "bob", secret, hash, digest, nonce }
    }

    fn member<'h>(header: &'h str, name: &str) -> &'h str {
        header.split_once(&format!("{name}=\"")).unwrap().1.split_once('"').unwrap().0
    }

    #[test]
    fn the_known_example_is_reproduced() {
        let secret = Secret::from("taadtaadpstcsm");
        let header = user(&secret).header(CREATED, &Example).unwrap();
        assert_eq!(
            header.to_str().unwrap(),
            "UsernameToken Username=\"bob\", PasswordDigest=\"quR/EWLAV4xLf9Zqyw4pDmfV9OY=\", \
             Nonce=\"d36e316282959a9ed4c89851497a717f\", Created=\"2003-12-15T14:43:07Z\""
        );
        assert!(header.is_sensitive());
        assert!(!format!("{header:?} {:?}", user(&secret)).contains("taad"));
    }

    /// Digests computed with Python's `hashlib` and `base64`.
    #[test]
    fn encodings_of_nonce_and_digest() {
        let secret = Secret::from("taadtaadpstcsm");
        let cases = [
            (SignatureHash::Sha1, WsseDigest::HexDigits, "YWFlNDdmMTE2MmMwNTc4YzRiN2ZkNjZhY2IwZTI5MGU2N2Q1ZjRlNg=="),
            (SignatureHash::Sha256, WsseDigest::Bytes, "k2OXAq5Xn4OwUt/kjMjkhPbhCbj600SFOt5vVgtpTeI="),
            (
                SignatureHash::Sha256,
                WsseDigest::HexDigits,
                "OTM2Mzk3MDJhZTU3OWY4M2IwNTJkZmU0OGNjOGU0ODRmNmUxMDliOGZhZDM0NDg1M2FkZTZmNTYwYjY5NGRlMg==",
            ),
        ];
        for (hash, digest, expected) in cases {
            let user = WsseUser { hash, digest, nonce: WsseNonce::Base64, ..user(&secret) };
            let header = user.header(CREATED, &Example).unwrap();
            assert_eq!(member(header.to_str().unwrap(), "PasswordDigest"), expected);
            let nonce = member(header.to_str().unwrap(), "Nonce");
            assert_eq!(STANDARD.decode(nonce).unwrap(), b"d36e316282959a9ed4c89851497a717f");
        }
    }

    #[test]
    fn values_that_cannot_be_encoded_are_an_error_without_the_value() {
        let (secret, empty) = (Secret::from("canary"), Secret::default());
        for username in ["", "canary\"", "canary\\", "canary\r\nx: y", "canary\0"] {
            let error = WsseUser { username, ..user(&secret) }.header(CREATED, &Example).unwrap_err();
            assert_eq!(error.to_string(), "credential value `username` is empty or cannot be quoted");
        }
        assert!(user(&empty).header(CREATED, &Example).is_err());
        assert_eq!(user(&secret).header(-1, &Example), Err(BuildError::Time));
    }

    proptest! {
        #[test]
        fn the_digest_can_be_made_again_from_the_header(username in "[^\"\\\\\\p{Cc}]{1,20}", secret in ".{1,40}", at in 0..utc::LAST) {
            let secret = Secret::new(secret);
            let user = WsseUser { username: &username, hash: SignatureHash::Sha256, ..user(&secret) };
            let header = user.header(at, &SystemEntropy).unwrap();
            let header = std::str::from_utf8(header.as_bytes()).unwrap();
            let proof = [member(header, "Nonce"), member(header, "Created"), secret.expose()].concat();
            let digest = STANDARD.encode(digest::digest(&digest::SHA256, proof.as_bytes()));
            prop_assert_eq!(member(header, "PasswordDigest"), digest);
            prop_assert_eq!(member(header, "Username"), username.as_str());
            let next = user.header(at, &SystemEntropy).unwrap();
            prop_assert_ne!(next.as_bytes(), header.as_bytes());
        }
    }
}
