//! Rules for URLs and hosts: where credentials may be sent, and which values may affect it.

use std::net::Ipv6Addr;

use url::Url;

use super::Check;
use super::names::{Names, Variable};
use crate::host;
use crate::model::FieldFormat;
use crate::path::Path;
use crate::template::{self, Part};

/// A sample value of a format, to check the rest of a template.
fn sample(format: FieldFormat) -> &'static str {
    match format {
        FieldFormat::Text | FieldFormat::Document | FieldFormat::DnsLabel | FieldFormat::PathSegment => "sample",
        FieldFormat::Hostname => "sample.example.com",
        FieldFormat::Origin => "https://sample.example.com",
    }
}

impl Check<'_> {
    pub(super) fn base_urls_and_hosts(&mut self) {
        let toolkit = self.toolkit;
        let path = Path::root("hosts");
        self.require(!toolkit.hosts.is_empty(), &path, "at least one host is needed");
        let names = Names::any(toolkit);
        for (index, host) in toolkit.hosts.iter().enumerate() {
            let path = path.index(index);
            self.host(&path, host, &names);
            let duplicate = toolkit.hosts[..index].contains(host);
            self.require(!duplicate, &path, "is listed twice");
        }
        for scheme in toolkit.schemes() {
            let template = toolkit.base_url(scheme);
            let own = !std::ptr::eq(template, toolkit.base_url.as_str());
            let path = if own { Path::root(scheme.table()).key("base_url") } else { Path::root("base_url") };
            self.base_url(&path, template, &Names::connected(toolkit, scheme));
        }
        self.further_paths();
        self.file_ranges();
    }

    /// The entries of `ranges`: each begins with an entry of `hosts`.
    fn file_ranges(&mut self) {
        let toolkit = self.toolkit;
        for (index, text) in toolkit.ranges.iter().enumerate() {
            let path = Path::root("ranges").index(index);
            let (host, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
            let known = toolkit.hosts.iter().any(|known| known == host);
            self.require(known, &path, "must begin with one of the toolkit's `hosts`, spelled the same");
            self.require(
                rest.is_empty() || is_plain_path(rest),
                &path,
                "must end with a path such as `/v2/files`, or none",
            );
            self.require(!toolkit.ranges[..index].contains(text), &path, "is listed twice");
        }
    }

    /// The entries of `paths`: whole segments as in a URL, and none if the base path identifies a customer of
    /// the provider.
    fn further_paths(&mut self) {
        let toolkit = self.toolkit;
        let path = Path::root("paths");
        for (index, text) in toolkit.paths.iter().enumerate() {
            let path = path.index(index);
            self.require(
                is_plain_path(text),
                &path,
                "must be a path such as `/upload/drive/v3`, without `/` at the end",
            );
            self.require(!toolkit.paths[..index].contains(text), &path, "is listed twice");
        }
        let holds_variable =
            toolkit.schemes().into_iter().any(|scheme| path_of(toolkit.base_url(scheme)).contains('{'));
        if !toolkit.paths.is_empty() && holds_variable {
            self.report(&path, "not allowed with a base URL whose path contains a variable");
        }
    }

    fn base_url(&mut self, path: &Path, template: &str, names: &Names) {
        if self.url(path, template, names) {
            let query = template.replace("?}", "}").contains('?');
            self.require(!query, path, "must have no query");
            self.require(!template.ends_with('/'), path, "must not end in `/`");
            self.covered(path, template, names);
        }
    }

    /// A request URL template: https, and every variable must be a value that cannot turn the URL into
    /// another one (R44) and is not secret (R50).
    pub(super) fn url(&mut self, path: &Path, text: &str, names: &Names) -> bool {
        let before = self.reports;
        let Some(sampled) = self.sampled(path, text, names) else {
            return false;
        };
        self.secure_url(path, text, &sampled, names);
        self.reports == before
    }

    /// A web page for users, or a source of facts.
    pub(super) fn page(&mut self, path: &Path, text: &str) {
        let parsed = Url::parse(text);
        let https = parsed.is_ok_and(|url| url.scheme() == "https" && url.username().is_empty());
        self.require(https, path, "must be an https URL");
    }

    /// Reports a URL template whose host is not one of `hosts`.
    pub(super) fn covered(&mut self, path: &Path, text: &str, names: &Names) {
        let authority = authority(text);
        let is_covered = |authority: &str| self.toolkit.hosts.iter().any(|rule| covers(rule, authority));
        let name = authority.trim_matches(['{', '}']);
        let covered = match names.get(name) {
            _ if is_covered(authority) => true,
            // A captured host is one of its `allowed` values.
            Some(Variable::Captured(capture)) if is_lone_variable(authority) && !capture.allowed.is_empty() => {
                capture.allowed.iter().all(|allowed| is_covered(allowed.trim_start_matches("https://")))
            }
            _ => false,
        };
        if !covered {
            self.report(path, format!("host `{authority}` is not in `hosts`"));
        }
    }

    /// Replaces the variables of a URL or host template with samples of their formats.
    fn sampled(&mut self, path: &Path, text: &str, names: &Names) -> Option<String> {
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
                    let value = self.url_variable(path, name, names)?;
                    // An origin must come first: `https://{instance}` would have two schemes.
                    if value.contains("://") && !sampled.is_empty() {
                        let message = format!("`{{{name}}}` is an origin and must come first");
                        self.report(path, message);
                        return None;
                    }
                    sampled.push_str(value);
                }
                Part::Segment(name) => {
                    self.segment(path, name, names)?;
                    sampled.push_str("/sample");
                }
            }
        }
        Some(sampled)
    }

    /// An optional path segment. `None` if its variable cannot be one.
    fn segment(&mut self, path: &Path, name: &str, names: &Names) -> Option<()> {
        let fits = match names.get(name) {
            Some(Variable::Field(field)) => is_segment(field.format) && !field.secret,
            Some(Variable::Captured(capture)) => is_segment(capture.format),
            _ => false,
        };
        let message = format!("`{{{name}?}}` must be a field or captured value of the format `path_segment`");
        if !fits {
            self.report(path, message);
        }
        fits.then_some(())
    }

    /// A variable of a URL or host template: a sample of its value, or a report of why it is not allowed.
    fn url_variable(&mut self, path: &Path, name: &str, names: &Names) -> Option<&'static str> {
        const FREE: &str = "is free text and cannot be part of a URL; give it another format, \
                            such as `dns_label`, `path_segment` or `origin`";
        match names.get(name) {
            Some(Variable::Builtin(value)) => Some(value),
            Some(Variable::Field(field)) if field.format.fits_url() && !field.secret => {
                self.never_empty(path, &field).then(|| sample(field.format))
            }
            Some(Variable::Set(field, values)) => {
                let format = format_of(&values);
                if format.is_none() {
                    self.report(path, format!("`{{{name}}}` has an option value that cannot be part of a URL"));
                }
                self.never_empty(path, &field).then(|| format.map(sample)).flatten()
            }
            Some(Variable::Captured(capture)) if capture.format.fits_url() => {
                self.always_captured(path, &capture).then(|| sample(capture.format))
            }
            Some(Variable::Extra(extra)) if extra.in_path => Some(sample(FieldFormat::PathSegment)),
            Some(Variable::Extra(extra)) if extra.secret => {
                self.report(path, format!("`{{{name}}}` is secret and cannot be part of a URL"));
                None
            }
            Some(_) => {
                self.report(path, format!("`{{{name}}}` {FREE}"));
                None
            }
            None => {
                self.unknown_variable(path, name, names);
                None
            }
        }
    }

    /// `text` is a URL template, and `sampled` the same with sample values.
    fn secure_url(&mut self, path: &Path, text: &str, sampled: &str, names: &Names) {
        let Ok(url) = Url::parse(sampled) else {
            self.report(path, "must be an https URL");
            return;
        };
        let loopback = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address == Ipv6Addr::LOCALHOST,
            _ => false,
        };
        if !host::is_plain(&url) {
            self.report(path, "must have a host of letters, digits, dots and hyphens, and no port 0");
            return;
        }
        // The operator's exception does not cover hosts with variables.
        let is_allowed = self.plain.admits(&url) && !authority(text).contains('{');
        if url.scheme() != "https" && !(url.scheme() == "http" && (loopback || is_allowed)) {
            self.report(path, "must be an https URL (http only to a loopback address, or to a host of `allow_http`)");
            return;
        }
        self.fixed_domain(path, authority(text), names);
        if let Some((_, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
            let ends = rest.is_empty() || rest.starts_with(['/', '?']);
            self.require(ends, path, "must continue with `/` after the variable of its origin");
        }
        let user_info = !url.username().is_empty() || url.password().is_some();
        self.require(!user_info, path, "must contain no user name or password");
        self.require(url.fragment().is_none(), path, "must have no fragment");
        // A URL that the parser normalises may have another host or path than it shows.
        let as_written = url.as_str().trim_end_matches('/') == sampled.trim_end_matches('/');
        if !as_written && text == sampled {
            self.report(path, format!("must be written in its normal form, `{url}`"));
        } else if !as_written {
            self.report(path, "must be a URL in its normal form");
        }
    }

    /// An entry of `hosts`: `host`, `*.host`, either with `:port`, or a template.
    fn host(&mut self, path: &Path, text: &str, names: &Names) {
        const MESSAGE: &str = "must be `host`, `*.host` or `host:port` in lower case, without scheme or path";
        let Some(sampled) = self.sampled(path, text, names) else {
            return;
        };
        self.fixed_domain(path, text.strip_prefix("*.").unwrap_or(text), names);
        if is_lone_variable(text) {
            return;
        }
        let (wildcard, host) = match sampled.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, sampled.as_str()),
        };
        // The URL parser decides what a host is; one that it would rewrite is invalid.
        let url = format!("https://{host}");
        let parsed = Url::parse(&url).ok().filter(|parsed| parsed.origin().ascii_serialization() == url);
        let Some(parsed) = parsed.filter(host::is_plain) else {
            self.report(path, MESSAGE);
            return;
        };
        let domain = parsed.domain().is_some_and(|domain| domain.contains('.'));
        self.require(domain || !wildcard, path, "must name at least two labels after `*.`");
    }

    /// Reports a host in which a user could choose the domain by entering one label: a variable must be the
    /// whole host (with the format `hostname` or `origin`), or a domain must follow it.
    fn fixed_domain(&mut self, path: &Path, host: &str, names: &Names) {
        let Some((_, domain)) = host.rsplit_once('}') else {
            return;
        };
        if is_lone_variable(host) {
            let name = host.trim_matches(['{', '}']);
            let is_whole = match names.get(name) {
                Some(Variable::Field(field)) => is_whole_host(field.format),
                Some(Variable::Captured(capture)) => is_whole_host(capture.format),
                Some(Variable::Set(_, values)) => format_of(&values).is_some_and(is_whole_host),
                _ => true,
            };
            self.require(is_whole, path, "a `dns_label` cannot be a whole host; append a domain");
            return;
        }
        let labels = domain.strip_prefix('.').is_some_and(|domain| domain.contains('.'));
        self.require(labels, path, "a variable must be followed by a domain, such as `.example.com`");
    }
}

/// Whether a value of the format can be a whole host.
fn is_whole_host(format: FieldFormat) -> bool {
    matches!(format, FieldFormat::Hostname | FieldFormat::Origin)
}

/// Whether a value of the format can only be a path segment.
fn is_segment(format: FieldFormat) -> bool {
    matches!(format, FieldFormat::PathSegment | FieldFormat::DnsLabel)
}

/// The format of all values that options set; `None` if they have no common format that is allowed in a URL.
fn format_of(values: &[String]) -> Option<FieldFormat> {
    let formats = [FieldFormat::DnsLabel, FieldFormat::Hostname, FieldFormat::Origin, FieldFormat::PathSegment];
    formats.into_iter().find(|format| values.iter().all(|value| format.check(value).is_ok()))
}

/// `{name}` and nothing else.
fn is_lone_variable(text: &str) -> bool {
    text.starts_with('{') && text.find('}') == Some(text.len() - 1)
}

/// The part of a URL template between `://` and the path; for a template that begins with a variable, that
/// variable. A normalised URL does not contain a default port.
fn authority(text: &str) -> &str {
    if text.starts_with('{') {
        return text.split_inclusive('}').next().unwrap_or_default();
    }
    let after_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    after_scheme.split(['/', '?', '#']).next().unwrap_or_default()
}

/// The part of a URL template after its authority.
fn path_of(text: &str) -> &str {
    let authority = authority(text);
    text.split_once(authority).map_or("", |(_, path)| path)
}

/// One or more segments that every parser spells the same way.
fn is_plain_path(text: &str) -> bool {
    let is_plain = |segment: &str| {
        let mut bytes = segment.bytes();
        !matches!(segment, "" | "." | "..") && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_plain))
}

/// Whether an entry of `hosts` matches a URL template's authority, as text: equal, or below a wildcard. A
/// variable of one DNS label cannot leave the domain after it.
fn covers(rule: &str, authority: &str) -> bool {
    if authority == "{sandbox_url}" {
        return rule == "{sandbox_host}";
    }
    match rule.strip_prefix('*') {
        Some(suffix) => authority.len() > suffix.len() && authority.ends_with(suffix) || rule == authority,
        None => rule == authority,
    }
}
