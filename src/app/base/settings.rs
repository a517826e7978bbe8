//! The operator's settings as the application sees them; `config.rs` reads and checks them.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use switchboard_catalog::PlainHttp;
use switchboard_vault::Secret;

use super::rate_limits::RateLimits;
use crate::client_address::TrustedProxies;
use crate::time::Millis;

/// Settings of the running server.
#[derive(Debug)]
pub struct Settings {
    /// Origin under which browsers and SDKs reach this server, without a trailing slash. Every URL
    /// the server makes starts with it; request headers never decide (R24).
    pub public_url: String,
    /// Names that the Host header may carry, in lower case, with or without a port.
    pub allowed_hosts: Vec<String>,
    /// Hosts that may be called without TLS.
    pub allow_http: PlainHttp,
    /// How long a link may stay unopened, and an opened one unfinished.
    pub link_ttl: Duration,
    /// Operator-managed OAuth clients by toolkit.
    pub managed: BTreeMap<String, ManagedClient>,
    /// SHARED accounts that a session may pin per toolkit (contract default 1).
    pub max_shared_accounts_per_toolkit: usize,
    /// Whether this server refreshes tokens before they end, used or not.
    pub keep_accounts_alive: bool,
    /// Days that audit events are kept; none: for ever.
    pub audit_retention_days: Option<NonZeroU32>,
    /// For how long what is over is kept.
    pub retention: Retention,
    /// Bytes of answers to proxied calls that may be held at once.
    pub proxy_memory: usize,
    /// Connections that one address may have; none where there is no limit.
    pub max_connections_per_address: Option<NonZeroUsize>,
    /// Requests per minute.
    pub rate_limits: RateLimits,
    /// Proxies that say who the client is.
    pub trusted_proxies: TrustedProxies,
    /// What becomes of query parameters that an operation does not know.
    pub unknown_query_parameters: UnknownParameters,
}

/// What becomes of query parameters that an operation does not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownParameters {
    /// The request is refused.
    #[default]
    Refuse,
    /// The answer has a warning; what looks like a filter by owner is refused all the same.
    Warn,
}

impl Settings {
    /// Whether browsers reach this server by https; else by http on loopback (`config.rs`).
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// The operator's client for a toolkit, when this project may use it (R17).
    pub fn managed_client(&self, toolkit: &str, project: &str) -> Option<&ManagedClient> {
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
    /// Projects that may use it; `*` means all of this installation's.
    pub projects: Vec<String>,
    /// Origins that its secret may be sent to, for a toolkit whose host is a connection field.
    pub hosts: Vec<String>,
    /// Its one redirect URI ends with the toolkit's slug; otherwise each auth config has its own.
    pub one_redirect_uri: bool,
}

impl ManagedClient {
    fn admits(&self, project: &str) -> bool {
        self.projects.iter().any(|entry| entry == "*" || entry == project)
    }
}

/// For how long what is over is kept, in milliseconds; none: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Ended links, with their attempts and confirmations.
    pub ended_links: Option<Millis>,
    /// Accounts whose link ended without a connection.
    pub unconnected_accounts: Option<Millis>,
    /// Rows of deleted accounts, auth configs and sessions.
    pub deleted_rows: Option<Millis>,
    /// Receipts of revocations that are over.
    pub revocation_receipts: Option<Millis>,
    /// Earlier policies of one session, by number.
    pub session_versions: i64,
}
