//! The text of a drafted file.

use std::fmt::Write as _;

use anyhow::Result;
use serde_json::json;
use switchboard_auth::{Metadata, metadata_urls, resource_metadata_url};
use url::Url;

use super::args::NewArgs;
use super::found::Found;
use super::oauth::{self, takes_pkce};
use crate::cli::toolkit::words::today;

/// The whole file.
pub(super) fn draft(args: &NewArgs, slug: &str, found: &Found) -> Result<String> {
    let mut text = head(args, slug, found)?;
    text.push_str(&oauth::table(found)?);
    if let Some(url) = &found.metadata.userinfo_endpoint {
        let _ = write!(
            text,
            "\n[identity]\nrequest = {{ url = {} }}\nid = \"/sub\"\nemail = \"/email\"\nname = \"/name\"\navatar = \"/picture\"\n",
            json!(oauth::literal(url))
        );
    }
    Ok(text)
}

/// Everything before the tables.
fn head(args: &NewArgs, slug: &str, found: &Found) -> Result<String> {
    let metadata = &found.metadata;
    let origin = found.url.origin().ascii_serialization();
    let api = args.api.as_ref().map_or(origin, |url| url.as_str().trim_end_matches('/').to_owned());
    let mut hosts = vec![authority(&Url::parse(&api)?)];
    if let Some(url) = &metadata.userinfo_endpoint {
        let host = authority(&Url::parse(url)?);
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    let name = args.name.as_deref().unwrap_or(slug);
    let mut text = format!(
        "# Drafted from the metadata of {}.\nslug = {}\nname = {}\ndescription = {}\ncategories = [\"other\"]\n\
         color = \"#475569\"\nversion = \"{}_00\"\nbase_url = {}\nhosts = {}\n",
        if found.is_mcp { found.url.as_str() } else { &metadata.issuer },
        json!(slug),
        json!(name),
        json!(format!("What {name} is, in one sentence.")),
        today().replace('-', ""),
        json!(oauth::literal(&api)),
        json!(hosts),
    );
    if let Some(guide) = metadata.service_documentation.as_deref().filter(|guide| guide.starts_with("https://")) {
        let _ = writeln!(text, "auth_guide_url = {}", json!(guide));
    }
    let sources = sources(found);
    if !sources.is_empty() {
        let _ = writeln!(text, "sources = {}", json!(sources));
    }
    text.push_str("unverified = [\n");
    for doubt in unverified_facts(args, found) {
        let _ = writeln!(text, "  {},", json!(doubt));
    }
    text.push_str("]\n");
    Ok(text)
}

/// Where the metadata stands that the draft is from.
fn sources(found: &Found) -> Vec<String> {
    let issuer = Url::parse(&found.metadata.issuer).ok();
    let server = issuer.as_ref().map_or_else(|| found.url.clone(), |issuer| metadata_urls(issuer)[0].clone());
    let resource = found.resource.is_some().then(|| resource_metadata_url(&found.url));
    let places = resource.into_iter().chain([server]);
    places.filter(|url| url.scheme() == "https").map(|url| url.to_string()).collect()
}

/// Facts to be checked, and metadata that the draft does not use.
fn unverified_facts(args: &NewArgs, found: &Found) -> Vec<String> {
    let metadata = &found.metadata;
    let mut unverified_facts = vec![
        "Whether refresh tokens rotate, and how long they live; rotating is assumed.".to_owned(),
        "Description, categories and the link to the developers' guide.".to_owned(),
    ];
    if found.is_mcp {
        unverified_facts.push(format!("That agents send MCP messages to {} and nothing else.", found.url));
        if found.resource.is_none() {
            unverified_facts.push(
                "The server has no protected-resource metadata (RFC 9728); its origin is taken for the \
                         authorization server, and its address is sent as `resource`."
                    .to_owned(),
            );
        }
    } else if args.api.is_none() {
        unverified_facts.push("That the API is at the issuer's own address.".to_owned());
    }
    if takes_pkce(metadata).is_none() {
        unverified_facts.push("That PKCE is taken: the metadata does not say so.".to_owned());
    }
    if found.scopes_offered().is_empty() {
        unverified_facts.push("Scopes: the metadata names none.".to_owned());
    }
    if oauth::offers_unknown_methods(metadata) {
        unverified_facts
            .push("How clients authenticate: the metadata names only ways that are not known here.".to_owned());
    }
    unverified_facts.extend(unused(found));
    unverified_facts
}

/// Metadata that the draft does not use.
fn unused(found: &Found) -> Vec<String> {
    let Metadata { registration_endpoint, device_authorization_endpoint, dpop_signing_alg_values_supported, .. } =
        &found.metadata;
    let mut offers = Vec::new();
    if let (false, Some(url)) = (found.is_mcp, registration_endpoint) {
        offers.push(format!(
            "Not used: clients can register themselves at {url}. A [dcr_oauth] table with this registration_url takes \
             that, if the provider lets any client register."
        ));
    }
    if let (true, Some(url)) = (found.metadata.authorization_endpoint.is_some(), device_authorization_endpoint) {
        offers.push(format!("Not used: users can enter a code, by device_authorization_url = {url}."));
    }
    if let (false, Some(url)) =
        (found.metadata.require_pushed_authorization_requests, &found.metadata.pushed_authorization_request_endpoint)
    {
        offers.push(format!("Not used: requests may be pushed, to pushed_authorization_request_url = {url}."));
    }
    if dpop_signing_alg_values_supported.as_ref().is_some_and(|names| names.iter().any(|name| name == "ES256")) {
        offers.push("Not used: tokens can be bound to a key, by dpop = true.".to_owned());
    }
    offers
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
