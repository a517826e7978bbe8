//! The operator's settings as the application sees them. `config.rs` parses and validates them.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use switchboard_catalog::PlainHttp;
use switchboard_types::ProjectId;
use switchboard_vault::Secret;

use super::rate_limits::RateLimits;
use crate::client_address::TrustedProxies;

/// Settings of the running server.
#[derive(Debug)]
pub struct Settings {
    /// Origin at which browsers and SDKs reach this server, without a trailing slash. Every URL that the server
    /// creates starts with it; request headers are never used (R24).
    pub public_url: String,
    /// Accepted values of the Host header, in lower case, with or without a port.
    pub allowed_hosts: Vec<String>,
    /// Hosts that may be called without TLS.
    pub allow_http: PlainHttp,
    /// How long a link can be opened, and how long an opened link can be finished.
    pub link_ttl: Duration,
    /// Operator-managed OAuth clients by toolkit.
    pub managed: BTreeMap<String, ManagedClient>,
    /// SHARED accounts that a session may pin per toolkit (contract default 1).
    pub max_shared_accounts_per_toolkit: usize,
    /// Whether this server refreshes tokens before they expire, used or not.
    pub keep_accounts_alive: bool,
    /// Days that audit events are kept; none means forever.
    pub audit_retention_days: Option<NonZeroU32>,
    /// How long finished rows are kept.
    pub retention: Retention,
    /// Memory for responses to proxied calls, in bytes.
    pub proxy_memory: usize,
    /// Maximum number of connections per address; none means no limit.
    pub max_connections_per_address: Option<NonZeroUsize>,
    /// Requests per minute.
    pub rate_limits: RateLimits,
    /// Proxies whose forwarding headers are trusted.
    pub trusted_proxies: TrustedProxies,
    /// How unknown query parameters are handled.
    pub unknown_query_parameters: UnknownParameters,
    /// Files.
    pub files: FileSettings,
}

/// Settings of files.
#[derive(Clone, Debug)]
pub struct FileSettings {
    /// Origin of their URLs, without a trailing slash.
    pub public_url: String,
    /// Whether SDKs fetch files from there: they refuse this machine and private networks.
    pub is_reachable_by_sdks: bool,
    /// Maximum size of one file in bytes.
    pub max_size: u64,
    /// Maximum size of all files of a project in bytes.
    pub quota: i64,
    /// How long a URL is valid.
    pub url_lifetime: Duration,
}

/// How unknown query parameters are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownParameters {
    /// The request is rejected.
    #[default]
    Refuse,
    /// The response carries a warning. Parameters that look like a filter by owner are still rejected.
    Warn,
}

impl Settings {
    /// Whether browsers reach this server over https. Plain http is allowed on loopback only (`config.rs`).
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The operator's client for a toolkit, when this project may use it (R17).
    pub fn managed_client(&self, toolkit: &str, project: &ProjectId) -> Option<&ManagedClient> {
        self.managed.get(toolkit).filter(|client| client.admits(project))
    }
}

/// An OAuth client that the operator registered at a provider.
#[derive(Debug, Default)]
pub struct ManagedClient {
    /// Client identifier.
    pub client_id: String,
    /// Client secret; none for a public client.
    pub client_secret: Option<Secret>,
    /// Projects that may use it; `*` means all projects.
    pub projects: Vec<String>,
    /// Origins that its secret may be sent to, for a toolkit whose host is a connection field.
    pub hosts: Vec<String>,
    /// The scopes that it is registered for, of those that depend on tools; none means any.
    pub scopes: Option<Vec<String>>,
    /// Its only redirect URI ends with the toolkit's slug. Otherwise each auth config has its own.
    pub one_redirect_uri: bool,
}

impl ManagedClient {
    fn admits(&self, project: &ProjectId) -> bool {
        self.projects.iter().any(|entry| entry == "*" || *project == *entry)
    }
}

/// How long finished rows are kept; none means forever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ended links, with their attempts and confirmations.
    pub ended_links: Option<Duration>,
    /// Accounts whose link ended without a connection.
    pub unconnected_accounts: Option<Duration>,
    /// Rows of deleted accounts, auth configs and sessions.
    pub deleted_rows: Option<Duration>,
    /// Receipts of finished revocations.
    pub revocation_receipts: Option<Duration>,
    /// The log of calls.
    pub tool_calls: Option<Duration>,
    /// Files that belong to no session: uploads and results of tools.
    pub files: Option<Duration>,
    /// Versions of tools that no server has and no session uses; at least a day.
    pub tool_versions: Option<Duration>,
    /// Number of earlier policy versions kept per session.
    pub session_versions: i64,
}
