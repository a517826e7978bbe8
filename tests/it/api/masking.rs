//! No answer shows a credential, unless the project asks for its own raw (contract section 4.4;
//! R74).

use serde_json::{Value, json};
use switchboard::app::project::ProjectSettings;

use super::help::{auth_config, finish, finish_oauth, text};
use crate::support::http::Api;
use crate::support::server::TestServer;

const API_KEY: &str = "sandbox_alice_key";

/// `val` of an account; the same in the read, in the list and in the deprecated copy.
async fn val(api: &Api, account: &str) -> Value {
    let read = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    let page =
        api.get(&format!("/connected_accounts?account_type=ALL&connected_account_ids={account}")).await.expect(200);
    let listed = &page["items"][0];
    assert_eq!(read["state"], listed["state"]);
    assert_eq!(read["state"]["val"], read["data"]);
    assert_eq!(
        (&read["state"]["authScheme"], &read["authScheme"]),
        (&read["auth_config"]["auth_scheme"], &read["state"]["authScheme"])
    );
    read["state"]["val"].clone()
}

/// An account of the sandbox under an auth config of the given scheme, or the managed one.
async fn connect(server: &TestServer, api: &Api, scheme: &str) -> String {
    let config = match scheme {
        "managed" => text(
            &api.post("/auth_configs", &json!({ "toolkit": { "slug": "sandbox" } })).await.expect(201)["auth_config"],
            "id",
        ),
        "OAUTH2" => {
            let managed = &server.app.core.settings.managed["sandbox"];
            let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2",
                "credentials": { "client_id": managed.client_id, "client_secret": managed.client_secret.as_ref().unwrap().expose() } } });
            text(&api.post("/auth_configs", &body).await.expect(201)["auth_config"], "id")
        }
        other => auth_config(api, "sandbox", other).await,
    };
    let body = json!({ "user_id": "u", "auth_configs": { "sandbox": config } });
    let session = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    let link = api.link(&session, "sandbox").await;
    match scheme {
        "API_KEY" => finish(api, &link, &[("generic_api_key", API_KEY)]).await,
        "BASIC" => finish(api, &link, &[("username", "alice"), ("password", "alice")]).await,
        _ => finish_oauth(api, &link).await,
    }
}

/// What is sealed for an account, read past the API.
async fn sealed(server: &TestServer, account: &str) -> Vec<(String, String)> {
    let row = server.app.core.store.account(&server.project_id, &account.into()).await.unwrap().unwrap();
    let secrets = server.app.credentials.open_credential(&row).unwrap();
    secrets.iter().map(|(name, secret)| (name.to_owned(), secret.expose().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_managed_account_shows_no_character_of_its_tokens() {
    for mask in [true, false] {
        let settings = ProjectSettings { mask_secret_keys_in_connected_account: mask, ..ProjectSettings::default() };
        let server = TestServer::builder().project(settings).start().await;
        let account = connect(&server, &server.api, "managed").await;
        let val = val(&server.api, &account).await;
        assert_eq!(val["access_token"], "REDACTED", "{val}");
        assert_eq!(val["refresh_token"], "REDACTED", "{val}");
        assert_eq!((&val["status"], &val["token_type"]), (&json!("ACTIVE"), &json!("Bearer")));
        assert_eq!(val["scope"], "notes:read notes:write");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_account_shows_four_characters() {
    let server = TestServer::start().await;
    let account = connect(&server, &server.api, "OAUTH2").await;
    let shown = val(&server.api, &account).await;
    for (name, secret) in sealed(&server, &account).await {
        assert_eq!(shown[&name], format!("{}...", &secret[..4]), "{name}: {shown}");
    }
    let account = connect(&server, &server.api, "API_KEY").await;
    assert_eq!(val(&server.api, &account).await, json!({ "status": "ACTIVE", "generic_api_key": "sand..." }));
    // Four characters of a short password would be most of it.
    let account = connect(&server, &server.api, "BASIC").await;
    assert_eq!(
        val(&server.api, &account).await,
        json!({ "status": "ACTIVE", "username": "REDACTED", "password": "REDACTED" })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_switched_masking_off_sees_its_own_credentials_raw() {
    let settings = ProjectSettings { mask_secret_keys_in_connected_account: false, ..ProjectSettings::default() };
    let server = TestServer::builder().project(settings).start().await;
    let account = connect(&server, &server.api, "OAUTH2").await;
    let shown = val(&server.api, &account).await;
    let secrets = sealed(&server, &account).await;
    assert!(secrets.iter().any(|(name, _)| name == "refresh_token"), "{secrets:?}");
    for (name, secret) in secrets {
        assert_eq!(shown[&name], secret);
    }
    let account = connect(&server, &server.api, "BASIC").await;
    assert_eq!(
        val(&server.api, &account).await,
        json!({ "status": "ACTIVE", "username": "alice", "password": "alice" })
    );
    // The switch is that project's alone.
    let other = server.other_project("Other").await;
    let account = connect(&server, &other, "API_KEY").await;
    assert_eq!(val(&other, &account).await["generic_api_key"], "sand...");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unconnected_account_shows_the_fields_of_its_status() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let link = server.api.link(&session, "sandbox").await;
    let account = text(&link, "connected_account_id");
    assert_eq!(val(&server.api, &account).await, json!({ "status": "INITIALIZING" }));
    let redirect = crate::support::browser::Browser::new("alice").submit(&text(&link, "redirect_url"), &[]).await;
    assert_eq!(redirect.status, 303);
    let shown = val(&server.api, &account).await;
    assert_eq!(shown["status"], "INITIATED");
    assert!(shown["redirectUrl"].is_string(), "mandatory in the schema: {shown}");
    let read = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200).to_string();
    assert!(!read.contains(&text(&link, "link_token")), "{read}");
    let state = redirect.header("location").unwrap().split("state=").nth(1).unwrap().split('&').next().unwrap();
    assert!(!read.contains(state), "{read}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_get_operation_returns_a_credential() {
    let server = TestServer::start().await;
    let mut canaries = vec![server.api.key.clone()];
    for scheme in ["managed", "OAUTH2"] {
        let account = connect(&server, &server.api, scheme).await;
        canaries.extend(sealed(&server, &account).await.into_iter().map(|(_, secret)| secret));
    }
    let managed = &server.app.core.settings.managed["sandbox"];
    canaries.push(managed.client_secret.as_ref().unwrap().expose().to_owned());
    assert!(canaries.len() >= 6 && canaries.iter().all(|it| it.len() >= 12), "{}", canaries.len());
    let mut paths: Vec<String> =
        ["/connected_accounts?account_type=ALL", "/auth_configs?show_disabled=true", "/toolkits", "/toolkits/sandbox"]
            .map(ToOwned::to_owned)
            .into();
    for list in ["/connected_accounts", "/auth_configs"] {
        let page = server.api.get(list).await.expect(200);
        paths.extend(page["items"].as_array().unwrap().iter().map(|item| format!("{list}/{}", text(item, "id"))));
    }
    for path in paths {
        let shown = server.api.get(&path).await.expect(200).to_string();
        for canary in &canaries {
            assert!(!shown.contains(canary.as_str()), "{path} shows {canary}");
        }
    }
}
