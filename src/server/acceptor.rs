//! Accepts and serves connections, within limits of number and time (R83).

use std::convert::Infallible;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use socket2::{SockRef, TcpKeepalive};
use switchboard_repoll::Repoll;
use tokio::net::{TcpListener, TcpStream};
use tower::Service;

use super::connection_limits::{ConnectionLimits, Slot};
use super::stream::WriteTimeout;
use crate::client_address::{MAX_HEAD, OnlyHealth, Peer, TrustedProxies};

/// Timeout for a request's head, and for idle connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a connection that may only use health checks.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may read nothing of its response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(25);
/// Maximum headers of a request.
const MAX_HEADERS: usize = 100;
/// Pause after an accept error for lack of files or memory.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// The connection limits of a listener, and what responds to its requests.
pub(super) struct Acceptor<S> {
    pub slots: Arc<ConnectionLimits>,
    pub trusted: TrustedProxies,
    pub service: S,
}

/// What responds to the requests of a listener. It is cloned for each connection and request, and must always be
/// ready: `poll_ready` is not called.
pub trait HttpService:
    Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> HttpService for S where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S: HttpService> Acceptor<S> {
    /// An acceptor for so many connections.
    pub(super) fn new(slots: usize, per_address: Option<NonZeroUsize>, trusted: TrustedProxies, service: S) -> Self {
        Self { slots: ConnectionLimits::new(slots, per_address), trusted, service }
    }

    /// Accepts connections; never returns.
    pub(super) async fn accept(&self, listener: &TcpListener, graceful: &GracefulShutdown) {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    let peer = Peer(address);
                    // None: the connection is closed at once.
                    if let Some(slot) = self.slots.admit(address.ip(), self.trusted.trusts_peer(peer)) {
                        self.serve_connection(stream, peer, slot, graceful);
                    }
                }
                Err(error) if is_exhausted(&error) => {
                    // Wait for connections to end instead of spinning.
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                // The client has already disconnected.
                Err(error) => tracing::debug!(error = %error, "a connection could not be accepted"),
            }
        }
    }

    fn serve_connection(&self, stream: TcpStream, peer: Peer, slot: Slot, graceful: &GracefulShutdown) {
        set_options(&stream);
        let responder = self.service.clone();
        let only_health = slot.is_reserve;
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            if only_health {
                request.extensions_mut().insert(OnlyHealth);
            }
            responder.clone().call(request.map(Body::new))
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(if only_health { HEALTH_TIMEOUT } else { HEAD_TIMEOUT })
            .keep_alive(!only_health)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(WriteTimeout::new(stream, WRITE_TIMEOUT)), service);
        let connection = Repoll::new(graceful.watch(connection));
        // A panic ends only this task and its connection.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection ended early");
            }
            drop(slot);
        });
    }
}

/// Whether the system has no file or memory for another connection.
fn is_exhausted(error: &io::Error) -> bool {
    let errors = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| errors.contains(&code))
}

/// Sends small responses at once. The kernel ends connections whose peer has vanished, including closed
/// ones whose last bytes are never acknowledged.
fn set_options(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(Duration::from_mins(1)).with_interval(Duration::from_secs(15));
    let set = stream.set_nodelay(true).and_then(|()| socket.set_tcp_keepalive(&keepalive));
    #[cfg(target_os = "linux")]
    let set = set.and_then(|()| socket.set_tcp_user_timeout(Some(WRITE_TIMEOUT)));
    if let Err(error) = set {
        tracing::debug!(error = %error, "a connection's options could not be set");
    }
}
