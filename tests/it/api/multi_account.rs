//! Sessions with several accounts per toolkit: which is used, and how a call says which (contract
//! sections 2.1 and 2.2).

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{Upstream, auth_config, connect_key, finish, on_session, proxy, text, with_upstream};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

struct World {
    server: TestServer,
    upstream: Upstream,
    /// Oldest first; connected with `key-0`, `key-1`, …, with the aliases `alias-0`, …
    accounts: Vec<String>,
}

async fn connect(api: &Api, user: &str, alias: &str, key: &str) -> String {
    let session = api.session(user, "up").await;
    let link = on_session(api, &session, "link", &json!({ "toolkit": "up", "alias": alias })).await.expect(201);
    finish(api, &link, &[("generic_api_key", key)]).await
}

async fn world(count: usize) -> World {
    let (server, upstream) = with_upstream().await;
    let mut accounts = Vec::new();
    for number in 0..count {
        accounts.push(connect(&server.api, "u", &format!("alias-{number}"), &format!("key-{number}")).await);
        server.clock.advance(Duration::from_secs(1));
    }
    upstream.take();
    World { server, upstream, accounts }
}

impl World {
    async fn session(&self, body: Value) -> String {
        let mut body = body;
        body["user_id"] = "u".into();
        text(&self.server.api.post("/tool_router/session", &body).await.expect(201), "session_id")
    }

    async fn call(&self, session: &str, account: Option<&str>) -> Reply {
        let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET", "account": account });
        proxy(&self.server.api, session, &body).await
    }

    /// The number of the account that was used.
    async fn used(&self, session: &str, account: Option<&str>) -> usize {
        self.call(session, account).await.expect(200);
        let seen = self.upstream.only();
        (0..self.accounts.len()).find(|number| seen.contains(&format!("Key key-{number}\r\n"))).unwrap()
    }

    async fn word_id(&self, number: usize) -> String {
        let path = format!("/connected_accounts/{}", self.accounts[number]);
        text(&self.server.api.get(&path).await.expect(200), "word_id")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_is_selected_by_id_word_id_or_alias_and_defaults_to_the_newest() {
    let world = world(3).await;
    let session = world.session(json!({ "multi_account": { "enable": true } })).await;
    assert_eq!(world.used(&session, None).await, 2);
    for number in 0..3 {
        assert_eq!(world.used(&session, Some(&world.accounts[number])).await, number);
        assert_eq!(world.used(&session, Some(&format!("alias-{number}"))).await, number);
        assert_eq!(world.used(&session, Some(&world.word_id(number).await)).await, number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_accounts_of_the_session_can_be_selected() {
    let world = world(3).await;
    let api = &world.server.api;
    let foreign = connect(api, "somebody-else", "theirs", "their-key").await;
    let other_project = world.server.other_project("other").await;
    let (_, elsewhere) = connect_key(&other_project, "u", "up").await;
    let shared = {
        let session = api.session("u", "up").await;
        let body = json!({ "toolkit": "up", "alias": "shared", "account_type": "SHARED" });
        let link = on_session(api, &session, "link", &body).await.expect(201);
        finish(api, &link, &[("generic_api_key", "shared-key")]).await
    };
    world.upstream.take();
    let all = world.session(json!({ "multi_account": { "enable": true } })).await;
    let two = world.session(json!({ "multi_account": { "enable": true, "max_accounts_per_toolkit": 2 } })).await;
    let pinned = world
        .session(json!({ "multi_account": { "enable": true }, "connected_accounts": { "up": [world.accounts[0], world.accounts[1]] } }))
        .await;
    for (session, selector, listed, unlisted) in [
        (&all, foreign.as_str(), vec![0, 1, 2], vec![]),
        (&all, "theirs", vec![0, 1, 2], vec![]),
        (&all, elsewhere.as_str(), vec![0, 1, 2], vec![]),
        (&all, shared.as_str(), vec![0, 1, 2], vec![]),
        (&all, "shared", vec![0, 1, 2], vec![]),
        (&all, "alias", vec![0, 1, 2], vec![]),
        (&all, "ALIAS-0", vec![0, 1, 2], vec![]),
        (&all, "", vec![0, 1, 2], vec![]),
        // Beyond the limit, and beyond the pins.
        (&two, "alias-0", vec![1, 2], vec![0]),
        (&pinned, "alias-2", vec![0, 1], vec![2]),
    ] {
        let error = world.call(session, Some(selector)).await.expect_error(404, "ConnectedAccount_ResourceNotFound");
        assert_eq!(error["message"], format!("Connected account \"{selector}\" not found"));
        let fix = error["suggested_fix"].as_str().unwrap();
        for number in listed {
            assert!(fix.contains(&world.accounts[number]) && fix.contains(&format!("\"alias-{number}\"")), "{fix}");
            assert!(fix.contains(&world.word_id(number).await), "{fix}");
        }
        for number in unlisted {
            assert!(!fix.contains(&world.accounts[number]), "{fix}");
        }
        assert!(!fix.contains("theirs") && !fix.contains("\"shared\""), "{fix}");
    }
    assert!(world.upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_pin_is_the_default_and_is_never_replaced_by_the_next() {
    let world = world(3).await;
    let api = &world.server.api;
    let pins = json!([world.accounts[1], world.accounts[0]]);
    let session =
        world.session(json!({ "multi_account": { "enable": true }, "connected_accounts": { "up": pins } })).await;
    assert_eq!(world.used(&session, None).await, 1);
    assert_eq!(world.used(&session, Some("alias-0")).await, 0);
    api.delete(&format!("/connected_accounts/{}", world.accounts[1])).await.expect(200);
    world.call(&session, None).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    assert_eq!(world.used(&session, Some("alias-0")).await, 0);
    let status = format!("/connected_accounts/{}/status", world.accounts[0]);
    api.call("PATCH", &status, r#"{"enabled":false}"#).await.expect(200);
    world.call(&session, Some("alias-0")).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    assert!(world.upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn with_required_selection_several_accounts_are_listed_and_a_single_one_is_used() {
    let world = world(2).await;
    let explicit = json!({ "enable": true, "require_explicit_selection": true });
    let pins = json!({ "up": [world.accounts[0], world.accounts[1]] });
    for body in [json!({ "multi_account": explicit }), json!({ "multi_account": explicit, "connected_accounts": pins })]
    {
        let session = world.session(body).await;
        let error = world.call(&session, None).await.expect_error(400, "ToolRouterV2_BadRequest");
        assert_eq!(error["code"], 4300);
        let fix = error["suggested_fix"].as_str().unwrap();
        for number in 0..2 {
            assert!(fix.contains(&world.accounts[number]) && fix.contains(&format!("\"alias-{number}\"")), "{fix}");
            assert!(fix.contains(&world.word_id(number).await), "{fix}");
        }
        assert!(world.upstream.take().is_empty());
        assert_eq!(world.used(&session, Some("alias-0")).await, 0);
    }
    let config = auth_config(&world.server.api, "up", "API_KEY").await;
    let other = world.session(json!({ "multi_account": explicit, "auth_configs": { "up": config } })).await;
    for account in [None, Some("alias-0")] {
        world.call(&other, account).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    }
    let one = json!({ "multi_account": explicit, "connected_accounts": { "up": [world.accounts[0]] } });
    assert_eq!(world.used(&world.session(one).await, None).await, 0, "one account needs no selection");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_multi_account_refuses_a_selection() {
    let world = world(2).await;
    for body in [
        json!({}),
        json!({ "multi_account": { "enable": false } }),
        json!({ "multi_account": { "max_accounts_per_toolkit": 3 } }),
    ] {
        let session = world.session(body).await;
        let error = world.call(&session, Some(&world.accounts[1])).await.expect_error(400, "ToolRouterV2_BadRequest");
        assert_eq!(error["code"], 4300);
        assert!(world.upstream.take().is_empty());
        assert_eq!(world.used(&session, None).await, 1);
    }
    let session = world.session(json!({})).await;
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET", "account": 5 });
    proxy(&world.server.api, &session, &body).await.expect_error(400, "HTTP_BadRequest");
}
