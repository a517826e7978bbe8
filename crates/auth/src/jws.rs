//! Signed assertions: compact JWS (RFC 7515 section 7.1) with JWT claims (RFC 7519), for grants and client
//! authentication (RFC 7523). It only signs; of foreign tokens it reads the expiry, without verification.

mod key;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::KeyPair as _;
use ring::signature::{
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding,
};
use ring::{digest, hmac, signature};
use serde_json::{Map, Value};
use switchboard_vault::Secret;

use crate::error::BuildError;
use crate::unique_keys::UniqueKeys;
use crate::utc;
use key::PrivateKey;

/// Maximum length of a parsed token in bytes.
const MAX_TOKEN: usize = 64 * 1024;

/// A signature algorithm by its JWA name (RFC 7518 section 3.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum JwsAlgorithm {
    /// HMAC with SHA-256 under a shared secret.
    Hs256,
    /// HMAC with SHA-384 under a shared secret.
    Hs384,
    /// HMAC with SHA-512 under a shared secret.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
}

impl JwsAlgorithm {
    /// Every supported signature algorithm.
    pub const ALL: [Self; 11] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
    ];

    /// The value of `alg`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
        }
    }

    /// The algorithm with this exact name (RFC 7515 section 4.1.1).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Checks that an entered key can sign with this algorithm: any non-empty text for HMAC, otherwise a PEM
    /// private key of the right type.
    ///
    /// # Errors
    /// The reason, without the key.
    pub fn check_key(self, key: &str) -> Result<(), &'static str> {
        match self.kind() {
            Kind::Hmac(_) if key.is_empty() => Err("is empty"),
            Kind::Hmac(_) => Ok(()),
            kind => {
                let key = PrivateKey::parse(key)?;
                if kind.takes(&key) { Ok(()) } else { Err(kind.expected_key()) }
            }
        }
    }

    fn kind(self) -> Kind {
        match self {
            Self::Hs256 => Kind::Hmac(hmac::HMAC_SHA256),
            Self::Hs384 => Kind::Hmac(hmac::HMAC_SHA384),
            Self::Hs512 => Kind::Hmac(hmac::HMAC_SHA512),
            Self::Rs256 => Kind::Rsa(&RSA_PKCS1_SHA256),
            Self::Rs384 => Kind::Rsa(&RSA_PKCS1_SHA384),
            Self::Rs512 => Kind::Rsa(&RSA_PKCS1_SHA512),
            Self::Ps256 => Kind::Rsa(&RSA_PSS_SHA256),
            Self::Ps384 => Kind::Rsa(&RSA_PSS_SHA384),
            Self::Ps512 => Kind::Rsa(&RSA_PSS_SHA512),
            Self::Es256 => Kind::P256,
            Self::Es384 => Kind::P384,
        }
    }

    /// Signs bytes with a key given as text.
    fn sign(self, key: &str, message: &[u8]) -> Result<Vec<u8>, BuildError> {
        let kind = self.kind();
        if let Kind::Hmac(hash) = kind {
            self.check_key(key).map_err(|reason| BuildError::Key { part: "signing secret", reason })?;
            return Ok(hmac::sign(&hmac::Key::new(hash, key.as_bytes()), message).as_ref().to_vec());
        }
        let refuse = |reason| BuildError::Key { part: "private key", reason };
        match (kind, PrivateKey::parse(key).map_err(refuse)?) {
            (Kind::Rsa(padding), PrivateKey::Rsa(key)) => sign_rsa(&key, padding, message),
            (Kind::P256, PrivateKey::P256(key)) | (Kind::P384, PrivateKey::P384(key)) => sign_ecdsa(&key, message),
            (kind, _) => Err(kind.expected_key()),
        }
        .map_err(refuse)
    }
}

impl fmt::Display for JwsAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The signing primitive of an algorithm.
#[derive(Clone, Copy)]
enum Kind {
    Hmac(hmac::Algorithm),
    Rsa(&'static dyn RsaEncoding),
    P256,
    P384,
}

impl Kind {
    fn takes(self, key: &PrivateKey) -> bool {
        matches!(
            (self, key),
            (Self::Rsa(_), PrivateKey::Rsa(_)) | (Self::P256, PrivateKey::P256(_)) | (Self::P384, PrivateKey::P384(_))
        )
    }

    /// Error message for a key of another type.
    fn expected_key(self) -> &'static str {
        match self {
            Self::Hmac(_) => "is not a shared secret",
            Self::Rsa(_) => "is not an RSA key, which this algorithm needs",
            Self::P256 => "is not an EC key of the curve P-256, which this algorithm needs",
            Self::P384 => "is not an EC key of the curve P-384, which this algorithm needs",
        }
    }
}

/// Uses the system's randomness instead of a passed-in source: it blinds the private operation, salts PSS and
/// generates ECDSA nonces, where a repeatable source would reveal the key. Tests verify such signatures
/// instead of comparing them.
fn sign_rsa(
    key: &signature::RsaKeyPair,
    padding: &'static dyn RsaEncoding,
    message: &[u8],
) -> Result<Vec<u8>, &'static str> {
    let mut signed = vec![0; key.public().modulus_len()];
    key.sign(padding, &SystemRandom::new(), message, &mut signed).map_err(|_| "cannot sign")?;
    Ok(signed)
}

/// As two numbers of fixed length (RFC 7518 section 3.4). For the randomness see [`sign_rsa`].
fn sign_ecdsa(key: &signature::EcdsaKeyPair, message: &[u8]) -> Result<Vec<u8>, &'static str> {
    let signed = key.sign(&SystemRandom::new(), message).map_err(|_| "cannot sign")?;
    Ok(signed.as_ref().to_vec())
}

/// Creates a signed JWT in compact form. Sets `alg`, and `typ` to `JWT` unless the header has another (RFC
/// 8725 section 3.11). `key` is the shared secret for HMAC, otherwise a PEM private key: PKCS#8, or PKCS#1
/// for RSA, with any line ends.
///
/// # Errors
/// [`BuildError::Key`] for a key that is invalid or not of the algorithm's type.
pub fn sign_jwt(
    algorithm: JwsAlgorithm,
    key: &Secret,
    header: &Map<String, Value>,
    claims: &Map<String, Value>,
) -> Result<Secret, BuildError> {
    let mut header = header.clone();
    header.insert("alg".to_owned(), algorithm.name().into());
    header.entry("typ").or_insert("JWT".into());
    let mut token = encode(&header)?;
    token.push('.');
    token.push_str(&encode(claims)?);
    let signed = algorithm.sign(key.expose(), token.as_bytes())?;
    token.push('.');
    // Reserve first: reallocating a signed token would leave a copy in memory.
    token.reserve(signed.len().div_ceil(3) * 4);
    URL_SAFE_NO_PAD.encode_string(&signed, &mut token);
    Ok(Secret::new(token))
}

fn encode(object: &Map<String, Value>) -> Result<String, BuildError> {
    serde_json::to_vec(object).map(|json| URL_SAFE_NO_PAD.encode(json)).map_err(|_| BuildError::Body)
}

/// The SHA-256 of the public key (`SubjectPublicKeyInfo`, RFC 5280 section 4.1.2.7), in base64.
///
/// # Errors
/// The reason.
pub(crate) fn key_fingerprint(text: &str) -> Result<String, &'static str> {
    let spki = PrivateKey::parse(text)?.public_key_info();
    Ok(STANDARD.encode(digest::digest(&digest::SHA256, &spki)))
}

/// Checks an entered text for a private key that can sign: RSA of 2048 to 4096 bits, or EC on P-256 or P-384,
/// in PEM as for [`sign_jwt`].
///
/// # Errors
/// The reason and, if possible, how to fix it; without the key.
pub fn check_private_key(text: &str) -> Result<(), &'static str> {
    PrivateKey::parse(text).map(|_| ())
}

/// The `exp` claim (RFC 7519 section 4.1.4) of a token that may be a JWT, in seconds since 1970. Not
/// verified: use it only as a hint for refreshing. `None` if the token is not a signed JWT, or if the time is
/// outside the years 1970 to 9999.
pub fn unverified_expiry(jwt: &str) -> Option<i64> {
    let claims = unverified_claims(jwt)?;
    let expiry = claims.get("exp")?;
    // A NumericDate may have a fraction (section 2).
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and the range is checked below")]
    let seconds = expiry.as_i64().or_else(|| expiry.as_f64().map(|seconds| seconds.floor() as i64))?;
    // A larger number is not in seconds.
    (0..=utc::LAST).contains(&seconds).then_some(seconds)
}

/// The claims of a token that may be a JWT. Not verified.
pub(crate) fn unverified_claims(jwt: &str) -> Option<Value> {
    if jwt.len() > MAX_TOKEN {
        return None;
    }
    let mut parts = jwt.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    // Five parts form an encrypted token (RFC 7516 section 3.1).
    if parts.next().is_some() {
        return None;
    }
    let json = URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?;
    let UniqueKeys(claims) = serde_json::from_slice(&json).ok()?;
    Some(claims)
}

/// The uncompressed public point of a P-256 key.
pub(crate) fn p256_point(key: &Secret) -> Result<Vec<u8>, BuildError> {
    let refuse = |reason| BuildError::Key { part: "proof key", reason };
    match PrivateKey::parse(key.expose()).map_err(refuse)? {
        PrivateKey::P256(key) => Ok(key.public_key().as_ref().to_vec()),
        _ => Err(refuse(Kind::P256.expected_key())),
    }
}

#[cfg(test)]
mod tests;
