//! Which resources a client without a key can occupy (R83): heads, bodies, idle connections, unread responses
//! and connections themselves have limits. The tests that wait for a limit take as long as it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use switchboard::config::Layer;
use switchboard::server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::server::TestServer;
use crate::support::wait::{until, within};

/// A connection from an address of this machine, with a small buffer for answers.
async fn connect_from(last: u8, to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, last], 0))).unwrap();
    socket.connect(to).await.unwrap()
}

fn address(server: &TestServer) -> SocketAddr {
    server.url.split_once("://").unwrap().1.parse().unwrap()
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// All that comes until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    let ended = tokio::time::timeout(Duration::from_mins(1), reading).await;
    assert!(ended.is_ok(), "still open after {:?}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

/// The answer to one request on a connection of its own, which the server may keep.
async fn ask(last: u8, server: &TestServer, path: &str) -> String {
    let mut stream = connect_from(last, address(server)).await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    rest(&mut stream).await
}

fn status(answer: &str) -> u16 {
    let code = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|it| it.parse().ok());
    code.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

async fn server_with(layer: Layer) -> TestServer {
    TestServer::builder().layer(layer).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_no_complete_request_is_disconnected() {
    let server = TestServer::start().await;
    let (to, key) = (address(&server), server.api.key.clone());
    let post = format!("POST /api/v3.1/tool_router/session HTTP/1.1\r\nHost: localhost\r\nx-api-key: {key}\r\n");
    // What is sent at once, a byte that follows each second, what is answered, and after how long it ends.
    let cases = [
        (String::new(), false, None, 9..20),
        ("GET /livez HT".to_owned(), false, None, 9..20),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nx-slow: ".to_owned(), true, None, 9..20),
        (get("/livez"), false, Some(200), 9..20),
        (format!("{post}Content-Length: 100\r\n\r\n{{"), false, Some(408), 14..28),
    ];
    let waiting = cases.map(|(sent, trickles, answered, took)| {
        tokio::spawn(async move {
            let mut stream = connect_from(1, to).await;
            let started = Instant::now();
            stream.write_all(sent.as_bytes()).await.unwrap();
            let (mut reader, mut writer) = stream.into_split();
            let trickling = tokio::spawn(async move {
                while trickles && writer.write_all(b"a").await.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                writer
            });
            let mut answer = Vec::new();
            // A connection that is closed while its client still writes is reset.
            let _ = tokio::time::timeout(Duration::from_mins(1), reader.read_to_end(&mut answer)).await.unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            match answered {
                Some(code) => assert_eq!(status(&answer), code, "{sent:?}"),
                // Nothing, or that it took too long.
                None => assert!(answer.is_empty() || status(&answer) == 408, "{sent:?}: {answer}"),
            }
            assert!(took.contains(&started.elapsed().as_secs()), "{sent:?}: {:?}", started.elapsed());
            trickling.abort();
        })
    });
    for each in waiting {
        each.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_no_response_loses_its_connection_slot() {
    let server = server_with(Layer { max_connections_per_address: Some(1), ..Layer::default() }).await;
    let mut greedy = connect_from(1, address(&server)).await;
    let requests = get("/openapi.json").repeat(50);
    let _ = greedy.write_all(requests.as_bytes()).await;
    let started = Instant::now();
    assert_eq!(status(&ask(1, &server, "/openapi.json").await), 503);
    assert_eq!(status(&ask(1, &server, "/livez").await), 200);
    within(Duration::from_mins(1), "the slot of the client", async || {
        let answer = status(&ask(1, &server, "/docs").await);
        if answer == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
    assert!((20..40).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    drop(greedy);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_at_its_connection_limit_still_gets_health_checks() {
    let server = server_with(Layer {
        max_connections_per_address: Some(3),
        trusted_proxies: Some(vec!["127.0.0.9".to_owned()]),
        ..Layer::default()
    })
    .await;
    let to = address(&server);
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = connect_from(2, to).await;
        stream.write_all(get("/livez").as_bytes()).await.unwrap();
        let mut answer = vec![0; 15];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 200 OK");
        held.push(stream);
    }
    for path in ["/docs", "/api/v3.1/toolkits", "/link/lt_x", "/assets/connect.css"] {
        let refused = ask(2, &server, path).await;
        assert_eq!(status(&refused), 503, "{path}");
        let (lines, body) = refused.split_once("\r\n\r\n").unwrap();
        let lines = lines.to_ascii_lowercase();
        assert!(lines.contains("retry-after: 2") && lines.contains("connection: close"), "{lines}");
        let error = &serde_json::from_str::<Value>(body).unwrap()["error"];
        assert_eq!(error["slug"], "server_busy", "{path}");
        assert!(error["suggested_fix"].as_str().unwrap().contains("max_connections_per_address"), "{error}");
        assert_eq!(status(&ask(3, &server, "/docs").await), 200, "another address");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(status(&ask(2, &server, path).await), 200, "{path}");
    }
    // A connection for health checks that sends nothing ends soon, and many of them block no other client.
    let started = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(connect_from(2, to).await);
    }
    assert_eq!(status(&ask(3, &server, "/livez").await), 200);
    for stream in &mut silent {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    let mut proxied = Vec::new();
    for _ in 0..20 {
        proxied.push(connect_from(9, to).await);
    }
    assert_eq!(status(&ask(9, &server, "/docs").await), 200, "a trusted proxy has many clients");
    held.pop();
    until("a place that was left", async || status(&ask(2, &server, "/docs").await) == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_listener_has_the_same_limits() {
    let server = TestServer::start().await;
    let listener = server::listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let to = listener.local_addr().unwrap();
    tokio::spawn(server::serve_metrics(Arc::clone(&server.app), listener));
    let mut collector = connect_from(1, to).await;
    collector.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = rest(&mut collector).await;
    assert!(status(&answer) == 200 && answer.contains("switchboard_log_lines_lost_total 0"), "{answer}");
    let started = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..60 {
        silent.push(connect_from(1, to).await);
    }
    let mut closed_at_once = 0;
    for stream in &mut silent {
        let _ = tokio::time::timeout(Duration::from_mins(1), stream.read_to_end(&mut Vec::new())).await.unwrap();
        closed_at_once += usize::from(started.elapsed() < Duration::from_secs(5));
    }
    assert!((9..20).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
    // Reading in the order of their coming waits for the first; most of the others had gone by then.
    assert!(closed_at_once <= 28, "{closed_at_once}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_simultaneous_connections_are_all_served() {
    let server = TestServer::start().await;
    let to = address(&server);
    let asking: Vec<_> = (0..400_u16)
        .map(|number| {
            tokio::spawn(async move {
                let mut stream = connect_from(u8::try_from(number % 200).unwrap() + 1, to).await;
                stream.write_all(get("/livez").as_bytes()).await.unwrap();
                let mut answer = vec![0; 15];
                stream.read_exact(&mut answer).await.unwrap();
                assert_eq!(answer, b"HTTP/1.1 200 OK");
            })
        })
        .collect();
    for each in asking {
        each.await.unwrap();
    }
}
