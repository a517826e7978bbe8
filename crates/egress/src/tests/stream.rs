//! Responses whose body is read as it arrives: the limits of the call hold for each chunk.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};

use super::server::{Reply, Server};
use super::{get, local_egress};
use crate::{Body, Budget, Destination, Egress, EgressError, Limits, Observer};

const MIB: usize = 1 << 20;

async fn stream(egress: &Egress, url: &str, limits: &Limits) -> Result<Body, EgressError> {
    let budget = Budget::new(16 * MIB);
    stream_within(egress, url, limits, &budget).await
}

async fn stream_within(egress: &Egress, url: &str, limits: &Limits, budget: &Budget) -> Result<Body, EgressError> {
    let request = get(url);
    let destination = Destination::new([request.uri().authority().unwrap().as_str()]).unwrap();
    let reservation = budget.reserve(Duration::from_millis(50)).await.unwrap();
    Ok(egress.stream(&destination, request.try_into()?, limits, Some(reservation)).await?.into_body())
}

/// The chunks until the end or an error.
async fn chunks(body: &mut Body) -> (Vec<u8>, Option<EgressError>) {
    let mut read = Vec::new();
    loop {
        match body.chunk().await {
            Ok(Some(chunk)) => read.extend_from_slice(&chunk),
            Ok(None) => return (read, None),
            Err(error) => return (read, Some(error)),
        }
    }
}

fn head(fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes()
}

#[tokio::test]
async fn a_chunk_is_there_before_the_body_has_ended() {
    let begun = [head("content-length: 100\r\n"), b"begun".to_vec()].concat();
    let server = Server::start(vec![Reply::Hang(begun)]).await;
    let limits = Limits { total: Duration::from_secs(2), ..Limits::default() };
    let started = Instant::now();
    let mut body = stream(&local_egress(), &server.url("/"), &limits).await.unwrap();
    assert_eq!(body.length(), Some(100));
    assert_eq!(body.chunk().await.unwrap().as_deref(), Some(&b"begun"[..]));
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    // The time of the whole exchange is over, not that of a chunk.
    assert_eq!(body.chunk().await, Err(EgressError::Timeout { sent: true }));
    assert!((1..4).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_moment_ends_what_is_under_way_and_nothing_is_sent_after_it() {
    let trickle = Reply::Trickle(head("content-length: 1000\r\n"), b"x".to_vec());
    let server = Server::start(vec![trickle]).await;
    let until = Instant::now() + Duration::from_millis(300);
    let limits = Limits { until: Some(until), ..Limits::default() };
    let mut body = stream(&local_egress(), &server.url("/"), &limits).await.unwrap();
    assert_eq!(chunks(&mut body).await.1, Some(EgressError::Timeout { sent: true }));
    assert!(until.elapsed() < Duration::from_secs(5), "{:?}", until.elapsed());
    let late = stream(&local_egress(), &server.url("/"), &limits).await;
    assert_eq!(late.unwrap_err(), EgressError::Timeout { sent: false });
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_body_over_the_limit_breaks_off_at_the_limit() {
    let limits = Limits { max_body: 1000, ..Limits::default() };
    let announced = Server::start(vec![Reply::Hang(head("content-length: 1001\r\n"))]).await;
    let refused = stream(&local_egress(), &announced.url("/"), &limits).await;
    assert_eq!(refused.unwrap_err(), EgressError::TooLarge { limit: 1000 });
    let endless = Server::start(vec![Reply::Endless(head(""), vec![b'x'; 100])]).await;
    let mut body = stream(&local_egress(), &endless.url("/"), &limits).await.unwrap();
    assert_eq!(body.length(), None);
    let (read, error) = chunks(&mut body).await;
    assert!(read.len() <= 1000, "{}", read.len());
    assert_eq!(error, Some(EgressError::TooLarge { limit: 1000 }));
}

#[tokio::test]
async fn the_reservation_grows_with_what_is_read_and_is_handed_over() {
    let budget = Budget::new(16 * MIB);
    let whole = [head("connection: close\r\n"), vec![b'x'; MIB]].concat();
    let server = Server::start(vec![Reply::Close(whole)]).await;
    let mut body = stream_within(&local_egress(), &server.url("/"), &Limits::default(), &budget).await.unwrap();
    assert!(budget.available() > 15 * MIB, "nothing was read yet");
    let (read, error) = chunks(&mut body).await;
    assert_eq!((read.len(), error), (MIB, None));
    assert!(budget.available() <= 15 * MIB, "{}", budget.available());
    let reservation = body.into_reservation();
    assert!(budget.available() <= 15 * MIB);
    drop(reservation);
    assert_eq!(budget.available(), 16 * MIB);
    // Without memory, reading stops.
    let mut held = budget.reserve(Duration::ZERO).await.unwrap();
    held.grow(12 * MIB, 12 * MIB).await.unwrap();
    let mut body = stream_within(&local_egress(), &server.url("/"), &Limits::default(), &budget).await.unwrap();
    assert_eq!(chunks(&mut body).await.1, Some(EgressError::BudgetExhausted));
}

#[derive(Default)]
struct Log(Mutex<Vec<Result<Bytes, EgressError>>>);

impl Observer for Log {
    fn on_exchange(&self, _: &Request<Bytes>, outcome: &Result<Response<Bytes>, EgressError>) {
        let outcome = outcome.as_ref().map(|response| response.body().clone()).map_err(Clone::clone);
        self.0.lock().unwrap().push(outcome);
    }
}

#[tokio::test]
async fn an_observer_sees_each_exchange_once_and_whole() {
    let log = Arc::new(Log::default());
    let observer: Arc<dyn Observer> = Arc::<Log>::clone(&log);
    let egress = local_egress().with_observer(Some(observer));
    let fixed = Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok".to_vec());
    let chunked = b"transfer-encoding: chunked\r\nconnection: close\r\n";
    let chunked = [head(std::str::from_utf8(chunked).unwrap()), b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n".to_vec()].concat();
    let empty = Reply::Close(head("content-length: 0\r\nconnection: close\r\n"));
    let broken = Reply::Close([head("content-length: 100\r\n"), b"short".to_vec()].concat());
    for reply in [fixed, Reply::Close(chunked), empty, broken, Reply::Close(Vec::new())] {
        let server = Server::start(vec![reply]).await;
        if let Ok(mut body) = stream(&egress, &server.url("/"), &Limits::default()).await {
            chunks(&mut body).await;
        }
    }
    let seen = log.0.lock().unwrap();
    let interrupted = Err(EgressError::Interrupted);
    assert_eq!(*seen, [Ok("ok".into()), Ok("ab".into()), Ok(Bytes::new()), interrupted.clone(), interrupted],);
}
