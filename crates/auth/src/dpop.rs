//! Demonstrating proof of possession (RFC 9449): a token is bound to a key of its account, and each request
//! carries a fresh proof, so that a stolen token is useless.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use serde_json::{Map, Value, json};
use switchboard_vault::Secret;
use url::Url;
use zeroize::Zeroizing;

use crate::client::sensitive;
use crate::error::BuildError;
use crate::jws::p256_point;
use crate::{JwsAlgorithm, Moment, sign_jwt};

/// Header of the proof.
const DPOP: HeaderName = HeaderName::from_static("dpop");
/// Header with the server's nonce for the next proof (section 8).
const DPOP_NONCE: &str = "dpop-nonce";
/// Maximum length of a nonce in bytes.
const MAX_NONCE: usize = 1024;

/// Generates a P-256 key for one account, as PKCS#8 in PEM.
///
/// # Errors
/// [`BuildError::Key`] if the system has no randomness.
pub fn new_dpop_key() -> Result<Secret, BuildError> {
    let failed = |_| BuildError::Key { part: "proof key", reason: "cannot be made" };
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    let base64 = Zeroizing::new(STANDARD.encode(document.map_err(failed)?.as_ref()));
    Ok(Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", *base64)))
}

/// Adds a proof to a request, and the access token, if any, with the `DPoP` scheme (section 7.1). `nonce` is
/// the server's latest.
///
/// # Errors
/// [`BuildError`].
pub fn prove_possession(
    key: &Secret,
    method: &Method,
    url: &Url,
    headers: &mut HeaderMap,
    access_token: Option<&str>,
    nonce: Option<&str>,
    moment: Moment<'_>,
) -> Result<(), BuildError> {
    let proof = proof(key, method, url, access_token, nonce, moment)?;
    if let Some(token) = access_token {
        let value = Zeroizing::new(format!("DPoP {token}"));
        headers.insert(AUTHORIZATION, sensitive("authorization", &value)?);
    }
    headers.insert(DPOP, sensitive("dpop", proof.expose())?);
    Ok(())
}

/// The thumbprint of the key (RFC 7638), for the parameter `dpop_jkt` of an authorization request (RFC 9449
/// section 10), which binds the code to the key.
///
/// # Errors
/// [`BuildError::Key`].
pub fn dpop_thumbprint(key: &Secret) -> Result<String, BuildError> {
    let (x, y) = coordinates(key)?;
    // The members in this order, without whitespace.
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    Ok(URL_SAFE_NO_PAD.encode(switchboard_vault::digest(&members)))
}

/// The coordinates of the public key, in base64url.
fn coordinates(key: &Secret) -> Result<(String, String), BuildError> {
    // Uncompressed point: the byte 4, then two 32-byte numbers.
    let point = p256_point(key)?;
    let (x, y) = point.get(1..).and_then(|both| both.split_at_checked(32)).ok_or(BuildError::Body)?;
    Ok((URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y)))
}

fn proof(
    key: &Secret,
    method: &Method,
    url: &Url,
    access_token: Option<&str>,
    nonce: Option<&str>,
    moment: Moment<'_>,
) -> Result<Secret, BuildError> {
    let (x, y) = coordinates(key)?;
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
    let header = Map::from_iter([("typ".to_owned(), "dpop+jwt".into()), ("jwk".to_owned(), jwk)]);
    // Section 4.2: without query and fragment.
    let mut target = url.clone();
    target.set_query(None);
    target.set_fragment(None);
    let mut claims = Map::from_iter([
        ("jti".to_owned(), moment.unique.into()),
        ("htm".to_owned(), method.as_str().into()),
        ("htu".to_owned(), target.as_str().into()),
        ("iat".to_owned(), moment.now.into()),
    ]);
    if let Some(token) = access_token {
        claims.insert("ath".to_owned(), URL_SAFE_NO_PAD.encode(switchboard_vault::digest(token)).into());
    }
    if let Some(nonce) = nonce {
        claims.insert("nonce".to_owned(), nonce.into());
    }
    sign_jwt(JwsAlgorithm::Es256, key, &header, &claims)
}

/// The nonce that a server requires from now on.
pub fn dpop_nonce(headers: &HeaderMap) -> Option<&str> {
    let nonce = headers.get(DPOP_NONCE)?.to_str().ok()?;
    (1..=MAX_NONCE).contains(&nonce.len()).then_some(nonce)
}

/// Whether a token endpoint rejects a request because of a missing nonce (section 8): status 400 or 401, with
/// the error code in the body or the challenge.
pub fn is_dpop_nonce_error(status: u16, headers: &HeaderMap, body: &[u8]) -> bool {
    let says_so = || {
        let document: Option<Value> = serde_json::from_slice(body).ok();
        document.is_some_and(|document| document.get("error").and_then(Value::as_str) == Some("use_dpop_nonce"))
    };
    matches!(status, 400 | 401) && dpop_nonce(headers).is_some() && (requires_dpop_nonce(headers) || says_so())
}

/// Whether an API rejects a request because of a missing nonce (section 9). It was not processed.
pub fn requires_dpop_nonce(headers: &HeaderMap) -> bool {
    let says_so = |value: &HeaderValue| value.to_str().is_ok_and(|text| text.contains("use_dpop_nonce"));
    headers.get_all(WWW_AUTHENTICATE).iter().any(says_so) && dpop_nonce(headers).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    const MOMENT: Moment<'_> = Moment { now: 1_000, unique: "u-1" };

    fn part(token: &str, number: usize) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
    }

    #[test]
    fn a_proof_is_for_one_request_and_verifies_with_its_own_key() {
        let key = new_dpop_key().unwrap();
        let url = Url::parse("https://p.example/api/me?a=b#c").unwrap();
        let mut headers = HeaderMap::new();
        prove_possession(&key, &Method::GET, &url, &mut headers, Some("at-1"), Some("n-1"), MOMENT).unwrap();
        assert_eq!(headers[AUTHORIZATION], "DPoP at-1");
        assert!(headers[AUTHORIZATION].is_sensitive() && headers[DPOP].is_sensitive());
        let proof = headers[DPOP].to_str().unwrap();
        let (header, claims) = (part(proof, 0), part(proof, 1));
        assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
        assert!(header["jwk"].get("d").is_none(), "the private part stays here");
        let expected = json!({ "jti": "u-1", "htm": "GET", "htu": "https://p.example/api/me", "iat": 1000, "nonce": "n-1",
            "ath": URL_SAFE_NO_PAD.encode(switchboard_vault::digest("at-1")) });
        assert_eq!(claims, expected);

        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str().unwrap()).unwrap();
        let point = [vec![4], bytes("x"), bytes("y")].concat();
        let (message, signature) = proof.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), &signature).unwrap();
    }

    #[test]
    fn a_token_request_has_a_proof_and_no_token() {
        let key = new_dpop_key().unwrap();
        let url = Url::parse("https://p.example/token").unwrap();
        let mut headers = HeaderMap::new();
        prove_possession(&key, &Method::POST, &url, &mut headers, None, None, MOMENT).unwrap();
        assert!(!headers.contains_key(AUTHORIZATION));
        let claims = part(headers[DPOP].to_str().unwrap(), 1);
        assert!(claims.get("ath").is_none() && claims.get("nonce").is_none(), "{claims}");
        let refused = prove_possession(&Secret::from("x"), &Method::GET, &url, &mut headers, None, None, MOMENT);
        assert!(matches!(refused, Err(BuildError::Key { .. })));
    }

    /// The thumbprint uses the member order of RFC 7638 section 3 and is stable.
    #[test]
    fn a_thumbprint_names_the_key_of_the_proofs() {
        let key = new_dpop_key().unwrap();
        let url = Url::parse("https://p.example/par").unwrap();
        let mut headers = HeaderMap::new();
        prove_possession(&key, &Method::POST, &url, &mut headers, None, None, MOMENT).unwrap();
        let jwk = &part(headers[DPOP].to_str().unwrap(), 0)["jwk"];
        // serde_json sorts members by name.
        let members = serde_json::to_string(jwk).unwrap();
        assert!(members.starts_with(r#"{"crv":"P-256","kty":"EC","x":""#), "{members}");
        let expected = URL_SAFE_NO_PAD.encode(switchboard_vault::digest(&members));
        assert_eq!(dpop_thumbprint(&key).unwrap(), expected);
        assert_ne!(dpop_thumbprint(&new_dpop_key().unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_missing_nonce_is_reported_in_the_body_or_the_challenge() {
        let body = br#"{"error":"use_dpop_nonce"}"#;
        let mut headers = HeaderMap::new();
        assert!(!is_dpop_nonce_error(400, &headers, body), "it gives none");
        headers.insert(DPOP_NONCE, "n-1".parse().unwrap());
        assert!(is_dpop_nonce_error(400, &headers, body) && is_dpop_nonce_error(401, &headers, body));
        for (status, body) in [(200, &body[..]), (400, b"{}"), (400, br#"{"error":"invalid_request"}"#), (503, body)] {
            assert!(!is_dpop_nonce_error(status, &headers, body), "{status}");
        }
        headers.insert(WWW_AUTHENTICATE, "DPoP error=\"use_dpop_nonce\"".parse().unwrap());
        assert!(is_dpop_nonce_error(401, &headers, b""));
    }

    #[test]
    fn the_server_sets_the_nonce() {
        let mut headers = HeaderMap::new();
        assert_eq!((dpop_nonce(&headers), requires_dpop_nonce(&headers)), (None, false));
        headers.insert(WWW_AUTHENTICATE, "DPoP error=\"use_dpop_nonce\"".parse().unwrap());
        assert!(!requires_dpop_nonce(&headers), "it gives none");
        headers.insert(DPOP_NONCE, "n-1".parse().unwrap());
        assert_eq!((dpop_nonce(&headers), requires_dpop_nonce(&headers)), (Some("n-1"), true));
        headers.insert(DPOP_NONCE, "n".repeat(MAX_NONCE + 1).parse().unwrap());
        assert_eq!(dpop_nonce(&headers), None);
    }
}
