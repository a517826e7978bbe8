//! Look-up, check and connect, in that order, for every new connection.
//!
//! The resolver checks the addresses and passes exactly those to the connector, so that no second look-up can
//! return others. Host header and TLS server name remain the name.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::Service;
use url::Url;

use crate::allow::{Guard, Refusal};
use crate::error::EgressError;
use crate::lookup::LookupPool;

/// Why no connection was made. Contains neither the name nor an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DialFailure {
    #[error("address denied by the egress policy")]
    Denied,
    #[error("https is required")]
    PlainHttp,
    #[error("host name could not be resolved")]
    Dns,
    #[error("connection could not be made")]
    Connect,
    #[error("tls handshake failed")]
    Tls,
    #[error("connecting timed out")]
    TimedOut,
}

impl From<Refusal> for DialFailure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Address => Self::Denied,
            Refusal::PlainHttp => Self::PlainHttp,
        }
    }
}

impl From<DialFailure> for EgressError {
    fn from(failure: DialFailure) -> Self {
        match failure {
            DialFailure::Denied => Refusal::Address.into(),
            DialFailure::PlainHttp => Refusal::PlainHttp.into(),
            DialFailure::Dns => Self::Dns,
            DialFailure::Connect => Self::Connect,
            DialFailure::Tls => Self::Tls,
            DialFailure::TimedOut => Self::Timeout { sent: false },
        }
    }
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, DialFailure>> + Send>>;

/// Resolves names; tests replace DNS with it.
pub(crate) type Lookup =
    Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync>;

/// The system resolver.
pub(crate) fn system_lookup() -> Lookup {
    let resolver = Arc::new(LookupPool::system());
    Arc::new(move |name| {
        let resolver = Arc::clone(&resolver);
        Box::pin(async move { resolver.look_up(name).await })
    })
}

/// Resolves a name once and returns its addresses only if all of them are allowed.
#[derive(Clone)]
struct CheckedResolver {
    guard: Arc<Guard>,
    lookup: Lookup,
    /// Whether the connection uses plain http, which requires an exception.
    plain: bool,
}

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = DialFailure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { guard, lookup, plain } = self.clone();
        Box::pin(async move {
            let found = lookup(name.as_str().to_owned()).await.map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => DialFailure::TimedOut,
                _ => DialFailure::Dns,
            })?;
            if found.is_empty() {
                return Err(DialFailure::Dns);
            }
            guard.check_resolved(name.as_str(), found.iter().map(SocketAddr::ip), plain)?;
            Ok(found.into_iter())
        })
    }
}

/// TCP connections to checked addresses.
#[derive(Clone)]
struct Dialer {
    guard: Arc<Guard>,
    for_tls: HttpConnector<CheckedResolver>,
    for_plain: HttpConnector<CheckedResolver>,
}

impl Dialer {
    fn new(guard: &Arc<Guard>, lookup: &Lookup, timeout: Duration) -> Self {
        let tcp = |plain| {
            let resolver = CheckedResolver { guard: Arc::clone(guard), lookup: Arc::clone(lookup), plain };
            let mut connector = HttpConnector::new_with_resolver(resolver);
            connector.enforce_http(false);
            connector.set_nodelay(true);
            // Divided among a name's addresses, so that an unreachable first one leaves time for the next.
            connector.set_connect_timeout(Some(timeout));
            connector
        };
        Self { guard: Arc::clone(guard), for_tls: tcp(false), for_plain: tcp(true) }
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = DialFailure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let plain = uri.scheme_str() != Some("https");
        // IP literals are not looked up, so that the resolver never checks them.
        let is_forbidden =
            plain && Url::parse(&uri.to_string()).map_or(true, |url| self.guard.is_forbidden_plain_http(&url));
        if let Some(Err(refusal)) = literal(&uri).map(|ip| self.guard.check_address(ip, is_forbidden)) {
            return Box::pin(std::future::ready(Err(refusal.into())));
        }
        let tcp = if plain { &mut self.for_plain } else { &mut self.for_tls };
        let connecting = tcp.call(uri);
        Box::pin(async move { connecting.await.map_err(|error| failure_in(&error).unwrap_or(DialFailure::Connect)) })
    }
}

/// The IP literal in a URI.
fn literal(uri: &Uri) -> Option<IpAddr> {
    let host = uri.host()?;
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    bare.parse().ok()
}

/// Finds our own error in the chain of library errors.
pub(crate) fn failure_in(error: &(dyn std::error::Error + 'static)) -> Option<DialFailure> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(failure) = current.downcast_ref() {
            return Some(*failure);
        }
        next = current.source();
    }
    None
}

/// The client's connector: TCP, then TLS for https, within one timeout. With a redirect for tests: one
/// address for every host, without TLS.
#[derive(Clone)]
pub(crate) struct Connector {
    inner: HttpsConnector<Dialer>,
    timeout: Duration,
    redirect_all_to: Option<SocketAddr>,
}

impl Connector {
    pub(crate) fn new(tls: ClientConfig, guard: &Arc<Guard>, lookup: &Lookup, timeout: Duration) -> Self {
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            // Each connection uses the scheme of its request; plain http requires an exception.
            .https_or_http()
            .enable_http1()
            .wrap_connector(Dialer::new(guard, lookup, timeout));
        Self { inner, timeout, redirect_all_to: None }
    }

    /// Redirects every connection to this address, see [`crate::EgressConfig::redirect_all_to`].
    pub(crate) fn redirect_all_to(self, redirect_all_to: Option<SocketAddr>) -> Self {
        Self { redirect_all_to, ..self }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = DialFailure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), DialFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let timeout = self.timeout;
        if let Some(address) = self.redirect_all_to {
            return Box::pin(async move {
                match tokio::time::timeout(timeout, TcpStream::connect(address)).await {
                    Ok(Ok(stream)) => Ok(MaybeHttpsStream::Http(TokioIo::new(stream))),
                    Ok(Err(_)) => Err(DialFailure::Connect),
                    Err(_) => Err(DialFailure::TimedOut),
                }
            });
        }
        let connecting = self.inner.call(uri);
        Box::pin(async move {
            match tokio::time::timeout(timeout, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                // Any error that is not from the dialer comes from the TLS layer above it.
                Ok(Err(error)) => Err(failure_in(error.as_ref()).unwrap_or(DialFailure::Tls)),
                Err(_) => Err(DialFailure::TimedOut),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The connector repeats the check that `send` makes on the URL.
    #[tokio::test]
    async fn the_connector_checks_ip_literals_again() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let dial = |guard: Guard, uri: String| {
            let tls = crate::tls::client_config(&[]).unwrap();
            let timeout = Duration::from_secs(5);
            let mut connector = Connector::new(tls, &Arc::new(guard), &system_lookup(), timeout);
            async move { connector.call(uri.parse().unwrap()).await.map(drop) }
        };
        for host in ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
            for scheme in ["http", "https"] {
                let nothing_allowed = Guard::new(&[], false).unwrap();
                let refused = dial(nothing_allowed, format!("{scheme}://{host}:{port}/")).await;
                assert_eq!(refused, Err(DialFailure::Denied), "{scheme}://{host}");
            }
        }
        let loopback_allowed = Guard::new(&[], true).unwrap();
        assert_eq!(dial(loopback_allowed, format!("http://127.0.0.1:{port}/")).await, Ok(()));
    }
}
