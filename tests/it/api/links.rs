//! Offering a link: what the answer holds, where the access fields may stand, which auth config is
//! picked, who may use the operator's clients (contract sections 3.1, 3.2; R17).

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::ManagedClient;

use super::help::{accounts, auth_config, finish, finish_oauth, on_session, text, with_upstream};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

async fn link(api: &Api, session: &str, body: &Value) -> Reply {
    on_session(api, session, "link", body).await
}

fn managed(projects: &[&str]) -> ManagedClient {
    ManagedClient {
        client_id: "managed-client".to_owned(),
        client_secret: Some("managed-secret".into()),
        projects: projects.iter().map(|project| (*project).to_owned()).collect(),
        ..ManagedClient::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_returns_token_url_and_a_new_account_with_its_type_in_both_places() {
    let (server, _upstream) = with_upstream().await;
    let session = server.api.session("u", "up").await;
    let made = link(&server.api, &session, &json!({ "toolkit": "up", "alias": "work" })).await.expect(201);
    let (token, account) = (text(&made, "link_token"), text(&made, "connected_account_id"));
    let expected = json!({
        "link_token": token,
        "redirect_url": format!("{}/link/{token}", server.url),
        "connected_account_id": account,
        "account_type": "PRIVATE",
        "experimental": { "account_type": "PRIVATE" },
        "auth_config_id": text(&made, "auth_config_id"),
        "auth_scheme": "API_KEY",
    });
    assert_eq!(made, expected);
    assert!(token.starts_with("lt_") && account.starts_with("ca_"), "{made}");
    let read = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(
        (&read["status"], &read["alias"], &read["user_id"]),
        (&json!("INITIALIZING"), &json!("work"), &json!("u"))
    );
    assert!(!read.to_string().contains(&token), "the link token is shown once: {read}");
    let page = server.api.http.send("GET", &text(&made, "redirect_url"), &[], "").await;
    assert_eq!(page.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_link_is_a_new_account_even_for_a_connected_user() {
    let (server, _upstream) = with_upstream().await;
    let session = server.api.session("u", "up").await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let made = server.api.link(&session, "up").await;
        seen.push(finish(&server.api, &made, &[("generic_api_key", "secret-value")]).await);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3);
    assert_eq!(accounts(&server.api).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn account_type_and_access_list_are_accepted_in_both_places() {
    let (server, _upstream) = with_upstream().await;
    let session = server.api.session("u", "up").await;
    let some = json!({ "allowed_user_ids": ["bob"] });
    let whole = json!({ "allow_all_users": false, "allowed_user_ids": ["bob"], "not_allowed_user_ids": [] });
    let none = json!({ "allow_all_users": false, "allowed_user_ids": [], "not_allowed_user_ids": [] });
    for (body, acl) in [
        (json!({ "account_type": "SHARED" }), &none),
        (json!({ "experimental": { "account_type": "SHARED" } }), &none),
        (json!({ "account_type": "SHARED", "experimental": { "account_type": "SHARED" } }), &none),
        (json!({ "account_type": "SHARED", "acl_config_for_shared": some }), &whole),
        (json!({ "account_type": "SHARED", "experimental": { "acl_config_for_shared": some } }), &whole),
        (json!({ "experimental": { "account_type": "SHARED", "acl_config_for_shared": some } }), &whole),
        (
            json!({ "account_type": "SHARED", "acl_config_for_shared": some,
                    "experimental": { "account_type": "SHARED", "acl_config_for_shared": some } }),
            &whole,
        ),
    ] {
        let mut body = body;
        body["toolkit"] = "up".into();
        let made = link(&server.api, &session, &body).await.expect(201);
        assert_eq!(made["account_type"], "SHARED", "{body}");
        assert_eq!(made["experimental"], json!({ "account_type": "SHARED", "acl_config_for_shared": acl }), "{body}");
        let read =
            server.api.get(&format!("/connected_accounts/{}", text(&made, "connected_account_id"))).await.expect(200);
        assert_eq!(read["experimental"], made["experimental"], "stored as answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn access_fields_that_contradict_each_other_are_refused_and_nothing_is_written() {
    let (server, _upstream) = with_upstream().await;
    let session = server.api.session("u", "up").await;
    let many: Vec<String> = (0..1_001).map(|number| format!("u{number}")).collect();
    let shared = |acl: Value| json!({ "account_type": "SHARED", "acl_config_for_shared": acl });
    for (body, expected) in [
        (
            json!({ "account_type": "SHARED", "experimental": { "account_type": "PRIVATE" } }),
            "payload.account_type: differs",
        ),
        (
            json!({ "account_type": "SHARED", "acl_config_for_shared": { "allow_all_users": true },
                    "experimental": { "acl_config_for_shared": { "allow_all_users": false } } }),
            "payload.acl_config_for_shared: differs",
        ),
        (json!({ "account_type": "shared" }), "payload.account_type"),
        (json!({ "experimental": { "account_type": "PUBLIC" } }), "payload.experimental.account_type"),
        (shared(json!({ "allowed_user_ids": many })), "must hold at most 1000"),
        (shared(json!({ "not_allowed_user_ids": many })), "must hold at most 1000"),
        (shared(json!({ "allowed_user_ids": [""] })), "1 to 256 characters"),
        (shared(json!({ "allowed_user_ids": ["a".repeat(257)] })), "1 to 256 characters"),
        (shared(json!({ "allowed_users": ["bob"] })), "unknown key \"allowed_users\""),
        (shared(json!({ "allow_all_users": "yes" })), "payload.acl_config_for_shared"),
    ] {
        let mut body = body;
        body["toolkit"] = "up".into();
        let error = link(&server.api, &session, &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().contains(expected), "{error}");
    }
    for place in ["", "experimental"] {
        for kind in [json!({}), json!({ "account_type": "PRIVATE" })] {
            let mut inner = kind.clone();
            inner["acl_config_for_shared"] = json!({ "allow_all_users": true });
            let mut body = if place.is_empty() { inner } else { json!({ place: inner }) };
            body["toolkit"] = "up".into();
            let error = link(&server.api, &session, &body).await.expect_error(400, "ConnectedAccount_BadRequest");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains("acl_config_for_shared is only valid on SHARED"), "SDKs match on it: {message}");
        }
    }
    assert_eq!(accounts(&server.api).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_auth_config_wins_over_the_newest_which_wins_over_a_managed_one() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = api.session("u", "sandbox").await;
    let of = |made: Value| async move {
        let read = api.get(&format!("/connected_accounts/{}", text(&made, "connected_account_id"))).await.expect(200);
        text(&read["auth_config"], "id")
    };
    let managed = of(api.link(&session, "sandbox").await).await;
    assert_eq!(of(api.link(&session, "sandbox").await).await, managed, "made once, then found");
    server.clock.advance(Duration::from_millis(5));
    let keyed = auth_config(api, "sandbox", "API_KEY").await;
    assert_eq!(of(api.link(&session, "sandbox").await).await, keyed);
    server.clock.advance(Duration::from_millis(5));
    let hidden = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": {
        "type": "use_custom_auth", "authScheme": "BASIC", "is_enabled_for_tool_router": false,
    }});
    api.post("/auth_configs", &hidden).await.expect(201);
    assert_eq!(
        of(api.link(&session, "sandbox").await).await,
        keyed,
        "one that is not for the tool router is passed over"
    );
    let body = json!({ "user_id": "u", "auth_configs": { "sandbox": managed } });
    let pinned = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    assert_eq!(of(api.link(&pinned, "SANDBOX").await).await, managed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_auth_config_that_the_session_names_is_not_replaced() {
    let server = TestServer::start().await;
    let api = &server.api;
    let named = auth_config(api, "sandbox", "API_KEY").await;
    let other = auth_config(api, "sandbox", "BASIC").await;
    let body = json!({ "user_id": "u", "auth_configs": { "sandbox": named } });
    let session = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    super::help::sql(&server.database(), &format!("UPDATE auth_configs SET status='DISABLED' WHERE id='{named}'"));
    let error = link(api, &session, &json!({ "toolkit": "sandbox" })).await.expect_error(400, "AuthConfig_BadRequest");
    assert_eq!(error["message"], format!("Auth config \"{named}\" is disabled"));
    api.delete(&format!("/auth_configs/{named}")).await.expect(200);
    let error = link(api, &session, &json!({ "toolkit": "sandbox" })).await.expect_error(404, "AuthConfig_NotFound");
    assert_eq!(error["message"], format!("Auth config \"{named}\" not found"));
    assert_eq!(accounts(api).await, 0);
    api.get(&format!("/auth_configs/{other}")).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_client_serves_only_the_listed_projects() {
    let server = TestServer::builder()
        .managed("sandbox", managed(&["pr_somebody-else"]))
        .managed("github", managed(&["*"]))
        .start()
        .await;
    let api = &server.api;
    for (toolkit, expected) in [("sandbox", 400), ("gmail", 400), ("github", 201)] {
        let session = api.session("u", toolkit).await;
        let reply = link(api, &session, &json!({ "toolkit": toolkit, "auth_scheme": "OAUTH2" })).await;
        let body = json!({ "toolkit": { "slug": toolkit } });
        let listed =
            api.get(&format!("/toolkits/{toolkit}")).await.expect(200)["composio_managed_auth_schemes"].clone();
        if expected == 201 {
            reply.expect(201);
            api.post("/auth_configs", &body).await.expect(201);
            assert_eq!(listed, json!(["OAUTH2"]));
            continue;
        }
        let error = reply.expect_error(400, "ToolRouterV2_NoManagedAuth");
        assert_eq!(error["code"], 4308);
        let message = format!(
            "Composio does not manage auth for toolkit {toolkit} and no auth config without required fields is available."
        );
        assert_eq!(error["message"], message);
        api.post("/auth_configs", &body).await.expect_error(400, "AuthConfig_BadRequest");
        assert_eq!(listed, json!([]));
    }
    assert_eq!(accounts(api).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_auth_config_stops_working_without_the_operators_permission() {
    // As after a restart with another `projects` list.
    let server = TestServer::builder().managed("sandbox", managed(&["pr_somebody-else"])).start().await;
    let config = auth_config(&server.api, "sandbox", "API_KEY").await;
    super::help::sql(
        &server.database(),
        &format!("UPDATE auth_configs SET is_managed=1, scheme='OAUTH2' WHERE id='{config}'"),
    );
    let session = server.api.session("u", "sandbox").await;
    let error = link(&server.api, &session, &json!({ "toolkit": "sandbox", "auth_scheme": "OAUTH2" })).await;
    error.expect_error(400, "ToolRouterV2_NoManagedAuth");
    assert_eq!(accounts(&server.api).await, 0);
    // Without a wish, the link takes a scheme that needs no client, and says so.
    let made = link(&server.api, &session, &json!({ "toolkit": "sandbox" })).await.expect(201);
    assert_eq!((&made["auth_scheme"], &made["warnings"][0]["code"]), (&json!("API_KEY"), &json!("OTHER_SCHEME")));
    assert_ne!(made["auth_config_id"], json!(config));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projects_with_one_operators_client_share_no_auth_config() {
    let server = TestServer::start().await;
    let other = server.other_project("Neighbour").await;
    for (api, user) in [(&server.api, "u"), (&other, "v")] {
        let session = api.session(user, "sandbox").await;
        finish_oauth(api, &api.link(&session, "sandbox").await).await;
    }
    let mine = server.api.get("/auth_configs").await.expect(200);
    let theirs = other.get("/auth_configs").await.expect(200);
    assert_eq!((&mine["total_items"], &theirs["total_items"]), (&json!(1), &json!(1)));
    assert_ne!(mine["items"][0]["id"], theirs["items"][0]["id"], "each project has an auth config of its own");
    let config = text(&mine["items"][0], "id");
    let body = json!({ "user_id": "v", "auth_configs": { "sandbox": config } });
    other.post("/tool_router/session", &body).await.expect_error(400, "ToolRouterV2_InvalidAuthConfigIds");
}
