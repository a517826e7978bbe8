//! Metadata of the simulated issuer (RFC 8414, RFC 9728), for files whose endpoints are discovered.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchboard_auth::{complete, metadata_urls, parse_metadata, resource_metadata_url};
use switchboard_catalog::{OAuth2, PlainHttp, template};
use url::Url;

use super::routes::Endpoint;

/// A metadata document and the URL that serves it.
pub(super) struct MetadataDocument {
    pub(super) url: Url,
    pub(super) endpoint: Endpoint,
    pub(super) body: Value,
}

type Variables<'v> = &'v dyn Fn(&str) -> Option<String>;

/// Completes the file's section from generated metadata. Returns it with the metadata documents.
///
/// # Errors
/// An invalid URL, or metadata that the server would reject.
pub(super) fn discover(oauth: &OAuth2, variables: Variables<'_>) -> Result<(OAuth2, Vec<MetadataDocument>)> {
    let expand = |text: &str| template::expand(text, variables);
    let has_endpoints = [&oauth.authorization_url, &oauth.token_url].iter().all(|url| !url.is_empty());
    let mut documents = Vec::new();
    let (url, issuer) =
        if let Some(text) = oauth.discovery_url.as_ref().filter(|_| !has_endpoints || oauth.issuer.is_none()) {
            let url = Url::parse(&expand(text)?).context("discovery_url")?;
            let issuer = issuer_of(&url).context("discovery_url ends in no well-known name")?;
            (url, issuer)
        } else if let Some(text) = oauth.resource.as_ref().filter(|_| !has_endpoints) {
            let resource = expand(text)?;
            let url = Url::parse(&resource).context("resource")?;
            let issuer = url.origin().ascii_serialization();
            let document = json!({ "resource": resource, "authorization_servers": [issuer] });
            documents.push(MetadataDocument {
                url: resource_metadata_url(&url),
                endpoint: Endpoint::ResourceMetadata,
                body: document,
            });
            (metadata_urls(&Url::parse(&issuer)?)[0].clone(), issuer)
        } else {
            return Ok((oauth.clone(), documents));
        };
    let document = metadata_document(oauth, &issuer, &expand)?;
    let metadata = parse_metadata(&url, document.to_string().as_bytes(), &PlainHttp::default())?;
    let completed = complete(oauth, &metadata)?;
    documents.push(MetadataDocument { url, endpoint: Endpoint::Metadata, body: document });
    Ok((completed, documents))
}

fn metadata_document(
    oauth: &OAuth2,
    issuer: &str,
    expand: &dyn Fn(&str) -> Result<String, template::TemplateError>,
) -> Result<Value> {
    let endpoint = |configured: Option<&String>, path: &str| match configured.filter(|url| !url.is_empty()) {
        Some(url) => expand(url),
        None => Ok(format!("{}/{path}", issuer.trim_end_matches('/'))),
    };
    let method = oauth.client_authentication.name();
    Ok(json!({
        "issuer": issuer,
        "authorization_endpoint": endpoint(Some(&oauth.authorization_url), "authorize")?,
        "token_endpoint": endpoint(Some(&oauth.token_url), "token")?,
        "revocation_endpoint": endpoint(oauth.revocation_url.as_ref(), "revoke")?,
        "introspection_endpoint": endpoint(oauth.introspection_url.as_ref(), "introspect")?,
        "registration_endpoint": endpoint(oauth.registration_url.as_ref(), "register")?,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [method],
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// The issuer that a well-known metadata URL belongs to.
fn issuer_of(url: &Url) -> Option<String> {
    let origin = url.origin().ascii_serialization();
    let names = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"];
    let path = url.path();
    let rest = names.iter().find_map(|name| path.strip_suffix(name).or_else(|| path.strip_prefix(name)));
    rest.map(|rest| format!("{origin}{rest}"))
}
