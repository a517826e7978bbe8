//! `…/explain`: a developer asks what became of a connection, and is told in words, with the
//! provider's own, and without a secret.

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{KEY, auth_config, connect, with_upstream};
use crate::connect::flow::{agree, deny, parameter, press, provider_url};
use crate::support::browser::Browser;
use crate::support::http::Api;
use crate::support::providers::Provider;
use crate::support::server::TestServer;

/// A provider, a server that knows it as `tk`, and a session.
struct World {
    provider: Provider,
    server: TestServer,
    session: String,
    config: String,
}

impl World {
    async fn at(provider: Provider) -> Self {
        let server = TestServer::builder().toolkit("tk", &provider.toolkit("tk", "")).start().await;
        let config = provider.auth_config(&server.api, "tk").await;
        let session = server.api.session("user-1", "tk").await;
        Self { provider, server, session, config }
    }

    async fn link(&self) -> Link {
        let link = self.server.api.link(&self.session, "tk").await;
        let text = |name: &str| link[name].as_str().unwrap().to_owned();
        Link { account: text("connected_account_id"), token: text("link_token"), page: text("redirect_url") }
    }

    /// A link whose user agrees to everything.
    async fn connected(&self) -> Link {
        let link = self.link().await;
        Browser::new("alice").follow(&link.page, |_| false).await;
        assert_eq!(self.server.api.status(&link.account).await, "ACTIVE");
        link
    }

    async fn explain(&self, link: &Link) -> Value {
        explain(&self.server.api, &link.account).await
    }

    /// Uses the account.
    async fn call(&self) -> u16 {
        self.server.api.proxy_get(&self.session, "tk", "/api/me").await.status
    }

    /// The token dies, and the pause after a failure is over.
    fn advance(&self) {
        self.server.clock.advance(Duration::from_hours(1));
    }

    async fn fault(&self, status: u16, body: &Value) {
        self.provider.fault(&json!({ "path": "/token", "status": status, "body": body.to_string() })).await;
    }
}

struct Link {
    account: String,
    token: String,
    page: String,
}

impl Link {
    /// The public part of the token.
    fn id(&self) -> &str {
        &self.token[..23]
    }
}

async fn explain(api: &Api, account: &str) -> Value {
    let answer = api.get(&format!("/connected_accounts/{account}/explain")).await.expect(200);
    assert_eq!(answer["connected_account_id"], account);
    assert_eq!(answer["status"], api.status(account).await);
    let is_sound = |name: &str| answer[name].is_null() || answer[name].as_str().is_some_and(|it| it.ends_with('.'));
    assert!(is_sound("summary") && is_sound("cause") && is_sound("fix"), "{answer}");
    assert!(!answer.to_string().contains("{toolkit}") && !answer.to_string().contains("{auth_config}"), "{answer}");
    answer
}

/// Event and outcome of every line.
fn told(answer: &Value) -> Vec<String> {
    let line = |it: &Value| format!("{} {}", it["event"].as_str().unwrap(), it["outcome"].as_str().unwrap());
    answer["timeline"].as_array().unwrap().iter().map(line).collect()
}

fn line<'a>(answer: &'a Value, event: &str) -> &'a Value {
    answer["timeline"].as_array().unwrap().iter().rfind(|it| it["event"] == event).unwrap_or_else(|| panic!("{answer}"))
}

fn has(value: &Value, part: &str) -> bool {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).contains(part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_told_from_its_link_to_its_token() {
    let world = World::at(Provider::oidc(&[])).await;
    let link = world.link().await;
    let offered = world.explain(&link).await;
    assert_eq!((&offered["code"], &offered["status"]), (&json!("link_offered"), &json!("INITIALIZING")));
    assert_eq!(told(&offered), ["link_created ok"]);
    assert!(offered["next"]["link_expires_at"].is_string(), "{offered}");

    let mut browser = Browser::new("alice");
    let provider = provider_url(&press(&mut browser, &link.page).await);
    let away = world.explain(&link).await;
    assert_eq!(away["code"], "at_provider");
    let redirect_uri = parameter(&provider, "redirect_uri").unwrap();
    assert!(has(&away["fix"], &redirect_uri) && has(&away["fix"], &world.config), "{away}");
    assert!(has(&line(&away, "redirected")["detail"], &redirect_uri), "{away}");

    let callback = agree(&mut browser, &provider).await;
    let stranger = Browser::new("bob").get(&callback).await;
    assert_eq!(stranger.status, 403);
    let refused = world.explain(&link).await;
    assert_eq!(refused["code"], "browser_mismatch");
    browser.get(&callback).await;

    let done = world.explain(&link).await;
    assert_eq!((&done["code"], &done["status"]), (&json!("works"), &json!("ACTIVE")));
    assert_eq!((&done["cause"], &done["fix"]), (&Value::Null, &Value::Null));
    assert_eq!(
        told(&done),
        ["link_created ok", "redirected ok", "browser_refused failed", "returned ok", "connected ok"]
    );
    for event in done["timeline"].as_array().unwrap() {
        assert_eq!(event["link_id"], link.id(), "{event}");
        assert!(event["request_id"].as_str().unwrap().starts_with("req_"), "{event}");
    }
    assert!(has(&done["timeline"][0]["actor"], "key_") && has(&done["timeline"][1]["actor"], "link:lt_"), "{done}");
    for time in ["refresh_due_at", "expires_at"] {
        assert!(done["next"][time].is_string(), "{time}: {done}");
    }

    let of_link = world.server.api.get(&format!("/links/{}/explain", link.id())).await.expect(200);
    assert_eq!(of_link["link"], json!({ "id": link.id(), "status": "succeeded" }));
    assert_eq!((&of_link["code"], &of_link["timeline"]), (&json!("link_finished"), &done["timeline"]));

    // Nothing of it is worth stealing.
    let seen = [offered, away, refused, done, of_link].map(|answer| answer.to_string()).concat();
    let sent = &world.provider.token_requests().await[0];
    let verifier = form_urlencoded::parse(sent["body"].as_str().unwrap().as_bytes())
        .find(|(name, _)| name == "code_verifier")
        .unwrap()
        .1
        .into_owned();
    let value = |name: &str, url: &str| parameter(url, name).unwrap();
    for secret in [
        link.token.clone(),
        value("state", &provider),
        value("code_challenge", &provider),
        value("code", &callback),
        verifier,
        world.provider.text("client_secret").to_owned(),
    ] {
        assert!(!seen.contains(&secret), "{secret} in {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_says_no_is_quoted() {
    let world = World::at(Provider::oidc(&["--form-login"])).await;
    let link = world.link().await;
    let mut browser = Browser::new("alice");
    let provider = provider_url(&press(&mut browser, &link.page).await);
    let callback = deny(&mut browser, &provider).await;
    browser.get(&callback).await;
    let answer = world.explain(&link).await;
    assert_eq!((&answer["code"], &answer["status"]), (&json!("access_denied"), &json!("INITIATED")));
    assert!(has(&answer["provider_message"], "access_denied"), "{answer}");
    assert_eq!(line(&answer, "attempt_failed")["provider_code"], "access_denied");
    let of_link = world.server.api.get(&format!("/links/{}/explain", link.id())).await.expect(200);
    assert_eq!((&of_link["link"]["status"], &of_link["code"]), (&json!("claimed"), &json!("access_denied")));
    assert_eq!(of_link["provider_message"], answer["provider_message"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_exchange_that_fails_shows_the_provider_s_words() {
    let world = World::at(Provider::mock(&[])).await;
    let cases = [
        (401, json!({ "error": "invalid_client", "error_description": "Client secret is wrong" }), "client_refused"),
        (400, json!({ "error": "invalid_grant", "error_description": "Code was used" }), "code_refused"),
        (
            400,
            json!({ "error": "invalid_grant", "error_description": "redirect_uri differs" }),
            "redirect_uri_mismatch",
        ),
        (400, json!({ "error": "invalid_scope", "error_description": "No such scope" }), "invalid_scope"),
        (400, json!({ "error": "odd_thing", "error_description": "Who knows" }), "exchange_refused"),
        (503, json!({ "error_description": "Back at noon" }), "provider_unreachable"),
    ];
    for (status, body, code) in cases {
        world.fault(status, &body).await;
        let link = world.link().await;
        Browser::new("alice").follow(&link.page, |_| false).await;
        let answer = world.explain(&link).await;
        assert_eq!((&answer["code"], &answer["status"]), (&json!(code), &json!("INITIATED")), "{answer}");
        let words = body["error_description"].as_str().unwrap();
        assert!(has(&answer["provider_message"], words), "{answer}");
        let ended = line(&answer, "attempt_failed");
        assert_eq!(ended["http_status"], status, "{ended}");
        assert_eq!(ended["provider_code"], body["error"], "{ended}");
        assert!(!answer["cause"].is_null() && !answer["fix"].is_null());
        assert_eq!(told(&answer), ["link_created ok", "redirected ok", "returned ok", "attempt_failed failed"]);
        world.provider.heal().await;
    }
    // No answer at all.
    world.provider.fault(&json!({ "path": "/token", "reset": true })).await;
    let link = world.link().await;
    Browser::new("alice").follow(&link.page, |_| false).await;
    let answer = world.explain(&link).await;
    assert_eq!(answer["code"], "provider_unreachable");
    assert!(
        answer.get("provider_message").is_none() && has(&line(&answer, "attempt_failed")["detail"], "The provider")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_refreshes_are_told_until_they_succeed() {
    let world = World::at(Provider::mock(&[])).await;
    let link = world.connected().await;
    // The token lives still: it is used, and the trouble is told.
    world.fault(500, &json!({ "error_description": "On fire" })).await;
    world.server.clock.advance(Duration::from_secs(55));
    assert_eq!(world.call().await, 200);
    let answer = world.explain(&link).await;
    assert_eq!((&answer["code"], &answer["status"]), (&json!("refresh_unreachable"), &json!("ACTIVE")));
    assert!(has(&answer["provider_message"], "On fire") && has(&answer["summary"], "works until"), "{answer}");
    assert!(answer["next"]["retry_at"].is_string(), "{answer}");

    world.advance();
    world.provider.heal().await;
    world.fault(401, &json!({ "error": "invalid_client", "error_description": "Secret has run out" })).await;
    assert_eq!(world.call().await, 400);
    let answer = world.explain(&link).await;
    assert_eq!(answer["code"], "refresh_client_refused");
    assert!(has(&answer["fix"], &format!("PATCH /auth_configs/{}", world.config)), "{answer}");
    assert!(has(&answer["summary"], "2 tries in a row failed"), "{answer}");

    world.advance();
    world.provider.heal().await;
    for _ in 0..4 {
        assert_eq!(world.call().await, 200);
        world.advance();
    }
    let answer = world.explain(&link).await;
    assert!(has(&answer["summary"], "The account works"), "{answer}");
    assert_eq!(told(&answer)[4..], ["refresh_failed failed", "refresh_failed failed", "refreshed ok"]);
    let refreshed = line(&answer, "refreshed");
    assert_eq!((&refreshed["times"], &refreshed["actor"]), (&json!(4), &json!("system")));
    assert!(refreshed["until"].as_str().unwrap() > refreshed["at"].as_str().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_ended_has_a_cause_and_a_way_back() {
    let world = World::at(Provider::mock(&[])).await;
    let link = world.connected().await;
    world.advance();
    world.fault(400, &json!({ "error": "invalid_grant", "error_description": "Token has been revoked." })).await;
    assert!(matches!(world.call().await, 404 | 422));
    let answer = world.explain(&link).await;
    assert_eq!((&answer["code"], &answer["status"]), (&json!("grant_ended"), &json!("EXPIRED")));
    assert!(has(&answer["cause"], "changed the password") && has(&answer["cause"], "too long unused"), "{answer}");
    assert!(has(&answer["fix"], &format!("/connected_accounts/{}/refresh", link.account)), "{answer}");
    assert_eq!(answer["provider_message"], "invalid_grant: Token has been revoked.");
    let expired = line(&answer, "expired");
    assert_eq!((&expired["provider_code"], &expired["http_status"]), (&json!("invalid_grant"), &json!(400)));
    assert_eq!(answer["next"], json!({}));

    // Connected again, by the link that the fix names.
    world.provider.heal().await;
    let again = world.server.api.post(&format!("/connected_accounts/{}/refresh", link.account), &json!({})).await;
    let page = again.expect(200)["redirect_url"].as_str().unwrap().to_owned();
    assert_eq!(world.explain(&link).await["code"], "link_offered");
    Browser::new("alice").follow(&page, |_| false).await;
    let answer = world.explain(&link).await;
    assert_eq!(answer["status"], "ACTIVE");
    // This provider grants a scope of its own, whatever it is asked for.
    assert_eq!(answer["code"], "missing_scopes");
    let asked = line(&answer, "redirected")["detail"].as_str().unwrap().split_once("Scopes: ").unwrap().1;
    let other = asked.trim_end_matches('.').split(' ').find(|scope| *scope != "openid").unwrap();
    assert!(has(&answer["cause"], other) && !has(&answer["cause"], "openid"), "{answer}");
    // Account answers say the same, and the link that is promised is there.
    let shown = world.server.api.get(&format!("/connected_accounts/{}", link.account)).await.expect(200);
    assert_eq!(shown["scopes"]["missing"], json!([other]), "{shown}");
    let path = format!("/connected_accounts/{}/refresh", link.account);
    let refreshed = world.server.api.post(&path, &json!({})).await.expect(200);
    assert_eq!(refreshed["status"], "ACTIVE");
    let page = refreshed["redirect_url"].as_str().unwrap();
    let reply = Browser::new("alice").get(page).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_told_before_and_after_it_ends_the_account() {
    let world = World::at(Provider::oidc(&[])).await;
    let link = world.connected().await;
    world.advance();
    world.provider.fault(&json!({ "path": "/token", "drop_response": true, "times": 1 })).await;
    assert_eq!(world.call().await, 503);
    let answer = world.explain(&link).await;
    assert_eq!((&answer["code"], &answer["status"]), (&json!("refresh_answer_lost"), &json!("ACTIVE")));
    assert!(has(&line(&answer, "refresh_failed")["title"], "was lost"));
    world.advance();
    world.call().await;
    let answer = world.explain(&link).await;
    assert_eq!((&answer["code"], &answer["status"]), (&json!("refresh_interrupted"), &json!("EXPIRED")));
}

#[tokio::test(flavor = "multi_thread")]
async fn links_that_nobody_finishes_are_told_apart() {
    let world = World::at(Provider::mock(&[])).await;
    let (unopened, left) = (world.link().await, world.link().await);
    press(&mut Browser::new("alice"), &left.page).await;
    world.advance();
    let before = world.server.api.get(&format!("/links/{}/explain", unopened.id())).await.expect(200);
    assert_eq!((&before["link"]["status"], &before["code"]), (&json!("expired"), &json!("link_expired")));
    world.server.app.sweep_links().await.unwrap();
    for (link, code) in [(&unopened, "link_expired"), (&left, "link_not_finished")] {
        let answer = world.explain(link).await;
        assert_eq!((&answer["code"], &answer["status"]), (&json!(code), &json!("EXPIRED")));
        let of_link = world.server.api.get(&format!("/links/{}/explain", link.id())).await.expect(200);
        assert_eq!((&of_link["link"]["status"], &of_link["code"]), (&json!("expired"), &json!(code)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_account_and_auth_config_are_told() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let (_, account) = connect(api, "user-1", "up", &[("generic_api_key", KEY)]).await;
    let change = |path: &str, body: Value| {
        let path = path.replace("{id}", &account).replace("{config}", &config);
        // Each at a time of its own.
        server.clock.advance(Duration::from_secs(1));
        async move { api.call("PATCH", &path, body.to_string()).await.expect(200) }
    };
    change("/connected_accounts/{id}", json!({ "alias": "mine" })).await;
    change("/connected_accounts/{id}/status", json!({ "enabled": false })).await;
    let off = explain(api, &account).await;
    assert_eq!((&off["code"], &off["status"]), (&json!("disabled"), &json!("INACTIVE")));
    change("/connected_accounts/{id}/status", json!({ "enabled": true })).await;
    change("/auth_configs/{config}/DISABLED", Value::Null).await;
    let off = explain(api, &account).await;
    assert_eq!((&off["code"], &off["status"]), (&json!("auth_config_disabled"), &json!("INACTIVE")));
    assert!(has(&off["fix"], &format!("/auth_configs/{config}/ENABLED")), "{off}");
    change("/auth_configs/{config}/ENABLED", Value::Null).await;
    let on = explain(api, &account).await;
    assert_eq!(on["code"], "works");
    let all = ["connected", "updated", "disabled", "enabled", "auth_config_disabled", "auth_config_enabled"];
    assert_eq!(told(&on)[1..], all.map(|event| format!("{event} ok")));
    assert_eq!(line(&on, "updated")["detail"], "Changed: alias.");
    assert!(!on.to_string().contains(KEY), "{on}");

    api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    let gone = api.get(&format!("/connected_accounts/{account}/explain")).await;
    gone.expect_error(404, "ConnectedAccount_ResourceNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_reconnection_leaves_the_account_working_and_says_so() {
    let world = World::at(Provider::mock(&[])).await;
    // Nothing to refresh with: only the user can go on.
    let tokens = json!({ "access_token": "only-an-access-token", "token_type": "Bearer", "expires_in": 9_000 });
    world.fault(200, &tokens).await;
    let link = world.connected().await;
    let again = world.server.api.post(&format!("/connected_accounts/{}/refresh", link.account), &json!({})).await;
    let page = again.expect(200)["redirect_url"].as_str().unwrap().to_owned();
    world.provider.heal().await;
    world.server.clock.advance(Duration::from_secs(1));
    world.fault(400, &json!({ "error": "invalid_grant" })).await;
    Browser::new("alice").follow(&page, |_| false).await;
    let answer = world.explain(&link).await;
    assert_eq!((&answer["code"], &answer["status"]), (&json!("code_refused"), &json!("ACTIVE")));
    assert!(has(&answer["summary"], "The account works; connecting it once more did not"), "{answer}");
    assert!(!answer.to_string().contains("only-an-access-token"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_project_s_ids_and_whole_tokens_are_unknown() {
    let world = World::at(Provider::mock(&[])).await;
    let link = world.link().await;
    let other = world.server.other_project("Other").await;
    let foreign = other.get(&format!("/connected_accounts/{}/explain", link.account)).await;
    foreign.expect_error(404, "ConnectedAccount_ResourceNotFound");
    let unknown = format!("lt_{}", "0".repeat(20));
    for (api, id) in [(&other, link.id()), (&world.server.api, unknown.as_str())] {
        let error = api.get(&format!("/links/{id}/explain")).await.expect_error(404, "Link_NotFound");
        assert_eq!(error["message"], format!("Link \"{id}\" not found"));
    }
    let reply = world.server.api.get(&format!("/links/{}/explain", link.token)).await;
    let error = reply.expect_error(404, "Link_NotFound");
    assert!(has(&error["suggested_fix"], "first 23 characters"), "{error}");
    assert!(!reply.text().contains(&link.token[24..]), "{error}");
}
