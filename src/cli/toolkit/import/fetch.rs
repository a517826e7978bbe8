//! Fetches a document through egress, as the server fetches metadata.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header};
use switchboard_auth::decompressed;
use switchboard_egress::{Destination, Egress, EgressConfig, Limits};
use switchboard_openapi::MAX_BYTES;
use url::Url;

use super::args::OpenapiArgs;
use crate::app::provider::request::USER_AGENT;

/// Maximum number of redirects.
const MAX_REDIRECTS: usize = 3;

/// The bytes of the document at a URL. Redirects are followed, each through the same checks.
pub(super) async fn fetch(args: &OpenapiArgs, url: &Url) -> Result<Vec<u8>> {
    if !url.username().is_empty() || url.password().is_some() {
        bail!("the URL has a user name or password in it; fetch the document and give the file");
    }
    let egress = egress(args)?;
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let response =
            get(&egress, &url).await.with_context(|| format!("cannot fetch the document from {}", origin(&url)))?;
        let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
        match location.filter(|_| response.status().is_redirection()) {
            Some(location) => url = url.join(location).context("the redirect is no URL")?,
            None if response.status().is_success() => {
                let (parts, body) = response.into_parts();
                let body =
                    decompressed(&parts.headers, &body, MAX_BYTES).map_err(|error| anyhow!("the document: {error}"))?;
                return Ok(body.into_owned());
            }
            None => bail!("{} answered {} instead of the document", origin(&url), response.status()),
        }
    }
    bail!("more than {MAX_REDIRECTS} redirects lead to the document")
}

async fn get(egress: &Egress, url: &Url) -> Result<Response<Bytes>> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = url.as_str().parse().context("not a URL of HTTP")?;
    let headers = request.headers_mut();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, application/yaml, */*;q=0.8"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let destination = Destination::new([authority])?;
    let limits = Limits { total: Duration::from_mins(1), max_body: MAX_BYTES, any_coding: true, ..Limits::default() };
    Ok(egress.send(&destination, request, &limits).await?)
}

/// A URL without path and query, which may be secret.
fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

fn egress(args: &OpenapiArgs) -> Result<Egress> {
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
