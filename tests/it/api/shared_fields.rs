//! Connection fields that all accounts of an auth config share: they go into each account, and no
//! form and no prefill changes them.

use std::time::Duration;

use serde_json::{Value, json};

use super::auth_config_edit::{create, patch, read};
use super::help::{Upstream, bare, proxy, sql, text};
use crate::support::browser::Browser;
use crate::support::server::TestServer;

/// A toolkit with a field for where the account is and one for a key, both asked on the page.
fn located(upstream: &Upstream) -> String {
    format!(
        "{}[[fields]]\nname = \"region\"\ndisplay_name = \"Region\"\nformat = \"dns_label\"\n\
         [[api_key.fields]]\nname = \"app_key\"\ndisplay_name = \"App key\"\nsecret = true\n\
         [[api_key.fields]]\nname = \"user_key\"\ndisplay_name = \"User key\"\nsecret = true\n\
         [[api_key.apply]]\nheader = \"X-App\"\nvalue = \"{{app_key}}\"\n\
         [[api_key.apply]]\nheader = \"X-User\"\nvalue = \"{{user_key}}\"\n\
         [[api_key.apply]]\nheader = \"X-Region\"\nvalue = \"{{region}}\"\n",
        bare("located", &format!("http://{}/base", upstream.host), &upstream.host)
    )
}

async fn with_located() -> (TestServer, Upstream) {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("located", &located(&upstream)).start().await;
    (server, upstream)
}

fn sharing(shared: &Value) -> Value {
    json!({ "type": "use_custom_auth", "authScheme": "API_KEY", "shared_connection_fields": shared })
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_fields_go_into_each_account_and_no_form_changes_them() {
    let (server, upstream) = with_located().await;
    let api = &server.api;
    let config = create(api, "located", &sharing(&json!({ "region": "eu", "app_key": "shared-app-canary" }))).await;
    let shown = read(api, &config).await;
    let fields = json!({ "region": "eu", "app_key": "REDACTED" });
    assert_eq!((&shown["shared_connection_fields"], &shown["shared_credentials"]), (&fields, &fields));
    let expected = shown["expected_input_fields"].as_array().unwrap();
    assert_eq!(expected.len(), 3);
    assert!(expected.iter().all(|field| field["is_available_as_shared_credentials"] == true), "{shown}");

    // A prefill of the developer does not come before what is shared either.
    let prefill = json!({ "authScheme": "API_KEY", "val": { "region": "us", "app_key": "prefilled" } });
    let body = json!({ "auth_config_id": config, "user_id": "u", "connection_data": prefill });
    let link = api.post("/connected_accounts/link", &body).await.expect(201);
    let mut browser = Browser::new("visitor");
    let page = browser.get(&text(&link, "redirect_url")).await.text();
    assert!(page.contains("name=\"user_key\""), "{page}");
    for hidden in ["region", "app_key", "shared-app-canary", "prefilled"] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    let form = [("user_key", "u-key"), ("region", "evil"), ("app_key", "mine")];
    let done = browser.submit(&text(&link, "redirect_url"), &form).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let account = text(&link, "connected_account_id");
    assert_eq!(api.get(&format!("/connected_accounts/{account}")).await.expect(200)["state"]["val"]["region"], "eu");
    let session = api.session("u", "located").await;
    let call = json!({ "toolkit_slug": "located", "endpoint": "/x", "method": "GET" });
    proxy(api, &session, &call).await.expect(200);
    let sent = upstream.only().to_ascii_lowercase();
    for header in ["x-app: shared-app-canary", "x-user: u-key", "x-region: eu"] {
        assert!(sent.contains(header), "{header}: {sent}");
    }

    // Shared values of a later PATCH are for later accounts, and a direct import takes them, too.
    patch(api, &config, &json!({ "type": "custom", "shared_credentials": { "app_key": "second-app" } }))
        .await
        .expect(200);
    assert_eq!(read(api, &config).await["shared_connection_fields"], json!({ "app_key": "REDACTED" }));
    let import = |user: &str, val: Value| {
        json!({ "auth_config": { "id": config },
        "connection": { "user_id": user, "state": { "authScheme": "API_KEY", "val": val } } })
    };
    let made = api
        .post("/connected_accounts", &import("u3", json!({ "user_key": "u3-key", "region": "ap" })))
        .await
        .expect(201);
    assert_eq!(made["connectionData"]["val"]["status"], "ACTIVE");
    let session = api.session("u3", "located").await;
    proxy(api, &session, &call).await.expect(200);
    let sent = upstream.only().to_ascii_lowercase();
    for header in ["x-app: second-app", "x-user: u3-key", "x-region: ap"] {
        assert!(sent.contains(header), "{header}: {sent}");
    }
    let missing = api.post("/connected_accounts", &import("u4", json!({ "user_key": "k" }))).await;
    assert!(missing.expect(400).to_string().contains("Region"), "not shared any more");

    // All that is needed may be shared: then nothing has to be given.
    let all = json!({ "region": "eu", "app_key": "a", "user_key": "b" });
    patch(api, &config, &json!({ "type": "custom", "shared_connection_fields": all })).await.expect(200);
    let body = json!({ "auth_config": { "id": config }, "connection": { "user_id": "u5" } });
    api.post("/connected_accounts", &body).await.expect(201);
    patch(api, &config, &json!({ "type": "custom", "shared_connection_fields": {} })).await.expect(200);
    assert_eq!(read(api, &config).await["shared_connection_fields"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_fields_are_checked_and_erased_with_the_auth_config() {
    let (server, _upstream) = with_located().await;
    let api = &server.api;
    for (shared, words) in [
        (json!({ "nope": "secret-canary" }), "known are region, app_key, user_key"),
        (json!({ "region": "Not A Label" }), "shared_connection_fields.region"),
        (json!({ "app_key": "" }), "must not be empty"),
        (json!({ "app_key": { "value": "secret-canary" } }), "must be a string"),
    ] {
        let body = json!({ "toolkit": { "slug": "located" }, "auth_config": sharing(&shared) });
        let error = api.post("/auth_configs", &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error.to_string().contains(words) && !error.to_string().contains("canary"), "{shared}: {error}");
    }
    let shared = json!({ "region": "eu", "app_key": "secret-canary" });
    let stored = "SELECT COUNT(*) FROM auth_configs WHERE shared_sealed IS NOT NULL";
    for revoke in [true, false] {
        let config = create(api, "located", &sharing(&shared)).await;
        server.clock.advance(Duration::from_millis(2));
        assert_eq!(sql(&server.database(), stored), json!([[1]]));
        api.delete(&format!("/auth_configs/{config}?revoke_on_delete={revoke}")).await.expect(200);
        assert_eq!(sql(&server.database(), stored), json!([[0]]), "revoke {revoke}");
    }
}
