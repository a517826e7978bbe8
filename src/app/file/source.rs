//! What names a file in an argument: the key of an upload, a URL, a `data:` URL or base64, or a path of the session's
//! mount. A path of another computer is none, and gets an error that says so.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};
use url::Url;

use super::mount::{MOUNT_PREFIX, mount_path};
use super::name::media_type;
use super::upload::is_file_id;
use super::{ID_LENGTH, KEY_SECRET};

/// Base64 without padding or with it.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
/// A text of base64 alone has at least so many characters: shorter ones are more likely names.
const MIN_BASE64: usize = 64;

/// What an argument can be.
pub const ACCEPTED: &str = "the key of an upload (POST /files/upload/request), a URL that starts with https://, a data: \
     URL, or the path of a file in the session's mount such as /mnt/files/report.pdf";

/// A file that an argument names.
#[derive(Clone)]
pub struct NamedFile {
    /// Where its bytes are.
    pub source: FileSource,
    /// Its name, if the argument says it.
    pub name: Option<String>,
    /// Its media type, if the argument says it.
    pub mimetype: Option<String>,
}

/// Where the bytes of a file are.
#[derive(Clone)]
pub enum FileSource {
    /// In a file of the project, by its key.
    Key(String),
    /// At a URL.
    Url(Url),
    /// In the argument itself.
    Bytes(Bytes),
    /// At a path of the session's mount.
    Mount(String),
}

crate::redacted_debug!(NamedFile, FileSource);

impl NamedFile {
    /// The file that a value names.
    ///
    /// # Errors
    /// What is wrong with it, and what it can be. The value is not quoted: it may be a secret.
    pub fn parse(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => match serde_json::from_str(text.trim()) {
                // An object as JSON text, which some models write.
                Ok(Value::Object(members)) => Self::from_members(&members),
                _ => Self::from_text(text.trim()),
            },
            Value::Object(members) => Self::from_members(members),
            _ => Err(format!("must be {ACCEPTED}")),
        }
    }

    /// `{name, mimetype, s3key}` as SDKs send it, or the same with another source.
    fn from_members(members: &Map<String, Value>) -> Result<Self, String> {
        let text = |names: &[&str]| {
            names.iter().find_map(|name| members.get(*name).and_then(Value::as_str)).filter(|text| !text.is_empty())
        };
        let mut named = if let Some(key) = text(&["s3key", "key"]) {
            Self::from_text(key)?
        } else if let Some(url) = text(&["s3url", "url"]) {
            Self::from_text(url)?
        } else if let Some(content) = text(&["base64"]) {
            let bytes = decode(content).ok_or("has base64 that cannot be decoded")?;
            Self { source: FileSource::Bytes(bytes), name: None, mimetype: None }
        } else if let Some(path) = text(&["mount_relative_path"]) {
            Self { source: FileSource::Mount(mount_path(path)?), name: None, mimetype: None }
        } else {
            return Err("must have one of s3key, url, base64 and mount_relative_path".to_owned());
        };
        named.name = text(&["name", "filename"]).map(super::base_name).or(named.name);
        if let Some(given) = text(&["mimetype", "content_type"]) {
            named.mimetype = Some(media_type(given).ok_or("has a mimetype that is none, such as image/png")?);
        }
        Ok(named)
    }

    fn from_text(text: &str) -> Result<Self, String> {
        let plain = |source| Ok(Self { source, name: None, mimetype: None });
        let starts = |prefix: &str| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        if is_key(text) {
            return plain(FileSource::Key(text.to_owned()));
        }
        if starts("data:") {
            return data_url(text);
        }
        if starts("https://") || starts("http://") {
            let url = Url::parse(text).map_err(|_| "is not a valid URL")?;
            return plain(FileSource::Url(url));
        }
        if text.strip_prefix(MOUNT_PREFIX).is_some_and(|rest| rest.starts_with('/')) {
            return plain(FileSource::Mount(mount_path(text)?));
        }
        if let Some(bytes) = Some(text).filter(|text| text.len() >= MIN_BASE64 && !is_local_path(text)).and_then(decode)
        {
            return plain(FileSource::Bytes(bytes));
        }
        if is_local_path(text) {
            return Err(format!(
                "looks like a path of your own computer, which this server cannot read; give {ACCEPTED}"
            ));
        }
        Err(format!("names no file: give {ACCEPTED}"))
    }
}

/// The key of a file: its id and a random part.
fn is_key(text: &str) -> bool {
    text.len() == ID_LENGTH + 1 + KEY_SECRET
        && text.as_bytes().get(ID_LENGTH) == Some(&b'_')
        && text.get(..ID_LENGTH).is_some_and(is_file_id)
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_local_path(text: &str) -> bool {
    // The bytes of a JPEG begin so in base64.
    if text.starts_with("/9j/") {
        return false;
    }
    let starts = ["/", "./", "../", "~", "file:", "\\\\", ".\\"].iter().any(|start| text.starts_with(start));
    let is_drive = text.as_bytes().get(1) == Some(&b':');
    let has_extension = text.rsplit_once('.').is_some_and(|(_, extension)| {
        (1..=5).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    starts || is_drive || has_extension
}

/// Base64 in one of the alphabets, with or without line ends.
fn decode(text: &str) -> Option<Bytes> {
    let plain: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let engine = if plain.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    engine.decode(plain).ok().map(Bytes::from)
}

/// `data:image/png;name=a.png;base64,…` (RFC 2397).
fn data_url(text: &str) -> Result<NamedFile, String> {
    let wrong = || "has a data: URL that is not valid; write data:<type>;base64,<bytes>".to_owned();
    let (head, content) = text.get(5..).and_then(|rest| rest.split_once(',')).ok_or_else(wrong)?;
    let mut parts = head.split(';').map(str::trim);
    let mimetype = parts.next().and_then(media_type);
    let (mut name, mut is_base64) = (None, false);
    for part in parts {
        match part.split_once('=') {
            Some(("name" | "filename", given)) => {
                name = Some(super::base_name(&percent_decode_str(given).decode_utf8_lossy()));
            }
            _ => is_base64 |= part.eq_ignore_ascii_case("base64"),
        }
    }
    let bytes = if is_base64 {
        decode(&percent_decode_str(content).decode_utf8_lossy()).ok_or_else(wrong)?
    } else {
        percent_decode_str(content).collect::<Vec<u8>>().into()
    };
    Ok(NamedFile { source: FileSource::Bytes(bytes), name, mimetype })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const KEY: &str = "file_0Uhd1rl2wabcdefghijk_0123456789abcdefghijkl";

    fn kind(value: &Value) -> &'static str {
        match NamedFile::parse(value).map(|named| named.source) {
            Ok(FileSource::Key(_)) => "key",
            Ok(FileSource::Url(_)) => "url",
            Ok(FileSource::Bytes(_)) => "bytes",
            Ok(FileSource::Mount(_)) => "mount",
            Err(problem) if problem.contains("your own computer") => "local",
            Err(_) => "none",
        }
    }

    #[test]
    fn every_form_of_a_file_is_told_from_a_local_path() {
        let base64 = "QUJD".repeat(16);
        for (value, expected) in [
            (json!(KEY), "key"),
            (json!(&KEY[..ID_LENGTH]), "none"),
            (json!({ "id": &KEY[..ID_LENGTH] }), "none"),
            (json!({ "name": "a.pdf", "mimetype": "application/pdf", "s3key": KEY }), "key"),
            (json!(format!("{{\"s3key\": \"{KEY}\"}}")), "key"),
            (json!("https://example.com/a.pdf"), "url"),
            (json!({ "url": "HTTPS://example.com/a" }), "url"),
            (json!("data:text/plain;base64,QUJD"), "bytes"),
            (json!("data:,a%20b"), "bytes"),
            (json!(base64), "bytes"),
            (json!({ "base64": "QUI=", "name": "x" }), "bytes"),
            (json!("/mnt/files/out/a.pdf"), "mount"),
            (json!({ "mount_relative_path": "out/a.pdf" }), "mount"),
            (json!("/home/ada/report.pdf"), "local"),
            (json!("report.pdf"), "local"),
            (json!("C:\\Users\\ada\\a.doc"), "local"),
            (json!("~/a"), "local"),
            (json!("file:///etc/passwd"), "local"),
            (json!("/etc/passwd"), "local"),
            (json!("/mnt/files/../../etc/passwd"), "none"),
            (json!("attachment"), "none"),
            (json!("QUJD"), "none"),
            (json!("data:text/plain;base64"), "none"),
            (json!("data:text/plain;base64,!!!"), "none"),
            (json!({ "name": "a" }), "none"),
            (json!({ "base64": "QUI=", "mimetype": "nonsense" }), "none"),
            (json!(["https://example.com"]), "none"),
            (json!(7), "none"),
        ] {
            assert_eq!(kind(&value), expected, "{value}");
        }
    }

    #[test]
    fn names_and_types_come_from_the_argument() {
        let named = NamedFile::parse(&json!("data:image/png;name=..%2Fa.png;base64,QUJD")).unwrap();
        assert_eq!((named.name.as_deref(), named.mimetype.as_deref()), (Some("a.png"), Some("image/png")));
        let named = NamedFile::parse(&json!({ "s3key": KEY, "name": "/tmp/b.txt", "mimetype": "Text/Plain" })).unwrap();
        assert_eq!((named.name.as_deref(), named.mimetype.as_deref()), (Some("b.txt"), Some("text/plain")));
    }
}
