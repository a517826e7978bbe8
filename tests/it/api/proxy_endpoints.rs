//! Credentials go to the toolkit's own hosts and below its base path (R43, R45): every other
//! endpoint is refused, and nothing is sent anywhere.

use serde_json::{Value, json};

use super::help::{Upstream, connect_key, keyed, proxy, with_upstream};
use crate::support::http::Api;
use crate::support::server::TestServer;

async fn call(api: &Api, session: &str, endpoint: &str) -> crate::support::http::Reply {
    proxy(api, session, &json!({ "toolkit_slug": "up", "endpoint": endpoint, "method": "GET" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_that_leave_the_toolkit_are_refused_and_nothing_is_sent() {
    let (server, upstream) = with_upstream().await;
    let evil = Upstream::start().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    let (host, elsewhere) = (&upstream.host, &evil.host);
    let port = host.rsplit(':').next().unwrap();
    let attacks = [
        // Other hosts, ports, schemes.
        format!("http://{elsewhere}/"),
        format!("https://{host}"),
        "http://127.0.0.1/".to_owned(),
        format!("http://127.0.0.2:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://{host}.evil.test/"),
        format!("http://evil.test/{host}"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "https://evil.test".to_owned(),
        format!("ftp://{host}/"),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        "javascript:alert(1)".to_owned(),
        "data:text/plain,x".to_owned(),
        format!("ws://{host}/"),
        // Two readings of one text.
        format!("//{elsewhere}/"),
        format!("/\\{elsewhere}/"),
        format!("\\\\{elsewhere}\\"),
        format!("\\/{elsewhere}"),
        format!("///{elsewhere}"),
        format!("\t//{elsewhere}"),
        format!(" //{elsewhere}"),
        format!("/\t/{elsewhere}"),
        format!("ht\ttp://{elsewhere}/"),
        format!("http:/{elsewhere}/"),
        format!("http:{elsewhere}"),
        format!("http:\\\\{elsewhere}"),
        format!("http://{host}@{elsewhere}/"),
        format!("http://{elsewhere}\\@{host}/"),
        format!("http://user:pw@{host}/base/x"),
        format!("http://@{host}/"),
        format!("http://{host}#@{elsewhere}/"),
        format!("http://{host}%2f@{elsewhere}/"),
        format!("http://{elsewhere}?http://{host}/"),
        format!("http://{host}:80:80/"),
        "http://".to_owned(),
        "http:///x".to_owned(),
        format!("{host}/x"),
        // Out of the base path.
        "../x".to_owned(),
        "/../x".to_owned(),
        "../../admin".to_owned(),
        "/x/../../y".to_owned(),
        "/..".to_owned(),
        "/x/./y".to_owned(),
        "/%2e%2e/x".to_owned(),
        "/%2E%2E%2Fx".to_owned(),
        "/..%2fx".to_owned(),
        "/..%5cx".to_owned(),
        "/%252e%252e/x".to_owned(),
        "/%25252e%25252e%25252fx".to_owned(),
        "/.%2e/x".to_owned(),
        "/..;/x".to_owned(),
        "/x/..;a=b/y".to_owned(),
        "/..\\x".to_owned(),
        format!("http://{host}"),
        format!("http://{host}/"),
        format!("http://{host}/other/y"),
        format!("http://{host}/based/y"),
        format!("http://{host}/BASE/y"),
        format!("http://{host}//base/y"),
        format!("http://{host}/base%2Fy"),
        format!("http://{host}?x=/base/y"),
        format!("HTTP://{host}/other"),
        // Bytes that end or split a request line.
        "/x\r\nhost: evil".to_owned(),
        "/x\nx".to_owned(),
        "/x\0".to_owned(),
        "/x%00".to_owned(),
        "/x%0d%0ahost:evil".to_owned(),
        "/x#frag".to_owned(),
        String::new(),
        " ".to_owned(),
        "/x ".to_owned(),
        "/x\u{85}".to_owned(),
        format!("/{}", "a".repeat(17_000)),
    ];
    for endpoint in &attacks {
        let reply = call(&server.api, &session, endpoint).await;
        let error = reply.expect_error(400, "OriginMismatch");
        assert!(error["message"].as_str().unwrap().starts_with("The endpoint"), "{endpoint:?}: {error}");
        assert!(upstream.take().is_empty(), "{endpoint:?} was sent");
        assert!(evil.take().is_empty(), "{endpoint:?} was sent elsewhere");
    }
    assert!(attacks.len() > 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn valid_endpoints_are_sent_unchanged() {
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    let host = upstream.host.clone();
    for (endpoint, target) in [
        ("/x".to_owned(), "/base/x"),
        ("x".to_owned(), "/base/x"),
        ("x/y/".to_owned(), "/base/x/y/"),
        (
            "/x?a=b&c=%2F..%2F&d=http://evil.test/#".trim_end_matches('#').to_owned(),
            "/base/x?a=b&c=%2F..%2F&d=http://evil.test/",
        ),
        ("/projects/group%2Fproject/files/a%20b".to_owned(), "/base/projects/group%2Fproject/files/a%20b"),
        ("/a..b/...x/c.d".to_owned(), "/base/a..b/...x/c.d"),
        ("/v1/models/a:generate".to_owned(), "/base/v1/models/a:generate"),
        ("/~user/(a)/@me;v=1".to_owned(), "/base/~user/(a)/@me;v=1"),
        ("/ü".to_owned(), "/base/%C3%BC"),
        ("?q=1".to_owned(), "/base?q=1"),
        // An absolute one is bound to the base path like a relative one.
        (format!("http://{host}/base/y?z=1"), "/base/y?z=1"),
        (format!("http://{host}/base"), "/base"),
        (format!("HTTP://{host}/base/x"), "/base/x"),
    ] {
        let answer = call(&server.api, &session, &endpoint).await.expect(200);
        assert_eq!(answer["status"], 200, "{endpoint}");
        let seen = upstream.only();
        assert_eq!(seen.lines().next().unwrap(), format!("GET {target} HTTP/1.1"), "{endpoint}");
    }
}

/// The site that the user chose is in the base path: an endpoint cannot select another.
#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_endpoint_reaches_the_paths_that_the_file_names_and_no_others() {
    let upstream = Upstream::start().await;
    let host = upstream.host.clone();
    let file = keyed("up", &format!("http://{host}/ex/site-1"), &host);
    let file = file.replacen("\n[[api_key", "\npaths = [\"/upload/ex\"]\n[[api_key", 1);
    assert!(file.contains("paths"), "{file}");
    let server = TestServer::builder().toolkit("up", &file).start().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    for (path, is_sent) in [
        ("/ex/site-1", true),
        ("/ex/site-1/x?y=1", true),
        ("/upload/ex/x", true),
        ("/ex/site-2/x", false),
        ("/ex", false),
        ("/upload/exe", false),
        ("/admin", false),
        ("", false),
    ] {
        let reply = call(&server.api, &session, &format!("http://{host}{path}")).await;
        if is_sent {
            reply.expect(200);
            assert_eq!(upstream.only().lines().next().unwrap(), format!("GET {path} HTTP/1.1"));
        } else {
            reply.expect_error(400, "OriginMismatch");
            assert!(upstream.take().is_empty(), "{path} was sent");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn private_and_reserved_addresses_are_denied_alike() {
    let hosts = [
        "10.1.2.3",
        "10.1.2.3:8443",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[fd00::1]",
        "[fe80::1]",
        "[::ffff:a00:1]",
        "[64:ff9b::a00:1]",
        "[2002:a00:1::]",
        "[::]",
    ];
    let mut builder = TestServer::builder();
    for (number, host) in hosts.iter().enumerate() {
        let slug = format!("p{number}");
        builder = builder.toolkit(&slug, &keyed(&slug, &format!("https://{host}"), host));
    }
    let server = builder.start().await;
    let mut messages: Vec<Value> = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        let slug = format!("p{number}");
        let (session, _) = connect_key(&server.api, "u", &slug).await;
        let body = json!({ "toolkit_slug": slug, "endpoint": "/x", "method": "GET" });
        let started = std::time::Instant::now();
        let error = proxy(&server.api, &session, &body).await.expect_error(403, "egress_denied");
        assert!(started.elapsed() < std::time::Duration::from_secs(2), "{host} was tried");
        assert_eq!(error["code"], 1606);
        assert!(!error.to_string().contains(host), "{error}");
        messages.push(error["message"].clone());
    }
    messages.dedup();
    assert_eq!(messages, [json!("The destination is not a public address")]);
}
