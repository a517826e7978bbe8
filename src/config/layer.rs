//! One layer of settings, from a file or the command line.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use serde::Deserialize;
use switchboard_vault::Secret;

use super::keep::KeepLayer;
use super::layered::{Overlay, layered};

/// The default settings, which are also their documentation.
pub const DEFAULTS: &str = include_str!("../../config.default.toml");
/// Read from the working directory if no file is given.
const DEFAULT_FILE: &str = "switchboard.toml";

layered! {
/// One layer of settings: a file, or flags and environment. An absent value falls through to the layer
/// below.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layer {
    /// Address to listen on.
    pub listen: Option<String>,
    /// Public origin.
    pub public_url: Option<String>,
    /// Additional Host names.
    pub allowed_hosts: Option<Vec<String>>,
    /// Folder for database and key.
    pub data_dir: Option<PathBuf>,
    /// Database URL.
    pub database_url: Option<String>,
    /// Master key file.
    pub master_key_file: Option<PathBuf>,
    /// The audit log's head.
    pub audit_head_file: Option<PathBuf>,
    /// Days; 0 is unlimited.
    pub audit_retention_days: Option<u32>,
    /// Toolkit folders.
    pub toolkits: Option<Vec<PathBuf>>,
    /// Internal destinations.
    pub allow_egress: Option<Vec<String>>,
    /// Hosts that may be called without TLS.
    pub allow_http: Option<Vec<String>>,
    /// Additional certificate authorities.
    pub extra_ca_file: Option<PathBuf>,
    /// Seconds.
    pub link_ttl_seconds: Option<u64>,
    /// Pins per toolkit.
    pub max_shared_accounts_per_toolkit: Option<usize>,
    /// Whether tokens are refreshed before they expire, even when unused.
    pub keep_accounts_alive: Option<bool>,
    /// Proxies whose forwarded headers are trusted.
    pub trusted_proxies: Option<Vec<String>>,
    /// Requests; 0 is unlimited.
    pub rate_limit_per_key_per_minute: Option<u32>,
    /// Requests without a key; 0 is unlimited.
    pub rate_limit_per_address_per_minute: Option<u32>,
    /// Calls to a provider; 0 is unlimited.
    pub rate_limit_per_account_per_minute: Option<u32>,
    /// `refuse` or `warn`.
    pub unknown_query_parameters: Option<String>,
    /// How long ended objects are kept.
    pub keep: KeepLayer,
    /// MiB for responses to proxied calls.
    pub proxy_memory_mib: Option<usize>,
    /// Connections; 0 is unlimited.
    pub max_connections_per_address: Option<usize>,
    /// Address for metrics.
    pub metrics_listen: Option<String>,
    /// Log filter.
    pub log: Option<String>,
    /// `text` or `json`.
    pub log_format: Option<String>,
    /// Origin of the URLs of files.
    pub files_public_url: Option<String>,
    /// Folder with the bytes of files.
    pub files_dir: Option<PathBuf>,
    /// MiB of one file.
    pub files_max_mib: Option<u32>,
    /// MiB of all files of a project; 0 is unlimited.
    pub files_per_project_mib: Option<u32>,
    /// Seconds that the URL of a file is valid.
    pub files_url_seconds: Option<u32>,
    /// The bucket with the bytes of files; settings files only.
    pub s3: Option<S3Layer>,
    /// Operator-managed clients; files only.
    pub managed: Option<BTreeMap<String, ManagedLayer>>,
}
}

/// One `[managed.<toolkit>]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedLayer {
    pub(super) client_id: String,
    pub(super) client_secret: Option<Secret>,
    pub(super) client_secret_file: Option<PathBuf>,
    pub(super) projects: Vec<String>,
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    pub(super) scopes: Option<Vec<String>>,
    #[serde(default)]
    pub(super) one_redirect_uri: bool,
}

/// The `[s3]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Layer {
    pub(super) endpoint: String,
    pub(super) region: String,
    pub(super) bucket: String,
    #[serde(default)]
    pub(super) prefix: String,
    pub(super) access_key_id: String,
    pub(super) secret_access_key: Option<Secret>,
    pub(super) secret_access_key_file: Option<PathBuf>,
    #[serde(default = "yes")]
    pub(super) path_style: bool,
    #[serde(default)]
    pub(super) allow_private_endpoint: bool,
}

fn yes() -> bool {
    true
}

/// The defaults overlaid with a file: the given one, or `switchboard.toml` if it exists.
pub fn load_file(named: Option<&Path>) -> Result<Layer> {
    let path = match named {
        Some(path) => path,
        None if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
        None => return Ok(Layer::default()),
    };
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read configuration file {}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        anyhow!("{}:{line}: {}", path.display(), without_value(error.message()))
    })
}

/// serde quotes the rejected value, which may be a secret.
fn without_value(message: &str) -> String {
    let Some((kind, rest)) = message.split_once("invalid type: ") else {
        return message.to_owned();
    };
    let given = rest.split([' ', ',']).next().unwrap_or_default();
    let expected = rest.rsplit_once(", expected ").map_or("another type", |(_, expected)| expected);
    format!("{kind}invalid type: {given}, expected {expected}")
}

impl Layer {
    /// The compiled-in defaults.
    pub fn defaults() -> Result<Self> {
        toml::from_str(DEFAULTS).context("config.default.toml")
    }
}
