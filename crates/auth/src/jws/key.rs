//! PEM private keys, and error messages for unusable ones.

use ring::error::KeyRejected;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    RsaKeyPair,
};

use crate::pem::Section;

const NO_PEM: &str = "is not PEM text, which begins with -----BEGIN PRIVATE KEY----- and ends with \
                      -----END PRIVATE KEY-----";
const NOT_BASE64: &str = "holds something other than base64 between its first and last line; was it cut?";
const ENCRYPTED: &str = "is encrypted with a passphrase; decrypt it with: openssl pkey -in key.pem -out plain.pem";
const SEC1: &str = "is in SEC1 form (EC PRIVATE KEY); convert it with: openssl pkcs8 -topk8 -nocrypt -in key.pem";
const OPENSSH: &str = "is in OpenSSH form; convert a copy with: ssh-keygen -p -N \"\" -m PKCS8 -f key";
const PUBLIC: &str = "is a public key; the private key is needed";
const CERTIFICATE: &str = "is a certificate; the private key that belongs to it is needed";
const OTHER_LABEL: &str = "is PEM text of something other than a private key";
const OTHER_KIND: &str = "is neither an RSA key nor an EC key of the curve P-256 or P-384";
const UNREADABLE: &str = "cannot be read; writing it anew may help: openssl pkey -in key.pem -out new.pem";
const UNREADABLE_EC: &str = "is an EC key that cannot be read, perhaps for want of its public key; write it anew with: \
                             openssl ec -in key.pem | openssl pkcs8 -topk8 -nocrypt";
const TOO_SMALL: &str = "is an RSA key of less than 2048 bits or of a public exponent below 65537";
const TOO_LARGE: &str = "is an RSA key of more than 4096 bits";
const ODD_LENGTH: &str = "is an RSA key whose length is not a multiple of 512 bits";
const INCONSISTENT: &str = "is an invalid key: its parts do not belong together";

/// A key that can sign. Unlike other secrets it cannot be wiped, so that it should live for one operation
/// only.
pub(super) enum PrivateKey {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
}

impl PrivateKey {
    /// Parses the first private key of a text: PKCS#8 (RFC 5958) or, for RSA, PKCS#1 (RFC 8017 appendix
    /// A.1.2). The error does not quote the text.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let is_private = |section: &Section<'_>| section.label.ends_with("PRIVATE KEY");
        let section = Section::all(text).find(is_private).or_else(|| Section::all(text).next()).ok_or(NO_PEM)?;
        if section.is_encrypted() {
            return Err(ENCRYPTED);
        }
        let read = match section.label {
            "PRIVATE KEY" => Self::from_pkcs8,
            "RSA PRIVATE KEY" => |der: &[u8]| RsaKeyPair::from_der(der).map(Self::Rsa).map_err(reason),
            "ENCRYPTED PRIVATE KEY" => return Err(ENCRYPTED),
            "EC PRIVATE KEY" => return Err(SEC1),
            "OPENSSH PRIVATE KEY" => return Err(OPENSSH),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => return Err(PUBLIC),
            "CERTIFICATE" => return Err(CERTIFICATE),
            _ => return Err(OTHER_LABEL),
        };
        read(&section.decode().ok_or(NOT_BASE64)?)
    }

    /// The public half as `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7; RFC 3279 section 2.3.1, RFC 5480).
    pub(super) fn public_key_info(&self) -> Vec<u8> {
        let (algorithm, key): (&[u8], &[u8]) = match self {
            Self::Rsa(key) => (&RSA_ENCRYPTION, key.public_key().as_ref()),
            Self::P256(key) => (&EC_P256, key.public_key().as_ref()),
            Self::P384(key) => (&EC_P384, key.public_key().as_ref()),
        };
        let bits = [&[0], key].concat();
        der(0x30, &[algorithm.to_vec(), der(0x03, &bits)].concat())
    }

    /// The type is inside the structure: try each until one matches.
    fn from_pkcs8(der: &[u8]) -> Result<Self, &'static str> {
        let ec = |algorithm: &'static EcdsaSigningAlgorithm| {
            // Used for blinding a self-check of the key.
            EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new())
        };
        let is_other_kind = |rejected: &KeyRejected| rejected.to_string() == "WrongAlgorithm";
        match RsaKeyPair::from_pkcs8(der) {
            Err(rejected) if is_other_kind(&rejected) => {}
            read => return read.map(Self::Rsa).map_err(reason),
        }
        match ec(&ECDSA_P256_SHA256_FIXED_SIGNING) {
            Err(rejected) if is_other_kind(&rejected) => {}
            read => return read.map(Self::P256).map_err(ec_reason),
        }
        ec(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::P384).map_err(ec_reason)
    }
}

/// `rsaEncryption` with its NULL, as a DER `AlgorithmIdentifier`.
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// `id-ecPublicKey` with P-256.
const EC_P256: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
/// `id-ecPublicKey` with P-384.
const EC_P384: [u8; 18] =
    [0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// A DER value: tag, length in shortest form, content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|digit| *digit == 0).collect();
    let mut value = vec![tag];
    match (digits.as_slice(), u8::try_from(digits.len())) {
        ([], _) => value.push(0),
        ([short], _) if *short < 0x80 => value.push(*short),
        (long, Ok(count)) => {
            value.push(0x80 | count);
            value.extend(long);
        }
        (_, Err(_)) => {}
    }
    value.extend(content);
    value
}

/// `ring` exposes its reasons only through `Display`; an unknown one becomes the general message.
fn reason(rejected: KeyRejected) -> &'static str {
    match rejected.to_string().as_str() {
        "WrongAlgorithm" => OTHER_KIND,
        "TooSmall" => TOO_SMALL,
        "TooLarge" => TOO_LARGE,
        "PrivateModulusLenNotMultipleOf512Bits" => ODD_LENGTH,
        "InconsistentComponents" | "InvalidComponent" => INCONSISTENT,
        _ => UNREADABLE,
    }
}

/// `ring` requires the public key, which is optional in RFC 5915 section 3.
fn ec_reason(rejected: KeyRejected) -> &'static str {
    match reason(rejected) {
        UNREADABLE => UNREADABLE_EC,
        other => other,
    }
}
