//! Rules for calls, which the file describes in full, and their responses.

use super::names::{Extra, Names};
use super::placements::Target;
use super::{Check, is_header_value};
use crate::model::{Assertion, Call, CallFormat, Capture, ClientAuthentication, TokenResponse};
use crate::path::Path;
use crate::template::{self, is_variable_name};

impl Check<'_> {
    /// One call. `client` is the client that can authenticate it, if any.
    pub(super) fn call(&mut self, path: &Path, call: &Call, names: &Names, client: bool) {
        let method = ["GET", "POST", "PUT", "DELETE"].contains(&call.method.as_str());
        self.require(method, &path.key("method"), "must be `GET`, `POST`, `PUT` or `DELETE`");
        let mut names = names.clone();
        if let Some(assertion) = &call.assertion {
            self.assertion(&path.key("assertion"), assertion, &names);
            names = names.with(&[Extra::secret("assertion")]);
        }
        self.url(&path.key("url"), &call.url, &names);
        self.headers(&path.key("headers"), &call.headers, &names);
        for (name, value) in &call.parameters {
            let path = path.key("parameters").key(name);
            self.require(is_header_value(name) && !name.contains(' '), &path, "must be visible ASCII without spaces");
            self.value(&path, value, &names, Target::Parameter);
            let client_secret =
                template::variables(value).is_ok_and(|used| used.iter().any(|name| name == "client_secret"));
            let message = "the client's secret must not be in a URL; authenticate with a header or send a form";
            self.require(!(client_secret && call.format == CallFormat::Query), &path, message);
        }
        self.body(path, call, &names);
        if let Some(method) = call.client_authentication {
            let path = path.key("client_authentication");
            self.require(client, &path, "this scheme has no client; authenticate with `parameters`");
            let in_url = call.format == CallFormat::Query && method == ClientAuthentication::ClientSecretPost;
            self.require(!in_url, &path, "the client's secret must not be in a URL; use `client_secret_basic`");
        }
        self.response(&path.key("response"), &call.response);
    }

    fn body(&mut self, path: &Path, call: &Call, names: &Names) {
        let Some(body) = &call.body else {
            let path = path.key("content_type");
            self.require(call.content_type.is_none(), &path, "needs `body`");
            return;
        };
        self.value(&path.key("body"), body, names, Target::Parameter);
        let alone = call.parameters.is_empty();
        self.require(alone, &path.key("parameters"), "not allowed with `body`");
        let kind = call.content_type.as_deref().is_some_and(is_header_value);
        self.require(kind, &path.key("content_type"), "is needed with `body`: its media type");
        let method = ["POST", "PUT"].contains(&call.method.as_str());
        self.require(method, &path.key("method"), "must be `POST` or `PUT` where there is a `body`");
    }

    pub(super) fn assertion(&mut self, path: &Path, assertion: &Assertion, names: &Names) {
        let names = &names.clone().with(&[Extra::plain("key_fingerprint")]);
        let secret = self.value(&path.key("key"), &assertion.key, names, Target::Parameter);
        self.require(secret, &path.key("key"), "must use a secret field");
        for (table, entries) in [("header", &assertion.header), ("claims", &assertion.claims)] {
            for (name, value) in entries {
                let path = path.key(table).key(name);
                let own = ["alg", "typ", "iat", "exp", "jti"].contains(&name.as_str());
                self.require(!own, &path, "is set by the service itself");
                self.value(&path, value, names, Target::Parameter);
            }
        }
        if let Some(certificate) = &assertion.certificate {
            self.value(&path.key("certificate"), certificate, names, Target::Parameter);
        }
        let lifetime = (1..=3600).contains(&assertion.lifetime);
        self.require(lifetime, &path.key("lifetime"), "must be 1 to 3600 seconds");
    }

    /// Locations of values in a response.
    pub(super) fn response(&mut self, path: &Path, response: &TokenResponse) {
        let places = [
            ("access_token", Some(&response.access_token)),
            ("refresh_token", Some(&response.refresh_token)),
            ("expires_in", Some(&response.expires_in)),
            ("expires_at", response.expires_at.as_ref()),
            ("refresh_token_expires_in", Some(&response.refresh_token_expires_in)),
            ("scope", Some(&response.scope)),
            ("token_type", Some(&response.token_type)),
        ];
        for (key, place) in places {
            if let Some(place) = place {
                self.place(&path.key(key), place);
            }
        }
        for (key, value_key, pointer, value) in [
            ("error_pointer", "error_value", &response.error_pointer, &response.error_value),
            ("ok_pointer", "ok_value", &response.ok_pointer, &response.ok_value),
        ] {
            self.pointer_and_value(path, key, pointer.as_deref(), value_key, value.is_some());
        }
        let errors = path.key("errors");
        for (key, pointer) in [("code", &response.errors.code), ("description", &response.errors.description)] {
            if let Some(pointer) = pointer {
                self.pointer(&errors.key(key), pointer);
            }
        }
        let secrets = [response.access_token.as_str(), response.refresh_token.as_str()];
        self.captures(&path.key("capture"), &response.capture, |at| !secrets.contains(&at), true);
    }

    /// Captured values. `is_public` returns whether a location may be captured.
    pub(super) fn captures(
        &mut self,
        path: &Path,
        captures: &[Capture],
        is_public: impl Fn(&str) -> bool,
        is_answer: bool,
    ) {
        for (index, capture) in captures.iter().enumerate() {
            let path = path.index(index);
            let message = "a captured name is a lower-case letter followed by `a-z`, `0-9` and `_`";
            self.require(is_variable_name(&capture.name), &path.key("name"), message);
            let taken = self.toolkit.fields.iter().any(|field| field.name == capture.name);
            self.require(!taken, &path.key("name"), "is the name of a connection field");
            let message = "a captured value must not be secret; this is the location of a token";
            self.require(is_public(&capture.at), &path.key("at"), message);
            if is_answer {
                self.place(&path.key("at"), &capture.at);
            } else {
                self.require(is_header_value(&capture.at), &path.key("at"), "must be the name of a parameter");
            }
            for (index, allowed) in capture.allowed.iter().enumerate() {
                let host = allowed.strip_prefix("*.").is_some_and(|domain| domain.contains('.'));
                let value = capture.format.check(allowed).is_ok();
                let message = "must be a value of the format, or `*.` and a domain";
                self.require(host || value, &path.key("allowed").index(index), message);
            }
        }
    }
}
