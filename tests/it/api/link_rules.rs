//! What a link call refuses, each with its code and words (contract sections 3.1 and 9), and where
//! its page is.

use serde_json::{Value, json};

use super::help::{KEY, accounts, auth_config, bare, connect_key, finish, on_session, text, with_upstream};
use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

async fn link(api: &Api, session: &str, body: &Value) -> Reply {
    on_session(api, session, "link", body).await
}

async fn any_session(api: &Api, user: &str) -> String {
    text(&api.post("/tool_router/session", &json!({ "user_id": user })).await.expect(201), "session_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_toolkit_is_4305_in_the_published_words() {
    let server = TestServer::start().await;
    let session = any_session(&server.api, "u").await;
    let (long, cut) = ("x".repeat(300), format!("{}…", "x".repeat(64)));
    let as_it_came = ["nope", "NOPE", "github/../gmail", "gïthub", "github ", " ", "gmail,github"];
    // No text in a message moves the cursor of a terminal.
    let harmless = [("\u{0}", " "), ("a\u{1b}[2J", "a [2J"), (long.as_str(), cut.as_str())];
    for (slug, shown) in as_it_came.map(|slug| (slug, slug)).into_iter().chain(harmless) {
        let error = link(&server.api, &session, &json!({ "toolkit": slug }))
            .await
            .expect_error(400, "ToolRouterV2_InvalidToolkitSlugs");
        assert_eq!(error["code"], 4305);
        assert_eq!(error["message"], format!("Invalid toolkit slugs: {shown}. Please provide valid toolkit slugs."));
    }
    let error = link(&server.api, &session, &json!({ "toolkit": "" })).await.expect_error(400, "HTTP_BadRequest");
    assert_eq!(error["errors"][0], "Error in payload.toolkit: must have at least 1 character");
    assert_eq!(accounts(&server.api).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_toolkit_outside_the_sessions_filter_is_403_before_anything_is_looked_up() {
    let server = TestServer::start().await;
    for filter in [json!({ "enable": ["github"] }), json!({ "enable": [] }), json!({ "disable": ["gmail", "sandbox"] })]
    {
        let body = json!({ "user_id": "u", "toolkits": filter });
        let session = text(&server.api.post("/tool_router/session", &body).await.expect(201), "session_id");
        // gmail would be 4308 and sandbox would work.
        for slug in ["gmail", "SANDBOX"] {
            let error = link(&server.api, &session, &json!({ "toolkit": slug }))
                .await
                .expect_error(403, "ToolRouterV2_ToolkitNotAllowed");
            let slug = slug.to_lowercase();
            assert_eq!(error["message"], format!("[Session Restriction] Toolkit '{slug}' is not allowed"));
        }
    }
    assert_eq!(accounts(&server.api).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_for_a_pinned_toolkit_is_refused() {
    let (server, _upstream) = with_upstream().await;
    let (_, account) = connect_key(&server.api, "u", "up").await;
    let body = json!({ "user_id": "u", "connected_accounts": { "up": [account] } });
    let session = text(&server.api.post("/tool_router/session", &body).await.expect(201), "session_id");
    link(&server.api, &session, &json!({ "toolkit": "UP" })).await.expect_error(400, "ToolRouterV2_BadRequest");
    assert_eq!(accounts(&server.api).await, 1);
    link(&server.api, &session, &json!({ "toolkit": "sandbox" })).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_for_a_toolkit_without_authentication_is_refused() {
    let text_of = format!("{}[no_auth]\n", bare("open", "https://open.example.com", "open.example.com"));
    let server = TestServer::builder().toolkit("open", &text_of).start().await;
    let session = any_session(&server.api, "u").await;
    let error = link(&server.api, &session, &json!({ "toolkit": "open" }))
        .await
        .expect_error(400, "ToolRouterV2_ToolkitsIsNoAuth");
    assert_eq!(error["code"], 4326);
    assert_eq!(error["message"], "Toolkit open does not require authentication.");
    assert_eq!(accounts(&server.api).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_unique_per_user_and_toolkit() {
    let (server, upstream) = with_upstream().await;
    drop(upstream);
    let api = &server.api;
    let session = any_session(api, "u").await;
    let body = json!({ "toolkit": "up", "alias": "Work \"A\"" });
    let first = link(api, &session, &body).await.expect(201);
    let clash = |reply: Reply| {
        let error = reply.expect_error(400, "ConnectedAccount_BadRequest");
        assert_eq!(error["code"], 600);
        assert_eq!(error["message"], "Alias \"Work \"A\"\" is already in use by another connection for this entity");
    };
    // The link is not opened yet: INITIALIZING counts as well.
    clash(link(api, &session, &body).await);
    let account = finish(api, &first, &[("generic_api_key", KEY)]).await;
    clash(link(api, &any_session(api, "u").await, &body).await);
    assert_eq!(accounts(api).await, 1);
    // Another user, another toolkit, another project, another spelling: no clash.
    link(api, &any_session(api, "v").await, &body).await.expect(201);
    link(api, &session, &json!({ "toolkit": "sandbox", "alias": "Work \"A\"" })).await.expect(201);
    link(api, &session, &json!({ "toolkit": "up", "alias": "work \"a\"" })).await.expect(201);
    let other = server.other_project("Other").await;
    link(&other, &any_session(&other, "u").await, &body).await.expect(201);
    // Deleting the connection frees its alias.
    api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    link(api, &session, &body).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_concurrent_links_with_one_alias_create_one_account() {
    let (server, _upstream) = with_upstream().await;
    let session = any_session(&server.api, "u").await;
    let calls = (0..20).map(|_| {
        let (api, session) = (server.api.clone(), session.clone());
        tokio::spawn(async move { link(&api, &session, &json!({ "toolkit": "up", "alias": "one" })).await.status })
    });
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(call.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [[201].as_slice(), &[400; 19]].concat());
    assert_eq!(accounts(&server.api).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_has_1_to_128_visible_characters() {
    let (server, _upstream) = with_upstream().await;
    let session = any_session(&server.api, "u").await;
    let (fits, too_long) = ("é".repeat(128), "é".repeat(129));
    link(&server.api, &session, &json!({ "toolkit": "up", "alias": fits })).await.expect(201);
    link(&server.api, &session, &json!({ "toolkit": "up", "alias": null })).await.expect(201);
    for alias in ["", " ", " a", "a ", "a\nb", "a\u{0}", "\u{7f}", &too_long] {
        let error = link(&server.api, &session, &json!({ "toolkit": "up", "alias": alias }))
            .await
            .expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().starts_with("Error in payload.alias"), "{error}");
    }
    assert_eq!(accounts(&server.api).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_fields_in_a_link_have_no_effect() {
    let (server, _upstream) = with_upstream().await;
    let other = server.other_project("Other").await;
    let config = auth_config(&server.api, "up", "API_KEY").await;
    let session = any_session(&server.api, "u").await;
    let body = json!({
        "toolkit": "up", "user_id": "victim", "status": "ACTIVE", "project_id": "pr_other", "id": "ca_mine",
        "connected_account_id": "ca_mine", "word_id": "mine", "is_composio_managed": true, "creator": "victim",
        "auth_config_id": "ac_mine", "link_token": "lt_mine", "redirect_url": "https://evil.test",
        "state": { "authScheme": "API_KEY", "val": { "status": "ACTIVE", "generic_api_key": "mine" } },
    });
    let made = link(&server.api, &session, &body).await.expect(201);
    assert!(!made.to_string().contains("mine") && !made.to_string().contains("evil"), "{made}");
    let read =
        server.api.get(&format!("/connected_accounts/{}", text(&made, "connected_account_id"))).await.expect(200);
    assert_eq!((&read["user_id"], &read["status"]), (&json!("u"), &json!("INITIALIZING")));
    assert_eq!(
        (&read["auth_config"]["id"], &read["auth_config"]["is_composio_managed"]),
        (&json!(config), &json!(false))
    );
    assert_eq!(accounts(&other).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn link_url_overwrite_replaces_the_origin_of_the_page_and_nothing_else() {
    let (server, _upstream) = with_upstream().await;
    for (base, expected) in [
        ("https://connect.example.com", "https://connect.example.com/link/"),
        ("https://connect.example.com/", "https://connect.example.com/link/"),
        ("https://connect.example.com/brand/", "https://connect.example.com/brand/link/"),
        ("http://localhost:3000", "http://localhost:3000/link/"),
    ] {
        let body = json!({ "user_id": "u", "experimental": { "link_url_overwrite": base } });
        let made = server.api.post("/tool_router/session", &body).await.expect(201);
        let offered = link(&server.api, &text(&made, "session_id"), &json!({ "toolkit": "up" })).await.expect(201);
        let token = text(&offered, "link_token");
        assert_eq!(offered["redirect_url"], format!("{expected}{token}"));
        assert!(text(&made["mcp"], "url").starts_with(&server.url), "{made}");
        let own = format!("{}/link/{token}", server.url);
        let page = Browser::new("v").submit(&own, &[("generic_api_key", KEY)]).await;
        assert!(page.status < 400, "the token works at this server: {}", page.status);
    }
}
