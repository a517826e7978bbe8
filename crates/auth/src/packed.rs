//! Content codings (RFC 9110 section 8.4.1) of responses that are compressed although that was not requested.
//! One layer is decompressed, with a limit on the output.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// Values of `Content-Encoding` that mean no compression: `identity`, and values that servers send by
/// mistake.
const NOTHING: [&str; 8] = ["identity", "none", "utf-8", "utf8", "iso-8859-1", "us-ascii", "8bit", "binary"];

/// Why a body cannot be decompressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Packed {
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
/// [`Packed`].
pub fn unpacked<'b>(headers: &HeaderMap, body: &'b [u8], limit: usize) -> Result<Cow<'b, [u8]>, Packed> {
    match coding(headers)? {
        None => Ok(Cow::Borrowed(body)),
        Some(_) if body.is_empty() => Ok(Cow::Borrowed(body)),
        Some(Coding::Gzip) if !is_gzip(body) => Ok(Cow::Borrowed(body)),
        Some(Coding::Gzip) => inflate(MultiGzDecoder::new(body), limit).map(Cow::Owned),
        Some(Coding::Deflate) if is_zlib(body) => {
            // The first two bytes of raw deflate may look like a zlib header.
            match inflate(ZlibDecoder::new(body), limit) {
                Err(Packed::Broken) => inflate(DeflateDecoder::new(body), limit).map(Cow::Owned),
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
pub(crate) fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, Packed> {
    inflate(MultiGzDecoder::new(body), limit)
}

/// Whether the body starts with a zlib header (RFC 1950 section 2.2).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [first, second, ..] if first & 0x0f == 8 && (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31))
}

fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Packed> {
    let mut found = None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let Ok(text) = value.to_str() else { return Err(Packed::Unknown) };
        for name in text.split(',').map(|name| name.trim().to_ascii_lowercase()) {
            let coding = match name.as_str() {
                "" => continue,
                name if NOTHING.contains(&name) => continue,
                "gzip" | "x-gzip" => Coding::Gzip,
                "deflate" => Coding::Deflate,
                _ => return Err(Packed::Unknown),
            };
            // Only one layer: a body that was compressed twice is refused.
            if found.replace(coding).is_some() {
                return Err(Packed::Unknown);
            }
        }
    }
    Ok(found)
}

fn inflate(reader: impl Read, limit: usize) -> Result<Vec<u8>, Packed> {
    let mut out = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    match reader.take(most).read_to_end(&mut out) {
        Ok(_) if out.len() > limit => Err(Packed::TooLarge),
        Ok(_) => Ok(out),
        Err(_) => Err(Packed::Broken),
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
    fn what_is_packed_once_is_unpacked() {
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
            assert_eq!(unpacked(&labelled(labels), &body, 1_000).as_deref(), Ok(&text[..]), "{labels:?}");
        }
        assert_eq!(unpacked(&labelled(&["gzip"]), b"", 10).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn what_cannot_be_unpacked_says_why() {
        let packed = gzip(&[b'x'; 5_000]);
        for (labels, body, expected) in [
            (&["br"][..], &packed[..], Packed::Unknown),
            (&["zstd"], &packed, Packed::Unknown),
            (&["gzip, gzip"], &packed, Packed::Unknown),
            (&["gzip", "deflate"], &packed, Packed::Unknown),
            (&["gzip"], &packed[..packed.len() / 2], Packed::Broken),
            (&["deflate"], b"{\"a\":1}", Packed::Broken),
            (&["gzip"], &packed, Packed::TooLarge),
        ] {
            assert_eq!(unpacked(&labelled(labels), body, 4_999), Err(expected), "{labels:?}");
        }
        assert!(unpacked(&labelled(&["gzip"]), &packed, 5_000).is_ok());
    }

    #[test]
    fn a_bomb_fills_no_memory() {
        let bomb = gzip(&vec![0; 64 << 20]);
        assert!(bomb.len() < 100_000);
        assert_eq!(unpacked(&labelled(&["gzip"]), &bomb, 1 << 20), Err(Packed::TooLarge));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(label in "gzip|deflate|br|", body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = unpacked(&labelled(&[&label]), &body, 1_000);
            let _ = gunzip(&body, 1_000);
        }
    }
}
