//! What a provider's failure looks like to the caller: a status, a slug, no address and no secret
//! (R54, R57).

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::help::{KEY, connect_key, http, keyed, proxy, with_upstream};
use crate::support::server::TestServer;

fn call() -> Value {
    json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST", "body": {} })
}

/// The error says nothing of where the provider is or what was sent.
#[track_caller]
fn discreet(error: &Value, upstream_host: &str) {
    let text = error.to_string();
    for secret in [KEY, upstream_host, "127.0.0.1", "/base", "os error", "src/", ".rs", "panicked"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_responses_are_502_and_are_requested_once() {
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    let many_headers = "x-many: 1\r\n".repeat(300);
    let big_headers = format!("x-big: {}\r\n", "a".repeat(1_000)).repeat(70);
    for (name, answer) in [
        ("nothing", String::new()),
        ("half a head", "HTTP/1.1 200 OK\r\ncontent-".to_owned()),
        ("no HTTP", "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned()),
        ("half a body", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort".to_owned()),
        ("half a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nabc".to_owned()),
        ("a wrong chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n".to_owned()),
        ("no status", "HTTP/1.1 abc\r\n\r\n".to_owned()),
        ("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned()),
        (
            "an encoding that was not asked for",
            "HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\nconnection: close\r\n\r\n\x1f\x0b"
                .to_owned(),
        ),
        ("too many headers", format!("HTTP/1.1 200 OK\r\n{many_headers}content-length: 0\r\n\r\n")),
        ("headers too large", format!("HTTP/1.1 200 OK\r\n{big_headers}content-length: 0\r\n\r\n")),
        (
            "another protocol",
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n".to_owned(),
        ),
    ] {
        upstream.play(answer);
        let reply = proxy(&server.api, &session, &call()).await;
        let error = reply.json()["error"].clone();
        let slug = error["slug"].as_str().unwrap_or_default();
        assert!(["Upstream_Unreachable", "upstream_too_large"].contains(&slug), "{name}: {} {error}", reply.status);
        discreet(&reply.expect_error(502, slug), &upstream.host);
        assert_eq!(reply.header("x-should-retry"), Some("false"), "it may have been carried out");
        assert_eq!(upstream.take().len(), 1, "{name} was tried again");
    }
    upstream.play(http("200 OK", "", b"\"fine\""));
    assert_eq!(proxy(&server.api, &session, &call()).await.expect(200)["data"], "fine", "the next call is not harmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_over_ten_mebibytes_is_refused_with_any_framing() {
    const MOST: usize = 10 * 1024 * 1024;
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    let chunk = format!("100000\r\n{}\r\n", "a".repeat(1 << 20));
    for answer in [
        // Announced and never sent: refused without waiting for it.
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", MOST + 1),
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", u64::MAX / 2),
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(11)),
        format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "a".repeat(MOST + 1)),
    ] {
        upstream.play(answer);
        let error = proxy(&server.api, &session, &call()).await.expect_error(502, "upstream_too_large");
        assert_eq!(
            (&error["code"], &error["message"]),
            (&json!(1605), &json!(format!("The provider's answer is larger than {MOST} bytes")))
        );
    }
    upstream.play(http("200 OK", "content-type: text/plain\r\n", "a".repeat(MOST).as_bytes()));
    let answer = proxy(&server.api, &session, &call()).await.expect(200);
    assert_eq!(answer["data"].as_str().unwrap().len(), MOST);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_provider_is_502() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let nowhere = "no-such-host.invalid";
    // Speaks HTTP where TLS is expected, as a misconfigured provider does.
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_host = plain.local_addr().unwrap().to_string();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        let mut bytes = vec![0; 4_096];
        let read = stream.read(&mut bytes).await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        bytes.truncate(read);
        bytes
    });
    let server = TestServer::builder()
        .toolkit("up", &keyed("up", &format!("http://{host}"), &host))
        .toolkit("nowhere", &keyed("nowhere", &format!("https://{nowhere}"), nowhere))
        .toolkit("plain", &keyed("plain", &format!("https://{plain_host}"), &plain_host))
        .start()
        .await;
    for (toolkit, slugs) in [
        ("up", vec!["Upstream_Unreachable"]),
        ("nowhere", vec!["Upstream_Unreachable"]),
        ("plain", vec!["upstream_tls_error", "Upstream_Unreachable"]),
    ] {
        let (session, account) = connect_key(&server.api, "u", toolkit).await;
        let mut body = call();
        body["toolkit_slug"] = toolkit.into();
        let reply = proxy(&server.api, &session, &body).await;
        let slug = reply.json()["error"]["slug"].as_str().unwrap().to_owned();
        assert!(slugs.contains(&slug.as_str()), "{toolkit}: {slug}");
        let error = reply.expect_error(502, &slug);
        discreet(&error, &host);
        assert!(!error.to_string().contains(nowhere), "{error}");
        assert_eq!(server.api.status(&account).await, "ACTIVE", "an outage is not the account's fault");
    }
    let heard = heard.await.unwrap();
    assert_eq!(heard.first(), Some(&22), "a TLS handshake and nothing in the clear");
}
