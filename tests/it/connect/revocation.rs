//! Deleting revokes at real providers, also in the middle of a refresh, also when they are away.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::connected::{Connected, connect, finished, receipt_when};
use crate::support::http::{Http, Reply};
use crate::support::process::run;
use crate::support::providers::Provider;
use crate::support::server::TestServer;
use crate::support::wait::{until, within};

/// A refresh straight at the provider.
async fn refresh(provider: &Provider, refresh_token: &str) -> Reply {
    use base64::Engine;
    let pair = format!("{}:{}", provider.text("client_id"), provider.text("client_secret"));
    let basic = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let body: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
        .finish();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", basic.as_str())];
    Http::new().send("POST", provider.text("token_endpoint"), &headers, body).await
}

async fn use_token(provider: &Provider, access_token: &str) -> u16 {
    let bearer = format!("Bearer {access_token}");
    Http::new().send("GET", provider.text("resource"), &[("authorization", &bearer)], "").await.status
}

async fn deleted_means_dead(provider: &Provider, more: &str) {
    let connected = Connected::revocable(provider, more).await;
    let (access, refresh_token) = connected.tokens().await;
    assert_eq!(use_token(provider, &access).await, 200);
    let job = connected.delete().await;
    let receipt = finished(&connected.server.api, &job).await;
    assert_eq!(receipt["revoked"], 1, "{receipt}");
    assert_eq!(use_token(provider, &access).await, 401);
    refresh(provider, &refresh_token).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_certified_provider_no_longer_accepts_the_tokens() {
    deleted_means_dead(&Provider::oidc(&[]), "authorization_parameters = { prompt = \"consent\" }").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn django_no_longer_accepts_the_tokens() {
    deleted_means_dead(&Provider::django(&[]), "").await;
}

/// Revoking the refresh token ends the access token with it; some providers then answer 400 for what is dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_pair_counts_as_revoked_after_one_success() {
    let provider = Provider::mock(&[]);
    let dead = json!({ "error": "invalid_request", "error_description": "No such token" }).to_string();
    let faults = json!([
        { "path": "/revoke", "status": 200, "body": "", "times": 1 },
        { "path": "/revoke", "status": 400, "body": dead, "times": 1 },
    ]);
    let connected = Connected::revocable(&provider, "").await;
    provider.fault(&faults).await;
    let path = format!("/connected_accounts/{}/revoke", connected.account);
    let revoked = connected.server.api.post(&path, &json!({})).await.expect(200);
    assert_eq!(revoked["revoked_tokens"], json!(["refresh_token", "access_token"]));

    let connected = Connected::revocable(&provider, "").await;
    provider.fault(&faults).await;
    let receipt = finished(&connected.server.api, &connected.delete().await).await;
    assert_eq!((&receipt["revoked"], &receipt["failed"]), (&json!(1), &json!(0)), "{receipt}");

    // The other way round nothing is known of the refresh token.
    let connected = Connected::revocable(&provider, "").await;
    let mut turned = faults.as_array().unwrap().clone();
    turned.reverse();
    provider.fault(&Value::Array(turned)).await;
    let receipt = finished(&connected.server.api, &connected.delete().await).await;
    assert_eq!(receipt["failed"], 1, "{receipt}");
}

/// Introspection says whether a token that was refused lives: here as the metadata names the endpoint, and the
/// provider itself answers. `first` is what becomes of the first request, for the refresh token.
async fn refused_second(first: &Value) -> (Provider, Value, Value) {
    let provider = Provider::oidc(&[]);
    let file = provider.toolkit("tk", "authorization_parameters = { prompt = \"consent\" }");
    let issuer = provider.text("issuer");
    let endpoints = [provider.text("authorization_endpoint"), provider.text("token_endpoint")];
    let lines = file.lines().filter(|line| !endpoints.iter().any(|url| line.ends_with(&format!("\"{url}\""))));
    let file = lines.collect::<Vec<_>>().join("\n");
    let discovers = format!("[oauth2]\ndiscovery_url = \"{issuer}/.well-known/openid-configuration\"");
    let file = file.replace("[oauth2]", &discovers);
    let server = TestServer::builder().toolkit("tk", &file).start().await;
    provider.auth_config(&server.api, "tk").await;
    let (session, account) = connect(&server.api, "user-1", "tk").await;
    let connected = Connected { server, session, account };
    let dead = json!({ "error": "invalid_request", "error_description": "No such token" }).to_string();
    let mut first = first.clone();
    first["path"] = "/token/revocation".into();
    first["times"] = 1.into();
    let second = json!({ "path": "/token/revocation", "status": 400, "body": dead, "times": 1 });
    provider.fault(&json!([first, second])).await;
    let path = format!("/connected_accounts/{}/revoke", connected.account);
    let reply = connected.server.api.post(&path, &json!({})).await;
    let shown = connected.server.api.get(&format!("/connected_accounts/{}", connected.account)).await.expect(200);
    (provider, serde_json::from_str(&reply.text()).unwrap(), shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_revocation_is_checked_by_introspection() {
    // The provider forgets the refresh token and its grant; the access token went with it.
    let (provider, answer, shown) = refused_second(&json!({ "delay_ms": 1 })).await;
    assert_eq!(answer["revoked_tokens"], json!(["refresh_token", "access_token"]), "{answer}");
    assert_eq!(shown["status"], "REVOKED");
    assert_eq!(provider.seen("/token/introspection").await.len(), 1);

    // It says that it did and did not: the access token lives.
    let (provider, answer, shown) = refused_second(&json!({ "status": 200, "body": "" })).await;
    assert!(answer.to_string().contains("asked to revoke the access_token"), "{answer}");
    assert_eq!(shown["status"], "ACTIVE");
    assert_eq!(provider.seen("/token/introspection").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_provider_is_asked_again_when_it_is_reachable() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::revocable(&provider, "authorization_parameters = { prompt = \"consent\" }").await;
    let (_, refresh_token) = connected.tokens().await;
    provider.fault(&json!({ "path": "/token/revocation", "reset": true })).await;
    let asked = Instant::now();
    let job = connected.delete().await;
    assert!(asked.elapsed() < Duration::from_secs(5), "the answer does not wait for the provider");
    connected
        .server
        .api
        .proxy_get(&connected.session, "tk", "/api/me")
        .await
        .expect_error(404, "ToolRouterV2_NoActiveConnection");
    receipt_when(&connected.server.api, &job, |receipt| receipt["items"][0]["detail"].is_string()).await;
    provider.heal().await;
    connected.server.clock.advance(Duration::from_mins(1));
    let receipt = finished(&connected.server.api, &job).await;
    assert_eq!((&receipt["revoked"], &receipt["items"][0]["tries"]), (&json!(1), &json!(2)), "{receipt}");
    refresh(&provider, &refresh_token).await.expect(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_arrive_after_the_deletion_are_revoked_too() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::revocable(&provider, "authorization_parameters = { prompt = \"consent\" }").await;
    connected.server.clock.advance(Duration::from_hours(1));
    // The provider rotates; its answer is still on the way while the account is deleted.
    provider
        .fault(&json!({ "path": "/token", "trickle_ms": 1, "status": 200,
        "headers": { "content-type": "application/json" }, "times": 1,
        "body": json!({ "access_token": "late-access-canary", "token_type": "Bearer", "expires_in": 60,
            "refresh_token": "late-refresh-canary", "padding": "x".repeat(400) }).to_string() }))
        .await;
    let (api, session) = (connected.server.api.clone(), connected.session.clone());
    let calling = tokio::spawn(async move { api.proxy_get(&session, "tk", "/api/me").await.status });
    until("the refresh", async || provider.grants("refresh_token").await == 1).await;
    let job = connected.delete().await;
    assert!((400..500).contains(&calling.await.unwrap()));
    let receipt = receipt_when(&connected.server.api, &job, |it| it["total"] == 2 && it["status"] == "finished").await;
    assert_eq!(receipt["revoked"], 2, "{receipt}");
    let seen = serde_json::to_string(&provider.seen("/token/revocation").await).unwrap();
    assert!(seen.contains("late-refresh-canary") && seen.contains("late-access-canary"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_on_request_waits_for_a_refresh() {
    let provider = Provider::oidc(&[]);
    let connected = Connected::revocable(&provider, "authorization_parameters = { prompt = \"consent\" }").await;
    connected.server.clock.advance(Duration::from_hours(1));
    provider.fault(&json!({ "path": "/token", "delay_ms": 300, "times": 1 })).await;
    let (api, session) = (connected.server.api.clone(), connected.session.clone());
    let calling = tokio::spawn(async move { api.proxy_get(&session, "tk", "/api/me").await.status });
    until("the refresh", async || provider.grants("refresh_token").await == 1).await;
    let path = format!("/connected_accounts/{}/revoke", connected.account);
    let revoked = connected.server.api.call("POST", &path, "").await.expect(200);
    assert_eq!(revoked["revoked_tokens"], json!(["refresh_token", "access_token"]));
    calling.await.unwrap();
    assert_eq!(connected.server.api.status(&connected.account).await, "REVOKED");
    assert_eq!(provider.grants("refresh_token").await, 1);
    connected.server.clock.advance(Duration::from_hours(1));
    connected
        .server
        .api
        .proxy_get(&connected.session, "tk", "/api/me")
        .await
        .expect_error(404, "ToolRouterV2_NoActiveConnection");
    assert_eq!(provider.grants("refresh_token").await, 1, "nothing refreshes it any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_revokes_every_account_of_a_project_at_all_its_providers() {
    let (op, django) = (Provider::oidc(&[]), Provider::django(&[]));
    let file = |provider: &Provider, slug: &str, more: &str| {
        provider.toolkit(slug, &format!("revocation_url = \"{}\"\n{more}", provider.text("revocation_endpoint")))
    };
    let server = TestServer::builder()
        .toolkit("op", &file(&op, "op", "authorization_parameters = { prompt = \"consent\" }"))
        .toolkit("dot", &file(&django, "dot", ""))
        .start()
        .await;
    let mut held = Vec::new();
    for (slug, provider) in [("op", &op), ("dot", &django)] {
        provider.auth_config(&server.api, slug).await;
        for user in 0..6 {
            let session = server.api.session(&format!("user-{user}"), slug).await;
            let link = server.api.link(&session, slug).await;
            Browser::new("alice").follow(link["redirect_url"].as_str().unwrap(), |_| false).await;
            let account = link["connected_account_id"].as_str().unwrap();
            let row = server.app.core.store.account(&server.project_id, &account.into()).await.unwrap().unwrap();
            let secrets = server.app.credentials.open_credential(&row).unwrap();
            held.push((provider, secrets.get("refresh_token").unwrap().to_owned()));
        }
    }
    let data = server.dir.path().to_str().unwrap();
    // The command does not know the toolkits that the server was started with.
    let (code, stdout, stderr) = run(&["revoke", "--json", "--data-dir", data, "--project", &server.project_id]);
    assert_eq!(code, Some(0), "{stderr}");
    let queued: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(queued["accounts"], 12);
    let path = format!("/revoke_jobs/{}", queued["revoke_job_id"].as_str().unwrap());
    let receipt = within(Duration::from_mins(1), "the receipt", async || {
        // Also past the pauses after a provider was too busy.
        server.clock.advance(Duration::from_mins(2));
        let receipt = server.api.get(&path).await.expect(200);
        if receipt["status"] == "finished" { Ok(receipt) } else { Err(receipt) }
    })
    .await;
    assert_eq!(receipt["revoked"], 12, "{receipt}");
    for (provider, refresh_token) in &held {
        refresh(provider, refresh_token).await.expect(400);
    }
}
