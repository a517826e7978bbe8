//! Prepares the body of a provider's response for the caller: decompressed, decoded to UTF-8 if it is text, and
//! with the credential redacted in every encoding (R52).

use std::borrow::Cow;

use bytes::Bytes;
use encoding_rs::{Encoding, UTF_8};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde_json::value::RawValue;
use switchboard_auth::{DecompressError, Redactor, decompressed};

use crate::error::{Code, Error, Result};

/// A response body by its kind, with the credential redacted.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// No body.
    Empty,
    /// JSON, as the provider sent it.
    Json(Bytes),
    /// Text, converted to UTF-8.
    Text(Bytes),
    /// Anything else.
    Binary(Bytes),
}

impl Content {
    /// The bytes of the body; none if it is empty.
    pub fn bytes(&self) -> Option<&Bytes> {
        match self {
            Self::Empty => None,
            Self::Json(bytes) | Self::Text(bytes) | Self::Binary(bytes) => Some(bytes),
        }
    }
}

/// Media types that are text without the prefix `text/`.
const TEXT_TYPES: [&str; 18] = [
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
/// Structured syntax suffixes of text formats (RFC 6839).
const TEXT_SUFFIXES: [&str; 5] = ["+xml", "+yaml", "+toml", "+csv", "+text"];

/// Whether decompressing a body or converting it to UTF-8 can make it longer.
pub fn may_grow(headers: &HeaderMap) -> bool {
    let names_utf_8 = |value: &str| {
        let value = value.to_ascii_lowercase();
        !value.contains("charset") || value.contains("utf-8") || value.contains("utf8") || value.contains("us-ascii")
    };
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    headers.contains_key(CONTENT_ENCODING) || !types.all(|value| value.to_str().is_ok_and(names_utf_8))
}

/// Whether a body is binary whatever its bytes are: its type is neither that of JSON nor of a text, and it has no
/// content coding.
pub fn is_binary(headers: &HeaderMap) -> bool {
    let (media_type, charset) = parse_content_type(content_type(headers));
    !headers.contains_key(CONTENT_ENCODING) && !may_be_text(&media_type, charset)
}

/// Removes the content coding of a response, within a limit in bytes.
///
/// # Errors
/// 502 if the coding is unknown, the data are corrupt, or the response is too large.
pub fn decompress(headers: &mut HeaderMap, body: Bytes, limit: usize) -> Result<Bytes> {
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
    // The response to a HEAD has the headers of a body that was not sent.
    if !plain.is_empty() {
        headers.remove(CONTENT_ENCODING);
    }
    Ok(plain)
}

/// Classifies a decompressed body. A body with a text type or a charset is text if it is well-formed in that
/// charset. `limit`, in bytes, also applies to the text in UTF-8.
pub fn parse_content(headers: &HeaderMap, body: Bytes, redactor: &Redactor, limit: usize) -> Result<Content> {
    if body.is_empty() {
        return Ok(Content::Empty);
    }
    let (media_type, charset) = parse_content_type(content_type(headers));
    let Some(text) = decode_text(&body, &media_type, charset) else {
        return Ok(Content::Binary(redacted(body, redactor)));
    };
    if text.len() > limit {
        return Err(Error::of(Code::UpstreamTooLarge, &[("limit", &limit)]));
    }
    if media_type.is_empty() || is_json(&media_type) {
        // Parsing into a RawValue allocates no tree and does not recurse, so deep nesting is harmless.
        if let Ok(json) = serde_json::from_str::<&RawValue>(&text) {
            return Ok(Content::Json(match redactor.redact_json(json.get()) {
                Cow::Borrowed(unchanged) => slice_or_copy(&body, unchanged),
                Cow::Owned(changed) => changed.into(),
            }));
        }
        // Declared as JSON, but invalid: returned as text.
    }
    Ok(Content::Text(match redactor.redact(text.as_bytes()) {
        Cow::Borrowed(unchanged) => match std::str::from_utf8(unchanged) {
            Ok(unchanged) => slice_or_copy(&body, unchanged),
            Err(_) => Bytes::new(),
        },
        Cow::Owned(changed) => changed.into(),
    }))
}

/// Bytes with the credential redacted; not copied if there is none.
pub fn redacted(bytes: Bytes, redactor: &Redactor) -> Bytes {
    let changed = match redactor.redact(&bytes) {
        Cow::Borrowed(unchanged) if unchanged.len() == bytes.len() => None,
        changed => Some(changed.into_owned()),
    };
    changed.map_or(bytes, Bytes::from)
}

/// A slice of the body if the text lies within it; otherwise a copy.
fn slice_or_copy(body: &Bytes, text: &str) -> Bytes {
    let (body_range, text_range) = (body.as_ptr_range(), text.as_bytes().as_ptr_range());
    if body_range.start <= text_range.start && text_range.end <= body_range.end {
        body.slice_ref(text.as_bytes())
    } else {
        Bytes::copy_from_slice(text.as_bytes())
    }
}

/// If the header is repeated, clients use the last value.
fn content_type(headers: &HeaderMap) -> &str {
    headers.get_all(CONTENT_TYPE).iter().next_back().and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The media type in lower case, and the charset parameter.
fn parse_content_type(content_type: &str) -> (String, Option<&str>) {
    let mut parts = content_type.split(';');
    let media_type = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    (media_type, charset)
}

fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type == "text/json" || media_type.ends_with("+json")
}

/// Whether the type of a body is that of JSON or of a text; without a type, the bytes decide.
fn is_text(media_type: &str) -> bool {
    media_type.is_empty()
        || is_json(media_type)
        || media_type.starts_with("text/")
        || TEXT_TYPES.contains(&media_type)
        || TEXT_SUFFIXES.iter().any(|ending| media_type.ends_with(ending))
}

/// Whether a body with this type is text if its bytes are.
fn may_be_text(media_type: &str, charset: Option<&str>) -> bool {
    charset.is_some() || media_type.starts_with("application/vnd.") || is_text(media_type)
}

/// The body as text; none if it is binary.
fn decode_text<'b>(body: &'b [u8], media_type: &str, charset: Option<&str>) -> Option<Cow<'b, str>> {
    if !may_be_text(media_type, charset) {
        return None;
    }
    let text = decode(body, charset)?;
    // In some charsets every byte is a character, so a body without a text type must also look like text.
    let is_readable = |text: &str| !text.bytes().any(|byte| byte < b' ' && !b"\t\n\r\x0c".contains(&byte));
    (is_text(media_type) || is_readable(&text)).then_some(text)
}

/// Decodes by the byte order mark, else by the charset, else as UTF-8.
fn decode<'b>(body: &'b [u8], charset: Option<&str>) -> Option<Cow<'b, str>> {
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
        parse_content(&headers, Bytes::copy_from_slice(body), &redactor(), 1_000).unwrap()
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
        // Text in other charsets is redacted, too.
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
        let Content::Json(json) = parse_content(&headers, body.clone(), &redactor(), 100).unwrap() else { panic!() };
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
        assert_eq!(decompress(&mut headers.clone(), packed.clone(), 4_999).unwrap_err().code(), Code::UpstreamTooLarge);
        assert_eq!(
            decompress(&mut headers.clone(), packed.slice(..20), 5_000).unwrap_err().code(),
            Code::UpstreamUnreachable
        );
        assert_eq!(decompress(&mut headers, packed, 5_000).unwrap(), &[b'a'; 5_000][..]);
        assert!(headers.is_empty());
    }
}
