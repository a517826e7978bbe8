//! Credentials in the proxy: callers set none (R51), ours never goes upstream (R53), the account's
//! never comes back (R52).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::help::{
    KEY, Upstream, auth_config, connect, connect_key, finish_oauth, http, keyed, proxy, text, with_upstream,
};
use crate::support::server::TestServer;

fn call(endpoint: &str) -> Value {
    json!({ "toolkit_slug": "up", "endpoint": endpoint, "method": "GET" })
}

fn with_header(name: &str, value: &str) -> Value {
    let mut body = call("/x");
    body["parameters"] = json!([{ "name": name, "value": value, "type": "header" }]);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_and_credential_headers_are_refused_in_every_spelling() {
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    for name in [
        "host",
        "Host",
        "content-length",
        "Content_Length",
        "transfer-encoding",
        "TRANSFER-ENCODING",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "proxy-authorization",
        "Proxy-Connection",
        "proxy-anything",
        "forwarded",
        "x-forwarded-for",
        "X-Forwarded-Host",
        "x_forwarded_proto",
        "x-forwarded-anything",
        "cookie",
        "Cookie",
        "authorization",
        "Authorization",
        "AUTHORIZATION",
        "x-http-method-override",
        "X-HTTP-Method",
        "x_method_override",
        "http2-settings",
        // No header names at all.
        "",
        " ",
        "a b",
        "a:b",
        "a\r\nx-evil: 1",
        "a\n",
        "a\u{0}",
        "hö",
        "(x)",
        "x-a\t",
    ] {
        let error = proxy(&server.api, &session, &with_header(name, "v")).await.expect_error(400, "header_not_allowed");
        let shown = format!("Header \"{}\" is not allowed", name.replace(char::is_control, " "));
        assert!(error["message"].as_str().unwrap().starts_with(&shown), "{name:?}: {error}");
    }
    for value in ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\u{0}b", "\u{7f}", "\r\n\r\nGET /admin HTTP/1.1"] {
        proxy(&server.api, &session, &with_header("x-mine", value)).await.expect_error(400, "header_not_allowed");
    }
    assert!(upstream.take().is_empty());
    for name in ["x-mine", "x-forwarded", "authorization-info", "x-api-key", "hosts", "if-none-match"] {
        proxy(&server.api, &session, &with_header(name, "v")).await.expect(200);
        assert!(upstream.only().contains(&format!("{name}: v\r\n")), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toolkits_own_credential_places_cannot_be_set_by_a_caller() {
    let upstream = Upstream::start().await;
    let base = format!("http://{}", upstream.host);
    let in_header = keyed("odd", &base, &upstream.host).replace("\"Authorization\"", "\"X-Odd_Key\"");
    let in_query = keyed("query", &base, &upstream.host).replace(
        "header = \"Authorization\"\nvalue = \"Key {generic_api_key}\"",
        "query = \"api_key\"\nvalue = \"{generic_api_key}\"",
    );
    let server = TestServer::builder().toolkit("odd", &in_header).toolkit("query", &in_query).start().await;
    let (session, _) = connect_key(&server.api, "u", "odd").await;
    for name in ["X-Odd_Key", "x-odd-key", "X_ODD_KEY", "authorization"] {
        let mut body = with_header(name, "theirs");
        body["toolkit_slug"] = "odd".into();
        proxy(&server.api, &session, &body).await.expect_error(400, "header_not_allowed");
    }
    assert!(upstream.take().is_empty());
    let (session, _) = connect_key(&server.api, "u", "query").await;
    for (endpoint, parameters) in [
        ("/x?api_key=theirs&q=1", json!([])),
        ("/x?q=1&api%5Fkey=theirs", json!([])),
        ("/x?q=1", json!([{ "name": "api_key", "value": "theirs", "type": "query" }])),
    ] {
        let body = json!({ "toolkit_slug": "query", "endpoint": endpoint, "method": "GET", "parameters": parameters });
        let answer = proxy(&server.api, &session, &body).await.expect(200);
        let seen = upstream.only();
        let line = seen.lines().next().unwrap();
        assert!(line.contains(&format!("api_key={KEY}")) && line.contains("q=1") && !line.contains("theirs"), "{line}");
        assert!(!answer.to_string().contains(KEY) && !seen.to_ascii_lowercase().contains("referer"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_of_the_caller_s_own_request_reaches_the_provider() {
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    let headers = [
        ("cookie", "sid=canary-cookie"),
        ("traceparent", "00-canary"),
        ("baggage", "canary=1"),
        ("x-request-id", "canary-request"),
        ("user-agent", "canary-agent"),
        ("referer", "https://canary.test"),
        ("x-forwarded-for", "canary"),
        ("x-custom", "canary"),
    ];
    let path = format!("/tool_router/session/{session}/proxy_execute");
    server.api.call_with("POST", &path, &headers, call("/x").to_string()).await.expect(200);
    let seen = upstream.only();
    assert!(!seen.contains("canary-c") && !seen.replace(KEY, "").contains("canary"), "{seen}");
    assert!(!seen.contains(&server.api.key) && !seen.to_ascii_lowercase().contains("x-api-key"), "{seen}");
    assert!(!seen.contains(&session), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_echoes_its_credential_and_the_caller_does_not_see_it() {
    let server = TestServer::start().await;
    let api = &server.api;
    let mut sessions = Vec::new();
    let session = api.session("by-oauth", "sandbox").await;
    finish_oauth(api, &api.link(&session, "sandbox").await).await;
    sessions.push((session, "authorization", "Bearer REDACTED"));
    server.clock.advance(std::time::Duration::from_millis(5));
    auth_config(api, "sandbox", "API_KEY").await;
    let (session, _) = connect(api, "by-key", "sandbox", &[("generic_api_key", "sandbox_alice_key")]).await;
    sessions.push((session, "x-api-key", "REDACTED"));
    server.clock.advance(std::time::Duration::from_millis(5));
    auth_config(api, "sandbox", "BASIC").await;
    let (session, _) = connect(api, "by-password", "sandbox", &[("username", "alice"), ("password", "alice")]).await;
    sessions.push((session, "authorization", "Basic REDACTED"));
    for (session, header, shown) in sessions {
        let body = json!({ "toolkit_slug": "sandbox", "endpoint": "/echo/deep?q=1", "method": "POST", "body": { "hello": "world" } });
        let answer = proxy(api, &session, &body).await.expect(200);
        let echo = &answer["data"];
        assert_eq!(echo["headers"][header], shown, "{echo}");
        assert_eq!(
            (&echo["path"], &echo["query"], &echo["body"]),
            (&json!("/api/echo/deep"), &json!("q=1"), &json!("{\"hello\":\"world\"}"))
        );
        assert!(!answer.to_string().contains(&api.key), "{answer}");
        // The same credential opens the account: it was sent, and only hidden on the way back.
        let me = api.proxy_get(&session, "sandbox", "/me").await.expect(200);
        assert_eq!(me["data"]["username"], "alice", "{me}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_form_of_the_credential_is_returned_in_headers_or_body() {
    let (server, upstream) = with_upstream().await;
    let secret = "s3cr/et+\"key\"&<ü>=";
    let (session, _) = connect(&server.api, "u", "up", &[("generic_api_key", secret)]).await;
    let percent: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let in_json = serde_json::to_string(secret).unwrap();
    let in_json = in_json.trim_matches('"');
    let padded = STANDARD.encode(format!("Key {secret}"));
    let plain_64 = STANDARD.encode(secret);
    let url_64 = URL_SAFE_NO_PAD.encode(secret);
    for (name, form) in [
        ("plain", secret),
        ("percent", &percent),
        ("json", in_json),
        ("base64", &plain_64),
        ("base64url", &url_64),
        ("base64 inside", &padded),
    ] {
        for kind in ["text/plain", "application/octet-stream", "text/html"] {
            upstream.play(http(
                "200 OK",
                &format!("content-type: {kind}\r\n"),
                format!("before {form} after").as_bytes(),
            ));
            let answer = proxy(&server.api, &session, &call("/x")).await.expect(200);
            let body = answer["data"].as_str().map_or_else(
                || {
                    let url = answer["binary_data"]["url"].as_str().unwrap();
                    String::from_utf8(STANDARD.decode(url.split_once(',').unwrap().1).unwrap()).unwrap()
                },
                ToOwned::to_owned,
            );
            assert!(body.starts_with("before ") && body.ends_with(" after"), "{name}: {body}");
            assert!(body.contains("REDACTED") && !body.contains(form), "{name}: {body}");
        }
    }
    let quoted = format!("{{\"echo\":\"{in_json}\",\"n\":1}}");
    upstream.play(http(
        "200 OK",
        &format!("content-type: application/json\r\nx-echo: Key {percent}\r\nlocation: /x?k={percent}\r\n"),
        quoted.as_bytes(),
    ));
    let answer = proxy(&server.api, &session, &call("/x")).await.expect(200);
    assert_eq!(answer["data"], json!({ "echo": "REDACTED", "n": 1 }), "still JSON");
    assert_eq!(
        (&answer["headers"]["x-echo"], &answer["headers"]["location"]),
        (&json!("Key REDACTED"), &json!("/x?k=REDACTED"))
    );
}

/// An identity is not a secret: the caller gets the provider's text about it unchanged.
#[tokio::test(flavor = "multi_thread")]
async fn user_names_and_json_keys_are_not_redacted() {
    let upstream = Upstream::start().await;
    let base = format!("http://{}", upstream.host);
    let desk = format!("{}[basic]\n", super::help::bare("desk", &base, &upstream.host));
    let keys = format!(
        "{}[basic]\nusername = {{ display_name = \"API key\", secret = true }}\n\
         password = {{ display_name = \"Password\", description = \"Enter X.\", secret = false }}\n",
        super::help::bare("keys", &base, &upstream.host)
    );
    let server = TestServer::builder().toolkit("desk", &desk).toolkit("keys", &keys).start().await;
    let api = &server.api;
    let said = json!({
        "emailAddress": "ada@example.com", "text": "Ask ada@example.com.", "api_token_id": 7, "api_token": "an api_token", "size": "X",
    });
    let call = |slug: &str| json!({ "toolkit_slug": slug, "endpoint": "/x", "method": "GET" });
    let (session, _) = connect(api, "u", "desk", &[("username", "ada@example.com"), ("password", "api_token")]).await;
    upstream.play(http(
        "200 OK",
        "content-type: application/json\r\nx-user: ada@example.com\r\n",
        said.to_string().as_bytes(),
    ));
    let answer = proxy(api, &session, &call("desk")).await.expect(200);
    let mut expected = said.clone();
    expected["api_token"] = "an REDACTED".into();
    assert_eq!((&answer["data"], &answer["headers"]["x-user"]), (&expected, &json!("ada@example.com")));
    // Where the key is entered as the user name, that is the secret.
    let (session, _) = connect(api, "u", "keys", &[("username", KEY), ("password", "X")]).await;
    upstream.take();
    let said = json!({ "size": "X", "who": KEY, "sent": STANDARD.encode(format!("{KEY}:X")) });
    upstream.play(http("200 OK", "content-type: application/json\r\n", said.to_string().as_bytes()));
    let answer = proxy(api, &session, &call("keys")).await.expect(200);
    assert_eq!(answer["data"], json!({ "size": "X", "who": "REDACTED", "sent": "REDACTED" }));
    let sent = format!("authorization: Basic {}", STANDARD.encode(format!("{KEY}:X")));
    assert!(upstream.only().contains(&sent));
}

/// A text that is fetched in parts brings the credential back in parts.
#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_refused_except_for_the_binary_files_that_the_toolkit_names() {
    let upstream = Upstream::start().await;
    let file = format!("ranges = [\"{}/base/files\"]\n[[api_key", upstream.host);
    let file = upstream.toolkit("up").replacen("[[api_key", &file, 1);
    let server = TestServer::builder().toolkit("up", &file).start().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    let ranged = |endpoint: &str, method: &str, name: &str| {
        json!({ "toolkit_slug": "up", "endpoint": endpoint, "method": method,
            "parameters": [{ "name": name, "value": "bytes=0-7", "type": "header" }] })
    };
    for (endpoint, method, name) in [
        ("/x", "GET", "range"),
        ("/x", "GET", "Range"),
        ("/x", "GET", "X_MS_Range"),
        ("/filesx/1", "GET", "range"),
        ("/files/1", "POST", "range"),
    ] {
        let reply = proxy(&server.api, &session, &ranged(endpoint, method, name)).await;
        let error = reply.expect_error(400, "header_not_allowed");
        assert!(error["message"].as_str().unwrap().contains("handed over whole"), "{error}");
    }
    assert!(upstream.take().is_empty());
    upstream.play(http("206 Partial Content", "content-type: image/png\r\n", b"\x89PNG"));
    let answer = proxy(&server.api, &session, &ranged("/files/1", "GET", "Range")).await.expect(200);
    assert_eq!((&answer["status"], &answer["binary_data"]["size"]), (&json!(206), &json!(4)));
    assert!(upstream.only().contains("range: bytes=0-7\r\n"));
    for kind in ["text/plain", "application/json"] {
        upstream.play(http("206 Partial Content", &format!("content-type: {kind}\r\n"), &KEY.as_bytes()[..8]));
        let reply = proxy(&server.api, &session, &ranged("/files/1", "GET", "Range")).await;
        reply.expect_error(400, "header_not_allowed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_and_connection_headers_are_not_returned() {
    let (server, upstream) = with_upstream().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    let headers = "set-cookie: sid=1\r\nauthorization: x\r\nproxy-authenticate: x\r\nproxy-authorization: x\r\nkeep-alive: timeout=5\r\n\
        upgrade: h2c\r\nte: trailers\r\ntrailer: x-t\r\nx-hop: 1\r\nx-kept: 1\r\nwww-authenticate: Bearer\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\n{headers}connection: close, x-hop\r\ncontent-length: 0\r\n\r\n");
    upstream.play(answer);
    let answer = proxy(&server.api, &session, &call("/x")).await.expect(200);
    assert_eq!(answer["headers"], json!({ "x-kept": "1", "www-authenticate": "Bearer" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_user_s_call_is_sent_with_their_own_credential() {
    let (server, upstream) = with_upstream().await;
    let mut sessions = Vec::new();
    for user in ["alice", "bob", "carol"] {
        let key = format!("key-of-{user}");
        sessions.push((connect(&server.api, user, "up", &[("generic_api_key", &key)]).await.0, key));
    }
    upstream.take();
    let calls: Vec<_> = (0..30)
        .map(|number: usize| {
            let (api, (session, key)) = (server.api.clone(), sessions[number % 3].clone());
            tokio::spawn(async move { proxy(&api, &session, &call(&format!("/{key}"))).await.expect(200) })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let seen = upstream.take();
    assert_eq!(seen.len(), 30);
    for request in seen {
        let path = request.split(' ').nth(1).unwrap().rsplit('/').next().unwrap().to_owned();
        assert!(request.contains(&format!("authorization: Key {path}\r\n")), "{request}");
    }
    let read = server.api.get("/connected_accounts").await.expect(200);
    assert_eq!(read["items"].as_array().unwrap().iter().map(|item| text(item, "user_id")).collect::<Vec<_>>().len(), 3);
}
