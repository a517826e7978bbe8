//! What `explain` says about a connected account: its refreshes, its end, its changes.

use std::time::Duration;

use serde_json::{Value, json};

use super::{World, explain, has, line, told};
use crate::api::help::{KEY, auth_config, connect, with_upstream};
use crate::support::browser::Browser;
use crate::support::providers::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn failed_refreshes_are_reported_until_one_succeeds() {
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
async fn an_ended_grant_has_a_cause_and_a_fix() {
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
async fn a_lost_response_is_reported_before_and_after_it_ends_the_account() {
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
async fn changes_of_account_and_auth_config_are_reported() {
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
    assert!(has(&answer["summary"], "The account works; reconnecting it failed"), "{answer}");
    assert!(!answer.to_string().contains("only-an-access-token"), "{answer}");
}
