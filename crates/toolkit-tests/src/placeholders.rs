//! Generated values for the variables of a toolkit. Each has the format of its field, so that the real request
//! builders accept it. Output shows its name instead.

use std::collections::BTreeMap;

use switchboard_catalog::{Capture, FieldFormat, OAuth2, Scheme, Toolkit};
use switchboard_vault::{Secret, Secrets};

use super::raw::Substitutions;

/// The client identifier in printed requests.
pub const CLIENT_ID: &str = "CLIENT_ID";

/// The values that requests are built with.
#[derive(Debug)]
pub struct Placeholders {
    values: BTreeMap<String, String>,
    /// How the values are printed.
    pub substitutions: Substitutions,
}

/// Variables of the OAuth flows, besides fields and captured values.
const FLOW_VARIABLES: [&str; 10] = [
    "client_secret",
    "code",
    "state",
    "code_verifier",
    "code_challenge",
    "dpop_jkt",
    "access_token",
    "refresh_token",
    "token",
    "assertion",
];

impl Placeholders {
    /// No values.
    pub(super) fn empty() -> Self {
        Self { values: BTreeMap::new(), substitutions: Substitutions::default() }
    }

    /// Generates the values for one scheme of a toolkit.
    pub fn new(toolkit: &Toolkit, scheme: Scheme) -> Self {
        let mut placeholders = Self::empty();
        for field in toolkit.connection_fields(scheme) {
            placeholders.generate(&field.name, field.format);
            for (name, value) in field.options.first().into_iter().flat_map(|option| &option.sets) {
                let is_host = FieldFormat::Hostname.check(value).is_ok();
                placeholders.generate(name, if is_host { FieldFormat::Hostname } else { FieldFormat::Text });
            }
        }
        for capture in captures(toolkit, scheme) {
            placeholders.add_capture(&capture);
        }
        for name in FLOW_VARIABLES {
            placeholders.generate(name, FieldFormat::Text);
        }
        placeholders.generate("redirect_uri", FieldFormat::Origin);
        placeholders.generate("nonce", FieldFormat::Text);
        // The URL of the built-in sandbox.
        placeholders.generate("sandbox_url", FieldFormat::Origin);
        if let Some(host) = placeholders.text("sandbox_url").strip_prefix("https://") {
            placeholders.values.insert("sandbox_host".to_owned(), host.to_owned());
        }
        placeholders
    }

    /// Generates a value of a format, unless the variable has one.
    pub(super) fn generate(&mut self, name: &str, format: FieldFormat) {
        if self.values.contains_key(name) {
            return;
        }
        // Only letters and digits: encodings do not change them, and they are valid in host names.
        let label = format!("zq{:02}zq", self.values.len());
        let value = match format {
            FieldFormat::Text | FieldFormat::Document | FieldFormat::DnsLabel | FieldFormat::PathSegment => label,
            FieldFormat::Hostname => format!("{label}.example"),
            FieldFormat::Origin => format!("https://{label}.example"),
        };
        self.substitutions.add(&value, name);
        if let Some(host) = value.strip_prefix("https://") {
            self.substitutions.add(host, &format!("host of {name}"));
        }
        self.values.insert(name.to_owned(), value);
    }

    /// Adds a value that the provider returns: an allowed one, if the file restricts it.
    pub(super) fn add_capture(&mut self, capture: &Capture) {
        let Some(allowed) = capture.allowed.first() else {
            self.generate(&capture.name, capture.format);
            return;
        };
        let host = allowed.strip_prefix('*').map(|domain| format!("played{domain}"));
        let value = match (host, capture.format) {
            (Some(host), FieldFormat::Origin) => format!("https://{host}"),
            (Some(host), _) => host,
            (None, _) => allowed.clone(),
        };
        self.insert(&capture.name, &value);
    }

    /// Sets a value that is printed unchanged, unless the variable has one.
    pub(super) fn insert(&mut self, name: &str, value: &str) {
        self.values.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        match name {
            "client_id" => Some(CLIENT_ID.to_owned()),
            _ => self.values.get(name).cloned(),
        }
    }

    /// The value of a variable; empty if it has none.
    pub fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    /// All values as the secrets of an account.
    pub fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::new();
        for (name, value) in &self.values {
            secrets.insert(name, Secret::from(value.as_str()));
        }
        secrets
    }
}

/// All values that the file captures while an account is connected.
pub(super) fn captures(toolkit: &Toolkit, scheme: Scheme) -> Vec<Capture> {
    let mut captures: Vec<Capture> = Vec::new();
    if let Some(oauth) = toolkit.oauth(scheme) {
        captures.extend(oauth.callback.capture.iter().cloned());
        captures.extend(oauth.response.capture.iter().cloned());
        captures.extend(token_calls(oauth).flat_map(|call| call.response.capture.clone()));
    }
    if let Some(oauth1) = &toolkit.oauth1 {
        captures.extend(oauth1.capture.iter().cloned());
    }
    if let Some(tokens) = toolkit.token_scheme(scheme) {
        captures.extend(tokens.steps.iter().flat_map(|step| step.response.capture.clone()));
    }
    captures.extend(toolkit.post_connect_of(scheme).flat_map(|(_, step)| step.capture.clone()));
    captures
}

fn token_calls(oauth: &OAuth2) -> impl Iterator<Item = &switchboard_catalog::Call> {
    oauth.steps.iter().chain(&oauth.refresh_call)
}
