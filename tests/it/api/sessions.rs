//! Sessions: every field of a creation comes back under its output name (contract sections 2.1,
//! 2.3, 2.5); an id ends with its session.

use serde_json::{Value, json};

use super::help::{auth_config, connect_key, finish, text, with_upstream};
use super::meta_tools::META_TOOLS;
use crate::support::http::Api;
use crate::support::server::TestServer;

const SESSIONS: &str = "/tool_router/session";

async fn create(api: &Api, body: &Value) -> Value {
    api.post(SESSIONS, body).await.expect(201)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_only_a_user_shows_every_default() {
    let server = TestServer::start().await;
    let made = create(&server.api, &json!({ "user_id": "user-1" })).await;
    let id = text(&made, "session_id");
    assert!(id.starts_with("trs_"), "{id}");
    let expected = json!({
        "session_id": id,
        // Same origin as the API, or the SDKs refuse to talk to it.
        "mcp": { "type": "http", "url": format!("{}/tool_router/{id}/mcp", server.url) },
        "tool_router_tools": META_TOOLS,
        "config": {
            "user_id": "user-1",
            "manage_connections": {
                "enabled": true, "enable_wait_for_connections": false, "enable_connection_removal": true,
            },
            "workbench": { "enable": false },
            "instant": false,
            "preload": { "tools": [] },
            "search": { "enable": true },
            "execute": { "enable_multi_execute": true },
        },
        "config_version": 1,
        "warnings": [],
    });
    assert_eq!(made, expected);
    assert_eq!(server.api.get(&format!("{SESSIONS}/{id}")).await.expect(200), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_is_kept_and_returned_under_its_output_name() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let (_, account) = connect_key(api, "user-1", "up").await;
    let body = json!({
        "user_id": "user-1",
        "toolkits": { "enable": ["up", "GitHub", "gmail"], "require_approval": ["GMAIL"] },
        "auth_configs": { "UP": config },
        "connected_accounts": { "Up": [account] },
        "tools": {
            "github": { "enable": ["GITHUB_GET_A_REPOSITORY"], "require_approval": ["GITHUB_DELETE_A_REPOSITORY"] },
            "GMAIL": { "tags": ["readOnlyHint", "createHint"] },
            "up": { "tags": { "disable": ["destructiveHint"], "require_approval": ["updateHint"] } },
        },
        "tags": { "enable": ["readOnlyHint", "idempotentHint"], "disable": ["openWorldHint"], "require_approval": ["createHint"] },
        "manage_connections": {
            "enable": false, "callback_url": "https://app.example.com/done?x=1",
            "enable_wait_for_connections": true, "enable_connection_removal": false,
        },
        "workbench": {
            "enable": true, "enable_proxy_execution": false, "enable_tool_execution": true,
            "auto_offload_threshold": 12345, "sandbox_size": "xlarge",
        },
        "multi_account": { "enable": true, "max_accounts_per_toolkit": 3, "require_explicit_selection": true },
        "preload": { "tools": ["GITHUB_GET_A_REPOSITORY"] },
        "search": { "enable": false },
        "execute": { "enable_multi_execute": false },
        "proxy_execute": { "enable": true },
        "instant": false,
        "hooks": [],
        "experimental": {
            "assistive_prompt_config": { "user_timezone": "Europe/Berlin" },
            "permissions": { "default": "ask_every_call", "overrides": { "X:__none__": "always_deny" } },
            "link_url_overwrite": "https://connect.example.com",
            "fast_mode": true,
            "submit_feedback": { "enable": false },
            "restrict_egress_to_composio": false,
            "no_elicitation_support_fallback": "deny",
        },
    });
    let made = create(api, &body).await;
    let expected = json!({
        "user_id": "user-1",
        "toolkits": { "enabled": ["up", "github", "gmail"], "require_approval": ["gmail"] },
        "auth_configs": { "up": config },
        "connected_accounts": { "up": [account] },
        "tools": {
            "github": { "enabled": ["GITHUB_GET_A_REPOSITORY"], "require_approval": ["GITHUB_DELETE_A_REPOSITORY"] },
            "gmail": { "tags": { "enabled": ["readOnlyHint", "createHint"] } },
            "up": { "tags": { "disabled": ["destructiveHint"], "require_approval": ["updateHint"] } },
        },
        "tags": { "enabled": ["readOnlyHint", "idempotentHint"], "disabled": ["openWorldHint"], "require_approval": ["createHint"] },
        "manage_connections": {
            "enabled": false, "callback_url": "https://app.example.com/done?x=1",
            "enable_wait_for_connections": true, "enable_connection_removal": false,
        },
        // This server runs no code and says so, whatever was asked.
        "workbench": {
            "enable": false, "proxy_execution_enabled": false, "tool_execution_enabled": true,
            "auto_offload_threshold": 12345, "sandbox_size": "xlarge",
        },
        "multi_account": { "enable": true, "max_accounts_per_toolkit": 3, "require_explicit_selection": true },
        "preload": { "tools": ["GITHUB_GET_A_REPOSITORY"] },
        "search": { "enable": false },
        "execute": { "enable_multi_execute": false },
        "proxy_execute": { "enable": true },
        "instant": false,
        "hooks": [],
    });
    assert_eq!(made["config"], expected);
    assert_eq!(made["experimental"], body["experimental"]);
    let read = api.get(&format!("{SESSIONS}/{}", text(&made, "session_id"))).await.expect(200);
    assert_eq!(read, made, "what was stored is what was said");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_form_of_a_field_is_parsed() {
    let (server, _upstream) = with_upstream().await;
    let (_, account) = connect_key(&server.api, "u", "up").await;
    for (given, at, expected) in [
        (json!({ "toolkits": { "enable": [] } }), "/toolkits", json!({ "enabled": [] })),
        (json!({ "toolkits": { "disable": [] } }), "/toolkits", json!({ "disabled": [] })),
        (json!({ "toolkits": { "disable": ["SLACK"] } }), "/toolkits", json!({ "disabled": ["slack"] })),
        (
            json!({ "toolkits": { "require_approval": ["slack"] } }),
            "/toolkits",
            json!({ "require_approval": ["slack"] }),
        ),
        (json!({ "tags": ["destructiveHint"] }), "/tags", json!({ "enabled": ["destructiveHint"] })),
        (json!({ "tools": { "dropbox": { "disable": ["X"] } } }), "/tools/dropbox", json!({ "disabled": ["X"] })),
        (
            json!({ "tools": { "slack": { "require_approval": ["X"] } } }),
            "/tools/slack",
            json!({ "require_approval": ["X"] }),
        ),
        // Older clients send a bare id.
        (json!({ "connected_accounts": { "up": account } }), "/connected_accounts/up", json!([account])),
        (
            json!({ "toolkits": { "enable": ["up"] }, "preload": { "tools": "all" } }),
            "/preload",
            json!({ "tools": "all" }),
        ),
        (json!({ "workbench": { "auto_offload_threshold": 0.5 } }), "/workbench/auto_offload_threshold", json!(0.5)),
        (json!({ "proxy_execute": { "enable": false } }), "/proxy_execute", json!({ "enable": false })),
        (json!({ "multi_account": { "enable": false } }), "/multi_account", json!({ "enable": false })),
        (
            json!({ "instant": { "toolkits": { "enable": ["slack"] } } }),
            "/instant",
            json!({ "toolkits": { "enabled": ["slack"] }, "return_instant_charge": false, "return_prices_in_search": false }),
        ),
        (json!({ "manage_connections": {} }), "/manage_connections/enabled", json!(true)),
    ] {
        let mut body = given.clone();
        body["user_id"] = "u".into();
        let made = create(&server.api, &body).await;
        assert_eq!(made["config"].pointer(at), Some(&expected), "{given}: {made}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_null_block_is_an_absent_block() {
    let server = TestServer::start().await;
    let plain = create(&server.api, &json!({ "user_id": "u" })).await;
    for block in [
        "toolkits",
        "tools",
        "tags",
        "auth_configs",
        "connected_accounts",
        "manage_connections",
        "workbench",
        "multi_account",
        "preload",
        "search",
        "execute",
        "proxy_execute",
        "instant",
        "hooks",
        "experimental",
    ] {
        let made = create(&server.api, &json!({ "user_id": "u", block: null })).await;
        assert_eq!(made["config"], plain["config"], "{block}");
        assert!(made.get("experimental").is_none(), "{block}: {made}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_preloaded_tools_are_a_warning_and_no_error() {
    let server = TestServer::start().await;
    for (count, warned) in [(20, false), (21, true)] {
        let tools: Vec<String> = (0..count).map(|number| format!("DROPBOX_TOOL_{number}")).collect();
        let made = create(&server.api, &json!({ "user_id": "u", "preload": { "tools": tools } })).await;
        let codes: Vec<&Value> = made["warnings"].as_array().unwrap().iter().map(|it| &it["code"]).collect();
        assert_eq!(codes == ["PRELOAD_TOOLS_HIGH_CONTEXT_USAGE"], warned, "{made}");
        assert_eq!(made["config"]["preload"]["tools"], json!(tools));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_tools_are_echoed_with_their_final_slugs_and_not_stored() {
    let server = TestServer::start().await;
    let schema = json!({ "type": "object", "properties": { "q": { "type": "string" } } });
    let tool = json!({ "slug": "look_up", "name": "Look up", "description": "Finds it", "input_schema": schema });
    let body = json!({ "user_id": "u", "experimental": {
        "custom_toolkits": [{ "slug": "crm", "name": "CRM", "description": "Ours", "tools": [tool] }],
        "custom_tools": [tool],
    }});
    let made = create(&server.api, &body).await;
    let inner = &made["experimental"]["custom_toolkits"][0]["tools"][0];
    let outer = &made["experimental"]["custom_tools"][0];
    for (shown, slug) in [(inner, "LOCAL_CRM_LOOK_UP"), (outer, "LOCAL_LOOK_UP")] {
        assert_eq!((&shown["slug"], &shown["original_slug"]), (&json!(slug), &json!("look_up")), "{made}");
        assert_eq!(shown["input_schema"], schema);
    }
    let read = server.api.get(&format!("{SESSIONS}/{}", text(&made, "session_id"))).await.expect(200);
    assert!(!read.to_string().contains("LOCAL_"), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_makes_a_new_session_even_for_the_same_input() {
    let server = TestServer::start().await;
    let body = json!({ "user_id": "u" });
    let (one, two) = (create(&server.api, &body).await, create(&server.api, &body).await);
    assert_ne!(one["session_id"], two["session_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_prefixes_serve_the_same_data() {
    let (server, _upstream) = with_upstream().await;
    let mut old = server.api.clone();
    old.base = format!("{}/api/v3", server.url);
    let made = create(&old, &json!({ "user_id": "u", "toolkits": { "enable": ["up"] } })).await;
    let id = text(&made, "session_id");
    assert_eq!(server.api.get(&format!("{SESSIONS}/{id}")).await.expect(200), made);
    let account = finish(&old, &old.link(&id, "up").await, &[("generic_api_key", "secret-value-1")]).await;
    for path in ["/connected_accounts", &format!("/connected_accounts/{account}"), "/auth_configs", "/toolkits/up"] {
        assert_eq!(old.get(path).await.expect(200), server.api.get(path).await.expect(200), "{path}");
    }
    old.delete(&format!("{SESSIONS}/{id}")).await.expect(200);
    server.api.get(&format!("{SESSIONS}/{id}")).await.expect_error(404, "ToolRouterV2_SessionNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_session_is_unknown_to_every_operation_and_a_second_delete() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let (id, account) = connect_key(api, "u", "up").await;
    let path = format!("{SESSIONS}/{id}");
    assert_eq!(api.delete(&path).await.expect(200), json!({ "session_id": id, "deleted": true }));
    let link = json!({ "toolkit": "up" });
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    for reply in [
        api.delete(&path).await,
        api.delete(&path).await,
        api.get(&path).await,
        api.post(&format!("{path}/link"), &link).await,
        api.post(&format!("{path}/proxy_execute"), &call).await,
    ] {
        let error = reply.expect_error(404, "ToolRouterV2_SessionNotFound");
        assert_eq!(error["message"], format!("Session \"{id}\" not found"));
    }
    assert!(upstream.take().is_empty());
    assert_eq!(api.status(&account).await, "ACTIVE", "accounts outlive the session that made them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_id_is_a_bad_request_and_an_unknown_one_is_not_found() {
    let server = TestServer::start().await;
    let long = format!("trs_{}", "a".repeat(65));
    for id in
        ["x", "ca_LX9uJKBinWWr", "trs_", "trs_a.b", "TRS_LX9uJKBinWWr", "trs_%00", "trs_a%2Fb", "trs_%C3%A9", &long]
    {
        for method in ["GET", "DELETE"] {
            let error =
                server.api.call(method, &format!("{SESSIONS}/{id}"), "").await.expect_error(400, "HTTP_BadRequest");
            assert!(error["errors"][0].as_str().unwrap().starts_with("Error in path.session_id"), "{id}: {error}");
        }
    }
    for id in ["trs_LX9uJKBinWWr", "trs_--------____"] {
        server.api.get(&format!("{SESSIONS}/{id}")).await.expect_error(404, "ToolRouterV2_SessionNotFound");
        server.api.delete(&format!("{SESSIONS}/{id}")).await.expect_error(404, "ToolRouterV2_SessionNotFound");
    }
}
