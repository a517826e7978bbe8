//! The redirect URI that a provider wants before it gives a client: known before there is an auth config, the
//! same for all auth configs of a toolkit where that is safe, and unusable for any other toolkit.

use serde_json::{Value, json};
use switchboard::app::ManagedClient;

use super::flow::{
    expect_done, expect_page, is_callback, mock, offer, parameter, press, provider_url, sql, state, until_callback,
    with_parameter,
};
use crate::support::browser::Browser;
use crate::support::http::{Api, Reply};
use crate::support::process::run;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// What a toolkit says of a scheme.
async fn detail(api: &Api, toolkit: &str, mode: &str) -> Value {
    let shown = api.get(&format!("/toolkits/{toolkit}")).await.expect(200);
    let details = shown["auth_config_details"].as_array().unwrap();
    details.iter().find(|it| it["mode"] == mode).unwrap_or_else(|| panic!("no {mode}: {shown}")).clone()
}

async fn create(api: &Api, provider: &Provider, (toolkit, scheme): (&str, &str), uri: &str) -> Reply {
    let (id, secret) = (provider.text("client_id"), provider.text("client_secret"));
    let credentials = match scheme {
        "OAUTH1" => json!({ "consumer_key": id, "consumer_secret": secret, "oauth_redirect_uri": uri }),
        _ => json!({ "client_id": id, "client_secret": secret, "oauth_redirect_uri": uri }),
    };
    let auth_config = json!({ "type": "use_custom_auth", "authScheme": scheme, "credentials": credentials });
    api.post("/auth_configs", &json!({ "toolkit": { "slug": toolkit }, "auth_config": auth_config })).await
}

fn id_of(made: &Value) -> String {
    made["auth_config"]["id"].as_str().unwrap().to_owned()
}

fn callback(server: &TestServer, name: &str) -> String {
    format!("{}/api/v3.1/toolkits/auth/callback/{name}", server.url)
}

/// Register first, then make the auth config, then connect; at providers that compare redirect URIs.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_uri_can_be_registered_before_there_is_an_auth_config() {
    let (django, old) = (Provider::django(&[]), Provider::oauth1(&[]));
    let oauth1 = super::schemes::oauth1_file(&old, "HMAC-SHA1");
    let server = TestServer::builder()
        .toolkit("helpdesk", &django.toolkit("helpdesk", ""))
        .toolkit("old", &oauth1)
        .start()
        .await;
    let other = server.other_project("Other").await;
    for (provider, toolkit, scheme) in [(&django, "helpdesk", "OAUTH2"), (&old, "old", "OAUTH1")] {
        let uri = detail(&server.api, toolkit, scheme).await["redirect_uri"].as_str().unwrap().to_owned();
        assert_eq!(uri, callback(&server, toolkit));
        provider.admit(&uri).await;
        for api in [&server.api, &other] {
            let made = create(api, provider, (toolkit, scheme), &uri).await.expect(201);
            assert_eq!(made["auth_config"]["redirect_uri"], uri, "{made}");
            let shown = api.get(&format!("/auth_configs/{}", id_of(&made))).await.expect(200);
            assert_eq!(
                (&shown["redirect_uri"], &shown["credentials"]["oauth_redirect_uri"]),
                (&json!(uri), &json!(uri))
            );
            let link = offer(api, toolkit).await;
            let mut browser = Browser::new("alice");
            let back = until_callback(&mut browser, &link).await;
            assert!(back.starts_with(&format!("{uri}?")), "{back}");
            expect_done(&browser.get(&back).await);
            assert_eq!(api.status(&link.account).await, "ACTIVE");
        }
    }
}

/// Without one, an auth config has its own, and shows it.
#[tokio::test(flavor = "multi_thread")]
async fn an_auth_config_shows_its_redirect_uri_and_a_change_of_it() {
    let server = TestServer::builder().toolkit("good", &mock().toolkit("good", "")).start().await;
    let id = id_of(&create(&server.api, mock(), ("good", "OAUTH2"), "").await.expect(201));
    let path = format!("/auth_configs/{id}");
    for (given, shown, said) in [
        (None, callback(&server, &id), Value::Null),
        (Some(callback(&server, "good")), callback(&server, "good"), json!(callback(&server, "good"))),
        (Some(callback(&server, "mine.1")), callback(&server, "mine.1"), json!(callback(&server, "mine.1"))),
        (Some(callback(&server, &id)), callback(&server, &id), Value::Null),
        (Some(callback(&server, "good")), callback(&server, "good"), json!(callback(&server, "good"))),
        (Some(String::new()), callback(&server, &id), Value::Null),
    ] {
        if let Some(uri) = &given {
            let body = json!({ "type": "custom", "credentials": { "oauth_redirect_uri": uri } });
            server.api.call("PATCH", &path, body.to_string()).await.expect(200);
        }
        let answer = server.api.get(&path).await.expect(200);
        assert_eq!((&answer["redirect_uri"], &answer["credentials"]["oauth_redirect_uri"]), (&json!(shown), &said));
        let link = offer(&server.api, "good").await;
        let to = provider_url(&press(&mut Browser::new("alice"), &link.page).await);
        assert_eq!(parameter(&to, "redirect_uri"), Some(shown), "{given:?}");
    }
}

/// Where auth configs of one toolkit can belong to different providers, its slug tells nothing apart.
#[tokio::test(flavor = "multi_thread")]
async fn with_different_providers_each_auth_config_has_its_own_name() {
    let provider = Provider::oidc(&["--no-iss"]);
    let (origin, host) = (provider.origin(), provider.origin().replace("http://", ""));
    let open = format!(
        "slug = \"open\"\nname = \"Open\"\ndescription = \"Any issuer\"\ncategories = [\"testing\"]\ncolor = \"#336699\"\n\
         version = \"20261129_00\"\nbase_url = \"{origin}\"\nhosts = [\"{host}\"]\n[oauth2]\ndiscovery_url = \"{origin}\"\n\
         scopes = [\"openid\"]\n"
    );
    let server = TestServer::builder().toolkit("open", &open).start().await;
    let said = detail(&server.api, "open", "OAUTH2").await;
    assert_eq!(said["redirect_uri"], Value::Null);
    assert!(said["redirect_uri_hint"].as_str().unwrap().contains(&callback(&server, "open-main")), "{said}");
    let make = |uri: String| {
        let (api, provider) = (&server.api, &provider);
        async move { create(api, provider, ("open", "OAUTH2"), &uri).await }
    };
    for refused in ["open", "OPEN", "github", "ac_other", "", "a/b", "a?b", "%6fpen"] {
        make(callback(&server, refused)).await.expect_error(400, "HTTP_BadRequest");
    }
    make(callback(&server, "x").replace("/v3.1/", "/v3/")).await.expect_error(400, "HTTP_BadRequest");
    let uri = callback(&server, "open-main");
    make(uri.clone()).await.expect(201);
    make(uri.clone()).await.expect_error(400, "AuthConfig_BadRequest");
    provider.admit(&uri).await;
    let link = offer(&server.api, "open").await;
    let mut browser = Browser::new("alice");
    let back = until_callback(&mut browser, &link).await;
    expect_done(&browser.get(&back).await);
}

/// A malicious provider cannot have a code of another one's sent to itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_one_provider_cannot_be_used_for_another() {
    let evil = mock().toolkit("evil", "").replace("/token\"", "/evil-token\"");
    let server =
        TestServer::builder().toolkit("good", &mock().toolkit("good", "")).toolkit("evil", &evil).start().await;
    let other = server.other_project("Other").await;
    let (good_uri, chosen) = (callback(&server, "good"), callback(&server, "chosen"));
    let good = id_of(&create(&server.api, mock(), ("good", "OAUTH2"), &good_uri).await.expect(201));
    create(&server.api, mock(), ("good", "OAUTH2"), &chosen).await.expect(201);
    for taken in [&good_uri, &callback(&server, &good), &callback(&server, "GOOD")] {
        create(&other, mock(), ("evil", "OAUTH2"), taken).await.expect_error(400, "HTTP_BadRequest");
    }
    create(&other, mock(), ("evil", "OAUTH2"), &chosen).await.expect_error(400, "AuthConfig_BadRequest");
    let evil_uri = callback(&server, "evil");
    let made = id_of(&create(&other, mock(), ("evil", "OAUTH2"), &evil_uri).await.expect(201));
    let before = mock().seen("/evil-token").await.len();

    // It sends the browser on to the honest one, whose answer comes to the honest one's path.
    for name in ["good", good.as_str(), "chosen", "GOOD", "nothing"] {
        let link = offer(&other, "evil").await;
        let mut browser = Browser::new("alice");
        let to = provider_url(&press(&mut browser, &link.page).await);
        let to = with_parameter(&to, "redirect_uri", Some(&callback(&server, name)));
        let landing = browser.follow(&to, is_callback).await;
        expect_page(&browser.get(landing.url.as_str()).await, 400, "invalid");
        assert_eq!(state(&other, &link.account).await.1.as_deref(), Some("context_mismatch"), "{name}");
    }
    // Nor with data that was stored before this was refused: no user is redirected, and `explain` says why.
    for taken in [&good_uri, &callback(&server, &good), &chosen] {
        sql(
            &server,
            &format!("UPDATE auth_configs SET settings = '{{\"oauth_redirect_uri\":\"{taken}\"}}' WHERE id = '{made}'"),
        );
        server.app.redirect_uris.report_shared().await.unwrap();
        let link = offer(&other, "evil").await;
        assert_eq!(press(&mut Browser::new("alice"), &link.page).await.status, 422, "{taken}");
        let path = format!("/connected_accounts/{}/explain", link.account);
        assert_eq!(other.get(&path).await.expect(200)["code"], "redirect_uri_shared");
    }
    assert_eq!(mock().seen("/evil-token").await.len(), before, "the malicious toolkit got the code");
}

/// An operator registers one redirect URI for the client of all projects.
#[tokio::test(flavor = "multi_thread")]
async fn a_managed_client_can_have_one_redirect_uri() {
    let provider = Provider::django(&[]);
    let client = ManagedClient {
        client_id: provider.text("client_id").to_owned(),
        client_secret: Some(provider.text("client_secret").into()),
        projects: vec!["*".to_owned()],
        one_redirect_uri: true,
        ..ManagedClient::default()
    };
    let server = TestServer::builder()
        .toolkit("helpdesk", &provider.toolkit("helpdesk", ""))
        .managed("helpdesk", client)
        .start()
        .await;
    let uri = callback(&server, "helpdesk");
    provider.admit(&uri).await;
    for api in [&server.api, &server.other_project("Other").await] {
        let link = offer(api, "helpdesk").await;
        let mut browser = Browser::new("alice");
        let back = until_callback(&mut browser, &link).await;
        assert!(back.starts_with(&format!("{uri}?")), "{back}");
        expect_done(&browser.get(&back).await);
        let shown = api.get("/auth_configs").await.expect(200);
        assert_eq!(shown["items"][0]["redirect_uri"], uri, "{shown}");
    }
}

#[test]
fn toolkit_show_prints_the_redirect_uri() {
    let shown = |slug: &str| {
        let (code, text, said) = run(&["toolkit", "show", slug, "--public-url", "https://connect.example.com/"]);
        assert_eq!(code, Some(0), "{said}");
        text
    };
    let github = shown("github");
    assert!(github.contains("https://connect.example.com/api/v3.1/toolkits/auth/callback/github\n"), "{github}");
    assert!(github.contains("[managed.github]"), "{github}");
    let okta = shown("okta");
    assert!(okta.contains("https://connect.example.com/api/v3.1/toolkits/auth/callback/okta-main"), "{okta}");
    assert!(!okta.contains("[managed.okta]"), "{okta}");
    assert!(!shown("sendgrid").contains("auth/callback"));
}
