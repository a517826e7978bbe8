//! Which fields determine where a secret is sent, and who may choose them: the owner of the secret, and not a
//! visitor of the connect page if the secret is not theirs.

use std::collections::BTreeSet;

use crate::model::{Call, Field, FieldFormat, OAuth1, OAuth2, Probe, SignatureMethod, Toolkit};
use crate::{Scheme, template};

impl Toolkit {
    /// Whether a scheme uses a device code instead of a callback (RFC 8628).
    pub fn uses_device_code(&self, scheme: Scheme) -> bool {
        self.oauth(scheme).is_some_and(|oauth| oauth.device_authorization_url.is_some())
    }

    /// The connection fields that affect where a scheme's credential is sent: in hosts, base URL, or the URL
    /// of a request that contains it or the client's secret.
    pub fn address_fields(&self, scheme: Scheme) -> Vec<&Field> {
        if !self.has_plain_fields(scheme) {
            return Vec::new();
        }
        let mut texts = self.client_addresses(scheme);
        texts.push(self.base_url(scheme));
        texts.extend(self.hosts.iter().map(String::as_str));
        let own = match scheme {
            Scheme::ApiKey => self.api_key.as_ref().and_then(|key| key.verify.as_ref()),
            Scheme::BearerToken => self.bearer_token.as_ref().and_then(|key| key.verify.as_ref()),
            Scheme::Basic => self.basic.as_ref().and_then(|basic| basic.verify.as_ref()),
            _ => self.token_scheme(scheme).and_then(|tokens| tokens.verify.as_ref()),
        };
        let identity = self.identity_of(scheme).and_then(|identity| identity.request.as_ref());
        let probes = own.into_iter().chain(identity).chain(self.post_connect_of(scheme).map(|(_, step)| &step.request));
        texts.extend(probes.map(|probe: &Probe| probe.url.as_str()));
        if let Some(oauth) = self.oauth(scheme) {
            texts.extend(oauth.tokens.iter().flat_map(|token| &token.hosts).map(String::as_str));
        }
        if let Some(tokens) = self.token_scheme(scheme) {
            texts.extend(tokens.steps.iter().chain(&tokens.revoke).map(|call| call.url.as_str()));
        }
        self.fields_in(scheme, &texts)
    }

    /// The connection fields that affect where the client secret of a scheme is sent.
    pub fn client_fields(&self, scheme: Scheme) -> Vec<&Field> {
        if !self.has_plain_fields(scheme) {
            return Vec::new();
        }
        self.fields_in(scheme, &self.client_addresses(scheme))
    }

    /// Of these, the fields that determine the host alone. A field with `options` or a `pattern`, or one that
    /// is only a part of a host, is restricted to the provider's hosts by the file.
    pub fn developer_fields(&self, scheme: Scheme) -> Vec<&Field> {
        let decides = |format| matches!(format, FieldFormat::Origin | FieldFormat::Hostname);
        let is_open = |field: &&Field| decides(field.format) && field.options.is_empty() && field.pattern.is_none();
        self.client_fields(scheme).into_iter().filter(is_open).collect()
    }

    /// The fields that visitors never see: these, and those that the file reserves for the developer.
    pub fn hidden_fields(&self, scheme: Scheme) -> Vec<&Field> {
        let given = self.fields.iter().chain(self.declared_fields(scheme)).filter(|field| field.by_developer);
        self.developer_fields(scheme).into_iter().chain(given).collect()
    }

    /// URL templates of the requests that contain a scheme's client secret.
    fn client_addresses(&self, scheme: Scheme) -> Vec<&str> {
        if let Some(oauth) = self.oauth(scheme) {
            return oauth_addresses(oauth);
        }
        let Some(oauth) = self.oauth1.as_ref().filter(|_| scheme == Scheme::OAuth1) else { return Vec::new() };
        let mut texts = oauth1_addresses(oauth);
        if oauth.signature_method == SignatureMethod::Plaintext {
            // With PLAINTEXT the secret itself is the signature, also of API requests (RFC 5849 section
            // 3.4.4).
            texts.push(self.base_url(scheme));
            texts.extend(self.hosts.iter().map(String::as_str));
        }
        texts
    }

    /// The non-secret fields of a scheme; only these can be part of a URL.
    fn plain_fields(&self, scheme: Scheme) -> impl Iterator<Item = &Field> {
        self.fields.iter().chain(self.declared_fields(scheme)).filter(|field| !field.secret)
    }

    /// Most files have none.
    fn has_plain_fields(&self, scheme: Scheme) -> bool {
        self.plain_fields(scheme).next().is_some()
    }

    fn fields_in(&self, scheme: Scheme, texts: &[&str]) -> Vec<&Field> {
        let used = texts.iter().filter_map(|text| template::variables(text).ok()).flatten();
        let used: BTreeSet<String> = used.collect();
        let sets =
            |field: &Field| field.options.iter().flat_map(|option| option.sets.keys()).any(|name| used.contains(name));
        self.plain_fields(scheme).filter(|field| used.contains(&field.name) || sets(field)).collect()
    }
}

fn oauth_addresses(oauth: &OAuth2) -> Vec<&str> {
    let optional = [
        &oauth.discovery_url,
        &oauth.resource,
        &oauth.refresh_url,
        &oauth.revocation_url,
        &oauth.introspection_url,
        &oauth.pushed_authorization_request_url,
        &oauth.registration_url,
        &oauth.device_authorization_url,
    ];
    let calls = oauth.steps.iter().chain(&oauth.refresh_call).chain(&oauth.revoke);
    let fixed = std::iter::once(oauth.token_url.as_str()).chain(optional.into_iter().flatten().map(String::as_str));
    fixed.chain(calls.map(|call: &Call| call.url.as_str())).collect()
}

fn oauth1_addresses(oauth: &OAuth1) -> Vec<&str> {
    let revoke = oauth.revoke.iter().map(|call| call.url.as_str());
    [oauth.request_token_url.as_str(), &oauth.access_token_url].into_iter().chain(revoke).collect()
}

#[cfg(test)]
mod tests {
    use crate::{Catalog, Scheme};

    #[test]
    fn fields_are_classified_by_what_they_affect() {
        let catalog = Catalog::builtin();
        let names = |fields: Vec<&crate::Field>| fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
        let cases = [
            // A customer's own host: chosen by the developer.
            ("okta", Scheme::OAuth2, vec!["domain"], vec!["domain"], vec!["domain"]),
            ("okta", Scheme::ApiKey, vec!["domain"], vec![], vec![]),
            // Restricted to the provider's hosts by a pattern, or only a part of a host: any visitor may
            // choose it.
            ("salesforce", Scheme::OAuth2, vec!["login_host"], vec!["login_host"], vec![]),
            ("zendesk", Scheme::OAuth2, vec!["subdomain"], vec!["subdomain"], vec![]),
            // Determines where the data is, but not where the client secret is sent.
            ("sentry", Scheme::OAuth2, vec!["region"], vec![], vec![]),
            ("github", Scheme::OAuth2, vec![], vec![], vec![]),
        ];
        for (slug, scheme, address, client, developer) in cases {
            let toolkit = catalog.get(slug).expect("there");
            let found =
                (toolkit.address_fields(scheme), toolkit.client_fields(scheme), toolkit.developer_fields(scheme));
            assert_eq!(names(found.0), address, "{slug} {scheme}: address");
            assert_eq!(names(found.1), client, "{slug} {scheme}: client");
            assert_eq!(names(found.2), developer, "{slug} {scheme}: developer");
        }
    }

    #[test]
    fn an_option_that_sets_a_host_is_an_address_field_and_developer_fields_are_hidden() {
        let text = r##"
            slug = "acme"
            name = "Acme"
            description = "A provider"
            categories = ["testing"]
            color = "#112233"
            version = "20260101_00"
            base_url = "https://{api}"
            hosts = ["{api}"]
            [[fields]]
            name = "region"
            display_name = "Region"
            default = "us"
            options = [
              { value = "us", label = "US", sets = { api = "us.acme.example" } },
              { value = "eu", label = "EU", sets = { api = "eu.acme.example" } },
            ]
            [[fields]]
            name = "app"
            display_name = "App"
            default = "ours"
            by_developer = true
            [api_key]
            fields = [{ name = "generic_api_key", display_name = "Key", secret = true }]
            apply = [{ header = "X-Key", value = "{generic_api_key} {app}" }]
        "##;
        let mut catalog = Catalog::default();
        catalog.add("acme/toolkit.toml", text).expect("good");
        let acme = catalog.get("acme").expect("there");
        let names = |fields: Vec<&crate::Field>| fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(acme.address_fields(Scheme::ApiKey)), ["region"]);
        assert_eq!(names(acme.hidden_fields(Scheme::ApiKey)), ["app"]);
    }
}
