//! `Idempotency-Key` on sessions and links (R68): one effect, one answer, link token included.

use serde_json::{Value, json};
use switchboard::api::operations::{Keys, Repetition, State};

use super::help::{KEY, accounts, finish, sql, text, with_upstream};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

const SESSION: &str = "/tool_router/session";

/// How many sessions, accounts and auth configs there are.
fn counts(server: &TestServer) -> Vec<u64> {
    let tables = ["sessions", "connected_accounts", "auth_configs"];
    let count = |table| sql(&server.database(), &format!("SELECT COUNT(*) FROM {table}"))[0][0].as_u64().unwrap();
    tables.map(count).into()
}

async fn post(api: &Api, path: &str, key: &str, body: &Value) -> Reply {
    api.call_with("POST", path, &[("idempotency-key", key)], body.to_string()).await
}

fn is_replay(reply: &Reply) -> bool {
    reply.header("idempotent-replayed") == Some("true")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_of_one_request_under_both_prefixes() {
    let server = TestServer::start().await;
    let earlier = Api::new(server.api.base.trim_end_matches("/api/v3.1"), &server.api.key);
    let earlier = Api { base: earlier.base.replace("/api/v3.1", "/api/v3"), ..earlier };
    let body = json!({ "user_id": "u" });
    let first = post(&server.api, SESSION, "key-1", &body).await;
    first.expect(201);
    let again = post(&earlier, SESSION, "key-1", &body).await;
    assert_eq!((again.expect(201), is_replay(&again)), (first.expect(201), true));
    assert_eq!(counts(&server)[0], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_link_call_gives_the_same_answer_with_its_token_and_one_account() {
    let (server, _upstream) = with_upstream().await;
    let session = server.api.session("u", "up").await;
    let path = format!("{SESSION}/{session}/link");
    let body = json!({ "toolkit": "up", "alias": "work" });
    let first = post(&server.api, &path, "key-1", &body).await;
    let made = first.expect(201);
    assert!(!is_replay(&first));
    for _ in 0..3 {
        let again = post(&server.api, &path, "key-1", &body).await;
        assert_eq!(again.body, first.body);
        assert_eq!((again.status, is_replay(&again)), (201, true));
    }
    assert_eq!(accounts(&server.api).await, 1);
    let account = finish(&server.api, &made, &[("generic_api_key", KEY)]).await;
    assert_eq!(account, text(&made, "connected_account_id"), "the token of the stored answer works");
    // Neither the token nor the answer lies about in the database.
    for file in std::fs::read_dir(server.dir.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let token = text(&made, "link_token");
            assert!(!bytes.windows(token.len()).any(|it| it == token.as_bytes()), "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_session_call_gives_the_same_session() {
    let (server, _upstream) = with_upstream().await;
    let body = json!({ "user_id": "u", "experimental": { "custom_tools": [{ "slug": "t", "name": "T", "description": "d",
        "input_schema": { "type": "object", "properties": {} } }] } });
    let first = post(&server.api, SESSION, "key-1", &body).await;
    first.expect(201);
    let again = post(&server.api, SESSION, "key-1", &body).await;
    assert_eq!((again.status, &again.body), (201, &first.body), "echoes included");
    assert_eq!(sql(&server.database(), "SELECT COUNT(*) FROM sessions"), json!([[1]]));
    let other = post(&server.api, SESSION, "key-2", &body).await.expect(201);
    assert_ne!(other["session_id"], first.json()["session_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_for_another_request_is_422_and_does_nothing() {
    let (server, _upstream) = with_upstream().await;
    let api = &server.api;
    let (session, second) = (api.session("u", "up").await, api.session("u", "up").await);
    let path = format!("{SESSION}/{session}/link");
    post(api, &path, "key-1", &json!({ "toolkit": "up" })).await.expect(201);
    for (path, body) in [
        (path.clone(), json!({ "toolkit": "up", "alias": "x" })),
        (path.clone(), json!({ "toolkit": "UP" })),
        (format!("{SESSION}/{second}/link"), json!({ "toolkit": "up" })),
        (SESSION.to_owned(), json!({ "user_id": "u" })),
    ] {
        let error = post(api, &path, "key-1", &body).await.expect_error(422, "Idempotency_KeyReused");
        assert!(error["suggested_fix"].as_str().unwrap().contains("new Idempotency-Key"), "{error}");
    }
    assert_eq!(accounts(api).await, 1);
    assert_eq!(sql(&server.database(), "SELECT COUNT(*) FROM sessions"), json!([[2]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_equal_calls_at_once_have_one_effect_and_one_answer() {
    let (server, _upstream) = with_upstream().await;
    let session = server.api.session("u", "up").await;
    for (path, body, first) in [
        // The first link of a toolkit makes its managed auth config, too.
        (format!("{SESSION}/{session}/link"), json!({ "toolkit": "up" }), 1),
        (format!("{SESSION}/{session}/link"), json!({ "toolkit": "up", "alias": "aliased" }), 0),
        (SESSION.to_owned(), json!({ "user_id": "u" }), 0),
        ("/auth_configs".to_owned(), json!({ "toolkit": { "slug": "sandbox" } }), 0),
    ] {
        let before = counts(&server);
        let key = format!("key-{}", body.to_string().len());
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (api, path, key, body) = (server.api.clone(), path.clone(), key.clone(), body.clone());
                tokio::spawn(async move { post(&api, &path, &key, &body).await })
            })
            .collect();
        let mut replies = Vec::new();
        for call in calls {
            replies.push(call.await.unwrap());
        }
        for reply in &replies {
            assert_eq!((reply.status, &reply.body), (201, &replies[0].body), "{body}");
        }
        assert_eq!(replies.iter().filter(|reply| !is_replay(reply)).count(), 1, "{body}");
        let after = counts(&server);
        let made: Vec<u64> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        assert_eq!(made.iter().sum::<u64>(), 1 + first, "{body}: one thing of the asked-for kind");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_does_not_use_up_its_key() {
    let (server, _upstream) = with_upstream().await;
    let session = server.api.session("u", "up").await;
    let path = format!("{SESSION}/{session}/link");
    server.api.post(&path, &json!({ "toolkit": "up", "alias": "taken" })).await.expect(201);
    post(&server.api, &path, "key-1", &json!({ "toolkit": "up", "alias": "taken" }))
        .await
        .expect_error(400, "ConnectedAccount_BadRequest");
    post(&server.api, &path, "key-1", &json!({ "toolkit": "nope" }))
        .await
        .expect_error(400, "ToolRouterV2_InvalidToolkitSlugs");
    post(&server.api, &path, "key-1", &json!({ "toolkit": "up", "alias": "free" })).await.expect(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_belong_to_a_project() {
    let (server, _upstream) = with_upstream().await;
    let other = server.other_project("Other").await;
    let body = json!({ "user_id": "u" });
    let mine = post(&server.api, SESSION, "key-1", &body).await.expect(201);
    let theirs = post(&other, SESSION, "key-1", &body).await;
    assert!(!is_replay(&theirs));
    assert_ne!(theirs.expect(201)["session_id"], mine["session_id"]);
    post(&other, SESSION, "key-1", &json!({ "user_id": "v" })).await.expect_error(422, "Idempotency_KeyReused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_has_1_to_255_visible_characters() {
    let (server, _upstream) = with_upstream().await;
    let body = json!({ "user_id": "u" });
    let (fits, too_long) = ("k".repeat(255), "k".repeat(256));
    for key in ["k", "!~", "3f1c0b1e-7a55-4d0e-9f4e-000000000000", &fits] {
        post(&server.api, SESSION, key, &body).await.expect(201);
    }
    let before = sql(&server.database(), "SELECT COUNT(*) FROM sessions");
    for key in ["", "a b", "a\tb", "schlüssel", &too_long] {
        let error = post(&server.api, SESSION, key, &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().contains("Idempotency-Key"), "{key}: {error}");
    }
    assert_eq!(sql(&server.database(), "SELECT COUNT(*) FROM sessions"), before);
}

/// The table of operations says of each whether it keeps a key; nothing else would be a promise kept.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_keeps_or_refuses_an_idempotency_key() {
    let (server, upstream) = with_upstream().await;
    let (session, account) = super::help::connect_key(&server.api, "u", "up").await;
    let config = super::help::auth_config(&server.api, "up", "API_KEY").await;
    upstream.take();
    let place = |path: &str| {
        let id = if path.starts_with("/auth_configs") { &config } else { &account };
        path.replace("{session_id}", &session)
            .replace("{id}", id)
            .replace("{status}", "ENABLED")
            .replace("{slug}", "up")
    };
    for operation in switchboard::api::table::all().filter(|operation| operation.works_here()) {
        let takes_our_key = matches!(operation.keys, Keys::Project | Keys::ProjectOrUser);
        let State::Works { docs, .. } = operation.state else { continue };
        if operation.method == "GET" || !takes_our_key || docs().repetition == Repetition::Supported {
            continue;
        }
        let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST" });
        let path = place(operation.path);
        let headers = [("idempotency-key", "key-1")];
        let reply = server.api.call_with(operation.method, &path, &headers, body.to_string()).await;
        let error = reply.expect_error(400, "HTTP_BadRequest");
        assert_eq!(error["message"], "Idempotency-Key is not kept by this operation", "{path}");
        assert!(error["suggested_fix"].as_str().unwrap().contains("eave the header out"), "{error}");
    }
    assert!(upstream.take().is_empty());
    assert_eq!(accounts(&server.api).await, 1, "nothing was done");
    // Reading does nothing twice.
    server
        .api
        .call_with("GET", "/connected_accounts", &[("idempotency-key", "key-1")], String::new())
        .await
        .expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_keys_on_one_request_are_refused() {
    let (server, _upstream) = with_upstream().await;
    let twice = [("idempotency-key", "one"), ("idempotency-key", "two")];
    let reply = server.api.call_with("POST", SESSION, &twice, json!({ "user_id": "u" }).to_string()).await;
    reply.expect_error(400, "HTTP_BadRequest");
    assert_eq!(sql(&server.database(), "SELECT COUNT(*) FROM sessions"), json!([[0]]));
}
