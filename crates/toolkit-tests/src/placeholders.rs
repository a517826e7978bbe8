//! Generated values for the variables of a toolkit, each of the form that its field has, so that the
//! real builders take them; in print each becomes its name again.

use std::collections::BTreeMap;

use switchboard_catalog::{Capture, FieldFormat, OAuth2, Scheme, Toolkit};
use switchboard_vault::{Secret, Secrets};

use super::raw::Shown;

/// The client identifier that is shown.
pub const CLIENT_ID: &str = "CLIENT_ID";

/// What requests are built with.
#[derive(Debug)]
pub struct Placeholders {
    values: BTreeMap<String, String>,
    /// What they look like in print.
    pub shown: Shown,
}

/// Values that flows bring, besides fields and captured values.
const OF_FLOWS: [&str; 10] = [
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
    /// None yet.
    pub(super) fn empty() -> Self {
        Self { values: BTreeMap::new(), shown: Shown::default() }
    }

    /// For one scheme of a toolkit.
    pub fn new(toolkit: &Toolkit, scheme: Scheme) -> Self {
        let mut made = Self::empty();
        for field in toolkit.connection_fields(scheme) {
            made.add(&field.name, field.format);
            for (name, value) in field.options.first().into_iter().flat_map(|option| &option.sets) {
                let is_host = FieldFormat::Hostname.check(value).is_ok();
                made.add(name, if is_host { FieldFormat::Hostname } else { FieldFormat::Text });
            }
        }
        for capture in captures(toolkit, scheme) {
            made.add(&capture.name, capture.format);
        }
        for name in OF_FLOWS {
            made.add(name, FieldFormat::Text);
        }
        made.add("redirect_uri", FieldFormat::Origin);
        made.add("nonce", FieldFormat::Text);
        // Where the built-in provider listens.
        made.add("sandbox_url", FieldFormat::Origin);
        if let Some(host) = made.text("sandbox_url").strip_prefix("https://") {
            made.values.insert("sandbox_host".to_owned(), host.to_owned());
        }
        made
    }

    /// Generates a value of a format, unless there is one already.
    pub(super) fn add(&mut self, name: &str, format: FieldFormat) {
        if self.values.contains_key(name) {
            return;
        }
        // Letters and digits only: no encoding changes it, and no host name refuses it.
        let core = format!("zq{:02}zq", self.values.len());
        let value = match format {
            FieldFormat::Text | FieldFormat::Document | FieldFormat::DnsLabel | FieldFormat::PathSegment => core,
            FieldFormat::Hostname => format!("{core}.example"),
            FieldFormat::Origin => format!("https://{core}.example"),
        };
        self.shown.add(&value, name);
        if let Some(host) = value.strip_prefix("https://") {
            self.shown.add(host, &format!("host of {name}"));
        }
        self.values.insert(name.to_owned(), value);
    }

    /// Takes a value that is printed as it is, unless there is one already.
    pub(super) fn put(&mut self, name: &str, value: &str) {
        self.values.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<String> {
        match name {
            "client_id" => Some(CLIENT_ID.to_owned()),
            _ => self.values.get(name).cloned(),
        }
    }

    /// The value of a variable that is always there.
    pub fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default()
    }

    /// All of them as an account's secrets.
    pub fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::new();
        for (name, value) in &self.values {
            secrets.insert(name, Secret::from(value.as_str()));
        }
        secrets
    }
}

/// Everything that is kept on the way to an account.
pub(super) fn captures(toolkit: &Toolkit, scheme: Scheme) -> Vec<Capture> {
    let mut found: Vec<Capture> = Vec::new();
    if let Some(oauth) = toolkit.oauth(scheme) {
        found.extend(oauth.callback.capture.iter().cloned());
        found.extend(oauth.response.capture.iter().cloned());
        found.extend(calls(oauth).flat_map(|call| call.response.capture.clone()));
    }
    if let Some(oauth1) = &toolkit.oauth1 {
        found.extend(oauth1.capture.iter().cloned());
    }
    if let Some(tokens) = toolkit.token_scheme(scheme) {
        found.extend(tokens.steps.iter().flat_map(|step| step.response.capture.clone()));
    }
    found.extend(toolkit.post_connect_of(scheme).flat_map(|(_, step)| step.capture.clone()));
    found
}

fn calls(oauth: &OAuth2) -> impl Iterator<Item = &switchboard_catalog::Call> {
    oauth.steps.iter().chain(&oauth.refresh_call)
}
