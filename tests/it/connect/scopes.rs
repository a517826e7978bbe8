//! Which scopes are asked for, and how an account gets more of them (R29).

use serde_json::{Value, json};

use super::flow::{parameter, press, provider_url};
use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// An auth config at the certified provider that asks for these scopes.
async fn auth_config(provider: &Provider, api: &Api, scopes: &[&str]) -> String {
    let config = provider.auth_config(api, "tk").await;
    change_scopes(api, &config, scopes).await;
    config
}

async fn change_scopes(api: &Api, config: &str, scopes: &[&str]) {
    let body = json!({ "type": "custom", "credentials": { "scopes": scopes } });
    api.call("PATCH", &format!("/auth_configs/{config}"), body.to_string()).await.expect(200);
}

/// The scopes of an authorization request, in order.
fn asked(url: &str) -> Vec<String> {
    let scopes = parameter(url, "scope").unwrap();
    scopes.split(' ').map(str::to_owned).collect()
}

async fn account(api: &Api, id: &str) -> Value {
    api.get(&format!("/connected_accounts/{id}")).await.expect(200)
}

async fn refresh(api: &Api, id: &str) -> Value {
    api.post(&format!("/connected_accounts/{id}/refresh"), &json!({})).await.expect(200)
}

const FEW: [&str; 3] = ["openid", "offline_access", "api:read"];
const MORE: [&str; 4] = ["openid", "offline_access", "api:read", "api:write"];

#[tokio::test(flavor = "multi_thread")]
async fn a_link_asks_for_the_scopes_of_its_auth_config_and_no_others() {
    let provider = Provider::oidc(&[]);
    let file = provider.toolkit("tk", "");
    let server = TestServer::builder().toolkit("tk", &file).start().await;
    let api = &server.api;
    let config = provider.auth_config(api, "tk").await;
    let session = api.session("user-1", "tk").await;
    let mut seen = Vec::new();
    // Those of the file where the auth config names none; its own and nothing beside them; the file's again.
    for scopes in [None, Some(&FEW[..]), Some(&["api:write"][..]), Some(&[][..])] {
        if let Some(scopes) = scopes {
            change_scopes(api, &config, scopes).await;
        }
        let link = api.link(&session, "tk").await;
        let page = link["redirect_url"].as_str().unwrap();
        let to = provider_url(&press(&mut Browser::new("alice"), page).await);
        seen.push(asked(&to));
    }
    let of_file: Vec<&str> = provider.text("scope").split(' ').collect();
    assert_eq!(seen, [of_file.clone(), FEW.to_vec(), vec!["api:write"], of_file]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_gets_more_scopes_by_connecting_again_and_keeps_its_id() {
    let provider = Provider::oidc(&[]);
    let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "")).start().await;
    let api = &server.api;
    let config = auth_config(&provider, api, &FEW).await;
    let (session, id) = crate::support::connected::connect(api, "user-1", "tk").await;
    let granted = |account: &Value| account["scopes"]["granted"].clone();
    assert!(!granted(&account(api, &id).await).to_string().contains("api:write"));
    // Nothing is asked of the user while nothing more is wanted, nor by a refresh.
    assert_eq!(refresh(api, &id).await["redirect_url"], Value::Null);

    change_scopes(api, &config, &MORE).await;
    let again = refresh(api, &id).await;
    assert_eq!((&again["id"], &again["status"]), (&json!(id), &json!("ACTIVE")), "{again}");
    let page = again["redirect_url"].as_str().unwrap_or_else(|| panic!("no link: {again}")).to_owned();
    for request in provider.token_requests().await {
        assert!(!request["body"].as_str().unwrap().contains("scope="), "{request}");
    }
    // Until the user agrees, the account works with what it has.
    assert!(!granted(&account(api, &id).await).to_string().contains("api:write"));
    assert_eq!(api.proxy_get(&session, "tk", "/api/me").await.status, 200);
    let mut browser = Browser::new("alice");
    let to = provider_url(&press(&mut browser, &page).await);
    assert_eq!(asked(&to), MORE);
    browser.follow(&to, |_| false).await;
    let after = account(api, &id).await;
    assert_eq!((&after["id"], &after["status"]), (&json!(id), &json!("ACTIVE")));
    for scope in ["api:read", "api:write"] {
        assert!(granted(&after).to_string().contains(scope), "{after}");
    }
    assert_eq!(api.proxy_get(&session, "tk", "/api/me").await.status, 200);
    assert_eq!(refresh(api, &id).await["redirect_url"], Value::Null);
}
