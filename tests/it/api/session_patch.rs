//! Changing a session (contract section 2.4): what is left out stays, `null` takes away, some blocks
//! are replaced and some merged; the outcome holds from the next call on.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::help::{auth_config, connect_key, on_session, proxy, text, with_upstream};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

pub const SESSIONS: &str = "/tool_router/session";

pub async fn create(api: &Api, body: &Value) -> String {
    let mut body = body.clone();
    body["user_id"] = "u".into();
    text(&api.post(SESSIONS, &body).await.expect(201), "session_id")
}

pub async fn patch(api: &Api, session: &str, body: &Value) -> Reply {
    api.call("PATCH", &format!("{SESSIONS}/{session}"), body.to_string()).await
}

pub async fn read(api: &Api, session: &str) -> Value {
    api.get(&format!("{SESSIONS}/{session}")).await.expect(200)
}

/// Creates with one body, changes by another, and looks at one place of the outcome; `null` for
/// nothing there.
async fn outcome(api: &Api, before: &Value, change: &Value, at: &str) -> Value {
    let session = create(api, before).await;
    let changed = patch(api, &session, change).await.expect(200);
    assert_eq!(changed["config_version"], 2, "{change}");
    assert_eq!(read(api, &session).await, changed, "what was answered is what was stored");
    changed.pointer(at).cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_blocks_keep_no_earlier_field() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let (one, two) = (auth_config(api, "up", "API_KEY").await, auth_config(api, "up", "API_KEY").await);
    let (_, own) = connect_key(api, "u", "up").await;
    let (_, other) = connect_key(api, "u", "up").await;
    for (block, before, change, expected) in [
        ("toolkits", json!({ "enable": ["up"] }), json!({ "disable": ["GitHub"] }), json!({ "disabled": ["github"] })),
        (
            "toolkits",
            json!({ "enable": ["up"], "require_approval": ["up"] }),
            json!({ "enable": ["up", "github"] }),
            json!({ "enabled": ["up", "github"] }),
        ),
        (
            "tools",
            json!({ "up": { "disable": ["UP_A"] }, "github": { "enable": ["GITHUB_GET_A_TREE"] } }),
            json!({ "GitHub": { "tags": ["readOnlyHint"] } }),
            json!({ "github": { "tags": { "enabled": ["readOnlyHint"] } } }),
        ),
        (
            "tags",
            json!({ "enable": ["readOnlyHint"], "disable": ["destructiveHint"] }),
            json!(["createHint"]),
            json!({ "enabled": ["createHint"] }),
        ),
        ("auth_configs", json!({ "up": one }), json!({ "UP": two }), json!({ "up": two })),
        ("auth_configs", json!({ "up": one }), json!({}), json!({})),
        ("connected_accounts", json!({ "up": [own] }), json!({ "Up": [other] }), json!({ "up": [other] })),
        ("connected_accounts", json!({ "up": [own] }), json!({ "up": other }), json!({ "up": [other] })),
        ("preload", json!({ "tools": ["UP_A", "UP_B"] }), json!({ "tools": ["UP_C"] }), json!({ "tools": ["UP_C"] })),
        ("preload", json!({ "tools": ["UP_A"] }), json!({}), json!({ "tools": [] })),
        ("hooks", json!([]), json!([]), json!([])),
        ("search", json!({ "enable": false }), json!({}), json!({ "enable": true })),
        ("execute", json!({ "enable_multi_execute": false }), json!({}), json!({ "enable_multi_execute": true })),
        ("proxy_execute", json!({ "enable": false }), json!({ "enable": true }), json!({ "enable": true })),
    ] {
        let got = outcome(api, &json!({ block: before }), &json!({ block: change }), &format!("/config/{block}")).await;
        assert_eq!(got, expected, "{block}: {before} then {change}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn merged_blocks_keep_the_fields_that_are_not_named() {
    let server = TestServer::start().await;
    let manage = json!({ "enable": false, "callback_url": "https://a.example.com/x", "enable_wait_for_connections": true, "enable_connection_removal": false });
    let work = json!({ "enable_tool_execution": true, "enable_proxy_execution": false, "auto_offload_threshold": 7, "sandbox_size": "large" });
    let multi = json!({ "enable": true, "max_accounts_per_toolkit": 3, "require_explicit_selection": true });
    let instant = json!({ "toolkits": { "enable": ["github"] }, "tools": { "github": { "disable": ["GITHUB_GET_A_TREE"] } }, "return_instant_charge": true, "return_prices_in_search": true });
    let experimental = json!({ "link_url_overwrite": "https://l.example.com", "fast_mode": true, "permissions": { "default": "ask_every_call" }, "of_ours": { "a": 1 } });
    for (block, before, change, field, expected) in [
        ("manage_connections", &manage, json!({}), "callback_url", json!("https://a.example.com/x")),
        ("manage_connections", &manage, json!({ "callback_url": null }), "callback_url", Value::Null),
        ("manage_connections", &manage, json!({ "callback_url": null }), "enable_wait_for_connections", json!(true)),
        ("manage_connections", &manage, json!({ "enable": true }), "enabled", json!(true)),
        ("manage_connections", &manage, json!({ "enable": true }), "enable_connection_removal", json!(false)),
        (
            "manage_connections",
            &manage,
            json!({ "enable_connection_removal": null }),
            "enable_connection_removal",
            json!(true),
        ),
        ("manage_connections", &manage, json!({ "enable": null }), "enabled", json!(true)),
        (
            "manage_connections",
            &manage,
            json!({ "callback_url": "https://b.example.com/" }),
            "callback_url",
            json!("https://b.example.com/"),
        ),
        ("workbench", &work, json!({ "sandbox_size": "xlarge" }), "sandbox_size", json!("xlarge")),
        ("workbench", &work, json!({ "sandbox_size": "xlarge" }), "auto_offload_threshold", json!(7)),
        ("workbench", &work, json!({ "auto_offload_threshold": null }), "auto_offload_threshold", Value::Null),
        ("workbench", &work, json!({ "auto_offload_threshold": 0.5 }), "auto_offload_threshold", json!(0.5)),
        ("workbench", &work, json!({ "enable_proxy_execution": true }), "proxy_execution_enabled", json!(true)),
        ("workbench", &work, json!({ "enable_tool_execution": null }), "tool_execution_enabled", Value::Null),
        ("multi_account", &multi, json!({ "max_accounts_per_toolkit": 4 }), "require_explicit_selection", json!(true)),
        ("multi_account", &multi, json!({ "max_accounts_per_toolkit": 4 }), "max_accounts_per_toolkit", json!(4)),
        ("multi_account", &multi, json!({ "max_accounts_per_toolkit": null }), "max_accounts_per_toolkit", Value::Null),
        ("multi_account", &multi, json!({ "enable": false }), "enable", json!(false)),
        ("multi_account", &multi, json!({ "enable": false }), "max_accounts_per_toolkit", Value::Null),
        ("multi_account", &multi, json!({ "enable": false }), "require_explicit_selection", Value::Null),
        ("instant", &instant, json!({ "return_instant_charge": false }), "return_prices_in_search", json!(true)),
        ("instant", &instant, json!({ "return_instant_charge": false }), "return_instant_charge", json!(false)),
        (
            "instant",
            &instant,
            json!({ "toolkits": { "disable": ["gmail"] } }),
            "toolkits",
            json!({ "disabled": ["gmail"] }),
        ),
        ("instant", &instant, json!({ "toolkits": null }), "toolkits", Value::Null),
        (
            "instant",
            &instant,
            json!({ "toolkits": null }),
            "tools",
            json!({ "github": { "disabled": ["GITHUB_GET_A_TREE"] } }),
        ),
    ] {
        let at = format!("/config/{block}/{field}");
        let got = outcome(&server.api, &json!({ block: before }), &json!({ block: change }), &at).await;
        assert_eq!(got, expected, "{block}.{field}: {change}");
    }
    for (change, expected) in [
        (
            json!({ "fast_mode": false }),
            json!({ "link_url_overwrite": "https://l.example.com", "fast_mode": false, "permissions": { "default": "ask_every_call" }, "of_ours": { "a": 1 } }),
        ),
        (
            json!({ "permissions": null, "of_ours": null }),
            json!({ "link_url_overwrite": "https://l.example.com", "fast_mode": true }),
        ),
        (
            json!({ "of_ours": { "b": 2 }, "link_url_overwrite": null, "permissions": null, "fast_mode": null }),
            json!({ "of_ours": { "b": 2 } }),
        ),
    ] {
        let body = json!({ "experimental": change });
        let got = outcome(&server.api, &json!({ "experimental": experimental }), &body, "/experimental").await;
        assert_eq!(got, expected, "{change}");
    }
    // Where nothing was stored, the fields given are all there is.
    let at = "/config/multi_account";
    let got = outcome(&server.api, &json!({}), &json!({ "multi_account": { "enable": true } }), at).await;
    assert_eq!(got, json!({ "enable": true }));
    // And a disabled block is set up again.
    let change = json!({ "multi_account": { "max_accounts_per_toolkit": 2, "enable": true } });
    let got = outcome(&server.api, &json!({ "multi_account": { "enable": false } }), &change, at).await;
    assert_eq!(got, json!({ "enable": true, "max_accounts_per_toolkit": 2 }));
    let (before, change) = (json!({ "instant": instant }), json!({ "premium_usage": false }));
    assert_eq!(outcome(&server.api, &before, &change, "/config/instant").await, false);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_blocks_stay_and_null_restores_each_block_s_default() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let (_, account) = connect_key(api, "u", "up").await;
    let whole = json!({
        "toolkits": { "enable": ["up"] }, "tools": { "up": { "disable": ["UP_A"] } }, "tags": ["readOnlyHint"],
        "auth_configs": { "up": config }, "connected_accounts": { "up": [account] },
        "manage_connections": { "enable": false }, "workbench": { "sandbox_size": "large" },
        "multi_account": { "enable": true }, "preload": { "tools": ["UP_B"] }, "search": { "enable": false },
        "execute": { "enable_multi_execute": false }, "proxy_execute": { "enable": true },
        "instant": { "return_instant_charge": true }, "hooks": [], "experimental": { "fast_mode": true },
    });
    let plain = read(api, &create(api, &json!({})).await).await;
    let blocks: Vec<String> = whole.as_object().unwrap().keys().cloned().collect();
    assert_eq!(blocks.len(), 15);
    for block in &blocks {
        let session = create(api, &whole).await;
        let before = read(api, &session).await;
        let after = patch(api, &session, &json!({ block: null })).await.expect(200);
        let place = |view: &Value, name: &str| match name {
            "experimental" => view.get(name).cloned().unwrap_or_default(),
            _ => view["config"].get(name).cloned().unwrap_or_default(),
        };
        for other in &blocks {
            let expected = if other == block { place(&plain, other) } else { place(&before, other) };
            assert_eq!(place(&after, other), expected, "{other} after {block}: null");
        }
        assert_eq!(after["config"]["user_id"], "u");
    }
    // Nothing said is nothing changed, and still a version of its own.
    let session = create(api, &whole).await;
    let before = read(api, &session).await;
    let after = patch(api, &session, &json!({})).await.expect(200);
    assert_eq!((&after["config"], &after["config_version"]), (&before["config"], &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_all_apply_or_exactly_one_with_the_same_expected_version() {
    let server = TestServer::start().await;
    let session = create(&server.api, &json!({})).await;
    let all = |body: fn(usize) -> Value| {
        let (api, session) = (server.api.clone(), session.clone());
        async move {
            let tasks: Vec<_> = (0..20)
                .map(|number| {
                    let (api, session) = (api.clone(), session.clone());
                    tokio::spawn(async move { patch(&api, &session, &body(number)).await })
                })
                .collect();
            let mut replies = Vec::new();
            for task in tasks {
                replies.push(task.await.unwrap());
            }
            replies
        }
    };
    // Each sets a field of its own, so that a lost change would show.
    let replies = all(|number| json!({ "experimental": { format!("field_{number}"): number } })).await;
    let versions: BTreeSet<i64> = replies.iter().map(|it| it.expect(200)["config_version"].as_i64().unwrap()).collect();
    assert_eq!(versions, (2..=21).collect());
    let now = read(&server.api, &session).await;
    assert_eq!(now["config_version"], 21);
    for number in 0..20 {
        assert_eq!(now["experimental"][format!("field_{number}")], number, "{now}");
    }
    let history = server.api.get(&format!("{SESSIONS}/{session}/config_history?limit=100")).await.expect(200);
    let listed: Vec<i64> =
        history["items"].as_array().unwrap().iter().map(|it| it["version"].as_i64().unwrap()).collect();
    assert_eq!(listed, (1..=21).rev().collect::<Vec<i64>>());

    let replies =
        all(|number| json!({ "experimental": { format!("late_{number}"): number }, "expected_config_version": 21 }))
            .await;
    let won = replies.iter().filter(|it| it.status == 200).count();
    assert_eq!(won, 1);
    for reply in replies.iter().filter(|it| it.status != 200) {
        reply.expect_error(409, "ToolRouterV2_SessionConfigConflict");
    }
    assert_eq!(read(&server.api, &session).await["config_version"], 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_policy_applies_from_the_next_call_on() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let (session, account) = connect_key(api, "u", "up").await;
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    let link = json!({ "toolkit": "up" });
    proxy(api, &session, &call).await.expect(200);
    on_session(api, &session, "link", &link).await.expect(201);
    upstream.take();
    patch(api, &session, &json!({ "toolkits": { "enable": ["github"] } })).await.expect(200);
    proxy(api, &session, &call).await.expect_error(403, "ToolRouterV2_ToolkitNotAllowed");
    on_session(api, &session, "link", &link).await.expect_error(403, "ToolRouterV2_ToolkitNotAllowed");
    patch(api, &session, &json!({ "toolkits": null, "proxy_execute": { "enable": false } })).await.expect(200);
    proxy(api, &session, &call).await.expect_error(403, "HTTP_Forbidden");
    patch(api, &session, &json!({ "proxy_execute": null, "connected_accounts": { "up": [account] } }))
        .await
        .expect(200);
    on_session(api, &session, "link", &link).await.expect_error(400, "ToolRouterV2_BadRequest");
    assert!(upstream.take().is_empty(), "nothing went out while it was forbidden");
    proxy(api, &session, &call).await.expect(200);
    let other = auth_config(api, "up", "API_KEY").await;
    patch(api, &session, &json!({ "connected_accounts": null, "auth_configs": { "up": other } })).await.expect(200);
    proxy(api, &session, &call).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    // Each change is in the audit log, with what it spoke of.
    let events = server.app.core.store.audit_events(&server.project_id, &session).await.unwrap();
    let updates = events.iter().filter(|event| event.action == "session.update");
    let mut details: Vec<Value> =
        updates.map(|event| serde_json::from_str(event.detail.as_deref().unwrap()).unwrap()).collect();
    details.sort_by_key(|detail| detail["config_version"].as_i64());
    assert_eq!(
        details,
        [
            json!({ "config_version": 2, "blocks": ["toolkits"] }),
            json!({ "config_version": 3, "blocks": ["toolkits", "proxy_execute"] }),
            json!({ "config_version": 4, "blocks": ["connected_accounts", "proxy_execute"] }),
            json!({ "config_version": 5, "blocks": ["auth_configs", "connected_accounts"] }),
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_tools_are_echoed_by_patch_and_attach_and_not_stored() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = create(api, &json!({ "experimental": { "fast_mode": true } })).await;
    let schema = json!({ "type": "object", "properties": {} });
    let tool = json!({ "slug": "look_up", "name": "Look up", "description": "Finds it", "input_schema": schema });
    let tools = json!({ "experimental": { "custom_tools": [tool], "custom_toolkits": [{ "slug": "crm", "name": "CRM", "description": "Ours", "tools": [tool] }] } });
    let stored = read(api, &session).await;
    let attached = on_session(api, &session, "attach", &tools).await.expect(200);
    assert_eq!(attached["experimental"]["custom_tools"][0]["slug"], "LOCAL_LOOK_UP");
    assert_eq!(attached["experimental"]["custom_tools"][0]["original_slug"], "look_up");
    assert_eq!(attached["experimental"]["custom_toolkits"][0]["tools"][0]["slug"], "LOCAL_CRM_LOOK_UP");
    assert_eq!(attached["experimental"]["fast_mode"], true);
    assert_eq!((&attached["config"], &attached["config_version"]), (&stored["config"], &json!(1)));
    assert_eq!(read(api, &session).await, stored);
    for body in [
        json!({}),
        json!({ "experimental": null }),
        json!({ "experimental": {} }),
        json!({ "experimental": { "custom_tools": null } }),
    ] {
        assert_eq!(on_session(api, &session, "attach", &body).await.expect(200), stored, "{body}");
    }
    let mut wrong = tools.clone();
    wrong["experimental"]["custom_tools"][0]["input_schema"] = json!({ "type": "object" });
    on_session(api, &session, "attach", &wrong).await.expect_error(400, "ToolRouterV2_BadRequest");
    wrong["experimental"]["custom_tools"][0] = tool.clone();
    wrong["experimental"]["custom_tools"][0]["extends_toolkit"] = "nope".into();
    on_session(api, &session, "attach", &wrong).await.expect_error(400, "ToolRouterV2_InvalidToolkitSlugs");
    on_session(api, &session, "attach", &json!([])).await.expect_error(400, "HTTP_BadRequest");

    let changed = patch(api, &session, &tools).await.expect(200);
    assert_eq!(changed["experimental"], attached["experimental"]);
    assert_eq!(read(api, &session).await["experimental"], json!({ "fast_mode": true }));
    patch(api, &session, &wrong).await.expect_error(400, "ToolRouterV2_InvalidToolkitSlugs");
}
