//! Secrets that a developer hands over by the API: known fields of a link, whole credentials, new
//! keys; and codes that wait for the developer's word.

use serde_json::{Value, json};
use url::Url;

use super::canary;
use super::world::World;

pub async fn by_the_developer(world: &mut World) {
    let config = api_key_config(world).await;
    let (known, imported, replaced) = (canary("known"), canary("imported"), canary("replaced"));
    for secret in [&known, &imported, &replaced] {
        world.secret("given credential", secret);
    }
    let state = |value: &str| json!({ "authScheme": "API_KEY", "val": { "generic_api_key": value } });
    let body = json!({ "auth_config_id": config, "user_id": "canary-user", "connection_data": state(&known) });
    let reply = world.api.post("/connected_accounts/link", &body).await;
    world.note("direct link", &reply, &["link token"]);
    world.secret("link token", reply.expect(201)["link_token"].as_str().unwrap());
    let page = crate::support::browser::Browser::new("alice").get(reply.json()["redirect_url"].as_str().unwrap()).await;
    world.note("page of a link with a known key", &page, &["link token"]);
    let body = json!({ "auth_config": { "id": config }, "connection": { "user_id": "canary-user", "state": state(&imported) } });
    let reply = world.api.post("/connected_accounts", &body).await;
    world.note("import of a key", &reply, &[]);
    let account = reply.expect(201)["id"].as_str().unwrap().to_owned();
    let body = json!({ "connection": { "state": state(&replaced) } });
    let reply = world.api.call("PATCH", &format!("/connected_accounts/{account}"), body.to_string()).await;
    world.note("change of a key", &reply, &[]);
    assert_eq!(reply.status, 200, "{}", reply.text());
    // In places where it does not belong it is refused, and not repeated.
    for body in [
        json!({ "alias": { "x": replaced } }),
        json!({ "connection": { "state": { "authScheme": replaced, "val": {} } } }),
        json!({ "connection": { "state": { "authScheme": "API_KEY", "val": { "generic_api_key": [replaced, 1] } } } }),
    ] {
        let reply = world.api.call("PATCH", &format!("/connected_accounts/{account}"), body.to_string()).await;
        world.note("refused change of a key", &reply, &[]);
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
    tokens(world).await;
}

async fn api_key_config(world: &mut World) -> String {
    let body = json!({ "toolkit": { "slug": "echokey" }, "auth_config": {
        "type": "use_custom_auth", "authScheme": "API_KEY", "name": "given" } });
    let reply = world.api.post("/auth_configs", &body).await;
    world.note("auth config create", &reply, &[]);
    reply.expect(201)["auth_config"]["id"].as_str().unwrap().to_owned()
}

/// OAuth tokens that were got elsewhere.
async fn tokens(world: &mut World) {
    let body = json!({ "toolkit": { "slug": "mockmanaged" }, "auth_config": { "type": "use_composio_managed_auth" } });
    let reply = world.api.post("/auth_configs", &body).await;
    world.note("auth config create", &reply, &[]);
    let config = reply.expect(201)["auth_config"]["id"].as_str().unwrap().to_owned();
    let (access, refresh) = (canary("access").replace('%', ""), canary("refresh").replace('%', ""));
    world.secret("imported token", &access);
    world.secret("imported token", &refresh);
    let val = json!({ "access_token": access, "refresh_token": refresh, "status": "ACTIVE" });
    let connection = json!({ "user_id": "importer", "state": { "authScheme": "OAUTH2", "val": val } });
    let reply = world.api.post("/connected_accounts", &json!({ "auth_config": { "id": config }, "connection": connection })).await;
    world.note("import of tokens", &reply, &[]);
    assert_eq!(reply.status, 201, "{}", reply.text());
}

/// A code that waits until the developer says who finished: it and the session URI.
pub async fn unconfirmed_codes(world: &mut World) {
    let config = |url: Value| json!({ "oauth_callback_verifier_url": url }).to_string();
    let reply = world.api.call("PATCH", "/org/project/config", config("https://app.test/verify".into())).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    for user in ["canary-user", "somebody-else"] {
        let session = world.session("mockmanaged", None).await;
        let (link, mut browser) = world.link(&session, "mockmanaged").await;
        let (_, url) = world.press(&link, &mut browser).await;
        let landing = browser.follow(url.as_str(), |url| url.path().contains("/toolkits/auth/callback/")).await;
        let pair = |url: &Url, name: &str| url.query_pairs().find(|(it, _)| it == name).unwrap().1.into_owned();
        world.secret("code", &pair(&landing.url, "code"));
        let reply = browser.get(landing.url.as_str()).await;
        world.note("callback to the verifier", &reply, &["session URI"]);
        assert_eq!(reply.status, 303, "{}", reply.text());
        let verifier = Url::parse(reply.header("location").unwrap()).unwrap();
        let uri = pair(&verifier, "session_uri");
        world.secret("session URI", &uri);
        let body = json!({ "session_uri": uri, "user_id": user });
        let reply = world.api.post("/connected_accounts/complete_auth", &body).await;
        world.note("confirmation", &reply, &[]);
        assert_eq!(reply.status, if user == "canary-user" { 200 } else { 400 }, "{}", reply.text());
    }
    let reply = world.api.call("PATCH", "/org/project/config", config(Value::Null)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}
