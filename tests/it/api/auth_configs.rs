//! `/auth_configs`: create, list, read, delete (contract section 5).

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{auth_config, connect_key, proxy, sql, text, with_upstream};
use crate::support::http::Api;
use crate::support::server::TestServer;

async fn create(api: &Api, toolkit: &str, config: &Value) -> Value {
    api.post("/auth_configs", &json!({ "toolkit": { "slug": toolkit }, "auth_config": config })).await.expect(201)
}

fn own_client(more: &Value) -> Value {
    let mut credentials = json!({ "client_id": "my-client", "client_secret": "canary secret: +%" });
    credentials.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": credentials })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_managed_type_is_the_default_as_the_python_sdk_sends_it() {
    let server = TestServer::start().await;
    for body in [
        json!({ "toolkit": { "slug": "sandbox" } }),
        json!({ "toolkit": { "slug": "SANDBOX" }, "auth_config": null }),
        json!({ "toolkit": { "slug": "sandbox" }, "auth_config": {} }),
        json!({ "toolkit": { "slug": "sandbox" }, "auth_config": {
            "type": "use_composio_managed_auth", "tool_access_config": { "tools_for_connected_account_creation": [] } } }),
    ] {
        let made = server.api.post("/auth_configs", &body).await.expect(201);
        let id = text(&made["auth_config"], "id");
        let expected = json!({
            "toolkit": { "slug": "sandbox" },
            "auth_config": { "id": id, "auth_scheme": "OAUTH2", "is_composio_managed": true, "restrict_to_following_tools": [],
                "redirect_uri": format!("{}/api/v3.1/toolkits/auth/callback/{id}", server.url) },
        });
        assert_eq!(made, expected);
        let read = server.api.get(&format!("/auth_configs/{id}")).await.expect(200);
        assert_eq!((&read["type"], &read["is_composio_managed"]), (&json!("default"), &json!(true)));
        assert_eq!(read["credentials"], json!({}), "the operator's client is not shown: {read}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn blanks_around_client_values_are_trimmed_and_blanks_inside_are_refused() {
    let server = TestServer::start().await;
    for (given, kept) in
        [(" my-client ", "my-client"), ("my-client\u{200b}", "my-client"), ("\u{feff}my-client\u{a0}\n", "my-client")]
    {
        let config = own_client(&json!({ "client_id": given, "client_secret": format!(" {given}") }));
        let id = create(&server.api, "sandbox", &config).await["auth_config"]["id"].as_str().unwrap().to_owned();
        let read = server.api.get(&format!("/auth_configs/{id}")).await.expect(200);
        assert_eq!(read["credentials"]["client_id"], kept, "{given:?}");
        let change = json!({ "type": "custom", "credentials": { "client_id": format!("{given} ") } });
        server.api.call("PATCH", &format!("/auth_configs/{id}"), change.to_string()).await.expect(200);
        assert_eq!(server.api.get(&format!("/auth_configs/{id}")).await.expect(200)["credentials"]["client_id"], kept);
    }
    for (name, value) in [("client_id", "my\u{200b}client"), ("client_secret", "se\u{feff}cret")] {
        let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": own_client(&json!({ name: value })) });
        let error = server.api.post("/auth_configs", &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"].to_string().contains(name), "{error}");
    }
    for method in ["client_secret_basic", "client_secret_post", "client_secret_basic_unencoded"] {
        let config = own_client(&json!({ "token_endpoint_auth_method": method }));
        let id = create(&server.api, "sandbox", &config).await["auth_config"]["id"].as_str().unwrap().to_owned();
        let read = server.api.get(&format!("/auth_configs/{id}")).await.expect(200);
        assert_eq!(read["credentials"]["token_endpoint_auth_method"], method);
    }
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": own_client(&json!({ "token_endpoint_auth_method": "mtls" })) });
    let error = server.api.post("/auth_configs", &body).await.expect_error(400, "HTTP_BadRequest");
    assert!(error["errors"].to_string().contains("client_secret_basic_unencoded"), "{error}");
    // The words of PATCH mean the same.
    let mut config = own_client(&json!({}));
    config["type"] = "custom".into();
    create(&server.api, "sandbox", &config).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_auth_config_is_returned_with_masked_secrets() {
    let server = TestServer::start().await;
    let mut config =
        own_client(&json!({ "scopes": "notes:read,profile", "oauth_redirect_uri": "https://app.example.com/cb" }));
    config["name"] = "Ünser Client".into();
    config["is_enabled_for_tool_router"] = false.into();
    config["restrict_to_following_tools"] = json!(["SANDBOX_LIST_NOTES"]);
    config["tool_access_config"] = json!({ "tools_for_connected_account_creation": ["SANDBOX_LIST_NOTES"] });
    let made = create(&server.api, "sandbox", &config).await;
    let id = text(&made["auth_config"], "id");
    let read = server.api.get(&format!("/auth_configs/{id}")).await.expect(200);
    let fixed = ["created_at", "last_updated_at", "expected_input_fields", "uuid"];
    let mut rest = read.clone();
    for name in fixed {
        assert!(!rest.as_object_mut().unwrap().remove(name).unwrap().is_null(), "{name}");
    }
    let expected = json!({
        "id": id,
        "type": "custom",
        "toolkit": { "slug": "sandbox", "logo": format!("{}/assets/toolkits/sandbox.svg", server.url) },
        "name": "Ünser Client",
        "auth_scheme": "OAUTH2",
        "is_composio_managed": false,
        "credentials": {
            "client_id": "my-client", "client_secret": "REDACTED", "scopes": ["notes:read", "profile"],
            "oauth_redirect_uri": "https://app.example.com/cb",
        },
        "status": "ENABLED",
        "no_of_connections": 0,
        "restrict_to_following_tools": ["SANDBOX_LIST_NOTES"],
        "tool_access_config": { "tools_for_connected_account_creation": ["SANDBOX_LIST_NOTES"] },
        "is_enabled_for_tool_router": false,
        "redirect_uri": "https://app.example.com/cb",
        "shared_connection_fields": {},
        "shared_credentials": {},
    });
    assert_eq!(rest, expected);
    let page = server.api.get("/auth_configs").await.expect(200);
    assert_eq!(page["items"][0], read, "the list shows the same");
    assert!(!page.to_string().contains("canary") && !made.to_string().contains("canary"));
    let logo = server.api.http.send("GET", &text(&read["toolkit"], "logo"), &[], "").await;
    assert_eq!((logo.status, logo.header("content-type")), (200, Some("image/svg+xml")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_client_is_named_in_the_published_words() {
    let server = TestServer::start().await;
    let missing = |field: &str, toolkit: &str| {
        format!("Missing required field \"{field}\" for auth scheme \"OAUTH2\" in toolkit \"{toolkit}\"")
    };
    let custom =
        |credentials: Value| json!({ "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": credentials });
    for (toolkit, config, message) in [
        ("gmail", Value::Null, missing("Client id", "gmail")),
        ("gmail", json!({ "type": "use_composio_managed_auth" }), missing("Client id", "gmail")),
        ("sandbox", custom(Value::Null), missing("Client id", "sandbox")),
        ("sandbox", custom(json!({})), missing("Client id", "sandbox")),
        ("sandbox", custom(json!({ "client_id": "" , "client_secret": "s" })), missing("Client id", "sandbox")),
        ("sandbox", custom(json!({ "client_secret": "s" })), missing("Client id", "sandbox")),
        ("sandbox", custom(json!({ "client_id": "i" })), missing("Client secret", "sandbox")),
        ("sandbox", custom(json!({ "client_id": "i", "client_secret": null })), missing("Client secret", "sandbox")),
        ("sandbox", custom(json!({ "client_id": "i", "client_secret": "" })), missing("Client secret", "sandbox")),
    ] {
        let body = json!({ "toolkit": { "slug": toolkit }, "auth_config": config });
        let error = server.api.post("/auth_configs", &body).await.expect_error(400, "AuthConfig_BadRequest");
        assert_eq!(error["message"], message, "{body}");
    }
    assert_eq!(server.api.get("/auth_configs").await.expect(200)["total_items"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheme_that_the_toolkit_lacks_is_refused_with_the_reason() {
    let server = TestServer::start().await;
    let of = |toolkit: &str, scheme: Value| json!({ "toolkit": { "slug": toolkit }, "auth_config": { "type": "use_custom_auth", "authScheme": scheme, "credentials": {} } });
    for scheme in ["API_KEY", "BASIC", "BEARER_TOKEN"] {
        // BEARER_TOKEN imports own tokens for every OAuth 2.0 toolkit.
        let made = server.api.post("/auth_configs", &of("sandbox", json!(scheme))).await.expect(201);
        assert_eq!(
            (&made["auth_config"]["auth_scheme"], &made["auth_config"]["is_composio_managed"]),
            (&json!(scheme), &json!(false))
        );
    }
    let error = server
        .api
        .post("/auth_configs", &of("openai", json!("OAUTH2")))
        .await
        .expect_error(400, "AuthConfig_BadRequest");
    assert_eq!(error["message"], "Toolkit \"openai\" does not support auth scheme OAUTH2");
    assert!(error["suggested_fix"].as_str().unwrap().contains("API_KEY"), "{error}");
    server.api.post("/auth_configs", &of("openai", json!("BASIC"))).await.expect_error(400, "AuthConfig_BadRequest");
    for scheme in ["CALCOM_AUTH"] {
        let error = server
            .api
            .post("/auth_configs", &of("sandbox", json!(scheme)))
            .await
            .expect_error(501, "HTTP_NotImplemented");
        assert!(error["message"].as_str().unwrap().contains(scheme), "{error}");
    }
    for scheme in [json!("oauth2"), json!("KERBEROS"), json!(""), json!(null)] {
        let error = server.api.post("/auth_configs", &of("sandbox", scheme)).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().starts_with("Error in payload.auth_config.authScheme"), "{error}");
    }
    for slug in ["nope", "", "../gmail"] {
        let error =
            server.api.post("/auth_configs", &of(slug, json!("API_KEY"))).await.expect_error(404, "Toolkit_NotFound");
        assert_eq!(error["message"], format!("Toolkit \"{slug}\" not found"));
    }
    for field in ["proxy_config", "sealed_credentials"] {
        let mut body = of("sandbox", json!("API_KEY"));
        body["auth_config"][field] = json!({ "x": "y" });
        let error = server.api.post("/auth_configs", &body).await.expect_error(400, "AuthConfig_BadRequest");
        assert!(error["message"].as_str().unwrap().contains(field), "{error}");
    }
    assert_eq!(server.api.get("/auth_configs").await.expect(200)["total_items"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_fields_of_a_creation_have_no_effect() {
    let server = TestServer::start().await;
    let body = json!({
        "id": "ac_mine", "project_id": "pr_x", "toolkit": { "slug": "sandbox", "id": "x" },
        "auth_config": { "type": "use_custom_auth", "authScheme": "API_KEY", "id": "ac_mine", "uuid": "x", "is_composio_managed": true,
            "status": "DISABLED", "created_at": "2001-01-01T00:00:00.000Z", "no_of_connections": 5, "created_by": "me" },
    });
    let made = server.api.post("/auth_configs", &body).await.expect(201);
    let id = text(&made["auth_config"], "id");
    let read = server.api.get(&format!("/auth_configs/{id}")).await.expect(200);
    assert_ne!(id, "ac_mine");
    assert_eq!(
        (&read["is_composio_managed"], &read["status"], &read["no_of_connections"]),
        (&json!(false), &json!("ENABLED"), &json!(0))
    );
    assert!(!text(&read, "created_at").starts_with("2001"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_newest_first_and_filtered() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let mut ids = Vec::new();
    for (toolkit, scheme) in [("up", "API_KEY"), ("sandbox", "BASIC"), ("sandbox", "API_KEY")] {
        ids.push(auth_config(api, toolkit, scheme).await);
        server.clock.advance(Duration::from_millis(3));
    }
    let managed = create(api, "sandbox", &json!({ "name": "50% _Off_" })).await;
    ids.push(text(&managed["auth_config"], "id"));
    sql(&server.database(), &format!("UPDATE auth_configs SET status='DISABLED' WHERE id='{}'", ids[1]));
    for (query, expected) in [
        ("", vec![3, 2, 0]),
        ("show_disabled=true", vec![3, 2, 1, 0]),
        ("show_disabled=false", vec![3, 2, 0]),
        ("toolkit_slug=up", vec![0]),
        ("toolkit_slug=UP,sandbox&show_disabled=true", vec![3, 2, 1, 0]),
        ("toolkit_slug=gmail", vec![]),
        ("is_composio_managed=true", vec![3]),
        ("is_composio_managed=false", vec![2, 0]),
        ("search=api_key", vec![2, 0]),
        ("search=%25%20_off", vec![3]),
        ("search=%25", vec![3]),
        ("search=nothing", vec![]),
        (&format!("search={}", ids[2]), vec![2]),
        ("limit=1", vec![3]),
    ] {
        let page = api.get(&format!("/auth_configs?{query}")).await.expect(200);
        let found: Vec<String> = page["items"].as_array().unwrap().iter().map(|item| text(item, "id")).collect();
        let expected: Vec<String> = expected.into_iter().map(|index: usize| ids[index].clone()).collect();
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(api.get(&format!("/auth_configs/{}", ids[1])).await.expect(200)["status"], "DISABLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_auth_config_deletes_its_accounts_and_all_credentials() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let (session, account) = connect_key(api, "u", "up").await;
    let link = api.link(&session, "up").await;
    let oauth = text(&create(api, "sandbox", &own_client(&json!({}))).await["auth_config"], "id");
    for id in [&config, &oauth] {
        let deleted = api.delete(&format!("/auth_configs/{id}")).await.expect(200);
        assert_eq!(deleted["success"], true);
        for reply in [api.get(&format!("/auth_configs/{id}")).await, api.delete(&format!("/auth_configs/{id}")).await] {
            let error = reply.expect_error(404, "AuthConfig_NotFound");
            assert_eq!(error["message"], format!("Auth config \"{id}\" not found"));
        }
    }
    let error =
        api.get(&format!("/connected_accounts/{account}")).await.expect_error(404, "ConnectedAccount_ResourceNotFound");
    assert_eq!(
        (&error["code"], &error["message"]),
        (&json!(606), &json!(format!("Connected account \"{account}\" not found")))
    );
    assert_eq!(super::help::accounts(api).await, 0, "the account of the open link as well");
    let page = api.http.send("GET", &text(&link, "redirect_url"), &[], "").await;
    assert!(page.status >= 400 && !page.text().contains("generic_api_key"), "{} {}", page.status, page.text());
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    proxy(api, &session, &call).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    assert!(upstream.take().is_empty());
    let left = sql(
        &server.database(),
        "SELECT (SELECT COUNT(*) FROM connected_accounts WHERE credential_sealed IS NOT NULL) + (SELECT COUNT(*) FROM auth_configs WHERE credentials_sealed IS NOT NULL)",
    );
    assert_eq!(left, json!([[0]]), "sealed credentials are erased, not only hidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_with_revoke_on_delete_false_revokes_nothing() {
    let (server, _upstream) = with_upstream().await;
    let config = auth_config(&server.api, "up", "API_KEY").await;
    let (_, account) = connect_key(&server.api, "u", "up").await;
    for path in [format!("/auth_configs/{config}"), format!("/connected_accounts/{account}")] {
        server.api.delete(&format!("{path}?revoke_on_delete=maybe")).await.expect_error(400, "HTTP_BadRequest");
        server.api.get(&path).await.expect(200);
    }
    let path = format!("/connected_accounts/{account}");
    assert_eq!(
        server.api.delete(&format!("{path}?revoke_on_delete=false")).await.expect(200),
        json!({ "success": true })
    );
    for reply in [server.api.delete(&path).await, server.api.get(&path).await] {
        reply.expect_error(404, "ConnectedAccount_ResourceNotFound");
    }
}
