//! The access list of a SHARED account on every path that can reach it, asked each time: pinning at
//! creation and by a change, use, and what a session shows (contract section 3.6; R65).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::help::{KEY, finish, on_session, proxy, text, with_upstream};
use crate::support::http::Api;

const SESSIONS: &str = "/tool_router/session";

async fn session(api: &Api, user: &str, pins: Value) -> String {
    let body = json!({ "user_id": user, "connected_accounts": pins });
    text(&api.post(SESSIONS, &body).await.expect(201), "session_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_truth_table_holds_on_every_path_and_for_sessions_that_were_open_before() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let maker = api.session("creator", "up").await;
    let open = json!({ "allow_all_users": true });
    let body = json!({ "toolkit": "up", "account_type": "SHARED", "acl_config_for_shared": open });
    let link = on_session(api, &maker, "link", &body).await.expect(201);
    let account = finish(api, &link, &[("generic_api_key", KEY)]).await;
    let users = ["bob", "creator", "dave", "carol", "Bob", "bob ", "bobby"];
    let (mut pinned, mut free) = (BTreeMap::new(), BTreeMap::new());
    for user in users {
        pinned.insert(user, session(api, user, json!({ "up": [account] })).await);
        free.insert(user, session(api, user, Value::Null).await);
    }
    for bits in 0..8 {
        let (all, allowed, denied) = (bits & 1 == 1, bits & 2 == 2, bits & 4 == 4);
        let acl = json!({
            "allow_all_users": all,
            "allowed_user_ids": if allowed { json!(["carol", "bob"]) } else { json!(["carol"]) },
            "not_allowed_user_ids": if denied { json!(["dave", "bob"]) } else { json!(["dave"]) },
        });
        let change = json!({ "experimental": { "acl_config_for_shared": acl } }).to_string();
        api.call("PATCH", &format!("/connected_accounts/{account}"), change).await.expect(200);
        for user in users {
            let may = match user {
                "creator" | "carol" => true,
                "dave" => false,
                "bob" => !denied && (all || allowed),
                _ => all,
            };
            // Use at call time.
            upstream.take();
            let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
            let reply = proxy(api, &pinned[user], &call).await;
            let error = (!may).then(|| reply.expect_error(403, "ConnectedAccount_SharedAccessDenied"));
            if let Some(error) = error {
                assert_eq!(error["message"], format!("User \"{user}\" may not use SHARED connection {account}"));
                assert!(upstream.take().is_empty(), "{user}: {acl}");
            } else {
                assert_eq!(reply.expect(200)["status"], 200, "{user}: {acl}");
                assert!(upstream.only().contains(&format!("authorization: Key {KEY}")), "{user}: {acl}");
            }
            // What the session shows.
            let page = api.get(&format!("{SESSIONS}/{}/toolkits?toolkits=up", pinned[user])).await.expect(200);
            let shown = page["items"][0].get("connected_account").map(|it| it["id"].as_str().unwrap());
            assert_eq!(shown, may.then_some(account.as_str()), "{user}: {acl}");
            let connected =
                api.get(&format!("{SESSIONS}/{}/toolkits?is_connected=true", pinned[user])).await.expect(200);
            assert_eq!(connected["total_items"], i64::from(may), "{user}: {acl}");
            // Pinning at creation and by a change.
            let body = json!({ "user_id": user, "connected_accounts": { "up": [account] } });
            let created = api.post(SESSIONS, &body).await;
            let change = json!({ "connected_accounts": { "up": [account] } }).to_string();
            let changed = api.call("PATCH", &format!("{SESSIONS}/{}", free[user]), change).await;
            if may {
                created.expect(201);
                changed.expect(200);
                let unpin = r#"{"connected_accounts":null}"#;
                api.call("PATCH", &format!("{SESSIONS}/{}", free[user]), unpin).await.expect(200);
            } else {
                for reply in [created, changed] {
                    reply.expect_error(400, "ToolRouterV2_SharedConnectionNotAccessible");
                }
            }
            // Without a pin it is not used, even by admitted users.
            upstream.take();
            proxy(api, &free[user], &call).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
            assert!(upstream.take().is_empty());
            let page = api.get(&format!("{SESSIONS}/{}/toolkits?toolkits=up", free[user])).await.expect(200);
            assert!(page["items"][0].get("connected_account").is_none(), "{user}: {page}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn among_several_pins_a_shared_one_is_neither_used_nor_named_for_a_denied_user() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let maker = api.session("creator", "up").await;
    let body = json!({ "toolkit": "up", "alias": "team", "account_type": "SHARED", "acl_config_for_shared": { "allow_all_users": true } });
    let link = on_session(api, &maker, "link", &body).await.expect(201);
    let shared = finish(api, &link, &[("generic_api_key", "team-key")]).await;
    let (_, own) = super::help::connect_key(api, "bob", "up").await;
    let body =
        json!({ "user_id": "bob", "connected_accounts": { "up": [shared, own] }, "multi_account": { "enable": true } });
    let session = text(&api.post(SESSIONS, &body).await.expect(201), "session_id");
    let call =
        |account: Option<&str>| json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET", "account": account });
    upstream.take();
    for (selector, key) in [(None, "team-key"), (Some("team"), "team-key"), (Some(own.as_str()), KEY)] {
        proxy(api, &session, &call(selector)).await.expect(200);
        assert!(upstream.only().contains(&format!("Key {key}")), "{selector:?}");
    }
    let deny = r#"{"experimental":{"acl_config_for_shared":{"allow_all_users":true,"not_allowed_user_ids":["bob"]}}}"#;
    api.call("PATCH", &format!("/connected_accounts/{shared}"), deny).await.expect(200);
    for selector in [None, Some(shared.as_str()), Some("team")] {
        proxy(api, &session, &call(selector)).await.expect_error(403, "ConnectedAccount_SharedAccessDenied");
    }
    let error =
        proxy(api, &session, &call(Some("nobody"))).await.expect_error(404, "ConnectedAccount_ResourceNotFound");
    let fix = error["suggested_fix"].as_str().unwrap();
    assert!(fix.contains(&own) && !fix.contains(&shared) && !fix.contains("team"), "{fix}");
    assert!(upstream.take().is_empty());
    proxy(api, &session, &call(Some(&own))).await.expect(200);
}
