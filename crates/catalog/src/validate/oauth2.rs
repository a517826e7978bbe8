//! Rules for `[oauth2]`: endpoints, scopes, parameters and the token response.

use std::collections::{BTreeMap, BTreeSet};

use super::Check;
use super::names::{Extra, Names};
use super::placements::Target;
use crate::model::{
    ClientAuthentication, Expiry, ExtraToken, FieldFormat, OAuth2, Pkce, Reach, Refresh, SigningAlgorithm,
    TokenRequestFormat,
};
use crate::path::Path;
use crate::scheme::Scheme;
use crate::template::is_variable_name;

/// Parameters that the service sets in an authorization request (RFC 6749 section 4.1.1, RFC 7636 section
/// 4.3). A file that replaced `state` or the challenge would disable the protection.
const AUTHORIZATION_PARAMETERS: [&str; 6] =
    ["client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "state"];

/// Parameters that the service sets in a token request (RFC 6749 sections 4.1.3 and 6).
const TOKEN_PARAMETERS: [&str; 7] =
    ["client_id", "client_secret", "code", "code_verifier", "grant_type", "redirect_uri", "refresh_token"];

/// Message for a key that conflicts with the device flow.
const DEVICE_FLOW: &str = "not allowed with `device_authorization_url`: that flow has no callback";

impl Check<'_> {
    pub(super) fn oauth2_schemes(&mut self) {
        for scheme in [Scheme::OAuth2, Scheme::DcrOAuth, Scheme::CimdOAuth] {
            if let Some(oauth2) = self.toolkit.oauth(scheme) {
                self.oauth2(scheme, oauth2);
            }
        }
    }

    fn oauth2(&mut self, scheme: Scheme, oauth2: &OAuth2) {
        let path = Path::root(scheme.table());
        let entered = Names::entered(self.toolkit, scheme);
        self.endpoints(&path, oauth2, scheme, &entered);
        self.client(&path, oauth2, &entered);
        self.registration(&path, scheme, oauth2);
        self.scopes(&path, oauth2);
        self.parameters(&path, oauth2, &entered);
        self.callback(&path.key("callback"), oauth2);
        self.lifetimes(&path, oauth2);
        self.response(&path.key("response"), &oauth2.response);
        self.calls(&path, oauth2, scheme);
        for (index, token) in oauth2.tokens.iter().enumerate() {
            self.extra_token(&path.key("tokens").index(index), oauth2, token);
        }
        let names = Names::connected(self.toolkit, scheme).with(&[Extra::secret("access_token")]);
        self.placements(&path.key("apply"), &oauth2.apply, &names, false);
    }

    fn endpoints(&mut self, path: &Path, oauth2: &OAuth2, scheme: Scheme, entered: &Names) {
        let discovered = oauth2.discovery_url.is_some() || oauth2.resource.is_some();
        // A value of the callback may determine the token endpoint, from a list in the file.
        let mut returned = entered.clone();
        returned.and_captured(&oauth2.callback.capture);
        for (key, url, names) in
            [("authorization_url", &oauth2.authorization_url, entered), ("token_url", &oauth2.token_url, &returned)]
        {
            let by_device = key == "authorization_url" && oauth2.device_authorization_url.is_some();
            self.require(url.is_empty() || !by_device, &path.key(key), DEVICE_FLOW);
            if !(url.is_empty() && (discovered || by_device)) {
                self.require(!url.is_empty(), &path.key(key), "is needed, or `discovery_url`");
                if !url.is_empty() {
                    self.url(&path.key(key), url, names);
                }
            }
        }
        let optional = [
            ("refresh_url", &oauth2.refresh_url),
            ("revocation_url", &oauth2.revocation_url),
            ("introspection_url", &oauth2.introspection_url),
            ("pushed_authorization_request_url", &oauth2.pushed_authorization_request_url),
            ("registration_url", &oauth2.registration_url),
            ("device_authorization_url", &oauth2.device_authorization_url),
            ("discovery_url", &oauth2.discovery_url),
            ("resource", &oauth2.resource),
        ];
        for (key, url) in optional {
            if let Some(url) = url {
                self.url(&path.key(key), url, &returned);
            }
        }
        // RFC 9207 section 2: an issuer identifier has no query and no fragment.
        if let Some(issuer) = &oauth2.issuer
            && self.url(&path.key("issuer"), issuer, &returned)
        {
            self.require(!issuer.contains('?'), &path.key("issuer"), "must have no query");
        }
        let known = oauth2.issuer.is_some() || discovered || !oauth2.iss_required;
        self.require(known, &path.key("iss_required"), "needs `issuer` to compare with");
        for (index, code) in oauth2.callback.denied.iter().enumerate() {
            let is_code = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            let fits = (1..=64).contains(&code.len()) && code.bytes().all(is_code);
            let at = path.key("callback").key("denied").index(index);
            self.require(fits, &at, "must be 1 to 64 of the characters A-Z a-z 0-9 _ . -");
        }
        if oauth2.device_authorization_url.is_some() {
            let pushed = oauth2.pushed_authorization_request_url.is_none();
            self.require(pushed, &path.key("pushed_authorization_request_url"), DEVICE_FLOW);
            let callback = &oauth2.callback;
            let returned = callback.code.is_none() && callback.hmac.is_none() && callback.capture.is_empty();
            self.require(returned && callback.denied.is_empty(), &path.key("callback"), DEVICE_FLOW);
            let question = self.toolkit.post_connect_of(scheme).find(|(_, step)| step.choose.is_some());
            let message = "not allowed with `device_authorization_url`: that flow has no page to ask on";
            let at = Path::root("post_connect").index(question.map_or(0, |(index, _)| index)).key("choose");
            self.require(question.is_none(), &at, message);
        }
        let is_known = oauth2.revocation_url.is_some() || oauth2.revoke.is_some() || discovered;
        let message = "needs `revocation_url` or `revoke`";
        self.require(is_known || oauth2.revocation_reach == Reach::Token, &path.key("revocation_reach"), message);
        self.require(is_known || oauth2.revocation_tokens.is_empty(), &path.key("revocation_tokens"), message);
        for (index, name) in oauth2.revocation_tokens.iter().enumerate() {
            let first = !oauth2.revocation_tokens[..index].contains(name);
            self.require(first, &path.key("revocation_tokens").index(index), "is listed twice");
        }
        let one = oauth2.revocation_url.is_none() || oauth2.revoke.is_none();
        self.require(one, &path.key("revoke"), "not allowed with `revocation_url`");
    }

    fn client(&mut self, path: &Path, oauth2: &OAuth2, entered: &Names) {
        // RFC 9700 section 2.1.1: public clients must use PKCE.
        let public = oauth2.client_authentication == ClientAuthentication::None;
        let unprotected = public && oauth2.pkce == Pkce::Off;
        let message = "must be `S256` where `client_authentication = \"none\"`";
        self.require(!unprotected, &path.key("pkce"), message);
        let in_url = oauth2.token_request_format == TokenRequestFormat::Query
            && oauth2.client_authentication == ClientAuthentication::ClientSecretPost;
        let message = "the client's secret must not be in a URL; use `client_secret_basic`";
        self.require(!in_url, &path.key("client_authentication"), message);
        let is_jwt = oauth2.client_authentication == ClientAuthentication::ClientSecretJwt;
        let hmac = oauth2.client_assertion.algorithm == SigningAlgorithm::HS256;
        let message = "must be `HS256` for `client_secret_jwt`, and only there";
        self.require(is_jwt == hmac, &path.key("client_assertion").key("algorithm"), message);
        for (key, text) in
            [("audience", &oauth2.client_assertion.audience), ("issuer", &oauth2.client_assertion.issuer)]
        {
            if let Some(text) = text {
                let names = entered.clone().with(&[Extra::plain("client_id"), Extra::plain("redirect_host")]);
                self.value(&path.key("client_assertion").key(key), text, &names, Target::Parameter);
            }
        }
        self.headers(&path.key("token_headers"), &oauth2.token_headers, entered);
    }

    fn registration(&mut self, path: &Path, scheme: Scheme, oauth2: &OAuth2) {
        let discovered = oauth2.discovery_url.is_some() || oauth2.resource.is_some();
        if scheme == Scheme::DcrOAuth {
            let known = discovered || oauth2.registration_url.is_some();
            self.require(known, &path.key("registration_url"), "is needed, or `discovery_url` or `resource`");
        } else {
            let message = "belongs in `[dcr_oauth]`";
            self.require(oauth2.registration_url.is_none(), &path.key("registration_url"), message);
        }
        // RFC 7591 section 2: these are lists, or set by the service.
        for name in oauth2.registration_parameters.keys() {
            let own = ["redirect_uris", "grant_types", "response_types", "contacts", "jwks"].contains(&name.as_str());
            let path = path.key("registration_parameters").key(name);
            self.require(!own, &path, "is set by the service itself, or is no text");
        }
    }

    fn lifetimes(&mut self, path: &Path, oauth2: &OAuth2) {
        let unused = oauth2.refresh == Refresh::None && oauth2.refresh_url.is_some();
        let message = "not allowed with `refresh = \"none\"`";
        self.require(!unused, &path.key("refresh_url"), message);
        let unused = oauth2.refresh == Refresh::None && oauth2.refresh_call.is_some();
        self.require(!unused, &path.key("refresh_call"), message);
        for (key, seconds) in [
            ("expires_in", oauth2.expires_in),
            ("max_expires_in", oauth2.max_expires_in),
            ("refresh_margin", oauth2.refresh_margin),
            ("refresh_token_lifetime", oauth2.refresh_token_lifetime),
            ("refresh_token_idle", oauth2.refresh_token_idle),
        ] {
            self.require(seconds != Some(0), &path.key(key), "must be a number of seconds above 0");
        }
        self.require(oauth2.token_limit != Some(0), &path.key("token_limit"), "must be a number above 0");
        let fixed = oauth2.expiry != Expiry::Fixed || oauth2.expires_in.is_some();
        self.require(fixed, &path.key("expiry"), "`fixed` needs `expires_in`");
        let is_introspectable = oauth2.expiry != Expiry::Introspection
            || oauth2.introspection_url.is_some()
            || oauth2.discovery_url.is_some();
        self.require(is_introspectable, &path.key("expiry"), "`introspection` needs `introspection_url`");
    }

    fn callback(&mut self, path: &Path, oauth2: &OAuth2) {
        let own = ["code", "state", "iss", "error"];
        self.captures(&path.key("capture"), &oauth2.callback.capture, |at| !own.contains(&at), false);
        for (index, capture) in oauth2.callback.capture.iter().enumerate() {
            let decides = matches!(capture.format, FieldFormat::Hostname | FieldFormat::Origin);
            let message = "required: the user who completes the flow chooses this value, and it determines a host";
            let path = path.key("capture").index(index).key("allowed");
            self.require(!decides || !capture.allowed.is_empty(), &path, message);
        }
    }

    /// Requests that the file describes in full.
    fn calls(&mut self, path: &Path, oauth2: &OAuth2, scheme: Scheme) {
        let client = [Extra::plain("client_id").in_path(), Extra::secret("client_secret")];
        let tokens = [Extra::secret("access_token"), Extra::secret("refresh_token")];
        let mut names = Names::entered(self.toolkit, scheme).with(&client).with(&tokens);
        names.and_captured(&oauth2.response.capture);
        names.and_captured(&oauth2.callback.capture);
        let mut stepping = names.clone().with(&[Extra::plain("redirect_uri")]);
        for (index, step) in oauth2.steps.iter().enumerate() {
            self.call(&path.key("steps").index(index), step, &stepping, true);
            stepping.and_captured(&step.response.capture);
        }
        if let Some(call) = &oauth2.refresh_call {
            let names = names.clone().with(&[Extra::plain("redirect_uri")]);
            self.call(&path.key("refresh_call"), call, &names, true);
        }
        if let Some(call) = &oauth2.revoke {
            let names = names.clone().with(&[Extra::secret("token").in_path()]);
            self.call(&path.key("revoke"), call, &names, true);
        }
    }

    fn extra_token(&mut self, path: &Path, oauth2: &OAuth2, token: &ExtraToken) {
        let message = "must be a lower-case letter followed by `a-z`, `0-9` and `_`";
        self.require(is_variable_name(&token.name), &path.key("name"), message);
        self.place(&path.key("access_token"), &token.access_token);
        for (key, place) in [("refresh_token", &token.refresh_token), ("expires_in", &token.expires_in)] {
            if let Some(place) = place {
                self.place(&path.key(key), place);
            }
        }
        for (index, prefix) in token.paths.iter().enumerate() {
            self.require(prefix.starts_with('/'), &path.key("paths").index(index), "must begin with `/`");
        }
        let owned = token.revocation_reach != Reach::Grant || token.owner.is_some();
        self.require(owned, &path.key("owner"), "is needed where `revocation_reach` is `grant`");
        let captured = |name: &String| oauth2.response.capture.iter().any(|capture| capture.name == *name);
        self.require(token.owner.as_ref().is_none_or(captured), &path.key("owner"), "must be captured in `response`");
        let refreshed = oauth2.tokens.iter().filter(|other| other.refresh_token.is_some()).count();
        let message = "only one further token can be refreshed, and none with `expiry = \"introspection\"`";
        let one = refreshed <= 1 && (refreshed == 0 || oauth2.expiry != Expiry::Introspection);
        self.require(one, &path.key("refresh_token"), message);
        let alone = oauth2.tokens.iter().filter(|other| other.alone).count() <= 1;
        self.require(alone, &path.key("alone"), "only one token can be the only one");
        for (index, host) in token.hosts.iter().enumerate() {
            let known = self.toolkit.hosts.contains(host);
            self.require(
                known,
                &path.key("hosts").index(index),
                "must be one of the toolkit's `hosts`, spelled the same",
            );
        }
    }

    fn scopes(&mut self, path: &Path, oauth2: &OAuth2) {
        let separator = oauth2.scope_separator.as_str();
        let known = [" ", ",", "+"].contains(&separator);
        self.require(known, &path.key("scope_separator"), "must be a space, a comma or `+`");
        let lists = [
            ("scopes", &oauth2.scopes),
            ("always_scopes", &oauth2.always_scopes),
            ("optional_scopes", &oauth2.optional_scopes),
            ("available_scopes", &oauth2.available_scopes),
        ];
        let optional = oauth2.optional_scopes.is_empty() || oauth2.optional_scope_parameter.is_some();
        self.require(optional, &path.key("optional_scopes"), "needs `optional_scope_parameter`");
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
            ("optional_scope_parameter", oauth2.optional_scope_parameter.as_ref()),
        ];
        for (key, name) in names {
            if let Some(name) = name {
                self.parameter(&path.key(key), name, &AUTHORIZATION_PARAMETERS);
            }
        }
    }

    fn parameters(&mut self, path: &Path, oauth2: &OAuth2, entered: &Names) {
        let mut own = AUTHORIZATION_PARAMETERS.to_vec();
        own.push(&oauth2.scope_parameter);
        own.extend(oauth2.user_scope_parameter.as_deref());
        own.extend(oauth2.optional_scope_parameter.as_deref());
        let table = path.key("authorization_parameters");
        let with_nonce = entered.clone().with(&[Extra::plain("nonce")]);
        self.parameter_map(&table, &oauth2.authorization_parameters, &own, &with_nonce);
        let with_state = entered.clone().with(&[Extra::plain("state"), Extra::plain("redirect_uri")]);
        self.parameter_map(&path.key("token_parameters"), &oauth2.token_parameters, &TOKEN_PARAMETERS, &with_state);
        if let Some(parameters) = &oauth2.refresh_parameters {
            let own: Vec<&str> = TOKEN_PARAMETERS.into_iter().filter(|name| *name != "redirect_uri").collect();
            let names = entered.clone().with(&[Extra::plain("redirect_uri")]);
            self.parameter_map(&path.key("refresh_parameters"), parameters, &own, &names);
        }
        for name in oauth2.parameter_names.keys() {
            let known = AUTHORIZATION_PARAMETERS.contains(&name.as_str()) || TOKEN_PARAMETERS.contains(&name.as_str());
            let path = path.key("parameter_names").key(name);
            self.require(known, &path, "is not a parameter that the service sends");
        }
        for (index, name) in oauth2.authorization_omit.iter().enumerate() {
            let path = path.key("authorization_omit").index(index);
            let protects = ["state", "code_challenge", "code_challenge_method"].contains(&name.as_str());
            self.require(!protects, &path, "protects the user and cannot be left out");
        }
    }

    fn parameter_map(&mut self, path: &Path, parameters: &BTreeMap<String, String>, own: &[&str], names: &Names) {
        for (name, value) in parameters {
            let path = path.key(name);
            self.parameter(&path, name, own);
            self.value(&path, value, names, Target::Parameter);
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
}

/// RFC 6749 section 3.3: `scope-token`.
fn is_scope(scope: &str) -> bool {
    let allowed = |byte: u8| (b'!'..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    !scope.is_empty() && scope.bytes().all(allowed)
}
