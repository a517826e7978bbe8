//! A secret goes only where it was given for: a change of the host alone, or a host for another owner's secret,
//! is refused, on every path (R43).

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::ManagedClient;

use super::auth_config_edit::{create, patch, read};
use super::help::bare;
use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::server::{Builder, TestServer};
use switchboard::app::model::params::with_derived_values;

const GOOD: &str = "https://good.example";
const EVIL: &str = "https://evil.example";
const SITE: &str = "[[fields]]\nname = \"site\"\ndisplay_name = \"Site\"\nformat = \"origin\"\n";

/// A toolkit whose host is a field, with a key; `area` has a default and is part of the path.
fn keyed() -> String {
    format!(
        "{}{SITE}[[fields]]\nname = \"area\"\ndisplay_name = \"Area\"\nformat = \"path_segment\"\ndefault = \"all\"\n\
         [[fields]]\nname = \"note\"\ndisplay_name = \"Note\"\nrequired = false\n\
         [api_key]\nfields = [{{ name = \"generic_api_key\", display_name = \"Key\", secret = true, strip_prefixes = [\"key-\"] }}]\n\
         apply = [{{ header = \"X-Key\", value = \"{{generic_api_key}}\" }}]\n",
        bare("keyed", "{site}/api/{area}", "{site}")
    )
}

/// A toolkit whose host is a field, with an OAuth client.
fn corp(slug: &str, client_authentication: &str) -> String {
    format!(
        "{}{SITE}[oauth2]\nauthorization_url = \"{{site}}/authorize\"\ntoken_url = \"{{site}}/token\"\n\
         revocation_url = \"{{site}}/revoke\"\nclient_authentication = \"{client_authentication}\"\n",
        bare(slug, "{site}/api", "{site}")
    )
}

fn builder() -> Builder {
    TestServer::builder()
        .toolkit("keyed", &keyed())
        .toolkit("corp", &corp("corp", "client_secret_post"))
        .toolkit("public", &corp("public", "none"))
}

/// A refusal that names a field and says what to send.
#[track_caller]
fn assert_names(reply: &Reply, field: &str, sends: &str) {
    let error = reply.expect_error(400, "HTTP_BadRequest");
    let line = error["errors"][0].as_str().unwrap();
    assert!(line.starts_with(&format!("Error in payload.{field}: ")), "{error}");
    assert!(error["suggested_fix"].as_str().unwrap().contains(sends), "{error}");
}

#[track_caller]
fn assert_lacks(reply: &Reply, fields: &str) {
    let error = reply.expect_error(400, "ConnectedAccount_MissingRequiredFields");
    assert_eq!(error["message"], format!("Missing required fields: {fields}"), "{error}");
}

async fn key_config(api: &Api, shared: Value) -> String {
    let config = json!({ "type": "use_custom_auth", "authScheme": "API_KEY", "shared_connection_fields": shared });
    create(api, "keyed", &config).await
}

async fn client_config(api: &Api, toolkit: &str, shared: Value) -> String {
    let mut credentials = json!({ "client_id": "client" });
    if toolkit != "public" {
        credentials["client_secret"] = json!("client-canary");
    }
    let config = json!({ "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": credentials,
        "shared_connection_fields": shared });
    create(api, toolkit, &config).await
}

async fn import(api: &Api, config: &str, scheme: &str, val: Value) -> Reply {
    let body = json!({ "auth_config": { "id": config },
        "connection": { "user_id": "u", "state": { "authScheme": scheme, "val": val } } });
    api.post("/connected_accounts", &body).await
}

async fn link(api: &Api, config: &str, scheme: &str, val: Value) -> Reply {
    let body = json!({ "auth_config_id": config, "user_id": "u",
        "connection_data": { "authScheme": scheme, "val": val } });
    api.post("/connected_accounts/link", &body).await
}

async fn change(api: &Api, account: &str, val: Value) -> Reply {
    let body = json!({ "connection": { "state": { "authScheme": "API_KEY", "val": val } } });
    api.call("PATCH", &format!("/connected_accounts/{account}"), body.to_string()).await
}

async fn fields(server: &TestServer, account: &str) -> Value {
    let row = server.app.core.store.account(&server.project_id, &account.into()).await.unwrap().unwrap();
    json!(row.params.fields)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_not_sent_to_a_host_that_was_changed_without_it() {
    let server = builder().start().await;
    let api = &server.api;
    let config = key_config(api, json!({})).await;
    let made =
        import(api, &config, "API_KEY", json!({ "site": GOOD, "generic_api_key": "user-canary" })).await.expect(201);
    let account = made["id"].as_str().unwrap().to_owned();
    let kept = json!({ "site": GOOD, "area": "all" });
    for (val, field) in [
        (json!({ "site": EVIL }), "site"),
        (json!({ "area": "admin" }), "area"),
        (json!({ "site": EVIL, "generic_api_key": null }), "site"),
        // What is nothing but blanks, or what is cut off, is no key: the stored one would stay.
        (json!({ "site": EVIL, "generic_api_key": "" }), "site"),
        (json!({ "site": EVIL, "generic_api_key": " \t" }), "site"),
        (json!({ "site": EVIL, "generic_api_key": "\u{200b}" }), "site"),
        (json!({ "site": EVIL, "generic_api_key": "key-" }), "site"),
        (json!({ "area": "admin", "api_key": " " }), "area"),
    ] {
        let refused = change(api, &account, val.clone()).await;
        // A key that is taken away is missing.
        if val["generic_api_key"].is_null() && val.get("generic_api_key").is_some() {
            assert_lacks(&refused, "Key");
        } else {
            assert_names(
                &refused,
                &format!("connection.state.val.{field}"),
                "Send generic_api_key in the same request",
            );
        }
        assert_eq!(fields(&server, &account).await, kept);
    }
    // What does not say where it goes may change, and so may the key alone, and both together.
    change(api, &account, json!({ "note": "x" })).await.expect(200);
    change(api, &account, json!({ "generic_api_key": "second" })).await.expect(200);
    change(api, &account, json!({ "area": "all" })).await.expect(200);
    change(api, &account, json!({ "site": "https://other.example", "generic_api_key": "third" })).await.expect(200);
    assert_eq!(fields(&server, &account).await["site"], "https://other.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_key_requires_its_host_among_the_shared_fields() {
    let server = builder().start().await;
    let api = &server.api;
    let alone = json!({ "generic_api_key": "shared-canary" });
    let body = json!({ "toolkit": { "slug": "keyed" }, "auth_config": { "type": "use_custom_auth",
        "authScheme": "API_KEY", "shared_connection_fields": alone } });
    assert_lacks(&api.post("/auth_configs", &body).await, "site");
    let config = key_config(api, json!({})).await;
    assert_lacks(&patch(api, &config, &json!({ "type": "custom", "shared_connection_fields": alone })).await, "site");
    assert_eq!(read(api, &config).await["shared_connection_fields"], json!({}));

    let config = key_config(api, json!({ "site": GOOD, "generic_api_key": "shared-canary" })).await;
    // No caller can name another place for it: not with a link, not with an import, not as a visitor.
    for val in [json!({ "site": EVIL }), json!({ "area": "admin" })] {
        let name = val.as_object().unwrap().keys().next().unwrap().clone();
        assert_names(
            &link(api, &config, "API_KEY", val.clone()).await,
            &format!("connection_data.val.{name}"),
            "Leave it out",
        );
        let refused = import(api, &config, "API_KEY", val).await;
        assert_names(&refused, &format!("connection.state.val.{name}"), "Leave it out");
    }
    link(api, &config, "API_KEY", json!({ "site": GOOD })).await.expect(201);
    let made = link(api, &config, "API_KEY", json!({})).await.expect(201);
    let url = made["redirect_url"].as_str().unwrap();
    let mut browser = Browser::new("visitor");
    let page = browser.get(url).await.text();
    for hidden in ["name=\"site\"", "name=\"area\"", "name=\"generic_api_key\""] {
        assert!(!page.contains(hidden), "{hidden}: {page}");
    }
    let done = browser.submit(url, &[("site", EVIL), ("area", "admin"), ("note", "n")]).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let account = made["connected_account_id"].as_str().unwrap();
    assert_eq!(fields(&server, account).await, json!({ "site": GOOD, "area": "all", "note": "n" }));
    // A key that is none is none of one's own: the shared one would go there.
    for nothing in ["", " ", "\u{200b}", "\u{feff} ", "key-"] {
        let val = json!({ "area": "admin", "generic_api_key": nothing });
        let refused = import(api, &config, "API_KEY", val).await;
        assert_names(&refused, "connection.state.val.area", "Leave it out");
    }
    // With a key of one's own, a field that the auth config shares is still its.
    let val = json!({ "site": EVIL, "generic_api_key": "own" });
    assert_names(&import(api, &config, "API_KEY", val).await, "connection.state.val.site", "Leave it out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefilled_key_requires_its_prefilled_host() {
    let server = builder().start().await;
    let api = &server.api;
    let config = key_config(api, json!({})).await;
    assert_lacks(&link(api, &config, "API_KEY", json!({ "generic_api_key": "prefilled-canary" })).await, "site");
    let val = json!({ "site": GOOD, "generic_api_key": "prefilled-canary" });
    let made = link(api, &config, "API_KEY", val).await.expect(201);
    let url = made["redirect_url"].as_str().unwrap();
    let done = Browser::new("visitor").submit(url, &[("site", EVIL), ("area", "admin")]).await;
    assert_eq!(done.status, 303, "{}", done.text());
    let account = made["connected_account_id"].as_str().unwrap();
    assert_eq!(fields(&server, account).await, json!({ "site": GOOD, "area": "all" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_is_not_sent_to_a_host_that_was_changed_without_it() {
    let server = builder().start().await;
    let api = &server.api;
    let config = client_config(api, "corp", json!({ "site": GOOD })).await;
    let moved = |site: &str| json!({ "type": "custom", "shared_connection_fields": { "site": site } });
    for body in [moved(EVIL), json!({ "type": "custom", "shared_connection_fields": {} })] {
        let refused = patch(api, &config, &body).await;
        assert_names(&refused, "shared_connection_fields.site", "Send credentials.client_secret in the same request");
    }
    patch(api, &config, &moved(GOOD)).await.expect(200);
    assert_eq!(read(api, &config).await["shared_connection_fields"], json!({ "site": GOOD }));
    // Neither a link nor an import names another host for it.
    assert_names(
        &link(api, &config, "OAUTH2", json!({ "site": EVIL })).await,
        "connection_data.val.site",
        "Leave it out",
    );
    let val = json!({ "site": EVIL, "access_token": "t", "refresh_token": "r" });
    assert_names(&import(api, &config, "OAUTH2", val).await, "connection.state.val.site", "Leave it out");
    // One that was given without a host is for none.
    let hostless = client_config(api, "corp", json!({})).await;
    assert_lacks(&link(api, &hostless, "OAUTH2", json!({ "site": EVIL })).await, "site");
    let val = json!({ "site": EVIL, "access_token": "t", "refresh_token": "r" });
    assert_lacks(&import(api, &hostless, "OAUTH2", val).await, "site");
    let with_secret = json!({ "type": "custom", "shared_connection_fields": { "site": GOOD },
        "credentials": { "client_secret": "client-canary" } });
    assert_names(&patch(api, &hostless, &moved(EVIL)).await, "shared_connection_fields.site", "client_secret");
    patch(api, &hostless, &with_secret).await.expect(200);
    // A client without a secret goes where the developer says, with each link.
    let public = client_config(api, "public", json!({})).await;
    link(api, &public, "OAUTH2", json!({ "site": GOOD })).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_a_changed_host_must_be_connected_again() {
    let server = builder().start().await;
    let api = &server.api;
    let config = client_config(api, "corp", json!({ "site": GOOD })).await;
    let val = json!({ "access_token": "t", "refresh_token": "r", "expires_in": "60" });
    let account = import(api, &config, "OAUTH2", val).await.expect(201)["id"].as_str().unwrap().to_owned();
    let explain = async || api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200);
    assert_eq!(explain().await["code"], "works");
    let moved = json!({ "type": "custom", "shared_connection_fields": { "site": "https://new.example" },
        "credentials": { "client_secret": "client-canary-2" } });
    patch(api, &config, &moved).await.expect(200);
    assert_eq!(explain().await["code"], "host_changed");
    // Its token ends: the new secret does not go to the old host, nor the old token to the new one.
    server.clock.advance(Duration::from_mins(2));
    let body = json!({ "user_id": "u", "toolkits": { "enable": ["corp"] }, "auth_configs": { "corp": config } });
    let session = api.post("/tool_router/session", &body).await.expect(201)["session_id"].as_str().unwrap().to_owned();
    let error = api.proxy_get(&session, "corp", "/x").await.expect_error(422, "reauth_required");
    assert!(error["message"].as_str().unwrap().contains("connected at another host"), "{error}");
    // The user is asked again, and sent to the new one.
    let refreshed = api.post(&format!("/connected_accounts/{account}/refresh"), &json!({})).await.expect(200);
    let url = refreshed["redirect_url"].as_str().unwrap();
    let started = Browser::new("u").submit(url, &[("action", "continue"), ("site", EVIL)]).await;
    assert_eq!(started.status, 303, "{}", started.text());
    assert!(started.header("location").unwrap().starts_with("https://new.example/authorize"), "{:?}", started.headers);
    // Deleted, its token is not sent anywhere with a secret that was given for another place.
    let deleted = api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    let job = deleted["revoke_job_id"].as_str().unwrap();
    let receipt = api.get(&format!("/revoke_jobs/{job}")).await.expect(200);
    assert_eq!(receipt["items"][0]["outcome"], "failed", "{receipt}");
    assert!(receipt["items"][0]["detail"].as_str().unwrap().contains("another host"), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_client_secret_is_sent_only_to_configured_hosts() {
    let client = |hosts: &[&str]| ManagedClient {
        client_id: "operator".to_owned(),
        client_secret: Some("operator-canary".into()),
        projects: vec!["*".to_owned()],
        hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
        ..ManagedClient::default()
    };
    let managed = json!({ "type": "use_composio_managed_auth" });
    let server = builder().managed("corp", client(&[GOOD])).start().await;
    let api = &server.api;
    let config = create(api, "corp", &managed).await;
    assert_lacks(&link(api, &config, "OAUTH2", json!({})).await, "site");
    let refused = link(api, &config, "OAUTH2", json!({ "site": EVIL })).await;
    let error = refused.expect_error(400, "AuthConfig_BadRequest");
    assert!(error["suggested_fix"].as_str().unwrap().contains(GOOD), "{error}");
    let val = json!({ "site": EVIL, "access_token": "t", "refresh_token": "r" });
    import(api, &config, "OAUTH2", val).await.expect_error(400, "AuthConfig_BadRequest");
    let made = link(api, &config, "OAUTH2", json!({ "site": GOOD })).await.expect(201);
    let started = Browser::new("u").submit(made["redirect_url"].as_str().unwrap(), &[("site", EVIL)]).await;
    assert!(started.header("location").unwrap().starts_with(GOOD), "{}", started.text());

    // A client of before, without hosts, is refused and says so.
    let server = builder().managed("corp", client(&[])).start().await;
    let config = create(&server.api, "corp", &managed).await;
    let refused = link(&server.api, &config, "OAUTH2", json!({ "site": GOOD })).await;
    let error = refused.expect_error(400, "ToolRouterV2_NoManagedAuth");
    assert!(error["message"].as_str().unwrap().contains("names no hosts"), "{error}");
    assert!(error["suggested_fix"].as_str().unwrap().contains("[managed.corp]"), "{error}");
}

/// Accounts of before go on working where a newer file has another field.
#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_a_newer_file_adds_has_its_default() {
    let server = builder().start().await;
    let api = &server.api;
    let config = key_config(api, json!({})).await;
    let val = json!({ "site": GOOD, "generic_api_key": "user-canary" });
    let account = import(api, &config, "API_KEY", val).await.expect(201)["id"].as_str().unwrap().to_owned();
    // As an account of before the field: its seal does not know it.
    let row = server.app.core.store.account(&server.project_id, &account.as_str().into()).await.unwrap().unwrap();
    let mut params = (*row.params).clone();
    params.fields.remove("area");
    let edit = switchboard_store::accounts::CredentialEdit {
        sealed: server.app.credentials.seal_credential(
            &(&row).into(),
            &params,
            &server.app.credentials.open_credential(&row).unwrap(),
        ),
        params,
        replaces: row.credential_version,
    };
    let edit =
        switchboard_store::accounts::Edit { credential: Some(edit), ..switchboard_store::accounts::Edit::default() };
    let edit = switchboard_store::accounts::edit(&server.project_id, &account.as_str().into(), edit, row.updated_at);
    server.app.core.store.apply(switchboard_store::Unit::new().with(edit)).await.unwrap();
    let row = server.app.core.store.account(&server.project_id, &account.as_str().into()).await.unwrap().unwrap();
    let toolkit = server.app.core.toolkit("keyed").unwrap();
    let completed = with_derived_values(&row.params, &toolkit, switchboard_catalog::Scheme::ApiKey);
    assert_eq!(server.app.providers.expand("{site}/api/{area}", &completed).unwrap(), format!("{GOOD}/api/all"));
    assert!(!completed.to_text().contains("area"), "it is not stored");
    // Setting it needs the key; setting it to its default changes nothing.
    assert_names(
        &change(api, &account, json!({ "area": "admin" })).await,
        "connection.state.val.area",
        "generic_api_key",
    );
    change(api, &account, json!({ "area": "all" })).await.expect(200);
}
