//! SHARED accounts: used only if a session pins them, by users that their list admits, one per toolkit
//! (contract section 3.6; R65).

use serde_json::{Value, json};

use super::help::{KEY, Upstream, connect_key, finish, on_session, proxy, text, with_upstream};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

/// A connected SHARED account made by `user`.
async fn shared(api: &Api, user: &str, acl: &Value) -> String {
    let session = api.session(user, "up").await;
    let body = json!({ "toolkit": "up", "account_type": "SHARED", "acl_config_for_shared": acl });
    let made = on_session(api, &session, "link", &body).await.expect(201);
    finish(api, &made, &[("generic_api_key", KEY)]).await
}

async fn pinning(api: &Api, user: &str, accounts: &[&str]) -> Reply {
    let body = json!({ "user_id": user, "connected_accounts": { "up": accounts } });
    api.post("/tool_router/session", &body).await
}

fn call() -> Value {
    json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_truth_table_holds_for_pinning_and_for_use() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    for bits in 0..8 {
        let (all, allowed, denied) = (bits & 1 == 1, bits & 2 == 2, bits & 4 == 4);
        // `bob` is asked about; the others are there so that no list is empty by chance.
        let list = |with_bob: bool| if with_bob { json!(["carol", "bob"]) } else { json!(["carol"]) };
        let acl = json!({ "allow_all_users": all, "allowed_user_ids": list(allowed),
                          "not_allowed_user_ids": if denied { json!(["dave", "bob"]) } else { json!(["dave"]) } });
        let account = shared(api, "creator", &acl).await;
        let may = !denied && (all || allowed);
        for (user, may) in
            [("bob", may), ("creator", true), ("dave", false), ("carol", true), ("Bob", all), ("bob ", all)]
        {
            let reply = pinning(api, user, &[&account]).await;
            if !may {
                let error = reply.expect_error(400, "ToolRouterV2_SharedConnectionNotAccessible");
                assert!(error["message"].as_str().unwrap().contains(user), "{acl}: {error}");
                continue;
            }
            let session = text(&reply.expect(201), "session_id");
            upstream.take();
            assert_eq!(proxy(api, &session, &call()).await.expect(200)["status"], 200, "{user}: {acl}");
            assert!(upstream.only().contains(&format!("authorization: Key {KEY}")), "{user}: {acl}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_only_its_creator_may_use_a_shared_account() {
    let (server, _upstream) = with_upstream().await;
    let account = shared(&server.api, "creator", &Value::Null).await;
    pinning(&server.api, "creator", &[&account]).await.expect(201);
    pinning(&server.api, "bob", &[&account]).await.expect_error(400, "ToolRouterV2_SharedConnectionNotAccessible");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_list_applies_to_existing_sessions() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let account = shared(api, "creator", &json!({ "allow_all_users": true })).await;
    let session = text(&pinning(api, "bob", &[&account]).await.expect(201), "session_id");
    let denying = json!({ "allow_all_users": true, "allowed_user_ids": [], "not_allowed_user_ids": ["bob"] });
    super::help::sql(
        &server.database(),
        &format!("UPDATE connected_accounts SET acl='{denying}' WHERE id='{account}'"),
    );
    let error = proxy(api, &session, &call()).await.expect_error(403, "ConnectedAccount_SharedAccessDenied");
    assert_eq!(error["message"], format!("User \"bob\" may not use SHARED connection {account}"));
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_account_is_never_used_unless_pinned_not_even_by_its_creator() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let account = shared(api, "creator", &json!({ "allow_all_users": true })).await;
    let config = text(&api.get(&format!("/connected_accounts/{account}")).await.expect(200)["auth_config"], "id");
    for user in ["creator", "bob"] {
        for body in [json!({ "user_id": user }), json!({ "user_id": user, "auth_configs": { "up": config } })] {
            let session = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
            let error = proxy(api, &session, &call()).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
            assert_eq!(error["code"], 4302);
        }
    }
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pin_is_used_even_where_another_account_would_be_chosen_and_never_replaced() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let session = api.session("u", "up").await;
    let old = finish(api, &api.link(&session, "up").await, &[("generic_api_key", "the-older-key")]).await;
    server.clock.advance(std::time::Duration::from_secs(1));
    connect_key(api, "u", "up").await;
    let pinned = text(&pinning(api, "u", &[&old]).await.expect(201), "session_id");
    proxy(api, &session, &call()).await.expect(200);
    assert!(upstream.only().contains(&format!("Key {KEY}")), "the newest account without a pin");
    proxy(api, &pinned, &call()).await.expect(200);
    assert!(upstream.only().contains("Key the-older-key"));
    api.delete(&format!("/connected_accounts/{old}")).await.expect(200);
    proxy(api, &pinned, &call()).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    assert!(upstream.take().is_empty(), "no fallback to the other account");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_one_shared_account_per_toolkit_in_the_published_words() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let open = json!({ "allow_all_users": true });
    let (one, two) = (shared(api, "creator", &open).await, shared(api, "creator", &open).await);
    let (_, own) = connect_key(api, "bob", "up").await;
    let body = |accounts: &[&str]| json!({ "user_id": "bob", "connected_accounts": { "up": accounts }, "multi_account": { "enable": true } });
    let error = api.post("/tool_router/session", &body(&[&one, &two])).await;
    let error = error.expect_error(400, "ToolRouterV2_MultipleSharedAccountsPerToolkit");
    assert_eq!(error["code"], 4347);
    let message = format!(
        "Toolkit \"up\" has 2 SHARED connections pinned ({one}, {two}). At most one SHARED connection is allowed per toolkit in a session."
    );
    assert_eq!(error["message"], message);
    api.post("/tool_router/session", &body(&[&one, &own])).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_private_accounts_unless_asked() {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).start().await;
    let api = &server.api;
    let shared = shared(api, "creator", &json!({ "allow_all_users": true })).await;
    let (_, private) = connect_key(api, "creator", "up").await;
    for (query, expected) in [
        ("", vec![&private]),
        ("?account_type=PRIVATE", vec![&private]),
        ("?account_type=SHARED", vec![&shared]),
        ("?account_type=shared", vec![&shared]),
        ("?account_type=ALL&order_direction=asc", vec![&private, &shared]),
        (&format!("?connected_account_ids={shared}"), vec![]),
    ] {
        let page = api.get(&format!("/connected_accounts{query}")).await.expect(200);
        let mut ids: Vec<String> = page["items"].as_array().unwrap().iter().map(|item| text(item, "id")).collect();
        let mut expected: Vec<String> = expected.into_iter().cloned().collect();
        ids.sort();
        expected.sort();
        assert_eq!(ids, expected, "{query}");
    }
    api.get("/connected_accounts?account_type=OTHER").await.expect_error(400, "HTTP_BadRequest");
}
