//! With which scheme a link connects: whatever the toolkit's first link needs nothing for, the one that the
//! request names, or the one that the user chooses; and that a second auth config changes nothing unsaid.

use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::ManagedClient;
use switchboard_catalog::{Catalog, Scheme, Toolkit};

use super::help::{accounts, auth_config, bare, finish, finish_oauth, on_session, text};
use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

async fn any_session(api: &Api) -> String {
    text(&api.post("/tool_router/session", &json!({ "user_id": "u" })).await.expect(201), "session_id")
}

async fn link(api: &Api, session: &str, body: &Value) -> Reply {
    on_session(api, session, "link", body).await
}

/// The link's auth config and scheme, which must be the account's, too.
async fn made_with(api: &Api, made: &Value) -> (String, String) {
    let account = api.get(&format!("/connected_accounts/{}", text(made, "connected_account_id"))).await.expect(200);
    let (id, scheme) = (text(made, "auth_config_id"), text(made, "auth_scheme"));
    assert_eq!((&account["auth_config"]["id"], &account["auth_config"]["auth_scheme"]), (&json!(id), &json!(scheme)));
    (id, scheme)
}

fn warned(made: &Value) -> Vec<String> {
    made["warnings"].as_array().into_iter().flatten().map(|it| text(it, "code")).collect()
}

/// A toolkit with OAuth 2.0, an API key and a password, and no client anywhere.
fn mixed() -> String {
    format!(
        "{}[oauth2]\nauthorization_url = \"https://mixed.example.com/authorize\"\ntoken_url = \"https://mixed.example.com/token\"\n\
         scopes = []\nrefresh = \"rotating\"\n\
         [[api_key.fields]]\nname = \"generic_api_key\"\ndisplay_name = \"API key\"\nsecret = true\n\
         [[api_key.apply]]\nheader = \"Authorization\"\nvalue = \"Key {{generic_api_key}}\"\n[basic]\n",
        bare("mixed", "https://mixed.example.com", "mixed.example.com")
    )
}

/// Whether the project must set something up before users can connect with a scheme.
fn needs_preparation(toolkit: &Toolkit, scheme: Scheme) -> bool {
    matches!(scheme, Scheme::OAuth2 | Scheme::OAuth1) || !toolkit.developer_fields(scheme).is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_link_of_every_built_in_toolkit_works_if_any_of_its_schemes_can() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = any_session(api).await;
    let catalog = Catalog::builtin().without("sandbox");
    let (mut works, mut needs_client, mut needs_nothing) = (0, 0, 0);
    for toolkit in catalog.iter() {
        let (slug, schemes) = (&toolkit.slug, toolkit.schemes());
        let reply = link(api, &session, &json!({ "toolkit": slug })).await;
        if schemes == [Scheme::NoAuth] {
            assert_eq!(reply.expect_error(400, "ToolRouterV2_ToolkitsIsNoAuth")["code"], 4326, "{slug}");
            needs_nothing += 1;
            continue;
        }
        // Users are not asked for a service's key file instead of their own account.
        let services = [Scheme::S2sOAuth2, Scheme::GoogleServiceAccount, Scheme::ServiceAccount];
        let offered = schemes.iter().filter(|scheme| **scheme == schemes[0] || !services.contains(scheme));
        let Some(first) = offered.copied().find(|scheme| !needs_preparation(toolkit, *scheme)) else {
            let error = reply.expect_error(400, "ToolRouterV2_NoManagedAuth");
            let fix = text(&error, "suggested_fix");
            assert_eq!(error["code"], 4308, "{slug}");
            assert!(fix.contains("POST /auth_configs") && fix.contains(schemes[0].as_str()), "{slug}: {fix}");
            needs_client += 1;
            continue;
        };
        assert_eq!(reply.status, 201, "{slug}: {}", reply.text());
        let made = reply.expect(201);
        assert_eq!(made_with(api, &made).await.1, first.as_str(), "{slug}");
        assert_eq!(warned(&made).is_empty(), schemes[0] == first, "{slug}: {made}");
        let page = api.http.send("GET", &text(&made, "redirect_url"), &[], "").await;
        assert_eq!(page.status, 200, "{slug}");
        let again = link(api, &session, &json!({ "toolkit": slug })).await.expect(201);
        assert_eq!(again["auth_config_id"], made["auth_config_id"], "{slug}: made once, then found");
        works += 1;
    }
    eprintln!("first links: {works} work, {needs_client} need a client, {needs_nothing} need no account");
    assert!(works >= 45 && needs_client > 0, "{works} {needs_client} {needs_nothing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_uses_the_scheme_that_it_names_and_other_links_are_unchanged() {
    let server = TestServer::start().await;
    let (api, session) = (&server.api, any_session(&server.api).await);
    let usual = link(api, &session, &json!({ "toolkit": "sandbox" })).await.expect(201);
    let (oauth, scheme) = made_with(api, &usual).await;
    assert_eq!((scheme.as_str(), warned(&usual)), ("OAUTH2", vec![]));
    let mut seen = vec![oauth.clone()];
    for scheme in ["API_KEY", "BASIC", "BEARER_TOKEN"] {
        server.clock.advance(Duration::from_millis(5));
        let body = json!({ "toolkit": "sandbox", "auth_scheme": scheme });
        let named = link(api, &session, &body).await.expect(201);
        let (id, of) = made_with(api, &named).await;
        assert_eq!((of.as_str(), warned(&named)), (scheme, vec![]));
        assert_eq!(made_with(api, &link(api, &session, &body).await.expect(201)).await.0, id, "made once, then found");
        assert!(!seen.contains(&id));
        seen.push(id);
        // The newer auth config was made for who asks for its scheme.
        let usual = link(api, &session, &json!({ "toolkit": "sandbox" })).await.expect(201);
        assert_eq!((made_with(api, &usual).await.0, warned(&usual)), (oauth.clone(), vec![]));
    }
    let named = link(api, &session, &json!({ "toolkit": "sandbox", "auth_scheme": "OAUTH2" })).await.expect(201);
    assert_eq!(made_with(api, &named).await.0, oauth);
    finish_oauth(api, &named).await;
    let named = link(api, &session, &json!({ "toolkit": "sandbox", "auth_scheme": "API_KEY" })).await.expect(201);
    finish(api, &named, &[("generic_api_key", "sandbox_alice_key")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_link_warns_of_a_second_auth_config() {
    let server = TestServer::start().await;
    let (api, session) = (&server.api, any_session(&server.api).await);
    let older = auth_config(api, "sandbox", "BASIC").await;
    let only = link(api, &session, &json!({ "toolkit": "sandbox" })).await.expect(201);
    assert_eq!((made_with(api, &only).await.0, warned(&only)), (older.clone(), vec![]));
    server.clock.advance(Duration::from_millis(5));
    let newer = auth_config(api, "sandbox", "API_KEY").await;
    let made = link(api, &session, &json!({ "toolkit": "sandbox" })).await.expect(201);
    assert_eq!(
        (made_with(api, &made).await.0, warned(&made)),
        (newer.clone(), vec!["SEVERAL_AUTH_CONFIGS".to_owned()])
    );
    let message = text(&made["warnings"][0], "message");
    assert!(
        message.contains(&format!("{newer} (API_KEY)")) && message.contains(&format!("{older} (BASIC)")),
        "{message}"
    );
    // A call that names the auth config gets no warning.
    let named = link(api, &session, &json!({ "toolkit": "sandbox", "auth_scheme": "BASIC" })).await.expect(201);
    assert_eq!((made_with(api, &named).await.0, warned(&named)), (older.clone(), vec![]));
    let body = json!({ "user_id": "u", "auth_configs": { "sandbox": older } });
    let session = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    let named = link(api, &session, &json!({ "toolkit": "sandbox" })).await.expect(201);
    assert_eq!((made_with(api, &named).await.0, warned(&named)), (older.clone(), vec![]));
    // A scheme that the session's own auth config does not have is a contradiction; a choice is none.
    let body = json!({ "toolkit": "sandbox", "auth_scheme": "API_KEY" });
    let error = link(api, &session, &body).await.expect_error(400, "HTTP_BadRequest");
    assert!(error["errors"][0].as_str().unwrap().contains("payload.auth_scheme: must be BASIC"), "{error}");
    let made = link(api, &session, &json!({ "toolkit": "sandbox", "auth_scheme": "choose" })).await.expect(201);
    assert_eq!((made_with(api, &made).await.0, warned(&made)), (older.clone(), vec!["NO_CHOICE".to_owned()]));
    let direct = json!({ "auth_config_id": older, "user_id": "u" });
    let made = api.post("/connected_accounts/link", &direct).await.expect(201);
    assert_eq!(made_with(api, &made).await, (older, "BASIC".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_scheme_is_refused_with_a_fix() {
    let server = TestServer::builder().toolkit("mixed", &mixed()).start().await;
    let (api, session) = (&server.api, any_session(&server.api).await);
    for scheme in ["api_key", "", "API_KEY ", "GOOGLE_SERVICE_ACCOUNT", "CHOOSE", "NO_AUTH"] {
        let reply = link(api, &session, &json!({ "toolkit": "mixed", "auth_scheme": scheme })).await;
        let error = reply.expect_error(400, "HTTP_BadRequest");
        let said = error["errors"][0].as_str().unwrap();
        assert!(
            said.contains("payload.auth_scheme: must be one of OAUTH2, API_KEY, BASIC, BEARER_TOKEN, or choose"),
            "{scheme}: {said}"
        );
    }
    let error = link(api, &session, &json!({ "toolkit": "mixed", "auth_scheme": "OAUTH2" })).await;
    let error = error.expect_error(400, "ToolRouterV2_NoManagedAuth");
    assert!(text(&error, "suggested_fix").contains("authScheme OAUTH2"), "{error}");
    assert_eq!(accounts(api).await, 0);
    let made = link(api, &session, &json!({ "toolkit": "mixed" })).await.expect(201);
    assert_eq!((made_with(api, &made).await.1.as_str(), warned(&made)), ("API_KEY", vec!["OTHER_SCHEME".to_owned()]));
    // A disabled auth config is not created again.
    let id = text(&made, "auth_config_id");
    api.call("PATCH", &format!("/auth_configs/{id}/DISABLED"), "").await.expect(200);
    link(api, &session, &json!({ "toolkit": "mixed", "auth_scheme": "API_KEY" }))
        .await
        .expect_error(400, "AuthConfig_BadRequest");
    let basic = link(api, &session, &json!({ "toolkit": "mixed", "auth_scheme": "BASIC" })).await.expect(201);
    assert_eq!(made_with(api, &basic).await.1, "BASIC");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_choose_the_user_selects_a_scheme_before_entering_values() {
    let server = TestServer::start().await;
    let (api, session) = (&server.api, any_session(&server.api).await);
    let made = link(api, &session, &json!({ "toolkit": "sandbox", "auth_scheme": "choose" })).await.expect(201);
    assert_eq!(made_with(api, &made).await.1, "OAUTH2");
    let url = text(&made, "redirect_url");
    let mut browser = Browser::new("alice");
    let page = browser.get(&url).await;
    assert_eq!(page.status, 200);
    for scheme in ["OAUTH2", "API_KEY", "BASIC"] {
        assert!(page.text().contains(&format!("value=\"{scheme}\"")), "{scheme}: {}", page.text());
    }
    assert!(!page.text().contains("generic_api_key") && !page.text().contains("checked"), "{}", page.text());
    // Looking changes nothing, and what is none of these is asked again; a secret is not taken on the way.
    for form in [vec![], vec![("auth_scheme", "BEARER_TOKEN")], vec![("generic_api_key", "sandbox_alice_key")]] {
        let again = browser.submit(&url, &form).await;
        assert_eq!(again.status, 422, "{form:?}");
        assert!(again.text().contains("Nothing selected yet"), "{}", again.text());
    }
    assert_eq!(made_with(api, &made).await.1, "OAUTH2");
    let account = text(&made, "connected_account_id");
    assert_eq!(api.status(&account).await, "INITIALIZING");

    // The user chooses, goes back, and chooses again.
    let chosen = async |browser: &mut Browser, scheme: &str| {
        let reply = browser.submit(&url, &[("auth_scheme", scheme)]).await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        let read = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        assert_eq!(read["auth_config"]["auth_scheme"], scheme);
        browser.get(&url).await.text()
    };
    assert!(chosen(&mut browser, "BASIC").await.contains("name=\"username\""));
    assert!(browser.get(&format!("{url}?choose=1")).await.text().contains("value=\"API_KEY\""));
    let form = chosen(&mut browser, "API_KEY").await;
    assert!(form.contains("name=\"generic_api_key\"") && form.contains("Connect another way"), "{form}");
    let reply = browser.submit(&url, &[("generic_api_key", "sandbox_alice_key")]).await;
    assert_eq!(reply.status, 303, "{}", reply.text());
    let read = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!((&read["status"], &read["auth_config"]["auth_scheme"]), (&json!("ACTIVE"), &json!("API_KEY")));
    // The connected account stays unchanged: its browser shows success, and no other choice is possible.
    assert_eq!(browser.submit(&url, &[("auth_scheme", "BASIC")]).await.status, 200);
    assert_eq!(Browser::new("bob").submit(&url, &[("auth_scheme", "BASIC")]).await.status, 410);
    let read = api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!((&read["status"], &read["auth_config"]["auth_scheme"]), (&json!("ACTIVE"), &json!("API_KEY")));
    let told = api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200).to_string();
    assert!(told.contains("The user chose how to connect"), "{told}");

    // Other links are not asked, and not led elsewhere by what users chose.
    let usual = link(api, &session, &json!({ "toolkit": "sandbox" })).await.expect(201);
    assert_eq!((made_with(api, &usual).await.1.as_str(), warned(&usual)), ("OAUTH2", vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_chooses_oauth_is_redirected_and_cannot_change_the_scheme_afterwards() {
    let server = TestServer::start().await;
    let (api, session) = (&server.api, any_session(&server.api).await);
    let made = link(api, &session, &json!({ "toolkit": "sandbox", "auth_scheme": "choose" })).await.expect(201);
    let url = text(&made, "redirect_url");
    let mut browser = Browser::new("alice");
    assert_eq!(browser.submit(&url, &[("auth_scheme", "OAUTH2")]).await.status, 303);
    let begun = browser.submit(&url, &[("action", "continue")]).await;
    assert!(begun.header("location").unwrap().starts_with(&server.sandbox_url), "{:?}", begun.header("location"));
    // From now on it is OAuth: a choice comes too late.
    browser.submit(&url, &[("auth_scheme", "API_KEY")]).await;
    assert_eq!(made_with(api, &made).await.1, "OAUTH2");
    assert!(!browser.get(&format!("{url}?choose=1")).await.text().contains("value=\"API_KEY\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_only_one_scheme_the_user_is_not_asked() {
    let server = TestServer::start().await;
    let (api, session) = (&server.api, any_session(&server.api).await);
    let made = link(api, &session, &json!({ "toolkit": "openai", "auth_scheme": "choose" })).await.expect(201);
    assert_eq!(made_with(api, &made).await.1, "API_KEY");
    let page = api.http.send("GET", &text(&made, "redirect_url"), &[], "").await;
    assert!(page.text().contains("type=\"password\""), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operators_client_has_priority_and_does_not_change_working_links() {
    let client = ManagedClient {
        client_id: "managed-client".to_owned(),
        client_secret: Some("managed-secret".into()),
        projects: vec!["*".to_owned()],
        ..ManagedClient::default()
    };
    let server = TestServer::builder().toolkit("mixed", &mixed()).managed("mixed", client).start().await;
    let (api, session) = (&server.api, any_session(&server.api).await);
    let made = link(api, &session, &json!({ "toolkit": "mixed" })).await.expect(201);
    assert_eq!((made_with(api, &made).await.1.as_str(), warned(&made)), ("OAUTH2", vec![]));
}
