//! What kind of file bytes are, by how they begin. A sender's word about it is not trusted where the bytes say otherwise.

/// How many bytes are looked at.
pub(super) const SNIFFED: usize = 512;

/// Where formats have which bytes.
const SIGNATURES: [(usize, &[u8], &str); 22] = [
    (0, b"%PDF-", "application/pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (257, b"ustar", "application/x-tar"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"BM", "image/bmp"),
];

/// What many formats are an archive or a container of.
const CONTAINERS: [&str; 6] =
    ["application/zip", "video/mp4", "video/webm", "audio/ogg", "application/gzip", "image/tiff"];

/// The media type that the first bytes of a file show.
pub(super) fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let has =
        |(at, signature, _): &&(usize, &[u8], &str)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(signature));
    if let Some((_, _, media_type)) = SIGNATURES.iter().find(has) {
        return Some(media_type);
    }
    let start = bytes.get(..SNIFFED.min(bytes.len())).unwrap_or_default();
    let text = String::from_utf8_lossy(start).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    (text.starts_with("<!doctype html") || text.starts_with("<html")).then_some("text/html")
}

/// The media type of a file: as its bytes show, unless the declared one is a more exact form of that.
pub(super) fn decide(bytes: &[u8], declared: Option<String>, by_name: Option<&str>) -> String {
    let claimed =
        declared.filter(|declared| declared != "application/octet-stream" && declared != "binary/octet-stream");
    let claimed = claimed.or_else(|| by_name.map(str::to_owned));
    let sniffed = sniff(bytes).filter(|sniffed| claimed.is_none() || !CONTAINERS.contains(sniffed));
    sniffed.map(str::to_owned).or(claimed).unwrap_or_else(|| "application/octet-stream".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide_unless_the_declared_type_is_more_exact() {
        let declared = |text: &str| Some(text.to_owned());
        for (bytes, claimed, expected) in [
            (&b"%PDF-1.7"[..], declared("text/plain"), "application/pdf"),
            (b"\x89PNG\r\n\x1a\n", None, "image/png"),
            (b"PK\x03\x04", declared("application/epub+zip"), "application/epub+zip"),
            (b"PK\x03\x04", None, "application/zip"),
            (b" \n<!DOCTYPE html>", declared("application/pdf"), "text/html"),
            (b"a,b", declared("text/csv"), "text/csv"),
            (b"a,b", declared("application/octet-stream"), "application/octet-stream"),
            (b"", None, "application/octet-stream"),
        ] {
            assert_eq!(decide(bytes, claimed, None), expected);
        }
        assert_eq!(decide(b"a,b", declared("application/octet-stream"), Some("text/csv")), "text/csv");
    }
}
