//! Calls with an `Idempotency-Key`: one effect, one response, and an honest answer if nothing is known.

use serde_json::{Value, json};

use super::help::{Upstream, connect_key, http, sql, text};
use super::tools::with_tools;
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

const JSON: &str = "content-type: application/json\r\n";

async fn post(api: &Api, session: &str, operation: &str, key: &str, body: &Value) -> Reply {
    let path = format!("/tool_router/session/{session}/{operation}");
    api.call_with("POST", &path, &[("idempotency-key", key)], body.to_string()).await
}

fn is_replay(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

fn create() -> Value {
    json!({ "tool_slug": "UP_CREATE_NOTE", "arguments": { "folder": "f", "text": "milk" } })
}

fn delete() -> Value {
    json!({ "tool_slug": "UP_DELETE_NOTE", "arguments": { "id": 7 } })
}

async fn connected() -> (TestServer, Upstream, String) {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    (server, upstream, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_gets_the_same_bytes_and_has_one_effect() {
    let (server, upstream, session) = connected().await;
    let api = &server.api;
    upstream.play(http("201 Created", JSON, br#"{"note":{"id":7}}"#));
    let raw = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST", "body": { "a": 1 } });
    let direct = json!({ "user_id": "u", "arguments": { "folder": "f", "text": "milk" } });
    for (key, operation, body) in [("1", "execute", create()), ("2", "proxy_execute", raw)] {
        let first = post(api, &session, operation, key, &body).await;
        first.expect(200);
        upstream.only();
        upstream.play(http("500 Internal Server Error", JSON, b"{}"));
        let again = post(api, &session, operation, key, &body).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert!(is_replay(&again) && !is_replay(&first));
        assert!(upstream.take().is_empty());
        let other = json!({ "toolkit_slug": "up", "endpoint": "/y", "method": "POST" });
        post(api, &session, "proxy_execute", key, &other).await.expect_error(422, "Idempotency_KeyReused");
        upstream.play(http("201 Created", JSON, br#"{"note":{"id":7}}"#));
    }
    let key = [("idempotency-key", "3")];
    let first = api.call_with("POST", "/tools/execute/UP_CREATE_NOTE", &key, direct.to_string()).await;
    assert_eq!(first.expect(200)["successful"], true);
    let again = api.call_with("POST", "/tools/execute/UP_CREATE_NOTE", &key, direct.to_string()).await;
    assert_eq!(again.body, first.body);
    upstream.only();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_equal_calls_at_once_have_one_effect() {
    let (server, upstream, session) = connected().await;
    upstream.play(http("204 No Content", "", b""));
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let (api, session) = (server.api.clone(), session.clone());
            tokio::spawn(async move { post(&api, &session, "execute", "k", &delete()).await })
        })
        .collect();
    let mut made = Vec::new();
    for call in calls {
        let reply = call.await.unwrap();
        match reply.status {
            200 => made.push(reply),
            _ => drop(reply.expect_error(409, "Idempotency_CallInProgress")),
        }
    }
    assert_eq!(made.iter().filter(|reply| !is_replay(reply)).count(), 1);
    assert!(made.iter().all(|reply| reply.body == made[0].body));
    upstream.only();
    let again = post(&server.api, &session, "execute", "k", &delete()).await;
    assert_eq!((again.status, &again.body), (200, &made[0].body));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_had_no_effect_does_not_use_up_its_key() {
    let (server, upstream, session) = connected().await;
    let api = &server.api;
    let wrong = json!({ "tool_slug": "UP_DELETE_NOTE", "arguments": {} });
    post(api, &session, "execute", "k", &wrong).await.expect_error(400, "HTTP_BadRequest");
    upstream.play(http("429 Too Many Requests", JSON, b"{}"));
    let limited = post(api, &session, "execute", "k", &delete()).await.expect(200);
    assert_eq!(limited["data"]["error_code"], "rate_limited");
    upstream.play(http("204 No Content", "", b""));
    let done = post(api, &session, "execute", "k", &delete()).await;
    assert_eq!(done.expect(200)["result_type"], "completed");
    assert_eq!(upstream.take().len(), 2);
    assert_eq!(post(api, &session, "execute", "k", &delete()).await.body, done.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_an_account_leaves_its_key_to_the_next_one() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let session = api.session("u", "up").await;
    let raw = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST" });
    let refused = post(api, &session, "execute", "k", &delete()).await.expect(200);
    assert_eq!(refused["data"]["error_code"], "no_active_connection");
    post(api, &session, "proxy_execute", "r", &raw).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    // As long as it takes to write the log.
    server.app.call_log.write().await.unwrap();
    connect_key(api, "u", "up").await;
    upstream.play(http("204 No Content", "", b""));
    upstream.take();
    let done = post(api, &session, "execute", "k", &delete()).await;
    assert_eq!(done.expect(200)["result_type"], "completed");
    post(api, &session, "proxy_execute", "r", &raw).await.expect(200);
    assert_eq!(upstream.take().len(), 2);
    server.app.call_log.write().await.unwrap();
    assert_eq!(post(api, &session, "execute", "k", &delete()).await.body, done.body);
    let states = sql(&server.database(), "SELECT state, key FROM tool_calls ORDER BY state, key");
    assert_eq!(states, json!([["completed", "k"], ["completed", "r"], ["failed", null]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_operation_is_used() {
    let (server, upstream, session) = connected().await;
    let link = json!({ "toolkit": "up" });
    post(&server.api, &session, "link", "k", &link).await.expect(201);
    post(&server.api, &session, "execute", "k", &delete()).await.expect_error(422, "Idempotency_KeyReused");
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_said_and_nothing_is_sent_again() {
    let (server, upstream, session) = connected().await;
    let api = &server.api;
    upstream.play(Vec::new());
    let lost = post(api, &session, "execute", "k", &delete()).await.expect(200);
    assert_eq!(lost["data"]["error_code"], "outcome_unknown", "{lost}");
    upstream.take();
    upstream.play(http("204 No Content", "", b""));
    let again = post(api, &session, "execute", "k", &delete()).await.expect(200);
    assert_eq!((&again["result_type"], &again["log_id"]), (&json!("failed"), &lost["log_id"]));
    assert_eq!(again["data"]["error_code"], "outcome_unknown");
    let raw = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST" });
    upstream.play(Vec::new());
    post(api, &session, "proxy_execute", "r", &raw).await.expect_error(502, "Upstream_Unreachable");
    upstream.take();
    post(api, &session, "proxy_execute", "r", &raw).await.expect_error(409, "Idempotency_CallOutcomeUnknown");
    assert!(upstream.take().is_empty());
    let states = sql(&server.database(), "SELECT state FROM tool_calls ORDER BY id");
    assert_eq!(states, json!([["unknown"], ["unknown"]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_if_the_provider_knows_the_key() {
    let (server, upstream, session) = connected().await;
    let api = &server.api;
    upstream.play(Vec::new());
    let lost = post(api, &session, "execute", "k", &create()).await.expect(200);
    assert_eq!(lost["data"]["error_code"], "outcome_unknown", "{lost}");
    let id = text(&lost, "log_id");
    assert!(upstream.only().contains(&format!("x-key: {id}\r\n")));
    // A limit says nothing of the first call: the key stays that of this call.
    upstream.play(http("429 Too Many Requests", JSON, b"{}"));
    let limited = post(api, &session, "execute", "k", &create()).await.expect(200);
    assert_eq!((&limited["data"]["error_code"], &limited["log_id"]), (&json!("rate_limited"), &json!(id)));
    assert!(upstream.only().contains(&format!("x-key: {id}\r\n")));
    assert_eq!(sql(&server.database(), "SELECT state, key FROM tool_calls"), json!([["unknown", "k"]]));
    upstream.play(http("201 Created", JSON, br#"{"note":{"id":7}}"#));
    let again = post(api, &session, "execute", "k", &create()).await;
    assert_eq!(again.expect(200)["data"], json!({ "id": 7 }));
    assert_eq!(again.json()["log_id"], json!(id));
    assert!(upstream.only().contains(&format!("x-key: {id}\r\n")), "the provider knows the call by its id");
    assert_eq!(post(api, &session, "execute", "k", &create()).await.body, again.body);
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_a_key_goes_on_when_its_caller_has_gone() {
    let (server, upstream, session) = connected().await;
    let (asked, hold) = upstream.hold();
    let caller = tokio::spawn({
        let (api, session) = (Api::new(&server.url, &server.api.key), session.clone());
        async move { post(&api, &session, "execute", "k", &delete()).await }
    });
    asked.await.unwrap();
    caller.abort();
    assert!(caller.await.is_err());
    post(&server.api, &session, "execute", "k", &delete()).await.expect_error(409, "Idempotency_CallInProgress");
    upstream.play(http("204 No Content", "", b""));
    hold.send(()).unwrap();
    let reply = loop {
        let reply = post(&server.api, &session, "execute", "k", &delete()).await;
        if reply.status != 409 {
            break reply;
        }
    };
    assert_eq!(reply.expect(200)["result_type"], "completed");
    assert!(is_replay(&reply));
    upstream.only();
}
