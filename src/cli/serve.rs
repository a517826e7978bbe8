//! `switchboard serve`: the server, as it runs in production.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::data::DataArgs;
use super::environment::trimmed;
use crate::api::Api;
use crate::app::App;
use crate::config::{Config, KeepLayer, Layer};
use crate::log;
use crate::server::{self, Environment};

/// How long the exit waits for the log to be written.
pub(super) const FLUSH_TIME: Duration = Duration::from_millis(500);
/// Signals within this time count as one.
const SAME_SIGNAL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    server: ServerArgs,
}

/// Flags of `serve` and `dev`.
#[derive(Debug, Default, Args)]
pub(super) struct ServerArgs {
    /// Address to listen on [default: 127.0.0.1:8787].
    #[arg(long, env = "SWITCHBOARD_LISTEN", value_name = "ADDR")]
    listen: Option<String>,
    /// Origin under which browsers and SDKs reach the server, such as `https://connect.example.com`.
    #[arg(long, env = "SWITCHBOARD_PUBLIC_URL", value_name = "URL")]
    public_url: Option<String>,
    /// Folder with additional toolkits; may be repeated.
    #[arg(long, env = "SWITCHBOARD_TOOLKITS", value_name = "DIR", value_delimiter = ',')]
    toolkits: Vec<PathBuf>,
    /// Internal destination that toolkits may call; may be repeated.
    #[arg(long, env = "SWITCHBOARD_ALLOW_EGRESS", value_name = "CIDR|HOST", value_delimiter = ',')]
    allow_egress: Vec<String>,
    /// Host, with its port, that toolkits may call without TLS; may be repeated.
    #[arg(long, env = "SWITCHBOARD_ALLOW_HTTP", value_name = "HOST[:PORT]", value_delimiter = ',')]
    allow_http: Vec<String>,
    /// Additional name that is accepted in the Host header; may be repeated.
    #[arg(long, env = "SWITCHBOARD_ALLOWED_HOSTS", value_name = "HOST", value_delimiter = ',')]
    allowed_hosts: Vec<String>,
    /// PEM file with additional certificate authorities.
    #[arg(long, env = "SWITCHBOARD_EXTRA_CA_FILE", value_name = "FILE")]
    extra_ca_file: Option<PathBuf>,
    /// How long a link stays open, in seconds [default: 600].
    #[arg(long, env = "SWITCHBOARD_LINK_TTL_SECONDS", value_parser = trimmed::<u64>, value_name = "SECONDS")]
    link_ttl_seconds: Option<u64>,
    /// SHARED accounts that one session may pin per toolkit [default: 1].
    #[arg(long, env = "SWITCHBOARD_MAX_SHARED_ACCOUNTS_PER_TOOLKIT", value_parser = trimmed::<usize>, value_name = "N")]
    max_shared_accounts_per_toolkit: Option<usize>,
    /// Refresh tokens before they expire, even if they are not in use [default: true].
    #[arg(long, env = "SWITCHBOARD_KEEP_ACCOUNTS_ALIVE", value_parser = trimmed::<bool>, value_name = "BOOL")]
    keep_accounts_alive: Option<bool>,
    /// Proxy whose X-Forwarded-For and Forwarded name the client; may be repeated.
    #[arg(long, env = "SWITCHBOARD_TRUSTED_PROXIES", value_name = "CIDR", value_delimiter = ',')]
    trusted_proxies: Vec<String>,
    /// Requests per minute and API key, 0 for no limit [default: 10000].
    #[arg(long, env = "SWITCHBOARD_RATE_LIMIT_PER_KEY_PER_MINUTE", value_parser = trimmed::<u32>, value_name = "N")]
    rate_limit_per_key_per_minute: Option<u32>,
    /// Requests without a key per minute and address, 0 for no limit [default: 300].
    #[arg(long, env = "SWITCHBOARD_RATE_LIMIT_PER_ADDRESS_PER_MINUTE", value_parser = trimmed::<u32>, value_name = "N")]
    rate_limit_per_address_per_minute: Option<u32>,
    /// Proxied calls per minute and connected account, 0 for no limit [default: 0].
    #[arg(long, env = "SWITCHBOARD_RATE_LIMIT_PER_ACCOUNT_PER_MINUTE", value_parser = trimmed::<u32>, value_name = "N")]
    rate_limit_per_account_per_minute: Option<u32>,
    /// Query parameters that an operation does not know: refuse or warn [default: refuse].
    #[arg(long, env = "SWITCHBOARD_UNKNOWN_QUERY_PARAMETERS", value_name = "WHAT")]
    unknown_query_parameters: Option<String>,
    /// Days that audit events are kept, 0 for unlimited [default: 0].
    #[arg(long, env = "SWITCHBOARD_AUDIT_RETENTION_DAYS", value_parser = trimmed::<u32>, value_name = "DAYS")]
    audit_retention_days: Option<u32>,
    #[command(flatten)]
    keep: KeepLayer,
    /// Origin of the URLs of files [default: the public URL].
    #[arg(long, env = "SWITCHBOARD_FILES_PUBLIC_URL", value_name = "URL")]
    files_public_url: Option<String>,
    /// Folder with the bytes of files [default: files in the data folder].
    #[arg(long, env = "SWITCHBOARD_FILES_DIR", value_name = "DIR")]
    files_dir: Option<PathBuf>,
    /// MiB of one file [default: 100].
    #[arg(long, env = "SWITCHBOARD_FILES_MAX_MIB", value_parser = trimmed::<u32>, value_name = "MIB")]
    files_max_mib: Option<u32>,
    /// MiB of all files of a project, 0 for no limit [default: 10240].
    #[arg(long, env = "SWITCHBOARD_FILES_PER_PROJECT_MIB", value_parser = trimmed::<u32>, value_name = "MIB")]
    files_per_project_mib: Option<u32>,
    /// How long the URL of a file is valid, in seconds [default: 3600].
    #[arg(long, env = "SWITCHBOARD_FILES_URL_SECONDS", value_parser = trimmed::<u32>, value_name = "SECONDS")]
    files_url_seconds: Option<u32>,
    /// MiB of provider responses in memory at once [default: 256].
    #[arg(long, env = "SWITCHBOARD_PROXY_MEMORY_MIB", value_parser = trimmed::<usize>, value_name = "MIB")]
    proxy_memory_mib: Option<usize>,
    /// Connections that one address may have, 0 for no limit [default: 1024].
    #[arg(long, env = "SWITCHBOARD_MAX_CONNECTIONS_PER_ADDRESS", value_parser = trimmed::<usize>, value_name = "N")]
    max_connections_per_address: Option<usize>,
    /// Address on which /metrics is served, without a key [default: none].
    #[arg(long, env = "SWITCHBOARD_METRICS_LISTEN", value_name = "ADDR")]
    metrics_listen: Option<String>,
    /// Log filter, such as info or switchboard=debug [default: info].
    #[arg(long, env = "SWITCHBOARD_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// Form of log lines, text or json [default: text].
    #[arg(long, env = "SWITCHBOARD_LOG_FORMAT", value_name = "FORMAT")]
    log_format: Option<String>,
}

impl ServerArgs {
    pub(super) fn layer(self) -> Layer {
        let given = |list: Vec<String>| (!list.is_empty()).then_some(list);
        Layer {
            listen: self.listen,
            public_url: self.public_url,
            toolkits: (!self.toolkits.is_empty()).then_some(self.toolkits),
            allow_egress: given(self.allow_egress),
            allow_http: given(self.allow_http),
            allowed_hosts: given(self.allowed_hosts),
            extra_ca_file: self.extra_ca_file,
            link_ttl_seconds: self.link_ttl_seconds,
            max_shared_accounts_per_toolkit: self.max_shared_accounts_per_toolkit,
            keep_accounts_alive: self.keep_accounts_alive,
            trusted_proxies: given(self.trusted_proxies),
            rate_limit_per_key_per_minute: self.rate_limit_per_key_per_minute,
            rate_limit_per_address_per_minute: self.rate_limit_per_address_per_minute,
            rate_limit_per_account_per_minute: self.rate_limit_per_account_per_minute,
            unknown_query_parameters: self.unknown_query_parameters,
            audit_retention_days: self.audit_retention_days,
            keep: self.keep,
            files_public_url: self.files_public_url,
            files_dir: self.files_dir,
            files_max_mib: self.files_max_mib,
            files_per_project_mib: self.files_per_project_mib,
            files_url_seconds: self.files_url_seconds,
            proxy_memory_mib: self.proxy_memory_mib,
            max_connections_per_address: self.max_connections_per_address,
            metrics_listen: self.metrics_listen,
            log: self.log,
            log_format: self.log_format,
            ..Layer::default()
        }
    }
}

pub(super) async fn run(args: ServeArgs) -> Result<()> {
    let config = args.data.layer(args.server.layer())?.overlay(Layer::defaults()?).check()?;
    log::start(&config.log, config.log_json)?;
    let listen = config.listen;
    let listener = server::listen(listen).with_context(|| format!("setting listen: cannot listen on {listen}"))?;
    let metrics_listener = bind_metrics(&config)?;
    let app = server::open(config, Environment::default()).await?;
    serve_metrics(&app, metrics_listener);
    tracing::info!(listen = %listener.local_addr()?, public_url = %app.core.settings.public_url, toolkits = app.core.catalog.get().len(), "serving");
    let service = Api::new(&app);
    stop_on_signal(&app)?;
    server::serve(app, service, listener).await
}

/// The listener for metrics, if one is configured.
pub(super) fn bind_metrics(config: &Config) -> Result<Option<TcpListener>> {
    let Some(address) = config.metrics_listen else { return Ok(None) };
    let listener = server::listen(address);
    Ok(Some(listener.with_context(|| format!("setting metrics_listen: cannot listen on {address}"))?))
}

/// Serves metrics until the server ends.
pub(super) fn serve_metrics(app: &Arc<App>, listener: Option<TcpListener>) {
    if let Some(listener) = listener {
        tokio::spawn(server::serve_metrics(Arc::clone(app), listener));
    }
}

/// SIGTERM and Ctrl-C shut the server down gracefully. A second signal ends it at once, unless it
/// arrives immediately after the first: a terminal and a wrapper may both forward the same one.
pub(super) fn stop_on_signal(app: &Arc<App>) -> Result<()> {
    let stopping = app.core.stopping.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut first: Option<Instant> = None;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            stopping.cancel();
            match first {
                None => first = Some(Instant::now()),
                Some(first) if first.elapsed() < SAME_SIGNAL => {}
                Some(_) => {
                    tracing::error!("second signal received: exiting at once");
                    log::finish(FLUSH_TIME);
                    std::process::exit(1);
                }
            }
        }
    });
    Ok(())
}
