//! Configuration: `config.default.toml`, then a file, then the environment, then flags.
//!
//! Every value is validated before anything starts; an error names the setting and the accepted values.

mod files;
mod invalid;
mod keep;
mod layer;
mod layered;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use switchboard_egress::AllowRule;
use switchboard_vault::Secret;
use url::Url;

use crate::app::base::rate_limits::RateLimits;
use crate::app::object_store::StoreSettings;
use crate::app::{ManagedClient, Settings};
use crate::client_address::TrustedProxies;

use self::invalid::invalid;
pub use self::keep::KeepLayer;
use self::layer::ManagedLayer;
pub use self::layer::{DEFAULTS, Layer, load_file};

/// Validated configuration of a process.
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
    /// The audit log's head file, if it is not next to the database.
    pub audit_head_file: Option<PathBuf>,
    /// Toolkit folders.
    pub toolkits: Vec<PathBuf>,
    /// Internal destinations.
    pub allow_egress: Vec<AllowRule>,
    /// PEM of additional certificate authorities.
    pub extra_ca_pem: Vec<Vec<u8>>,
    /// Where the bytes of files are.
    pub file_store: StoreSettings,
    /// Address for metrics; none disables them.
    pub metrics_listen: Option<SocketAddr>,
    /// Log filter.
    pub log: String,
    /// Log lines as JSON.
    pub log_json: bool,
    /// Settings of the application.
    pub settings: Settings,
}

impl Layer {
    /// Validates all settings.
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
            return Err(invalid("link_ttl_seconds", &link_ttl.to_string(), "60 to 3600"));
        }
        let max_shared = this.max_shared_accounts_per_toolkit.unwrap_or(1);
        if !(1..=10).contains(&max_shared) {
            return Err(invalid("max_shared_accounts_per_toolkit", &max_shared.to_string(), "1 to 10"));
        }
        let proxy_memory_mib = this.proxy_memory_mib.unwrap_or(256);
        if !(16..=65_536).contains(&proxy_memory_mib) {
            return Err(invalid("proxy_memory_mib", &proxy_memory_mib.to_string(), "16 to 65536"));
        }
        let metrics_listen = this.metrics_listen.as_deref().filter(|text| !text.is_empty());
        let metrics_listen =
            metrics_listen.map(|given| text::address("metrics_listen", given, "127.0.0.1:9090")).transpose()?;
        let log_format = this.log_format.unwrap_or_default();
        let log_json = match log_format.as_str() {
            "text" => false,
            "json" => true,
            other => return Err(invalid("log_format", other, "text or json")),
        };
        let limit = |given: Option<u32>| given.and_then(NonZeroU32::new);
        let rate_limits = RateLimits {
            per_key: limit(this.rate_limit_per_key_per_minute),
            per_address: limit(this.rate_limit_per_address_per_minute),
            per_account: limit(this.rate_limit_per_account_per_minute),
        };
        let trusted_proxies = TrustedProxies::parse(&this.trusted_proxies.unwrap_or_default())
            .map_err(|error| anyhow!("setting trusted_proxies: {error}"))?;
        let given = files::GivenFileSettings {
            public_url: this.files_public_url,
            max_mib: this.files_max_mib,
            per_project_mib: this.files_per_project_mib,
            url_seconds: this.files_url_seconds,
        };
        let file_settings = files::check(given, &public_url)?;
        let file_store = files::store(this.s3, this.files_dir, &data_dir)?;
        let origins = [public_url.as_str(), file_settings.public_url.as_str()];
        let settings = Settings {
            allowed_hosts: allowed_hosts(&origins, listen, this.allowed_hosts.unwrap_or_default())?,
            files: file_settings,
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
            file_store,
            metrics_listen,
            log: this.log.unwrap_or_default(),
            log_json,
            settings,
        })
    }
}

/// An origin without a trailing slash. Loopback listeners have a default.
fn check_public_url(given: Option<&str>, listen: SocketAddr) -> Result<String> {
    let Some(given) = given.filter(|text| !text.is_empty()) else {
        if !listen.ip().is_loopback() {
            bail!(
                "setting public_url: is required when listen ({listen}) is not a loopback address; it takes {}",
                text::ORIGIN
            );
        }
        return Ok(format!("http://{listen}"));
    };
    text::origin("public_url", given)
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

/// Lower-case names that are accepted in the Host header.
fn allowed_hosts(origins: &[&str], listen: SocketAddr, further: Vec<String>) -> Result<Vec<String>> {
    let mut hosts = Vec::with_capacity(further.len() + 5);
    for host in further {
        if Url::parse(&format!("http://{host}"))
            .ok()
            .is_none_or(|url| url.path() != "/" || host.contains(['/', '@', '?', '#']))
        {
            return Err(invalid("allowed_hosts", &host, "host names such as connect.example.com or 10.0.0.5:8787"));
        }
        hosts.push(host.to_ascii_lowercase());
    }
    hosts.extend(origins.iter().filter_map(|origin| Some(origin.split_once("://")?.1.to_owned())));
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
            scopes: layer.scopes,
            one_redirect_uri: layer.one_redirect_uri,
        };
        clients.insert(toolkit, client);
    }
    Ok(clients)
}

/// An origin that a client's secret may be sent to, in normalized form.
fn check_host(setting: &str, given: &str) -> Result<String> {
    let refused = || invalid(&format!("{setting}.hosts"), given, "origins such as https://login.example.com");
    let url = Url::parse(given).map_err(|_| refused())?;
    let is_origin = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() != "https" || !is_origin || url.password().is_some() {
        return Err(refused());
    }
    Ok(url.origin().ascii_serialization())
}

#[cfg(test)]
mod tests;
