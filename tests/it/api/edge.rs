//! The edge, in raw bytes: what smugglers send is refused and the connection ends (R80), the Host
//! is ours (R81), forwarded headers mean nothing (R82), sizes are bounded (R84), ids are harmless.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::TestServer;

/// Sends bytes on a connection of their own and reads until the server closes it. Panics when it
/// stays open.
async fn raw(server: &TestServer, bytes: impl AsRef<[u8]>) -> String {
    let address = server.url.split_once("://").unwrap().1;
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes.as_ref()).await;
    let mut answer = Vec::new();
    let mut piece = vec![0; 65_536];
    loop {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut piece[..])).await;
        match read.unwrap_or_else(|_| panic!("still open after {:?}", String::from_utf8_lossy(&answer))) {
            Ok(0) | Err(_) => return String::from_utf8_lossy(&answer).into_owned(),
            Ok(read) => answer.extend_from_slice(&piece[..read]),
        }
    }
}

fn status(answer: &str) -> u16 {
    answer
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|it| it.parse().ok())
        .unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

fn envelope(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str::<Value>(body).unwrap_or_else(|_| panic!("no envelope: {answer}"))["error"].clone()
}

/// A request for the toolkits with a key and these header lines.
fn request(server: &TestServer, target: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nx-api-key: {}\r\n{lines}\r\n", server.api.key)
}

fn host(server: &TestServer) -> String {
    server.url.split_once("://").unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_exactly_one_known_host_is_refused_and_its_connection_closed() {
    let server = TestServer::start().await;
    let host = host(&server);
    let path = "/api/v3.1/toolkits";
    for (lines, expected) in [
        (String::new(), 400),
        (format!("Host: {host}\r\nHost: {host}\r\n"), 400),
        (format!("Host: {host}\r\nHost: evil.test\r\n"), 400),
        (format!("host: evil.test\r\nHOST: {host}\r\n"), 400),
        ("Host: \r\n".to_owned(), 421),
        ("Host: evil.test\r\n".to_owned(), 421),
        ("Host: rebind.127.0.0.1.evil.test\r\n".to_owned(), 421),
        (format!("Host: evil.test:{}\r\n", host.rsplit(':').next().unwrap()), 421),
        ("Host: 0.0.0.0\r\n".to_owned(), 421),
        ("Host: [::ffff:127.0.0.1]\r\n".to_owned(), 421),
        ("Host: localhost.evil.test\r\n".to_owned(), 421),
        ("Host: ex\u{e4}mple\r\n".to_owned(), 400),
    ] {
        let answer = raw(&server, request(&server, path, &lines)).await;
        assert_eq!(status(&answer), expected, "{lines:?}: {answer}");
        assert_eq!(envelope(&answer)["status"], expected);
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        assert!(!answer.contains("evil"), "{answer}");
        // Pages and callbacks are behind the same guard.
        for path in ["/link/lt_x", "/assets/toolkits/github.svg", "/api/v3.1/toolkits/auth/callback?state=x"] {
            assert_eq!(status(&raw(&server, request(&server, path, &lines)).await), expected, "{path} {lines:?}");
        }
        // Load balancers ask for health by address, and learn nothing else.
        for path in ["/livez", "/readyz"] {
            let closing = format!("{lines}Connection: close\r\n");
            let answer = raw(&server, request(&server, path, &closing)).await;
            assert_eq!(status(&answer), if expected == 421 { 200 } else { 400 }, "{path} {lines:?}");
        }
    }
    for name in [host.as_str(), "localhost", "LOCALHOST:1", "127.0.0.1", "[::1]"] {
        let answer = raw(&server, request(&server, path, &format!("Host: {name}\r\nConnection: close\r\n"))).await;
        assert_eq!(status(&answer), 200, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_after_the_colon_of_a_host_must_be_a_port() {
    let server = TestServer::start().await;
    for name in
        [format!("{}.evil.test", host(&server)), "localhost:evil.test".to_owned(), "127.0.0.1:80@evil.test".to_owned()]
    {
        let answer =
            raw(&server, request(&server, "/api/v3.1/toolkits", &format!("Host: {name}\r\nConnection: close\r\n")))
                .await;
        assert!([400, 421].contains(&status(&answer)), "{name}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_target_must_name_the_same_host() {
    let server = TestServer::start().await;
    let host = host(&server);
    for (target, expected) in [
        (format!("http://{host}/api/v3.1/toolkits"), 200),
        ("http://evil.test/api/v3.1/toolkits".to_owned(), 400),
        (format!("http://evil.test:{}/api/v3.1/toolkits", host.rsplit(':').next().unwrap()), 400),
        (format!("http://user@{host}/api/v3.1/toolkits"), 400),
        ("http://localhost/api/v3.1/toolkits".to_owned(), 400),
    ] {
        let answer = raw(&server, request(&server, &target, &format!("Host: {host}\r\nConnection: close\r\n"))).await;
        assert_eq!(status(&answer), expected, "{target}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_ambiguous_length_is_refused_and_following_bytes_are_ignored() {
    let server = TestServer::start().await;
    let host = host(&server);
    let smuggled = format!("GET /livez HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let post = |lines: &str, body: &str| {
        format!(
            "POST /api/v3.1/tool_router/session HTTP/1.1\r\nHost: {host}\r\nx-api-key: {}\r\n{lines}\r\n{body}{smuggled}",
            server.api.key
        )
    };
    let session = r#"{"user_id":"u"}"#;
    let chunked = format!("f\r\n{session}\r\n0\r\n\r\n");
    for (name, bytes) in [
        ("two lengths", post("Content-Length: 15\r\nContent-Length: 0\r\n", session)),
        ("a list of lengths", post("Content-Length: 15, 0\r\n", session)),
        ("a signed length", post("Content-Length: +15\r\n", session)),
        ("a hexadecimal length", post("Content-Length: 0xf\r\n", session)),
        ("an unknown coding", post("Transfer-Encoding: xchunked\r\n", &chunked)),
        ("identity last", post("Transfer-Encoding: chunked, identity\r\n", &chunked)),
        ("a space before the colon", post("Content-Length : 15\r\n", session)),
        ("a folded header", post("Content-Length: 15\r\nX-A: b\r\n c\r\n", session)),
        ("a NUL in a value", post("Content-Length: 15\r\nX-A: b\0c\r\n", session)),
    ] {
        let answer = raw(&server, bytes).await;
        assert_eq!(status(&answer), 400, "{name}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: a second request was answered: {answer}");
    }
    assert_eq!(super::help::sql(&server.database(), "SELECT COUNT(*) FROM sessions"), json!([[0]]));
    // The same body with one length is honest.
    let answer = raw(&server, post("Transfer-Encoding: chunked\r\n", &chunked)).await;
    assert_eq!((status(&answer), answer.matches("HTTP/1.1 ").count()), (201, 2), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_a_head_is_limited() {
    let server = TestServer::start().await;
    let lines = format!("Host: {}\r\nConnection: close\r\n", host(&server));
    let headers = |count: usize| "x-many: 1\r\n".repeat(count);
    let many = raw(&server, request(&server, "/api/v3.1/toolkits", &format!("{lines}{}", headers(200)))).await;
    assert_eq!(status(&many), 431, "{many}");
    let some = raw(&server, request(&server, "/api/v3.1/toolkits", &format!("{lines}{}", headers(90)))).await;
    assert_eq!(status(&some), 200);
    let large = format!("{lines}x-large: {}\r\n", "a".repeat(300_000));
    assert_eq!(status(&raw(&server, request(&server, "/api/v3.1/toolkits", &large)).await), 431);
    let target = |length: usize| format!("/api/v3.1/toolkits?search={}", "a".repeat(length));
    let huge = status(&raw(&server, request(&server, &target(100_000), &lines)).await);
    assert!([414, 431].contains(&huge), "{huge}");
    assert_eq!(status(&raw(&server, request(&server, &target(7_000), &lines)).await), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_over_64_kilobytes_is_431() {
    let server = TestServer::start().await;
    let lines = format!("Host: {}\r\nConnection: close\r\n", host(&server));
    for (size, expected) in [(60_000, 200), (70_000, 431), (100_000, 431)] {
        let large = format!("{lines}x-large: {}\r\n", "a".repeat(size));
        assert_eq!(status(&raw(&server, request(&server, "/api/v3.1/toolkits", &large)).await), expected, "{size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_a_body_with_length_and_transfer_encoding_are_never_answered() {
    let server = TestServer::start().await;
    let body = "f\r\n{\"user_id\":\"u\"}\r\n0\r\n\r\n";
    for lines in
        ["Content-Length: 25\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 25\r\n"]
    {
        let head = format!(
            "POST /api/v3.1/tool_router/session HTTP/1.1\r\nHost: {}\r\nx-api-key: {}\r\n",
            host(&server),
            server.api.key
        );
        let smuggled = format!("GET /livez HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host(&server));
        let answer = raw(&server, format!("{head}{lines}\r\n{body}{smuggled}")).await;
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "a second request was answered: {answer}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
        // Refused, or read by its chunks (RFC 9112 section 6.1); the connection ends either way.
        assert!([201, 400].contains(&status(&answer)), "{lines}: {answer}");
    }
}

/// Taken for the end of a line (RFC 9112 section 2.2): each request is answered once, by what it says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_bare_line_feed_ends_a_line_and_hides_no_second_request() {
    let server = TestServer::start().await;
    let (host, key) = (host(&server), server.api.key.clone());
    let session = r#"{"user_id":"u"}"#;
    let post = "POST /api/v3.1/tool_router/session HTTP/1.1";
    let plain = format!("GET /api/v3.1/toolkits HTTP/1.1\nHost: {host}\nx-api-key: {key}\nConnection: close\n\n");
    let answer = raw(&server, &plain).await;
    assert_eq!((status(&answer), answer.matches("HTTP/1.1 ").count()), (200, 1), "{answer}");
    // What the lines say counts, however they end: two lengths are two, and a foreign host is foreign.
    let hidden = |line: &str| format!("{post}\r\nHost: {host}\r\nx-api-key: {key}\r\nX-A: b\n{line}\r\n");
    let second = format!("Content-Length: 15\r\n\r\n{session}GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for line in ["Content-Length: 0", "Host: evil.test", "Transfer-Encoding: xchunked"] {
        let answer = raw(&server, format!("{}{second}", hidden(line))).await;
        assert_eq!((status(&answer), answer.matches("HTTP/1.1 ").count()), (400, 1), "{line}: {answer}");
    }
    assert_eq!(super::help::sql(&server.database(), "SELECT COUNT(*) FROM sessions"), json!([[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_over_eight_kilobytes_is_414() {
    let server = TestServer::start().await;
    let lines = format!("Host: {}\r\nConnection: close\r\n", host(&server));
    let target = format!("/api/v3.1/toolkits?search={}", "a".repeat(9_000));
    assert_eq!(status(&raw(&server, request(&server, &target, &lines)).await), 414);
}

#[tokio::test(flavor = "multi_thread")]
async fn forwarded_headers_change_no_url_and_no_key() {
    let server = TestServer::start().await;
    let spoofed = [
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "8.8.8.8"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-prefix", "/evil"),
        ("x-forwarded-uri", "/evil"),
        ("x-original-url", "/livez"),
        ("x-rewrite-url", "/livez"),
        ("forwarded", "host=evil.test;proto=https"),
        ("x_forwarded_host", "evil.test"),
        ("x-real-ip", "8.8.8.8"),
        ("x-forwarded-user", "admin"),
        ("x-http-method-override", "DELETE"),
        ("origin", "https://evil.test"),
        ("referer", "https://evil.test/"),
    ];
    let body = json!({ "user_id": "u" }).to_string();
    let made = server.api.call_with("POST", "/tool_router/session", &spoofed, body).await;
    let session = made.expect(201);
    assert!(session["mcp"]["url"].as_str().unwrap().starts_with(&format!("{}/tool_router/", server.url)), "{session}");
    let path = format!("/tool_router/session/{}/link", session["session_id"].as_str().unwrap());
    let link =
        server.api.call_with("POST", &path, &spoofed, json!({ "toolkit": "sandbox" }).to_string()).await.expect(201);
    assert!(link["redirect_url"].as_str().unwrap().starts_with(&format!("{}/link/", server.url)), "{link}");
    let toolkit = server.api.call_with("GET", "/toolkits/sandbox", &spoofed, "").await;
    assert!(!toolkit.text().contains("evil") && !format!("{:?}", toolkit.headers).contains("evil"));
    toolkit.expect(200);
    let listing = server.api.http.send("GET", &format!("{}/toolkits", server.api.base), &spoofed, "").await;
    listing.expect_error(401, "HTTP_Unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_harmless_request_id_is_echoed_and_any_other_replaced() {
    let server = TestServer::start().await;
    let (fits, too_long) = ("a".repeat(128), "a".repeat(129));
    for id in ["1", "3f1c0b1e-7a55-4d0e-9f4e-000000000000", "0123456789abcdef0123456789abcdef", "a_b.c-D", &fits] {
        let reply = server.api.call_with("GET", "/toolkits", &[("x-request-id", id)], "").await;
        assert_eq!((reply.status, reply.header("x-request-id")), (200, Some(id)));
        let refused = server.api.call_with("GET", "/toolkits/nope", &[("x-request-id", id)], "").await;
        assert_eq!(refused.expect_error(404, "Toolkit_NotFound")["request_id"], id);
    }
    let mut made = std::collections::BTreeSet::new();
    for id in ["", "a b", "a\tb", "<script>", "\"", "a;b", "../x", "ü", "%0d%0a", "a,b", &too_long] {
        let reply = server.api.call_with("GET", "/toolkits", &[("x-request-id", id)], "").await;
        made.insert(reply.header("x-request-id").unwrap().to_owned());
    }
    for path in ["/livez", "/nowhere", "/link/x"] {
        let reply = server.api.http.send("GET", &format!("{}{path}", server.url), &[], "").await;
        made.insert(reply.header("x-request-id").unwrap().to_owned());
    }
    assert_eq!(made.len(), 14, "each request has an id of its own: {made:?}");
    assert!(made.iter().all(|id| id.starts_with("req_")), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_not_cached_sniffed_or_shared() {
    let server = TestServer::start().await;
    for path in ["/toolkits", "/toolkits/nope", "/connected_accounts", "/no/such/path"] {
        let reply = server.api.get(path).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{path}");
        for name in ["server", "x-powered-by", "access-control-allow-origin", "deprecation"] {
            assert!(reply.header(name).is_none(), "{path} {name}");
        }
    }
    let preflight = [("origin", "https://evil.test"), ("access-control-request-method", "POST")];
    let reply = server.api.http.send("OPTIONS", &format!("{}/toolkits", server.api.base), &preflight, "").await;
    assert!(reply.header("access-control-allow-origin").is_none());
}
