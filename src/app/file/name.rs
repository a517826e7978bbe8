//! Names of files, media types and the extensions that go with them.

/// Maximum length of a name in bytes, as file systems have it.
const MAX_NAME: usize = 255;
/// The name of a file without one.
const NAMELESS: &str = "file";

/// Media types and the extension of each. The first of a type is the one that names get.
const EXTENSIONS: [(&str, &str); 36] = [
    ("application/gzip", "gz"),
    ("application/json", "json"),
    ("application/msword", "doc"),
    ("application/ogg", "ogx"),
    ("application/pdf", "pdf"),
    ("application/rtf", "rtf"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/vnd.oasis.opendocument.text", "odt"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/x-tar", "tar"),
    ("application/xml", "xml"),
    ("application/zip", "zip"),
    ("audio/flac", "flac"),
    ("audio/mp4", "m4a"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "ogg"),
    ("audio/wav", "wav"),
    ("image/bmp", "bmp"),
    ("image/gif", "gif"),
    ("image/jpeg", "jpg"),
    ("image/jpeg", "jpeg"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tiff", "tiff"),
    ("image/webp", "webp"),
    ("message/rfc822", "eml"),
    ("text/calendar", "ics"),
    ("text/csv", "csv"),
    ("text/html", "html"),
    ("text/markdown", "md"),
    ("text/plain", "txt"),
    ("text/vcard", "vcf"),
    ("video/mp4", "mp4"),
    ("video/webm", "webm"),
];

/// The last part of a path, without what a name cannot have. `file` if nothing is left.
pub fn base_name(path: &str) -> String {
    let last = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|letter| !letter.is_control()).collect();
    // The end has the extension.
    let surplus = name.len().saturating_sub(MAX_NAME);
    let start = (surplus..=name.len()).find(|start| name.is_char_boundary(*start)).unwrap_or(name.len());
    let name = name.get(start..).unwrap_or_default().trim();
    if name.is_empty() || name == "." || name == ".." { NAMELESS.to_owned() } else { name.to_owned() }
}

/// A media type without parameters, in lower case; none if it is not one.
pub(super) fn media_type(given: &str) -> Option<String> {
    let plain = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let (kind, sub) = plain.split_once('/')?;
    (plain.len() <= 127 && is_token(kind) && is_token(sub)).then_some(plain)
}

/// The media type that the extension of a name stands for.
pub(super) fn type_of_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    EXTENSIONS.iter().find(|(_, known)| known.eq_ignore_ascii_case(extension)).map(|(media_type, _)| *media_type)
}

/// A name with the extension of its media type, if it has none.
pub(super) fn with_extension(name: String, media_type: &str) -> String {
    if name.contains('.') {
        return name;
    }
    match EXTENSIONS.iter().find(|(known, _)| *known == media_type) {
        Some((_, extension)) => format!("{name}.{extension}"),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_folders_and_no_control_characters() {
        for (path, name) in [
            ("report.pdf", "report.pdf"),
            ("/etc/passwd", "passwd"),
            ("..\\..\\evil.exe", "evil.exe"),
            ("a/..", "file"),
            ("", "file"),
            ("a\r\nb.txt", "ab.txt"),
            ("  ", "file"),
        ] {
            assert_eq!(base_name(path), name, "{path:?}");
        }
        let long = format!("{}.pdf", "é".repeat(300));
        assert!(base_name(&long).len() <= MAX_NAME && base_name(&long).contains(".pdf"));
        // As long as a request can make it: the time grows with the length alone.
        let start = std::time::Instant::now();
        assert_eq!(base_name(&"é".repeat(2 << 20)).len(), MAX_NAME - 1);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }

    #[test]
    fn media_types_are_plain() {
        assert_eq!(media_type("Text/HTML; charset=x").as_deref(), Some("text/html"));
        for wrong in ["", "text", "text/", "/x", "text/pl ain", "text/x\r\ny", "a/b/c"] {
            assert_eq!(media_type(wrong), None, "{wrong:?}");
        }
        assert_eq!(with_extension("a".to_owned(), "image/png"), "a.png");
        assert_eq!(type_of_name("A.JPG"), Some("image/jpeg"));
    }
}
