//! Values that the user enters when connecting.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::yes;

/// A value that the user enters when connecting.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Name in templates and in the API: `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Label on the connect page.
    pub display_name: String,
    /// What to enter and where to find it.
    #[serde(default)]
    pub description: String,
    /// Masked on the page, sealed at rest. Not for connection fields.
    #[serde(default)]
    pub secret: bool,
    /// Whether it is required (default true).
    #[serde(default = "yes")]
    pub required: bool,
    /// Used if nothing is entered.
    pub default: Option<String>,
    /// Shown in the empty input.
    pub example: Option<String>,
    /// Format of the value.
    #[serde(default)]
    pub format: FieldFormat,
    /// A regular expression that the whole value must match, in addition to its format.
    pub pattern: Option<String>,
    /// Prefixes to remove, so that a pasted address is accepted: `["https://"]`.
    #[serde(default)]
    pub strip_prefixes: Vec<String>,
    /// Suffixes to remove: `[".example.com/", ".example.com"]`.
    #[serde(default)]
    pub strip_suffixes: Vec<String>,
    /// The values to choose from; if given, no other is accepted.
    #[serde(default)]
    pub options: Vec<FieldOption>,
    /// Shown only while another field has a certain value.
    pub visible_when: Option<Condition>,
    /// Supplied only by the developer, in the auth config or with the link; never shown to the visitor.
    #[serde(default)]
    pub by_developer: bool,
}

impl Field {
    /// A required free-text field.
    pub fn text(name: &str, display_name: &str) -> Self {
        Self {
            name: name.to_owned(),
            display_name: display_name.to_owned(),
            description: String::new(),
            secret: false,
            required: true,
            default: None,
            example: None,
            format: FieldFormat::Text,
            pattern: None,
            strip_prefixes: Vec::new(),
            strip_suffixes: Vec::new(),
            options: Vec::new(),
            visible_when: None,
            by_developer: false,
        }
    }
}

/// Format of a field's value. A value that becomes part of a URL is never free text (R44).
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldFormat {
    /// 1 to 4,096 characters without control characters. Cannot be part of a URL.
    #[default]
    Text,
    /// Up to 32,768 characters with line breaks: a key, a certificate, a JSON file. Cannot be part
    /// of a URL.
    Document,
    /// One lower-case DNS label: `acme` in `acme.example.com`.
    DnsLabel,
    /// A lower-case host name with a dot, no port, no IP address.
    Hostname,
    /// `https://host` or `https://host:port`, no path.
    Origin,
    /// One path segment: 1 to 128 letters, digits, `-`, `_`, `.` and `~`, not only dots.
    PathSegment,
}

/// One of the values of a field.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FieldOption {
    /// The value.
    pub value: String,
    /// The text on the page.
    pub label: String,
    /// Template variables that are set while this option is chosen: `{ app_host = "app.example.com" }`. All
    /// options of a field set the same variables.
    #[serde(default)]
    pub sets: BTreeMap<String, String>,
}

/// Holds while another field has a value.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Name of a connection field or of a field of the same scheme.
    pub field: String,
    /// The value.
    pub is: String,
}

/// Label and help of a fixed field.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FieldText {
    /// Label on the connect page.
    pub display_name: String,
    /// What to enter and where to find it.
    #[serde(default)]
    pub description: String,
    /// Whether it is a secret: hidden on the connect page and redacted in the provider's responses. Default:
    /// a password is secret, a user name only with `without_password`. Set `true` if a key is entered as the
    /// user name, and `false` for a password that is the same for all users.
    pub secret: Option<bool>,
}
