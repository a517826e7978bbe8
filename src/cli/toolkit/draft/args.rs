//! Arguments of `switchboard toolkit new`.

use std::path::PathBuf;

use clap::Args;
use url::Url;

#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    #[command(flatten)]
    pub(super) subject: Subject,
    /// Where the API is [default: the origin of the issuer or MCP server]
    #[arg(long, value_name = "URL")]
    pub(super) api: Option<Url>,
    /// Slug of the toolkit [default: from the host]
    #[arg(long)]
    pub(super) slug: Option<String>,
    /// Name shown to people [default: the slug]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Addresses and hosts that may be reached although they are not public, as in `serve`
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub(super) allow_egress: Vec<String>,
    /// Certificate authorities trusted beside the public ones, a PEM file, as in `serve`
    #[arg(long, env = "SWITCHBOARD_EXTRA_CA_FILE", value_name = "FILE")]
    pub(super) extra_ca_file: Option<PathBuf>,
}

/// Where the metadata is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Subject {
    /// Address of the issuer
    #[arg(long, value_name = "URL")]
    pub(super) issuer: Option<Url>,
    /// Address of an MCP server, as its users enter it
    #[arg(long, value_name = "URL")]
    pub(super) mcp: Option<Url>,
}
