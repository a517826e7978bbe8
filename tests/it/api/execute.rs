//! The pipeline of calls: what its context bounds, and binary answers, which are redacted as they arrive.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;
use switchboard::app::Actor;
use switchboard::app::execute::context::CallContext;
use switchboard::app::execute::proxy::ProxyRequest;
use switchboard::error::{Code, Error};

use super::help::{KEY, connect_key, http, proxy, with_upstream};
use crate::support::server::TestServer;

/// A call of a GET within these circumstances; its error.
async fn failure(server: &TestServer, session: &str, context: &CallContext) -> Error {
    let request = ProxyRequest {
        toolkit: "up".to_owned(),
        endpoint: "/x".to_owned(),
        method: Method::GET,
        body: None,
        account: None,
        headers: Vec::new(),
        query: Vec::new(),
        token: None,
    };
    let session = server.app.sessions.get(&server.project_id, &session.into()).await.unwrap();
    server.app.executor.proxy_execute(&session, &request, context).await.unwrap_err()
}

fn context(server: &TestServer) -> CallContext {
    CallContext::of_proxy(server.app.call_log.begin(Actor::cli(&server.project_id), None))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_its_deadline_and_sends_nothing_after_it() {
    let (server, upstream) = with_upstream().await;
    let (session, account) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    let over = CallContext { deadline: Instant::now(), ..context(&server) };
    assert_eq!(failure(&server, &session, &over).await.code(), Code::UpstreamTimeout);
    assert!(upstream.take().is_empty());
    // A provider that never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = silent.local_addr().unwrap().to_string();
    let slow = TestServer::builder().toolkit("up", &super::help::keyed("up", &format!("http://{host}"), &host));
    let slow = slow.start().await;
    let (waiting, _) = connect_key(&slow.api, "u", "up").await;
    let soon = CallContext { deadline: Instant::now() + Duration::from_millis(300), ..context(&slow) };
    assert_eq!(failure(&slow, &waiting, &soon).await.code(), Code::UpstreamTimeout);
    assert!(soon.deadline.elapsed() < Duration::from_secs(10), "{:?}", soon.deadline.elapsed());
    assert_eq!(server.api.status(&account).await, "ACTIVE", "a deadline is not the account's fault");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_limited_to_the_size_of_its_call_context() {
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    let small = CallContext { max_answer: 1_000, ..context(&server) };
    for answer in [
        http("200 OK", "content-type: text/plain\r\n", &[b'a'; 1_001]),
        http("200 OK", "content-type: image/png\r\n", &[b'a'; 1_001]),
        in_chunks("image/png", &[b'a'; 1_001]),
        // 600 bytes as received, 1,200 in UTF-8.
        http("200 OK", "content-type: text/plain; charset=latin1\r\n", &[0xfc; 600]),
    ] {
        upstream.play(answer);
        let error = failure(&server, &session, &small).await;
        assert_eq!(error.code(), Code::UpstreamTooLarge, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn binary_responses_of_every_length_arrive_complete_and_without_the_credential() {
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    let all = server.app.executor.free_answer_memory();
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    let hex = KEY.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let escaped = KEY.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    for length in [0, 10_000, 65_530, 200_000, 1 << 20] {
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for form in [KEY, &hex, &escaped].iter().cycle() {
            if sent.len() + 1_000 > length {
                break;
            }
            // A length that has no common divisor with those of buffers.
            let filler: Vec<u8> = (0..997_u32).map(|index| [0xff, 0, b'%', b'\n'][(index % 4) as usize]).collect();
            for part in [&mut sent, &mut expected] {
                part.extend_from_slice(&filler);
            }
            sent.extend_from_slice(form.as_bytes());
            expected.extend_from_slice(b"REDACTED");
        }
        for answer in [http("200 OK", "content-type: image/png\r\n", &sent), in_chunks("image/png", &sent)] {
            upstream.play(answer);
            let answer = proxy(&server.api, &session, &call).await.expect(200);
            let Some(url) = answer["binary_data"]["url"].as_str() else {
                assert!(sent.is_empty(), "no data of {length}: {}", answer["headers"]);
                continue;
            };
            let bytes = STANDARD.decode(url.strip_prefix("data:image/png;base64,").unwrap()).unwrap();
            assert!(bytes == expected, "{length}: {} bytes instead of {}", bytes.len(), expected.len());
            assert_eq!(answer["binary_data"]["size"], expected.len());
        }
    }
    assert_eq!(server.app.executor.free_answer_memory(), all);
}

/// An answer without a length, whose chunks split what is in it.
fn in_chunks(kind: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n");
    let mut answer = head.into_bytes();
    for piece in body.chunks(1_511) {
        answer.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        answer.extend_from_slice(piece);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    answer
}
