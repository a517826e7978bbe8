//! What a session refuses: unknown keys by name, policies that contradict themselves, toolkits,
//! auth configs and accounts that it may not name (contract section 2.1).

use serde_json::{Value, json};

use super::help::{auth_config, connect_key, sql, text, with_upstream};
use crate::support::http::Api;
use crate::support::server::TestServer;

/// The body with a user, refused as a validation error; the lines of `errors`.
async fn refused(api: &Api, body: &Value) -> Vec<String> {
    let mut body = body.clone();
    body["user_id"] = "u".into();
    let error = api.post("/tool_router/session", &body).await.expect_error(400, "HTTP_BadRequest");
    assert_eq!(error["code"], 10400);
    assert_eq!(error["message"], "Validation error while processing request", "{body}");
    error["errors"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_are_refused_by_name_at_the_root_and_inside_blocks() {
    let server = TestServer::start().await;
    for (body, place, key) in [
        (json!({ "toolkit": {} }), "", "toolkit"),
        (json!({ "userId": "u" }), "", "userId"),
        (json!({ "project_id": "pr_1" }), "", "project_id"),
        (json!({ "session_id": "trs_1" }), "", "session_id"),
        (json!({ "config_version": 7 }), "", "config_version"),
        (json!({ "toolkits": { "enabled": ["github"] } }), "toolkits", "enabled"),
        (json!({ "tools": { "github": { "enabled": [] } } }), "tools.github", "enabled"),
        (json!({ "tags": { "enabled": [] } }), "tags", "enabled"),
        (json!({ "tools": { "github": { "tags": { "include": [] } } } }), "tools.github.tags", "include"),
        (json!({ "manage_connections": { "enabled": true } }), "manage_connections", "enabled"),
        (json!({ "workbench": { "proxy_execution_enabled": true } }), "workbench", "proxy_execution_enabled"),
        (json!({ "multi_account": { "max": 2 } }), "multi_account", "max"),
        (json!({ "preload": { "all": true } }), "preload", "all"),
        (json!({ "search": { "enabled": true } }), "search", "enabled"),
        (json!({ "execute": { "enable": true } }), "execute", "enable"),
        (json!({ "proxy_execute": { "enable": true, "x": 1 } }), "proxy_execute", "x"),
    ] {
        let errors = refused(&server.api, &body).await;
        assert_eq!(errors.len(), 1, "{errors:?}");
        let place = if place.is_empty() { "payload".to_owned() } else { format!("payload.{place}") };
        let expected = format!("Error in {place}: unknown key \"{key}\"");
        // Unions are read by hand and say it in serde's words.
        let or = format!("Error in {place}: unknown field `{key}`");
        let or_tags = format!("Error in {place}: a list of tags, or an object: unknown field `{key}`");
        let said = [expected, or, or_tags].iter().any(|it| errors[0].starts_with(it));
        assert!(said, "{body}: {errors:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_contradiction_is_refused_at_its_field() {
    let server = TestServer::start().await;
    let url = |url: &str| json!({ "manage_connections": { "callback_url": url } });
    for (body, line) in [
        (json!({ "toolkits": { "enable": [], "disable": [] } }), "toolkits: give either"),
        (json!({ "toolkits": {} }), "toolkits: give one of"),
        (json!({ "toolkits": { "require_approval": [] } }), "toolkits.require_approval: must hold at least one"),
        (json!({ "tools": { "github": {} } }), "tools.github: give one of"),
        (json!({ "tools": { "github": { "enable": [], "disable": [] } } }), "tools.github: give only one of"),
        (json!({ "tools": { "github": { "enable": [], "tags": [] } } }), "tools.github: give only one of"),
        (json!({ "tools": { "github": { "disable": [], "tags": {} } } }), "tools.github: give only one of"),
        (json!({ "tags": { "require_approval": [] } }), "tags.require_approval: must hold at least one"),
        (json!({ "connected_accounts": { "github": [] } }), "connected_accounts.github: must hold at least one"),
        (
            json!({ "workbench": { "auto_offload_threshold": 0 } }),
            "workbench.auto_offload_threshold: must be more than 0",
        ),
        (
            json!({ "workbench": { "auto_offload_threshold": -1 } }),
            "workbench.auto_offload_threshold: must be more than 0",
        ),
        (
            json!({ "multi_account": { "max_accounts_per_toolkit": 1 } }),
            "multi_account.max_accounts_per_toolkit: must be between",
        ),
        (
            json!({ "multi_account": { "max_accounts_per_toolkit": 11 } }),
            "multi_account.max_accounts_per_toolkit: must be between",
        ),
        (
            json!({ "multi_account": { "enable": false, "max_accounts_per_toolkit": 3 } }),
            "multi_account: `enable: false`",
        ),
        (
            json!({ "multi_account": { "enable": false, "require_explicit_selection": true } }),
            "multi_account: `enable: false`",
        ),
        (
            json!({ "proxy_execute": { "enable": false }, "workbench": { "enable_proxy_execution": true } }),
            "proxy_execute: `enable: false` contradicts",
        ),
        (json!({ "preload": { "tools": "all" } }), "preload.tools: \"all\" needs"),
        (
            json!({ "preload": { "tools": "all" }, "tags": ["readOnlyHint"], "multi_account": { "enable": true } }),
            "preload.tools: \"all\" does not go with",
        ),
        (json!({ "instant": true }), "instant: must be false or an object"),
        (json!({ "instant": "yes" }), "instant: must be false or an object"),
        (url(""), "manage_connections.callback_url: must not be empty"),
        (url("javascript:alert(1)"), "manage_connections.callback_url: must be an absolute URL"),
        (
            json!({ "experimental": { "link_url_overwrite": "http://evil.test" } }),
            "experimental.link_url_overwrite: must use https",
        ),
    ] {
        let errors = refused(&server.api, &body).await;
        assert!(errors.iter().any(|it| it.starts_with(&format!("Error in payload.{line}"))), "{body}: {errors:?}");
    }
}

/// What two spellings of one key say cannot both hold, and the one that is lost would be allowed.
#[tokio::test(flavor = "multi_thread")]
async fn a_rule_in_two_spellings_is_refused_at_creation_and_in_a_change() {
    let server = TestServer::start().await;
    let policy = json!({ "user_id": "u", "tools": { "GitHub": { "disable": ["github_get_a_repository"] } } });
    let session = server.api.post("/tool_router/session", &policy).await.expect(201);
    // Toolkits are shown in lower case and tools in upper case, however they were written.
    assert_eq!(session["config"]["tools"], json!({ "github": { "disabled": ["GITHUB_GET_A_REPOSITORY"] } }));
    let path = format!("/tool_router/session/{}", text(&session, "session_id"));
    for (field, value) in [
        ("connected_accounts", json!({ "GITHUB": ["ca_1"], "github": ["ca_2"] })),
        ("auth_configs", json!({ "Github": "ac_1", "github": "ac_2" })),
        ("tools", json!({ "GITHUB": { "disable": ["GITHUB_X"] }, "github": { "enable": ["GITHUB_Y"] } })),
    ] {
        let line = format!("Error in payload.{field}: github is given in two spellings");
        let body = json!({ field: value });
        assert_eq!(refused(&server.api, &body).await, std::slice::from_ref(&line));
        let error = server.api.call("PATCH", &path, body.to_string()).await.expect_error(400, "HTTP_BadRequest");
        assert_eq!(error["errors"], json!([line]));
    }
    assert_eq!(server.api.get(&path).await.expect(200)["config_version"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_contradictions_are_named_at_once() {
    let server = TestServer::start().await;
    let body = json!({ "toolkits": {}, "preload": { "tools": "all" }, "multi_account": { "max_accounts_per_toolkit": 0 }, "tools": { "github": {} } });
    assert_eq!(refused(&server.api, &body).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_id_has_1_to_256_visible_characters() {
    let server = TestServer::start().await;
    let long = "ü".repeat(256);
    for user in ["a", "user|42", "a b", "名前", &long] {
        let made = server.api.post("/tool_router/session", &json!({ "user_id": user })).await.expect(201);
        assert_eq!(made["config"]["user_id"], user);
    }
    let too_long = "ü".repeat(257);
    for body in [
        json!({}),
        json!({ "user_id": null }),
        json!({ "user_id": "" }),
        json!({ "user_id": too_long }),
        json!({ "user_id": "a\u{0}b" }),
        json!({ "user_id": "a\nb" }),
        json!({ "user_id": 7 }),
        json!({ "user_id": ["a"] }),
    ] {
        let error = server.api.post("/tool_router/session", &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().starts_with("Error in payload.user_id"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_toolkits_are_named_in_every_field() {
    let server = TestServer::start().await;
    for (body, names) in [
        (json!({ "toolkits": { "enable": ["zulu", "github", "nope", "zulu"] } }), "nope, zulu"),
        (json!({ "toolkits": { "disable": ["nope"] } }), "nope"),
        (json!({ "toolkits": { "require_approval": ["nope"] } }), "nope"),
        (json!({ "tools": { "nope": { "enable": ["X"] } } }), "nope"),
        (json!({ "auth_configs": { "nope": "ac_1" } }), "nope"),
        (json!({ "connected_accounts": { "nope": ["ca_1"] } }), "nope"),
    ] {
        let mut body = body;
        body["user_id"] = "u".into();
        let error =
            server.api.post("/tool_router/session", &body).await.expect_error(400, "ToolRouterV2_InvalidToolkitSlugs");
        assert_eq!(error["code"], 4305);
        assert_eq!(error["message"], format!("Invalid toolkit slugs: {names}. Please provide valid toolkit slugs."));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_configs_must_be_enabled_and_of_their_toolkit_and_the_toolkit_of_the_session() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let disabled = auth_config(api, "up", "API_KEY").await;
    sql(&server.database(), &format!("UPDATE auth_configs SET status='DISABLED' WHERE id='{disabled}'"));
    let deleted = auth_config(api, "up", "API_KEY").await;
    api.delete(&format!("/auth_configs/{deleted}")).await.expect(200);
    for body in [
        json!({ "auth_configs": { "sandbox": config } }),
        json!({ "auth_configs": { "up": disabled } }),
        json!({ "auth_configs": { "up": deleted } }),
        json!({ "auth_configs": { "up": "ac_unknown" } }),
        json!({ "auth_configs": { "up": "' OR 1=1 --" } }),
        json!({ "auth_configs": { "up": config }, "toolkits": { "disable": ["up"] } }),
        json!({ "auth_configs": { "up": config }, "toolkits": { "enable": ["github"] } }),
    ] {
        let mut body = body;
        body["user_id"] = "u".into();
        let error =
            api.post("/tool_router/session", &body).await.expect_error(400, "ToolRouterV2_InvalidAuthConfigIds");
        assert!(error["message"].as_str().unwrap().contains("toolkit"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_accounts_must_exist_and_be_the_users_own() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let (_, own) = connect_key(api, "u", "up").await;
    let (_, second) = connect_key(api, "u", "up").await;
    let (_, foreign) = connect_key(api, "somebody-else", "up").await;
    let (_, inactive) = connect_key(api, "u", "up").await;
    sql(&server.database(), &format!("UPDATE connected_accounts SET status='INACTIVE' WHERE id='{inactive}'"));
    let (_, deleted) = connect_key(api, "u", "up").await;
    api.delete(&format!("/connected_accounts/{deleted}")).await.expect(200);
    let pin = |toolkit: &str, ids: &[&str], multi: bool| json!({ "user_id": "u", "connected_accounts": { toolkit: ids }, "multi_account": { "enable": multi } });
    for (body, missing) in [
        (pin("up", &[&foreign], false), &foreign),
        (pin("up", &[&inactive], false), &inactive),
        (pin("up", &[&deleted], false), &deleted),
        (pin("sandbox", &[&own], false), &own),
        (pin("up", &[&own, &foreign], true), &foreign),
    ] {
        let error =
            api.post("/tool_router/session", &body).await.expect_error(400, "ToolRouterV2_InvalidConnectedAccountIds");
        assert_eq!(error["message"], format!("Could not find connected account(s): {missing}"), "{body}");
    }
    api.post("/tool_router/session", &pin("up", &[&own, &second], false))
        .await
        .expect_error(400, "ToolRouterV2_BadRequest");
    api.post("/tool_router/session", &pin("up", &[&own, &second], true)).await.expect(201);
    let (_, third) = connect_key(api, "u", "up").await;
    let mut three = pin("up", &[&own, &second, &third], true);
    three["multi_account"]["max_accounts_per_toolkit"] = 2.into();
    api.post("/tool_router/session", &three).await.expect_error(400, "ToolRouterV2_BadRequest");
    let made = api.post("/tool_router/session", &pin("up", &[&own], false)).await.expect(201);
    assert!(text(&made, "session_id").starts_with("trs_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn unbuilt_features_are_refused_and_not_ignored() {
    let server = TestServer::start().await;
    let hook = json!({ "type": "before_execute", "id": "h", "applies_to": "all", "handler": { "type": "condition_check", "action": "block" } });
    let body = json!({ "user_id": "u", "hooks": [hook] });
    server.api.post("/tool_router/session", &body).await.expect_error(400, "ToolRouterV2_BadRequest");
    let body = json!({ "user_id": "u", "experimental": { "session_config_id": "sc_1" } });
    server.api.post("/tool_router/session", &body).await.expect_error(501, "HTTP_NotImplemented");
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_tools_are_checked() {
    let server = TestServer::start().await;
    let schema = json!({ "type": "object", "properties": {} });
    let tool = |change: Value| {
        let mut tool = json!({ "slug": "t", "name": "T", "description": "d", "input_schema": schema });
        tool.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        json!({ "user_id": "u", "experimental": { "custom_tools": [tool] } })
    };
    let kit = |slug: &str, count: usize| {
        let one =
            |number| json!({ "slug": format!("t{number}"), "name": "T", "description": "d", "input_schema": schema });
        let tools: Vec<Value> = (0..count).map(one).collect();
        json!({ "user_id": "u", "experimental": { "custom_toolkits": [{ "slug": slug, "name": "K", "description": "d", "tools": tools }] } })
    };
    let fits = "a".repeat(54);
    server.api.post("/tool_router/session", &tool(json!({ "slug": fits }))).await.expect(201);
    server.api.post("/tool_router/session", &kit("k", 100)).await.expect(201);
    let too_long = "a".repeat(55);
    let mut twins = kit("k", 2);
    let tools = &mut twins["experimental"]["custom_toolkits"][0]["tools"];
    tools[1]["slug"] = tools[0]["slug"].clone();
    for (body, slug) in [
        (twins, "HTTP_BadRequest"),
        (tool(json!({ "extends_toolkit": "nope" })), "ToolRouterV2_InvalidToolkitSlugs"),
        (tool(json!({ "input_schema": { "type": "object" } })), "ToolRouterV2_BadRequest"),
        (tool(json!({ "input_schema": { "type": "string", "properties": {} } })), "ToolRouterV2_BadRequest"),
        (tool(json!({ "input_schema": "object" })), "HTTP_BadRequest"),
        (tool(json!({ "slug": "" })), "HTTP_BadRequest"),
        (tool(json!({ "slug": "a b" })), "HTTP_BadRequest"),
        (tool(json!({ "slug": "ä" })), "HTTP_BadRequest"),
        (tool(json!({ "slug": too_long })), "HTTP_BadRequest"),
        (tool(json!({ "name": "" })), "HTTP_BadRequest"),
        (tool(json!({ "name": "n".repeat(129) })), "HTTP_BadRequest"),
        (tool(json!({ "description": "d".repeat(5_121) })), "HTTP_BadRequest"),
        (kit("k", 0), "HTTP_BadRequest"),
        (kit("k", 101), "HTTP_BadRequest"),
        (kit("k/k", 1), "HTTP_BadRequest"),
    ] {
        server.api.post("/tool_router/session", &body).await.expect_error(400, slug);
    }
}
