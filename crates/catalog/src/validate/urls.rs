//! Rules for URLs and hosts: where credentials may go, and what may decide it.

use std::net::Ipv6Addr;

use url::Url;

use super::{BUILTIN_VARIABLES, Check, declared};
use crate::model::{Field, FieldFormat};
use crate::path::Path;
use crate::template::{self, Part};

/// What stands in for a variable when the rest of a template is checked: a value of its format.
fn sample(format: FieldFormat) -> &'static str {
    match format {
        FieldFormat::Text | FieldFormat::DnsLabel => "sample",
        FieldFormat::Hostname => "sample.example.com",
        FieldFormat::Origin => "https://sample.example.com",
    }
}

impl Check<'_> {
    pub(super) fn base_url_and_hosts(&mut self) {
        let toolkit = self.toolkit;
        let path = Path::root("hosts");
        self.require(!toolkit.hosts.is_empty(), &path, "at least one host is needed");
        for (index, host) in toolkit.hosts.iter().enumerate() {
            let path = path.index(index);
            self.host(&path, host);
            let duplicate = toolkit.hosts[..index].contains(host);
            self.require(!duplicate, &path, "is listed twice");
        }
        let base_url = Path::root("base_url");
        if self.url(&base_url, &toolkit.base_url, &[]) {
            self.require(!toolkit.base_url.contains('?'), &base_url, "must have no query");
            self.require(!toolkit.base_url.ends_with('/'), &base_url, "must not end in `/`");
            self.covered(&base_url, &toolkit.base_url);
        }
    }

    /// A URL template that requests go to: https, and every variable is filled in from a value
    /// that cannot turn the URL into another one (R44) and is no secret (R50).
    pub(super) fn url(&mut self, path: &Path, text: &str, scheme: &[Field]) -> bool {
        let before = self.findings.len();
        let Some(sampled) = self.sampled(path, text, scheme) else {
            return false;
        };
        self.secure_url(path, text, &sampled);
        self.findings.len() == before
    }

    /// A web page that people are sent to or that facts come from.
    pub(super) fn page(&mut self, path: &Path, text: &str) {
        let parsed = Url::parse(text);
        let https = parsed.is_ok_and(|url| url.scheme() == "https" && url.username().is_empty());
        self.require(https, path, "must be an https URL");
    }

    /// Reports unless the host of a checked URL template is one of `hosts`.
    pub(super) fn covered(&mut self, path: &Path, text: &str) {
        let authority = authority(text);
        if !self.toolkit.hosts.iter().any(|rule| covers(rule, authority)) {
            self.report(path, format!("host `{authority}` is not in `hosts`"));
        }
    }

    /// Replaces the variables of a URL or host template by samples of their formats.
    fn sampled(&mut self, path: &Path, text: &str, scheme: &[Field]) -> Option<String> {
        let parts = match template::parts(text) {
            Ok(parts) => parts,
            Err(error) => {
                self.report(path, error.to_string());
                return None;
            }
        };
        let mut sampled = String::new();
        for part in parts {
            match part {
                Part::Text(text) => sampled.push_str(text),
                Part::Variable(name) => {
                    let format = self.url_variable(path, name, scheme)?;
                    // Only what stands first can be an origin: `https://{instance}` would be two.
                    if format == FieldFormat::Origin && !sampled.is_empty() {
                        let message = format!("`{{{name}}}` is an origin and must come first");
                        self.report(path, message);
                        return None;
                    }
                    sampled.push_str(sample(format));
                }
            }
        }
        Some(sampled)
    }

    /// A variable of a URL or host template: its format, or a report of why it cannot be one.
    fn url_variable(&mut self, path: &Path, name: &str, scheme: &[Field]) -> Option<FieldFormat> {
        if let Some((_, format)) = BUILTIN_VARIABLES.iter().find(|(known, _)| *known == name) {
            return Some(*format);
        }
        let Some(field) = declared(self.toolkit, scheme, name) else {
            self.unknown_variable(path, name, scheme, &[]);
            return None;
        };
        if field.format == FieldFormat::Text {
            let message = format!(
                "`{{{name}}}` is free text and cannot be part of a URL; give the field the format \
                 `dns_label`, `hostname` or `origin`"
            );
            self.report(path, message);
            return None;
        }
        self.never_empty(path, field).then_some(field.format)
    }

    /// `text` is a URL template and `sampled` the same with values.
    fn secure_url(&mut self, path: &Path, text: &str, sampled: &str) {
        let Ok(url) = Url::parse(sampled) else {
            self.report(path, "must be an https URL");
            return;
        };
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
            _ => false,
        };
        if !url.host_str().is_some_and(is_plain_host) {
            self.report(path, "must have a host of letters, digits, dots and hyphens");
            return;
        }
        if url.scheme() != "https" && !(url.scheme() == "http" && loopback) {
            self.report(path, "must be an https URL (http only to a loopback address)");
            return;
        }
        self.fixed_domain(path, authority(text));
        if let Some((_, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
            let ends = rest.is_empty() || rest.starts_with(['/', '?']);
            self.require(ends, path, "must go on with `/` after the variable that is its origin");
        }
        let user_info = !url.username().is_empty() || url.password().is_some();
        self.require(!user_info, path, "must contain no user name or password");
        self.require(url.fragment().is_none(), path, "must have no fragment");
        // A URL that the parser writes differently may mean another host or path than it shows.
        let as_written = url.as_str().trim_end_matches('/') == sampled.trim_end_matches('/');
        if !as_written && text == sampled {
            self.report(path, format!("must be written in its normal form, `{url}`"));
        } else if !as_written {
            self.report(path, "must be a URL in its normal form");
        }
    }

    /// An entry of `hosts`: `host`, `*.host`, either with `:port`, or a template.
    fn host(&mut self, path: &Path, text: &str) {
        const MESSAGE: &str = "must be `host`, `*.host` or `host:port` in lower case, without scheme or path";
        let Some(sampled) = self.sampled(path, text, &[]) else {
            return;
        };
        self.fixed_domain(path, text.strip_prefix("*.").unwrap_or(text));
        if is_lone_variable(text) {
            return;
        }
        let (wildcard, host) = match sampled.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, sampled.as_str()),
        };
        // The URL parser decides what a host is; what it would rewrite is not one.
        let url = format!("https://{host}");
        let parsed = Url::parse(&url).ok().filter(|parsed| parsed.origin().ascii_serialization() == url);
        let Some(parsed) = parsed.filter(|_| is_plain_host(host)) else {
            self.report(path, MESSAGE);
            return;
        };
        let domain = parsed.domain().is_some_and(|domain| domain.contains('.'));
        self.require(domain || !wildcard, path, "must name at least two labels after `*.`");
    }

    /// Reports a host in which a person could choose the domain by entering one label: a variable
    /// is the whole host (then its format is `hostname` or `origin`), or a domain stands behind it.
    fn fixed_domain(&mut self, path: &Path, host: &str) {
        let Some((_, domain)) = host.rsplit_once('}') else {
            return;
        };
        if is_lone_variable(host) {
            let name = host.trim_matches(['{', '}']);
            let label = declared(self.toolkit, &[], name).is_some_and(|field| field.format == FieldFormat::DnsLabel);
            self.require(!label, path, "a `dns_label` cannot be a whole host; give it a domain");
            return;
        }
        let labels = domain.strip_prefix('.').is_some_and(|domain| domain.contains('.'));
        self.require(labels, path, "a variable must be followed by a domain such as `.example.com`");
    }
}

/// A host without what the URL parser lets through: `*` and other symbols, empty labels.
fn is_plain_host(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let empty_label = host.starts_with('.') || host.ends_with('.') || host.contains("..");
    host.bytes().all(allowed) && !empty_label
}

/// `{name}` and nothing else.
fn is_lone_variable(text: &str) -> bool {
    text.starts_with('{') && text.find('}') == Some(text.len() - 1)
}

/// The part of a URL template between `://` and the path; for a template that begins with a
/// variable, that variable. A URL in its normal form does not name its scheme's default port.
fn authority(text: &str) -> &str {
    if text.starts_with('{') {
        return text.split_inclusive('}').next().unwrap_or_default();
    }
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    after_scheme.split(['/', '?', '#']).next().unwrap_or_default()
}

/// Whether an entry of `hosts` admits a URL template's authority, by their texts: equal, or below
/// a wildcard. A variable of one DNS label cannot leave the domain that is written behind it.
fn covers(rule: &str, authority: &str) -> bool {
    if authority == "{sandbox_url}" {
        return rule == "{sandbox_host}";
    }
    match rule.strip_prefix('*') {
        Some(suffix) => authority.len() > suffix.len() && authority.ends_with(suffix),
        None => rule == authority,
    }
}
