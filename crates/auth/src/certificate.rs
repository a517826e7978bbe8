//! Certificate thumbprints, with which the header of an assertion identifies the signing key (RFC 7515
//! sections 4.1.7 and 4.1.8).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256};
use zeroize::Zeroizing;

use crate::error::BuildError;
use crate::pem::Section;

/// The header parameter `x5t#S256`: base64url of the SHA-256 of the first certificate's DER.
///
/// # Errors
/// [`BuildError::Key`] if the text contains no certificate.
pub fn x5t_s256(pem_certificate: &str) -> Result<String, BuildError> {
    thumbprint(&SHA256, pem_certificate)
}

/// The header parameter `x5t`, the same with SHA-1. It only selects one of a client's certificates, so that
/// security does not depend on SHA-1.
///
/// # Errors
/// [`BuildError::Key`] if the text contains no certificate.
pub fn x5t(pem_certificate: &str) -> Result<String, BuildError> {
    thumbprint(&SHA1_FOR_LEGACY_USE_ONLY, pem_certificate)
}

/// Checks an entered text for a PEM certificate.
///
/// # Errors
/// The reason, without the text: it may be a private key that was pasted into the wrong field.
pub fn check_certificate(text: &str) -> Result<(), &'static str> {
    first(text).map(|_| ())
}

fn thumbprint(algorithm: &'static digest::Algorithm, pem: &str) -> Result<String, BuildError> {
    let der = first(pem).map_err(|reason| BuildError::Key { part: "certificate", reason })?;
    Ok(URL_SAFE_NO_PAD.encode(digest::digest(algorithm, &der)))
}

fn first(text: &str) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    let section = Section::all(text)
        .find(|section| section.label == "CERTIFICATE")
        .ok_or("is not PEM text that begins with -----BEGIN CERTIFICATE-----")?;
    let der = section.decode().filter(|der| is_one_sequence(der));
    der.ok_or("is not a whole certificate; was it cut?")
}

/// Whether this is one complete DER SEQUENCE (X.690 section 8.1.3), and so not truncated.
fn is_one_sequence(der: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = der else { return false };
    let digits = usize::from(first & 0x7f);
    if first & 0x80 == 0 {
        return digits == rest.len();
    }
    if digits > 4 || rest.len() < digits {
        return false;
    }
    let (length, content) = rest.split_at(digits);
    length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)) == content.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::jws;
    use proptest::prelude::*;

    #[test]
    fn thumbprints_are_those_of_another_implementation() {
        let fixture = &jws()["certificate"];
        let pem = fixture["pem"].as_str().unwrap();
        let key = jws()["keys"]["rsa_pkcs8"].as_str().unwrap().to_owned();
        for text in [pem.to_owned(), pem.replace('\n', "\\n"), format!("{key}{pem}{pem}")] {
            assert_eq!(x5t(&text).as_deref(), Ok(fixture["x5t"].as_str().unwrap()));
            assert_eq!(x5t_s256(&text).as_deref(), Ok(fixture["x5t_s256"].as_str().unwrap()));
            assert_eq!(check_certificate(&text), Ok(()));
        }
    }

    #[test]
    fn invalid_certificates_are_rejected() {
        let fixtures = jws();
        let pem = fixtures["certificate"]["pem"].as_str().unwrap();
        let lines: Vec<&str> = pem.lines().collect();
        let truncated = [&lines[..4], &lines[6..]].concat().join("\n");
        let key = fixtures["keys"]["rsa_pkcs8"].as_str().unwrap();
        for text in ["", "canary", &truncated, key, "-----BEGIN CERTIFICATE-----canary-----END CERTIFICATE-----"] {
            let error = x5t(text).unwrap_err().to_string();
            assert!(error.starts_with("the certificate is not "), "{error}");
            assert!(!error.contains("canary") && !error.contains("MII"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            let _ = is_one_sequence(&bytes);
            let _ = is_one_sequence(&[&[0x30], bytes.as_slice()].concat());
        }
    }
}
