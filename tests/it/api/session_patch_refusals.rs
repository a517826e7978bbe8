//! What a change of a session may not be: each refusal names its place and changes nothing; a change
//! that comes too late is refused for good.

use serde_json::{Value, json};
use switchboard::id::Kind;

use super::help::{auth_config, connect_key, on_session, unknown, with_upstream};
use super::session_patch::{SESSIONS, create, patch, read};
use crate::support::server::TestServer;

#[tokio::test(flavor = "multi_thread")]
async fn a_patched_policy_must_pass_every_check_of_a_creation_and_a_refusal_changes_nothing() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let (_, foreign) = connect_key(api, "somebody-else", "up").await;
    let (_, one) = connect_key(api, "u", "up").await;
    let (_, two) = connect_key(api, "u", "up").await;
    let config = auth_config(api, "up", "API_KEY").await;
    let session = create(api, &json!({ "toolkits": { "enable": ["up"] }, "auth_configs": { "up": config }, "preload": { "tools": ["UP_A"] } })).await;
    let before = read(api, &session).await;
    let hook = json!({ "type": "before_execute", "id": "h", "applies_to": "all", "handler": { "type": "condition_check", "action": "block" } });
    for (body, status, slug, says) in [
        (json!({ "user_id": "somebody-else" }), 400, "HTTP_BadRequest", "unknown key \"user_id\""),
        (json!({ "toolkit": {} }), 400, "HTTP_BadRequest", "unknown key \"toolkit\""),
        (json!({ "config_version": 1 }), 400, "HTTP_BadRequest", "unknown key \"config_version\""),
        (json!({ "expectedConfigVersion": 1 }), 400, "HTTP_BadRequest", "unknown key \"expectedConfigVersion\""),
        (
            json!({ "manage_connections": { "enabled": true } }),
            400,
            "HTTP_BadRequest",
            "payload.manage_connections: unknown key \"enabled\"",
        ),
        (
            json!({ "multi_account": { "max": 2 } }),
            400,
            "HTTP_BadRequest",
            "payload.multi_account: unknown key \"max\"",
        ),
        (
            json!({ "workbench": { "size": "large" } }),
            400,
            "HTTP_BadRequest",
            "payload.workbench: unknown key \"size\"",
        ),
        (
            json!({ "toolkits": { "enabled": ["up"] } }),
            400,
            "HTTP_BadRequest",
            "payload.toolkits: unknown key \"enabled\"",
        ),
        (json!({ "toolkits": ["up"] }), 400, "HTTP_BadRequest", "payload.toolkits: must be an object"),
        (json!({ "toolkits": {} }), 400, "HTTP_BadRequest", "toolkits: give one of"),
        (
            json!({ "toolkits": { "enable": [1] } }),
            400,
            "HTTP_BadRequest",
            "payload.toolkits.enable[0]: must be a string",
        ),
        (json!({ "expected_config_version": "1" }), 400, "HTTP_BadRequest", "payload.expected_config_version: must be"),
        (
            json!({ "manage_connections": { "callback_url": "" } }),
            400,
            "HTTP_BadRequest",
            "manage_connections.callback_url",
        ),
        (
            json!({ "manage_connections": { "callback_url": "http://a.example.com" } }),
            400,
            "HTTP_BadRequest",
            "manage_connections.callback_url",
        ),
        (
            json!({ "multi_account": { "enable": false, "max_accounts_per_toolkit": 2 } }),
            400,
            "HTTP_BadRequest",
            "multi_account: `enable: false`",
        ),
        (
            json!({ "multi_account": { "enable": false, "require_explicit_selection": false } }),
            400,
            "HTTP_BadRequest",
            "multi_account: `enable: false`",
        ),
        (
            json!({ "multi_account": { "enable": true, "max_accounts_per_toolkit": 11 } }),
            400,
            "HTTP_BadRequest",
            "between 2 and 10",
        ),
        (
            json!({ "proxy_execute": { "enable": false }, "workbench": { "enable_proxy_execution": true } }),
            400,
            "HTTP_BadRequest",
            "proxy_execute",
        ),
        (
            json!({ "preload": { "tools": "all" }, "toolkits": null }),
            400,
            "HTTP_BadRequest",
            "preload.tools: \"all\" needs",
        ),
        (json!({ "instant": true }), 400, "HTTP_BadRequest", "payload.instant"),
        (
            json!({ "experimental": { "permissions": { "default": "sometimes" } } }),
            400,
            "HTTP_BadRequest",
            "payload.experimental",
        ),
        (json!({ "experimental": { "session_config_id": "sc_1" } }), 501, "HTTP_NotImplemented", ""),
        (json!({ "hooks": [hook] }), 400, "ToolRouterV2_BadRequest", ""),
        (json!({ "toolkits": { "enable": ["nope"] } }), 400, "ToolRouterV2_InvalidToolkitSlugs", ""),
        (json!({ "auth_configs": { "up": "ac_unknown" } }), 400, "ToolRouterV2_InvalidAuthConfigIds", ""),
        // The stored auth config stands for a toolkit that this would exclude.
        (json!({ "toolkits": { "disable": ["up"] }, "preload": null }), 400, "ToolRouterV2_InvalidAuthConfigIds", ""),
        (json!({ "connected_accounts": { "up": [foreign] } }), 400, "ToolRouterV2_InvalidConnectedAccountIds", ""),
        (json!({ "connected_accounts": { "up": [one, two] } }), 400, "ToolRouterV2_BadRequest", ""),
        // A tool that is listed from the start must be one that may be used.
        (
            json!({ "toolkits": { "enable": ["github"] }, "auth_configs": null }),
            400,
            "HTTP_BadRequest",
            "preload.tools: UP_A is outside",
        ),
        (
            json!({ "tools": { "up": { "enable": ["UP_B"] } } }),
            400,
            "HTTP_BadRequest",
            "preload.tools: UP_A is outside",
        ),
        (
            json!({ "tools": { "up": { "disable": ["UP_A"] } } }),
            400,
            "HTTP_BadRequest",
            "preload.tools: UP_A is outside",
        ),
        (json!([]), 400, "HTTP_BadRequest", "payload: must be an object"),
    ] {
        let error = patch(api, &session, &body).await.expect_error(status, slug);
        let lines = error["errors"].to_string().replace("\\\"", "\"");
        assert!(lines.contains(says), "{body}: {error}");
        assert_eq!(read(api, &session).await, before, "{body}");
    }
    let path = format!("{SESSIONS}/{session}");
    for (body, headers) in [("", vec![]), ("{", vec![]), ("{}", vec![("idempotency-key", "k")])] {
        api.call_with("PATCH", &path, &headers, body).await.expect_error(400, "HTTP_BadRequest");
    }
    assert_eq!(read(api, &session).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn preloaded_tools_must_be_allowed_from_the_creation_of_the_session_on() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    for (body, tool) in [
        (
            json!({ "toolkits": { "enable": ["github"] }, "preload": { "tools": ["GITHUB_GET_A_TREE", "UP_A"] } }),
            "UP_A",
        ),
        (json!({ "toolkits": { "disable": ["up"] }, "preload": { "tools": ["UP_A_B_C"] } }), "UP_A_B_C"),
        (json!({ "tools": { "up": { "enable": ["UP_B"] } }, "preload": { "tools": ["UP_A"] } }), "UP_A"),
        (json!({ "tools": { "up": { "disable": ["UP_A"] } }, "preload": { "tools": ["UP_A"] } }), "UP_A"),
    ] {
        let mut body = body;
        body["user_id"] = "u".into();
        let error = api.post(SESSIONS, &body).await.expect_error(400, "HTTP_BadRequest");
        let line = format!("Error in payload.preload.tools: {tool} is outside the session's toolkits and tools");
        assert_eq!(error["errors"], json!([line]), "{body}");
    }
    // What names no toolkit of this server may be the caller's own.
    for tool in ["LOCAL_CRM_A", "UPA", "UP", "_UP_A", ""] {
        create(api, &json!({ "toolkits": { "disable": ["up"] }, "preload": { "tools": [tool] } })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_size_of_a_policy_is_limited() {
    let server = TestServer::start().await;
    let session = create(&server.api, &json!({})).await;
    let change = |name: &str| json!({ "experimental": { name: "x".repeat(150_000) } });
    patch(&server.api, &session, &change("a")).await.expect(200);
    let error = patch(&server.api, &session, &change("b")).await.expect_error(400, "HTTP_BadRequest");
    assert!(error["errors"][0].as_str().unwrap().contains("262144 bytes"), "{error}");
    patch(&server.api, &session, &json!({ "experimental": { "a": null, "b": "x" } })).await.expect(200);
    let body = json!({ "user_id": "u", "experimental": { "a": "x".repeat(300_000) } });
    server.api.post(SESSIONS, &body).await.expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_deleted_and_foreign_sessions_get_the_same_response() {
    let server = TestServer::start().await;
    let other = server.other_project("other").await;
    let foreign = create(&other, &json!({})).await;
    let deleted = create(&server.api, &json!({})).await;
    server.api.delete(&format!("{SESSIONS}/{deleted}")).await.expect(200);
    for id in [unknown(Kind::Session), foreign.clone(), deleted] {
        for reply in [
            patch(&server.api, &id, &json!({ "tags": null })).await,
            on_session(&server.api, &id, "attach", &json!({})).await,
            server.api.get(&format!("{SESSIONS}/{id}/config_history")).await,
            server.api.get(&format!("{SESSIONS}/{id}/toolkits")).await,
        ] {
            let error = reply.expect_error(404, "ToolRouterV2_SessionNotFound");
            assert_eq!(error["message"], format!("Session \"{id}\" not found"));
        }
    }
    patch(&server.api, "ca_1", &json!({})).await.expect_error(400, "HTTP_BadRequest");
    assert_eq!(read(&other, &foreign).await["config_version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_an_outdated_version_is_refused_and_not_to_be_retried() {
    let server = TestServer::start().await;
    let session = create(&server.api, &json!({})).await;
    let change = |version: Value| json!({ "tags": ["readOnlyHint"], "expected_config_version": version });
    assert_eq!(patch(&server.api, &session, &change(json!(1))).await.expect(200)["config_version"], 2);
    let before = read(&server.api, &session).await;
    for stale in [1, 3, 0, -1, i64::MAX] {
        let reply = patch(&server.api, &session, &change(json!(stale))).await;
        let error = reply.expect_error(409, "ToolRouterV2_SessionConfigConflict");
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        assert!(error["message"].as_str().unwrap().contains("config_version 2"), "{error}");
        assert_eq!(read(&server.api, &session).await, before);
    }
    assert_eq!(patch(&server.api, &session, &change(Value::Null)).await.expect(200)["config_version"], 3);
}
