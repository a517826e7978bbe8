//! What a provider answered, as a caller gets it: unpacked, as text where it is text, and without the
//! credential in whatever form it came back (R52).

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde_json::value::RawValue;
use switchboard_auth::{DecompressError, Redactor, decompressed};

use crate::error::{Code, Error, Result};

/// A body by what it is, without the credential.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// Nothing.
    Empty,
    /// JSON, as it came.
    Json(Bytes),
    /// Text in UTF-8, whatever it came in.
    Text(Bytes),
    /// Anything else.
    Binary(Bytes),
}

impl Content {
    /// What there is of it.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Empty => None,
            Self::Json(bytes) | Self::Text(bytes) | Self::Binary(bytes) => Some(bytes),
        }
    }
}

/// Types that are text although their names do not begin with `text/`.
const TEXT: [&str; 18] = [
    "application/ecmascript",
    "application/graphql",
    "application/javascript",
    "application/jsonl",
    "application/ndjson",
    "application/sql",
    "application/toml",
    "application/x-javascript",
    "application/x-ndjson",
    "application/x-patch",
    "application/x-sh",
    "application/x-toml",
    "application/x-www-form-urlencoded",
    "application/x-yaml",
    "application/xml",
    "application/xml-dtd",
    "application/yaml",
    "application/csv",
];
/// Endings of types by their structure (RFC 6839).
const TEXT_ENDINGS: [&str; 5] = ["+xml", "+yaml", "+toml", "+csv", "+text"];

/// Whether a body may be longer once it is unpacked and in UTF-8.
pub fn may_grow(headers: &HeaderMap) -> bool {
    let names_utf_8 = |value: &str| {
        let value = value.to_ascii_lowercase();
        !value.contains("charset") || value.contains("utf-8") || value.contains("utf8") || value.contains("us-ascii")
    };
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    headers.contains_key(CONTENT_ENCODING) || !types.all(|value| value.to_str().is_ok_and(names_utf_8))
}

/// Undoes the content coding of an answer, within a limit in bytes.
///
/// # Errors
/// 502 where the coding is not known or broken, or the answer too large.
pub fn unpack(headers: &mut HeaderMap, body: Bytes, limit: usize) -> Result<Bytes> {
    let plain = match decompressed(headers, &body, limit) {
        Ok(Cow::Borrowed(_)) => body,
        Ok(Cow::Owned(plain)) => plain.into(),
        Err(DecompressError::TooLarge) => return Err(Error::of(Code::UpstreamTooLarge, &[("limit", &limit)])),
        Err(error) => {
            return Err(
                Error::new(Code::UpstreamUnreachable, "The provider's answer could not be unpacked").because(error)
            );
        }
    };
    // A HEAD's answer tells of a body that did not come.
    if !plain.is_empty() {
        headers.remove(CONTENT_ENCODING);
    }
    Ok(plain)
}

/// What an unpacked body is. What is named as text, or names a charset, is text if it is well-formed in
/// it; `limit`, in bytes, holds for the text in UTF-8, too.
pub fn content(headers: &HeaderMap, body: Bytes, redactor: &Redactor, limit: usize) -> Result<Content> {
    if body.is_empty() {
        return Ok(Content::Empty);
    }
    // Given more than once, the last is what clients go by.
    let named =
        headers.get_all(CONTENT_TYPE).iter().next_back().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (kind, charset) = read_type(named);
    let Some(text) = text_of(&body, &kind, charset) else {
        let redacted = match redactor.redact(&body) {
            Cow::Borrowed(same) if same.len() == body.len() => None,
            changed => Some(changed.into_owned()),
        };
        return Ok(Content::Binary(redacted.map_or(body, Bytes::from)));
    };
    if text.len() > limit {
        return Err(Error::of(Code::UpstreamTooLarge, &[("limit", &limit)]));
    }
    if kind.is_empty() || is_json(&kind) {
        // Reading into a RawValue builds nothing and does not recurse, however deep the answer is.
        if let Ok(json) = serde_json::from_str::<&RawValue>(&text) {
            return Ok(Content::Json(match redactor.redact_json(json.get()) {
                Cow::Borrowed(same) => part_of(&body, same),
                Cow::Owned(changed) => changed.into(),
            }));
        }
        // It only claims to be JSON.
    }
    Ok(Content::Text(match redactor.redact(text.as_bytes()) {
        Cow::Borrowed(same) => match std::str::from_utf8(same) {
            Ok(same) => part_of(&body, same),
            Err(_) => Bytes::new(),
        },
        Cow::Owned(changed) => changed.into(),
    }))
}

/// A text that may be part of the body: then it is not copied.
fn part_of(body: &Bytes, text: &str) -> Bytes {
    let (whole, part) = (body.as_ptr_range(), text.as_bytes().as_ptr_range());
    if whole.start <= part.start && part.end <= whole.end {
        body.slice_ref(text.as_bytes())
    } else {
        Bytes::copy_from_slice(text.as_bytes())
    }
}

/// `type/subtype` in lower case, and the charset that is named beside it.
fn read_type(named: &str) -> (String, Option<&str>) {
    let mut parts = named.split(';');
    let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    (kind, charset)
}

fn is_json(kind: &str) -> bool {
    kind == "application/json" || kind == "text/json" || kind.ends_with("+json")
}

/// The body as text, where it is one.
fn text_of<'b>(body: &'b [u8], kind: &str, charset: Option<&str>) -> Option<Cow<'b, str>> {
    let is_text = kind.is_empty()
        || is_json(kind)
        || kind.starts_with("text/")
        || TEXT.contains(&kind)
        || TEXT_ENDINGS.iter().any(|ending| kind.ends_with(ending));
    let may_be_text = charset.is_some() || kind.starts_with("application/vnd.");
    if !is_text && !may_be_text {
        return None;
    }
    let text = decoded(body, charset)?;
    // Every byte is a character of some charsets: what is no text by its name must look like one.
    let is_readable = |text: &str| !text.bytes().any(|byte| byte < b' ' && !b"\t\n\r\x0c".contains(&byte));
    (is_text || is_readable(&text)).then_some(text)
}

/// A byte order mark says what it is; else the charset does; else it is UTF-8.
fn decoded<'b>(body: &'b [u8], charset: Option<&str>) -> Option<Cow<'b, str>> {
    let (encoding, body) = match Encoding::for_bom(body) {
        Some((encoding, mark)) => (encoding, &body[mark..]),
        None => (charset.and_then(|label| Encoding::for_label(label.as_bytes())).unwrap_or(UTF_8), body),
    };
    if encoding == UTF_8 {
        return std::str::from_utf8(body).ok().map(Cow::Borrowed);
    }
    encoding.decode_without_bom_handling_and_without_replacement(body)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use switchboard_vault::{Secret, Secrets};

    fn redactor() -> Redactor {
        Redactor::new(&Secrets::from([("token", Secret::from("tok-1234"))]), |_| true)
    }

    fn read(content_type: &str, body: &[u8]) -> Content {
        let mut headers = HeaderMap::new();
        for value in content_type.split('|').filter(|value| !value.is_empty()) {
            headers.append(CONTENT_TYPE, value.parse().unwrap());
        }
        content(&headers, Bytes::copy_from_slice(body), &redactor(), 1_000).unwrap()
    }

    fn text(text: &str) -> Content {
        Content::Text(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn text_is_text_whatever_the_provider_calls_it() {
        for kind in [
            "text/plain",
            "text/csv",
            "TEXT/Markdown; Charset=\"UTF-8\"",
            "application/yaml",
            "application/x-yaml",
            "application/toml",
            "application/xml",
            "application/atom+xml",
            "application/vnd.example.raw",
            "application/vnd.example.raw; charset=utf-8",
            "application/vnd.example.v3.diff; charset=utf-8",
            "application/vnd.example.v3.diff",
            "application/vnd.oai.openapi+yaml",
            "application/json",
            "application/vnd.example.raw+json",
            "application/x-ndjson",
            "application/octet-stream; charset=utf-8",
            "application/octet-stream|text/plain",
            "",
        ] {
            assert_eq!(read(kind, "# Über uns\n".as_bytes()), text("# Über uns\n"), "{kind}");
            assert_eq!(read(kind, "\u{feff}a: tok-1234\n".as_bytes()), text("a: REDACTED\n"), "{kind}");
        }
    }

    #[test]
    fn a_text_is_read_in_the_charset_that_it_names() {
        for (kind, body, expected) in [
            ("text/plain; charset=ISO-8859-1", &b"\xdcber uns"[..], "Über uns"),
            ("text/html; charset=windows-1252", b"5 \x80", "5 €"),
            ("text/csv; charset=utf-16le", b"a\0,\0b\0", "a,b"),
            ("application/xml", b"\xff\xfe<\0a\0/\0>\0", "<a/>"),
            ("application/vnd.example.raw; charset=latin1", b"\xdcber", "Über"),
            ("text/plain; charset=shift_jis", b"\x83\x65\x83\x58\x83\x67", "テスト"),
            ("text/plain; charset=no-such-charset", "ü".as_bytes(), "ü"),
        ] {
            assert_eq!(read(kind, body), text(expected), "{kind}");
        }
        // What is written in another charset is searched, too.
        let wide: Vec<u8> = "key tok-1234".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read("text/plain; charset=utf-16le", &wide), text("key REDACTED"));
        assert_eq!(
            read("application/json; charset=iso-8859-1", b"{\"a\":\"\xfc\"}"),
            Content::Json("{\"a\":\"ü\"}".into())
        );
    }

    #[test]
    fn bytes_stay_bytes() {
        for (kind, body) in [
            ("application/octet-stream", &b"\x00\x01\xff"[..]),
            ("application/octet-stream", b"abc"),
            ("image/png", b"abc"),
            ("application/pdf; charset=utf-8", b"%PDF-1.7\n\xff\xff"),
            ("application/zip; charset=iso-8859-1", b"PK\x03\x04"),
            ("application/vnd.ms-excel", b"\xd0\xcf\x11\xe0"),
            ("text/plain", b"\xff\xfe\xfd"),
            ("text/plain; charset=utf-8", b"\xdcber"),
            ("application/json", b"\xff\xff"),
        ] {
            assert_eq!(read(kind, body), Content::Binary(Bytes::copy_from_slice(body)), "{kind}");
        }
        assert_eq!(read("image/png", b"\xfftok-1234"), Content::Binary(Bytes::from_static(b"\xffREDACTED")));
        assert_eq!(read("image/png", b""), Content::Empty);
    }

    #[test]
    fn json_keeps_its_keys_and_its_bytes() {
        let body = Bytes::from_static(b" {\"tok-1234\": 1.10, \"a\": \"x\"}\n");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, "application/json".parse().unwrap());
        let Content::Json(json) = content(&headers, body.clone(), &redactor(), 100).unwrap() else { panic!() };
        assert_eq!(json, &b"{\"tok-1234\": 1.10, \"a\": \"x\"}"[..]);
        assert!(body.as_ptr_range().contains(&json.as_ptr()), "nothing was copied");
        assert_eq!(
            read("application/json", br#"{"tok-1234":["tok-1234"]}"#),
            Content::Json(r#"{"tok-1234":["REDACTED"]}"#.into())
        );
        assert_eq!(read("application/json", b"\xef\xbb\xbf[1]"), Content::Json("[1]".into()));
    }

    #[test]
    fn a_packed_answer_is_unpacked_within_the_limit() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&[b'a'; 5_000]).unwrap();
        let packed = Bytes::from(encoder.finish().unwrap());
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(unpack(&mut headers.clone(), packed.clone(), 4_999).unwrap_err().code(), Code::UpstreamTooLarge);
        assert_eq!(
            unpack(&mut headers.clone(), packed.slice(..20), 5_000).unwrap_err().code(),
            Code::UpstreamUnreachable
        );
        assert_eq!(unpack(&mut headers, packed, 5_000).unwrap(), &[b'a'; 5_000][..]);
        assert!(headers.is_empty());
    }
}
