//! Tests of the whole client against real sockets on 127.0.0.1.

mod addresses;
mod endpoints;
mod names;
mod plain;
mod pool;
mod redirect;
mod requests;
mod server;
mod stream;
mod tls;
mod wire;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};

use crate::connect::Lookup;
use crate::{Destination, Egress, EgressConfig, EgressError, Limits};

/// A client that may reach this machine.
fn local_egress() -> Egress {
    Egress::new(EgressConfig { allow_loopback: true, ..EgressConfig::default() }).unwrap()
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

/// Sends with the URL's own host as destination.
async fn send(egress: &Egress, request: Request<Bytes>, limits: &Limits) -> Result<Response<Bytes>, EgressError> {
    let authority = request.uri().authority().unwrap().as_str().to_owned();
    egress.send(&Destination::new([authority]).unwrap(), request, limits).await
}

/// Replaces DNS: the look-ups get the results in order; the last one repeats.
fn answers(script: &[&[&str]]) -> (Lookup, Arc<Mutex<Vec<String>>>) {
    let script: Vec<Vec<SocketAddr>> = script
        .iter()
        .map(|answer| answer.iter().map(|ip| SocketAddr::new(ip.parse::<IpAddr>().unwrap(), 0)).collect())
        .collect();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, count) = (Arc::clone(&asked), AtomicUsize::new(0));
    let lookup: Lookup = Arc::new(move |name| {
        log.lock().unwrap().push(name);
        let turn = count.fetch_add(1, Ordering::SeqCst).min(script.len().saturating_sub(1));
        let answer = script.get(turn).cloned().ok_or_else(|| io::Error::other("no such name"));
        Box::pin(std::future::ready(answer))
    });
    (lookup, asked)
}
