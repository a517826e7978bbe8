//! Responses that are too large, too slow, truncated or malformed.

use std::time::Duration;

use bytes::Bytes;
use http::Request;

use super::server::{Reply, Server};
use super::{get, local_egress, send};
use crate::{EgressError, Limits};

/// Small enough to exceed quickly, slow enough for a busy machine.
fn limits() -> Limits {
    Limits { total: Duration::from_secs(10), max_body: 1000, max_header_bytes: 2000, ..Limits::default() }
}

async fn answer_to_get(reply: Reply) -> Result<http::Response<Bytes>, EgressError> {
    let server = Server::start(vec![reply]).await;
    send(&local_egress(), get(&server.url("/")), &limits()).await
}

async fn error_of(reply: Reply) -> EgressError {
    answer_to_get(reply).await.unwrap_err()
}

fn head(fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n").into_bytes()
}

fn with_body(fields: &str, body: &[u8]) -> Vec<u8> {
    [head(fields).as_slice(), body].concat()
}

#[tokio::test]
async fn bodies_of_every_framing_are_read_whole() {
    let exact = with_body("content-length: 1000\r\n", &[b'x'; 1000]);
    assert_eq!(answer_to_get(Reply::Keep(exact)).await.unwrap().body().len(), 1000);
    let chunked = with_body("transfer-encoding: chunked\r\n", b"3\r\nabc\r\n2\r\nde\r\n0\r\nx-trailer: 1\r\n\r\n");
    assert_eq!(answer_to_get(Reply::Keep(chunked)).await.unwrap().body().as_ref(), b"abcde");
    let until_close = with_body("", b"abc");
    assert_eq!(answer_to_get(Reply::Close(until_close)).await.unwrap().body().as_ref(), b"abc");
    let none = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
    assert_eq!(answer_to_get(Reply::Keep(none)).await.unwrap().status(), 204);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let too_large = EgressError::TooLarge { limit: 1000 };
    // Announced length: refused before any byte arrives.
    assert_eq!(error_of(Reply::Hang(head("content-length: 1001\r\n"))).await, too_large);
    assert_eq!(error_of(Reply::Hang(head("content-length: 99999999999999\r\n"))).await, too_large);
    // Endless, in chunks or until the connection closes.
    let chunk = b"10\r\n0123456789abcdef\r\n".to_vec();
    assert_eq!(error_of(Reply::Endless(head("transfer-encoding: chunked\r\n"), chunk)).await, too_large);
    assert_eq!(error_of(Reply::Endless(head(""), vec![b'x'; 100])).await, too_large);
}

#[tokio::test]
async fn the_deadline_covers_headers_and_body() {
    let patience = Limits { total: Duration::from_millis(200), ..limits() };
    let slow_body = Reply::Trickle(head("content-length: 1000\r\n"), b"x".to_vec());
    let slow_head = Reply::Trickle(b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".to_vec());
    let endless_hints = Reply::Trickle(Vec::new(), b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec());
    for reply in [slow_body, slow_head, endless_hints, Reply::Hang(Vec::new())] {
        let server = Server::start(vec![reply]).await;
        let error = send(&local_egress(), get(&server.url("/")), &patience).await.unwrap_err();
        assert_eq!(error, EgressError::Timeout { sent: true });
        assert_eq!(server.requests().len(), 1);
    }
}

#[tokio::test]
async fn a_connection_that_breaks_off() {
    assert_eq!(error_of(Reply::Close(Vec::new())).await, EgressError::Interrupted);
    assert_eq!(error_of(Reply::Close(b"HTTP/1.1 200 OK\r\ncontent-".to_vec())).await, EgressError::Interrupted);
    let truncated = with_body("content-length: 100\r\n", b"0123456789");
    assert_eq!(error_of(Reply::Close(truncated)).await, EgressError::Interrupted);
    let cut_chunk = with_body("transfer-encoding: chunked\r\n", b"10\r\n0123");
    assert_eq!(error_of(Reply::Close(cut_chunk)).await, EgressError::Interrupted);
    let no_last_chunk = with_body("transfer-encoding: chunked\r\n", b"4\r\n0123\r\n");
    assert_eq!(error_of(Reply::Close(no_last_chunk)).await, EgressError::Interrupted);
}

#[tokio::test]
async fn header_bombs() {
    let too_large = EgressError::TooLarge { limit: 2000 };
    let long = head(&format!("a: {}\r\ncontent-length: 0\r\n", "x".repeat(2000)));
    assert_eq!(error_of(Reply::Keep(long)).await, too_large);
    let fields = |count: usize| Reply::Keep(head(&("a: b\r\n".repeat(count - 1) + "content-length: 0\r\n")));
    assert_eq!(answer_to_get(fields(100)).await.unwrap().status(), 200);
    assert_eq!(error_of(fields(101)).await, too_large);
    let endless_fields = Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"a: b\r\n".repeat(100));
    assert_eq!(error_of(endless_fields).await, too_large);
    let endless_value = Reply::Endless(b"HTTP/1.1 200 OK\r\na: ".to_vec(), vec![b'x'; 4096]);
    assert_eq!(error_of(endless_value).await, too_large);
}

#[tokio::test]
async fn encoded_answers_are_refused() {
    let encodings = ["content-encoding: gzip", "content-encoding: br", "content-encoding: identity, gzip"];
    for encoding in encodings.into_iter().chain(["content-encoding: identity\r\ncontent-encoding: gzip"]) {
        let reply = with_body(&format!("{encoding}\r\ncontent-length: 2\r\n"), b"\x1f\x8b");
        assert_eq!(error_of(Reply::Keep(reply)).await, EgressError::UnsupportedEncoding, "{encoding}");
    }
    let reply = with_body("transfer-encoding: gzip, chunked\r\n", b"2\r\n\x1f\x8b\r\n0\r\n\r\n");
    assert_eq!(error_of(Reply::Keep(reply)).await, EgressError::UnsupportedEncoding);
    let identity = with_body("content-encoding: Identity\r\ncontent-length: 2\r\n", b"ok");
    assert_eq!(answer_to_get(Reply::Keep(identity)).await.unwrap().body().as_ref(), b"ok");

    // The caller decompresses it and gets it as received.
    let reply = with_body("content-encoding: gzip\r\ncontent-length: 2\r\n", b"\x1f\x8b");
    let server = Server::start(vec![Reply::Keep(reply)]).await;
    let request = Request::get(server.url("/")).body(Bytes::new()).unwrap();
    let answer = send(&local_egress(), request, &Limits { any_coding: true, ..limits() }).await.unwrap();
    assert_eq!(
        (answer.headers()["content-encoding"].as_bytes(), answer.body().as_ref()),
        (&b"gzip"[..], &b"\x1f\x8b"[..])
    );

    // The response to a HEAD request describes a body that is not sent.
    let server = Server::start(vec![Reply::Keep(head("content-encoding: gzip\r\ncontent-length: 5000\r\n"))]).await;
    let request = Request::head(server.url("/")).body(Bytes::new()).unwrap();
    let answer = send(&local_egress(), request, &limits()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().len()), (200, 0));
}

#[tokio::test]
async fn invalid_responses() {
    let bad = [
        b"220 smtp.example ESMTP\r\n\r\n".to_vec(),
        b"\0\x01\x02\x03".to_vec(),
        b"HTTP/1.1 99999 Odd\r\n\r\n".to_vec(),
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n".to_vec(),
        with_body("content-length: 1\r\ncontent-length: 2\r\n", b"ab"),
        with_body("content-length: -1\r\n", b"ab"),
        head("bad header: 1\r\n"),
        with_body("transfer-encoding: chunked\r\n", b"zz\r\nabc\r\n"),
    ];
    for reply in bad {
        let text = String::from_utf8_lossy(&reply).into_owned();
        assert_eq!(error_of(Reply::Close(reply)).await, EgressError::InvalidResponse, "{text:?}");
    }
}

#[tokio::test]
async fn the_response_has_no_connection_headers() {
    let fields = "connection: keep-alive, x-named\r\nx-named: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: x\r\n\
                  proxy-authenticate: Basic\r\nupgrade: h2c\r\ntrailer: x\r\nte: x\r\nx-kept: 1\r\n\
                  transfer-encoding: chunked\r\n";
    let answer = answer_to_get(Reply::Keep(with_body(fields, b"0\r\n\r\n"))).await.unwrap();
    let names: Vec<&str> = answer.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["x-kept"]);
    assert!(answer.extensions().is_empty());
}

#[tokio::test]
async fn a_closed_port_is_told_apart_only_where_it_may_be_reached() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    let error = send(&local_egress(), get(&url), &limits()).await.unwrap_err();
    assert_eq!(error, EgressError::Connect);
    let closed_to_us = crate::Egress::new(crate::EgressConfig::default()).unwrap();
    let error = send(&closed_to_us, get(&url), &limits()).await.unwrap_err();
    assert_eq!(error, EgressError::AddressDenied);
}
