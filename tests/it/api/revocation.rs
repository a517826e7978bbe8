//! Credentials are revoked at their provider after a deletion, from a queue (R42, R76; contract
//! section 4.6).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use switchboard::app::ManagedClient;
use switchboard::id::Kind;

use super::help::{Upstream, connect_key, finish_oauth, http, sql, text, unknown, with_upstream};
use super::revocation_on_request::revoke;
use crate::support::connected::{finished, receipt_when, second_server_with};
use crate::support::http::{Api, Http};
use crate::support::server::TestServer;
use crate::support::wait::until;

const SECRET: &str = "sandbox secret with :odd/ %characters+";

/// An account's tokens at the sandbox.
pub struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    /// What is sealed for an account, read past the API.
    pub async fn of(server: &TestServer, account: &str) -> Self {
        let row = server.app.core.store.account(&server.project_id, &account.into()).await.unwrap().unwrap();
        let secrets = server.app.credentials.open_credential(&row).unwrap();
        let one = |name| secrets.get(name).unwrap().to_owned();
        Self { access: one("access_token"), refresh: one("refresh_token") }
    }

    /// Status of a call with the access token, and of a refresh.
    pub async fn at_provider(&self, server: &TestServer) -> (u16, u16) {
        let bearer = format!("Bearer {}", self.access);
        let url = format!("{}/api/me", server.sandbox_url);
        let used = Http::new().send("GET", &url, &[("authorization", &bearer)], "").await;
        let form: String = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "refresh_token"), ("refresh_token", &self.refresh)])
            .extend_pairs([("client_id", "test"), ("client_secret", SECRET)])
            .finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let refreshed = Http::new().send("POST", &format!("{}/oauth/token", server.sandbox_url), &headers, form).await;
        (used.status, refreshed.status)
    }
}

/// Connects a user to a toolkit that the sandbox provides, by OAuth.
pub async fn oauth_account(server: &TestServer, user: &str, toolkit: &str) -> String {
    let session = server.api.session(user, toolkit).await;
    finish_oauth(&server.api, &server.api.link(&session, toolkit).await).await
}

/// The sandbox as toolkit `rv`, whose revocation endpoint is a provider of raw bytes.
pub async fn with_revocation_at(upstream: &Upstream) -> TestServer {
    let file = include_str!("../../../toolkits/sandbox/toolkit.toml")
        .replace("slug = \"sandbox\"", "slug = \"rv\"")
        .replace("{sandbox_url}/oauth/revoke", &format!("http://{}/revoke", upstream.host));
    let client = ManagedClient {
        client_id: "test".to_owned(),
        client_secret: Some(SECRET.into()),
        projects: vec!["*".to_owned()],
        ..ManagedClient::default()
    };
    TestServer::builder().toolkit("rv", &file).managed("rv", client).start().await
}

async fn receipt(api: &Api, job: &str) -> Value {
    api.get(&format!("/revoke_jobs/{job}")).await.expect(200)
}

async fn delete(api: &Api, path: &str) -> String {
    let deleted = api.delete(path).await.expect(200);
    assert_eq!(deleted["success"], true);
    let job = text(&deleted, "revoke_job_id");
    assert!(Kind::RevokeJob.admits(&job), "{job}");
    job
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_account_revokes_its_tokens_at_the_provider() {
    let server = TestServer::start().await;
    let account = oauth_account(&server, "u", "sandbox").await;
    let tokens = Tokens::of(&server, &account).await;
    let job = delete(&server.api, &format!("/connected_accounts/{account}")).await;
    let receipt = finished(&server.api, &job).await;
    assert_eq!(tokens.at_provider(&server).await, (401, 400));
    assert_eq!((&receipt["id"], &receipt["total"], &receipt["revoked"]), (&json!(job), &json!(1), &json!(1)));
    let item = &receipt["items"][0];
    assert_eq!(
        (&item["connected_account_id"], &item["toolkit"], &item["outcome"], &item["revoked_tokens"], &item["tries"]),
        (&json!(account), &json!("sandbox"), &json!("revoked"), &json!(["refresh_token", "access_token"]), &json!(1))
    );
    assert!(item["finished_at"].is_string() && item.get("detail").is_none(), "{item}");
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_without_revoking_leaves_the_tokens_valid() {
    let server = TestServer::start().await;
    let account = oauth_account(&server, "u", "sandbox").await;
    let tokens = Tokens::of(&server, &account).await;
    let path = format!("/connected_accounts/{account}");
    let deleted = server.api.delete(&format!("{path}?revoke_on_delete=false")).await.expect(200);
    assert_eq!(deleted, json!({ "success": true }));
    assert_eq!(tokens.at_provider(&server).await, (200, 200));
    assert_eq!(sql(&server.database(), "SELECT COUNT(*) FROM revocations"), json!([[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_link_has_nothing_to_revoke() {
    let server = TestServer::start().await;
    let session = server.api.session("u", "sandbox").await;
    let account = text(&server.api.link(&session, "sandbox").await, "connected_account_id");
    let deleted = server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    assert_eq!(deleted, json!({ "success": true }));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_is_deleted_with_a_receipt_that_says_it_cannot_be_revoked() {
    let (server, upstream) = with_upstream().await;
    let (_, account) = connect_key(&server.api, "u", "up").await;
    let job = delete(&server.api, &format!("/connected_accounts/{account}")).await;
    let receipt = receipt(&server.api, &job).await;
    assert_eq!((&receipt["status"], &receipt["not_supported"]), (&json!("finished"), &json!(1)));
    assert!(text(&receipt["items"][0], "detail").contains("API_KEY"), "{receipt}");
    assert!(upstream.take().is_empty());
    let left = sql(&server.database(), "SELECT COUNT(*) FROM revocations WHERE material_sealed IS NOT NULL");
    assert_eq!(left, json!([[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_auth_config_revokes_all_its_accounts_as_one_job() {
    let upstream = Upstream::start().await;
    let server = with_revocation_at(&upstream).await;
    let body = json!({ "toolkit": { "slug": "rv" }, "auth_config": { "type": "use_custom_auth", "authScheme": "OAUTH2",
        "credentials": { "client_id": "test", "client_secret": SECRET } } });
    let config = text(&server.api.post("/auth_configs", &body).await.expect(201)["auth_config"], "id");
    let mut accounts = Vec::new();
    for user in ["a", "b", "c"] {
        accounts.push(oauth_account(&server, user, "rv").await);
    }
    let session = server.api.session("d", "rv").await;
    server.api.link(&session, "rv").await;
    let job = delete(&server.api, &format!("/auth_configs/{config}")).await;
    let receipt = finished(&server.api, &job).await;
    assert_eq!((&receipt["total"], &receipt["revoked"]), (&json!(3), &json!(3)), "{receipt}");
    // The client went along with the tokens, since the auth config is gone.
    let seen = upstream.take();
    assert_eq!(seen.len(), 6, "{seen:#?}");
    for request in &seen {
        assert!(request.to_ascii_lowercase().contains("authorization: basic"), "{request}");
    }
    for account in accounts {
        server
            .api
            .get(&format!("/connected_accounts/{account}"))
            .await
            .expect_error(404, "ConnectedAccount_ResourceNotFound");
    }
    server.api.get(&format!("/auth_configs/{config}")).await.expect_error(404, "AuthConfig_NotFound");
    server.api.delete(&format!("/auth_configs/{config}")).await.expect_error(404, "AuthConfig_NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auth_config_with_many_accounts_is_deleted_completely() {
    let (server, _upstream) = with_upstream().await;
    let (_, account) = connect_key(&server.api, "u", "up").await;
    let config =
        text(&server.api.get(&format!("/connected_accounts/{account}")).await.expect(200)["auth_config"], "id");
    // Copies, whose credentials cannot be read any more; an API key can be deleted without reading it.
    let copies = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
        INSERT INTO connected_accounts (id, project_id, user_id, toolkit, auth_config_id, scheme, status, word_id,
          account_type, params, credential_sealed, created_at, updated_at)
        SELECT 'ca_copy' || i, project_id, 'user-' || i, toolkit, auth_config_id, scheme, status, word_id,
          account_type, params, credential_sealed, created_at, updated_at FROM connected_accounts, n";
    sql(&server.database(), copies);
    let job = delete(&server.api, &format!("/auth_configs/{config}")).await;
    let receipt = receipt(&server.api, &job).await;
    assert_eq!((&receipt["total"], &receipt["not_supported"]), (&json!(251), &json!(251)));
    let mut path = format!("/revoke_jobs/{job}?limit=100");
    let mut items = 0;
    loop {
        let page = server.api.get(&path).await.expect(200);
        items += page["items"].as_array().unwrap().len();
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/revoke_jobs/{job}?cursor={cursor}");
    }
    assert_eq!(items, 251);
    let left = "SELECT COUNT(*) FROM connected_accounts WHERE deleted_at IS NULL OR credential_sealed IS NOT NULL";
    assert_eq!(sql(&server.database(), left), json!([[0]]));
    assert_eq!(
        sql(&server.database(), "SELECT COUNT(*) FROM audit_events WHERE action = 'connected_account.delete'"),
        json!([[251]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_credential_is_still_deleted() {
    let server = TestServer::start().await;
    let account = oauth_account(&server, "u", "sandbox").await;
    sql(&server.database(), "UPDATE connected_accounts SET credential_sealed = x'00'");
    revoke(&server.api, &account).await.expect_error(500, "credential_unreadable");
    let job = delete(&server.api, &format!("/connected_accounts/{account}")).await;
    let receipt = receipt(&server.api, &job).await;
    assert_eq!((&receipt["status"], &receipt["failed"]), (&json!("finished"), &json!(1)));
    assert_eq!(receipt["items"][0]["detail"], "A stored credential cannot be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_provider_down_the_response_is_immediate_and_the_queue_drains_later() {
    let upstream = Upstream::start().await;
    upstream.play(http("503 Service Unavailable", "retry-after: 60\r\n", b"busy"));
    let server = with_revocation_at(&upstream).await;
    let account = oauth_account(&server, "u", "rv").await;
    let path = format!("/connected_accounts/{account}");
    let job = delete(&server.api, &path).await;
    server.api.get(&path).await.expect_error(404, "ConnectedAccount_ResourceNotFound");
    let tried = receipt_when(&server.api, &job, |it| it["items"][0]["detail"].is_string()).await;
    assert_eq!(
        (&tried["status"], &tried["pending"], &tried["items"][0]["tries"]),
        (&json!("pending"), &json!(1), &json!(1))
    );
    assert!(text(&tried["items"][0], "detail").contains("503"), "{tried}");

    upstream.play(http("200 OK", "", b""));
    server.clock.advance(Duration::from_secs(59));
    server.app.revocations.wake_up();
    assert_eq!(receipt(&server.api, &job).await["status"], "pending", "the provider wants a minute");
    server.clock.advance(Duration::from_secs(2));
    let done = finished(&server.api, &job).await;
    assert_eq!((&done["revoked"], &done["items"][0]["tries"]), (&json!(1), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_fails_after_a_day() {
    let upstream = Upstream::start().await;
    upstream.play(http("500 Internal Server Error", "", b""));
    let server = with_revocation_at(&upstream).await;
    let account = oauth_account(&server, "u", "rv").await;
    let job = delete(&server.api, &format!("/connected_accounts/{account}")).await;
    receipt_when(&server.api, &job, |it| it["items"][0]["detail"].is_string()).await;
    server.clock.advance(Duration::from_hours(25));
    let receipt = finished(&server.api, &job).await;
    assert_eq!((&receipt["failed"], &receipt["items"][0]["tries"]), (&json!(1), &json!(2)), "{receipt}");
    assert!(text(&receipt["items"][0], "detail").starts_with("Given up after 2 tries"), "{receipt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_refusal_is_not_retried_and_its_text_contains_no_token() {
    let upstream = Upstream::start().await;
    let server = with_revocation_at(&upstream).await;
    let account = oauth_account(&server, "u", "rv").await;
    let tokens = Tokens::of(&server, &account).await;
    let said = json!({ "error": "invalid_client", "error_description": format!("no {} and no {}", tokens.refresh, tokens.access) });
    upstream.play(http("401 Unauthorized", "content-type: application/json\r\n", said.to_string().as_bytes()));
    let job = delete(&server.api, &format!("/connected_accounts/{account}")).await;
    let receipt = finished(&server.api, &job).await;
    assert_eq!((&receipt["failed"], &receipt["items"][0]["tries"]), (&json!(1), &json!(1)));
    let shown = receipt.to_string();
    assert!(shown.contains("invalid_client") && !shown.contains(&tokens.refresh) && !shown.contains(&tokens.access));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_already_invalid_token_counts_as_revoked() {
    let upstream = Upstream::start().await;
    upstream.play(http("400 Bad Request", "content-type: application/json\r\n", br#"{"error":"invalid_token"}"#));
    let server = with_revocation_at(&upstream).await;
    let account = oauth_account(&server, "u", "rv").await;
    let job = delete(&server.api, &format!("/connected_accounts/{account}")).await;
    assert_eq!(finished(&server.api, &job).await["revoked"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_queue_and_the_outcome_erases_the_tokens() {
    let upstream = Upstream::start().await;
    upstream.play(http("503 Service Unavailable", "", b""));
    let server = with_revocation_at(&upstream).await;
    let account = oauth_account(&server, "u", "rv").await;
    let job = delete(&server.api, &format!("/connected_accounts/{account}")).await;
    receipt_when(&server.api, &job, |it| it["items"][0]["detail"].is_string()).await;
    server.app.core.stopping.cancel();
    upstream.take();

    upstream.play(http("200 OK", "", b"{}"));
    let again = reopened(&server).await;
    server.clock.advance(Duration::from_mins(10));
    assert_eq!(finished(&again, &job).await["revoked"], 1);
    assert_eq!(upstream.take().len(), 2, "refresh token and access token");
    let left = sql(&server.database(), "SELECT COUNT(*) FROM revocations WHERE material_sealed IS NOT NULL");
    assert_eq!(left, json!([[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_on_one_database_ask_the_provider_once() {
    let upstream = Upstream::start().await;
    let server = with_revocation_at(&upstream).await;
    reopened(&server).await;
    let mut config = String::new();
    for user in 0..12 {
        let account = oauth_account(&server, &format!("u{user}"), "rv").await;
        let read = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
        config = text(&read["auth_config"], "id");
    }
    let job = delete(&server.api, &format!("/auth_configs/{config}")).await;
    let receipt = finished(&server.api, &job).await;
    assert_eq!((&receipt["total"], &receipt["revoked"]), (&json!(12), &json!(12)), "{receipt}");
    assert!(receipt["items"].as_array().unwrap().iter().all(|item| item["tries"] == 1), "{receipt}");
    assert_eq!(upstream.take().len(), 24);
}

/// A second server, which offers `rv` to no project any more: its old tokens are still revoked.
async fn reopened(first: &TestServer) -> Api {
    let client = ManagedClient {
        client_id: "test".to_owned(),
        client_secret: Some(SECRET.into()),
        projects: vec!["pr_other".to_owned()],
        ..ManagedClient::default()
    };
    second_server_with(first, BTreeMap::from([("rv".to_owned(), client)])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_is_unknown_to_other_projects() {
    let server = TestServer::start().await;
    let account = oauth_account(&server, "u", "sandbox").await;
    let job = delete(&server.api, &format!("/connected_accounts/{account}")).await;
    let other = server.other_project("Other").await;
    for (api, id) in [(&other, job.as_str()), (&server.api, &unknown(Kind::RevokeJob)), (&server.api, "%ff")] {
        let error = api.get(&format!("/revoke_jobs/{id}")).await.expect_error(404, "RevokeJob_NotFound");
        assert_eq!(error["code"], 616);
    }
    let page = server.api.get(&format!("/revoke_jobs/{job}?limit=1")).await.expect(200);
    assert_eq!(page["next_cursor"], json!(null));
    server.api.get(&format!("/revoke_jobs/{job}?limit=x")).await.expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_project_is_emptied_and_its_credentials_are_revoked() {
    let server = TestServer::start().await;
    let account = oauth_account(&server, "u", "sandbox").await;
    let tokens = Tokens::of(&server, &account).await;
    let session = server.api.session("v", "sandbox").await;
    server.api.link(&session, "sandbox").await;
    // As a deletion that was cut short leaves it.
    sql(&server.database(), "UPDATE projects SET deleted_at = 1");
    server.app.project_deletion.empty_deleted().await.unwrap();
    server.app.project_deletion.empty_deleted().await.unwrap();
    let left = "SELECT (SELECT COUNT(*) FROM connected_accounts WHERE deleted_at IS NULL OR credential_sealed IS NOT NULL)
        + (SELECT COUNT(*) FROM auth_configs WHERE deleted_at IS NULL) + (SELECT COUNT(*) FROM links WHERE finished_at IS NULL)";
    assert_eq!(sql(&server.database(), left), json!([[0]]));
    let jobs = sql(&server.database(), "SELECT DISTINCT job_id FROM revocations");
    assert_eq!(jobs, json!([[server.project_id.replace("pr_", "rvj_")]]));
    until("the end of the tokens", async || tokens.at_provider(&server).await == (401, 400)).await;
}
