//! Validation of entered values: one that becomes part of a URL is never free text (R44).

use std::borrow::Cow;

use regex_lite::Regex;
use url::{Host, Url};

use crate::host;
use crate::model::{Capture, Field, FieldFormat};

/// Maximum length of a text field in characters: enough for a signed token.
const MAX_CHARACTERS: usize = 4096;

/// Maximum length of a document in characters.
const MAX_DOCUMENT: usize = 32_768;

impl Field {
    /// Validates a value for this field.
    ///
    /// # Errors
    /// Describes the expected format without the value, which may be a secret.
    pub fn check(&self, value: &str) -> Result<(), Cow<'static, str>> {
        self.format.check(value)?;
        if self.secret && value.chars().any(is_invisible) {
            return Err("holds an invisible character that was copied along; copy it once more".into());
        }
        if !self.options.is_empty() && !self.options.iter().any(|option| option.value == value) {
            let values: Vec<&str> = self.options.iter().map(|option| option.value.as_str()).collect();
            return Err(format!("must be one of: {}", values.join(", ")).into());
        }
        let Some(pattern) = &self.pattern else { return Ok(()) };
        match compile(pattern) {
            Ok(regex) if regex.is_match(value) => Ok(()),
            _ => Err(match &self.example {
                Some(example) if !self.secret => format!("must look like {example}").into(),
                _ => "does not have the form that it should have; copy it again, completely".into(),
            }),
        }
    }

    /// The entered text without surrounding white space and invisible characters, and without the prefix and
    /// suffix that the file names.
    pub fn clean<'v>(&self, entered: &'v str) -> &'v str {
        let mut value = entered.trim_matches(|letter: char| letter.is_whitespace() || is_invisible(letter));
        for prefix in &self.strip_prefixes {
            value = value.strip_prefix(prefix.as_str()).unwrap_or(value);
        }
        for suffix in &self.strip_suffixes {
            value = value.strip_suffix(suffix.as_str()).unwrap_or(value);
        }
        value
    }
}

/// A zero-width character that no key contains: a byte order mark, a zero-width space, a direction mark.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

impl FieldFormat {
    /// Validates the format of a value.
    ///
    /// # Errors
    /// Describes the expected format without the value.
    pub fn check(self, value: &str) -> Result<(), &'static str> {
        match self {
            Self::Text => check_text(value),
            Self::Document => check_document(value),
            Self::DnsLabel => check_dns_label(value),
            Self::Hostname => check_hostname(value),
            Self::Origin => check_origin(value),
            Self::PathSegment => check_path_segment(value),
        }
    }

    /// Whether a value of this format may be part of a URL.
    pub fn fits_url(self) -> bool {
        !matches!(self, Self::Text | Self::Document)
    }
}

impl Capture {
    /// Validates a captured value.
    ///
    /// # Errors
    /// The reason, without the value.
    pub fn check(&self, value: &str) -> Result<(), &'static str> {
        self.format.check(value)?;
        if self.allowed.is_empty() || self.allowed.iter().any(|allowed| is_allowed(allowed, value)) {
            return Ok(());
        }
        Err("is not one of the values that the toolkit allows")
    }
}

/// Equal to the host, or below the domain of `*.domain`.
fn is_allowed(allowed: &str, value: &str) -> bool {
    let Some(domain) = allowed.strip_prefix('*') else { return allowed == value };
    let host = match Url::parse(value) {
        Ok(url) => url.host_str().unwrap_or_default().to_owned(),
        Err(_) => value.to_owned(),
    };
    host.len() > domain.len() && host.ends_with(domain)
}

/// Compiles a pattern that must match the whole value.
pub(crate) fn compile(pattern: &str) -> Result<Regex, regex_lite::Error> {
    Regex::new(&format!("^(?:{pattern})$"))
}

fn check_document(value: &str) -> Result<(), &'static str> {
    if value.trim().is_empty() {
        return Err("must not be empty");
    }
    if value.chars().count() > MAX_DOCUMENT {
        return Err("must not be longer than 32768 characters");
    }
    if value.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) {
        return Err("must not contain control characters but line breaks");
    }
    Ok(())
}

/// RFC 3986 section 2.3: unreserved characters. Segments of dots would traverse the path.
fn check_path_segment(value: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let shape = (1..=128).contains(&value.len()) && value.bytes().all(allowed);
    if !shape || value.bytes().all(|byte| byte == b'.') {
        return Err("must be 1 to 128 letters, digits, `-`, `_`, `.` and `~`");
    }
    Ok(())
}

fn check_text(value: &str) -> Result<(), &'static str> {
    if value.trim().is_empty() {
        return Err("must not be empty");
    }
    if value.chars().count() > MAX_CHARACTERS {
        return Err("must not be longer than 4096 characters");
    }
    if value.chars().any(char::is_control) {
        return Err("must not contain line breaks or other control characters");
    }
    Ok(())
}

/// RFC 1123 section 2.1: 1 to 63 letters, digits and inner hyphens. Lower case only, because the value is
/// compared with hosts that a URL parser has converted to lower case.
fn check_dns_label(value: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let shape = (1..=63).contains(&value.len()) && value.bytes().all(allowed);
    // `xn--zz` is not valid Punycode: no URL parser accepts a host with this label.
    let readable = || matches!(Host::parse(&format!("{value}.test")), Ok(Host::Domain(_)));
    if !shape || value.starts_with('-') || value.ends_with('-') || !readable() {
        return Err("must be a single name of 1 to 63 lower-case letters, digits and hyphens, without dots");
    }
    Ok(())
}

/// Two or more DNS labels that are not an IP address to any URL parser.
fn check_hostname(value: &str) -> Result<(), &'static str> {
    const MESSAGE: &str = "must be a lower-case host name such as `example.com`, without scheme, port or path";
    let labels_fit = value.split('.').all(|label| check_dns_label(label).is_ok());
    if value.len() > 253 || !value.contains('.') || !labels_fit {
        return Err(MESSAGE);
    }
    // `127.1` and `0x7f.0.0.1` consist of labels, too; the URL parser decides what is an address.
    match Host::parse(value) {
        Ok(Host::Domain(domain)) if domain == value => Ok(()),
        _ => Err(MESSAGE),
    }
}

/// An https origin (RFC 6454 section 6.2), spelled as a URL parser would, so that the checked value is the
/// one that is connected to.
fn check_origin(value: &str) -> Result<(), &'static str> {
    const MESSAGE: &str = "must be `https://host` or `https://host:port` in lower case, without a path";
    let Ok(url) = Url::parse(value) else {
        return Err(MESSAGE);
    };
    let without_default_port = value.strip_suffix(":443").unwrap_or(value);
    let as_written = url.origin().ascii_serialization() == without_default_port;
    if url.scheme() != "https" || !as_written || !host::is_plain(&url) {
        return Err(MESSAGE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(format: FieldFormat) -> Field {
        Field { format, ..Field::text("subdomain", "Subdomain") }
    }

    fn assert_cases(format: FieldFormat, good: &[&str], bad: &[&str]) {
        let field = field(format);
        for value in good {
            assert_eq!(field.check(value), Ok(()), "{format:?} {value:?}");
        }
        for value in bad {
            assert!(field.check(value).is_err(), "{format:?} {value:?}");
        }
    }

    /// Values that turn a host into another one (R44); every format must reject them.
    const ATTACKS: [&str; 20] = [
        "",
        " ",
        "evil.test/#",
        "a.evil.test?",
        "x@y",
        "acme\r\nHost: evil.test",
        "acme\n",
        "acme\t",
        "\u{0}acme",
        "acme\u{7f}",
        "evil.test\\",
        "evil.test/../",
        "evil.test%2f",
        "evil.test#",
        "evil.test:443@acme",
        "acme ",
        " acme",
        "acme。evil。test",
        "аcme", // Cyrillic а
        "{access_token}",
    ];

    #[test]
    fn a_dns_label_is_one_label() {
        let long = "a".repeat(64);
        assert_cases(
            FieldFormat::DnsLabel,
            &["acme", "a", "7", "acme-2", "xn--bcher-kva", &long[..63]],
            &[&ATTACKS[..], &["acme.evil.test", ".", "-a", "a-", "ACME", "a_b", "xn--zz", &long]].concat(),
        );
    }

    #[test]
    fn a_hostname_is_a_name_and_not_an_address() {
        let long = ["a".repeat(63).as_str(); 4].join(".");
        let addresses = ["127.0.0.1", "127.1", "0x7f.0.0.1", "1.2.3.0x4", "[::1]", "2130706433"];
        let others = ["localhost", "a.b.", ".a.b", "a..b", "a.b:443", "https://a.b", "A.b", &long];
        assert_cases(
            FieldFormat::Hostname,
            &["example.com", "login.eu.example.com", "a.b", "1.example.com", "xn--bcher-kva.de"],
            &[&ATTACKS[..], &addresses, &others].concat(),
        );
    }

    #[test]
    fn an_origin_is_only_https_and_a_host() {
        assert_cases(
            FieldFormat::Origin,
            &[
                "https://gitlab.example.com",
                "https://gitlab.example.com:8443",
                "https://gitlab.example.com:443",
                "https://10.1.2.3",
                "https://[2001:db8::1]:8443",
            ],
            &[
                &ATTACKS[..],
                &[
                    "http://gitlab.example.com",
                    "gitlab.example.com",
                    "https://gitlab.example.com/",
                    "https://gitlab.example.com/evil",
                    "https://gitlab.example.com?x",
                    "https://gitlab.example.com#x",
                    "https://user@gitlab.example.com",
                    "https://gitlab.example.com@evil.test",
                    "https://evil.test\\.example.com",
                    "https://git\tlab.example.com",
                    "https://gitlab.example.com\r\n",
                    "https://2130706433",
                    "https://127.1",
                    "https://GITLAB.example.com",
                    "https://",
                    "https://a:99999",
                    "https://a:0",
                    "https://*.example.com",
                    "https://*",
                    "https://a..b",
                    "https://a.",
                    "https://a!b",
                    "javascript:alert(1)",
                    "file:///etc/passwd",
                ],
            ]
            .concat(),
        );
    }

    #[test]
    fn text_is_visible_and_bounded() {
        let max_text = "é".repeat(4096);
        let too_long = "a".repeat(4097);
        assert_cases(
            FieldFormat::Text,
            &["x", "sk_live_51H", "two words", "пароль", &max_text],
            &["", "  ", "a\nb", "a\r", "a\u{0}", "a\u{85}", "a\u{7f}", &too_long],
        );
    }

    #[test]
    fn a_path_segment_stays_one() {
        let long = "a".repeat(129);
        assert_cases(
            FieldFormat::PathSegment,
            &["a", "9130357", "b1f2-77_a.b~c", "..a", &long[..128]],
            &[&ATTACKS[..], &["a/b", "..", ".", "a%2fb", "ü", &long]].concat(),
        );
    }

    #[test]
    fn a_document_has_lines() {
        assert_cases(FieldFormat::Document, &["-----BEGIN X-----\r\nab\n", "{\t}"], &["", " \n", "a\0", "\u{1b}[0m"]);
    }

    #[test]
    fn patterns_options_and_stripped_affixes() {
        let field = Field {
            pattern: Some("[a-z]+-[0-9]{2}".to_owned()),
            example: Some("ab-12".to_owned()),
            strip_prefixes: vec!["https://".to_owned()],
            strip_suffixes: vec!["/".to_owned(), ".example.com".to_owned()],
            ..Field::text("dc", "Data centre")
        };
        assert_eq!(field.clean("  https://us-01.example.com/ "), "us-01");
        assert_eq!(field.check("us-01"), Ok(()));
        for wrong in ["us-011", "xus-01\n", "us", "1us-01"] {
            assert!(field.check(wrong).is_err(), "{wrong}");
        }
        assert_eq!(field.check("us").unwrap_err(), "must look like ab-12");
        let options = ["eu", "us"].map(|value| crate::model::FieldOption {
            value: value.into(),
            label: value.into(),
            sets: std::collections::BTreeMap::new(),
        });
        let field = Field { options: options.into(), ..Field::text("region", "Region") };
        assert_eq!(field.check("eu"), Ok(()));
        assert_eq!(field.check("EU").unwrap_err(), "must be one of: eu, us");
    }

    #[test]
    fn an_error_does_not_repeat_the_value() {
        for format in [FieldFormat::Text, FieldFormat::DnsLabel, FieldFormat::Hostname, FieldFormat::Origin] {
            let message = field(format).check("hunter2\n@").expect_err("control character");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
