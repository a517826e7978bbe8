//! What `explain` says about a link: in progress, refused, unfinished; and who may ask.

use serde_json::{Value, json};

use super::{World, has, line, told};
use crate::connect::flow::{agree, deny, parameter, press, provider_url};
use crate::support::browser::Browser;
use crate::support::providers::Provider;

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_of_a_connection_reaches_from_its_link_to_its_token() {
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
async fn a_denial_is_explained_with_the_provider_s_words() {
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
        // The next code is exchanged with the secret sent in the other way. The clock stands still, so what was
        // learned in the first case is as old as the later links.
        let events = ["link_created ok", "redirected ok", "returned ok", "attempt_failed failed"];
        assert_eq!(told(&answer), [&events[..], &["client_method_learned ok"]].concat(), "{code}");
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
async fn unopened_and_unfinished_links_have_different_codes() {
    let world = World::at(Provider::mock(&[])).await;
    let (unopened, left) = (world.link().await, world.link().await);
    press(&mut Browser::new("alice"), &left.page).await;
    world.advance();
    let before = world.server.api.get(&format!("/links/{}/explain", unopened.id())).await.expect(200);
    assert_eq!((&before["link"]["status"], &before["code"]), (&json!("expired"), &json!("link_expired")));
    world.server.app.sweeps.expire_links().await.unwrap();
    for (link, code) in [(&unopened, "link_expired"), (&left, "link_not_finished")] {
        let answer = world.explain(link).await;
        assert_eq!((&answer["code"], &answer["status"]), (&json!(code), &json!("EXPIRED")));
        let of_link = world.server.api.get(&format!("/links/{}/explain", link.id())).await.expect(200);
        assert_eq!((&of_link["link"]["status"], &of_link["code"]), (&json!("expired"), &json!(code)));
    }
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
