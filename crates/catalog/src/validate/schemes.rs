//! Rules for all schemes but the OAuth 2.0 authorization code grant.

use super::Check;
use super::names::{Extra, Names};
use super::placements::Target;
use crate::model::{KeyScheme, OAuth1, SignatureMethod, TokenScheme};
use crate::path::Path;
use crate::scheme::Scheme;
use crate::template;

/// Prefix of the parameters that the service sets in OAuth 1.0a requests (RFC 5849 section 3.1).
const OAUTH1_PREFIX: &str = "oauth_";

impl Check<'_> {
    pub(super) fn other_schemes(&mut self) {
        let toolkit = self.toolkit;
        for (scheme, keys) in [(Scheme::ApiKey, &toolkit.api_key), (Scheme::BearerToken, &toolkit.bearer_token)] {
            if let Some(keys) = keys {
                self.key_scheme(scheme, keys);
            }
        }
        if let Some(basic) = &toolkit.basic {
            let names = Names::connected(toolkit, Scheme::Basic);
            let path = Path::root("basic");
            if let Some(template) = &basic.username_template {
                self.value(&path.key("username_template"), template, &names, Target::Parameter);
                let used = template::variables(template).is_ok_and(|used| used.iter().any(|name| name == "username"));
                self.require(used, &path.key("username_template"), "must use `{username}`");
            }
            let says_so = basic.username.as_ref().is_some_and(|text| text.secret.is_some());
            if !basic.password_is_secret() && !says_so {
                let message = "must say whether it is a secret, since the password is none: `secret = true` where the \
                               key is entered as the user name";
                self.report(&path.key("username"), message);
            }
            if let Some(probe) = &basic.verify {
                self.probe(&path.key("verify"), probe, &names, toolkit.base_url(Scheme::Basic));
            }
        }
        for scheme in Scheme::ALL {
            if let Some(tokens) = toolkit.token_scheme(*scheme) {
                self.token_scheme(*scheme, tokens);
            }
        }
        if let Some(oauth1) = &toolkit.oauth1 {
            self.oauth1(oauth1);
        }
    }

    fn key_scheme(&mut self, scheme: Scheme, keys: &KeyScheme) {
        let path = Path::root(scheme.table());
        let names = Names::connected(self.toolkit, scheme);
        match &keys.sign {
            Some(sign) => self.sign(&path.key("sign"), sign, &names),
            None => self.placements(&path.key("apply"), &keys.apply, &names, scheme == Scheme::ApiKey),
        }
        if keys.sign.is_some() && !keys.apply.is_empty() {
            self.placements(&path.key("apply"), &keys.apply, &names, scheme == Scheme::ApiKey);
        }
        if let Some(probe) = &keys.verify {
            self.probe(&path.key("verify"), probe, &names, self.toolkit.base_url(scheme));
        }
    }

    fn token_scheme(&mut self, scheme: Scheme, tokens: &TokenScheme) {
        let path = Path::root(scheme.table());
        let one = tokens.steps.is_empty() == tokens.assertion.is_some();
        self.require(one, &path.key("steps"), "at least one request is needed, or `assertion` in their place");
        let mut extra = Vec::new();
        if scheme == Scheme::GoogleServiceAccount {
            extra.extend([Extra::plain("client_email"), Extra::plain("private_key_id"), Extra::plain("project_id")]);
            extra.extend([Extra::plain("client_id"), Extra::secret("private_key"), Extra::plain("token_uri")]);
        }
        let mut names = Names::entered(self.toolkit, scheme).with(&extra);
        let client = names.get("client_id").is_some() && names.get("client_secret").is_some();
        if let Some(assertion) = &tokens.assertion {
            self.assertion(&path.key("assertion"), assertion, &names);
            self.require(tokens.verify.is_some(), &path.key("verify"), "required: nothing else verifies the assertion");
        }
        for (index, step) in tokens.steps.iter().enumerate() {
            self.call(&path.key("steps").index(index), step, &names, client);
            names.and_captured(&step.response.capture);
            names = names.with(&[Extra::secret("access_token"), Extra::secret("refresh_token")]);
        }
        self.require(tokens.expires_in != Some(0), &path.key("expires_in"), "must be a number of seconds above 0");
        let names = Names::connected(self.toolkit, scheme).with(&[Extra::secret("access_token")]);
        self.placements(&path.key("apply"), &tokens.apply, &names, false);
        if let Some(probe) = &tokens.verify {
            self.probe(&path.key("verify"), probe, &names, self.toolkit.base_url(scheme));
        }
        if let Some(revoke) = &tokens.revoke {
            let names = names.with(&[Extra::secret("token").in_path()]);
            self.call(&path.key("revoke"), revoke, &names, client);
        }
    }

    fn oauth1(&mut self, oauth1: &OAuth1) {
        let path = Path::root("oauth1");
        let names = Names::entered(self.toolkit, Scheme::OAuth1);
        let urls = [
            ("request_token_url", &oauth1.request_token_url),
            ("authorization_url", &oauth1.authorization_url),
            ("access_token_url", &oauth1.access_token_url),
        ];
        for (key, url) in urls {
            self.url(&path.key(key), url, &names);
        }
        for (table, parameters) in [
            ("request_parameters", &oauth1.request_parameters),
            ("authorization_parameters", &oauth1.authorization_parameters),
        ] {
            for (name, value) in parameters {
                let path = path.key(table).key(name);
                let own = name.starts_with(OAUTH1_PREFIX);
                self.require(!own, &path, "names that begin with `oauth_` are set by the service itself");
                self.value(&path, value, &names, Target::Parameter);
            }
        }
        let secret = |at: &str| !["/oauth_token", "/oauth_token_secret"].contains(&at);
        self.captures(&path.key("capture"), &oauth1.capture, secret, true);
        let plain = oauth1.signature_method == SignatureMethod::Plaintext;
        let https = [&oauth1.request_token_url, &oauth1.access_token_url].iter().all(|url| url.starts_with("https://"));
        let loopback = oauth1.request_token_url.starts_with("http://127.0.0.1");
        let message = "`PLAINTEXT` sends the secret itself and needs https";
        self.require(!plain || https || loopback, &path.key("signature_method"), message);
        if let Some(revoke) = &oauth1.revoke {
            let extra = [Extra::secret("token").in_path(), Extra::plain("client_id").in_path()];
            self.call(&path.key("revoke"), revoke, &names.with(&extra), false);
        }
    }
}
