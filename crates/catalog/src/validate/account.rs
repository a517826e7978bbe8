//! Rules for requests with an account's credential: verification, identity, choices.

use super::names::Names;
use super::{Check, is_header_name, is_pointer};
use crate::model::{Identity, PostConnect, Probe};
use crate::path::Path;
use crate::scheme::Scheme;
use crate::tool::are_scopes;

impl Check<'_> {
    pub(super) fn account(&mut self) {
        let toolkit = self.toolkit;
        for (index, step) in toolkit.post_connect.iter().enumerate() {
            self.post_connect(&Path::root("post_connect").index(index), step);
        }
        if let Some(identity) = &toolkit.identity {
            let path = Path::root("identity");
            self.schemes(&path, &identity.schemes);
            let applies =
                |scheme: &Scheme| toolkit.identity_of(*scheme).is_some_and(|other| std::ptr::eq(other, identity));
            let schemes: Vec<Scheme> = self.connecting().into_iter().filter(applies).collect();
            self.identity(&path, identity, &schemes);
        }
        for scheme in self.connecting() {
            let own = toolkit
                .identity_of(scheme)
                .filter(|own| toolkit.identity.as_ref().is_none_or(|shared| !std::ptr::eq(*own, shared)));
            if let Some(identity) = own {
                let path = Path::root(scheme.table()).key("identity");
                let none = identity.schemes.is_empty();
                self.require(none, &path.key("schemes"), "belongs in [identity], not in the identity of a scheme");
                self.identity(&path, identity, &[scheme]);
            }
        }
    }

    /// A list of schemes, which must be schemes of the toolkit.
    fn schemes(&mut self, path: &Path, schemes: &[Scheme]) {
        for (index, scheme) in schemes.iter().enumerate() {
            let path = path.key("schemes").index(index);
            let offered = self.toolkit.offers(*scheme) && *scheme != Scheme::NoAuth;
            self.require(offered, &path, "must be a scheme of the toolkit that has a credential");
            self.require(!schemes[..index].contains(scheme), &path, "is listed twice");
        }
    }

    fn identity(&mut self, path: &Path, identity: &Identity, schemes: &[Scheme]) {
        if let Some(request) = &identity.request {
            for scheme in schemes {
                let names = Names::connected(self.toolkit, *scheme);
                self.probe(&path.key("request"), request, &names, self.toolkit.base_url(*scheme));
            }
        } else {
            let any_token = schemes.iter().any(|scheme| scheme.is_oauth2());
            self.require(any_token, &path.key("request"), "required unless a token response identifies the account");
        }
        for (index, scopes) in identity.scopes.iter().enumerate() {
            let path = path.key("scopes").index(index);
            let fits = !scopes.is_empty() && are_scopes(scopes);
            self.require(fits, &path, "must be a list of scopes without blanks");
        }
        let has_scopes = schemes.iter().any(|scheme| self.toolkit.oauth(*scheme).is_some());
        let message = "only OAuth 2.0 with a user has scopes";
        self.require(identity.scopes.is_empty() || has_scopes, &path.key("scopes"), message);
        let pointers = [
            ("id", Some(&identity.id)),
            ("email", identity.email.as_ref()),
            ("name", identity.name.as_ref()),
            ("avatar", identity.avatar.as_ref()),
            ("tenant", identity.tenant.as_ref()),
            ("tenant_name", identity.tenant_name.as_ref()),
        ];
        for (key, pointer) in pointers {
            if let Some(pointer) = pointer {
                self.pointer(&path.key(key), pointer);
            }
        }
    }

    /// Schemes with post-connect requests.
    fn connecting(&self) -> Vec<Scheme> {
        self.toolkit.schemes().into_iter().filter(|scheme| *scheme != Scheme::NoAuth).collect()
    }

    fn post_connect(&mut self, path: &Path, step: &PostConnect) {
        self.schemes(path, &step.schemes);
        let applies = |scheme: &Scheme| step.schemes.is_empty() || step.schemes.contains(scheme);
        for scheme in self.connecting().into_iter().filter(applies) {
            let names = Names::connected(self.toolkit, scheme);
            self.probe(&path.key("request"), &step.request, &names, self.toolkit.base_url(scheme));
        }
        self.require(!step.capture.is_empty(), &path.key("capture"), "at least one value must be captured");
        self.captures(&path.key("capture"), &step.capture, |_| true, true);
        if let Some(items) = &step.items {
            let is_place = items.is_empty() || is_pointer(items);
            self.require(is_place, &path.key("items"), "must be a JSON pointer, or empty for the answer itself");
        }
        let both = step.items.is_some() == step.choose.is_some();
        self.require(both, path, "`items` and `choose` must be used together");
        for (index, filter) in step.filter.iter().enumerate() {
            let path = path.key("filter").index(index);
            self.require(step.items.is_some(), &path, "requires `items`");
            self.pointer(&path.key("at"), &filter.at);
            let values = !filter.is.is_empty() && filter.is.iter().all(|value| !value.trim_matches('*').is_empty());
            self.require(values, &path.key("is"), "must contain at least one value, and none may be just `*`");
        }
        if let Some(choose) = &step.choose {
            let path = path.key("choose");
            let pointers =
                [("id", Some(&choose.id)), ("label", Some(&choose.label)), ("detail", choose.detail.as_ref())];
            for (key, pointer) in pointers {
                if let Some(pointer) = pointer {
                    self.pointer(&path.key(key), pointer);
                }
            }
        }
    }

    /// A request with an account's credential.
    pub(super) fn probe(&mut self, path: &Path, probe: &Probe, names: &Names, base_url: &str) {
        let method = ["GET", "POST"].contains(&probe.method.as_str());
        self.require(method, &path.key("method"), "must be `GET` or `POST`");
        let body = probe.json.is_none() || probe.method == "POST";
        self.require(body, &path.key("json"), "needs `method = \"POST\"`");
        self.probe_url(&path.key("url"), &probe.url, names, base_url);
        self.headers(&path.key("headers"), &probe.headers, names);
        self.pointer_and_value(path, "ok_pointer", probe.ok_pointer.as_deref(), "ok_value", probe.ok_value.is_some());
    }

    fn probe_url(&mut self, path: &Path, text: &str, names: &Names, base_url: &str) {
        if !text.starts_with('/') {
            if self.url(path, text, names) {
                self.covered(path, text, names);
            }
            return;
        }
        // `//host` is the only form in which a relative URL contains a host.
        let relative = !text.starts_with("//");
        self.require(relative, path, "must begin with a single `/`, or be an https URL");
        if relative {
            let stands_in = if base_url.is_empty() { "" } else { "https://base.example.com" };
            self.url(path, &format!("{stands_in}{text}"), names);
        }
    }

    /// How the provider reports "too many requests".
    pub(super) fn rate_limits(&mut self) {
        for (index, limit) in self.toolkit.rate_limits.iter().enumerate() {
            let path = Path::root("rate_limits").index(index);
            self.require((200..600).contains(&limit.status), &path.key("status"), "must be an HTTP status");
            for (key, name) in [("header", &limit.header), ("reset_header", &limit.reset_header)] {
                let valid = name.as_deref().is_none_or(is_header_name);
                self.require(valid, &path.key(key), "is not a header name");
            }
            let paired = limit.header.is_some() == limit.header_value.is_some();
            self.require(paired, &path, "`header` and `header_value` must be used together");
            let is_recognisable = limit.status == 429 || limit.header.is_some() || limit.body_contains.is_some();
            self.require(is_recognisable, &path, "a status other than 429 requires `header` or `body_contains`");
        }
    }
}
