//! Who may choose where a client's secret is sent: the developer, whose secret it is, and not a visitor of
//! the connect page.

use crate::model::{FieldFormat, Toolkit};
use crate::{Scheme, template};

impl Toolkit {
    /// Whether the user of a scheme enters a code at the provider, from which no browser comes back
    /// (RFC 8628).
    pub fn uses_device_code(&self, scheme: Scheme) -> bool {
        self.oauth(scheme).is_some_and(|oauth| oauth.device_authorization_url.is_some())
    }

    /// Names of the connection fields that decide, all by themselves, to which host token requests of a
    /// scheme go, and with them the client's secret. A field with `options` or a `pattern` is bound to the
    /// provider's hosts by the file, and so is one that is only a part of a host.
    pub fn developer_fields(&self, scheme: Scheme) -> Vec<&str> {
        let mut urls: Vec<&str> = Vec::new();
        let mut own = [].as_slice();
        if let Some(oauth) = self.oauth(scheme) {
            own = &oauth.fields;
            urls.push(&oauth.token_url);
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
            urls.extend(optional.into_iter().flatten().map(String::as_str));
            let calls = oauth.steps.iter().chain(&oauth.refresh_call).chain(&oauth.revoke);
            urls.extend(calls.map(|call| call.url.as_str()));
        } else if let (Scheme::OAuth1, Some(oauth)) = (scheme, &self.oauth1) {
            urls.extend([oauth.request_token_url.as_str(), &oauth.access_token_url]);
            urls.extend(oauth.revoke.as_ref().map(|call| call.url.as_str()));
        }
        let used: Vec<String> = urls.into_iter().filter_map(|url| template::variables(url).ok()).flatten().collect();
        let decides = |format| matches!(format, FieldFormat::Origin | FieldFormat::Hostname);
        let fields = self.fields.iter().chain(own);
        fields
            .filter(|field| decides(field.format) && field.options.is_empty() && field.pattern.is_none())
            .filter(|field| used.contains(&field.name))
            .map(|field| field.name.as_str())
            .collect()
    }
}
