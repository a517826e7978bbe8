//! Rules for `[oauth2]`: endpoints, scopes, parameters and the token answer.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use super::requests::Apply;
use crate::model::{ClientAuthentication, OAuth2, Pkce, Refresh};
use crate::path::Path;
use crate::template::is_variable_name;

/// What the service itself writes into an authorization request (RFC 6749 section 4.1.1, RFC 7636
/// section 4.3). A file that replaced `state` or the challenge would undo the protection.
const AUTHORIZATION_PARAMETERS: [&str; 6] =
    ["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"];

/// What the service itself writes into a token request (RFC 6749 sections 4.1.3 and 6).
const TOKEN_PARAMETERS: [&str; 7] =
    ["client_id", "client_secret", "code", "code_verifier", "grant_type", "redirect_uri", "refresh_token"];

impl Check<'_> {
    pub(super) fn oauth2(&mut self) {
        let Some(oauth2) = &self.toolkit.oauth2 else {
            return;
        };
        let path = Path::root("oauth2");
        self.endpoints(&path, oauth2);
        self.client(&path, oauth2);
        self.scopes(&path, oauth2);
        self.parameters(&path, oauth2);
        self.token_answer(&path, oauth2);
        let apply = Apply { fields: &[], variables: &["access_token"], query: false };
        self.placements(&path.key("apply"), &oauth2.apply, &apply);
    }

    fn endpoints(&mut self, path: &Path, oauth2: &OAuth2) {
        let required = [("authorization_url", &oauth2.authorization_url), ("token_url", &oauth2.token_url)];
        for (key, url) in required {
            self.url(&path.key(key), url, &[]);
        }
        let optional = [("refresh_url", &oauth2.refresh_url), ("revocation_url", &oauth2.revocation_url)];
        for (key, url) in optional {
            if let Some(url) = url {
                self.url(&path.key(key), url, &[]);
            }
        }
        // RFC 9207 section 2: an issuer identifier has no query and no fragment.
        if let Some(issuer) = &oauth2.issuer
            && self.url(&path.key("issuer"), issuer, &[])
        {
            self.require(!issuer.contains('?'), &path.key("issuer"), "must have no query");
        }
        let known = oauth2.issuer.is_some() || !oauth2.iss_required;
        self.require(known, &path.key("iss_required"), "needs `issuer` to compare with");
    }

    fn client(&mut self, path: &Path, oauth2: &OAuth2) {
        // RFC 9700 section 2.1.1: public clients must use PKCE.
        let public = oauth2.client_authentication == ClientAuthentication::None;
        let unprotected = public && oauth2.pkce == Pkce::Off;
        let message = "must be `S256` where `client_authentication = \"none\"`";
        self.require(!unprotected, &path.key("pkce"), message);
        let unused = oauth2.refresh == Refresh::None && oauth2.refresh_url.is_some();
        let message = "must be absent where `refresh = \"none\"`";
        self.require(!unused, &path.key("refresh_url"), message);
        let lifetime = oauth2.expires_in != Some(0);
        self.require(lifetime, &path.key("expires_in"), "must be a number of seconds above 0");
        self.headers(&path.key("token_headers"), &oauth2.token_headers);
    }

    fn scopes(&mut self, path: &Path, oauth2: &OAuth2) {
        let separator = oauth2.scope_separator.as_str();
        let known = [" ", ","].contains(&separator);
        self.require(known, &path.key("scope_separator"), "must be a space or a comma");
        let lists = [("scopes", &oauth2.scopes), ("available_scopes", &oauth2.available_scopes)];
        for (key, scopes) in lists {
            let mut seen = BTreeSet::new();
            for (index, scope) in scopes.iter().enumerate() {
                let path = path.key(key).index(index);
                let shape = is_scope(scope) && !scope.contains(separator);
                let message = "must be one scope: visible ASCII without the separator";
                self.require(shape, &path, message);
                self.require(seen.insert(scope), &path, "is listed twice");
            }
        }
        let names = [
            ("scope_parameter", Some(&oauth2.scope_parameter)),
            ("user_scope_parameter", oauth2.user_scope_parameter.as_ref()),
        ];
        for (key, name) in names {
            if let Some(name) = name {
                self.parameter(&path.key(key), name, &AUTHORIZATION_PARAMETERS);
            }
        }
    }

    fn parameters(&mut self, path: &Path, oauth2: &OAuth2) {
        let mut own = AUTHORIZATION_PARAMETERS.to_vec();
        own.push(&oauth2.scope_parameter);
        own.extend(oauth2.user_scope_parameter.as_deref());
        let authorization = path.key("authorization_parameters");
        self.parameter_map(&authorization, &oauth2.authorization_parameters, &own);
        self.parameter_map(&path.key("token_parameters"), &oauth2.token_parameters, &TOKEN_PARAMETERS);
    }

    fn parameter_map(&mut self, path: &Path, parameters: &BTreeMap<String, String>, own: &[&str]) {
        for (name, value) in parameters {
            let path = path.key(name);
            self.parameter(&path, name, own);
            self.value(&path, value, &Apply::CONNECTION);
        }
    }

    fn parameter(&mut self, path: &Path, name: &str, own: &[&str]) {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let shape = !name.is_empty() && name.bytes().all(allowed);
        self.require(shape, path, "a parameter name consists of letters, digits, `-`, `.` and `_`");
        if own.contains(&name) {
            self.report(path, format!("parameter `{name}` is set by the service itself"));
        }
    }

    fn token_answer(&mut self, path: &Path, oauth2: &OAuth2) {
        let response = &oauth2.response;
        let path = path.key("response");
        let pointers = [
            ("access_token", &response.access_token),
            ("refresh_token", &response.refresh_token),
            ("expires_in", &response.expires_in),
            ("scope", &response.scope),
            ("token_type", &response.token_type),
        ];
        for (key, pointer) in pointers {
            self.pointer(&path.key(key), pointer);
        }
        let has_value = response.error_value.is_some();
        let pointer = response.error_pointer.as_deref();
        self.pointer_and_value(&path, "error_pointer", pointer, "error_value", has_value);
        for (name, pointer) in &response.capture {
            let path = path.key("capture").key(name);
            let message = "a captured name is a lower-case letter followed by `a-z`, `0-9` and `_`";
            self.require(is_variable_name(name), &path, message);
            let secrets = [&response.access_token, &response.refresh_token];
            let message = "a captured value is not secret; this pointer is a token's";
            self.require(!secrets.contains(&pointer), &path, message);
            self.pointer(&path, pointer);
        }
    }
}

/// RFC 6749 section 3.3: `scope-token`.
fn is_scope(scope: &str) -> bool {
    let allowed = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    !scope.is_empty() && scope.bytes().all(allowed)
}
