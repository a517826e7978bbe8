//! Metadata of the simulated issuer (RFC 8414, RFC 9728), where the file leaves endpoints to discovery.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchboard_auth::{complete, metadata_urls, parse_metadata, resource_metadata_url};
use switchboard_catalog::{OAuth2, PlainHttp, template};
use url::Url;

use super::routes::Endpoint;

/// A document at its address.
pub(super) struct Discovered {
    pub(super) url: Url,
    pub(super) endpoint: Endpoint,
    pub(super) document: Value,
}

type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// The file's section completed from generated metadata, and the documents with that metadata.
///
/// # Errors
/// An address that is no URL, or metadata that the server would not take.
pub(super) fn discover(oauth: &OAuth2, variables: Variables<'_>) -> Result<(OAuth2, Vec<Discovered>)> {
    let expand = |text: &str| template::expand(text, variables);
    let known = [&oauth.authorization_url, &oauth.token_url].iter().all(|url| !url.is_empty());
    let mut found = Vec::new();
    let (url, issuer) = if let Some(text) = oauth.discovery_url.as_ref().filter(|_| !known || oauth.issuer.is_none()) {
        let url = Url::parse(&expand(text)?).context("discovery_url")?;
        let issuer = issuer_of(&url).context("discovery_url ends in no well-known name")?;
        (url, issuer)
    } else if let Some(text) = oauth.resource.as_ref().filter(|_| !known) {
        let resource = expand(text)?;
        let url = Url::parse(&resource).context("resource")?;
        let issuer = url.origin().ascii_serialization();
        let document = json!({ "resource": resource, "authorization_servers": [issuer] });
        found.push(Discovered { url: resource_metadata_url(&url), endpoint: Endpoint::ResourceMetadata, document });
        (metadata_urls(&Url::parse(&issuer)?)[0].clone(), issuer)
    } else {
        return Ok((oauth.clone(), found));
    };
    let document = document(oauth, &issuer, &expand)?;
    let metadata = parse_metadata(&url, document.to_string().as_bytes(), &PlainHttp::default())?;
    let whole = complete(oauth, &metadata)?;
    found.push(Discovered { url, endpoint: Endpoint::Metadata, document });
    Ok((whole, found))
}

fn document(
    oauth: &OAuth2,
    issuer: &str,
    expand: &dyn Fn(&str) -> Result<String, template::TemplateError>,
) -> Result<Value> {
    let at = |own: Option<&String>, path: &str| match own.filter(|url| !url.is_empty()) {
        Some(url) => expand(url),
        None => Ok(format!("{}/{path}", issuer.trim_end_matches('/'))),
    };
    let method = oauth.client_authentication.name();
    Ok(json!({
        "issuer": issuer,
        "authorization_endpoint": at(Some(&oauth.authorization_url), "authorize")?,
        "token_endpoint": at(Some(&oauth.token_url), "token")?,
        "revocation_endpoint": at(oauth.revocation_url.as_ref(), "revoke")?,
        "introspection_endpoint": at(oauth.introspection_url.as_ref(), "introspect")?,
        "registration_endpoint": at(oauth.registration_url.as_ref(), "register")?,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [method],
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// The issuer whose metadata stands at a well-known URL.
fn issuer_of(url: &Url) -> Option<String> {
    let origin = url.origin().ascii_serialization();
    let names = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
    let path = url.path();
    let rest = names.iter().find_map(|name| path.strip_suffix(name).or_else(|| path.strip_prefix(name)));
    rest.map(|rest| format!("{origin}{rest}"))
}
