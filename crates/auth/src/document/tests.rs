//! Accepted bodies, and the errors for the rejected ones.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::CONTENT_ENCODING;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const FORM: &str = "Application/X-WWW-Form-urlencoded ; charset=utf-8";

fn labelled(content_type: &str, coding: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in [(CONTENT_TYPE, content_type), (CONTENT_ENCODING, coding)] {
        if !value.is_empty() {
            headers.insert(name, value.parse().unwrap());
        }
    }
    headers
}

fn read(content_type: &str, body: &[u8]) -> Result<Value, String> {
    parse(&labelled(content_type, ""), body).map(Value::Object)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn objects_are_read_from_json_and_from_forms() {
    let nested = json!({"a": {"b": [1, -2, 0.5, null, true, "x"]}, "c": ""});
    let text = nested.to_string();
    for content_type in ["", "application/json", "text/html", "nonsense", FORM] {
        assert_eq!(read(content_type, text.as_bytes()), Ok(nested.clone()), "{content_type}");
    }
    let form = b"access_token=a%2Bb&scope=&type=x+y\n";
    for content_type in [FORM, "", "text/plain", "text/html; charset=UTF-8", "application/json"] {
        let expected = json!({"access_token": "a+b", "scope": "", "type": "x y"});
        assert_eq!(read(content_type, form), Ok(expected), "{content_type}");
    }
    assert_eq!(read(FORM, b"a=1&&b=2"), Ok(json!({"a": "1", "b": "2"})));
}

#[test]
fn charsets_and_byte_order_marks_are_honoured() {
    let expected = Ok(json!({"name": "José"}));
    let utf16: Vec<u8> = "\u{feff}{\"name\":\"José\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (content_type, body) in [
        ("application/json", &b"\xef\xbb\xbf {\"name\":\"Jos\xc3\xa9\"}\n"[..]),
        ("application/json;charset=ISO-8859-1", b"{\"name\":\"Jos\xe9\"}"),
        ("application/json; Charset=\"latin1\"", b"{\"name\":\"Jos\xe9\"}"),
        ("application/json; charset=no-such-charset", b"{\"name\":\"Jos\xc3\xa9\"}"),
        // The byte order mark overrides the declared charset.
        ("application/json; charset=iso-8859-1", b"\xef\xbb\xbf{\"name\":\"Jos\xc3\xa9\"}"),
        ("application/json", &utf16),
    ] {
        assert_eq!(read(content_type, body), expected, "{content_type}");
    }
    assert_eq!(read("", b"{\"a\":\"\xff\"}"), Ok(json!({"a": "\u{fffd}"})));
}

#[test]
fn compressed_responses_are_read_whatever_they_declare() {
    let text = br#"{"access_token":"at-1"}"#;
    let packed = gzip(text);
    for (coding, body) in
        [("gzip", packed.as_slice()), ("", &packed), ("UTF-8", &packed), ("gzip", text), ("br", text), ("none", text)]
    {
        let answer = parse(&labelled("application/json", coding), body).map(Value::Object);
        assert_eq!(answer, Ok(json!({"access_token": "at-1"})), "{coding}");
    }
    for (coding, body, expected) in [
        ("br", &b"\x0b\x05\x80\xff"[..], "the answer is compressed in a way that is not known here"),
        ("gzip", &packed[..20], "the answer's compression is broken"),
        ("gzip", &gzip(&vec![b' '; MAX + 1]), "the answer is too large once it is unpacked"),
        // Only one layer is decompressed, so that the result is not JSON.
        ("gzip", &gzip(&packed), "the answer is not JSON"),
    ] {
        let answer = parse(&labelled("application/json", coding), body).map(Value::Object);
        assert_eq!(answer, Err(expected.to_owned()), "{coding}");
    }
}

#[test]
fn everything_else_is_refused() {
    let large = [b"{\"a\":\"", vec![b'x'; MAX].as_slice(), b"\"}"].concat();
    let deep = [b"{\"a\":", vec![b'['; 20_000].as_slice()].concat();
    let cases: [(&str, &[u8], &str); 18] = [
        ("", b"", "the answer is empty"),
        ("", b" \r\n", "the answer is empty"),
        ("", b"\xef\xbb\xbf", "the answer is empty"),
        ("", &large, "the answer is larger than 1 MiB"),
        ("", b"<html>", "the answer is not JSON"),
        ("", b"<a href=x>", "the answer is not JSON"),
        ("text/html", b"a=<script>", "the answer is not JSON"),
        ("", b"no", "the answer is not JSON"),
        ("", b"{\"a\":1", "the answer is not JSON"),
        ("", b"{\"a\":1} x", "the answer is not JSON"),
        ("", &deep, "the answer is not JSON"),
        ("", b"[{}]", "the answer is not a JSON object"),
        ("", b"null", "the answer is not a JSON object"),
        ("", b"{\"a\":1,\"a\":1}", "the answer repeats a JSON key"),
        (FORM, b"{\"x\":[{\"a\":1,\"\\u0061\":2}]}", "the answer is not a well-formed form"),
        (FORM, b"a=1&b=2&a=1", "the answer repeats a parameter"),
        ("text/plain", b"a=1&b=2&a=1", "the answer repeats a parameter"),
        (FORM, b"a=%zz", "the answer is not a well-formed form"),
    ];
    for (content_type, body, expected) in cases {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(read(content_type, body), Err(expected.to_owned()), "{shown}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(
        content_type in "(application/x-www-form-urlencoded|application/json|)(;charset=(utf-16|gbk|latin1))?",
        coding in "gzip|deflate|br|",
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = parse(&labelled(&content_type, &coding), &body);
    }

    #[test]
    fn json_reads_as_it_was_written(pairs in proptest::collection::btree_map(".{0,9}", any::<(i64, String)>(), 0..9)) {
        let object = json!(pairs);
        prop_assert_eq!(read("", object.to_string().as_bytes()), Ok(object));
    }
}
