//! `switchboard toolkit new`: a toolkit file drafted from what an issuer says of itself (RFC 8414, OpenID
//! Connect Discovery). What no metadata says is marked as unverified, so that the draft does not pass for checked.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Request, header};
use serde_json::json;
use switchboard_auth::{MAX_METADATA, Metadata, metadata_urls, parse_metadata};
use switchboard_catalog::Catalog;
use switchboard_egress::{Destination, Egress, EgressConfig, Limits};
use url::Url;

use super::words::today;
use crate::app::upstream::USER_AGENT;
use crate::cli::output;
use crate::log;

/// Scopes of OpenID Connect that are asked for where they are offered.
const STANDARD_SCOPES: [&str; 4] = ["openid", "profile", "email", "offline_access"];

#[derive(Debug, Args)]
pub(super) struct NewArgs {
    /// Address of the issuer.
    #[arg(long, value_name = "URL")]
    issuer: Url,
    /// Where the API is [default: the issuer's origin]
    #[arg(long, value_name = "URL")]
    api: Option<Url>,
    /// Slug of the toolkit [default: from the issuer's host]
    #[arg(long)]
    slug: Option<String>,
    /// Name shown to people [default: the slug]
    #[arg(long)]
    name: Option<String>,
    /// Addresses and hosts that may be reached although they are not public, as in `serve`
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    allow_egress: Vec<String>,
    /// Certificate authorities trusted beside the public ones, a PEM file, as in `serve`
    #[arg(long, env = "SWITCHBOARD_EXTRA_CA_FILE", value_name = "FILE")]
    extra_ca_file: Option<PathBuf>,
}

pub(super) async fn run(args: NewArgs) -> Result<()> {
    let metadata = read_metadata(&args).await?;
    let slug = args.slug.clone().unwrap_or_else(|| slug_of(&args.issuer));
    let text = draft(&args, &slug, &metadata)?;
    let mut catalog = Catalog::default();
    catalog.add(&format!("{slug}/toolkit.toml"), &text).map_err(|error| anyhow!("the draft is not valid:\n{error}"))?;
    output::print(&text)?;
    log::say(&format!(
        "Save it as {slug}/toolkit.toml, complete what is marked, and check it: switchboard toolkit lint {slug}"
    ));
    Ok(())
}

async fn read_metadata(args: &NewArgs) -> Result<Metadata> {
    let allow = args.allow_egress.iter().map(|rule| rule.parse()).collect::<Result<_, _>>();
    let allow = allow.map_err(|error| anyhow!("--allow-egress: {error}"))?;
    let extra_ca_pem = match &args.extra_ca_file {
        Some(path) => {
            vec![fs::read(path).with_context(|| format!("--extra-ca-file: cannot read {}", path.display()))?]
        }
        None => Vec::new(),
    };
    let egress = Egress::new(EgressConfig { allow, extra_ca_pem, ..EgressConfig::default() })
        .context("--allow-egress or --extra-ca-file")?;
    let mut failures = Vec::new();
    let mut places = metadata_urls(&args.issuer).to_vec();
    places.dedup();
    for url in places {
        match fetch(&egress, &url).await {
            Ok(body) => match parse_metadata(&url, &body) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => failures.push(format!("{url}: {error}")),
            },
            Err(error) => failures.push(format!("{url}: {error:#}")),
        }
    }
    bail!("the issuer has no metadata that can be used:\n  {}", failures.join("\n  "))
}

async fn fetch(egress: &Egress, url: &Url) -> Result<Bytes> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = url.as_str().parse()?;
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    let destination = Destination::new([authority(url)])?;
    let limits = Limits { total: Duration::from_secs(10), max_body: MAX_METADATA, ..Limits::default() };
    let answer = egress.send(&destination, request, &limits).await?;
    if !answer.status().is_success() {
        bail!("it answered {}", answer.status().as_u16());
    }
    Ok(answer.into_body())
}

/// The whole file.
fn draft(args: &NewArgs, slug: &str, metadata: &Metadata) -> Result<String> {
    let mut text = head(args, slug, metadata)?;
    text.push_str(&oauth2(metadata)?);
    if let Some(url) = &metadata.userinfo_endpoint {
        let _ = write!(
            text,
            "\n[identity]\nrequest = {{ url = {} }}\nid = \"/sub\"\nemail = \"/email\"\nname = \"/name\"\navatar = \"/picture\"\n",
            json!(url)
        );
    }
    Ok(text)
}

/// Everything before the tables.
fn head(args: &NewArgs, slug: &str, metadata: &Metadata) -> Result<String> {
    let origin = args.issuer.origin().ascii_serialization();
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
        metadata.issuer,
        json!(slug),
        json!(name),
        json!(format!("What {name} is, in one sentence.")),
        today().replace('-', ""),
        json!(api),
        json!(hosts),
    );
    if args.issuer.scheme() == "https" {
        let _ = writeln!(text, "sources = [{}]", json!(metadata_urls(&args.issuer)[0].as_str()));
    }
    text.push_str("unverified = [\n");
    for doubt in doubts(args, metadata) {
        let _ = writeln!(text, "  {},", json!(doubt));
    }
    text.push_str("]\n");
    Ok(text)
}

fn oauth2(metadata: &Metadata) -> Result<String> {
    let authorization = metadata.authorization_endpoint.as_deref();
    let authorization = authorization.context("the issuer names no authorization endpoint")?;
    let token = metadata.token_endpoint.as_deref().context("the issuer names no token endpoint")?;
    let pushed = metadata.pushed_authorization_request_endpoint.as_ref();
    let mut text = String::from("\n[oauth2]\n");
    for (key, url) in [
        ("authorization_url", Some(authorization)),
        ("token_url", Some(token)),
        ("revocation_url", metadata.revocation_endpoint.as_deref()),
        ("introspection_url", metadata.introspection_endpoint.as_deref()),
        (
            "pushed_authorization_request_url",
            pushed.filter(|_| metadata.require_pushed_authorization_requests).map(String::as_str),
        ),
        ("issuer", Some(metadata.issuer.as_str())),
        ("client_authentication", Some(client_authentication(metadata))),
    ] {
        if let Some(value) = url {
            let _ = writeln!(text, "{key} = {}", json!(value));
        }
    }
    if metadata.authorization_response_iss_parameter_supported {
        text.push_str("iss_required = true\n");
    }
    let offered = metadata.scopes_supported.clone().unwrap_or_default();
    let asked: Vec<&str> = STANDARD_SCOPES.into_iter().filter(|it| offered.iter().any(|scope| scope == it)).collect();
    let _ = writeln!(text, "scopes = {}\navailable_scopes = {}", json!(asked), json!(offered));
    Ok(text)
}

/// What nobody has checked yet.
fn doubts(args: &NewArgs, metadata: &Metadata) -> Vec<&'static str> {
    let mut doubts = vec![
        "Whether refresh tokens rotate, and how long they live; rotating is assumed.",
        "Description, categories and the link to the developers' guide.",
    ];
    if args.api.is_none() {
        doubts.push("That the API is at the issuer's own address.");
    }
    if metadata.code_challenge_methods_supported.is_none() {
        doubts.push("That PKCE is taken: the metadata does not say so.");
    }
    if metadata.scopes_supported.is_none() {
        doubts.push("Scopes: the metadata names none.");
    }
    doubts
}

/// The first of ours that the issuer takes; RFC 8414's default where it does not say.
fn client_authentication(metadata: &Metadata) -> &str {
    const OURS: [&str; 4] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
    let taken = metadata.token_endpoint_auth_methods_supported.as_deref().unwrap_or_default();
    OURS.into_iter().find(|method| taken.iter().any(|it| it == method)).unwrap_or(OURS[0])
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// `login.example.com` → `example`.
fn slug_of(issuer: &Url) -> String {
    let host = issuer.host_str().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let label = labels.len().checked_sub(2).and_then(|at| labels.get(at)).copied().unwrap_or(host);
    let is_name = label.starts_with(|c: char| c.is_ascii_lowercase());
    if is_name { label.to_owned() } else { "provider".to_owned() }
}
