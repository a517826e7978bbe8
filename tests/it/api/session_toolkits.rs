//! A session's toolkits (contract section 2.8): what it admits, and the account it would use.

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{Upstream, auth_config, bare, connect_key, finish_oauth, on_session, proxy, text};
use crate::support::http::Api;
use crate::support::server::TestServer;

async fn world() -> (TestServer, Upstream) {
    let upstream = Upstream::start().await;
    let open = format!("{}[no_auth]\n", bare("open", &format!("http://{}/base", upstream.host), &upstream.host));
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).toolkit("open", &open).start().await;
    (server, upstream)
}

async fn create(api: &Api, body: Value) -> String {
    let mut body = body;
    body["user_id"] = "u".into();
    text(&api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

async fn list(api: &Api, session: &str, query: &str) -> Value {
    api.get(&format!("/tool_router/session/{session}/toolkits{query}")).await.expect(200)
}

fn slugs(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|item| item["slug"].as_str().unwrap()).collect()
}

/// The account that the session shows for a toolkit.
async fn shown(api: &Api, session: &str, toolkit: &str) -> Value {
    let page = list(api, session, &format!("?toolkits={toolkit}")).await;
    assert_eq!(slugs(&page), [toolkit]);
    page["items"][0].get("connected_account").cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_has_every_field_and_no_account_if_there_is_none() {
    let (server, _upstream) = world().await;
    let api = &server.api;
    let session = create(api, json!({ "toolkits": { "enable": ["open", "sandbox", "up"] } })).await;
    let page = list(api, &session, "").await;
    assert_eq!(slugs(&page), ["open", "sandbox", "up"]);
    let logo = |slug: &str| format!("{}/assets/toolkits/{slug}.svg", server.url);
    let described = "A provider of raw bytes";
    assert_eq!(
        page["items"][0],
        json!({ "name": "Test open", "slug": "open", "enabled": true, "is_no_auth": true,
                "composio_managed_auth_schemes": ["NO_AUTH"], "meta": { "logo": logo("open"), "description": described } })
    );
    assert_eq!(
        page["items"][2],
        json!({ "name": "Test up", "slug": "up", "enabled": true, "is_no_auth": false,
                "composio_managed_auth_schemes": ["API_KEY"], "meta": { "logo": logo("up"), "description": described } })
    );
    assert_eq!(page["items"][1]["composio_managed_auth_schemes"], json!(["OAUTH2"]));
    for number in ["total_pages", "current_page", "total_items"] {
        assert!(page[number].is_u64(), "{page}");
    }
    let link = api.link(&session, "sandbox").await;
    assert_eq!(shown(api, &session, "sandbox").await, Value::Null, "an account that is not connected yet");
    let account = finish_oauth(api, &link).await;
    let row = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(
        shown(api, &session, "sandbox").await,
        json!({ "id": account, "user_id": "u", "status": "ACTIVE", "created_at": row["created_at"],
                "auth_config": { "id": row["auth_config"]["id"], "auth_scheme": "OAUTH2", "is_composio_managed": true } })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_decides_what_is_listed_and_the_query_overrides_it() {
    let (server, _upstream) = world().await;
    let api = &server.api;
    let (_, account) = connect_key(api, "u", "up").await;
    let session = create(api, json!({ "toolkits": { "disable": ["github", "up"] } })).await;
    let listed = list(api, &session, "?limit=50").await;
    assert!(slugs(&listed).contains(&"open") && !slugs(&listed).contains(&"up"), "{listed}");
    assert!(listed["items"].as_array().unwrap().iter().all(|item| item["enabled"] == true));
    for query in
        ["?toolkits=up,GitHub,open", "?toolkits=up&toolkits=github&toolkits=open", "?toolkits[]=up,github,open,up"]
    {
        let page = list(api, &session, query).await;
        assert_eq!(slugs(&page), ["github", "open", "up"], "{query}");
        let enabled: Vec<&Value> = page["items"].as_array().unwrap().iter().map(|item| &item["enabled"]).collect();
        assert_eq!(enabled, [false, true, false], "{query}");
        assert_eq!(page["items"][2]["connected_account"]["id"], account);
    }
    let none = create(api, json!({ "toolkits": { "enable": [] } })).await;
    let empty = list(api, &none, "").await;
    assert_eq!((&empty["items"], &empty["total_pages"], &empty["next_cursor"]), (&json!([]), &json!(1), &Value::Null));
    let error = api.get(&format!("/tool_router/session/{session}/toolkits?toolkits=up,nope")).await;
    error.expect_error(400, "ToolRouterV2_InvalidToolkitSlugs");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_can_be_searched_filtered_by_connection_and_paged() {
    let (server, _upstream) = world().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let session = create(api, json!({})).await;
    let all = list(api, &session, "?limit=50").await;
    let total = all["total_items"].as_u64().unwrap();
    assert!(total > 50 && slugs(&all).len() == 50, "a page holds no more");
    assert_eq!(slugs(&list(api, &session, "?is_connected=true").await), ["up"]);
    let rest = list(api, &session, "?is_connected=false&limit=50").await;
    assert_eq!(rest["total_items"], total - 1);
    assert!(!slugs(&rest).contains(&"up"));
    for (search, expected) in [
        ("TEST%20", vec!["open", "up"]),
        ("raw+bytes", vec!["open", "up"]),
        ("OPEN", vec!["open"]),
        ("no-such-thing", vec![]),
    ] {
        let page = list(api, &session, &format!("?search={search}&toolkits=open,up,slack")).await;
        assert_eq!(slugs(&page), expected, "{search}");
    }
    let mut seen: Vec<String> = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = list(api, &session, &query).await;
        assert!(slugs(&page).len() <= 2);
        seen.extend(slugs(&page).into_iter().map(str::to_owned));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?cursor={cursor}");
    }
    assert_eq!(seen[..50], slugs(&all));
    assert_eq!(seen.len() as u64, total);
    assert_eq!(list(api, &session, "?limit=9999").await["items"], all["items"], "a larger limit is cut");
    assert!(slugs(&list(api, &session, "").await).len() <= 20);
    for wrong in ["limit=0", "cursor=x", "is_connected=yes"] {
        api.get(&format!("/tool_router/session/{session}/toolkits?{wrong}")).await.expect_error(400, "HTTP_BadRequest");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_account_shown_is_the_one_that_a_call_would_use() {
    let (server, upstream) = world().await;
    let api = &server.api;
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    let (_, old) = connect_key(api, "u", "up").await;
    server.clock.advance(Duration::from_secs(1));
    let (_, new) = connect_key(api, "u", "up").await;
    connect_key(api, "somebody-else", "up").await;
    let plain = create(api, json!({})).await;
    assert_eq!(shown(api, &plain, "up").await["id"], new);
    let pinned = create(api, json!({ "connected_accounts": { "up": [old] } })).await;
    assert_eq!(shown(api, &pinned, "up").await["id"], old);
    let several = json!({ "multi_account": { "enable": true }, "connected_accounts": { "up": [old, new] } });
    let several = create(api, several).await;
    assert_eq!(shown(api, &several, "up").await["id"], old, "the first pin is the default");
    let config = auth_config(api, "up", "API_KEY").await;
    let narrowed = create(api, json!({ "auth_configs": { "up": config } })).await;
    assert_eq!(shown(api, &narrowed, "up").await, Value::Null, "none under that auth config");
    let link = on_session(api, &narrowed, "link", &json!({ "toolkit": "up" })).await.expect(201);
    let under = super::help::finish(api, &link, &[("generic_api_key", "another")]).await;
    assert_eq!(shown(api, &narrowed, "up").await["id"], under);
    // A pin is shown, and not replaced, whatever becomes of it.
    let disable = |id: &str| format!("/connected_accounts/{id}/status");
    api.call("PATCH", &disable(&old), r#"{"enabled":false}"#).await.expect(200);
    assert_eq!(shown(api, &pinned, "up").await["status"], "INACTIVE");
    assert_eq!(list(api, &pinned, "?is_connected=true").await["items"], json!([]));
    assert!(slugs(&list(api, &pinned, "?is_connected=false&toolkits=up").await).contains(&"up"));
    upstream.take();
    proxy(api, &pinned, &call).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    api.delete(&format!("/connected_accounts/{old}")).await.expect(200);
    assert_eq!(shown(api, &pinned, "up").await, Value::Null);
    proxy(api, &pinned, &call).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    assert!(upstream.take().is_empty());
}
