//! `proxy_execute` (contract section 2.13): what is sent is what was asked for, and the provider's
//! answer comes back whole, whatever it is.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::help::{KEY, Upstream, bare, connect_key, http, on_session, proxy, sql, text, with_upstream};
use crate::support::server::TestServer;

struct World {
    server: TestServer,
    upstream: Upstream,
    session: String,
    account: String,
}

async fn world() -> World {
    let (server, upstream) = with_upstream().await;
    let (session, account) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    World { server, upstream, session, account }
}

impl World {
    /// A call with these members besides the necessary ones; the answer.
    async fn call(&self, members: Value) -> Value {
        let mut body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        proxy(&self.server.api, &self.session, &body).await.expect(200)
    }

    /// The same, when it must be refused before anything is sent.
    async fn refused(&self, members: Value, status: u16, slug: &str) -> Value {
        let mut body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST" });
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let error = proxy(&self.server.api, &self.session, &body).await.expect_error(status, slug);
        assert!(self.upstream.take().is_empty(), "{body}");
        error
    }

    /// A call whose answer cannot be handed over.
    async fn refusing(&self, answer: Vec<u8>, slug: &str) {
        self.upstream.play(answer);
        let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
        proxy(&self.server.api, &self.session, &body).await.expect_error(502, slug);
        self.upstream.take();
    }
}

/// Header lines of a raw request with this name.
fn header<'a>(request: &'a str, name: &str) -> Vec<&'a str> {
    let head = request.split("\r\n\r\n").next().unwrap();
    head.lines()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
        .filter(|(it, _)| it.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_supported_method_is_sent_unchanged_and_others_are_refused() {
    let world = world().await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"] {
        assert_eq!(world.call(json!({ "method": method })).await["status"], 200);
        let seen = world.upstream.only();
        assert!(seen.starts_with(&format!("{method} /base/x HTTP/1.1\r\n")), "{seen}");
        assert_eq!(header(&seen, "authorization"), [format!("Key {KEY}")]);
        assert_eq!(header(&seen, "host"), [world.upstream.host.as_str()]);
    }
    for method in ["TRACE", "CONNECT", "OPTIONS", "get", "", "GET /admin HTTP/1.1\r\nX: y", "PROPFIND"] {
        world.refused(json!({ "method": method }), 400, "HTTP_BadRequest").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_arrive_byte_for_byte_with_their_type() {
    let world = world().await;
    let bytes: Vec<u8> = (0..=255).collect();
    for (members, kind, expected) in [
        (json!({ "body": { "b": 1, "a": [null, "ü"] } }), "application/json", None),
        (json!({ "body": [1, 2.50, 1e2] }), "application/json", None),
        (json!({ "body": 0 }), "application/json", Some("0".as_bytes())),
        (json!({ "body": false }), "application/json", Some(b"false".as_slice())),
        (json!({ "body": "plain\ntext ü" }), "text/plain; charset=utf-8", Some("plain\ntext ü".as_bytes())),
        (
            json!({ "binary_body": { "base64": BASE64.encode(b"\x00abc") } }),
            "application/octet-stream",
            Some(b"\0abc".as_slice()),
        ),
        (json!({ "binary_body": { "base64": "", "content_type": "image/png" } }), "image/png", Some(b"".as_slice())),
    ] {
        let mut members = members;
        members["method"] = "POST".into();
        world.call(members.clone()).await;
        let seen = world.upstream.only();
        assert_eq!(header(&seen, "content-type"), [kind], "{members}");
        let body = seen.split_once("\r\n\r\n").unwrap().1.as_bytes().to_vec();
        match expected {
            Some(expected) => assert_eq!(body, expected, "{members}"),
            None => assert_eq!(body, members["body"].to_string().as_bytes(), "{members}"),
        }
        assert_eq!(header(&seen, "content-length"), [body.len().to_string()]);
    }
    // JSON is passed through unparsed: digits and spaces survive.
    let raw = r#"{"toolkit_slug":"up","endpoint":"/x","method":"PUT","body":{"n": 1.000000000000000000001, "m":  2}}"#;
    let path = format!("/tool_router/session/{}/proxy_execute", world.session);
    world.server.api.call("POST", &path, raw).await.expect(200);
    assert!(world.upstream.only().ends_with(r#"{"n": 1.000000000000000000001, "m":  2}"#));
    // Nothing given, nothing sent.
    for members in
        [json!({ "body": null }), json!({ "binary_body": null, "parameters": null, "custom_connection_data": null })]
    {
        world.call(members).await;
        let seen = world.upstream.only();
        assert!(seen.ends_with("\r\n\r\n") && header(&seen, "content-type").is_empty(), "{seen}");
    }
    let big = BASE64.encode(bytes.repeat(1_000));
    world.call(json!({ "method": "POST", "binary_body": { "base64": big, "content_type": "application/pdf" } })).await;
    assert_eq!(header(&world.upstream.only(), "content-length"), ["256000"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_bodies_are_refused_and_unbuilt_ones_get_501() {
    let world = world().await;
    world.refused(json!({ "body": 1, "binary_body": { "base64": "" } }), 400, "HTTP_BadRequest").await;
    world.refused(json!({ "binary_body": {} }), 400, "HTTP_BadRequest").await;
    world.refused(json!({ "binary_body": { "base64": "%%%" } }), 400, "HTTP_BadRequest").await;
    world
        .refused(json!({ "binary_body": { "base64": "QQ==", "content_type": "a\r\nx: y" } }), 400, "HTTP_BadRequest")
        .await;
    world.refused(json!({ "binary_body": { "url": "/etc/passwd" } }), 400, "HTTP_BadRequest").await;
    world.refused(json!({ "binary_body": { "url": "https://x", "base64": "" } }), 400, "HTTP_BadRequest").await;
    world.refused(json!({ "custom_connection_data": { "authScheme": "API_KEY" } }), 501, "HTTP_NotImplemented").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_become_headers_and_query() {
    let world = world().await;
    world
        .call(json!({ "endpoint": "/x?first=1&e=%20", "parameters": [
            { "name": "a&b", "value": "ü =&#?/", "type": "query" },
            { "name": "a&b", "value": "again", "in": "query" },
            { "name": "X-Custom", "value": "one, two", "type": "header" },
            { "name": "Accept", "value": "text/csv", "type": "header" },
            { "name": "User-Agent", "value": "mine/1", "type": "header" },
        ] }))
        .await;
    let seen = world.upstream.only();
    let line = seen.lines().next().unwrap();
    assert_eq!(line, "GET /base/x?first=1&e=%20&a%26b=%C3%BC+%3D%26%23%3F%2F&a%26b=again HTTP/1.1");
    assert_eq!(header(&seen, "x-custom"), ["one, two"]);
    assert_eq!((header(&seen, "accept"), header(&seen, "user-agent")), (vec!["text/csv"], vec!["mine/1"]));
    world.call(json!({ "parameters": [], "method": "POST", "body": {} })).await;
    let seen = world.upstream.only();
    assert!(seen.starts_with("POST /base/x HTTP/1.1\r\n"), "{seen}");
    let typed = json!({ "method": "POST", "body": { "a": 1 }, "parameters": [{ "name": "content-type", "value": "application/vnd.api+json", "type": "header" }] });
    world.call(typed).await;
    assert_eq!(header(&world.upstream.only(), "content-type"), ["application/vnd.api+json"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_are_returned_by_their_content_type() {
    let world = world().await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let json_type = "content-type: application/json; charset=utf-8\r\n";
    for (headers, body, data) in [
        (json_type, r#"{"a":[1,null,"ü"]}"#.as_bytes(), json!({ "a": [1, null, "ü"] })),
        (json_type, b"null".as_slice(), Value::Null),
        (json_type, b"42", json!(42)),
        ("content-type: application/problem+json\r\n", br#"{"title":"x"}"#, json!({ "title": "x" })),
        ("", br#"{"untyped":true}"#, json!({ "untyped": true })),
        (json_type, b"<html>", json!("<html>")),
        ("content-type: text/html\r\n", "<p>ü</p>".as_bytes(), json!("<p>ü</p>")),
        ("content-type: text/plain\r\n", br#"{"text":1}"#, json!(r#"{"text":1}"#)),
        ("content-type: application/xml\r\n", b"<a/>", json!("<a/>")),
        ("content-type: text/plain; charset=latin1\r\n", b"\xfcber", json!("\u{fc}ber")),
        ("content-type: application/yaml\r\n", b"a: 1\n", json!("a: 1\n")),
        ("content-type: application/toml\r\n", b"a = 1\n", json!("a = 1\n")),
        ("content-type: application/vnd.example.v3.diff\r\n", b"diff --git a/x b/x\n", json!("diff --git a/x b/x\n")),
        ("content-type: application/vnd.example.raw; charset=utf-8\r\n", b"# Title\n", json!("# Title\n")),
        ("content-type: application/octet-stream\r\ncontent-type: text/csv\r\n", b"a,b\n", json!("a,b\n")),
        (json_type, b"\xef\xbb\xbf{\"a\":1}", json!({ "a": 1 })),
    ] {
        world.upstream.play(http("200 OK", headers, body));
        let answer = world.call(json!({})).await;
        assert_eq!((&answer["result_type"], &answer["status"]), (&json!("completed"), &json!(200)));
        assert_eq!(answer["data"], data, "{headers}");
        assert!(answer.get("binary_data").is_none(), "{answer}");
    }
    for (headers, body, kind) in [
        ("content-type: image/png\r\n", b"\x89PNG".as_slice(), "image/png"),
        ("content-type: application/pdf\r\n", b"%PDF", "application/pdf"),
        ("content-type: text/plain\r\n", b"\xfc\xff", "text/plain"),
        ("", b"\xff\x00", "application/octet-stream"),
    ] {
        world.upstream.play(http("200 OK", headers, body));
        let answer = world.call(json!({})).await;
        let expected = json!({ "url": format!("data:{kind};base64,{}", BASE64.encode(body)), "content_type": kind, "size": body.len() });
        assert_eq!(answer["binary_data"], expected);
        assert!(answer.get("data").is_none(), "{answer}");
    }
    // Deeper than a parser that recurses could go.
    world.upstream.play(http("200 OK", json_type, deep.as_bytes()));
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    let reply = proxy(&world.server.api, &world.session, &body).await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains(&deep));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Some servers and networks compress although the request does not ask for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_response_is_decompressed_within_the_usual_limit() {
    let world = world().await;
    let packed = "content-type: application/json\r\ncontent-encoding: gzip\r\n";
    world.upstream.play(http("200 OK", packed, &gzip(br#"{"a":1}"#)));
    let answer = world.call(json!({})).await;
    assert_eq!(answer["data"], json!({ "a": 1 }));
    assert_eq!(answer["headers"].get("content-encoding"), None, "{answer}");
    // The credential is not hidden by it.
    world.upstream.play(http("200 OK", packed, &gzip(json!({ "echo": KEY }).to_string().as_bytes())));
    assert_eq!(world.call(json!({})).await["data"], json!({ "echo": "REDACTED" }));
    world.refusing(http("200 OK", packed, &gzip(&vec![b' '; 11 << 20])), "upstream_too_large").await;
    world.refusing(http("200 OK", packed, &gzip(b"{}")[..12]), "Upstream_Unreachable").await;
    world.refusing(http("200 OK", "content-encoding: br\r\n", b"{}"), "Upstream_Unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_sent_as_a_form_if_its_content_type_says_so() {
    let world = world().await;
    let form = |body: Value| {
        let kind = json!([{ "name": "Content-Type", "value": "application/x-www-form-urlencoded", "type": "header" }]);
        json!({ "method": "POST", "body": body, "parameters": kind })
    };
    for (body, expected) in [
        (json!({ "amount": "2000", "currency": "eur" }), "amount=2000&currency=eur"),
        (json!({ "count": 3, "on": true, "text": "a b&c=d\u{fc}" }), "count=3&on=true&text=a+b%26c%3Dd%C3%BC"),
        (json!("already=a+form"), "already=a+form"),
        (json!({}), ""),
    ] {
        world.call(form(body)).await;
        let seen = world.upstream.only();
        assert_eq!(header(&seen, "content-type"), ["application/x-www-form-urlencoded"]);
        assert_eq!(seen.split_once("\r\n\r\n").unwrap().1, expected);
    }
    for body in [json!({ "items": [1] }), json!({ "a": { "b": 1 } }), json!({ "a": null }), json!([1])] {
        let error = world.refused(form(body), 400, "HTTP_BadRequest").await;
        assert!(error["errors"][0].as_str().unwrap().starts_with("Error in payload.body"), "{error}");
    }
    assert!(world.upstream.take().is_empty(), "nothing was sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_of_the_provider_is_a_200_that_names_it() {
    let world = world().await;
    for status in [201, 202, 400, 401, 403, 404, 409, 418, 422, 500, 502, 503, 599] {
        world.upstream.play(http(
            &format!("{status} Whatever"),
            "content-type: application/json\r\nretry-after: 7\r\nx-odd: a\r\nx-odd: b\r\n",
            br#"{"e":1}"#,
        ));
        let answer = world.call(json!({ "method": "POST" })).await;
        assert_eq!((&answer["status"], &answer["data"]), (&json!(status), &json!({ "e": 1 })));
        assert_eq!((&answer["headers"]["retry-after"], &answer["headers"]["x-odd"]), (&json!("7"), &json!("a, b")));
        assert_eq!(world.upstream.take().len(), 1, "{status} is not tried again");
    }
    for status in ["204 No Content", "304 Not Modified"] {
        world.upstream.play(format!("HTTP/1.1 {status}\r\netag: \"1\"\r\nconnection: close\r\n\r\n"));
        let answer = world.call(json!({})).await;
        assert_eq!(answer["headers"]["etag"], "\"1\"");
        assert!(answer.get("data").is_none() && answer.get("binary_data").is_none(), "{answer}");
    }
    world.upstream.play("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\nx-kept: 1\r\nconnection: close\r\n\r\n");
    let answer = world.call(json!({ "method": "HEAD" })).await;
    assert_eq!((&answer["status"], &answer["headers"]["x-kept"]), (&json!(200), &json!("1")));
    // The next call of the account would wait for it.
    world.upstream.take();
    world.upstream.play(http("429 Whatever", "content-type: application/json\r\nretry-after: 7\r\n", b"{}"));
    let answer = world.call(json!({ "method": "POST" })).await;
    assert_eq!((&answer["status"], &answer["headers"]["retry-after"]), (&json!(429), &json!("7")));
    assert_eq!(world.upstream.take().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_returned_and_not_followed() {
    let world = world().await;
    let elsewhere = Upstream::start().await;
    for status in [301, 302, 303, 307, 308] {
        for target in [
            format!("http://{}/stolen", elsewhere.host),
            format!("http://{}/base/again", world.upstream.host),
            "/base/again".to_owned(),
        ] {
            world.upstream.play(http(&format!("{status} Moved"), &format!("location: {target}\r\n"), b""));
            let answer = world.call(json!({ "method": "POST", "body": { "secret": 1 } })).await;
            assert_eq!((&answer["status"], &answer["headers"]["location"]), (&json!(status), &json!(target)));
            assert_eq!(world.upstream.take().len(), 1);
            assert!(elsewhere.take().is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toolkit_without_authentication_needs_no_account() {
    let upstream = Upstream::start().await;
    let open = format!("{}[no_auth]\n", bare("open", &format!("http://{}", upstream.host), &upstream.host));
    let server = TestServer::builder().toolkit("open", &open).start().await;
    let session = server.api.session("u", "open").await;
    // A link is refused with the advice to use the toolkit as it is.
    let answer = server.api.proxy_get(&session, "open", "/x").await.expect(200);
    assert_eq!(answer["status"], 200);
    assert!(header(&upstream.only(), "authorization").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toolkit_must_be_known_and_allowed_and_its_auth_config_enabled() {
    let world = world().await;
    let error = world.refused(json!({ "toolkit_slug": "nope" }), 400, "ToolRouterV2_InvalidToolkitSlugs").await;
    assert_eq!(error["message"], "Invalid toolkit slugs: nope. Please provide valid toolkit slugs.");
    world.refused(json!({ "toolkit_slug": "sandbox" }), 403, "ToolRouterV2_ToolkitNotAllowed").await;
    assert_eq!(world.call(json!({ "toolkit_slug": "UP" })).await["status"], 200);
    world.upstream.take();
    for (statement, status, slug) in [
        ("UPDATE connected_accounts SET status='INACTIVE'", 404, "ToolRouterV2_NoActiveConnection"),
        ("UPDATE connected_accounts SET status='ACTIVE'", 0, ""),
        ("UPDATE auth_configs SET status='DISABLED'", 404, "ToolRouterV2_NoActiveConnection"),
        ("UPDATE auth_configs SET status='ENABLED'", 0, ""),
    ] {
        sql(&world.server.database(), statement);
        if status == 0 {
            world.call(json!({})).await;
            world.upstream.take();
        } else {
            world.refused(json!({}), status, slug).await;
        }
    }
    let pinned = json!({ "user_id": "u", "connected_accounts": { "up": [world.account] } });
    let pinned = text(&world.server.api.post("/tool_router/session", &pinned).await.expect(201), "session_id");
    for (status, slug, code) in [
        ("EXPIRED", "reauth_required", 422),
        ("REVOKED", "reauth_required", 422),
        ("FAILED", "ToolRouterV2_NoActiveConnection", 404),
    ] {
        sql(&world.server.database(), &format!("UPDATE connected_accounts SET status='{status}'"));
        let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
        let error = on_session(&world.server.api, &pinned, "proxy_execute", &body).await.expect_error(code, slug);
        assert!(
            error["message"].as_str().unwrap().contains(&format!("{} is in {status} state", world.account)),
            "{error}"
        );
    }
    assert!(world.upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_the_proxy_disabled_refuses_calls() {
    let world = world().await;
    let body = json!({ "user_id": "u", "proxy_execute": { "enable": false } });
    let off = text(&world.server.api.post("/tool_router/session", &body).await.expect(201), "session_id");
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    proxy(&world.server.api, &off, &call).await.expect_error(403, "HTTP_Forbidden");
    assert!(world.upstream.take().is_empty());
}
