//! Hosts that the operator allows without TLS.

use std::collections::BTreeSet;

use url::Url;

/// Hosts, each with its port, that a toolkit file may use with `http`. Empty by default: everything but this
/// machine requires https.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PlainHttp {
    origins: BTreeSet<String>,
}

impl PlainHttp {
    /// Parses exact entries `host` or `host:port`; no wildcards and no URLs. The default port is 80.
    ///
    /// # Errors
    /// The invalid entry.
    pub fn parse(hosts: &[String]) -> Result<Self, String> {
        let origins = hosts.iter().map(|text| origin(text).ok_or_else(|| text.clone())).collect::<Result<_, _>>()?;
        Ok(Self { origins })
    }

    /// Whether this URL is `http` to one of the hosts and its port.
    pub fn admits(&self, url: &Url) -> bool {
        url.scheme() == "http" && self.origins.contains(&url.origin().ascii_serialization())
    }

    /// The hosts as origins: `http://gitlab.corp:8080`.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.origins.iter().map(String::as_str)
    }
}

fn origin(text: &str) -> Option<String> {
    let known = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']');
    if text.is_empty() || !text.chars().all(known) || text.ends_with(':') {
        return None;
    }
    let url = Url::parse(&format!("http://{text}")).ok()?;
    let host = url.host_str()?;
    // A short form of an address (`127.1`) is a mistake; a caseless name is kept as written.
    let is_address = matches!(url.host()?, url::Host::Ipv4(_));
    let is_full = !is_address || text.split(':').next() == Some(host);
    let has_labels = !host.split('.').any(str::is_empty) || host.starts_with('[');
    (is_full && has_labels && url.port() != Some(0)).then(|| url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admits(hosts: &[&str], url: &str) -> bool {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        PlainHttp::parse(&hosts).unwrap().admits(&Url::parse(url).unwrap())
    }

    #[test]
    fn host_and_port_must_match_exactly() {
        for (host, url) in [
            ("gitlab.corp", "http://gitlab.corp/api"),
            ("GitLab.corp", "http://gitlab.CORP:80/"),
            ("gitlab.corp:8080", "http://gitlab.corp:8080/a?b=c"),
            ("10.1.2.3:8080", "http://10.1.2.3:8080/"),
            ("[fd00::1]:8080", "http://[fd00::1]:8080/"),
        ] {
            assert!(admits(&[host], url), "{host} {url}");
        }
        for (host, url) in [
            ("gitlab.corp", "http://gitlab.corp:8080/"),
            ("gitlab.corp:8080", "http://gitlab.corp/"),
            ("gitlab.corp", "http://a.gitlab.corp/"),
            ("gitlab.corp", "http://gitlab.corp.evil.test/"),
            ("gitlab.corp", "https://gitlab.corp/"),
            ("gitlab.corp", "http://gitlab.corp@evil.test/"),
        ] {
            assert!(!admits(&[host], url), "{host} {url}");
        }
        assert!(!admits(&[], "http://gitlab.corp/"));
    }

    #[test]
    fn invalid_entries_are_named() {
        for text in [
            "",
            "*",
            "*.corp",
            "http://gitlab.corp",
            "gitlab.corp/",
            "u@gitlab.corp",
            "gitlab.corp:0",
            "gitlab.corp:x",
            "gitlab.corp:",
            "127.1",
            "gitlab..corp",
            "gitlab.corp.",
            "a b",
        ] {
            assert_eq!(PlainHttp::parse(&[text.to_owned()]), Err(text.to_owned()), "{text:?}");
        }
    }
}
