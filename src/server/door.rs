//! Letting connections in and serving them, within limits of number and time (R83).

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};

use super::places::{Place, Places};
use super::stream::Impatient;
use crate::client_address::{MAX_HEAD, OnlyHealth, Peer, TrustedProxies};

/// A request's head must arrive within this; idle connections end after it, too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for a connection that may only ask for health.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a client may take nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(25);
/// Headers of a request.
const MAX_HEADERS: usize = 100;
/// Before the next try when the system has no file or memory for a connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// A listener's limits and what stands behind it.
pub(super) struct Door {
    pub places: Arc<Places>,
    pub trusted: TrustedProxies,
    pub router: Router,
}

impl Door {
    /// A door of so many places.
    pub(super) fn new(
        places: usize,
        per_address: Option<NonZeroUsize>,
        trusted: TrustedProxies,
        router: Router,
    ) -> Self {
        Self { places: Places::new(places, per_address), trusted, router }
    }

    /// Accepts connections; does not end by itself.
    pub(super) async fn accept(&self, listener: &TcpListener, graceful: &GracefulShutdown) {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    let peer = Peer(address);
                    // None: closed at once.
                    if let Some(place) = self.places.admit(address.ip(), self.trusted.trusts_peer(peer)) {
                        self.attend(stream, peer, place, graceful);
                    }
                }
                Err(error) if is_exhausted(&error) => {
                    // Wait for connections to end, do not spin.
                    tracing::warn!(error = %error, "cannot accept a connection");
                    tokio::time::sleep(EXHAUSTED_PAUSE).await;
                }
                // A client that has gone already.
                Err(error) => tracing::debug!(error = %error, "a connection could not be accepted"),
            }
        }
    }

    fn attend(&self, stream: TcpStream, peer: Peer, place: Place, graceful: &GracefulShutdown) {
        set_options(&stream);
        let router = TowerToHyperService::new(self.router.clone());
        let only_health = place.is_reserve;
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            request.extensions_mut().insert(peer);
            if only_health {
                request.extensions_mut().insert(OnlyHealth);
            }
            router.call(request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(if only_health { HEALTH_TIMEOUT } else { HEAD_TIMEOUT })
            .keep_alive(!only_health)
            .max_buf_size(MAX_HEAD)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(Impatient::new(stream, WRITE_TIMEOUT)), service);
        let connection = graceful.watch(connection);
        // A panic ends this task, and with it this connection, and nothing else.
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(error = %error, "connection ended early");
            }
            drop(place);
        });
    }
}

/// The system has no file, or no memory, for one more.
fn is_exhausted(error: &io::Error) -> bool {
    let errors = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM];
    error.raw_os_error().is_some_and(|code| errors.contains(&code))
}

/// Small answers at once; and the kernel ends connections whose other end has gone without a word, also
/// those whose last bytes nobody takes after we have closed them.
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
