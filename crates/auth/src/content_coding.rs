//! Content codings (RFC 9110 section 8.4.1) of responses that are compressed although that was not requested.
//! One layer is decompressed, with a limit on the output.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Values of `Content-Encoding` that mean no compression: `identity`, and values that servers send by
/// mistake.
const IDENTITY_CODINGS: [&str; 8] = ["identity", "none", "utf-8", "utf8", "iso-8859-1", "us-ascii", "8bit", "binary"];

/// Why a body cannot be decompressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecompressError {
    /// A coding other than gzip and deflate, or several.
    #[error("the answer is compressed in a way that is not known here")]
    Unknown,
    /// Not in the declared format, or truncated.
    #[error("the answer's compression is broken")]
    Broken,
    /// Larger than the limit after decompression.
    #[error("the answer is too large once it is unpacked")]
    TooLarge,
}

/// The supported codings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Coding {
    Gzip,
    Deflate,
}

/// The body without its content coding: gzip, x-gzip, or deflate with or without a zlib header. A body that
/// is not compressed as declared is returned as it is. `limit` is in bytes and applies to the result.
///
/// # Errors
/// [`DecompressError`].
pub fn decompressed<'b>(headers: &HeaderMap, body: &'b [u8], limit: usize) -> Result<Cow<'b, [u8]>, DecompressError> {
    match coding(headers)? {
        None => Ok(Cow::Borrowed(body)),
        Some(_) if body.is_empty() => Ok(Cow::Borrowed(body)),
        Some(Coding::Gzip) if !is_gzip(body) => Ok(Cow::Borrowed(body)),
        Some(Coding::Gzip) => inflate(MultiGzDecoder::new(body), limit).map(Cow::Owned),
        Some(Coding::Deflate) if is_zlib(body) => {
            // The first two bytes of raw deflate may look like a zlib header.
            match inflate(ZlibDecoder::new(body), limit) {
                Err(DecompressError::Broken) => inflate(DeflateDecoder::new(body), limit).map(Cow::Owned),
                other => other.map(Cow::Owned),
            }
        }
        Some(Coding::Deflate) => inflate(DeflateDecoder::new(body), limit).map(Cow::Owned),
    }
}

/// Gzip's magic number, with which no text begins.
pub(crate) fn is_gzip(body: &[u8]) -> bool {
    body.starts_with(&[0x1f, 0x8b])
}

/// Decompresses a gzip body regardless of its declared coding.
pub(crate) fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, DecompressError> {
    inflate(MultiGzDecoder::new(body), limit)
}

/// Whether the body starts with a zlib header (RFC 1950 section 2.2).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}

fn coding(headers: &HeaderMap) -> Result<Option<Coding>, DecompressError> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let Ok(text) = value.to_str() else { return Err(DecompressError::Unknown) };
        for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            let coding = match name.as_str() {
                "" => continue,
                name if IDENTITY_CODINGS.contains(&name) => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                _ => return Err(DecompressError::Unknown),
            };
            // Only one layer: a body that was compressed twice is refused.
            if found.replace(coding).is_some() {
                return Err(DecompressError::Unknown);
            }
        }
    }
    Ok(found)
}

fn inflate(reader: impl Read, limit: usize) -> Result<Vec<u8>, DecompressError> {
    let mut out = Vec::new();
    let max = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match reader.take(max).read_to_end(&mut out) {
        Ok(_) if out.len() > limit => Err(DecompressError::TooLarge),
        Ok(_) => Ok(out),
        Err(_) => Err(DecompressError::Broken),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn labelled(labels: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for label in labels {
            headers.append(CONTENT_ENCODING, label.parse().unwrap());
        }
        headers
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn raw(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn one_layer_is_decompressed() {
        let text = br#"{"access_token":"at-1"}"#;
        for (labels, body) in [
            (&[][..], text.to_vec()),
            (&["gzip"], gzip(text)),
            (&["X-GZip"], gzip(text)),
            (&["gzip, identity"], gzip(text)),
            (&["deflate"], zlib(text)),
            (&["deflate"], raw(text)),
            (&["gzip"], [gzip(&text[..5]), gzip(&text[5..])].concat()),
            // Wrong declarations.
            (&["gzip"], text.to_vec()),
            (&["UTF-8"], text.to_vec()),
            (&["none"], text.to_vec()),
            (&[""], text.to_vec()),
            (&["identity", "IDENTITY"], text.to_vec()),
        ] {
            assert_eq!(decompressed(&labelled(labels), &body, 1_000).as_deref(), Ok(&text[..]), "{labels:?}");
        }
        assert_eq!(decompressed(&labelled(&["gzip"]), b"", 10).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn a_body_that_cannot_be_decompressed_is_an_error_with_the_reason() {
        let packed = gzip(&[b'x'; 5_000]);
        for (labels, body, expected) in [
            (&["br"][..], &packed[..], DecompressError::Unknown),
            (&["zstd"], &packed, DecompressError::Unknown),
            (&["gzip, gzip"], &packed, DecompressError::Unknown),
            (&["gzip", "deflate"], &packed, DecompressError::Unknown),
            (&["gzip"], &packed[..packed.len() / 2], DecompressError::Broken),
            (&["deflate"], b"{\"a\":1}", DecompressError::Broken),
            (&["gzip"], &packed, DecompressError::TooLarge),
        ] {
            assert_eq!(decompressed(&labelled(labels), body, 4_999), Err(expected), "{labels:?}");
        }
        assert!(decompressed(&labelled(&["gzip"]), &packed, 5_000).is_ok());
    }

    #[test]
    fn a_decompression_bomb_is_limited() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(decompressed(&labelled(&["gzip"]), &bomb, 1 << 20), Err(DecompressError::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(label in "gzip|deflate|br|", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decompressed(&labelled(&[&label]), &body, 1_000);
            let _ = gunzip(&body, 1_000);
        }
    }
}
