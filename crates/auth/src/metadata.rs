//! Metadata of authorization servers (RFC 8414, OpenID Connect Discovery) and of protected resources (RFC
//! 9728). It may come from an attacker: the issuer must be the requested one, and endpoints must be https
//! URLs.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use switchboard_catalog::{ClientAuthentication, OAuth2, PlainHttp};
use thiserror::Error;
use url::Url;

/// Maximum size of a metadata document in bytes (R21).
pub const MAX_METADATA: usize = 256 * 1024;

/// The used part of an authorization server's metadata (RFC 8414 section 2).
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
    /// Whether requests must be pushed (RFC 9126 section 5).
    pub require_pushed_authorization_requests: bool,
    /// Userinfo endpoint (OpenID Connect Core section 5.3).
    pub userinfo_endpoint: Option<String>,
    /// PKCE methods (RFC 7636).
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Client authentication methods.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Client authentication methods of the revocation endpoint.
    pub revocation_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether every callback names the issuer (RFC 9207).
    pub authorization_response_iss_parameter_supported: bool,
    /// Supported scopes.
    pub scopes_supported: Option<Vec<String>>,
    /// Whether a client id may be the URL of a metadata document.
    pub client_id_metadata_document_supported: bool,
    /// Device authorization endpoint (RFC 8628). This and the following fields only help to draft a toolkit
    /// file: an invalid value counts as missing.
    #[serde(deserialize_with = "lenient")]
    pub device_authorization_endpoint: Option<String>,
    /// Grant types; defaults to the authorization code (RFC 8414 section 2).
    #[serde(deserialize_with = "lenient")]
    pub grant_types_supported: Option<Vec<String>>,
    /// Signature algorithms of client assertions.
    #[serde(deserialize_with = "lenient")]
    pub token_endpoint_auth_signing_alg_values_supported: Option<Vec<String>>,
    /// Signature algorithms of proofs (RFC 9449 section 5.1).
    #[serde(deserialize_with = "lenient")]
    pub dpop_signing_alg_values_supported: Option<Vec<String>>,
    /// Documentation for developers.
    #[serde(deserialize_with = "lenient")]
    pub service_documentation: Option<String>,
    /// The resource whose metadata led here, by its own identifier (RFC 9728 section 2); not parsed.
    #[serde(skip)]
    pub resource: Option<String>,
}

/// A value of an unexpected type counts as missing.
fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(source: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(source)?).ok())
}

/// Why metadata was rejected.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum MetadataError {
    /// Not a JSON object with fields of the right types.
    #[error("the metadata cannot be read")]
    Unreadable,
    /// The issuer is not the requested one (RFC 8414 section 3.3).
    #[error("the metadata names another issuer than it was asked for")]
    Issuer,
    /// The resource is not the requested one (RFC 9728 section 3.3).
    #[error("the metadata names another resource than it was asked for")]
    Resource,
    /// An endpoint is missing or is not an https URL.
    #[error("the metadata names no usable {0}")]
    Endpoint(&'static str),
    /// PKCE is required but not supported (R19, R91).
    #[error("the provider does not offer PKCE with S256")]
    Pkce,
}

/// Parses metadata from a well-known URL. At the hosts of `plain`, endpoints may use http.
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

/// The issuers whose metadata may be at this URL: the well-known part follows the issuer's path (OpenID
/// Connect Discovery section 4) or precedes it (RFC 8414 section 3).
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

/// Completes the OAuth section of a toolkit file from metadata. Values in the file take precedence.
///
/// # Errors
/// [`MetadataError::Endpoint`] if neither has an endpoint; [`MetadataError::Pkce`] if the metadata lists
/// methods without S256 although the file requires it.
pub fn complete(oauth: &OAuth2, metadata: &Metadata) -> Result<OAuth2, MetadataError> {
    let mut completed = oauth.clone();
    let fill = |text: &mut String, found: &Option<String>, part| match found {
        _ if !text.is_empty() => Ok(()),
        Some(url) => {
            *text = literal(url);
            Ok(())
        }
        None => Err(MetadataError::Endpoint(part)),
    };
    // The device flow uses no authorization endpoint (RFC 8628).
    if completed.device_authorization_url.is_none() {
        fill(&mut completed.authorization_url, &metadata.authorization_endpoint, "authorization endpoint")?;
    }
    fill(&mut completed.token_url, &metadata.token_endpoint, "token endpoint")?;
    let or = |declared: &mut Option<String>, found: &Option<String>| {
        if declared.is_none() {
            *declared = found.as_deref().map(literal);
        }
    };
    if completed.revoke.is_none() {
        or(&mut completed.revocation_url, &metadata.revocation_endpoint);
    }
    or(&mut completed.introspection_url, &metadata.introspection_endpoint);
    or(&mut completed.registration_url, &metadata.registration_endpoint);
    if metadata.require_pushed_authorization_requests {
        or(&mut completed.pushed_authorization_request_url, &metadata.pushed_authorization_request_endpoint);
    }
    or(&mut completed.issuer, &Some(metadata.issuer.clone()));
    completed.iss_required |= metadata.authorization_response_iss_parameter_supported;
    if let Some(methods) = &metadata.code_challenge_methods_supported
        && completed.pkce == switchboard_catalog::Pkce::S256
        && !methods.iter().any(|method| method == "S256")
    {
        return Err(MetadataError::Pkce);
    }
    if let Some(resource) = &metadata.resource {
        completed.resource = Some(literal(resource));
    }
    choose_authentication(&mut completed, metadata);
    Ok(completed)
}

/// If the file leaves the default method, chooses one that the provider supports.
fn choose_authentication(completed: &mut OAuth2, metadata: &Metadata) {
    if completed.client_authentication != ClientAuthentication::ClientSecretPost {
        return;
    }
    // RFC 8414 section 2: the default is `client_secret_basic`.
    let offered = metadata.token_endpoint_auth_methods_supported.as_deref();
    let offers = |name: &str| match offered {
        Some(methods) => methods.iter().any(|method| method == name),
        None => name == "client_secret_basic",
    };
    if offers("client_secret_post") {
        return;
    }
    if offers("client_secret_basic") {
        completed.client_authentication = ClientAuthentication::ClientSecretBasic;
    } else if offers("none") {
        completed.client_authentication = ClientAuthentication::None;
    }
}

impl Metadata {
    /// Client authentication at the revocation endpoint, from the provider's list (RFC 8414 section 2).
    /// Without a list it is the same as at the token endpoint.
    pub fn revocation_authentication(&self, method: ClientAuthentication) -> ClientAuthentication {
        use ClientAuthentication::{ClientSecretBasic, ClientSecretPost, None};
        let Some(listed) = &self.revocation_endpoint_auth_methods_supported else { return method };
        let is_listed = |method: &ClientAuthentication| listed.iter().any(|name| name == method.name());
        let mut known = [method, ClientSecretBasic, ClientSecretPost, None].into_iter();
        known.find(is_listed).unwrap_or(method)
    }
}

/// A URL as a template without placeholders.
fn literal(url: &str) -> String {
    url.replace('{', "{{")
}

/// The used part of a protected resource's metadata (RFC 9728 section 2).
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

/// URL of a resource's metadata (RFC 9728 section 3): the well-known part precedes the path.
pub fn resource_metadata_url(resource: &Url) -> Url {
    well_known(resource, "/.well-known/oauth-protected-resource")
}

/// URL of the metadata of a whole origin.
pub fn origin_metadata_url(resource: &Url) -> Url {
    let mut origin = resource.clone();
    origin.set_path("/");
    resource_metadata_url(&origin)
}

/// The metadata URL in a resource's challenge (RFC 9728 section 5.1): an https URL, or one of this machine.
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

/// URLs of an issuer's metadata, in the order in which to try them.
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

/// Parses a resource's metadata. It must name the requested resource (RFC 9728 section 3.3), or a parent of
/// it on the same origin: many providers name their origin.
///
/// # Errors
/// [`MetadataError`].
pub fn parse_resource_metadata(resource: &str, body: &[u8]) -> Result<ResourceMetadata, MetadataError> {
    let metadata: ResourceMetadata = serde_json::from_slice(body).map_err(|_| MetadataError::Unreadable)?;
    if covers(&metadata.resource, resource) { Ok(metadata) } else { Err(MetadataError::Resource) }
}

/// Whether a resource equals the other, or is its parent on the same origin.
fn covers(named: &str, requested: &str) -> bool {
    let (Ok(named), Ok(requested)) = (Url::parse(named), Url::parse(requested)) else { return false };
    let (above, below) = (named.path().trim_end_matches('/'), requested.path().trim_end_matches('/'));
    let is_below = below.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_plain = named.query().is_none_or(|query| Some(query) == requested.query());
    named.origin() == requested.origin() && is_below && is_plain && named.fragment().is_none()
}

#[cfg(test)]
mod tests;
