//! Shared-secret signatures over provider-defined text: creating those of requests, verifying those of
//! callback queries. HMAC is RFC 2104.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use ring::{digest, hmac};
use switchboard_vault::Secret;

use crate::error::{BuildError, expand};
use crate::{Variables, form};

/// The hash function of a signature or digest.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignatureHash {
    /// For providers that support nothing newer. In HMAC, and over a fresh nonce, its collisions do no harm
    /// (RFC 6194 section 3.3).
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl SignatureHash {
    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    pub(crate) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

/// Encoding of a signature.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SignatureEncoding {
    /// Lower-case hexadecimal digits.
    Hex,
    /// Base64 with padding (RFC 4648 section 4).
    Base64,
}

/// HMAC of an expanded template with a secret, used as it is. The variables are what a provider signs: time,
/// method, path, body. The signature is a secret: it allows repeating the request.
///
/// # Errors
/// [`BuildError::Template`] for a missing value, [`BuildError::Key`] for an empty secret, with which anyone
/// could sign.
pub fn hmac_signature(
    hash: SignatureHash,
    encoding: SignatureEncoding,
    secret: &Secret,
    template: &str,
    variables: Variables<'_>,
) -> Result<Secret, BuildError> {
    if secret.is_empty() {
        return Err(BuildError::Key { part: "signing secret", reason: "is empty" });
    }
    let message = Secret::new(expand("signed text", template, variables)?);
    let key = hmac::Key::new(hash.hmac(), secret.expose().as_bytes());
    let tag = hmac::sign(&key, message.expose().as_bytes());
    Ok(Secret::new(match encoding {
        SignatureEncoding::Hex => HEXLOWER.encode(tag.as_ref()),
        SignatureEncoding::Base64 => STANDARD.encode(tag),
    }))
}

/// Verifies the signature of a callback query with the client's secret: `parameter` is the hexadecimal
/// HMAC-SHA256 of all other parameters, sorted by name and joined as `name=value` with `&`. Names and values
/// are decoded; `%` and `&` are escaped everywhere and `=` in names, as first published, so that different
/// queries give different texts. Compared in constant time.
///
/// Returns false for an ambiguous query (a repeated name, invalid percent-encoding) and for an empty secret,
/// with which anyone could sign.
pub fn verify_query_hmac(query: &str, parameter: &str, secret: &Secret) -> bool {
    if secret.is_empty() {
        return false;
    }
    let Some((message, tag)) = signed_query(query, parameter) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    hmac::verify(&key, message.as_bytes(), &tag).is_ok()
}

/// The signed text of a query, and the signature.
fn signed_query(query: &str, parameter: &str) -> Option<(String, Vec<u8>)> {
    let mut pairs = Vec::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (name, value) = form::split(piece);
        pairs.push((form::decode(name)?, form::decode(value)?));
    }
    pairs.sort_unstable();
    if pairs.windows(2).any(|neighbours| neighbours[0].0 == neighbours[1].0) {
        return None;
    }
    let at = pairs.iter().position(|(name, _)| name == parameter)?;
    let (_, digits) = pairs.remove(at);
    let escaped = |text: &str| text.replace('%', "%25").replace('&', "%26");
    let joined: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name).replace('=', "%3D"), escaped(value))).collect();
    Some((joined.join("&"), HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::no_variables;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The example of the scheme's documentation, with the secret `hush`.
    const DOCUMENTED: &str = "code=0907a61c0c8d55e99db179b68161bc00\
        &hmac=700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf\
        &shop=some-shop.myshopify.com&state=0.6784241404160823&timestamp=1337178173";

    #[test]
    fn hexadecimal_digits_are_read_in_either_case_and_nothing_else_is() {
        let read = |text: &str| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        assert_eq!(read("00fFaB"), Some(vec![0, 255, 171]));
        assert_eq!(read(""), Some(vec![]));
        for text in ["0", "0g", "+1", " 1", "ü", "0x00"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    fn sign(hash: SignatureHash, encoding: SignatureEncoding, secret: &str, message: &str) -> Secret {
        let variables = |name: &str| (name == "message").then(|| message.to_owned());
        hmac_signature(hash, encoding, &Secret::from(secret), "{message}", &variables).unwrap()
    }

    /// RFC 2202 section 3 and RFC 4231 section 4.3, test case 2 of both.
    #[test]
    fn the_examples_of_the_rfcs_are_reproduced() {
        let (key, message) = ("Jefe", "what do ya want for nothing?");
        for (hash, expected) in [
            (SignatureHash::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (SignatureHash::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (
                SignatureHash::Sha512,
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(sign(hash, SignatureEncoding::Hex, key, message).expose(), expected);
            let base64 = STANDARD.encode(HEXLOWER.decode(expected.as_bytes()).unwrap());
            assert_eq!(sign(hash, SignatureEncoding::Base64, key, message).expose(), base64);
        }
    }

    #[test]
    fn a_request_is_never_signed_without_a_secret_or_in_part() {
        let sign = |secret: &str, template| {
            let secret = Secret::from(secret);
            let (hash, encoding) = (SignatureHash::Sha256, SignatureEncoding::Hex);
            hmac_signature(hash, encoding, &secret, template, &no_variables).unwrap_err().to_string()
        };
        assert_eq!(sign("", "text"), "the signing secret is empty");
        assert_eq!(sign("canary", "{body}"), "cannot expand the signed text");
    }

    #[test]
    fn the_documented_callback_is_verified() {
        let secret = Secret::from("hush");
        assert!(verify_query_hmac(DOCUMENTED, "hmac", &secret));
        let reversed: Vec<&str> = DOCUMENTED.rsplit('&').collect();
        for query in [
            reversed.join("&"),
            DOCUMENTED.replace("700e2dad", "700E2DAD"),
            DOCUMENTED.replace("some-shop", "%73ome%2Dshop"),
            format!("&{DOCUMENTED}&"),
        ] {
            assert!(verify_query_hmac(&query, "hmac", &secret), "{query}");
        }
    }

    #[test]
    fn any_other_callback_is_not() {
        let secret = Secret::from("hush");
        let changed = [
            DOCUMENTED.replace("code=0", "code=1"),
            DOCUMENTED.replace("&timestamp=1337178173", ""),
            DOCUMENTED.replace("hmac=700e", "hmac=700f"),
            DOCUMENTED.replace("fc4bf", "fc4"),
            DOCUMENTED.replace("fc4bf", ""),
            DOCUMENTED.replace("hmac=", "hmac=x"),
            DOCUMENTED.replace("hmac=", "mac="),
            DOCUMENTED.replace("hmac=700e", "hmac=&x=700e"),
            DOCUMENTED.replace("code=0907", "code=%zz"),
            format!("{DOCUMENTED}&code=0907a61c0c8d55e99db179b68161bc00"),
            format!("{DOCUMENTED}&hmac=700e2dadb827fcc8609e9d5ce208b2e9cdaab9df07390d2cbca10d7c328fc4bf"),
            // Without escaping this would give the same text.
            DOCUMENTED.replace("&state", "%26state"),
            DOCUMENTED.replace("code=0", "code%3D0"),
            String::new(),
            "hmac=".to_owned(),
        ];
        for query in changed {
            assert!(!verify_query_hmac(&query, "hmac", &secret), "{query}");
        }
        assert!(!verify_query_hmac(DOCUMENTED, "hmac", &Secret::from("hash")));
        assert!(!verify_query_hmac(DOCUMENTED, "signature", &secret));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b""), b"a=1");
        assert!(!verify_query_hmac(&format!("a=1&hmac={}", HEXLOWER.encode(tag.as_ref())), "hmac", &Secret::default()));
    }

    fn signed(pairs: &BTreeMap<String, String>, secret: &str) -> String {
        let escaped = |text: &str| text.replace('%', "%25").replace('&', "%26");
        let joined: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", escaped(name).replace('=', "%3D"), escaped(value)))
            .collect();
        let tag = sign(SignatureHash::Sha256, SignatureEncoding::Hex, secret, &joined.join("&"));
        let all = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain([("hmac", tag.expose())]);
        form::encode_pairs(all)
    }

    proptest! {
        #[test]
        fn a_signature_verifies_until_anything_changes(
            pairs in proptest::collection::btree_map("[^h]{0,5}", ".{0,9}", 0..6),
            secret in ".{1,40}",
            name in "[^h]{0,5}",
            value in ".{0,9}",
        ) {
            let query = signed(&pairs, &secret);
            prop_assert!(verify_query_hmac(&query, "hmac", &Secret::new(secret.clone())));
            prop_assert!(!verify_query_hmac(&query, "hmac", &Secret::new(secret.clone() + "x")));
            let mut other = pairs.clone();
            other.insert(name, value);
            let tag = query.rsplit_once("hmac=").unwrap().1;
            let unsigned = signed(&other, "x");
            let forged = format!("{}hmac={tag}", unsigned.rsplit_once("hmac=").unwrap().0);
            prop_assert_eq!(verify_query_hmac(&forged, "hmac", &Secret::new(secret)), other == pairs);
        }

        #[test]
        fn no_query_makes_it_panic_or_agree(query in any::<String>(), parameter in any::<String>()) {
            prop_assert!(!verify_query_hmac(&query, &parameter, &Secret::from("s")));
            let query = format!("hmac={query}");
            prop_assert!(!verify_query_hmac(&query, "hmac", &Secret::from("s")));
        }
    }
}
