//! What a person may enter: a value that becomes part of a URL is never free text (R44).

use url::{Host, Url};

use crate::model::{Field, FieldFormat};

/// Longest value of any field, in characters: room for a signed token, none for a document.
const MAX_CHARACTERS: usize = 4096;

impl Field {
    /// Whether `value` has this field's format.
    ///
    /// # Errors
    /// Says what the value must look like, never what it is: it may be a secret.
    pub fn check(&self, value: &str) -> Result<(), &'static str> {
        match self.format {
            FieldFormat::Text => check_text(value),
            FieldFormat::DnsLabel => check_dns_label(value),
            FieldFormat::Hostname => check_hostname(value),
            FieldFormat::Origin => check_origin(value),
        }
    }
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

/// RFC 1123 section 2.1: 1 to 63 letters, digits and inner hyphens. Lower case only, because the
/// value is compared with hosts that a URL parser has already lower-cased.
fn check_dns_label(value: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let shape = (1..=63).contains(&value.len()) && value.bytes().all(allowed);
    if !shape || value.starts_with('-') || value.ends_with('-') {
        return Err("must be a single name of 1 to 63 lower-case letters, digits and hyphens, without dots");
    }
    Ok(())
}

/// Two or more DNS labels that no URL parser takes for an IP address.
fn check_hostname(value: &str) -> Result<(), &'static str> {
    const MESSAGE: &str = "must be a lower-case host name such as `example.com`, without scheme, port or path";
    let labels_fit = value.split('.').all(|label| check_dns_label(label).is_ok());
    if value.len() > 253 || !value.contains('.') || !labels_fit {
        return Err(MESSAGE);
    }
    // `127.1` and `0x7f.0.0.1` are labels too; the URL parser is the judge of what an address is.
    match Host::parse(value) {
        Ok(Host::Domain(domain)) if domain == value => Ok(()),
        _ => Err(MESSAGE),
    }
}

/// An https origin (RFC 6454 section 6.2), written as a URL parser would write it, so that what
/// was checked is what is later connected to.
fn check_origin(value: &str) -> Result<(), &'static str> {
    const MESSAGE: &str = "must be `https://host` or `https://host:port` in lower case, without a path";
    let Ok(url) = Url::parse(value) else {
        return Err(MESSAGE);
    };
    let without_default_port = value.strip_suffix(":443").unwrap_or(value);
    if url.scheme() != "https" || url.origin().ascii_serialization() != without_default_port {
        return Err(MESSAGE);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(format: FieldFormat) -> Field {
        Field {
            name: "subdomain".to_owned(),
            display_name: "Subdomain".to_owned(),
            description: String::new(),
            secret: false,
            required: true,
            default: None,
            example: None,
            format,
        }
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

    /// What turns a host into another one (R44), whatever the format.
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
            &[&ATTACKS[..], &["acme.evil.test", ".", "-a", "a-", "ACME", "a_b", &long]].concat(),
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
    fn an_origin_is_https_and_nothing_more() {
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
                    "javascript:alert(1)",
                    "file:///etc/passwd",
                ],
            ]
            .concat(),
        );
    }

    #[test]
    fn text_is_visible_and_bounded() {
        let longest = "é".repeat(4096);
        let too_long = "a".repeat(4097);
        assert_cases(
            FieldFormat::Text,
            &["x", "sk_live_51H", "two words", "пароль", &longest],
            &["", "  ", "a\nb", "a\r", "a\u{0}", "a\u{85}", "a\u{7f}", &too_long],
        );
    }

    #[test]
    fn a_refusal_does_not_repeat_the_value() {
        for format in [FieldFormat::Text, FieldFormat::DnsLabel, FieldFormat::Hostname, FieldFormat::Origin] {
            let message = field(format).check("hunter2\n@").expect_err("control character");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}
