//! A person who finds a key can revoke it, without another key, and learns nothing (R60).

use rusqlite::Connection;
use serde_json::{Value, json};
use switchboard_vault::{ApiKey, KeyKind, SystemEntropy};

use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;

async fn revoke(server: &TestServer, body: &Value) -> Reply {
    let url = format!("{}/api_key_revocation", server.api.base);
    Http::new().send("POST", &url, &[("content-type", "application/json")], body.to_string()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_kind_are_revoked_and_the_response_is_always_the_same() {
    let server = TestServer::start().await;
    let (user, owner) = (server.user_key("ada@example.com").await, server.organization_key().await);
    let bystander = server.other_project("Bystander").await;
    let unknown = ApiKey::generate_of(KeyKind::User, &SystemEntropy);
    let full: Vec<String> = (0..100).map(|number| format!("not a key {number}")).collect();
    let mut answers = Vec::new();
    for keys in [
        vec![unknown.expose().to_owned()],
        vec![String::new(), "ak_".to_owned(), "é".to_owned(), "x".repeat(5_000)],
        full,
        vec![server.api.key.clone(), user.clone(), owner.clone(), server.api.key.clone()],
        vec![server.api.key.clone()],
    ] {
        let reply = revoke(&server, &json!({ "api_keys": keys })).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let mut headers = reply.headers.clone();
        headers.remove("x-request-id");
        headers.remove("date");
        headers.remove("x-ratelimit-remaining");
        answers.push((reply.body, format!("{headers:?}")));
    }
    assert_eq!(answers[0].0, r#"{"received":true}"#);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    for (header, key, path) in [
        ("x-api-key", &server.api.key, "/toolkits"),
        ("x-user-api-key", &user, "/org/list"),
        ("x-org-api-key", &owner, "/org/owner/project/list"),
    ] {
        let url = format!("{}{path}", server.api.base);
        server.api.http.send("GET", &url, &[(header, key)], "").await.expect_error(401, "HTTP_Unauthorized");
    }
    bystander.get("/toolkits").await.expect(200);
    let rows = server.app.core.store.api_keys(&server.project_id).await.unwrap();
    let events = server.app.core.store.audit_events(&server.project_id, &rows[0].id).await.unwrap();
    let leaked: Vec<_> = events.iter().filter(|event| event.outcome == "leaked").collect();
    assert_eq!(leaked.len(), 1, "a key ends once");
    assert!(leaked.iter().all(|event| event.actor == "revocation" && event.action == "api_key.revoke"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_body_is_refused_and_revokes_nothing() {
    let server = TestServer::start().await;
    let key = server.api.key.as_str();
    let many = vec![key; 101];
    for body in [
        json!({}),
        json!({ "api_keys": [] }),
        json!({ "api_keys": key }),
        json!({ "api_keys": [key, 5] }),
        json!({ "api_keys": many }),
        json!([key]),
    ] {
        let error = revoke(&server, &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(!error.to_string().contains(key), "{error}");
    }
    server.api.get("/toolkits").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_gets_503_while_the_database_takes_no_writes() {
    let server = TestServer::start().await;
    let unknown = ApiKey::generate(&SystemEntropy);
    let lock = Connection::open(server.database()).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut errors = Vec::new();
    for key in [server.api.key.as_str(), unknown.expose(), "not a key"] {
        let reply = revoke(&server, &json!({ "api_keys": [key] })).await;
        let mut error = reply.expect_error(503, "HTTP_ServiceUnavailable");
        error["request_id"] = Value::Null;
        errors.push(error);
    }
    assert!(errors.iter().all(|error| *error == errors[0]), "{errors:#?}");
    drop(lock);
    server.api.get("/toolkits").await.expect(200);
    revoke(&server, &json!({ "api_keys": [server.api.key] })).await.expect(200);
    server.api.get("/toolkits").await.expect_error(401, "HTTP_Unauthorized");
}
