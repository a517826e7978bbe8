//! Signatures against the examples of RFC 7515, against tokens of another implementation, and against
//! verification with the public key.

use data_encoding::HEXLOWER;
use proptest::prelude::*;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde_json::json;

use super::*;
use crate::fixtures;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(base64url: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64url).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    let Value::Object(object) = value else { panic!("{value} is no object") };
    object
}

/// How to verify a signature, and the names of the public and private key in the fixtures.
fn verification(algorithm: JwsAlgorithm) -> (&'static dyn VerificationAlgorithm, &'static str, &'static str) {
    match algorithm {
        JwsAlgorithm::Rs256 => (&RSA_PKCS1_2048_8192_SHA256, "rsa_public_key", "rsa_pkcs8"),
        JwsAlgorithm::Rs384 => (&RSA_PKCS1_2048_8192_SHA384, "rsa_public_key", "rsa_pkcs1"),
        JwsAlgorithm::Rs512 => (&RSA_PKCS1_2048_8192_SHA512, "rsa_public_key", "rsa_pkcs8"),
        JwsAlgorithm::Ps256 => (&RSA_PSS_2048_8192_SHA256, "rsa_public_key", "rsa_pkcs1"),
        JwsAlgorithm::Ps384 => (&RSA_PSS_2048_8192_SHA384, "rsa_public_key", "rsa_pkcs8"),
        JwsAlgorithm::Ps512 => (&RSA_PSS_2048_8192_SHA512, "rsa_public_key", "rsa_pkcs1"),
        JwsAlgorithm::Es256 => (&ECDSA_P256_SHA256_FIXED, "p256_public_key", "p256_pkcs8"),
        JwsAlgorithm::Es384 => (&ECDSA_P384_SHA384_FIXED, "p384_public_key", "p384_pkcs8"),
        JwsAlgorithm::Hs256 | JwsAlgorithm::Hs384 | JwsAlgorithm::Hs512 => panic!("{algorithm} has no public key"),
    }
}

fn verifies(algorithm: JwsAlgorithm, message: &[u8], signature: &[u8]) -> bool {
    let (verification, public_key, _) = verification(algorithm);
    let public_key = HEXLOWER.decode(text(&fixtures::jws()[public_key]).as_bytes()).unwrap();
    UnparsedPublicKey::new(verification, public_key).verify(message, signature).is_ok()
}

fn private_key(algorithm: JwsAlgorithm) -> Secret {
    Secret::from(text(&fixtures::jws()["keys"][verification(algorithm).2]))
}

fn asymmetric() -> impl Iterator<Item = JwsAlgorithm> {
    JwsAlgorithm::ALL.into_iter().filter(|algorithm| !algorithm.name().starts_with("HS"))
}

#[test]
fn the_examples_of_the_rfc_are_reproduced() {
    let fixtures = fixtures::jws();
    let [a1, a2, a3] = [0, 1, 2].map(|index| &fixtures["examples"][index]);
    let input = |example: &Value| text(&example["input"]).as_bytes().to_vec();

    // The shared secret of A.1 is not text and cannot be passed to `sign`.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes(text(&fixtures["hs256_key"])));
    assert_eq!(hmac::sign(&key, &input(a1)).as_ref(), bytes(text(&a1["signature"])));

    let signed = JwsAlgorithm::Rs256.sign(private_key(JwsAlgorithm::Rs256).expose(), &input(a2)).unwrap();
    assert_eq!(signed, bytes(text(&a2["signature"])));

    // ECDSA signatures differ each time: verify both, theirs and ours.
    assert!(verifies(JwsAlgorithm::Es256, &input(a3), &bytes(text(&a3["signature"]))));
    let signed = JwsAlgorithm::Es256.sign(private_key(JwsAlgorithm::Es256).expose(), &input(a3)).unwrap();
    assert!(verifies(JwsAlgorithm::Es256, &input(a3), &signed));
    assert_eq!(signed.len(), 64);
}

#[test]
fn whole_tokens_are_those_of_another_implementation() {
    let fixtures = fixtures::jws();
    let claims = object(json!({
        "aud": "https://p.example/token", "exp": 1_700_000_300, "iat": 1_700_000_000, "iss": "client", "sub": "a/b"
    }));
    let tokens = fixtures["tokens"].as_array().unwrap();
    assert_eq!(tokens.len(), 6);
    for expected in tokens {
        let algorithm = JwsAlgorithm::from_name(text(&expected["algorithm"])).unwrap();
        let key = expected["secret"].as_str().map_or_else(|| private_key(algorithm), Secret::from);
        let token = sign_jwt(algorithm, &key, &object(json!({"kid": "k1"})), &claims).unwrap();
        assert_eq!(token.expose(), text(&expected["token"]), "{algorithm}");
        assert_eq!(unverified_expiry(token.expose()), Some(1_700_000_300));
    }
}

#[test]
fn every_signature_verifies_under_its_public_key_and_no_other_text() {
    for algorithm in asymmetric() {
        let signed = algorithm.sign(private_key(algorithm).expose(), b"message").unwrap();
        assert!(verifies(algorithm, b"message", &signed), "{algorithm}");
        assert!(!verifies(algorithm, b"massage", &signed), "{algorithm}");
    }
}

#[test]
fn the_header_says_what_signed_and_may_name_its_type() {
    let header = object(json!({"alg": "none", "typ": "at+jwt", "kid": "k"}));
    for (header, expected) in [
        (Map::new(), json!({"alg": "HS256", "typ": "JWT"})),
        (header, json!({"alg": "HS256", "typ": "at+jwt", "kid": "k"})),
    ] {
        let token = sign_jwt(JwsAlgorithm::Hs256, &Secret::from("s"), &header, &Map::new()).unwrap();
        let first = token.expose().split('.').next().unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&bytes(first)).unwrap(), expected);
    }
}

#[test]
fn algorithms_are_found_by_their_exact_name() {
    for algorithm in JwsAlgorithm::ALL {
        assert_eq!(JwsAlgorithm::from_name(&algorithm.to_string()), Some(algorithm));
        assert_eq!(JwsAlgorithm::from_name(&algorithm.name().to_lowercase()), None);
    }
    assert_eq!(JwsAlgorithm::from_name("none"), None);
}

#[test]
fn a_key_mangled_by_consoles_and_forms_is_accepted() {
    let fixtures = fixtures::jws();
    for (name, pem) in fixtures["keys"].as_object().unwrap() {
        let pem = text(pem);
        let mangled = [
            pem.to_owned(),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', "\\n"),
            pem.replace('\n', " "),
            pem.replace('\n', ""),
            format!("  {}\n\n{pem}", text(&fixtures["certificate"]["pem"])),
        ];
        for text in mangled {
            assert_eq!(check_private_key(&text), Ok(()), "{name} {text}");
        }
    }
}

#[test]
fn unusable_keys_are_rejected_with_a_helpful_reason() {
    let fixtures = fixtures::jws();
    let truncated = text(&fixtures["keys"]["rsa_pkcs8"]).lines().enumerate().filter(|(at, _)| *at != 5);
    let truncated: Vec<&str> = truncated.map(|(_, line)| line).collect();
    let labelled = |label| format!("-----BEGIN {label}-----\nY2FuYXJ5\n-----END {label}-----");
    let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
                     Y2FuYXJ5\n-----END RSA PRIVATE KEY-----";
    let refused = |name: &str| text(&fixtures["refused"][name]).to_owned();
    let cases = [
        (String::new(), "is not PEM text"),
        ("canary".to_owned(), "is not PEM text"),
        (labelled("PRIVATE KEY").replace("Y2F", "Y2F."), "holds something other than base64"),
        (labelled("PRIVATE KEY"), "cannot be read"),
        (labelled("RSA PRIVATE KEY"), "cannot be read"),
        (truncated.join("\n"), "cannot be read"),
        (labelled("ENCRYPTED PRIVATE KEY"), "is encrypted with a passphrase; decrypt it with: openssl"),
        (encrypted.to_owned(), "is encrypted with a passphrase"),
        (labelled("OPENSSH PRIVATE KEY"), "is in OpenSSH form; convert a copy with: ssh-keygen"),
        (labelled("DH PARAMETERS"), "is PEM text of something other than a private key"),
        (refused("p256_sec1"), "is in SEC1 form (EC PRIVATE KEY); convert it with: openssl pkcs8"),
        (refused("p256_without_public"), "is an EC key that cannot be read, perhaps for want of its public key"),
        (refused("p521_pkcs8"), "is neither an RSA key nor an EC key"),
        (refused("ed25519"), "is neither an RSA key nor an EC key"),
        (refused("rsa_1024"), "is an RSA key of less than 2048 bits"),
        (refused("public"), "is a public key"),
        (refused("certificate"), "is a certificate"),
    ];
    for (key, beginning) in cases {
        let reason = check_private_key(&key).unwrap_err();
        assert!(reason.starts_with(beginning), "{reason} {key}");
        let error = sign_jwt(JwsAlgorithm::Rs256, &Secret::new(key), &Map::new(), &Map::new()).unwrap_err();
        assert_eq!(error, BuildError::Key { part: "private key", reason });
    }
}

#[test]
fn a_key_of_another_kind_is_refused_before_and_while_signing() {
    for algorithm in asymmetric() {
        for (name, key) in fixtures::jws()["keys"].as_object().unwrap() {
            let family = ["rsa", "p256", "p384"].into_iter().find(|family| name.starts_with(family)).unwrap();
            let fits = verification(algorithm).2.starts_with(family);
            assert_eq!(algorithm.check_key(text(key)).is_ok(), fits, "{algorithm} {name}");
            assert_eq!(algorithm.sign(text(key), b"message").is_ok(), fits, "{algorithm} {name}");
        }
    }
    assert_eq!(JwsAlgorithm::Hs256.check_key("any text"), Ok(()));
    assert_eq!(JwsAlgorithm::Hs256.check_key(""), Err("is empty"));
    let error = sign_jwt(JwsAlgorithm::Hs512, &Secret::default(), &Map::new(), &Map::new()).unwrap_err();
    assert_eq!(error.to_string(), "the signing secret is empty");
}

#[test]
fn an_expiry_is_read_from_what_looks_like_a_jwt_and_nothing_else() {
    let token = |claims: &str| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims));
    let cases = [
        (token(r#"{"exp":1700000000}"#), Some(1_700_000_000)),
        (token(r#"{"exp":1700000000.75}"#), Some(1_700_000_000)),
        (token(r#"{"exp":1.7e9}"#), Some(1_700_000_000)),
        (token(r#"{"exp":0}"#), Some(0)),
        (format!("e30.{}=.", URL_SAFE_NO_PAD.encode(r#"{"exp":1}"#)), Some(1)),
        (token(r#"{"exp":1700000000000}"#), None),
        (token(r#"{"exp":-1}"#), None),
        (token(r#"{"exp":-1e300}"#), None),
        (token(r#"{"exp":1e300}"#), None),
        (token(r#"{"exp":18446744073709551615}"#), None),
        (token(r#"{"exp":"1700000000"}"#), None),
        (token(r#"{"exp":null}"#), None),
        (token(r#"{"exp":1,"exp":2}"#), None),
        (token(r"{}"), None),
        (token(r"[1]"), None),
        (token(r#"{"exp":1"#), None),
        ("e30.eyJleHAiOjF9".to_owned(), None),
        ("e30.eyJleHAiOjF9.a.b.c".to_owned(), None),
        ("e30.eyJleHAiOjF+.a".to_owned(), None),
        ("ya29.opaque".to_owned(), None),
        ("..".to_owned(), None),
        (String::new(), None),
        (token(&format!("{{\"exp\":1,\"a\":\"{}\"}}", "a".repeat(MAX_TOKEN))), None),
        (token(&format!("{{\"a\":{}", "[".repeat(20_000))), None),
    ];
    for (token, expected) in cases {
        assert_eq!(unverified_expiry(&token), expected, "{}", &token[..token.len().min(80)]);
    }
}

fn any_claims() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![any::<String>().prop_map(Value::from), any::<i64>().prop_map(Value::from)];
    proptest::collection::btree_map(".{0,9}", value, 0..6).prop_map(|pairs| pairs.into_iter().collect())
}

proptest! {
    #[test]
    fn tokens_hold_what_was_signed(secret in ".{1,80}", mut header in any_claims(), claims in any_claims()) {
        header.remove("typ");
        let token = sign_jwt(JwsAlgorithm::Hs256, &Secret::new(secret.clone()), &header, &claims).unwrap();
        let parts: Vec<&str> = token.expose().split('.').collect();
        prop_assert_eq!(parts.len(), 3);
        prop_assert_eq!(serde_json::from_slice::<Map<String, Value>>(&bytes(parts[1])).unwrap(), claims);
        header.insert("alg".to_owned(), "HS256".into());
        header.insert("typ".to_owned(), "JWT".into());
        prop_assert_eq!(serde_json::from_slice::<Map<String, Value>>(&bytes(parts[0])).unwrap(), header);
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let input = format!("{}.{}", parts[0], parts[1]);
        prop_assert!(hmac::verify(&key, input.as_bytes(), &bytes(parts[2])).is_ok());
    }

    #[test]
    fn ecdsa_tokens_verify(claims in any_claims()) {
        let key = private_key(JwsAlgorithm::Es256);
        let token = sign_jwt(JwsAlgorithm::Es256, &key, &Map::new(), &claims).unwrap();
        let (input, signature) = token.expose().rsplit_once('.').unwrap();
        prop_assert!(verifies(JwsAlgorithm::Es256, input.as_bytes(), &bytes(signature)));
    }

    #[test]
    fn no_key_text_makes_it_panic(
        label in "(EC |RSA |ENCRYPTED )?(PRIVATE KEY|CERTIFICATE)",
        der in proptest::collection::vec(any::<u8>(), 0..60),
        noise in any::<String>(),
    ) {
        use base64::engine::general_purpose::STANDARD;
        let pem = format!("{noise}-----BEGIN {label}-----{}-----END {label}-----", STANDARD.encode(der));
        prop_assert!(check_private_key(&pem).is_err());
        prop_assert!(check_private_key(&noise).is_err());
    }

    #[test]
    fn any_expiry_is_read_back(expiry in 0..=utc::LAST, other in any::<String>()) {
        let claims = object(json!({"exp": expiry, "other": other}));
        let token = sign_jwt(JwsAlgorithm::Hs256, &Secret::from("s"), &Map::new(), &claims).unwrap();
        prop_assert_eq!(unverified_expiry(token.expose()), Some(expiry));
    }

    #[test]
    fn no_token_makes_the_expiry_panic(text in any::<String>(), json in any::<String>(), number in any::<f64>()) {
        let _ = unverified_expiry(&text);
        let _ = unverified_expiry(&format!("a.{text}.b"));
        let _ = unverified_expiry(&format!("a.{}.b", URL_SAFE_NO_PAD.encode(json)));
        let claims = URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{number}}}"));
        let expiry = unverified_expiry(&format!("a.{claims}.b"));
        prop_assert!(expiry.is_none_or(|seconds| (0..=utc::LAST).contains(&seconds)));
    }
}
