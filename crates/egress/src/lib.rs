//! The only outbound connections: destination policy, SSRF and rebinding guard, limits.
//!
//! Every call names a [`Destination`], the hosts it may go to. Then the address is checked: a
//! literal before anything is connected, a name's whole DNS answer in the resolver of each new
//! connection. What is not public ([`is_public`]) is refused unless an [`AllowRule`] names it.
//!
//! Whoever calls gets exactly one exchange: redirects are returned and not followed, proxies of
//! the environment are not read, answers are not decompressed, and a request is sent again only if
//! a pooled connection turned out closed before the request was begun.

mod address;
mod allow;
mod connect;
mod endpoint;
mod error;
mod limits;
mod lookup;
mod network;
mod policy;
mod room;
mod send;
#[cfg(test)]
mod tests;
mod tls;
mod watch;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use crate::address::is_public;
pub use crate::allow::AllowRule;
pub use crate::endpoint::is_at_or_below;
pub use crate::error::{ConfigError, EgressError};
pub use crate::limits::Limits;
pub use crate::network::{NetworkError, parse_network};
pub use crate::policy::Destination;
pub use crate::room::{Budget, NoRoom, Room};
pub use crate::watch::Watch;

use crate::allow::Guard;
use crate::connect::{Connector, Lookup};
use crate::send::HttpClient;

/// How long an idle connection is kept for the next request to the same host.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// How many idle connections are kept for one host.
const POOL_PER_HOST: usize = 256;

/// What the operator configures about outbound connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressConfig {
    /// Addresses and hosts that may be reached although they are not public, and without TLS.
    pub allow: Vec<AllowRule>,
    /// The same for this machine itself (`127.0.0.0/8` and `::1`); for development.
    pub allow_loopback: bool,
    /// Origins that may be called without TLS, such as `http://gitlab.corp:8080`. An address that is not public
    /// needs an [`AllowRule`], too.
    pub plain: Vec<String>,
    /// Certificate authorities trusted beside the public ones: PEM texts.
    pub extra_ca_pem: Vec<Vec<u8>>,
    /// Time for a new connection: look-up, TCP and TLS.
    pub connect_timeout: Duration,
    /// Where every connection goes in the place of its host: one address, in plain TCP, without a
    /// look-up, an address check or TLS, whatever the URL says. [`Destination`] still decides which
    /// hosts may be asked, and the `Host` header names the URL's. For a provider that is played on
    /// this machine, with made-up credentials alone; no configuration may set it, since every
    /// credential would leave unprotected.
    pub played_at: Option<SocketAddr>,
}

impl Default for EgressConfig {
    /// Nothing beyond public addresses over https; 10 s to connect; nothing is played.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_loopback: false,
            plain: Vec::new(),
            extra_ca_pem: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            played_at: None,
        }
    }
}

/// The way out. Clones share one pool of connections.
#[derive(Clone)]
pub struct Egress {
    client: HttpClient,
    guard: Arc<Guard>,
    watch: Option<Arc<dyn Watch>>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Egress {
    /// Prepares a pool; connects to nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the allow rule or the certificate that cannot be used.
    pub fn new(config: EgressConfig) -> Result<Self, ConfigError> {
        Self::with_lookup(config, &connect::system_lookup())
    }

    #[expect(clippy::needless_pass_by_value, reason = "a configuration is spent by what it configures")]
    fn with_lookup(config: EgressConfig, lookup: &Lookup) -> Result<Self, ConfigError> {
        let guard = Arc::new(Guard::new(&config.allow, config.allow_loopback)?.allowing_plain(&config.plain)?);
        let tls = tls::client_config(&config.extra_ca_pem)?;
        let connector = Connector::new(tls, &guard, lookup, config.connect_timeout).played_at(config.played_at);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_PER_HOST)
            .http1_max_buf_size(limits::HEAD_BUFFER)
            .http1_max_headers(limits::HEADER_FIELDS)
            // Hyper hands a request back only while it is still queued, when the pooled connection
            // it was queued on turns out closed; the client then takes another connection. Once
            // taken off the queue to be written it is never sent again (`tests::pool`).
            .retry_canceled_requests(true)
            .build(connector);
        Ok(Self { client, guard, watch: None })
    }

    /// The same way out, with somebody who is shown every exchange; see [`Watch`].
    #[must_use]
    pub fn watched_by(self, watch: Option<Arc<dyn Watch>>) -> Self {
        Self { watch, ..self }
    }

    /// Sends one request and reads its whole answer. Any status is an answer, 3xx included.
    ///
    /// The request's URI is absolute. Hop-by-hop fields, `host`, `content-length`, `expect` and
    /// `referer` are dropped from its headers and `accept-encoding` is set to `identity`; methods
    /// are GET, HEAD, POST, PUT, PATCH and DELETE. The answer comes without hop-by-hop fields.
    ///
    /// # Errors
    ///
    /// [`EgressError`]; ask [`EgressError::may_have_arrived`] before trying again.
    pub async fn send(
        &self,
        to: &Destination,
        request: Request<Bytes>,
        limits: &Limits,
    ) -> Result<Response<Bytes>, EgressError> {
        self.send_in(to, request, limits, None).await
    }

    /// The same, for an answer that may be large: it takes room before it is read on. The room is as
    /// large as the answer afterwards, and is to be kept for as long as the answer is.
    ///
    /// # Errors
    ///
    /// Also [`EgressError::NoRoom`], when the answer could not be held in time.
    pub async fn send_within(
        &self,
        to: &Destination,
        request: Request<Bytes>,
        limits: &Limits,
        room: &mut Room,
    ) -> Result<Response<Bytes>, EgressError> {
        self.send_in(to, request, limits, Some(room)).await
    }

    async fn send_in(
        &self,
        to: &Destination,
        request: Request<Bytes>,
        limits: &Limits,
        room: Option<&mut Room>,
    ) -> Result<Response<Bytes>, EgressError> {
        let Some(watch) = &self.watch else {
            return send::send(&self.client, &self.guard, to, request, limits, room).await;
        };
        let shown = watch::copy_of(&request);
        let outcome = send::send(&self.client, &self.guard, to, request, limits, room).await;
        watch.seen(&shown, &outcome);
        outcome
    }
}
