//! The lists of tools of an auth config limit what its accounts run, in every way to run something (contract section 5).

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{Upstream, auth_config, finish, on_session, proxy, sql, text};
use super::meta_tools::META_TOOLS;
use super::tools::{run, with_tools};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

const KEY: &[(&str, &str)] = &[("generic_api_key", super::help::KEY)];

async fn limit(api: &Api, config: &str, lists: &Value) -> Reply {
    let mut body = lists.clone();
    body["type"] = "custom".into();
    api.call("PATCH", &format!("/auth_configs/{config}"), body.to_string()).await
}

async fn session(api: &Api, policy: Value) -> String {
    let mut body = json!({ "user_id": "u" });
    body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    text(&api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

/// An auth config with an account of user `u`; a session that uses it.
struct World {
    server: TestServer,
    upstream: Upstream,
    config: String,
    account: String,
    session: String,
}

impl World {
    async fn new() -> Self {
        let (server, upstream) = with_tools().await;
        let api = &server.api;
        let config = auth_config(api, "up", "API_KEY").await;
        let session = session(api, json!({ "preload": { "tools": ["UP_LIST_NOTES", "UP_DELETE_NOTE"] } })).await;
        let account = finish(api, &api.link(&session, "up").await, KEY).await;
        upstream.take();
        Self { server, upstream, config, account, session }
    }

    /// The ways to run the tool that lists notes.
    async fn calls(&self) -> Vec<(&'static str, Reply)> {
        let (api, account) = (&self.server.api, &self.account);
        let direct = "/tools/execute/UP_LIST_NOTES";
        vec![
            ("execute of a session", run(api, &self.session, "UP_LIST_NOTES", json!({})).await),
            ("execute for a user", api.post(direct, &json!({ "user_id": "u" })).await),
            (
                "execute with an account",
                api.post(direct, &json!({ "user_id": "u", "connected_account_id": account })).await,
            ),
        ]
    }

    /// The ways to make a raw call.
    async fn raw_calls(&self) -> Vec<(&'static str, Reply)> {
        let api = &self.server.api;
        let body = json!({ "toolkit_slug": "up", "endpoint": "/notes", "method": "GET" });
        let direct = json!({ "connected_account_id": self.account, "endpoint": "/notes", "method": "GET" });
        vec![
            ("proxy_execute of a session", proxy(api, &self.session, &body).await),
            ("proxy_execute with an account", api.post("/tools/execute/proxy", &direct).await),
        ]
    }

    async fn preloaded(&self) -> Vec<String> {
        let mut listed = self.listed(&format!("/tool_router/session/{}/tools", self.session)).await;
        assert_eq!(listed.split_off(listed.len() - META_TOOLS.len()), META_TOOLS);
        listed
    }

    async fn listed(&self, path: &str) -> Vec<String> {
        let found = self.server.api.get(path).await.expect(200);
        found["items"].as_array().unwrap().iter().map(|tool| text(tool, "slug")).collect()
    }

    /// Whether tools and raw calls run, and the preloaded tools that are listed.
    async fn check(&self, lists: &Value, runs: bool, runs_raw: bool, preloaded: &[&str]) {
        for (calls, allowed) in [(self.calls().await, runs), (self.raw_calls().await, runs_raw)] {
            for (way, reply) in calls {
                let sent = self.upstream.take().len();
                if allowed {
                    reply.expect(200);
                } else {
                    let error = reply.expect_error(403, "HTTP_Forbidden");
                    assert!(
                        error["message"].as_str().unwrap().contains("auth config excludes"),
                        "{lists} {way}: {error}"
                    );
                    assert_eq!(sent, 0, "{lists} {way}");
                }
            }
        }
        assert_eq!(self.preloaded().await, preloaded, "{lists}");
        let shown = self.listed(&format!("/tools?toolkit_slug=up&auth_config_ids={}", self.config)).await;
        assert_eq!(shown.contains(&"UP_LIST_NOTES".to_owned()), runs, "{lists} {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_runs_only_the_tools_that_its_auth_config_allows() {
    let world = World::new().await;
    let (api, config) = (&world.server.api, &world.config);
    let both = ["UP_DELETE_NOTE", "UP_LIST_NOTES"];
    let execution = |tools: Value| json!({ "tool_access_config": { "tools_available_for_execution": tools } });
    world.check(&json!({}), true, true, &both).await;
    let none = json!({ "restrict_to_following_tools": [],
        "tool_access_config": { "tools_available_for_execution": [], "tools_for_connected_account_creation": [] } });
    for (lists, runs, preloaded) in [
        (execution(json!(["UP_LIST_NOTES"])), true, &both[1..]),
        (execution(json!(["up_list_notes"])), true, &both[1..]),
        (execution(json!(["UP_DELETE_NOTE"])), false, &both[..1]),
        (json!({ "restrict_to_following_tools": ["UP_LIST_NOTES"] }), true, &both[1..]),
        (json!({ "restrict_to_following_tools": ["UP_DELETE_NOTE", "UP_CREATE_NOTE"] }), false, &both[..1]),
        // Both lists count.
        (
            json!({ "restrict_to_following_tools": ["UP_LIST_NOTES"],
                "tool_access_config": { "tools_available_for_execution": ["UP_DELETE_NOTE"] } }),
            false,
            &[][..],
        ),
    ] {
        limit(api, config, &none).await.expect(200);
        world.check(&none, true, true, &both).await;
        // The next call sees the change, though the account was remembered.
        limit(api, config, &lists).await.expect(200);
        world.check(&lists, runs, false, preloaded).await;
    }
    // Tools for links do not limit what runs.
    limit(api, config, &none).await.expect(200);
    let links = json!({ "tool_access_config": { "tools_for_connected_account_creation": ["UP_DELETE_NOTE"] } });
    limit(api, config, &links).await.expect(200);
    world.check(&links, true, true, &both).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_can_switch_raw_calls_on_and_no_other_auth_config_is_limited() {
    let world = World::new().await;
    let (api, config) = (&world.server.api, &world.config);
    limit(api, config, &json!({ "restrict_to_following_tools": ["UP_LIST_NOTES"] })).await.expect(200);
    let call = json!({ "toolkit_slug": "up", "endpoint": "/notes", "method": "GET" });
    let raw = session(api, json!({ "proxy_execute": { "enable": true } })).await;
    proxy(api, &raw, &call).await.expect(200);
    // The rules of the session and the lists of the auth config must both allow a tool.
    let other = session(api, json!({ "tools": { "up": { "disable": ["UP_LIST_NOTES"] } } })).await;
    for tool in ["UP_LIST_NOTES", "UP_DELETE_NOTE"] {
        run(api, &other, tool, json!({ "id": 1 })).await.expect_error(403, "HTTP_Forbidden");
    }
    // The newest account is used, whatever its auth config allows: a call does not fall back to another account.
    world.server.clock.advance(Duration::from_secs(1));
    let free = auth_config(api, "up", "API_KEY").await;
    let named = session(api, json!({ "auth_configs": { "up": free } })).await;
    finish(api, &api.link(&named, "up").await, KEY).await;
    world.upstream.take();
    run(api, &world.session, "UP_DELETE_NOTE", json!({ "id": 1 })).await.expect(200);
    limit(api, &free, &json!({ "restrict_to_following_tools": ["UP_CREATE_NOTE"] })).await.expect(200);
    run(api, &world.session, "UP_LIST_NOTES", json!({})).await.expect_error(403, "HTTP_Forbidden");
    let pinned = session(api, json!({ "connected_accounts": { "up": [world.account] } })).await;
    run(api, &pinned, "UP_LIST_NOTES", json!({})).await.expect(200);
    run(api, &pinned, "UP_CREATE_NOTE", json!({ "folder": "a", "text": "b" }))
        .await
        .expect_error(403, "HTTP_Forbidden");
    // Where a call chooses the account, its auth config decides.
    let several = session(api, json!({ "multi_account": { "enable": true } })).await;
    for (account, status) in [(world.account.as_str(), 200), ("", 403)] {
        let mut body = json!({ "tool_slug": "UP_LIST_NOTES", "arguments": {} });
        if !account.is_empty() {
            body["account"] = account.into();
        }
        assert_eq!(on_session(api, &several, "execute", &body).await.status, status, "{account}");
    }
    let both = format!("/tools?auth_config_ids={config},{free}");
    assert_eq!(world.listed(&both).await, ["UP_CREATE_NOTE", "UP_LIST_NOTES"]);
    api.get("/tools?auth_config_ids=ac_unknown").await.expect_error(404, "AuthConfig_NotFound");
    let foreign = world.server.other_project("other").await;
    foreign.get(&both).await.expect_error(404, "AuthConfig_NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_name_tools_of_the_toolkit() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let lists = |tool: &str| {
        [
            (
                "tool_access_config.tools_available_for_execution",
                json!({ "tool_access_config": { "tools_available_for_execution": [tool] } }),
            ),
            (
                "tool_access_config.tools_for_connected_account_creation",
                json!({ "tool_access_config": { "tools_for_connected_account_creation": [tool] } }),
            ),
            ("restrict_to_following_tools", json!({ "restrict_to_following_tools": [tool] })),
        ]
    };
    for (tool, hint) in [
        ("up_list_note", "UP_LIST_NOTE is no tool of the toolkit; did you mean UP_LIST_NOTES?"),
        ("SANDBOX_LIST_NOTES", "SANDBOX_LIST_NOTES is no tool of the toolkit; "),
    ] {
        for (place, body) in lists(tool) {
            let changed = limit(api, &config, &body).await.expect_error(400, "HTTP_BadRequest");
            let problem = changed["errors"][0].as_str().unwrap();
            assert!(problem.starts_with(&format!("Error in payload.{place}: {hint}")), "{problem}");
            let mut new = json!({ "type": "use_custom_auth", "authScheme": "API_KEY", "credentials": {} });
            new.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            let body = json!({ "toolkit": { "slug": "up" }, "auth_config": new });
            let made = api.post("/auth_configs", &body).await.expect_error(400, "HTTP_BadRequest");
            let problem = made["errors"][0].as_str().unwrap();
            assert!(problem.starts_with(&format!("Error in payload.auth_config.{place}: {hint}")), "{problem}");
        }
    }
    let many: Vec<&str> = std::iter::repeat_n("UP_LIST_NOTES", 1_001).collect();
    let body = json!({ "restrict_to_following_tools": many });
    limit(api, &config, &body).await.expect_error(400, "HTTP_BadRequest");
    // Slugs are shown in upper case. A toolkit without tools takes any.
    limit(api, &config, &json!({ "restrict_to_following_tools": ["up_list_notes"] })).await.expect(200);
    let shown = api.get(&format!("/auth_configs/{config}")).await.expect(200);
    assert_eq!(shown["restrict_to_following_tools"], json!(["UP_LIST_NOTES"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_limited_also_without_the_toolkit() {
    let world = World::new().await;
    let api = &world.server.api;
    let create = |list: Value| {
        let config = json!({ "type": "use_custom_auth", "authScheme": "API_KEY", "restrict_to_following_tools": list });
        json!({ "toolkit": { "slug": "up" }, "auth_config": config })
    };
    let long = json!([format!("UP_{}", "X".repeat(126))]);
    let error = api.post("/auth_configs", &create(long.clone())).await.expect_error(400, "HTTP_BadRequest");
    assert!(error["errors"][0].as_str().unwrap().contains("at most 128 bytes"), "{error}");
    // The operator takes the toolkit out of the catalog; its auth configs stay.
    sql(&world.server.database(), "UPDATE auth_configs SET toolkit = 'left'");
    for (list, problem) in [(long, "at most 128 bytes"), (json!(vec!["UP_X"; 1_001]), "at most 1000 tools")] {
        let reply = limit(api, &world.config, &json!({ "restrict_to_following_tools": list })).await;
        let error = reply.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().contains(problem), "{error}");
    }
}
