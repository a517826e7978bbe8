//! The load generator: keep-alive HTTP/1.1 over raw TCP, with prepared requests and minimal parsing.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::process::Process;
use crate::stats::{float, micros, percentile};

/// Timeout of one response; after it the request counts as an error.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// One keep-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// A response, valid until the next request on its connection.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Status code.
    pub status: u16,
    /// Body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(16 * 1_024) })
    }

    /// Wraps an existing stream.
    pub fn over(stream: TcpStream) -> Self {
        Self { stream, received: Vec::with_capacity(16 * 1_024) }
    }

    /// Sends a whole request.
    pub async fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request).await?)
    }

    /// Reads a whole response and returns only its status.
    pub async fn skip_answer(&mut self) -> Result<u16> {
        self.received.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
        };
        let mut left = (head.length + head.body).saturating_sub(self.received.len());
        let mut piece = vec![0; 64 * 1_024];
        while left > 0 {
            let length = self.stream.read(&mut piece).await?;
            if length == 0 {
                bail!("the server closed the connection in the middle of an answer");
            }
            left = left.saturating_sub(length);
        }
        Ok(head.status)
    }

    /// Sends a whole request and reads its response.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.received.clear();
        let head = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(head) = Head::parse(&self.received)? {
                break head;
            }
        };
        while self.received.len() < head.length + head.body {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                bail!("the server closed the connection in the middle of an answer");
            }
        }
        let body = self.received.get(head.length..head.length + head.body).unwrap_or_default();
        Ok(Answer { status: head.status, body })
    }
}

/// The parts of a response head that determine its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Length of the head in bytes.
    length: usize,
    /// Length of the body in bytes.
    body: usize,
}

impl Head {
    /// `None` until the head is complete (RFC 9112 section 2.1).
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&bytes[..end]).context("the answer's head is not text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
        let mut body = 0;
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                body = value.trim().parse().context("the answer's content-length is not a number")?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                bail!("the answer has no content-length");
            }
        }
        Ok(Some(Self { status: status.context("the answer has no status")?, length: end + 4, body }))
    }
}

/// A request as bytes. A JSON body gets its length and type headers.
pub fn request(method: &str, path: &str, host: SocketAddr, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n");
    // Writing to a string cannot fail.
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    if !body.is_empty() {
        let _ = write!(text, "content-length: {}\r\n", body.len());
    }
    text.push_str("\r\n");
    text.push_str(body);
    text.into_bytes()
}

/// A server under load.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// Name in tables.
    pub name: String,
    /// The process whose CPU time is measured.
    pub process: &'a Process,
    /// Requests, sent in rotation.
    pub requests: Arc<Vec<Vec<u8>>>,
}

/// Results of one measurement.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Responses with status 2xx per second.
    pub per_second: f64,
    /// Median latency in microseconds.
    pub p50_us: f64,
    /// 99th percentile of the latency in microseconds.
    pub p99_us: f64,
    /// User and system time of the server per response, in microseconds.
    pub cpu_us: f64,
    /// Other statuses, broken connections and missing responses.
    pub errors: usize,
}

impl Target<'_> {
    /// Keeps `connections` requests in flight for `duration`. Requests still in flight at the end are not
    /// counted.
    pub async fn load(&self, connections: usize, duration: Duration) -> Result<Sample> {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            opened.push(Connection::open(self.process.address()).await?);
        }
        let before = self.process.cpu()?;
        let started = Instant::now();
        let deadline = started + duration;
        let mut clients = JoinSet::new();
        for (index, connection) in opened.into_iter().enumerate() {
            // Start at different requests, so that connections are not synchronised.
            let first = index * self.requests.len() / connections;
            clients.spawn(client(connection, Arc::clone(&self.requests), first, deadline));
        }
        tokio::time::sleep_until(deadline.into()).await;
        let used = self.process.cpu()?.saturating_sub(before);
        let elapsed = started.elapsed();
        let mut latencies = Vec::new();
        let mut errors = 0;
        while let Some(done) = clients.join_next().await {
            let (own, failed) = done?;
            latencies.extend(own);
            errors += failed;
        }
        latencies.sort_unstable();
        if latencies.is_empty() {
            bail!("{} gave no answer of status 2xx in {duration:?} at {connections} connections", self.name);
        }
        let answers = float(latencies.len());
        Ok(Sample {
            per_second: answers / elapsed.as_secs_f64(),
            p50_us: micros(percentile(&latencies, 50)),
            p99_us: micros(percentile(&latencies, 99)),
            cpu_us: micros(used) / answers,
            errors,
        })
    }
}

/// Sends the requests of one connection until the deadline. Returns the latencies of successful responses and
/// the number of errors. A broken connection ends it.
async fn client(
    mut connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
    first: usize,
    deadline: Instant,
) -> (Vec<Duration>, usize) {
    let mut latencies = Vec::with_capacity(4_096);
    let mut errors = 0;
    for request in requests.iter().cycle().skip(first) {
        let sent = Instant::now();
        if sent >= deadline {
            break;
        }
        let exchange = tokio::time::timeout(TIMEOUT, connection.exchange(request));
        let Ok(Ok(Answer { status, .. })) = exchange.await else {
            errors += 1;
            break;
        };
        let answered = Instant::now();
        if answered > deadline {
            break;
        }
        if (200..300).contains(&status) {
            latencies.push(answered - sent);
        } else {
            errors += 1;
        }
    }
    (latencies, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_known_once_it_is_complete() {
        let response = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nx: y\r\n\r\nhello";
        assert_eq!(Head::parse(&response[..40]).unwrap(), None);
        assert_eq!(Head::parse(response).unwrap(), Some(Head { status: 201, length: response.len() - 5, body: 5 }));
    }

    #[test]
    fn responses_without_a_known_end_are_rejected() {
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\ncontent-length: five\r\n\r\n").is_err());
        assert!(Head::parse(b"nonsense\r\n\r\n").is_err());
    }
}
