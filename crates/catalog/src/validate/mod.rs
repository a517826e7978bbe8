//! Validation of toolkit files beyond their types: a pure function from a toolkit to findings.
//!
//! It has two aims. A file that cannot work is rejected when it is loaded, not when a user connects. And no
//! file can send a credential to a host that it does not name, or in a URL (R44, R50).

mod account;
mod calls;
mod fields;
mod general;
mod names;
mod oauth2;
mod placements;
mod schemes;
mod urls;

use std::fmt;

use crate::model::{Capture, Field, Toolkit};
use crate::path::Path;
use crate::plain_http::PlainHttp;
use names::Names;

/// Variables that the service supplies, with a sample value: the address of the built-in provider, as an
/// origin and as `host:port`. Only the built-in `sandbox` toolkit uses them.
const BUILTIN_VARIABLES: [(&str, &str); 2] =
    [("sandbox_url", "http://127.0.0.1:8788"), ("sandbox_host", "127.0.0.1:8788")];

/// One violation of a rule.
#[derive(Debug)]
pub(crate) struct Finding {
    /// The wrong or missing key.
    pub(crate) path: Path,
    /// What is allowed.
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.message)
    }
}

/// All findings of a toolkit. `folder` is the name of its file's folder.
pub(crate) fn findings(toolkit: &Toolkit, folder: Option<&str>, plain: &PlainHttp) -> Vec<Finding> {
    let mut check = Check { toolkit, plain, findings: Vec::new(), reports: 0 };
    check.general(folder);
    check.all_fields();
    check.base_urls_and_hosts();
    check.oauth2_schemes();
    check.other_schemes();
    check.account();
    check.findings
}

/// The toolkit and the findings so far.
struct Check<'t> {
    toolkit: &'t Toolkit,
    /// Hosts that it may use with `http`.
    plain: &'t PlainHttp,
    findings: Vec<Finding>,
    /// Number of reports, including repeated ones.
    reports: usize,
}

impl Check<'_> {
    fn report(&mut self, path: &Path, message: impl Into<String>) {
        self.reports += 1;
        let finding = Finding { path: path.clone(), message: message.into() };
        // A key shared by several schemes is checked for each of them, but reported once. The messages differ
        // only after the semicolon, in the list of variables.
        let rule = |message: &str| message.split(';').next().map(str::to_owned);
        let is_known = |known: &Finding| known.path == finding.path && rule(&known.message) == rule(&finding.message);
        if !self.findings.iter().any(is_known) {
            self.findings.push(finding);
        }
    }

    /// Reports `message` unless `holds`.
    fn require(&mut self, holds: bool, path: &Path, message: &str) {
        if !holds {
            self.report(path, message);
        }
    }

    /// Reports a field that a template uses and that may be empty.
    fn never_empty(&mut self, path: &Path, field: &Field) -> bool {
        let filled = (field.required && field.visible_when.is_none()) || field.default.is_some();
        if !filled {
            let message = format!("`{{{}}}` may be empty; make the field required or give it a default", field.name);
            self.report(path, message);
        }
        filled
    }

    /// Reports a captured value that a URL uses and that a response may lack.
    fn always_captured(&mut self, path: &Path, capture: &Capture) -> bool {
        if !capture.required {
            let message = format!("`{{{}}}` may be missing; capture it with `required = true`", capture.name);
            self.report(path, message);
        }
        capture.required
    }

    /// Reports an undefined variable.
    fn unknown_variable(&mut self, path: &Path, name: &str, names: &Names) {
        self.report(path, format!("unknown variable `{{{name}}}`; known variables: {}", names.list()));
    }

    /// A pointer and the value to compare with: both or neither.
    fn pointer_and_value(
        &mut self,
        path: &Path,
        pointer_key: &str,
        pointer: Option<&str>,
        value_key: &str,
        has_value: bool,
    ) {
        if let Some(pointer) = pointer {
            self.pointer(&path.key(pointer_key), pointer);
        }
        if pointer.is_some() && !has_value {
            self.report(&path.key(pointer_key), format!("needs `{value_key}`"));
        }
        if pointer.is_none() && has_value {
            self.report(&path.key(value_key), format!("needs `{pointer_key}`"));
        }
    }

    fn pointer(&mut self, path: &Path, pointer: &str) {
        self.require(is_pointer(pointer), path, "must be a JSON pointer such as `/user/id`");
    }

    /// A JSON pointer, or the name of a header or cookie.
    fn place(&mut self, path: &Path, place: &str) {
        let is_place = match place.split_once(':') {
            Some(("header" | "cookie", name)) => is_header_name(name),
            _ => is_pointer(place),
        };
        self.require(is_place, path, "must be a JSON pointer such as `/user/id`, `header:Name` or `cookie:Name`");
    }
}

/// A token of RFC 9110 section 5.6.2, as in header names.
pub(crate) fn is_header_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(allowed)
}

/// Visible ASCII and inner spaces, which every HTTP implementation accepts in a header value.
pub(crate) fn is_header_value(value: &str) -> bool {
    let visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    visible && !value.is_empty() && value.trim() == value
}

/// A JSON pointer (RFC 6901) to a value inside the document.
pub(crate) fn is_pointer(pointer: &str) -> bool {
    let mut after_tilde = pointer.split('~').skip(1);
    pointer.starts_with('/') && after_tilde.all(|rest| rest.starts_with(['0', '1']))
}
