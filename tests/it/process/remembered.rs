//! What other servers remember when one dies between the commit of a change and the second change of its generation.

use serde_json::json;

use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::process::{Dev, own_address};

const QUIET: &[&str] = &["--log", "off"];

async fn call(api: &Api, session: &str) -> Reply {
    let body = json!({ "toolkit_slug": "sandbox", "endpoint": "/me", "method": "GET" });
    api.call("POST", &format!("/tool_router/session/{session}/proxy_execute"), body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_a_killed_server_deleted_is_refused_by_the_others_at_the_next_call() {
    let folder = tempfile::tempdir().unwrap();
    let server = Dev::start(folder.path(), QUIET);
    let api = server.api();
    let session = api.session("user-1", "sandbox").await;
    let body = json!({ "toolkit": "sandbox", "auth_scheme": "API_KEY" }).to_string();
    let link = api.call("POST", &format!("/tool_router/session/{session}/link"), body).await.expect(201);
    let page = link["redirect_url"].as_str().unwrap();
    let connected = Browser::new("alice").submit(page, &[("generic_api_key", "sandbox_alice_key")]).await;
    assert_eq!(connected.status, 303, "{}", connected.text());
    for _ in 0..3 {
        assert_eq!(call(&api, &session).await.expect(200)["data"]["username"], "alice");
    }

    let mut dying = Dev::start_until("between_commit_and_generation", &own_address(), folder.path(), QUIET);
    let account = link["connected_account_id"].as_str().unwrap();
    let url = format!("{}/api/v3.1/connected_accounts/{account}", dying.url);
    let deletion = api.http.try_send("DELETE", &url, &[("x-api-key", api.key.as_str())], String::new()).await;
    assert!(deletion.is_err(), "the server died before it answered");
    assert_eq!(dying.child.wait().unwrap().code(), None, "it was ended by a signal");

    call(&api, &session).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    api.get(&format!("/connected_accounts/{account}")).await.expect_error(404, "ConnectedAccount_ResourceNotFound");
    // Nothing is remembered until the next change, and everything works.
    let other = api.session("user-2", "sandbox").await;
    api.link(&other, "sandbox").await;
}
