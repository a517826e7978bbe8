//! An accepted toolkit file works; a rejected one is reported with its location.

use std::collections::BTreeMap;
use std::net::IpAddr;

use switchboard_catalog::template::{self, TemplateError};
use switchboard_catalog::{Call, Capture, Catalog, CatalogError, Field, FieldFormat, Scheme, Toolkit};
use url::{Host, Url};

/// Values for the built-in provider.
const BUILTIN: [(&str, &str); 2] = [("sandbox_url", "http://127.0.0.1:7070"), ("sandbox_host", "127.0.0.1:7070")];

/// `text` as a toolkit file.
pub fn file(text: &str) {
    let mut catalog = Catalog::default();
    match catalog.add("toolkit.toml", text) {
        Ok(()) => {
            let toolkit = catalog.iter().next().expect("what was just added");
            check_values(text);
            check_templates(toolkit);
            // User input as the file itself suggests it.
            check_hosts(toolkit, &|field| field.example.clone());
            check_hosts(toolkit, &|field| field.default.clone());
        }
        Err(error) => check_problems(&error, text),
    }
}

/// A problem names a line of the file and is a single line.
fn check_problems(error: &CatalogError, text: &str) {
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    assert!(!error.problems().is_empty(), "refused without a reason");
    for problem in error.problems() {
        assert!(problem.line.is_some_and(|line| (1..=lines).contains(&line)), "not a line of the file: {problem}");
        assert!(!problem.message.is_empty(), "a problem without words");
        assert!(!problem.to_string().chars().any(char::is_control), "control character in {problem:?}");
    }
}

/// Every value in a file can be written as JSON, for the API and for requests.
fn check_values(text: &str) {
    fn check(value: &toml::Value) {
        match value {
            toml::Value::Datetime(date) => panic!("the date {date} is accepted"),
            toml::Value::Float(number) => assert!(number.is_finite(), "{number} is accepted"),
            toml::Value::Array(items) => items.iter().for_each(check),
            toml::Value::Table(table) => table.values().for_each(check),
            _ => {}
        }
    }
    let table: toml::Table = text.parse().expect("a file that was accepted");
    table.values().for_each(check);
}

/// Every template expands with the values of an account of its scheme; without them, only a missing value may
/// fail.
fn check_templates(toolkit: &Toolkit) {
    for scheme in toolkit.schemes() {
        let values = values(toolkit, scheme, &|_| None);
        let expands = |text: &str| {
            let expanded = template::expand(text, &|name| values.get(name).cloned());
            assert!(expanded.is_ok(), "{text}: {expanded:?}");
            let empty = template::expand(text, &|_| None);
            assert!(matches!(empty, Ok(_) | Err(TemplateError::Missing { .. })), "{empty:?}");
        };
        expands(toolkit.base_url(scheme));
        if let Some(oauth) = toolkit.oauth(scheme) {
            let optional =
                [&oauth.refresh_url, &oauth.revocation_url, &oauth.issuer, &oauth.discovery_url, &oauth.resource];
            let urls = optional.into_iter().flatten().chain([&oauth.authorization_url, &oauth.token_url]);
            urls.for_each(|text| expands(text));
            let tables = [&oauth.token_headers, &oauth.authorization_parameters, &oauth.token_parameters];
            tables.into_iter().flat_map(|table| table.values()).for_each(|text| expands(text));
            oauth.apply.iter().for_each(|place| expands(&place.value));
            let calls = oauth.steps.iter().chain(&oauth.refresh_call).chain(&oauth.revoke);
            calls.for_each(|call| check_call(call, &expands));
        }
        if let Some(tokens) = toolkit.token_scheme(scheme) {
            tokens.steps.iter().chain(&tokens.revoke).for_each(|call| check_call(call, &expands));
            tokens.apply.iter().for_each(|place| expands(&place.value));
        }
        if scheme != Scheme::NoAuth {
            let requests = toolkit.post_connect_of(scheme).map(|(_, step)| &step.request);
            let identity = toolkit.identity_of(scheme).and_then(|identity| identity.request.as_ref());
            for request in requests.chain(identity) {
                expands(&request.url);
                request.headers.values().for_each(|text| expands(text));
            }
        }
    }
    for (scheme, key) in [(Scheme::ApiKey, &toolkit.api_key), (Scheme::BearerToken, &toolkit.bearer_token)] {
        let Some(key) = key else { continue };
        let values = values(toolkit, scheme, &|_| None);
        let expand = |text: &str| template::expand(text, &|name| values.get(name).cloned());
        key.apply.iter().for_each(|place| assert!(expand(&place.value).is_ok()));
        key.verify.iter().for_each(|request| assert!(expand(&request.url).is_ok()));
    }
}

fn check_call(call: &Call, expands: &dyn Fn(&str)) {
    expands(&call.url);
    call.headers.values().chain(call.parameters.values()).chain(&call.body).for_each(|text| expands(text));
}

/// The hosts are valid rules, and one matches `base_url`. A wildcard must be in the file itself and never
/// result from user input.
fn check_hosts(toolkit: &Toolkit, proposed: &dyn Fn(&Field) -> Option<String>) {
    // `x{label}` with the value `n--a` is a host that no URL parser accepts: such a call fails.
    let in_word = |before: &str| before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '}');
    let in_label = |text: &String| text.match_indices('{').any(|(at, _)| in_word(&text[..at]));
    let bases = toolkit.schemes().into_iter().map(|scheme| toolkit.base_url(scheme).to_owned());
    if toolkit.hosts.iter().cloned().chain(bases).any(|text| in_label(&text)) {
        return;
    }
    for scheme in toolkit.schemes() {
        check_hosts_of(toolkit, scheme, proposed);
    }
}

fn check_hosts_of(toolkit: &Toolkit, scheme: Scheme, proposed: &dyn Fn(&Field) -> Option<String>) {
    let values = values(toolkit, scheme, proposed);
    let value = |name: &str| values.get(name).cloned();
    let has_all = |text: &&String| template::expand(text, &value).is_ok();
    let rules = toolkit.host_rules(&value).expect("templates that were accepted");
    for (rule, text) in rules.iter().zip(toolkit.hosts.iter().filter(has_all)) {
        assert_eq!(rule.starts_with("*."), text.starts_with("*."), "`{text}` becomes the rule `{rule}`");
        assert!(is_host(rule.strip_prefix("*.").unwrap_or(rule)), "`{text}` becomes the rule `{rule}`");
    }
    let base_url = template::expand(toolkit.base_url(scheme), &value).expect("values for all variables");
    let url = Url::parse(&base_url).expect("a URL");
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        _ => false,
    };
    assert!(url.scheme() == "https" || (url.scheme() == "http" && loopback), "{base_url}");
    assert!(rules.iter().any(|rule| admits(rule, &url)), "{rules:?} do not admit {base_url}");
}

/// A host name or address as a URL parser spells it, with or without a port.
fn is_host(rule: &str) -> bool {
    let Ok(url) = Url::parse(&format!("https://{rule}")) else {
        return false;
    };
    let whole_labels = match url.host() {
        Some(Host::Domain(name)) => name.split('.').all(|label| !label.is_empty() && !label.contains('*')),
        Some(_) => true,
        None => false,
    };
    let as_written =
        url.origin().ascii_serialization() == format!("https://{}", rule.strip_suffix(":443").unwrap_or(rule));
    whole_labels && as_written && url.port() != Some(0)
}

fn admits(rule: &str, url: &Url) -> bool {
    let authority = url.authority();
    match rule.strip_prefix('*') {
        Some(suffix) => authority.ends_with(suffix) && authority.len() > suffix.len(),
        None => rule.strip_suffix(":443").unwrap_or(rule) == authority,
    }
}

/// Values for all variables of an account of `scheme`: the suggested ones, or one of the right format.
fn values(toolkit: &Toolkit, scheme: Scheme, proposed: &dyn Fn(&Field) -> Option<String>) -> BTreeMap<String, String> {
    let fields = toolkit.scheme_fields(scheme);
    let mut values: BTreeMap<String, String> = BUILTIN.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let extra = [
        "access_token",
        "refresh_token",
        "token",
        "client_id",
        "client_secret",
        "assertion",
        "state",
        "redirect_uri",
        "client_email",
        "private_key",
        "private_key_id",
        "project_id",
        "token_uri",
    ];
    values.extend(extra.map(|name| (name.to_owned(), "sample".to_owned())));
    for capture in captures(toolkit, scheme) {
        let value = match capture.allowed.first().map(|allowed| allowed.replacen('*', "sample", 1)) {
            Some(host) if capture.format == FieldFormat::Origin && !host.contains("://") => format!("https://{host}"),
            Some(value) => value,
            None => sample(capture.format),
        };
        values.insert(capture.name.clone(), value);
    }
    values.extend(fields.iter().map(|field| {
        let chosen = field.options.first().map(|option| option.value.clone());
        (field.name.clone(), proposed(field).or(chosen).unwrap_or_else(|| sample(field.format)))
    }));
    let implied = toolkit.implied(scheme, |name| values.get(name).map(String::as_str));
    for (name, value) in implied {
        values.entry(name).or_insert(value);
    }
    values
}

fn captures(toolkit: &Toolkit, scheme: Scheme) -> Vec<&Capture> {
    let mut captures: Vec<&Capture> = toolkit.post_connect.iter().flat_map(|step| &step.capture).collect();
    if let Some(oauth) = toolkit.oauth(scheme) {
        captures.extend(oauth.response.capture.iter().chain(&oauth.callback.capture));
        captures.extend(oauth.steps.iter().flat_map(|step| &step.response.capture));
    }
    if let (Scheme::OAuth1, Some(oauth1)) = (scheme, &toolkit.oauth1) {
        captures.extend(&oauth1.capture);
    }
    if let Some(tokens) = toolkit.token_scheme(scheme) {
        captures.extend(tokens.steps.iter().flat_map(|step| &step.response.capture));
    }
    captures
}

fn sample(format: FieldFormat) -> String {
    match format {
        FieldFormat::Text | FieldFormat::Document | FieldFormat::DnsLabel | FieldFormat::PathSegment => "sample",
        FieldFormat::Hostname => "sample.example.com",
        FieldFormat::Origin => "https://sample.example.com",
    }
    .to_owned()
}
