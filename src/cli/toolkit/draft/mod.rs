//! `switchboard toolkit new`: drafts a toolkit file from the metadata of an issuer (RFC 8414, OpenID
//! Connect Discovery), or of an MCP server and its authorization server (RFC 9728). Discovery works as
//! in the server. Everything that is not in the metadata is marked as unverified, so that the draft is
//! not mistaken for a checked file.

mod args;
mod found;
mod oauth;
mod text;

use std::fs;

use anyhow::{Context as _, Result, anyhow};
use switchboard_auth::{metadata_urls, resource_metadata_url};
use switchboard_catalog::{Catalog, PlainHttp, Scheme};
use switchboard_egress::{Egress, EgressConfig};
use url::Url;

pub(super) use self::args::NewArgs;
use self::found::Found;
use crate::app::provider::MetadataReader;
use crate::cli::explain::explain;
use crate::cli::output;
use crate::log;

pub(super) async fn run(args: NewArgs) -> Result<()> {
    let found = find(&args).await?;
    let slug = args.slug.clone().unwrap_or_else(|| slug_of(&found.url, found.is_mcp));
    let text = text::draft(&args, &slug, &found)?;
    let mut catalog = Catalog::default();
    catalog.add(&format!("{slug}/toolkit.toml"), &text).map_err(|error| anyhow!("the draft is not valid:\n{error}"))?;
    output::print(&text)?;
    log::print_line(&format!(
        "Save it as {slug}/toolkit.toml, complete what is marked, and check it: switchboard toolkit lint {slug}"
    ));
    Ok(())
}

async fn find(args: &NewArgs) -> Result<Found> {
    let egress = egress(args)?;
    let reader = MetadataReader { egress: &egress, allow_http: &PlainHttp::default() };
    if let Some(url) = args.subject.issuer.clone() {
        let metadata = reader.server(&url).await.map_err(|error| {
            let mut places = metadata_urls(&url).map(|place| place.to_string()).to_vec();
            places.dedup();
            let error = explain(&error);
            anyhow!("the issuer has no metadata that can be used; its places are {}: {error}", places.join(", "))
        })?;
        return Ok(Found { url, metadata, resource: None, is_mcp: false, scheme: Scheme::OAuth2 });
    }
    let url = args.subject.mcp.clone().context("an issuer or an MCP server is needed")?;
    let (metadata, resource) = reader.server_of(url.as_str()).await.map_err(|error| {
        let (place, error) = (resource_metadata_url(&url), explain(&error));
        anyhow!("the MCP server names no authorization server that can be used; its first place is {place}: {error}")
    })?;
    let scheme = if metadata.registration_endpoint.is_some() {
        Scheme::DcrOAuth
    } else if metadata.client_id_metadata_document_supported {
        Scheme::CimdOAuth
    } else {
        Scheme::OAuth2
    };
    Ok(Found { url, metadata, resource, is_mcp: true, scheme })
}

fn egress(args: &NewArgs) -> Result<Egress> {
    let allow = args.allow_egress.iter().map(|rule| rule.parse()).collect::<Result<_, _>>();
    let allow = allow.map_err(|error| anyhow!("--allow-egress: {error}"))?;
    let extra_ca_pem = match &args.extra_ca_file {
        Some(path) => {
            vec![fs::read(path).with_context(|| format!("--extra-ca-file: cannot read {}", path.display()))?]
        }
        None => Vec::new(),
    };
    Egress::new(EgressConfig { allow, extra_ca_pem, ..EgressConfig::default() })
        .context("--allow-egress or --extra-ca-file")
}

/// `login.example.com` → `example`; for an MCP server `example_mcp`, because its tools differ from the
/// API's.
fn slug_of(url: &Url, is_mcp: bool) -> String {
    let host = url.host_str().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let label = labels.len().checked_sub(2).and_then(|at| labels.get(at)).copied().unwrap_or(host);
    let is_name = label.starts_with(|c: char| c.is_ascii_lowercase());
    let name = if is_name { label.replace('-', "_") } else { "provider".to_owned() };
    if is_mcp { format!("{name}_mcp") } else { name }
}
