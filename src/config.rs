//! Configuration: `config.default.toml`, then a file, then the environment, then flags.
//!
//! Every value is checked before anything starts; an error names the setting and what it takes.

mod keep;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use switchboard_egress::AllowRule;
use switchboard_vault::Secret;
use url::{Host, Url};

use crate::app::base::rate_limits::RateLimits;
use crate::app::{ManagedClient, Settings};
use crate::client_address::TrustedProxies;

pub use keep::KeepLayer;

/// The manual and the defaults in one.
pub const DEFAULTS: &str = include_str!("../config.default.toml");
/// Read from the working directory when no file is named.
const DEFAULT_FILE: &str = "switchboard.toml";

/// One layer of settings: a file, or flags and environment. Absent means: as below.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layer {
    /// Address to listen on.
    pub listen: Option<String>,
    /// Public origin.
    pub public_url: Option<String>,
    /// Further Host names.
    pub allowed_hosts: Option<Vec<String>>,
    /// Folder for database and key.
    pub data_dir: Option<PathBuf>,
    /// Database URL.
    pub database_url: Option<String>,
    /// Master key file.
    pub master_key_file: Option<PathBuf>,
    /// The audit log's head.
    pub audit_head_file: Option<PathBuf>,
    /// Days; 0 is for ever.
    pub audit_retention_days: Option<u32>,
    /// Toolkit folders.
    pub toolkits: Option<Vec<PathBuf>>,
    /// Internal destinations.
    pub allow_egress: Option<Vec<String>>,
    /// Hosts that may be called without TLS.
    pub allow_http: Option<Vec<String>>,
    /// Further certificate authorities.
    pub extra_ca_file: Option<PathBuf>,
    /// Seconds.
    pub link_ttl_seconds: Option<u64>,
    /// Pins per toolkit.
    pub max_shared_accounts_per_toolkit: Option<usize>,
    /// Whether tokens are refreshed before they end, used or not.
    pub keep_accounts_alive: Option<bool>,
    /// Proxies whose forwarded headers are believed.
    pub trusted_proxies: Option<Vec<String>>,
    /// Requests; 0 is no limit.
    pub rate_limit_per_key_per_minute: Option<u32>,
    /// Requests without a key; 0 is no limit.
    pub rate_limit_per_address_per_minute: Option<u32>,
    /// Calls to a provider; 0 is no limit.
    pub rate_limit_per_account_per_minute: Option<u32>,
    /// `refuse` or `warn`.
    pub unknown_query_parameters: Option<String>,
    /// For how long what is over is kept.
    pub keep: KeepLayer,
    /// MiB of answers to proxied calls.
    pub proxy_memory_mib: Option<usize>,
    /// Connections; 0 is no limit.
    pub max_connections_per_address: Option<usize>,
    /// Address for metrics.
    pub metrics_listen: Option<String>,
    /// Log filter.
    pub log: Option<String>,
    /// `text` or `json`.
    pub log_format: Option<String>,
    /// Operator-managed clients; files only.
    pub managed: Option<BTreeMap<String, ManagedLayer>>,
}

/// One `[managed.<toolkit>]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManagedLayer {
    client_id: String,
    client_secret: Option<Secret>,
    client_secret_file: Option<PathBuf>,
    projects: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    one_redirect_uri: bool,
}

/// Checked configuration of a process.
#[derive(Debug)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Folder for database and key.
    pub data_dir: PathBuf,
    /// Database file.
    pub database: PathBuf,
    /// Master key file.
    pub master_key_file: PathBuf,
    /// The audit log's head, where it is not beside the database.
    pub audit_head_file: Option<PathBuf>,
    /// Toolkit folders.
    pub toolkits: Vec<PathBuf>,
    /// Internal destinations.
    pub allow_egress: Vec<AllowRule>,
    /// PEM of further certificate authorities.
    pub extra_ca_pem: Vec<Vec<u8>>,
    /// Address for metrics; none means they are not served.
    pub metrics_listen: Option<SocketAddr>,
    /// Log filter.
    pub log: String,
    /// Log lines as JSON.
    pub log_json: bool,
    /// What the application sees.
    pub settings: Settings,
}

/// The built-in layer with a file over it: the named one, or `switchboard.toml` if it is there.
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

/// serde quotes the value it refuses, and a value of this file may be a secret.
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

    /// This layer over another.
    #[must_use]
    pub fn over(self, below: Self) -> Self {
        Self {
            listen: self.listen.or(below.listen),
            public_url: self.public_url.or(below.public_url),
            allowed_hosts: self.allowed_hosts.or(below.allowed_hosts),
            data_dir: self.data_dir.or(below.data_dir),
            database_url: self.database_url.or(below.database_url),
            master_key_file: self.master_key_file.or(below.master_key_file),
            audit_head_file: self.audit_head_file.or(below.audit_head_file),
            audit_retention_days: self.audit_retention_days.or(below.audit_retention_days),
            toolkits: self.toolkits.or(below.toolkits),
            allow_egress: self.allow_egress.or(below.allow_egress),
            allow_http: self.allow_http.or(below.allow_http),
            extra_ca_file: self.extra_ca_file.or(below.extra_ca_file),
            link_ttl_seconds: self.link_ttl_seconds.or(below.link_ttl_seconds),
            max_shared_accounts_per_toolkit: self
                .max_shared_accounts_per_toolkit
                .or(below.max_shared_accounts_per_toolkit),
            keep_accounts_alive: self.keep_accounts_alive.or(below.keep_accounts_alive),
            trusted_proxies: self.trusted_proxies.or(below.trusted_proxies),
            rate_limit_per_key_per_minute: self.rate_limit_per_key_per_minute.or(below.rate_limit_per_key_per_minute),
            rate_limit_per_address_per_minute: self
                .rate_limit_per_address_per_minute
                .or(below.rate_limit_per_address_per_minute),
            rate_limit_per_account_per_minute: self
                .rate_limit_per_account_per_minute
                .or(below.rate_limit_per_account_per_minute),
            unknown_query_parameters: self.unknown_query_parameters.or(below.unknown_query_parameters),
            keep: self.keep.over(below.keep),
            proxy_memory_mib: self.proxy_memory_mib.or(below.proxy_memory_mib),
            max_connections_per_address: self.max_connections_per_address.or(below.max_connections_per_address),
            metrics_listen: self.metrics_listen.or(below.metrics_listen),
            log: self.log.or(below.log),
            log_format: self.log_format.or(below.log_format),
            managed: self.managed.or(below.managed),
        }
    }

    /// Checks everything.
    pub fn check(self) -> Result<Config> {
        let this = self.trimmed();
        let listen = text::address("listen", &this.listen.unwrap_or_default(), "127.0.0.1:8787")?;
        let public_url = check_public_url(this.public_url.as_deref(), listen)?;
        let data_dir = this.data_dir.unwrap_or_default();
        let database = check_database(this.database_url.as_deref(), &data_dir)?;
        let mut allow_egress = Vec::new();
        for rule in this.allow_egress.unwrap_or_default() {
            allow_egress.push(rule.parse().map_err(|error| anyhow!("setting allow_egress: {error}"))?);
        }
        let extra_ca_pem = match &this.extra_ca_file {
            Some(path) => {
                vec![fs::read(path).with_context(|| format!("setting extra_ca_file: cannot read {}", path.display()))?]
            }
            None => Vec::new(),
        };
        let link_ttl = this.link_ttl_seconds.unwrap_or(600);
        if !(60..=3_600).contains(&link_ttl) {
            return Err(wrong("link_ttl_seconds", &link_ttl.to_string(), "60 to 3600"));
        }
        let max_shared = this.max_shared_accounts_per_toolkit.unwrap_or(1);
        if !(1..=10).contains(&max_shared) {
            return Err(wrong("max_shared_accounts_per_toolkit", &max_shared.to_string(), "1 to 10"));
        }
        let proxy_memory_mib = this.proxy_memory_mib.unwrap_or(256);
        if !(16..=65_536).contains(&proxy_memory_mib) {
            return Err(wrong("proxy_memory_mib", &proxy_memory_mib.to_string(), "16 to 65536"));
        }
        let metrics_listen = this.metrics_listen.as_deref().filter(|text| !text.is_empty());
        let metrics_listen =
            metrics_listen.map(|given| text::address("metrics_listen", given, "127.0.0.1:9090")).transpose()?;
        let log_format = this.log_format.unwrap_or_default();
        let log_json = match log_format.as_str() {
            "text" => false,
            "json" => true,
            other => return Err(wrong("log_format", other, "text or json")),
        };
        let limit = |given: Option<u32>| given.and_then(NonZeroU32::new);
        let rate_limits = RateLimits {
            per_key: limit(this.rate_limit_per_key_per_minute),
            per_address: limit(this.rate_limit_per_address_per_minute),
            per_account: limit(this.rate_limit_per_account_per_minute),
        };
        let trusted_proxies = TrustedProxies::parse(&this.trusted_proxies.unwrap_or_default())
            .map_err(|error| anyhow!("setting trusted_proxies: {error}"))?;
        let settings = Settings {
            allowed_hosts: allowed_hosts(&public_url, listen, this.allowed_hosts.unwrap_or_default())?,
            public_url,
            allow_http: text::plain_hosts(&this.allow_http.unwrap_or_default())?,
            link_ttl: Duration::from_secs(link_ttl),
            managed: check_managed(this.managed.unwrap_or_default())?,
            max_shared_accounts_per_toolkit: max_shared,
            keep_accounts_alive: this.keep_accounts_alive.unwrap_or(true),
            audit_retention_days: limit(this.audit_retention_days),
            retention: this.keep.check()?,
            proxy_memory: proxy_memory_mib << 20,
            max_connections_per_address: this.max_connections_per_address.and_then(NonZeroUsize::new),
            rate_limits,
            trusted_proxies,
            unknown_query_parameters: text::unknown_parameters(&this.unknown_query_parameters.unwrap_or_default())?,
        };
        Ok(Config {
            listen,
            master_key_file: this.master_key_file.unwrap_or_else(|| data_dir.join("master.key")),
            audit_head_file: this.audit_head_file,
            database,
            data_dir,
            toolkits: this.toolkits.unwrap_or_default(),
            allow_egress,
            extra_ca_pem,
            metrics_listen,
            log: this.log.unwrap_or_default(),
            log_json,
            settings,
        })
    }
}

fn wrong(setting: &str, given: &str, takes: &str) -> anyhow::Error {
    anyhow!("setting {setting}: takes {takes}, not {given:?}")
}

/// An origin without a trailing slash. Loopback listeners have one of their own.
fn check_public_url(given: Option<&str>, listen: SocketAddr) -> Result<String> {
    let takes = "an origin such as https://connect.example.com (http:// on loopback only), without a path";
    let Some(given) = given.filter(|text| !text.is_empty()) else {
        if !listen.ip().is_loopback() {
            bail!("setting public_url: is required when listen ({listen}) is not a loopback address; it takes {takes}");
        }
        return Ok(format!("http://{listen}"));
    };
    let url = Url::parse(given).map_err(|_| wrong("public_url", given, takes))?;
    let is_loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let is_fit = url.scheme() == "https" || (url.scheme() == "http" && is_loopback);
    if !is_origin || !is_fit {
        return Err(wrong("public_url", given, takes));
    }
    Ok(url.origin().ascii_serialization())
}

fn check_database(given: Option<&str>, data_dir: &Path) -> Result<PathBuf> {
    let Some(given) = given.filter(|text| !text.is_empty()) else { return Ok(data_dir.join("switchboard.db")) };
    if given.starts_with("postgres://") || given.starts_with("postgresql://") {
        bail!("setting database_url: PostgreSQL is not built yet; it takes sqlite:<path>");
    }
    match given.strip_prefix("sqlite://").or_else(|| given.strip_prefix("sqlite:")) {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(anyhow!("setting database_url: takes sqlite:<path>")),
    }
}

/// Lower-case names that the Host header may carry.
fn allowed_hosts(public_url: &str, listen: SocketAddr, further: Vec<String>) -> Result<Vec<String>> {
    let mut hosts = Vec::with_capacity(further.len() + 5);
    for host in further {
        if Url::parse(&format!("http://{host}"))
            .ok()
            .is_none_or(|url| url.path() != "/" || host.contains(['/', '@', '?', '#']))
        {
            return Err(wrong("allowed_hosts", &host, "host names such as connect.example.com or 10.0.0.5:8787"));
        }
        hosts.push(host.to_ascii_lowercase());
    }
    if let Some((_, authority)) = public_url.split_once("://") {
        hosts.push(authority.to_owned());
    }
    hosts.push(listen.to_string());
    if listen.ip().is_loopback() {
        hosts.extend(["localhost", "127.0.0.1", "[::1]"].map(ToOwned::to_owned));
    }
    Ok(hosts)
}

fn check_managed(layers: BTreeMap<String, ManagedLayer>) -> Result<BTreeMap<String, ManagedClient>> {
    let mut clients = BTreeMap::new();
    for (toolkit, layer) in layers {
        let setting = format!("managed.{toolkit}");
        let client_secret = match (layer.client_secret, layer.client_secret_file) {
            (Some(_), Some(_)) => bail!("setting {setting}: takes client_secret or client_secret_file, not both"),
            (Some(secret), None) => Some(secret),
            (None, Some(path)) => {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("setting {setting}.client_secret_file: cannot read {}", path.display()))?;
                Some(Secret::from(text.trim()))
            }
            (None, None) => None,
        };
        if let Some(secret) = &client_secret {
            switchboard_auth::check_client_secret(secret.expose())
                .map_err(|reason| anyhow!("setting {setting}.client_secret: {reason}"))?;
        }
        if layer.client_id.is_empty() {
            bail!("setting {setting}.client_id: must not be empty");
        }
        let hosts: Result<Vec<String>> = layer.hosts.iter().map(|host| check_host(&setting, host)).collect();
        let client = ManagedClient {
            client_id: layer.client_id,
            client_secret,
            projects: layer.projects,
            hosts: hosts?,
            one_redirect_uri: layer.one_redirect_uri,
        };
        clients.insert(toolkit, client);
    }
    Ok(clients)
}

/// An origin that a client's secret may be sent to, as a URL parser writes it.
fn check_host(setting: &str, given: &str) -> Result<String> {
    let wrong = || wrong(&format!("{setting}.hosts"), given, "origins such as https://login.example.com");
    let url = Url::parse(given).map_err(|_| wrong())?;
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() != "https" || !is_origin || url.password().is_some() {
        return Err(wrong());
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests;
