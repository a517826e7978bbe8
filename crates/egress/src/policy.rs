//! The hosts a request may go to.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use crate::error::ConfigError;

/// The hosts at which one toolkit or account may be called. Everything else is refused; an empty list matches
/// nothing.
///
/// Each rule is `api.x.com`, `*.x.com` (any depth, but not `x.com` itself) or an IP literal, each with an
/// optional `:port`. Without a port only the default port of the scheme matches (443, or 80 for plain http
/// where it is allowed).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    rules: Vec<Rule>,
    /// Further allowed paths on the host of a base URL.
    paths: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    host: Pattern,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Exactly(Host<String>),
    /// Names that end in `.` and this suffix.
    Subdomains(String),
}

impl Destination {
    /// Parses the rules.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Rule`] for a malformed rule, or for a wildcard directly below a top-level domain
    /// (`*.com`).
    pub fn new(rules: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, ConfigError> {
        let rules = rules.into_iter().map(|rule| Rule::parse(rule.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { rules, paths: Vec::new() })
    }

    /// Adds paths on a base URL's host at or below which absolute endpoints are allowed, such as
    /// `/upload/drive/v3`. They only affect [`Destination::resolve`].
    #[must_use]
    pub fn with_paths(self, paths: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { paths: paths.into_iter().map(Into::into).collect(), ..self }
    }

    pub(crate) fn paths(&self) -> &[String] {
        &self.paths
    }

    /// Whether the URL's scheme, host and port match a rule. A URL with user information never matches.
    pub fn admits(&self, url: &Url) -> bool {
        let web = matches!(url.scheme(), "https" | "http");
        let anonymous = url.username().is_empty() && url.password().is_none();
        web && anonymous && self.rules.iter().any(|rule| rule.admits(url))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let refuse = |reason| ConfigError::rule(text, reason);
        let known = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']');
        let (rest, wildcard) = match text.strip_prefix("*.") {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        if rest.is_empty() || !rest.chars().all(known) {
            return Err(refuse("not a host, `*.` host, or either with a port"));
        }
        if let Ok(v6) = rest.parse::<Ipv6Addr>() {
            let host = Pattern::Exactly(Host::Ipv6(v6));
            return if wildcard {
                Err(refuse("an address has no names below it"))
            } else {
                Ok(Self { host, port: None })
            };
        }
        let (host, port) = split_port(rest).ok_or_else(|| refuse("the port is not a number from 1 to 65535"))?;
        let host = parse_host(host).ok_or_else(|| refuse("not a host name or address in full"))?;
        if !wildcard {
            return Ok(Self { host: Pattern::Exactly(host), port });
        }
        match host {
            Host::Domain(name) if name.contains('.') => Ok(Self { host: Pattern::Subdomains(name), port }),
            Host::Domain(_) => Err(refuse("a wildcard needs at least two labels after it")),
            _ => Err(refuse("an address has no names below it")),
        }
    }

    fn admits(&self, url: &Url) -> bool {
        // `url` drops the default port, so that `None` means exactly that port.
        let port = match self.port {
            Some(port) => url.port_or_known_default() == Some(port),
            None => url.port().is_none(),
        };
        port && match (&self.host, url.host()) {
            (Pattern::Exactly(Host::Domain(name)), Some(Host::Domain(host))) => name == host,
            (Pattern::Exactly(Host::Ipv4(ip)), Some(Host::Ipv4(host))) => *ip == host,
            (Pattern::Exactly(Host::Ipv6(ip)), Some(Host::Ipv6(host))) => *ip == host,
            (Pattern::Subdomains(parent), Some(Host::Domain(host))) => is_below(host, parent),
            _ => false,
        }
    }
}

/// Whether `host` is a subdomain of `parent`.
fn is_below(host: &str, parent: &str) -> bool {
    let labels = host.strip_suffix(parent).and_then(|rest| rest.strip_suffix('.'));
    labels.is_some_and(|labels| labels.split('.').all(|label| !label.is_empty()))
}

/// Splits `host:port` or `[v6]:port`; the port is optional. `None` if the port is invalid.
fn split_port(text: &str) -> Option<(&str, Option<u16>)> {
    let colon = match text.rfind(']') {
        Some(end) if end + 1 == text.len() => None,
        Some(end) => Some(end + 1),
        None => text.find(':'),
    };
    let Some(colon) = colon else {
        return Some((text, None));
    };
    let (host, port) = text.split_at(colon);
    let digits = port.strip_prefix(':')?;
    // `parse` would accept "+443".
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let port = digits.parse::<u16>().ok().filter(|port| *port > 0)?;
    Some((host, Some(port)))
}

/// The host as URLs normalise it. Addresses must be written in full: `127.1` in a rule is a mistake.
fn parse_host(text: &str) -> Option<Host<String>> {
    let host = Host::parse(text).ok()?;
    let sound = match &host {
        Host::Domain(name) => name.split('.').all(|label| !label.is_empty()),
        Host::Ipv4(_) => text.parse::<Ipv4Addr>().is_ok(),
        Host::Ipv6(_) => true,
    };
    sound.then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn admits(rules: &[&str], url: &str) -> bool {
        Destination::new(rules).unwrap().admits(&Url::parse(url).unwrap())
    }

    #[test]
    fn admitted() {
        let cases: &[(&[&str], &str)] = &[
            (&["api.x.com"], "https://api.x.com/"),
            (&["api.x.com"], "https://api.x.com:443/v1?q"),
            (&["api.x.com"], "http://api.x.com/"), // the guard decides about plain http
            (&["API.X.com"], "https://api.x.COM/"),
            (&["other.com", "api.x.com"], "https://api.x.com/"),
            (&["*.x.com"], "https://a.x.com/"),
            (&["*.x.com"], "https://a.b.x.com/"),
            (&["*.x.com:8443"], "https://a.x.com:8443/"),
            (&["api.x.com:8443"], "https://api.x.com:8443/"),
            (&["api.x.com:443"], "https://api.x.com/"),
            (&["127.0.0.1:99"], "http://127.0.0.1:99/"),
            (&["10.1.2.3"], "https://10.1.2.3/"),
            (&["[::1]:99"], "http://[::1]:99/"),
            (&["[::1]"], "https://[::1]/"),
            (&["::1"], "https://[0:0:0:0:0:0:0:1]/"),
            (&["bücher.example"], "https://xn--bcher-kva.example/"),
        ];
        for (rules, url) in cases {
            assert!(admits(rules, url), "{rules:?} {url}");
        }
    }

    #[test]
    fn not_admitted() {
        let cases: &[(&[&str], &str)] = &[
            (&[], "https://api.x.com/"),
            (&["api.x.com"], "https://x.com/"),
            (&["api.x.com"], "https://api.x.com.evil.test/"),
            (&["api.x.com"], "https://evil-api.x.com/"),
            (&["api.x.com"], "https://a.api.x.com/"),
            (&["api.x.com"], "https://api.x.com./"),
            (&["api.x.com"], "https://api.x.com:8443/"),
            (&["api.x.com"], "https://api.x.com:80/"),
            (&["api.x.com"], "http://api.x.com:443/"),
            (&["api.x.com"], "https://api.x.com@evil.test/"),
            (&["api.x.com"], "https://user@api.x.com/"),
            (&["api.x.com"], "https://:pw@api.x.com/"),
            (&["api.x.com"], "ftp://api.x.com/"),
            (&["api.x.com"], "wss://api.x.com/"),
            (&["api.x.com:8443"], "https://api.x.com/"),
            (&["*.x.com"], "https://x.com/"),
            (&["*.x.com"], "https://.x.com/"),
            (&["*.x.com"], "https://a..x.com/"),
            (&["*.x.com"], "https://evilx.com/"),
            (&["*.x.com"], "https://a.x.com.evil.test/"),
            (&["*.x.com"], "https://a.x.com:8443/"),
            (&["[::1]:99"], "http://[::1]/"),
            (&["127.0.0.1"], "https://[::ffff:127.0.0.1]/"),
        ];
        for (rules, url) in cases {
            assert!(!admits(rules, url), "{rules:?} {url}");
        }
    }

    #[test]
    fn malformed_rules_are_named() {
        let bad = [
            "",
            "*",
            "*.",
            "*.com",
            "*.*.x.com",
            "a.*.com",
            "*x.com",
            "x.com/",
            "https://x.com",
            "x.com:",
            "x.com:0",
            "x.com:+1",
            "x.com:65536",
            "x.com:1:2",
            "x .com",
            "u@x.com",
            "x.com?",
            "x.com#",
            "x%2ecom",
            "x.com.",
            ".x.com",
            "x..com",
            "127.1",
            "0x7f000001",
            "2130706433",
            "[::1",
            "[::1]x",
            "[::1]:",
            "*.127.0.0.1",
            "*.::1",
            "*.[::1]",
            "x\\y.com",
            "x.com\n",
        ];
        for rule in bad {
            let error = Destination::new([rule]).unwrap_err();
            assert!(matches!(&error, ConfigError::Rule { rule: named, .. } if named == rule), "{rule}");
        }
    }

    proptest! {
        /// The reference compares label by label, from the right.
        #[test]
        fn agrees_with_a_slow_model(
            rule in proptest::collection::vec("[ab]", 2..4), wildcard in any::<bool>(), rule_port in 0_u16..3,
            host in proptest::collection::vec("[ab]", 1..5), port in 0_u16..3, plain in any::<bool>(),
        ) {
            let ports = ["", ":443", ":8443"];
            let star = if wildcard { "*." } else { "" };
            let text = format!("{star}{}{}", rule.join("."), ports[usize::from(rule_port)]);
            let scheme = if plain { "http" } else { "https" };
            let url = format!("{scheme}://{}{}/", host.join("."), ports[usize::from(port)]);

            let tail_agrees = rule.iter().rev().zip(host.iter().rev()).all(|(a, b)| a == b);
            let length_agrees =
                if wildcard { host.len() > rule.len() } else { host.len() == rule.len() };
            let actual = [if plain { 80 } else { 443 }, 443, 8443][usize::from(port)];
            let wanted = [if plain { 80 } else { 443 }, 443, 8443][usize::from(rule_port)];
            let expected = tail_agrees && length_agrees && actual == wanted;
            prop_assert_eq!(admits(&[&text], &url), expected, "{} {}", text, url);
        }
    }
}
