//! The notes API: credentials, scopes, limits, and the echo.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::WWW_AUTHENTICATE;
use serde_json::json;

use crate::support::{Reply, Sandbox, basic};

const ALICE: (&str, &str) = ("x-api-key", "sandbox_alice_key");
const BOB: (&str, &str) = ("x-api-key", "sandbox_bob_key");

async fn post_note(sandbox: &Sandbox, credential: (&str, &str), body: String) -> Reply {
    let request = Request::post("/api/notes")
        .header(credential.0, credential.1)
        .header("content-type", "application/json; charset=utf-8");
    sandbox.send(request.body(Body::from(body)).unwrap()).await
}

async fn delete_note(sandbox: &Sandbox, credential: (&str, &str), id: &str) -> Reply {
    let request = Request::delete(format!("/api/notes/{id}")).header(credential.0, credential.1);
    sandbox.send(request.body(Body::empty()).unwrap()).await
}

async fn texts(sandbox: &Sandbox, credential: (&str, &str)) -> Vec<String> {
    let reply = sandbox.get_with("/api/notes", credential.0, credential.1).await;
    let notes = reply.json()["notes"].as_array().unwrap().clone();
    let text = |note: &serde_json::Value| note["text"].as_str().unwrap().to_owned();
    notes.iter().map(text).collect()
}

#[tokio::test]
async fn every_kind_of_credential_names_its_user() {
    let sandbox = Sandbox::start();
    let (token, _) = sandbox.connect("bob", "notes:read").await;
    let basic_header = basic("alice", "alice");
    let bearer_header = format!("bearer {token}");
    for ((name, value), username) in [
        (ALICE, "alice"),
        (BOB, "bob"),
        (("authorization", basic_header.as_str()), "alice"),
        (("authorization", bearer_header.as_str()), "bob"),
    ] {
        let reply = sandbox.get_with("/api/me", name, value).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        assert_eq!(reply.json()["username"], username);
    }
    let me = sandbox.get_with("/api/me", ALICE.0, ALICE.1).await;
    let expected = json!({
        "id": "user_alice",
        "username": "alice",
        "email": "alice@sandbox.example",
        "name": "Alice Example",
    });
    assert_eq!(me.json(), expected);
}

#[tokio::test]
async fn missing_and_wrong_credentials_are_challenged() {
    let sandbox = Sandbox::start();
    let none = sandbox.get("/api/notes").await;
    none.assert_error(401, "unauthorized");
    assert_eq!(none.header(WWW_AUTHENTICATE), r#"Bearer realm="sandbox""#);

    let wrong_password = basic("alice", "bob");
    for (name, value, error, challenge) in [
        ("authorization", "Bearer nope", "invalid_token", "Bearer "),
        ("x-api-key", "sandbox_carol_key", "invalid_api_key", "Bearer "),
        ("authorization", wrong_password.as_str(), "invalid_credentials", "Basic "),
    ] {
        let reply = sandbox.get_with("/api/me", name, value).await;
        reply.assert_error(401, error);
        assert!(reply.header(WWW_AUTHENTICATE).starts_with(challenge));
    }

    let two = Request::get("/api/me").header("authorization", basic("alice", "alice")).header(ALICE.0, ALICE.1);
    let reply = sandbox.send(two.body(Body::empty()).unwrap()).await;
    reply.assert_error(400, "invalid_request");
}

#[tokio::test]
async fn notes_are_written_listed_and_deleted() {
    let sandbox = Sandbox::start();
    let created = post_note(&sandbox, ALICE, json!({"text": "buy tea ☕"}).to_string()).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let note = created.json();
    assert_eq!(note["text"], "buy tea ☕");
    assert_eq!(note["created_at"], "2027-01-15T08:00:00.000Z");
    let id = note["id"].as_str().unwrap();

    assert_eq!(texts(&sandbox, ALICE).await, ["buy tea ☕"]);
    assert_eq!(delete_note(&sandbox, ALICE, id).await.status, 204);
    assert!(texts(&sandbox, ALICE).await.is_empty());
    let again = delete_note(&sandbox, ALICE, id).await;
    again.assert_error(404, "not_found");
}

#[tokio::test]
async fn the_notes_of_others_do_not_exist() {
    let sandbox = Sandbox::start();
    let created = post_note(&sandbox, ALICE, r#"{"text":"secret plan"}"#.into()).await;
    let id = created.json()["id"].as_str().unwrap().to_owned();
    assert!(texts(&sandbox, BOB).await.is_empty());
    let reply = delete_note(&sandbox, BOB, &id).await;
    reply.assert_error(404, "not_found");
    assert_eq!(texts(&sandbox, ALICE).await, ["secret plan"]);
}

#[tokio::test]
async fn tokens_do_only_what_their_scopes_say() {
    let sandbox = Sandbox::start();
    let (reader, _) = sandbox.connect("alice", "notes:read").await;
    let (writer, _) = sandbox.connect("alice", "notes:write").await;
    let (neither, _) = sandbox.connect("alice", "profile").await;
    let bearer = |token: &str| format!("Bearer {token}");
    let (reader, writer, neither) = (bearer(&reader), bearer(&writer), bearer(&neither));
    let note = || r#"{"text":"hi"}"#.to_owned();

    let written = post_note(&sandbox, ("authorization", &writer), note()).await;
    assert_eq!(written.status, 201);
    let read = sandbox.get_with("/api/notes", "authorization", &reader).await;
    assert_eq!(read.status, 200);
    let id = written.json()["id"].as_str().unwrap().to_owned();

    for (reply, scope) in [
        (post_note(&sandbox, ("authorization", &reader), note()).await, "notes:write"),
        (delete_note(&sandbox, ("authorization", &reader), &id).await, "notes:write"),
        (sandbox.get_with("/api/notes", "authorization", &writer).await, "notes:read"),
        (sandbox.get_with("/api/notes", "authorization", &neither).await, "notes:read"),
    ] {
        reply.assert_error(403, "insufficient_scope");
        let challenge = reply.header(WWW_AUTHENTICATE);
        let expected = format!(r#"error="insufficient_scope", scope="{scope}""#);
        assert!(challenge.contains(&expected), "{challenge}");
    }
    let me = sandbox.get_with("/api/me", "authorization", &neither).await;
    assert_eq!(me.status, 200);
}

#[tokio::test]
async fn a_request_without_scope_gets_the_default() {
    let sandbox = Sandbox::start();
    let code = sandbox.consent("alice", "").await;
    assert_eq!(sandbox.redeem(&code).await.json()["scope"], "notes:read");
}

#[tokio::test]
async fn bad_notes_are_refused_with_the_reason() {
    let sandbox = Sandbox::start();
    let note = |length: usize| json!({ "text": "ü".repeat(length) }).to_string();
    assert_eq!(post_note(&sandbox, ALICE, note(4000)).await.status, 201);
    for body in [note(0), note(4001), "{}".into(), r#"{"text": 1}"#.into(), "not json".into()] {
        let reply = post_note(&sandbox, ALICE, body).await;
        reply.assert_error(400, "invalid_request");
    }
    let large = post_note(&sandbox, ALICE, note(64 * 1024)).await;
    large.assert_error(413, "payload_too_large");

    let form = Request::post("/api/notes").header(ALICE.0, ALICE.1);
    let reply = sandbox.send(form.body(Body::from("text=hi")).unwrap()).await;
    reply.assert_error(415, "unsupported_media_type");
    assert_eq!(texts(&sandbox, ALICE).await.len(), 1);
}

#[tokio::test]
async fn a_user_keeps_at_most_a_thousand_notes() {
    let sandbox = Sandbox::start();
    let note = || r#"{"text":"n"}"#.to_owned();
    let first = post_note(&sandbox, ALICE, note()).await;
    for _ in 1..1000 {
        assert_eq!(post_note(&sandbox, ALICE, note()).await.status, 201);
    }
    let refused = post_note(&sandbox, ALICE, note()).await;
    refused.assert_error(409, "too_many_notes");
    assert_eq!(post_note(&sandbox, BOB, note()).await.status, 201);

    let id = first.json()["id"].as_str().unwrap().to_owned();
    delete_note(&sandbox, ALICE, &id).await;
    assert_eq!(post_note(&sandbox, ALICE, note()).await.status, 201);
}

#[tokio::test]
async fn the_echo_shows_the_request_with_its_credentials() {
    let sandbox = Sandbox::start();
    let request = Request::post("/api/echo/some/path?a=1&a=%20b")
        .header("authorization", "Bearer visible")
        .header("x-api-key", "visible-too")
        .header("x-many", "one")
        .header("x-many", "two")
        .body(Body::from("hello"))
        .unwrap();
    let reply = sandbox.send(request).await;
    let expected = json!({
        "method": "POST",
        "path": "/api/echo/some/path",
        "query": "a=1&a=%20b",
        "headers": {
            "authorization": "Bearer visible",
            "x-api-key": "visible-too",
            "x-many": "one, two",
        },
        "body": "hello",
    });
    assert_eq!(reply.json(), expected);
    let plain = sandbox.get("/api/echo").await.json();
    assert_eq!(plain["query"], "");
}

#[tokio::test]
async fn unknown_endpoints_and_methods_answer_in_json() {
    let sandbox = Sandbox::start();
    sandbox.get("/api/nothing").await.assert_error(404, "not_found");
    let request = Request::delete("/api/me").body(Body::empty()).unwrap();
    let reply = sandbox.send(request).await;
    reply.assert_error(405, "method_not_allowed");
    assert!(reply.header("allow").contains("GET"));
}
