//! The only crate that makes outbound connections: destination policy, guard against SSRF and DNS rebinding,
//! limits.
//!
//! Every call names a [`Destination`], the hosts that it may reach. Then the address is checked: a literal
//! before connecting, a name's whole DNS result in the resolver of each new connection. Addresses that are
//! not public ([`is_public`]) are refused unless an [`AllowRule`] matches.
//!
//! A call is exactly one exchange. Redirects are returned, not followed; proxy variables of the environment
//! are ignored; responses are not decompressed. A request is sent again only if a pooled connection was
//! closed before the request was started.

mod address;
mod allow;
mod body;
mod budget;
mod connect;
mod endpoint;
mod error;
mod limits;
mod lookup;
mod network;
mod observer;
mod outgoing;
mod policy;
mod send;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioTimer;
use switchboard_repoll::Repoll;

pub use crate::address::is_public;
pub use crate::allow::AllowRule;
pub use crate::body::Body;
pub use crate::budget::{Budget, BudgetExhausted, Reservation};
pub use crate::endpoint::is_at_or_below;
pub use crate::error::{ConfigError, EgressError};
pub use crate::limits::Limits;
pub use crate::network::{NetworkError, parse_network};
pub use crate::observer::Observer;
pub use crate::outgoing::Outgoing;
pub use crate::policy::Destination;

use crate::allow::Guard;
use crate::connect::{Connector, Lookup};
use crate::observer::Recording;
use crate::send::HttpClient;

/// How long an idle connection stays in the pool.
const POOL_IDLE: Duration = Duration::from_secs(30);
/// Maximum number of idle connections per host.
const POOL_PER_HOST: usize = 256;

/// The operator's configuration of outbound connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressConfig {
    /// Addresses and hosts that may be reached although they are not public, also without TLS.
    pub allow: Vec<AllowRule>,
    /// The same for this machine (`127.0.0.0/8` and `::1`); for development.
    pub allow_loopback: bool,
    /// Origins that may be called without TLS, such as `http://gitlab.corp:8080`. An address that is not
    /// public also needs an [`AllowRule`].
    pub plain: Vec<String>,
    /// Certificate authorities trusted in addition to the public ones, as PEM.
    pub extra_ca_pem: Vec<Vec<u8>>,
    /// Timeout of a new connection: look-up, TCP and TLS.
    pub connect_timeout: Duration,
    /// Redirects every connection to this address over plain TCP, without look-up, address check or TLS.
    /// [`Destination`] still decides which hosts may be called, and the `Host` header is that of the URL. For
    /// fake providers on this machine, with made-up credentials. No configuration may set it, since every
    /// credential would leave unprotected.
    pub redirect_all_to: Option<SocketAddr>,
}

impl Default for EgressConfig {
    /// Only public addresses over https, 10 s to connect, no redirect.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_loopback: false,
            plain: Vec::new(),
            extra_ca_pem: Vec::new(),
            connect_timeout: Duration::from_secs(10),
            redirect_all_to: None,
        }
    }
}

/// Spawns the tasks of connections.
#[derive(Clone, Copy, Debug)]
struct Repolling;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Repolling {
    fn execute(&self, connection: F) {
        tokio::spawn(Repoll::new(connection));
    }
}

/// The egress client. Clones share its connections.
#[derive(Clone)]
pub struct Egress {
    /// A connection is driven by the runtime that opened it. So each of two runtimes has connections of its own: requests
    /// of callers do not use those of background jobs, which give way to everything.
    clients: [HttpClient; 2],
    /// The runtime that uses the first one: whichever sends first.
    home: Arc<OnceLock<tokio::runtime::Id>>,
    guard: Arc<Guard>,
    observer: Option<Arc<dyn Observer>>,
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Egress").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Egress {
    /// Creates a client; connects to nothing.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the invalid allow rule or certificate.
    pub fn new(config: EgressConfig) -> Result<Self, ConfigError> {
        Self::with_lookup(config, &connect::system_lookup())
    }

    #[expect(clippy::needless_pass_by_value, reason = "a configuration is spent by what it configures")]
    fn with_lookup(config: EgressConfig, lookup: &Lookup) -> Result<Self, ConfigError> {
        let guard = Arc::new(Guard::new(&config.allow, config.allow_loopback)?.allowing_plain(&config.plain)?);
        let tls = tls::client_config(&config.extra_ca_pem)?;
        let connector =
            Connector::new(tls, &guard, lookup, config.connect_timeout).redirect_all_to(config.redirect_all_to);
        let client = |connector| {
            Client::builder(Repolling)
                .pool_timer(TokioTimer::new())
                .pool_idle_timeout(POOL_IDLE)
                .pool_max_idle_per_host(POOL_PER_HOST)
                .http1_max_buf_size(limits::HEAD_BUFFER)
                .http1_max_headers(limits::HEADER_FIELDS)
                // Hyper returns a request only while it is still queued, when the pooled connection of that queue
                // turns out to be closed; the client then uses another connection. A request taken off the queue
                // is never sent again (`tests::pool`).
                .retry_canceled_requests(true)
                .build(connector)
        };
        Ok(Self {
            clients: [client(connector.clone()), client(connector)],
            guard,
            home: Arc::default(),
            observer: None,
        })
    }

    /// The client of the calling runtime.
    fn client(&self) -> &HttpClient {
        let [first, second] = &self.clients;
        let current = tokio::runtime::Handle::current().id();
        if *self.home.get_or_init(|| current) == current { first } else { second }
    }

    /// A clone of this client whose exchanges are all shown to an observer; see [`Observer`].
    #[must_use]
    pub fn with_observer(self, observer: Option<Arc<dyn Observer>>) -> Self {
        Self { observer, ..self }
    }

    /// The request that [`Self::stream`] would send, after all checks that need no connection. `Host` and the length of a
    /// body that is not empty are added as it is sent.
    ///
    /// # Errors
    ///
    /// [`EgressError`]; nothing is sent.
    pub fn prepare(&self, to: &Destination, request: Outgoing) -> Result<Request<Bytes>, EgressError> {
        send::prepare(&self.guard, to, request)
    }

    /// Sends one request and reads the whole response. Any status is a response, including 3xx.
    ///
    /// The request's URI is absolute; [`Outgoing`] says what is changed. Hop-by-hop headers of the response are
    /// removed.
    ///
    /// # Errors
    ///
    /// [`EgressError`]; check [`EgressError::may_have_arrived`] before a retry.
    pub async fn send(
        &self,
        to: &Destination,
        request: Request<Bytes>,
        limits: &Limits,
    ) -> Result<Response<Bytes>, EgressError> {
        let (parts, body) = self.stream(to, request.try_into()?, limits, None).await?.into_parts();
        Ok(Response::from_parts(parts, body.collect().await?.0))
    }

    /// The same for a response that may be large: the caller reads its body, within the same limits. With a
    /// reservation, the body reserves memory before it reads on.
    ///
    /// # Errors
    ///
    /// As for [`Self::send`].
    pub async fn stream(
        &self,
        to: &Destination,
        request: Outgoing,
        limits: &Limits,
        reservation: Option<Reservation>,
    ) -> Result<Response<Body>, EgressError> {
        let Some(observer) = &self.observer else {
            return send::send(self.client(), &self.guard, to, request, limits, reservation).await;
        };
        let mut recording = Recording::new(Arc::clone(observer), &request);
        match send::send(self.client(), &self.guard, to, request, limits, reservation).await {
            Ok(mut response) => {
                recording.on_head(&response);
                response.body_mut().record(recording);
                Ok(response)
            }
            Err(error) => {
                recording.show(&Err(error.clone()));
                Err(error)
            }
        }
    }
}
