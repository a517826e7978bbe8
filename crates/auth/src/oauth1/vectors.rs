//! Requests that another implementation has signed, and what holds for every request.

use std::collections::BTreeMap;

use http::{HeaderValue, Method};
use proptest::prelude::*;
use serde::Deserialize;
use switchboard_catalog::{OAuth1, SignatureMethod};
use url::Url;

use super::base_string::{Covered, base_string, encode};
use super::{Signer, Stamp, Token};
use crate::fixtures::no_variables;
use crate::{BuildError, ClientCredentials, form};

/// `vectors/make.py` writes it.
const VECTORS: &str = include_str!("vectors/vectors.json");

#[derive(Deserialize)]
struct Vectors {
    rsa_private_key: String,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    method: String,
    url: String,
    form: Option<String>,
    signature_method: SignatureMethod,
    client_id: String,
    client_secret: String,
    token: Option<String>,
    token_secret: Option<String>,
    callback: Option<String>,
    verifier: Option<String>,
    realm: Option<String>,
    timestamp: u64,
    nonce: String,
    base_string: String,
    authorization: String,
}

fn oauth(method: SignatureMethod, realm: Option<&str>) -> OAuth1 {
    let endpoint = || "https://p.example/".to_owned();
    OAuth1 {
        request_token_url: endpoint(),
        authorization_url: endpoint(),
        access_token_url: endpoint(),
        signature_method: method,
        realm: realm.map(str::to_owned),
        request_parameters: BTreeMap::new(),
        authorization_parameters: BTreeMap::new(),
        capture: Vec::new(),
        expires_in: None,
        revoke: None,
        base_url: None,
        fields: Vec::new(),
        identity: None,
    }
}

/// The parameters of an `Authorization` header, decoded, but the realm as it stands.
fn parameters(header: &str) -> BTreeMap<String, String> {
    let pairs = header.strip_prefix("OAuth ").unwrap().split("\", ").map(|piece| {
        let (name, value) = piece.split_once("=\"").unwrap();
        let value = value.trim_end_matches('"');
        let decoded = if name == "realm" { value.to_owned() } else { form::decode(value).unwrap() };
        (name.to_owned(), decoded)
    });
    pairs.collect()
}

impl Vector {
    fn more(&self) -> Vec<(&str, &str)> {
        let callback = self.callback.as_deref().map(|callback| ("oauth_callback", callback));
        callback.into_iter().chain(self.verifier.as_deref().map(|verifier| ("oauth_verifier", verifier))).collect()
    }

    fn authorization(&self, covered: &Covered<'_>, rsa_private_key: &str) -> Result<HeaderValue, BuildError> {
        let is_rsa = self.signature_method == SignatureMethod::RsaSha256;
        let client_secret = if is_rsa { rsa_private_key } else { &self.client_secret };
        let client =
            ClientCredentials { client_id: &self.client_id, client_secret: Some(client_secret), assertion: None };
        let token =
            self.token.as_deref().zip(self.token_secret.as_deref()).map(|(token, secret)| Token { token, secret });
        let oauth = oauth(self.signature_method, self.realm.as_deref());
        let stamp = Stamp { timestamp: self.timestamp, nonce: &self.nonce };
        Signer::new(&oauth, client, token, &no_variables)?.authorization_with(stamp, covered, &self.more())
    }
}

#[test]
fn what_another_implementation_signs_is_signed_alike() {
    let fixture: Vectors = serde_json::from_str(VECTORS).unwrap();
    assert!(fixture.vectors.len() > 40);
    for vector in &fixture.vectors {
        let (method, url) = (vector.method.parse::<Method>().unwrap(), Url::parse(&vector.url).unwrap());
        let covered = Covered { method: &method, url: &url, form: vector.form.as_ref().map(String::as_bytes) };
        let signed = vector.authorization(&covered, &fixture.rsa_private_key);
        let is_open = vector.signature_method == SignatureMethod::Plaintext && vector.url.starts_with("http:");
        if is_open && !vector.url.contains("127.0.0.1") && !vector.url.contains("[::1]") {
            assert!(signed.is_err(), "{}", vector.name);
            continue;
        }
        let signed = signed.unwrap();
        let expected = parameters(&vector.authorization);
        let ours: Vec<(&str, &str)> = expected
            .iter()
            .filter(|(name, _)| !["realm", "oauth_signature"].contains(&name.as_str()))
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(base_string(&covered, &ours).unwrap(), vector.base_string, "{}", vector.name);
        assert_eq!(parameters(signed.to_str().unwrap()), expected, "{}", vector.name);
        assert!(signed.is_sensitive());
    }
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    proptest::collection::vec(("[a-c%+&=ä ]{1,2}", "\\PC{0,6}"), 0..6)
}

fn encoded(pairs: &[(String, String)]) -> String {
    form::encode_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn of(query: &str, form: Option<&str>) -> Result<String, BuildError> {
    let mut url = Url::parse("https://p.example/x").unwrap();
    url.set_query(Some(query));
    let covered = Covered { method: &Method::POST, url: &url, form: form.map(str::as_bytes) };
    base_string(&covered, &[("oauth_nonce", "n")])
}

proptest! {
    #[test]
    fn neither_order_nor_place_nor_spelling_of_a_parameter_counts(pairs in pairs(), cut in 0..6_usize) {
        let expected = of(&encoded(&pairs), None).unwrap();
        let reversed: Vec<_> = pairs.iter().rev().cloned().collect();
        prop_assert_eq!(&of(&encoded(&reversed), None).unwrap(), &expected);
        let (query, form) = pairs.split_at(cut.min(pairs.len()));
        prop_assert_eq!(&of(&encoded(query), Some(&encoded(form))).unwrap(), &expected);
        let spelled: Vec<String> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name.as_bytes()), encode(value.as_bytes()).to_ascii_lowercase()))
            .collect();
        // Lower case would change letters, too; only what holds none is comparable.
        if pairs.iter().all(|(_, value)| !value.bytes().any(|byte| byte.is_ascii_uppercase())) {
            prop_assert_eq!(&of(&spelled.join("&"), None).unwrap(), &expected);
        }
    }

    #[test]
    fn every_change_of_a_parameter_counts(one in pairs(), other in pairs()) {
        let sorted = |mut pairs: Vec<(String, String)>| {
            pairs.sort();
            pairs
        };
        let same = of(&encoded(&one), None) == of(&encoded(&other), None);
        prop_assert_eq!(same, sorted(one) == sorted(other));
    }

    #[test]
    fn encoding_is_ascii_and_reversible(text in any::<String>()) {
        let encoded = encode(text.as_bytes());
        prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte)));
        prop_assert_eq!(form::decode(&encoded), Some(text));
    }

    #[test]
    fn no_query_and_no_form_makes_it_panic(query in "\\PC{0,30}", form in proptest::collection::vec(any::<u8>(), 0..30)) {
        let mut url = Url::parse("https://p.example/x").unwrap();
        url.set_query(Some(&query));
        let _ = base_string(&Covered { method: &Method::POST, url: &url, form: Some(&form) }, &[]);
    }

    #[test]
    fn only_the_signature_shows_that_there_is_a_secret(secret in "[A-Z]{30}", token_secret in "[A-Z]{30}", hmac256 in any::<bool>()) {
        let method = if hmac256 { SignatureMethod::HmacSha256 } else { SignatureMethod::HmacSha1 };
        let client = ClientCredentials { client_id: "c", client_secret: Some(&secret), assertion: None };
        let token = Token { token: "t", secret: &token_secret };
        let signer = Signer::new(&oauth(method, None), client, Some(token), &no_variables).unwrap();
        let url = Url::parse("https://p.example/?a=b").unwrap();
        let header = signer.authorization(Stamp { timestamp: 1, nonce: "n" }, &Method::GET, &url, None).unwrap();
        for shown in [header.to_str().unwrap().to_owned(), format!("{signer:?} {header:?}")] {
            prop_assert!(!shown.contains(&secret) && !shown.contains(&token_secret));
        }
    }
}
