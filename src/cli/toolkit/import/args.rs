//! Arguments of `switchboard toolkit import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use switchboard_openapi::Auth;

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(subcommand)]
    pub(super) kind: Kind,
}

/// What is imported.
#[derive(Debug, Subcommand)]
pub(super) enum Kind {
    /// Make a toolkit of an `OpenAPI` 3 document, or of a Google discovery document; again to take a newer document.
    Openapi(OpenapiArgs),
}

#[derive(Debug, Args)]
pub(super) struct OpenapiArgs {
    /// The document, JSON or YAML: a file, or an https URL.
    #[arg(value_name = "FILE|URL")]
    pub(super) document: String,
    /// Slug of the toolkit, also the name of its folder: `a-z`, `0-9` and `_`, at most 24.
    #[arg(long)]
    pub(super) slug: String,
    /// Name shown to people [default: the document's title]
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Only operations with this tag, path or operation id; `*` stands for any characters; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub(super) include: Vec<String>,
    /// No operations with this tag, path or operation id; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub(super) exclude: Vec<String>,
    /// At most this many operations, in the order of their paths.
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<usize>,
    /// Words that names of tools begin with, after the slug.
    #[arg(long, value_name = "WORDS")]
    pub(super) prefix: Option<String>,
    /// Where the API is, instead of the document's servers; `{subdomain}` asks for a value when connecting.
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
    /// How requests are authenticated, instead of the document's schemes: none, bearer, basic, header:NAME, query:NAME.
    #[arg(long, value_name = "SCHEME")]
    pub(super) auth: Option<Auth>,
    /// File that the document refers to; may be repeated. Nothing else is read for a reference.
    #[arg(long, value_name = "FILE")]
    pub(super) with: Vec<PathBuf>,
    /// Folder in which the toolkit's folder is written.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) out: PathBuf,
    /// Write nothing; print what would be done.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Addresses and hosts that may be reached although they are not public, as in `serve`
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    pub(super) allow_egress: Vec<String>,
    /// Certificate authorities trusted beside the public ones, a PEM file, as in `serve`
    #[arg(long, env = "SWITCHBOARD_EXTRA_CA_FILE", value_name = "FILE")]
    pub(super) extra_ca_file: Option<PathBuf>,
}
