//! The examples of RFC 5849, and requests from a toolkit's data to their bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request};
use switchboard_catalog::{OAuth1, SignatureMethod};
use switchboard_vault::SystemEntropy;
use url::Url;

use super::base_string::{Covered, base_string};
use super::signature::sign;
use super::*;
use crate::fixtures::no_variables;
use crate::{BuildError, ClientCredentials};

/// The client of section 1.2, and the callback of its printer.
const CLIENT: ClientCredentials<'_> =
    ClientCredentials { client_id: "dpf43f3p2l4k3l03", client_secret: Some("kd94hf93k423kf44"), assertion: None };
const CALLBACK: &str = "http://printer.example.com/ready";
const TOKEN: Token<'_> = Token { token: "nnch734d00sl2jdk", secret: "pfkkdhi9sl3r4s00" };
const STAMP: Stamp<'_> = Stamp { timestamp: 137_131_202, nonce: "chapoH" };

fn oauth(lines: &str) -> OAuth1 {
    let mut table: toml::Table = toml::from_str(lines).unwrap();
    for (name, path) in
        [("request_token_url", "initiate"), ("authorization_url", "authorize"), ("access_token_url", "token")]
    {
        table.entry(name).or_insert_with(|| format!("https://photos.example.net/{path}").into());
    }
    table.try_into().unwrap()
}

fn signature(request: (&Method, &str), token_secret: &str, protocol: &[(&str, &str)]) -> String {
    let url = Url::parse(request.1).unwrap();
    let covered = Covered { method: request.0, url: &url, form: None };
    let secret = CLIENT.client_secret.unwrap();
    sign(SignatureMethod::HmacSha1, secret, token_secret, &covered, protocol).unwrap().to_string()
}

#[test]
fn the_requests_of_section_1_2() {
    let protocol = |timestamp: &'static str, nonce: &'static str| {
        [
            ("oauth_consumer_key", CLIENT.client_id),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", timestamp),
            ("oauth_nonce", nonce),
        ]
    };
    let temporary = [&protocol("137131200", "wIjqoS")[..], &[("oauth_callback", CALLBACK)]].concat();
    let token = [
        &protocol("137131201", "walatlh")[..],
        &[("oauth_token", "hh5s93j4hdidpola"), ("oauth_verifier", "hfdp7dh39dks9884")],
    ]
    .concat();
    let photos = [&protocol("137131202", "chapoH")[..], &[("oauth_token", TOKEN.token)]].concat();
    let cases = [
        (Method::POST, "https://photos.example.net/initiate", "", temporary, "74KNZJeDHnMBp0EMJ9ZHt/XKycU="),
        (Method::POST, "https://photos.example.net/token", "hdhd0244k9j7ao03", token, "gKgrFCywp7rO0OXSjdot/IHF7IU="),
        (
            Method::GET,
            "http://photos.example.net/photos?file=vacation.jpg&size=original",
            TOKEN.secret,
            photos,
            "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
        ),
    ];
    for (method, url, token_secret, protocol, expected) in cases {
        assert_eq!(signature((&method, url), token_secret, &protocol), expected, "{url}");
    }
}

#[test]
fn the_base_string_of_section_3_4_1_1() {
    let url = Url::parse("http://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b").unwrap();
    let covered = Covered { method: &Method::POST, url: &url, form: Some(b"c2&a3=2+q") };
    let protocol = [
        ("oauth_consumer_key", "9djdj82h48djs9d2"),
        ("oauth_token", "kkk9d7dh3k39sjv7"),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", "137131201"),
        ("oauth_nonce", "7d8f3e4a"),
    ];
    let expected = "POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D\
        %26c%2540%3D%26c2%3D%26oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a\
        %26oauth_signature_method%3DHMAC-SHA1%26oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7";
    assert_eq!(base_string(&covered, &protocol).unwrap(), expected);
}

#[test]
fn the_uris_of_section_3_4_1_2() {
    let cases = [
        ("http://EXAMPLE.COM:80/r%20v/X?id=123", "GET&http%3A%2F%2Fexample.com%2Fr%2520v%2FX&id%3D123"),
        ("https://www.example.net:8080/?q=1", "GET&https%3A%2F%2Fwww.example.net%3A8080%2F&q%3D1"),
    ];
    for (url, expected) in cases {
        let covered = Covered { method: &Method::GET, url: &Url::parse(url).unwrap(), form: None };
        assert_eq!(base_string(&covered, &[]).unwrap(), expected);
    }
}

#[test]
fn asking_for_temporary_credentials() {
    let oauth = oauth(
        r#"
        request_token_url = "https://{site}.example.net/initiate?v=1"
        realm = "{site} photos"
        [request_parameters]
        oauth_callback = "theirs"
        oauth_token = "theirs"
        scope = "read write"
        "#,
    );
    let site = |name: &str| (name == "site").then(|| "acme".to_owned());
    let request = request_token_request(&oauth, &CLIENT, CALLBACK, STAMP, &site).unwrap();
    assert_eq!(
        (request.method(), request.uri().to_string().as_str()),
        (&Method::POST, "https://acme.example.net/initiate?v=1")
    );
    assert_eq!(request.body(), "scope=read+write");
    assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    let header = authorization(&request);
    let expected = "OAuth realm=\"acme photos\", oauth_consumer_key=\"dpf43f3p2l4k3l03\", \
        oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"137131202\", oauth_nonce=\"chapoH\", \
        oauth_version=\"1.0\", oauth_callback=\"http%3A%2F%2Fprinter.example.com%2Fready\", oauth_signature=\"";
    assert!(header.starts_with(expected), "{header}");
    assert!(!format!("{request:?}").contains("oauth_"), "{request:?}");
}

fn authorization(request: &Request<Bytes>) -> &str {
    request.headers()[AUTHORIZATION].to_str().unwrap()
}

#[test]
fn exchanging_them() {
    let temporary = Token { token: "hh5s93j4hdidpola", secret: "hdhd0244k9j7ao03" };
    let oauth = oauth("signature_method = \"PLAINTEXT\"\nrequest_parameters = { scope = \"x\" }");
    let request = access_token_request(&oauth, &CLIENT, temporary, "v+1", STAMP, &no_variables).unwrap();
    assert_eq!(request.uri(), "https://photos.example.net/token");
    assert!(request.body().is_empty() && !request.headers().contains_key(CONTENT_TYPE));
    assert_eq!(
        authorization(&request),
        "OAuth oauth_consumer_key=\"dpf43f3p2l4k3l03\", oauth_token=\"hh5s93j4hdidpola\", \
         oauth_signature_method=\"PLAINTEXT\", oauth_timestamp=\"137131202\", oauth_nonce=\"chapoH\", \
         oauth_version=\"1.0\", oauth_verifier=\"v%2B1\", oauth_signature=\"kd94hf93k423kf44%26hdhd0244k9j7ao03\""
    );
}

#[test]
fn sending_the_user_to_the_provider() {
    let oauth = oauth(
        r#"
        authorization_url = "https://photos.example.net/authorize?lang=%64e&oauth_token=theirs"
        [authorization_parameters]
        name = "Switch & board"
        oauth_callback = "https://evil.example/"
        oauth_token = "theirs"
        "#,
    );
    let url = authorization_url(&oauth, "hh5s+93/", &no_variables).unwrap();
    assert_eq!(
        url.as_str(),
        "https://photos.example.net/authorize?lang=%64e&oauth_token=hh5s%2B93%2F&name=Switch+%26+board"
    );
}

#[test]
fn forms_are_covered_and_other_bodies_are_not() {
    let signer = Signer::new(&oauth(""), CLIENT, Some(TOKEN), &no_variables).unwrap();
    let url = Url::parse("https://api.example/x").unwrap();
    let header = |content_type: &'static str, body: &[u8]| {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer theirs"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer theirs too"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        signer.apply(STAMP, &Method::POST, &url, &mut headers, body).unwrap();
        assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1);
        headers[AUTHORIZATION].clone()
    };
    let nothing = signer.authorization(STAMP, &Method::POST, &url, None).unwrap();
    let form = signer.authorization(STAMP, &Method::POST, &url, Some(b"a=b")).unwrap();
    assert_ne!(nothing, form);
    assert_eq!(header("application/x-www-form-urlencoded; charset=utf-8", b"a=b"), form);
    assert_eq!(header("application/json", b"a=b"), nothing);
    assert_eq!(header("multipart/form-data; boundary=a", b"%zz"), nothing);
}

#[test]
fn values_that_cannot_be_signed_are_an_error_without_the_value() {
    let sign = |lines: &str, client: ClientCredentials<'_>, url: &str, form: Option<&[u8]>| {
        let signer = Signer::new(&oauth(lines), client, Some(TOKEN), &no_variables)?;
        signer.authorization(STAMP, &Method::POST, &Url::parse(url).unwrap(), form)
    };
    let keyless = |client_secret| ClientCredentials { client_secret, ..CLIENT };
    let plain = "signature_method = \"PLAINTEXT\"";
    let cases = [
        (
            sign("", CLIENT, "https://a.example/?oauth_nonce=canary", None),
            "the query repeats a parameter of the OAuth protocol",
        ),
        (
            sign("", CLIENT, "https://a.example/?oauth%5ftoken=canary", None),
            "the query repeats a parameter of the OAuth protocol",
        ),
        (
            sign("", CLIENT, "https://a.example/", Some(b"a=1&oauth_signature")),
            "the form body repeats a parameter of the OAuth protocol",
        ),
        (
            sign("", CLIENT, "https://a.example/?canary=%4", None),
            "the query holds a `%` without two hexadecimal digits",
        ),
        (
            sign("", CLIENT, "https://a.example/", Some(b"%zz=canary")),
            "the form body holds a `%` without two hexadecimal digits",
        ),
        (
            sign(plain, CLIENT, "http://a.example/?a=canary", None),
            "the URL is not https, and the signature is plain text",
        ),
        (
            sign(plain, CLIENT, "http://localhost/?a=canary", None),
            "the URL is not https, and the signature is plain text",
        ),
        (
            sign("realm = \"canary\\\"\"", CLIENT, "https://a.example/", None),
            "header `authorization` would hold a quote in its realm",
        ),
        (
            sign("realm = \"canary\\n\"", CLIENT, "https://a.example/", None),
            "header `authorization` would hold a control character",
        ),
        (sign("realm = \"{canary}\"", CLIENT, "https://a.example/", None), "cannot expand the realm"),
        (sign("", keyless(None), "https://a.example/", None), "the client secret is missing"),
        (sign("", keyless(Some("")), "https://a.example/", None), "the client secret is missing"),
        (
            sign("signature_method = \"RSA-SHA256\"", keyless(Some("canary")), "https://a.example/", None),
            "credential value `client_secret` is not an RSA private key of 2048 to 4096 bits in PEM",
        ),
    ];
    for (result, message) in cases {
        let error: BuildError = result.unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    for loopback in ["http://127.0.0.1:8080/", "http://[::1]/", "https://a.example/"] {
        assert!(sign(plain, CLIENT, loopback, None).is_ok(), "{loopback}");
    }
}

#[test]
fn a_private_key_may_have_lost_its_lines() {
    let fixture: serde_json::Value = serde_json::from_str(include_str!("vectors/vectors.json")).unwrap();
    let pem = fixture["rsa_private_key"].as_str().unwrap();
    let (one_line, cut) = (pem.replace('\n', " "), &pem[..pem.len() / 2]);
    for good in [pem, &one_line, &format!("Bag Attributes\r\n{}", pem.replace('\n', "\r\n"))] {
        assert_eq!(check_client_secret(SignatureMethod::RsaSha256, good), Ok(()));
    }
    // A 2048-bit key in PKCS #8 is a prefix of 26 bytes and the same key in PKCS #1.
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let pkcs1 = STANDARD.encode(&STANDARD.decode(base64).unwrap()[26..]);
    let pkcs1 = format!("-----BEGIN RSA PRIVATE KEY-----\n{pkcs1}\n-----END RSA PRIVATE KEY-----");
    assert_eq!(check_client_secret(SignatureMethod::RsaSha256, &pkcs1), Ok(()));
    let public = pem.replace("PRIVATE", "PUBLIC");
    for bad in [cut, "", "secret", &public, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
        assert!(check_client_secret(SignatureMethod::RsaSha256, bad).is_err(), "{bad}");
    }
    assert_eq!(check_client_secret(SignatureMethod::HmacSha1, "s3cret"), Ok(()));
    assert!(check_client_secret(SignatureMethod::HmacSha1, pem).is_err(), "a key is no shared secret");
}

#[test]
fn nonces_differ() {
    let nonces = [nonce(&SystemEntropy), nonce(&SystemEntropy)];
    assert_ne!(nonces[0], nonces[1]);
    assert!(nonces.iter().all(|nonce| nonce.len() == 30 && nonce.bytes().all(|byte| byte.is_ascii_alphanumeric())));
}
