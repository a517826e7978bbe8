//! Signatures against the published test suite and another implementation:
//! `fixtures/make_sigv4.py` says where they come from.

use http::header::{CONTENT_TYPE, USER_AGENT};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

const TIMESTAMP: i64 = 1_440_938_160;

struct Case {
    value: Value,
    secret: Secret,
    token: Option<Secret>,
}

impl Case {
    fn text(&self, name: &str) -> &str {
        self.value[name].as_str().unwrap()
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for pair in self.value["headers"].as_array().unwrap() {
            let [name, value] = [0, 1].map(|index| pair[index].as_str().unwrap());
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        headers
    }

    /// Signed with all headers, as the suite does it.
    fn signed(&self) -> HeaderMap {
        let signing = SigV4 {
            access_key_id: self.text("key_id"),
            secret_access_key: &self.secret,
            session_token: self.token.as_ref(),
            region: self.text("region"),
            service: self.text("service"),
        };
        let method = self.text("method").parse().unwrap();
        let url = Url::parse(self.text("url")).unwrap();
        let timestamp = self.value["timestamp"].as_i64().unwrap();
        let body = self.text("body").as_bytes();
        let signed = signing.sign(&method, &url, &self.headers(), &|_| true, body, timestamp).unwrap();
        let only_usual = |name: &HeaderName| name == CONTENT_TYPE || name.as_str().starts_with("x-amz-");
        if self.headers().keys().all(only_usual) {
            let usual = signing.headers(&method, &url, &self.headers(), body, timestamp).unwrap();
            assert_eq!(usual, signed, "{}", self.text("name"));
        }
        signed
    }
}

fn cases() -> Vec<Case> {
    let list: Vec<Value> = serde_json::from_str(include_str!("../../fixtures/sigv4.json")).unwrap();
    let secret = |value: &Value| value.as_str().map(Secret::from);
    list.into_iter()
        .map(|value| Case { secret: secret(&value["secret"]).unwrap(), token: secret(&value["token"]), value })
        .collect()
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[test]
fn signatures_are_the_published_ones_and_those_of_another_implementation() {
    let cases = cases();
    assert!(cases.iter().filter(|case| case.value["published"] == true).count() > 20);
    for case in &cases {
        let (name, signed) = (case.text("name"), case.signed());
        assert_eq!(header(&signed, "authorization"), Some(case.text("authorization")), "{name}");
        assert_eq!(header(&signed, "x-amz-content-sha256"), case.value["content_sha256"].as_str(), "{name}");
        assert_eq!(header(&signed, "x-amz-security-token"), case.token.as_ref().map(Secret::expose), "{name}");
    }
}

fn signer<'a>(secret: &'a Secret, session_token: Option<&'a Secret>) -> SigV4<'a> {
    let [access_key_id, region, service] = ["AKIDEXAMPLE", "us-east-1", "service"];
    SigV4 { access_key_id, secret_access_key: secret, session_token, region, service }
}

fn get(signer: &SigV4<'_>, headers: &HeaderMap) -> Result<HeaderMap, BuildError> {
    signer.headers(&Method::GET, &Url::parse("https://a.example/").unwrap(), headers, b"", TIMESTAMP)
}

#[test]
fn secrets_are_seen_nowhere() {
    let (secret, token) = (Secret::from("canary-secret"), Secret::from("canary-token"));
    let signing = signer(&secret, Some(&token));
    let signed = get(&signing, &HeaderMap::new()).unwrap();
    for name in ["authorization", "x-amz-security-token"] {
        assert!(signed[name].is_sensitive(), "{name}");
    }
    assert_eq!(header(&signed, "x-amz-date"), Some("20150830T123600Z"));
    let printed = format!("{signing:?} {signed:?}");
    assert!(!printed.contains("canary") && !printed.contains("Signature="), "{printed}");
    assert!(printed.contains("AKIDEXAMPLE"));
}

#[test]
fn what_others_may_change_on_the_way_is_not_signed() {
    let secret = Secret::from("s");
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("x"));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    headers.insert("host", HeaderValue::from_static("other.example"));
    let signer = signer(&secret, None);
    assert_eq!(get(&signer, &headers), get(&signer, &HeaderMap::new()));
}

#[test]
fn headers_of_the_signature_replace_those_of_the_request() {
    let secret = Secret::from("s");
    let mut headers = HeaderMap::new();
    for name in ["x-amz-date", "x-amz-content-sha256"] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("theirs"));
    }
    let signed = get(&signer(&secret, None), &headers).unwrap();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(header(&signed, "x-amz-content-sha256"), Some(empty));
    assert!(header(&signed, "authorization").unwrap().contains("host;x-amz-content-sha256;x-amz-date,"));
    headers.insert("x-amz-date", HeaderValue::from_static("others"));
    assert_eq!(get(&signer(&secret, None), &headers), Ok(signed));
}

#[test]
fn what_cannot_be_signed_is_an_error_without_its_value() {
    let (good, empty, broken) = (Secret::from("canary"), Secret::default(), Secret::from("canary\r\nx: y"));
    let base = signer(&good, None);
    let cases = [
        (SigV4 { access_key_id: "", ..base }, "`access_key_id` is missing"),
        (SigV4 { access_key_id: "canary/x", ..base }, "`access_key_id` holds a character"),
        (SigV4 { region: "canary, x", ..base }, "`region` holds a character"),
        (SigV4 { region: "", ..base }, "`region` is missing"),
        (SigV4 { service: "canary\nx", ..base }, "`service` holds a character"),
        (SigV4 { secret_access_key: &empty, ..base }, "`secret_access_key` is missing"),
        (SigV4 { session_token: Some(&empty), ..base }, "`session_token` is empty"),
        (SigV4 { session_token: Some(&broken), ..base }, "`session_token` is empty or not printable"),
    ];
    for (signer, expected) in cases {
        let error = get(&signer, &HeaderMap::new()).unwrap_err().to_string();
        assert!(error.contains(expected) && !error.contains("canary"), "{error}");
    }
    let url = Url::parse("data:x").unwrap();
    let error = base.headers(&Method::GET, &url, &HeaderMap::new(), b"", TIMESTAMP).unwrap_err();
    assert_eq!(error.to_string(), "the URL to sign has no host");
    let url = Url::parse("https://a.example/").unwrap();
    assert_eq!(base.headers(&Method::GET, &url, &HeaderMap::new(), b"", -1), Err(BuildError::Time));
}

proptest! {
    #[test]
    fn every_signed_part_changes_the_signature(
        part in 0_usize..6,
        path in "[a-z]{1,9}",
        body in proptest::collection::vec(any::<u8>(), 0..40),
        seconds in 0..utc::LAST,
    ) {
        let (secret, other_secret) = (Secret::from("one"), Secret::from("other"));
        let sign = |changed: Option<usize>| {
            let is = |number| changed == Some(number);
            let method = if is(0) { Method::PUT } else { Method::POST };
            let url = format!("https://a.example/{path}{}?q={}", if is(1) { "x" } else { "" }, u8::from(is(2)));
            let mut body = body.clone();
            if is(3) {
                body.push(0);
            }
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(if is(4) { "a/b" } else { "c/d" }));
            let signer = signer(if is(5) { &other_secret } else { &secret }, None);
            signer.headers(&method, &Url::parse(&url).unwrap(), &headers, &body, seconds).unwrap()
        };
        prop_assert_eq!(sign(None), sign(None));
        prop_assert_ne!(&sign(None)["authorization"], &sign(Some(part))["authorization"]);
    }

    #[test]
    fn no_request_makes_it_panic(path in any::<String>(), query in any::<String>(), region in any::<String>(), at in any::<i64>()) {
        let secret = Secret::from("s");
        for service in ["s3", "sqs"] {
            let mut url = Url::parse("https://a.example/").unwrap();
            url.set_path(&path);
            url.set_query(Some(&query));
            let signer = SigV4 { region: &region, service, ..signer(&secret, None) };
            let _ = signer.headers(&Method::GET, &url, &HeaderMap::new(), b"", at);
            let signer = SigV4 { region: "r", ..signer };
            prop_assert!(signer.headers(&Method::GET, &url, &HeaderMap::new(), b"", TIMESTAMP).is_ok());
        }
    }
}
