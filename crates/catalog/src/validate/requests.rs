//! Rules for requests: where a credential is put, and the probes that prove it.

use std::collections::BTreeMap;

use super::{BUILTIN_VARIABLES, Check, declared, is_header_value, is_pointer};
use crate::model::{BasicScheme, Field, KeyScheme, Placement, Probe};
use crate::path::Path;
use crate::template;

/// Which placements a scheme may use, and which of its variables is the credential.
pub(super) struct Apply<'a> {
    /// Fields of the scheme.
    pub(super) fields: &'a [Field],
    /// Variables besides fields.
    pub(super) variables: &'a [&'a str],
    /// A query parameter ends up in logs (R50): RFC 6750 section 2.3 advises against it for bearer
    /// tokens, so only keys may be sent so, where the provider demands it.
    pub(super) query: bool,
}

impl Apply<'_> {
    /// No credential: connection fields only.
    pub(super) const CONNECTION: Apply<'static> = Apply { fields: &[], variables: &[], query: false };
}

impl Check<'_> {
    pub(super) fn key_schemes(&mut self) {
        let toolkit = self.toolkit;
        if let Some(scheme) = &toolkit.api_key {
            self.key_scheme(&Path::root("api_key"), scheme, true);
        }
        if let Some(scheme) = &toolkit.bearer_token {
            self.key_scheme(&Path::root("bearer_token"), scheme, false);
        }
    }

    fn key_scheme(&mut self, path: &Path, scheme: &KeyScheme, query: bool) {
        let apply = Apply { fields: &scheme.fields, variables: &[], query };
        self.placements(&path.key("apply"), &scheme.apply, &apply);
    }

    pub(super) fn placements(&mut self, path: &Path, placements: &[Placement], apply: &Apply<'_>) {
        let mut credential = false;
        for (index, placement) in placements.iter().enumerate() {
            let path = path.index(index);
            self.place(&path, placement, apply);
            credential |= self.value(&path.key("value"), &placement.value, apply);
        }
        self.require(credential, path, "must put the credential on requests: no value uses it");
    }

    /// A template of a header's or parameter's value; answers whether it holds the credential.
    pub(super) fn value(&mut self, path: &Path, text: &str, apply: &Apply<'_>) -> bool {
        let names = match template::variables(text) {
            Ok(names) => names,
            Err(error) => {
                self.report(path, error.to_string());
                return false;
            }
        };
        let literal = template::expand(text, &|_| Some("x".to_owned()));
        let printable = literal.is_ok_and(|literal| is_header_value(&literal));
        self.require(printable, path, "must be visible ASCII without surrounding spaces");
        let mut credential = false;
        for name in names {
            if apply.variables.contains(&name.as_str()) {
                credential = true;
            } else if let Some(field) = declared(self.toolkit, apply.fields, &name) {
                credential |= field.secret;
                self.never_empty(path, field);
            } else if !BUILTIN_VARIABLES.iter().any(|(known, _)| *known == name) {
                self.unknown_variable(path, &name, apply.fields, apply.variables);
            }
        }
        credential
    }

    /// Headers of requests; their values are templates over connection fields.
    pub(super) fn headers(&mut self, path: &Path, headers: &BTreeMap<String, String>) {
        for (name, value) in headers {
            let path = path.key(name);
            self.header_name(&path, name);
            self.value(&path, value, &Apply::CONNECTION);
        }
    }

    /// Where one placement goes.
    fn place(&mut self, path: &Path, placement: &Placement, apply: &Apply<'_>) {
        match (&placement.header, &placement.query) {
            (Some(name), None) => self.header_name(&path.key("header"), name),
            (None, Some(name)) if apply.query => {
                let visible = is_header_value(name) && !name.contains(' ');
                let message = "must be visible ASCII without spaces";
                self.require(visible, &path.key("query"), message);
            }
            (None, Some(_)) => {
                let message = "only `api_key` may use `query`; a token belongs in a header";
                self.report(&path.key("query"), message);
            }
            (Some(_), Some(_)) => self.report(path, "`header` and `query` exclude each other"),
            (None, None) => self.report(path, "needs `header` or `query`"),
        }
    }

    /// The verification requests of all schemes, and the identity request.
    pub(super) fn probes(&mut self) {
        let toolkit = self.toolkit;
        for (key, scheme) in [("api_key", &toolkit.api_key), ("bearer_token", &toolkit.bearer_token)] {
            if let Some(KeyScheme { fields, verify: Some(probe), .. }) = scheme {
                self.probe(&Path::root(key).key("verify"), probe, fields);
            }
        }
        if let Some(BasicScheme { verify: Some(probe), .. }) = &toolkit.basic {
            self.probe(&Path::root("basic").key("verify"), probe, &[]);
        }
        let Some(identity) = &toolkit.identity else {
            return;
        };
        let path = Path::root("identity");
        self.probe(&path.key("request"), &identity.request, &[]);
        let pointers =
            [("id", Some(&identity.id)), ("email", identity.email.as_ref()), ("name", identity.name.as_ref())];
        for (key, pointer) in pointers {
            if let Some(pointer) = pointer {
                self.pointer(&path.key(key), pointer);
            }
        }
    }

    fn probe(&mut self, path: &Path, probe: &Probe, fields: &[Field]) {
        let method = ["GET", "POST"].contains(&probe.method.as_str());
        self.require(method, &path.key("method"), "must be `GET` or `POST`");
        let body = probe.json.is_none() || probe.method == "POST";
        self.require(body, &path.key("json"), "needs `method = \"POST\"`");
        self.probe_url(&path.key("url"), &probe.url, fields);
        self.headers(&path.key("headers"), &probe.headers);
        self.pointer_and_value(path, "ok_pointer", probe.ok_pointer.as_deref(), "ok_value", probe.ok_value.is_some());
    }

    fn probe_url(&mut self, path: &Path, text: &str, fields: &[Field]) {
        if !text.starts_with('/') {
            if self.url(path, text, fields) {
                self.covered(path, text);
            }
            return;
        }
        // `//host` is the one form in which a relative URL names a host.
        let relative = !text.starts_with("//");
        self.require(relative, path, "must begin with a single `/`, or be an https URL");
        if relative {
            self.url(path, &format!("https://base.example.com{text}"), fields);
        }
    }

    /// A pointer and the value it is compared with: both or neither.
    pub(super) fn pointer_and_value(
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
            self.report(&path.key(pointer_key), format!("needs `{value_key}` beside it"));
        }
        if pointer.is_none() && has_value {
            self.report(&path.key(value_key), format!("needs `{pointer_key}` beside it"));
        }
    }

    pub(super) fn pointer(&mut self, path: &Path, pointer: &str) {
        self.require(is_pointer(pointer), path, "must be a JSON pointer such as `/user/id`");
    }
}
