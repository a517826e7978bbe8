//! The endpoints of a toolkit file and their URLs.

use switchboard_catalog::{Call, OAuth2, Probe, Scheme, Toolkit, template};
use switchboard_egress::Destination;
use url::Url;

/// The purpose of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Endpoint {
    Metadata,
    ResourceMetadata,
    Registration,
    PushedAuthorization,
    Authorization,
    DeviceAuthorization,
    DeviceToken,
    Token,
    Refresh,
    Step(usize),
    RefreshCall,
    TokenStep(usize),
    Introspection,
    Revocation,
    /// A revocation call that the file describes, unlike the standard `Revocation` (RFC 7009).
    RevokeCall,
    /// OAuth 1.0a (RFC 5849 section 2.1).
    TemporaryCredentials,
    /// OAuth 1.0a (RFC 5849 section 2.3).
    TokenCredentials,
    Verify,
    PostConnect(usize),
    Identity,
    Api,
}

impl Endpoint {
    /// The heading of a request in the report.
    pub(super) fn title(self) -> String {
        match self {
            Self::Metadata => "Metadata of the authorization server".to_owned(),
            Self::ResourceMetadata => "Metadata of the resource".to_owned(),
            Self::Registration => "Registration of a client".to_owned(),
            Self::PushedAuthorization => "Pushed authorization request".to_owned(),
            Self::Authorization => "Authorization (the browser)".to_owned(),
            Self::DeviceAuthorization => "Device authorization".to_owned(),
            Self::DeviceToken => "Whether the user has entered the code".to_owned(),
            Self::Token => "Code exchange".to_owned(),
            Self::Refresh | Self::RefreshCall => "Refresh".to_owned(),
            Self::Step(number) => format!("Step {} after the exchange", number + 1),
            Self::TokenStep(number) => format!("Token, step {}", number + 1),
            Self::Introspection => "Introspection".to_owned(),
            Self::Revocation | Self::RevokeCall => "Revocation".to_owned(),
            Self::TemporaryCredentials => "Temporary credentials".to_owned(),
            Self::TokenCredentials => "Token credentials".to_owned(),
            Self::Verify => "Verification of what was entered".to_owned(),
            Self::PostConnect(number) => format!("After connecting, {}", number + 1),
            Self::Identity => "Identity".to_owned(),
            Self::Api => "A call of the agent".to_owned(),
        }
    }

    /// The keys of the file that decide the request, for the author who has to change them.
    pub(super) fn file_keys(self, scheme: Scheme) -> String {
        let table = scheme.table();
        match self {
            Self::Metadata => format!("`discovery_url` in [{table}]"),
            Self::ResourceMetadata => format!("`resource` in [{table}]"),
            Self::Registration => format!("`registration_url` and `registration_parameters` in [{table}]"),
            Self::PushedAuthorization | Self::Authorization => {
                format!("`authorization_omit`, `authorization_parameters`, `parameter_names` and `pkce` in [{table}]")
            }
            Self::DeviceAuthorization => format!("`device_authorization_url` and `client_authentication` in [{table}]"),
            Self::Token | Self::DeviceToken => {
                format!("`token_url`, `client_authentication`, `token_parameters` and `token_omit` in [{table}]")
            }
            Self::Refresh => format!("`refresh`, `refresh_url` and `refresh_parameters` in [{table}]"),
            Self::Step(number) | Self::TokenStep(number) => format!("`steps` in [{table}], number {}", number + 1),
            Self::RefreshCall => format!("[{table}.refresh_call]"),
            Self::Introspection => format!("`introspection_url` in [{table}]"),
            Self::Revocation => format!("`revocation_url` in [{table}]"),
            Self::RevokeCall => format!("[{table}.revoke]"),
            Self::TemporaryCredentials => format!("`request_token_url` in [{table}]"),
            Self::TokenCredentials => format!("`access_token_url` in [{table}]"),
            Self::Verify => format!("`verify` in [{table}]"),
            Self::PostConnect(number) => format!("[[post_connect]], number {}", number + 1),
            Self::Identity => "[identity]".to_owned(),
            Self::Api => format!("`apply`, `sign` and `base_url` in [{table}], `hosts`"),
        }
    }

    /// Whether requests carry the account's credential.
    pub(super) fn uses_account_credential(self) -> bool {
        matches!(self, Self::Verify | Self::PostConnect(_) | Self::Identity | Self::Api)
    }
}

/// The URL of an endpoint.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) endpoint: Endpoint,
    method: String,
    /// A template; relative to `base` if it has no host.
    url: String,
    base: String,
}

impl Route {
    /// Whether a request goes to this URL, with the current `variables`.
    pub(super) fn matches(&self, method: &str, url: &Url, variables: &dyn Fn(&str) -> Option<String>) -> bool {
        let Some(route_url) = self.expand(variables) else { return false };
        self.method == method && route_url.authority() == url.authority() && route_url.path() == url.path()
    }

    fn expand(&self, variables: &dyn Fn(&str) -> Option<String>) -> Option<Url> {
        let text = template::expand(&self.url, variables).ok()?;
        let text = if text.starts_with('/') {
            let base = template::expand(&self.base, variables).ok()?;
            format!("{}{text}", base.trim_end_matches('/'))
        } else {
            text
        };
        // All requests arrive without TLS, so the URL scheme is ignored.
        Url::parse(&text.replacen("http://", "https://", 1)).ok()
    }
}

/// The routes of one scheme. `oauth` is completed from metadata.
pub(super) fn for_scheme(toolkit: &Toolkit, scheme: Scheme, oauth: Option<&OAuth2>) -> Vec<Route> {
    let base = toolkit.base_url(scheme);
    let mut routes = Vec::new();
    let mut add = |endpoint, method: &str, url: &str| {
        routes.push(Route { endpoint, method: method.to_owned(), url: url.to_owned(), base: base.to_owned() });
    };
    if let Some(oauth) = oauth {
        if let Some(url) = &oauth.device_authorization_url {
            add(Endpoint::DeviceAuthorization, "POST", url);
            add(Endpoint::DeviceToken, "POST", &oauth.token_url);
        } else {
            add(Endpoint::Authorization, "GET", &oauth.authorization_url);
            add(Endpoint::Token, "POST", &oauth.token_url);
        }
        match &oauth.refresh_call {
            Some(call) => add(Endpoint::RefreshCall, &call.method, &call.url),
            None => add(Endpoint::Refresh, "POST", oauth.refresh_url.as_ref().unwrap_or(&oauth.token_url)),
        }
        for (endpoint, url) in [
            (Endpoint::PushedAuthorization, &oauth.pushed_authorization_request_url),
            (Endpoint::Registration, &oauth.registration_url),
            (Endpoint::Introspection, &oauth.introspection_url),
            (Endpoint::Revocation, &oauth.revocation_url),
        ] {
            if let Some(url) = url {
                add(endpoint, "POST", url);
            }
        }
        for (number, step) in oauth.steps.iter().enumerate() {
            add(Endpoint::Step(number), &step.method, &step.url);
        }
        if let Some(call) = &oauth.revoke {
            add(Endpoint::RevokeCall, &call.method, &call.url);
        }
    }
    if let (Scheme::OAuth1, Some(oauth)) = (scheme, &toolkit.oauth1) {
        add(Endpoint::TemporaryCredentials, "POST", &oauth.request_token_url);
        add(Endpoint::Authorization, "GET", &oauth.authorization_url);
        add(Endpoint::TokenCredentials, "POST", &oauth.access_token_url);
        if let Some(call) = &oauth.revoke {
            add(Endpoint::RevokeCall, &call.method, &call.url);
        }
    }
    if let Some(tokens) = toolkit.token_scheme(scheme) {
        for (number, step) in tokens.steps.iter().enumerate() {
            add(Endpoint::TokenStep(number), &step.method, &step.url);
        }
        if let Some(call) = &tokens.revoke {
            add(Endpoint::RevokeCall, &call.method, &call.url);
        }
    }
    for (endpoint, probe) in probes(toolkit, scheme) {
        add(endpoint, &probe.method, &probe.url);
    }
    routes
}

/// The probes that are sent with an account's credential.
pub(super) fn probes(toolkit: &Toolkit, scheme: Scheme) -> Vec<(Endpoint, &Probe)> {
    let identity = toolkit.identity_of(scheme).and_then(|identity| identity.request.as_ref());
    let verify = match scheme {
        Scheme::ApiKey => toolkit.api_key.as_ref().and_then(|key| key.verify.as_ref()),
        Scheme::BearerToken => match &toolkit.bearer_token {
            Some(bearer) => bearer.verify.as_ref(),
            None => identity,
        },
        Scheme::Basic => toolkit.basic.as_ref().and_then(|basic| basic.verify.as_ref()),
        scheme => toolkit.token_scheme(scheme).and_then(|tokens| tokens.verify.as_ref()),
    };
    let post_connect = toolkit.post_connect_of(scheme);
    let mut probes: Vec<(Endpoint, &Probe)> = verify.map(|probe| (Endpoint::Verify, probe)).into_iter().collect();
    probes.extend(post_connect.map(|(number, step)| (Endpoint::PostConnect(number), &step.request)));
    probes.extend(identity.map(|probe| (Endpoint::Identity, probe)));
    probes
}

/// The call of an endpoint, if the file describes the whole request.
pub(super) fn call<'t>(
    endpoint: Endpoint,
    toolkit: &'t Toolkit,
    scheme: Scheme,
    oauth: Option<&'t OAuth2>,
) -> Option<&'t Call> {
    let tokens = toolkit.token_scheme(scheme);
    match endpoint {
        Endpoint::Step(number) => oauth?.steps.get(number),
        Endpoint::RefreshCall => oauth?.refresh_call.as_ref(),
        Endpoint::TokenStep(number) => tokens?.steps.get(number),
        Endpoint::RevokeCall if scheme == Scheme::OAuth1 => toolkit.oauth1.as_ref()?.revoke.as_ref(),
        Endpoint::RevokeCall => oauth.and_then(|oauth| oauth.revoke.as_ref()).or_else(|| tokens?.revoke.as_ref()),
        _ => None,
    }
}

/// Why the file keeps a probe from being sent; none if it does not.
pub(super) fn unreachable_reason(
    toolkit: &Toolkit,
    scheme: Scheme,
    probe: &Probe,
    variables: &dyn Fn(&str) -> Option<String>,
) -> Option<String> {
    let endpoint = match template::expand(&probe.url, variables) {
        Ok(endpoint) => endpoint,
        Err(error) => return Some(error.to_string()),
    };
    let base = match template::expand(toolkit.base_url(scheme), variables) {
        Ok(base) => base,
        Err(error) => return Some(format!("base_url: {error}")),
    };
    let base = Url::parse(if endpoint.starts_with('/') { &base } else { &endpoint }).ok()?;
    let hosts = toolkit.host_rules(variables).ok()?;
    let error = Destination::new(&hosts).ok()?.resolve(&base, &endpoint).err()?;
    Some(format!("{endpoint} cannot be asked: {error}; `hosts` admits {}", hosts.join(", ")))
}
