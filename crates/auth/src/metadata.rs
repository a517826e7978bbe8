//! What an authorization server says of itself (RFC 8414, OpenID Connect Discovery), and what a
//! protected resource says of its authorization server (RFC 9728). All of it may be an attacker's:
//! the issuer must be the one that was asked, and endpoints are https URLs.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use switchboard_catalog::{ClientAuthentication, OAuth2, PlainHttp};
use thiserror::Error;
use url::Url;

/// Largest metadata document, in bytes (R21).
pub const MAX_METADATA: usize = 256 * 1024;

/// Metadata of an authorization server (RFC 8414 section 2), as far as it is used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Issuer identifier.
    pub issuer: String,
    /// Authorization endpoint.
    pub authorization_endpoint: Option<String>,
    /// Token endpoint.
    pub token_endpoint: Option<String>,
    /// Revocation endpoint (RFC 7009).
    pub revocation_endpoint: Option<String>,
    /// Introspection endpoint (RFC 7662).
    pub introspection_endpoint: Option<String>,
    /// Client registration endpoint (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// Pushed authorization request endpoint (RFC 9126).
    pub pushed_authorization_request_endpoint: Option<String>,
    /// Requests must be pushed (RFC 9126 section 5).
    pub require_pushed_authorization_requests: bool,
    /// Who the user is (OpenID Connect Core section 5.3).
    pub userinfo_endpoint: Option<String>,
    /// PKCE methods (RFC 7636).
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Client authentication methods.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Client authentication methods of the revocation endpoint.
    pub revocation_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Every callback names the issuer (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
    /// Scopes that may be asked for.
    pub scopes_supported: Option<Vec<String>>,
    /// Clients may be named by the URL of their metadata.
    pub client_id_metadata_document_supported: bool,
    /// Device authorization endpoint (RFC 8628). Like what follows, it is for whoever drafts a file: a value
    /// that cannot be read is as good as none.
    #[serde(deserialize_with = "lenient")]
    pub device_authorization_endpoint: Option<String>,
    /// Grant types; without it, the code's (RFC 8414 section 2).
    #[serde(deserialize_with = "lenient")]
    pub grant_types_supported: Option<Vec<String>>,
    /// Algorithms of client assertions.
    #[serde(deserialize_with = "lenient")]
    pub token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    /// Algorithms of proofs (RFC 9449 section 5.1).
    #[serde(deserialize_with = "lenient")]
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// A page for developers.
    #[serde(deserialize_with = "lenient")]
    pub service_documentation: Option<String>,
    /// The resource whose metadata led here, as it calls itself (RFC 9728 section 2); not read.
    #[serde(skip)]
    pub resource: Option<String>,
}

/// A value of another type than expected is as good as none.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(source: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(source)?).ok())
}

/// Why metadata cannot be used.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum MetadataError {
    /// Not a JSON object with fields of the right types.
    #[error("the metadata cannot be read")]
    Unreadable,
    /// It speaks of another issuer than the one that was asked (RFC 8414 section 3.3).
    #[error("the metadata names another issuer than it was asked for")]
    Issuer,
    /// It speaks of another resource than the one that was asked (RFC 9728 section 3.3).
    #[error("the metadata names another resource than it was asked for")]
    Resource,
    /// It lacks an endpoint, or names one that is no https URL.
    #[error("the metadata names no usable {0}")]
    Endpoint(&'static str),
    /// PKCE is not offered, and it is needed (R19, R91).
    #[error("the provider does not offer PKCE with S256")]
    Pkce,
}

/// Reads the metadata that was fetched from a well-known URL. Its endpoints may be without TLS at the hosts of
/// `plain`.
///
/// # Errors
/// [`MetadataError`].
pub fn parse_metadata(fetched_from: &Url, body: &[u8], plain: &PlainHttp) -> Result<Metadata, MetadataError> {
    let metadata: Metadata = serde_json::from_slice(body).map_err(|_| MetadataError::Unreadable)?;
    if !issuers_of(fetched_from).contains(&metadata.issuer) {
        return Err(MetadataError::Issuer);
    }
    let endpoints = [
        ("authorization endpoint", &metadata.authorization_endpoint),
        ("token endpoint", &metadata.token_endpoint),
        ("revocation endpoint", &metadata.revocation_endpoint),
        ("introspection endpoint", &metadata.introspection_endpoint),
        ("registration endpoint", &metadata.registration_endpoint),
        ("pushed authorization request endpoint", &metadata.pushed_authorization_request_endpoint),
        ("userinfo endpoint", &metadata.userinfo_endpoint),
    ];
    for (name, endpoint) in endpoints {
        if endpoint.as_deref().is_some_and(|url| !is_endpoint(url, plain)) {
            return Err(MetadataError::Endpoint(name));
        }
    }
    Ok(metadata)
}

/// The issuers whose metadata may stand at a URL: with the well-known part behind the issuer's path
/// (OpenID Connect Discovery section 4) or before it (RFC 8414 section 3).
fn issuers_of(url: &Url) -> Vec<String> {
    const NAMES: [&str; 2] = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
    let origin = url.origin().ascii_serialization();
    let path = url.path();
    let mut issuers = Vec::new();
    for name in NAMES {
        if let Some(before) = path.strip_suffix(name) {
            issuers.push(format!("{origin}{before}"));
            issuers.push(format!("{origin}{before}/"));
        }
        if let Some(after) = path.strip_prefix(name) {
            issuers.push(format!("{origin}{after}"));
        }
    }
    issuers
}

/// https, or http to a loopback address or a host that the operator allows, as in toolkit files.
fn is_endpoint(text: &str, plain: &PlainHttp) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    let secure = url.scheme() == "https" || (url.scheme() == "http" && loopback) || plain.admits(&url);
    secure && url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// The file's OAuth section with what it leaves out taken from the metadata. What the file says
/// stands.
///
/// # Errors
/// [`MetadataError::Endpoint`] where an endpoint is known from neither; [`MetadataError::Pkce`] where
/// the metadata lists methods and S256 is not among them, although the file wants it.
pub fn complete(oauth: &OAuth2, metadata: &Metadata) -> Result<OAuth2, MetadataError> {
    let mut whole = oauth.clone();
    let fill = |text: &mut String, found: &Option<String>, what| match found {
        _ if !text.is_empty() => Ok(()),
        Some(url) => {
            *text = literal(url);
            Ok(())
        }
        None => Err(MetadataError::Endpoint(what)),
    };
    // Who enters a code is not sent to the authorization endpoint (RFC 8628).
    if whole.device_authorization_url.is_none() {
        fill(&mut whole.authorization_url, &metadata.authorization_endpoint, "authorization endpoint")?;
    }
    fill(&mut whole.token_url, &metadata.token_endpoint, "token endpoint")?;
    let or = |said: &mut Option<String>, found: &Option<String>| {
        if said.is_none() {
            *said = found.as_deref().map(literal);
        }
    };
    if whole.revoke.is_none() {
        or(&mut whole.revocation_url, &metadata.revocation_endpoint);
    }
    or(&mut whole.introspection_url, &metadata.introspection_endpoint);
    or(&mut whole.registration_url, &metadata.registration_endpoint);
    if metadata.require_pushed_authorization_requests {
        or(&mut whole.pushed_authorization_request_url, &metadata.pushed_authorization_request_endpoint);
    }
    or(&mut whole.issuer, &Some(metadata.issuer.clone()));
    whole.iss_required |= metadata.authorization_response_iss_parameter_supported;
    if let Some(methods) = &metadata.code_challenge_methods_supported
        && whole.pkce == switchboard_catalog::Pkce::S256
        && !methods.iter().any(|method| method == "S256")
    {
        return Err(MetadataError::Pkce);
    }
    if let Some(resource) = &metadata.resource {
        whole.resource = Some(literal(resource));
    }
    choose_authentication(&mut whole, metadata);
    Ok(whole)
}

/// A file that leaves the method at its default takes one that the provider offers.
fn choose_authentication(whole: &mut OAuth2, metadata: &Metadata) {
    if whole.client_authentication != ClientAuthentication::ClientSecretPost {
        return;
    }
    // RFC 8414 section 2: left out, the method is `client_secret_basic`.
    let offered = metadata.token_endpoint_auth_methods_supported.as_deref();
    let offers = |name: &str| match offered {
        Some(methods) => methods.iter().any(|method| method == name),
        None => name == "client_secret_basic",
    };
    if offers("client_secret_post") {
        return;
    }
    if offers("client_secret_basic") {
        whole.client_authentication = ClientAuthentication::ClientSecretBasic;
    } else if offers("none") {
        whole.client_authentication = ClientAuthentication::None;
    }
}

impl Metadata {
    /// How a client of this method authenticates at the revocation endpoint, by what the provider lists
    /// of it (RFC 8414 section 2). Without a list it is as at the token endpoint.
    pub fn revocation_authentication(&self, method: ClientAuthentication) -> ClientAuthentication {
        use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, None};
        let Some(listed) = &self.revocation_endpoint_auth_methods_supported else { return method };
        let is_listed = |it: &ClientAuthentication| listed.iter().any(|name| name == it.name());
        let mut known = [method, ClientSecretBasic, ClientSecretPost, None].into_iter();
        known.find(is_listed).unwrap_or(method)
    }
}

/// A URL as a template that says exactly it.
fn literal(url: &str) -> String {
    url.replace('{', "{{")
}

/// What a protected resource says (RFC 9728 section 2), as far as it is used.
#[derive(Clone, Debug, Deserialize)]
pub struct ResourceMetadata {
    /// The resource.
    pub resource: String,
    /// Issuers of its authorization servers.
    #[serde(default)]
    pub authorization_servers: Vec<String>,
    /// Scopes of the resource.
    pub scopes_supported: Option<Vec<String>>,
}

/// Where a resource's metadata stands (RFC 9728 section 3): the well-known part goes before the path.
pub fn resource_metadata_url(resource: &Url) -> Url {
    well_known(resource, "/.well-known/oauth-protected-resource")
}

/// Where the metadata of a whole origin stands.
pub fn origin_metadata_url(resource: &Url) -> Url {
    let mut origin = resource.clone();
    origin.set_path("/");
    resource_metadata_url(&origin)
}

/// Where a challenge says that a resource's metadata stands (RFC 9728 section 5.1): an https URL, or one
/// of this machine.
pub fn challenged_metadata_url(headers: &HeaderMap, plain: &PlainHttp) -> Option<Url> {
    headers.get_all(WWW_AUTHENTICATE).iter().find_map(|value| {
        let (_, rest) = value.to_str().ok()?.split_once("resource_metadata=")?;
        let text = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => rest.split([',', ' ']).next()?,
        };
        is_endpoint(text, plain).then(|| Url::parse(text).ok()).flatten()
    })
}

/// Where an issuer's metadata may stand, in the order in which to try.
pub fn metadata_urls(issuer: &Url) -> [Url; 3] {
    let mut behind = issuer.clone();
    let path = issuer.path().trim_end_matches('/').to_owned();
    behind.set_path(&format!("{path}/.well-known/openid-configuration"));
    [
        well_known(issuer, "/.well-known/oauth-authorization-server"),
        behind,
        well_known(issuer, "/.well-known/openid-configuration"),
    ]
}

fn well_known(url: &Url, name: &str) -> Url {
    let mut moved = url.clone();
    moved.set_path(&format!("{name}{}", url.path().trim_end_matches('/')));
    moved.set_query(None);
    moved.set_fragment(None);
    moved
}

/// Reads a resource's metadata; it must speak of the resource that was asked (RFC 9728 section 3.3), or of
/// one of the same origin that the resource is below: many name their origin.
///
/// # Errors
/// [`MetadataError`].
pub fn parse_resource_metadata(resource: &str, body: &[u8]) -> Result<ResourceMetadata, MetadataError> {
    let metadata: ResourceMetadata = serde_json::from_slice(body).map_err(|_| MetadataError::Unreadable)?;
    if covers(&metadata.resource, resource) { Ok(metadata) } else { Err(MetadataError::Resource) }
}

/// Whether a resource is the other, or above it on the same origin.
fn covers(named: &str, asked: &str) -> bool {
    let (Ok(named), Ok(asked)) = (Url::parse(named), Url::parse(asked)) else { return false };
    let (above, below) = (named.path().trim_end_matches('/'), asked.path().trim_end_matches('/'));
    let is_below = below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_plain = named.query().is_none_or(|query| Some(query) == asked.query());
    named.origin() == asked.origin() && is_below && is_plain && named.fragment().is_none()
}

#[cfg(test)]
mod tests;
