//! Rules for placements of credentials, and for template values.

use std::collections::BTreeMap;

use super::names::{Names, Variable};
use super::{Check, is_header_name, is_header_value};
use crate::model::{Placement, Sign};
use crate::path::Path;
use crate::template;

/// Target of a template's value.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Target {
    /// A header: one line of visible ASCII.
    Header,
    /// A parameter or a body: any text, even empty.
    Parameter,
}

impl Check<'_> {
    /// The placements of a scheme. Query parameters end up in logs (R50), and RFC 6750 section 2.3 advises
    /// against them for bearer tokens, so that only keys may be sent that way.
    pub(super) fn placements(&mut self, path: &Path, placements: &[Placement], names: &Names, query: bool) {
        let mut credential = false;
        for (index, placement) in placements.iter().enumerate() {
            let path = path.index(index);
            self.placement(&path, placement, query);
            credential |= self.value(&path.key("value"), &placement.value, names, Target::Header);
        }
        self.require(credential, path, "must add the credential to requests: no value uses it");
    }

    /// A value template; returns whether it contains the credential.
    pub(super) fn value(&mut self, path: &Path, text: &str, names: &Names, target: Target) -> bool {
        let used = match template::variables(text) {
            Ok(used) => used,
            Err(error) => {
                self.report(path, error.to_string());
                return false;
            }
        };
        if target == Target::Header {
            let literal = template::expand(text, &|_| Some("x".to_owned()));
            let printable = literal.is_ok_and(|literal| is_header_value(&literal));
            self.require(printable, path, "must be visible ASCII without surrounding spaces");
        }
        let mut credential = false;
        for name in used {
            match names.get(&name) {
                Some(Variable::Field(field)) => {
                    credential |= field.secret;
                    // A body may omit an optional value; a partial header is useless.
                    if target == Target::Header {
                        self.never_empty(path, &field);
                    }
                }
                Some(Variable::Extra(extra)) => credential |= extra.secret,
                Some(Variable::Captured(_) | Variable::Builtin(_) | Variable::Set(..)) => {}
                None => self.unknown_variable(path, &name, names),
            }
        }
        credential
    }

    /// Headers of requests; their values are templates.
    pub(super) fn headers(&mut self, path: &Path, headers: &BTreeMap<String, String>, names: &Names) {
        for (name, value) in headers {
            let path = path.key(name);
            self.header_name(&path, name);
            self.value(&path, value, names, Target::Header);
        }
    }

    /// Location of one placement.
    fn placement(&mut self, path: &Path, placement: &Placement, query: bool) {
        let places = [
            ("header", &placement.header),
            ("query", &placement.query),
            ("cookie", &placement.cookie),
            ("body", &placement.body),
        ];
        let given: Vec<_> = places.into_iter().filter_map(|(key, name)| Some((key, name.as_ref()?))).collect();
        let [(key, name)] = given.as_slice() else {
            self.report(path, "needs exactly one of `header`, `query`, `cookie` and `body`");
            return;
        };
        let path = path.key(key);
        match *key {
            "header" => self.header_name(&path, name),
            "cookie" => self.require(is_header_name(name), &path, "is not the name of a cookie"),
            "query" if !query => {
                self.report(&path, "only `api_key` may use `query`; a token belongs in a header");
            }
            _ => {
                let visible = is_header_value(name) && !name.contains(' ');
                self.require(visible, &path, "must be visible ASCII without spaces");
            }
        }
    }

    /// A signature: each text is a template, and one of them is secret.
    pub(super) fn sign(&mut self, path: &Path, sign: &Sign, names: &Names) {
        let texts: Vec<(&str, &str)> = match sign {
            Sign::AwsSigv4 { access_key_id, secret_access_key, session_token, region, service } => vec![
                ("access_key_id", access_key_id),
                ("secret_access_key", secret_access_key),
                ("session_token", session_token),
                ("region", region),
                ("service", service),
            ],
            Sign::Wsse { username, secret } => vec![("username", username), ("secret", secret)],
            Sign::HmacSha256 { key, header, .. } => {
                self.header_name(&path.key("header"), header);
                vec![("key", key)]
            }
        };
        let mut credential = false;
        for (key, text) in texts {
            credential |= self.value(&path.key(key), text, names, Target::Parameter);
        }
        self.require(credential, path, "must use a secret field");
        if let Sign::HmacSha256 { message, value, .. } = sign {
            let about = ["method", "path", "query", "body", "timestamp"].map(super::names::Extra::plain);
            let names = names.clone().with(&about);
            self.value(&path.key("message"), message, &names, Target::Parameter);
            let names = names.with(&[super::names::Extra::secret("signature")]);
            let signed = self.value(&path.key("value"), value, &names, Target::Header);
            self.require(signed, &path.key("value"), "must use `{signature}`");
        }
    }
}
