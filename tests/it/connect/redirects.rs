//! One redirect URI, one authorization server (R16): auth configs with a redirect URI of their own, which
//! forwards here, must not get each other's codes.

use serde_json::{Value, json};

use super::flow::{
    expect_done, expect_page, mock, offer, parameter, press, provider_url, sql, state, token_requests, with_parameter,
};
use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

const FORWARDER: &str = "https://app.test/oauth";
const SHARED_PATH: &str = "/api/v3.1/toolkits/auth/callback";

async fn auth_config(api: &Api, toolkit: &str, uri: Option<&str>) -> Reply {
    let (id, secret) = (mock().text("client_id"), mock().text("client_secret"));
    let mut credentials = json!({ "client_id": id, "client_secret": secret });
    if let Some(uri) = uri {
        credentials["oauth_redirect_uri"] = uri.into();
    }
    let auth_config = json!({ "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": credentials });
    api.post("/auth_configs", &json!({ "toolkit": { "slug": toolkit }, "auth_config": auth_config })).await
}

fn id_of(made: &Value) -> String {
    made["auth_config"]["id"].as_str().unwrap().to_owned()
}

/// Toolkits `good` and `evil`, whose token endpoints differ.
async fn server(more: &str) -> TestServer {
    let evil = mock().toolkit("evil", more).replace("/token\"", "/evil-token\"");
    TestServer::builder().toolkit("good", &mock().toolkit("good", more)).toolkit("evil", &evil).start().await
}

async fn seen_by_evil() -> Vec<Value> {
    mock().seen("/evil-token").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_uri_of_one_provider_is_not_accepted_for_another() {
    let server = server("").await;
    let other = server.other_project("Other").await;
    let good = id_of(&auth_config(&server.api, "good", Some(FORWARDER)).await.expect(201));
    for api in [&server.api, &other] {
        let refused = auth_config(api, "evil", Some(FORWARDER)).await.expect_error(400, "AuthConfig_BadRequest");
        let told = refused.to_string();
        assert!(told.contains("another auth config") && !told.contains(&good), "{told}");
        // Nor by a change.
        let made = id_of(&auth_config(api, "evil", None).await.expect(201));
        let body = json!({ "type": "custom", "credentials": { "oauth_redirect_uri": FORWARDER } });
        let path = format!("/auth_configs/{made}");
        api.call("PATCH", &path, body.to_string()).await.expect_error(400, "AuthConfig_BadRequest");
    }
    // Codes of the same provider go to one server, for every auth config.
    auth_config(&other, "good", Some(FORWARDER)).await.expect(201);
    // And when the one that has it is gone, it is free.
    auth_config(&other, "evil", Some("https://app.test/other")).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn auth_configs_that_require_the_issuer_may_share_a_redirect_uri() {
    let issuer = format!("issuer = \"{}\"\niss_required = true", mock().text("issuer"));
    let server = server(&issuer).await;
    auth_config(&server.api, "good", Some(FORWARDER)).await.expect(201);
    auth_config(&server.api, "evil", Some(FORWARDER)).await.expect(201);
}

/// Auth configs that shared one before this was refused: no user is redirected, and `explain` says why.
#[tokio::test(flavor = "multi_thread")]
async fn existing_auth_configs_with_a_shared_redirect_uri_redirect_no_user_and_say_why() {
    let server = server("").await;
    let good = id_of(&auth_config(&server.api, "good", Some(FORWARDER)).await.expect(201));
    let evil = id_of(&auth_config(&server.api, "evil", Some("https://app.test/other")).await.expect(201));
    let settings = format!(r#"{{"oauth_redirect_uri":"{FORWARDER}"}}"#);
    sql(&server, &format!("UPDATE auth_configs SET settings = '{settings}' WHERE id = '{evil}'"));
    server.app.redirect_uris.report_shared().await.unwrap();
    for toolkit in ["good", "evil"] {
        let link = offer(&server.api, toolkit).await;
        let path = format!("/connected_accounts/{}/explain", link.account);
        assert_eq!(server.api.get(&path).await.expect(200)["code"], "redirect_uri_shared");
        let page = press(&mut Browser::new("alice"), &link.page).await;
        assert_eq!(page.status, 422, "{:?}", page.header("location"));
        assert!(page.text().contains("not set up safely"), "{}", page.text());
        let told = server.api.get(&path).await.expect(200);
        assert_eq!(told["code"], "redirect_uri_shared", "{told}");
        assert!(told["fix"].as_str().unwrap().contains("oauth_redirect_uri"), "{told}");
        assert_eq!(state(&server.api, &link.account).await.0, "INITIALIZING");
    }
    // Told apart again, both work.
    let body = json!({ "type": "custom", "credentials": { "oauth_redirect_uri": "" } });
    server.api.call("PATCH", &format!("/auth_configs/{evil}"), body.to_string()).await.expect(200);
    let link = offer(&server.api, "good").await;
    provider_url(&press(&mut Browser::new("alice"), &link.page).await);
    assert!(token_requests(&good).await.is_empty());
}

/// Two redirect URIs that forward to one path: the path tells nothing apart.
#[tokio::test(flavor = "multi_thread")]
async fn on_the_shared_path_no_code_of_one_provider_goes_to_another() {
    let server = server("").await;
    let good_uri = "https://app.test/good";
    let good = id_of(&auth_config(&server.api, "good", Some(good_uri)).await.expect(201));
    let link = offer(&server.api, "good").await;
    let mut browser = Browser::new("alice");
    mock().admit(good_uri).await;
    // Alone on the path it works, as it did.
    let to = provider_url(&press(&mut browser, &link.page).await);
    assert_eq!(parameter(&to, "redirect_uri").as_deref(), Some(good_uri));
    let back = forwarded(&mut browser, &server, &to, SHARED_PATH).await;
    expect_done(&browser.get(&back).await);

    // With another one there, the malicious provider sends the browser on to the honest one.
    let other = server.other_project("Other").await;
    let evil = id_of(&auth_config(&other, "evil", Some("https://app.test/evil")).await.expect(201));
    let before = seen_by_evil().await.len();
    let link = offer(&other, "evil").await;
    let to = provider_url(&press(&mut browser, &link.page).await);
    let to_good = with_parameter(&to, "redirect_uri", Some(good_uri));
    let back = forwarded(&mut browser, &server, &to_good, SHARED_PATH).await;
    expect_page(&browser.get(&back).await, 400, "invalid");
    assert_eq!(seen_by_evil().await.len(), before, "the malicious toolkit got the code");
    assert_eq!(state(&other, &link.account).await.1.as_deref(), Some("context_mismatch"));
    // What each path says of itself is enough.
    let link = offer(&server.api, "good").await;
    let to = provider_url(&press(&mut browser, &link.page).await);
    let back = forwarded(&mut browser, &server, &to, &format!("{SHARED_PATH}/{evil}")).await;
    expect_page(&browser.get(&back).await, 400, "invalid");
    let link = offer(&server.api, "good").await;
    let to = provider_url(&press(&mut browser, &link.page).await);
    let back = forwarded(&mut browser, &server, &to, &format!("{SHARED_PATH}/{good}")).await;
    expect_done(&browser.get(&back).await);
}

/// What the forwarder makes of the provider's answer.
async fn forwarded(browser: &mut Browser, server: &TestServer, provider: &str, path: &str) -> String {
    let landing = browser.follow(provider, |url| url.host_str() == Some("app.test")).await;
    assert!(landing.reply.is_none(), "{:?}", landing.reply);
    format!("{}{path}?{}", server.url, landing.url.query().unwrap())
}
