//! Large responses of providers share a memory budget until their callers have read them: one call too
//! many waits a moment and gets 503, and small ones continue.

use std::time::Instant;

use serde_json::json;
use switchboard::config::Layer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::help::{KEY, Upstream, connect_key, http, proxy, with_upstream_and};
use crate::support::server::TestServer;
use crate::support::wait::until;

const MIB: usize = 1 << 20;

/// Three quarters of this are for large answers.
async fn small_server() -> (TestServer, Upstream) {
    with_upstream_and(Layer { proxy_memory_mib: Some(16), ..Layer::default() }).await
}

fn text(length: usize) -> Vec<u8> {
    http("200 OK", "content-type: text/plain\r\n", &vec![1; length])
}

/// A call whose answer is not read for now.
async fn unread(server: &TestServer, session: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(server.url.split_once("://").unwrap().1.parse().unwrap()).await.unwrap();
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" }).to_string();
    let head = format!(
        "POST /api/v3.1/tool_router/session/{session}/proxy_execute HTTP/1.1\r\nHost: localhost\r\n\
         x-api-key: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        server.api.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_response_reserves_memory_until_it_is_read() {
    let (server, upstream) = small_server().await;
    let (session, account) = connect_key(&server.api, "u", "up").await;
    let all = server.app.executor.free_answer_memory();
    assert_eq!(all, 16 * MIB);
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });

    upstream.play(text(9 * MIB));
    let mut first = unread(&server, &session).await;
    until("an answer that is held", async || server.app.executor.free_answer_memory() <= 7 * MIB).await;
    let asked = Instant::now();
    let refused = proxy(&server.api, &session, &call).await;
    refused.expect_error(503, "server_busy");
    assert_eq!(refused.header("retry-after"), Some("2"));
    assert_eq!(refused.header("x-should-retry"), None, "a GET is harmless to repeat");
    assert!((2..10).contains(&asked.elapsed().as_secs()), "{:?}", asked.elapsed());
    // Others do not wait behind it.
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"{\"small\":1}"));
    assert_eq!(proxy(&server.api, &session, &call).await.expect(200)["data"], json!({ "small": 1 }));
    assert_eq!(server.api.status(&account).await, "ACTIVE");

    // The slow caller gets all of it, as it came, and then the room is free.
    let mut answer = Vec::new();
    first.read_to_end(&mut answer).await.unwrap();
    let (head, body) = answer.split_at(answer.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4);
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(head));
    let body: serde_json::Value = serde_json::from_slice(body).unwrap();
    assert!(body["data"].as_str().unwrap().bytes().eq(std::iter::repeat_n(1, 9 * MIB)));
    until("room again", async || server.app.executor.free_answer_memory() == all).await;
    upstream.play(text(9 * MIB));
    proxy(&server.api, &session, &call).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnected_caller_reserves_no_memory() {
    let (server, upstream) = small_server().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    let all = server.app.executor.free_answer_memory();
    upstream.play(text(9 * MIB));
    for _ in 0..3 {
        let caller = unread(&server, &session).await;
        until("an answer that is held", async || server.app.executor.free_answer_memory() < all).await;
        drop(caller);
        until("room again", async || server.app.executor.free_answer_memory() == all).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_of_every_kind_and_length_arrive_complete_and_without_the_credential() {
    let (server, upstream) = small_server().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    let all = server.app.executor.free_answer_memory();
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    for length in [0, 10_000, 100_000, 3 * MIB] {
        let filler = "aü\u{1}\"".repeat(length / 5);
        for chunked in [false, true] {
            let json_body = json!({ "filler": &filler, "key": KEY }).to_string();
            let text_body = format!("{filler}{KEY}{filler}");
            for (kind, sent, expected) in [
                ("application/json", json_body, json!({ "filler": &filler, "key": "REDACTED" })),
                ("text/plain", text_body, json!(format!("{filler}REDACTED{filler}"))),
            ] {
                upstream.play(if chunked { in_chunks(kind, sent.as_bytes()) } else { whole(kind, sent.as_bytes()) });
                let answer = proxy(&server.api, &session, &call).await.expect(200);
                assert!(answer["data"] == expected, "{kind} of {length}, chunked {chunked}");
            }
        }
    }
    assert_eq!(server.app.executor.free_answer_memory(), all);
}

fn whole(kind: &str, body: &[u8]) -> Vec<u8> {
    http("200 OK", &format!("content-type: {kind}\r\n"), body)
}

fn in_chunks(kind: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    let mut answer = head.into_bytes();
    for piece in body.chunks(50_000) {
        answer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        answer.extend_from_slice(piece);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}
