//! The OAuth table of a drafted file, with all metadata that the format has a key for.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use switchboard_auth::Metadata;
use switchboard_catalog::{ClientAuthentication, Scheme};

use super::found::Found;

/// Scopes of OpenID Connect that are requested if offered.
const STANDARD_SCOPES: [&str; 4] = ["openid", "profile", "email", OFFLINE];
/// The scope for refresh tokens at many providers (OpenID Connect Core section 11).
const OFFLINE: &str = "offline_access";
/// Client authentication methods in order of preference.
const METHODS: [ClientAuthentication; 5] = [
    ClientAuthentication::ClientSecretBasic,
    ClientAuthentication::ClientSecretPost,
    ClientAuthentication::PrivateKeyJwt,
    ClientAuthentication::ClientSecretJwt,
    ClientAuthentication::None,
];

impl Found {
    /// The resource in requests (RFC 8707): an MCP server's own identifier, or its URL.
    fn resource(&self) -> Option<&str> {
        self.is_mcp.then(|| self.metadata.resource.as_deref().unwrap_or(self.url.as_str()))
    }

    /// Scopes of the MCP server, if it lists them, and of the authorization server.
    pub(super) fn scopes_offered(&self) -> Vec<&str> {
        let of_resource = self.resource.iter().filter_map(|metadata| metadata.scopes_supported.as_ref()).flatten();
        let of_server = self.metadata.scopes_supported.iter().flatten();
        let mut offered: Vec<&str> = Vec::new();
        for scope in of_resource.chain(of_server) {
            if !offered.contains(&scope.as_str()) {
                offered.push(scope);
            }
        }
        offered
    }

    /// Default scopes: all of an MCP server's own scopes, or the standard ones of an issuer, plus the
    /// scope for refresh tokens if there is one.
    fn scopes_asked(&self) -> Vec<&str> {
        let own = self.resource.as_ref().and_then(|metadata| metadata.scopes_supported.as_ref());
        let is_own = |scope: &str| own.is_some_and(|own| own.iter().any(|known| known == scope));
        let is_asked = |scope: &&str| match (self.is_mcp, own) {
            (true, Some(_)) => is_own(scope) || *scope == OFFLINE,
            _ => STANDARD_SCOPES.contains(scope),
        };
        self.scopes_offered().into_iter().filter(is_asked).collect()
    }
}

/// The table.
pub(super) fn table(found: &Found) -> Result<String> {
    let mut text = format!("\n[{}]\n", found.scheme.table());
    for (key, url) in endpoints(found)? {
        if let Some(url) = url {
            let _ = writeln!(text, "{key} = {}", json!(literal(url)));
        }
    }
    if found.metadata.authorization_response_iss_parameter_supported {
        text.push_str("iss_required = true\n");
    }
    if takes_pkce(&found.metadata) == Some(false) {
        text.push_str("pkce = \"off\"\n");
    }
    text.push_str(&client(found));
    let (asked, offered) = (found.scopes_asked(), found.scopes_offered());
    let _ = writeln!(text, "scopes = {}\navailable_scopes = {}", json!(asked), json!(offered));
    // OpenID Connect Core section 11: offline access requires consent.
    if asked.contains(&OFFLINE) && asked.contains(&"openid") {
        text.push_str("authorization_parameters = { prompt = \"consent\" }\n");
    }
    let grants = found.metadata.grant_types_supported.as_ref();
    if grants.is_some_and(|grants| !grants.iter().any(|grant| grant == "refresh_token")) {
        text.push_str("refresh = \"none\"\n");
    }
    Ok(text)
}

/// Endpoints by their keys. An authorization server without an authorization endpoint supports device
/// codes only.
fn endpoints(found: &Found) -> Result<[(&'static str, Option<&str>); 9]> {
    let metadata = &found.metadata;
    let authorization = metadata.authorization_endpoint.as_deref();
    let device = metadata.device_authorization_endpoint.as_deref().filter(|_| authorization.is_none());
    if authorization.is_none() && device.is_none() {
        bail!("{} names no authorization endpoint", metadata.issuer);
    }
    let token = metadata.token_endpoint.as_deref();
    let token = token.with_context(|| format!("{} names no token endpoint", metadata.issuer))?;
    let pushed = metadata.pushed_authorization_request_endpoint.as_deref();
    let must_push = metadata.require_pushed_authorization_requests && device.is_none();
    let registers = found.scheme == Scheme::DcrOAuth;
    Ok([
        ("resource", found.resource()),
        ("authorization_url", authorization),
        ("device_authorization_url", device),
        ("token_url", Some(token)),
        ("revocation_url", metadata.revocation_endpoint.as_deref()),
        ("introspection_url", metadata.introspection_endpoint.as_deref()),
        ("registration_url", metadata.registration_endpoint.as_deref().filter(|_| registers)),
        ("pushed_authorization_request_url", pushed.filter(|_| must_push)),
        ("issuer", Some(&metadata.issuer)),
    ])
}

/// How the client authenticates, at each endpoint.
fn client(found: &Found) -> String {
    let method = client_authentication(&found.metadata);
    let mut text = format!("client_authentication = {}\n", json!(method.name()));
    if let Some(algorithm) = assertion_algorithm(&found.metadata, method) {
        let _ = writeln!(text, "client_assertion = {{ algorithm = {} }}", json!(algorithm));
    }
    let at_revocation = found.metadata.revocation_authentication(method);
    if found.metadata.revocation_endpoint.is_some() && at_revocation != method {
        let _ = writeln!(text, "revocation_client_authentication = {}", json!(at_revocation.name()));
    }
    text
}

/// The first supported method that the issuer accepts; RFC 8414's default if it lists none.
fn client_authentication(metadata: &Metadata) -> ClientAuthentication {
    let taken = metadata.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
    let known = METHODS.into_iter().find(|method| taken.iter().any(|name| name == method.name()));
    known.unwrap_or(ClientAuthentication::ClientSecretBasic)
}

/// Whether the issuer lists only methods that we do not support.
pub(super) fn offers_unknown_methods(metadata: &Metadata) -> bool {
    let taken = metadata.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
    !taken.is_empty() && !METHODS.iter().any(|method| taken.iter().any(|name| name == method.name()))
}

/// The signature algorithm of assertions, if not RS256.
fn assertion_algorithm(metadata: &Metadata, method: ClientAuthentication) -> Option<&'static str> {
    match method {
        ClientAuthentication::ClientSecretJwt => Some("HS256"),
        ClientAuthentication::PrivateKeyJwt => {
            let taken = metadata.token_endpoint_auth_signing_alg_values_supported.as_ref()?;
            let first = ["RS256", "PS256", "ES256"].into_iter().find(|name| taken.iter().any(|known| known == name))?;
            (first != "RS256").then_some(first)
        }
        _ => None,
    }
}

/// Whether PKCE with S256 is supported; none if the metadata does not say.
pub(super) fn takes_pkce(metadata: &Metadata) -> Option<bool> {
    let methods = metadata.code_challenge_methods_supported.as_ref().filter(|methods| !methods.is_empty())?;
    Some(methods.iter().any(|method| method == "S256"))
}

/// A text as a template without variables.
pub(super) fn literal(text: &str) -> String {
    text.replace('{', "{{")
}
