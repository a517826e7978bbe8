//! Bodies that are no good: always the envelope, always the place of the fault, never a trace in
//! the database (contract sections 1.4 and 9; R84).

use serde_json::json;

use super::help::{Upstream, accounts, with_upstream};
use crate::support::server::TestServer;

const SESSION: &str = "/tool_router/session";

/// A server, and a session to put in the paths.
async fn start() -> (TestServer, Upstream, String) {
    let (server, upstream) = with_upstream().await;
    let session = server.api.session("u", "up").await;
    (server, upstream, session)
}

/// Operations that read a body.
fn operations(session: &str) -> [String; 4] {
    [
        SESSION.to_owned(),
        format!("{SESSION}/{session}/link"),
        format!("{SESSION}/{session}/proxy_execute"),
        "/auth_configs".to_owned(),
    ]
}

/// What a project has that a POST could have made.
async fn written(server: &TestServer) -> (i64, i64, u64) {
    let configs = server.api.get("/auth_configs").await.expect(200)["total_items"].as_i64().unwrap();
    let sessions = super::help::sql(&server.database(), "SELECT COUNT(*) FROM sessions");
    (accounts(&server.api).await, configs, sessions[0][0].as_u64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_refuses_a_body_that_is_not_a_json_object() {
    let (server, upstream, session) = start().await;
    let before = written(&server).await;
    let deep_array = "[".repeat(20_000);
    let deep_object = format!("{}1{}", "{\"a\":".repeat(20_000), "}".repeat(20_000));
    let hidden = format!("{{\"toolkit\":{}1{}}}", "[".repeat(20_000), "]".repeat(20_000));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("blank", b" \r\n".to_vec()),
        ("a word", b"hello".to_vec()),
        ("an open brace", b"{".to_vec()),
        ("a trailing comma", br#"{"user_id":"u","toolkit":"up",}"#.to_vec()),
        ("single quotes", b"{'user_id':'u'}".to_vec()),
        ("no quotes", b"{user_id:1}".to_vec()),
        ("a comment", b"{/* */}".to_vec()),
        (
            "text after it",
            br#"{"user_id":"u","toolkit":{"slug":"sandbox"},"toolkit_slug":"up","endpoint":"/x","method":"GET"} x"#
                .to_vec(),
        ),
        ("null", b"null".to_vec()),
        ("true", b"true".to_vec()),
        ("a number", b"42".to_vec()),
        ("a string", br#""user""#.to_vec()),
        ("an array", b"[]".to_vec()),
        ("an object in an array", br#"[{"user_id":"u"}]"#.to_vec()),
        ("a form", b"user_id=u&toolkit=up".to_vec()),
        ("XML", b"<user_id>u</user_id>".to_vec()),
        ("a BOM", b"\xef\xbb\xbf{\"user_id\":\"u\",\"toolkit\":\"up\"}".to_vec()),
        ("UTF-16", "{\"user_id\":\"u\"}".encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("invalid UTF-8", b"{\"user_id\":\"\xff\xfe\",\"toolkit\":\"\xff\",\"toolkit_slug\":\"\xff\"}".to_vec()),
        ("half a surrogate", br#"{"user_id":"\ud800","toolkit":"\ud800","toolkit_slug":"\ud800"}"#.to_vec()),
        ("a raw NUL", b"{\"user_id\":\"a\0b\",\"toolkit\":\"a\0b\",\"toolkit_slug\":\"\0\"}".to_vec()),
        ("20,000 arrays", deep_array.into_bytes()),
        ("20,000 objects", deep_object.into_bytes()),
        ("20,000 arrays in a field", hidden.into_bytes()),
    ];
    for (name, body) in bodies {
        for path in operations(&session) {
            let reply = server.api.call("POST", &path, body.clone()).await;
            let error = reply.expect_error(400, "HTTP_BadRequest");
            assert_eq!(
                (&error["code"], &error["message"]),
                (&json!(10400), &json!("Validation error while processing request")),
                "{name}"
            );
            let line = error["errors"][0].as_str().unwrap_or_default();
            assert!(line.starts_with("Error in payload"), "{name} to {path}: {error}");
        }
    }
    assert_eq!(written(&server).await, before);
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_a_mebibyte_is_413_and_one_below_is_read() {
    let (server, _upstream, session) = start().await;
    let before = written(&server).await;
    let sized = |size: usize| {
        let frame = json!({ "user_id": "", "toolkit": "", "toolkit_slug": "" }).to_string().len();
        json!({ "user_id": "u".repeat(size - frame), "toolkit": "", "toolkit_slug": "" }).to_string()
    };
    for path in operations(&session) {
        let error = server.api.call("POST", &path, sized(2_000_000)).await.expect_error(413, "HTTP_PayloadTooLarge");
        assert_eq!(error["code"], 10413);
        server.api.call("POST", &path, sized((1 << 20) + 1)).await.expect_error(413, "HTTP_PayloadTooLarge");
        // Exactly at the limit it is read, and refused for what it says.
        assert_eq!(server.api.call("POST", &path, sized(1 << 20)).await.status, 400);
    }
    assert_eq!(written(&server).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_a_field_of_the_wrong_type() {
    let (server, upstream, session) = start().await;
    let before = written(&server).await;
    let [create, link, call, configs] = operations(&session);
    let proxy = |field: &str, value: serde_json::Value| {
        let mut body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
        body[field] = value;
        (&call, body, format!("payload.{field}"))
    };
    let session_of = |field: &str, value: serde_json::Value| {
        let body = json!({ "user_id": "u", field: value });
        (&create, body, format!("payload.{field}"))
    };
    let link_of = |field: &str, value: serde_json::Value| {
        let mut body = json!({ "toolkit": "up" });
        body[field] = value;
        (&link, body, format!("payload.{field}"))
    };
    let config_of = |field: &str, value: serde_json::Value| {
        let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": {
            "type": "use_custom_auth", "authScheme": "API_KEY", field: value } });
        (&configs, body, format!("payload.auth_config.{field}"))
    };
    for (path, body, place) in [
        session_of("user_id", json!(1)),
        session_of("toolkits", json!(["github"])),
        session_of("toolkits", json!("github")),
        session_of("toolkits", json!({ "enable": "github" })),
        session_of("toolkits", json!({ "enable": [1] })),
        session_of("tools", json!([])),
        session_of("tools", json!({ "github": [] })),
        session_of("tags", json!("readOnlyHint")),
        session_of("tags", json!(["readonly"])),
        session_of("auth_configs", json!(["ac_1"])),
        session_of("auth_configs", json!({ "github": 1 })),
        session_of("connected_accounts", json!({ "github": 1 })),
        session_of("connected_accounts", json!({ "github": [1] })),
        session_of("manage_connections", json!(true)),
        session_of("manage_connections", json!({ "enable": "true" })),
        session_of("workbench", json!({ "sandbox_size": "huge" })),
        session_of("workbench", json!({ "auto_offload_threshold": "1" })),
        session_of("multi_account", json!({ "max_accounts_per_toolkit": -1 })),
        session_of("multi_account", json!({ "max_accounts_per_toolkit": 2.5 })),
        session_of("preload", json!({ "tools": "ALL" })),
        session_of("preload", json!({ "tools": 1 })),
        session_of("proxy_execute", json!({})),
        session_of("search", json!({ "enable": 1 })),
        session_of("hooks", json!({})),
        session_of("experimental", json!([])),
        link_of("toolkit", json!(null)),
        link_of("toolkit", json!(["up"])),
        link_of("alias", json!(5)),
        link_of("callback_url", json!({})),
        link_of("account_type", json!(true)),
        link_of("experimental", json!("SHARED")),
        link_of("acl_config_for_shared", json!("all")),
        proxy("toolkit_slug", json!(1)),
        proxy("endpoint", json!(null)),
        proxy("method", json!("get")),
        proxy("method", json!("TRACE")),
        proxy("parameters", json!({})),
        proxy("parameters", json!([{ "name": "a", "value": 1, "type": "query" }])),
        proxy("parameters", json!([{ "name": "a", "value": "1", "type": "cookie" }])),
        proxy("parameters", json!([{ "name": "a", "value": "1" }])),
        proxy("binary_body", json!("AAAA")),
        proxy("binary_body", json!({ "base64": 1 })),
        (&configs, json!({ "toolkit": "sandbox" }), "payload.toolkit".to_owned()),
        (&configs, json!({ "toolkit": {} }), "payload.toolkit".to_owned()),
        config_of("type", json!("use_own_auth")),
        config_of("authScheme", json!("PASSWORD")),
        config_of("credentials", json!([])),
        config_of("credentials", json!({ "client_id": 1 })),
        config_of("credentials", json!({ "scopes": 1 })),
        config_of("name", json!("")),
        config_of("restrict_to_following_tools", json!("X")),
    ] {
        let error = server.api.post(path, &body).await.expect_error(400, "HTTP_BadRequest");
        let said = error["errors"][0].as_str().unwrap();
        assert!(said.starts_with(&format!("Error in {place}")), "{body}: {said}");
    }
    assert_eq!(written(&server).await, before);
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_json_key_is_refused() {
    let (server, upstream, session) = start().await;
    let before = written(&server).await;
    let [create, link, call, configs] = operations(&session);
    for (path, body) in [
        (&create, r#"{"user_id":"a","user_id":"b"}"#),
        (&create, r#"{"user_id":"a","toolkits":{"enable":[],"enable":["github"]}}"#),
        (&create, r#"{"user_id":"a","tags":{"disable":["destructiveHint"],"disable":[]}}"#),
        (&create, r#"{"user_id":"a","tools":{"github":{"disable":["A"]},"github":{"enable":["A"]}}}"#),
        (&link, r#"{"toolkit":"up","toolkit":"sandbox"}"#),
        (&call, r#"{"toolkit_slug":"up","endpoint":"/a","method":"POST","body":1,"body":2}"#),
        (&link, r#"{"toolkit":"up","account_type":"PRIVATE","account_type":"SHARED"}"#),
        (&call, r#"{"toolkit_slug":"up","endpoint":"/a","endpoint":"/b","method":"GET"}"#),
        (&configs, r#"{"toolkit":{"slug":"sandbox","slug":"up"}}"#),
    ] {
        let reply = server.api.call("POST", path, body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
        assert!(reply.json()["error"]["suggested_fix"].is_string());
    }
    assert_eq!(written(&server).await, before);
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_array_in_place_of_an_object_is_refused() {
    let (server, upstream, session) = start().await;
    let before = written(&server).await;
    let [create, link, call, _] = operations(&session);
    for (path, body) in [
        (&create, json!(["user"])),
        (&link, json!(["up", null, null, null, null, null])),
        (&call, json!(["up", "/x", "GET", null, null, null, null])),
        (&create, json!({ "user_id": "u", "toolkits": [["github"], null, null] })),
        (&create, json!({ "user_id": "u", "manage_connections": [false] })),
        (&create, json!({ "user_id": "u", "proxy_execute": [true] })),
        (&link, json!({ "toolkit": "up", "account_type": "SHARED", "acl_config_for_shared": [true] })),
    ] {
        let reply = server.api.post(path, &body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.text());
    }
    assert_eq!(written(&server).await, before);
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_id_that_is_not_text_gets_the_error_envelope() {
    let (server, _upstream, _) = start().await;
    for (path, status, slug) in [
        ("/connected_accounts/%ff", 404, "ConnectedAccount_ResourceNotFound"),
        ("/auth_configs/%ff", 404, "AuthConfig_NotFound"),
        ("/toolkits/%ff", 404, "Toolkit_NotFound"),
        ("/tool_router/session/%ff", 400, "HTTP_BadRequest"),
        ("/tool_router/session/trs_%c3%28", 400, "HTTP_BadRequest"),
    ] {
        server.api.get(path).await.expect_error(status, slug);
        server.api.delete(path).await.expect_error(
            if path.contains("toolkits") { 405 } else { status },
            if path.contains("toolkits") { "HTTP_MethodNotAllowed" } else { slug },
        );
    }
    server
        .api
        .post("/tool_router/session/%ff/link", &json!({ "toolkit": "up" }))
        .await
        .expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_ignored_where_none_is_expected() {
    let (server, _upstream, session) = start().await;
    // Python's client 1.43 sends content-type without a body; others may send anything.
    for body in ["", "{", "[1]"] {
        server.api.call("GET", "/toolkits/up", body).await.expect(200);
    }
    server.api.call("DELETE", &format!("{SESSION}/{session}"), "not json").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_never_repeats_a_credential_of_the_request() {
    let (server, _upstream, _) = start().await;
    for credentials in [
        json!("canary-secret"),
        json!(["canary-secret"]),
        json!({ "client_id": ["canary-secret"] }),
        json!({ "client_secret": "canary-secret\n" }),
    ] {
        let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": {
            "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": credentials } });
        let reply = server.api.post("/auth_configs", &body).await;
        assert_eq!(reply.status, 400);
        assert!(!reply.text().contains("canary"), "{}", reply.text());
    }
}
