//! What a toolkit file must fulfil beyond its types: a pure function from a toolkit to findings.
//!
//! Two aims: a file that cannot work is refused when it is loaded and not when somebody connects,
//! and no file can send a credential to a host that it does not name or into a URL (R44, R50).

mod fields;
mod general;
mod oauth2;
mod requests;
mod urls;

use std::fmt;

use crate::model::{Field, FieldFormat, Toolkit};
use crate::path::Path;

/// Variables that the service itself supplies: where the built-in provider listens, as an origin
/// and as `host:port`. Only the built-in `sandbox` toolkit has a use for them.
const BUILTIN_VARIABLES: [(&str, FieldFormat); 2] =
    [("sandbox_url", FieldFormat::Origin), ("sandbox_host", FieldFormat::Hostname)];

/// One rule that a file breaks.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The key that is wrong or missing.
    pub(crate) path: Path,
    /// What is allowed there.
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.message)
    }
}

/// Everything that is wrong with a toolkit. `folder` is the name of the folder that its file is in.
pub(crate) fn findings(toolkit: &Toolkit, folder: Option<&str>) -> Vec<Finding> {
    let mut check = Check { toolkit, findings: Vec::new() };
    check.general(folder);
    check.all_fields();
    check.base_url_and_hosts();
    check.oauth2();
    check.key_schemes();
    check.probes();
    check.findings
}

/// The toolkit being checked and what was found so far.
struct Check<'t> {
    toolkit: &'t Toolkit,
    findings: Vec<Finding>,
}

impl Check<'_> {
    fn report(&mut self, path: &Path, message: impl Into<String>) {
        self.findings.push(Finding { path: path.clone(), message: message.into() });
    }

    /// Reports `message` unless `holds`.
    fn require(&mut self, holds: bool, path: &Path, message: &str) {
        if !holds {
            self.report(path, message);
        }
    }

    /// Reports a field that a template uses and that may be left out when connecting.
    fn never_empty(&mut self, path: &Path, field: &Field) -> bool {
        let filled = field.required || field.default.is_some();
        if !filled {
            let message = format!("`{{{}}}` may be empty; make the field required or give it a default", field.name);
            self.report(path, message);
        }
        filled
    }

    /// Reports a variable that nothing fills in. `scheme` are the fields of the scheme at hand.
    fn unknown_variable(&mut self, path: &Path, name: &str, scheme: &[Field], more: &[&str]) {
        let declared = self.toolkit.fields.iter().chain(scheme).map(|field| field.name.as_str());
        let known: Vec<String> = more.iter().copied().chain(declared).map(|name| format!("`{{{name}}}`")).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        self.report(path, format!("unknown variable `{{{name}}}`; known variables: {known}"));
    }
}

/// The declared field of this name: a connection field or one of the scheme at hand.
fn declared<'a>(toolkit: &'a Toolkit, scheme: &'a [Field], name: &str) -> Option<&'a Field> {
    toolkit.fields.iter().chain(scheme).find(|field| field.name == name)
}

/// An RFC 9110 section 5.6.2 token: what a header name consists of.
fn is_header_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// Visible ASCII and inner spaces: what every HTTP implementation takes as a header value.
fn is_header_value(value: &str) -> bool {
    let visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    visible && !value.is_empty() && value.trim() == value
}

/// A JSON pointer (RFC 6901) to something inside the document.
fn is_pointer(pointer: &str) -> bool {
    let mut after_tilde = pointer.split('~').skip(1);
    pointer.starts_with('/') && after_tilde.all(|rest| rest.starts_with(['0', '1']))
}
