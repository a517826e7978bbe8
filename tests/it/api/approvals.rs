//! Approvals: a person is asked before a call, and the call is made once.

use serde_json::{Value, json};

use super::help::{connect_key, http, on_session, text};
use super::tools::{run, with_tools};
use crate::support::http::{Api, Reply};

/// A session of the connected user that wants approvals.
async fn asking_session(api: &Api, policy: Value) -> String {
    let mut body = json!({ "user_id": "u" });
    body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    text(&api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

fn note(words: &str) -> Value {
    json!({ "folder": "a", "text": words })
}

/// The only question of a response.
fn question(reply: &Value) -> (String, Value) {
    let requests = reply["input_requests"].as_object().unwrap();
    assert_eq!(requests.len(), 1, "{reply}");
    let (id, request) = requests.iter().next().unwrap();
    (id.clone(), request.clone())
}

/// The same call with an answer to its question.
async fn answered(api: &Api, session: &str, tool: &str, arguments: &Value, asked: &Value, response: Value) -> Reply {
    let (id, _) = question(asked);
    let body = json!({
        "tool_slug": tool,
        "arguments": arguments,
        "input_responses": { id: response },
        "request_state": asked["request_state"],
    });
    on_session(api, session, "execute", &body).await
}

fn decision(word: &str) -> Value {
    json!({ "action": "accept", "content": { "decision": word } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_made_once_when_it_is_approved() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let session = asking_session(api, json!({ "tags": { "require_approval": ["createHint"] } })).await;
    upstream.take();

    let asked = run(api, &session, "UP_CREATE_NOTE", note("milk")).await.expect(200);
    assert!(upstream.take().is_empty());
    assert_eq!(asked["result_type"], "input_required");
    assert_eq!(asked["data"]["error_code"], "approval_required");
    let (id, request) = question(&asked);
    assert!(id.starts_with("apr_"), "{id}");
    assert_eq!((&request["type"], &request["mode"]), (&json!("elicitation"), &json!("form")));
    assert!(text(&request, "message").contains("Create a note"), "{request}");
    assert_eq!(
        request["requested_schema"]["properties"]["decision"]["enum"],
        json!(["approve", "always_approve", "deny"])
    );
    // Asking again asks the same.
    let again = run(api, &session, "UP_CREATE_NOTE", note("milk")).await.expect(200);
    assert_eq!(question(&again).0, id);

    let arguments = note("milk");
    let done = answered(api, &session, "UP_CREATE_NOTE", &arguments, &asked, decision("approve")).await.expect(200);
    assert_eq!((&done["result_type"], &done["error"]), (&json!("completed"), &Value::Null));
    assert!(upstream.only().starts_with("POST "));

    // It is used: the same call asks anew, and the old answer does not count.
    let anew = answered(api, &session, "UP_CREATE_NOTE", &arguments, &asked, decision("approve")).await.expect(200);
    assert_eq!(anew["result_type"], "input_required");
    assert_ne!(question(&anew).0, id);
    assert!(upstream.take().is_empty());
    // Other tools are not asked for.
    let listed = run(api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(listed["result_type"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_for_its_own_call_only() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let policy = json!({ "toolkits": { "require_approval": ["up"] } });
    let session = asking_session(api, policy.clone()).await;
    let other = asking_session(api, policy).await;
    upstream.take();
    let asked = run(api, &session, "UP_CREATE_NOTE", note("milk")).await.expect(200);
    for (session, arguments) in [(&session, note("milk!")), (&other, note("milk"))] {
        let reply = answered(api, session, "UP_CREATE_NOTE", &arguments, &asked, decision("approve")).await.expect(200);
        assert_eq!(reply["result_type"], "input_required");
        assert_ne!(question(&reply).0, question(&asked).0);
    }
    let mut forged = asked.clone();
    forged["request_state"] = "AAAA".into();
    let fresh = run(api, &session, "UP_CREATE_NOTE", note("eggs")).await.expect(200);
    forged["input_requests"] = fresh["input_requests"].clone();
    let reply =
        answered(api, &session, "UP_CREATE_NOTE", &note("eggs"), &forged, decision("approve")).await.expect(200);
    assert_eq!(reply["result_type"], "input_required");
    assert!(upstream.take().is_empty());
    let bad = answered(api, &session, "UP_CREATE_NOTE", &note("eggs"), &fresh, decision("maybe")).await;
    bad.expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_call_is_not_made() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let session = asking_session(api, json!({ "tools": { "up": { "require_approval": ["UP_DELETE_NOTE"] } } })).await;
    upstream.take();
    let arguments = json!({ "id": 7 });
    let asked = run(api, &session, "UP_DELETE_NOTE", arguments.clone()).await.expect(200);
    let cancelled = json!({ "action": "cancel" });
    let reply = answered(api, &session, "UP_DELETE_NOTE", &arguments, &asked, cancelled).await.expect(200);
    assert_eq!(question(&reply).0, question(&asked).0, "closed without an answer");
    for response in [json!({ "action": "decline" }), decision("approve")] {
        let denied = answered(api, &session, "UP_DELETE_NOTE", &arguments, &asked, response).await.expect(200);
        assert_eq!(
            (&denied["result_type"], &denied["data"]["error_code"]),
            (&json!("failed"), &json!("approval_denied"))
        );
    }
    assert!(upstream.take().is_empty());

    let ca = text(&api.get("/connected_accounts?user_ids=u").await.expect(200)["items"][0], "id");
    let never = json!({ "experimental": { "permissions": { "default": "allow_all",
        "overrides": { format!("UP_DELETE_NOTE:{ca}"): "always_deny" } } } });
    let session = asking_session(api, never).await;
    run(api, &session, "UP_DELETE_NOTE", json!({ "id": 7 })).await.expect_error(403, "HTTP_Forbidden");
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_can_allow_further_calls_of_the_session() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    for (default, word, asks_again) in [
        ("ask_every_call", "approve", true),
        ("ask_every_call", "always_approve", false),
        ("ask_once_per_session", "approve", false),
    ] {
        let session = asking_session(api, json!({ "experimental": { "permissions": { "default": default } } })).await;
        let asked = run(api, &session, "UP_CREATE_NOTE", note("milk")).await.expect(200);
        let done = answered(api, &session, "UP_CREATE_NOTE", &note("milk"), &asked, decision(word)).await.expect(200);
        assert_eq!(done["result_type"], "completed", "{default} {word}");
        let next = run(api, &session, "UP_CREATE_NOTE", note("eggs")).await.expect(200);
        let expected = if asks_again { "input_required" } else { "completed" };
        assert_eq!(next["result_type"], expected, "{default} {word}");
        // Another tool is another question.
        let other = run(api, &session, "UP_DELETE_NOTE", json!({ "id": 1 })).await.expect(200);
        assert_eq!(other["result_type"], "input_required");
    }
    drop(upstream);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_lists_and_answers_approvals_by_itself() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let session = asking_session(api, json!({ "tags": { "require_approval": ["createHint"] } })).await;
    let other = asking_session(api, json!({})).await;
    let asked = run(api, &session, "UP_CREATE_NOTE", note("milk")).await.expect(200);
    let (id, _) = question(&asked);
    let path = format!("/tool_router/session/{session}/approvals");
    let listed = api.get(&path).await.expect(200);
    let item = &listed["items"][0];
    assert_eq!(
        (&item["id"], &item["state"], &item["tool_slug"]),
        (&json!(id), &json!("pending"), &json!("UP_CREATE_NOTE"))
    );
    assert_eq!(item["arguments"], json!({ "folder": "a", "text": "milk", "pinned": false }));
    api.get(&format!("/tool_router/session/{other}/approvals/{id}"))
        .await
        .expect_error(404, "ToolRouterV2_ApprovalNotFound");
    upstream.take();

    let decided = api.post(&format!("{path}/{id}"), &json!({ "decision": "approve" })).await.expect(200);
    assert_eq!(decided["state"], "approved");
    api.post(&format!("{path}/{id}"), &json!({ "decision": "deny" })).await.expect_error(409, "HTTP_Conflict");
    // Two repeats at once: one is made, and the other asks anew or finds the approval used.
    let (one, two) = tokio::join!(
        run(api, &session, "UP_CREATE_NOTE", note("milk")),
        run(api, &session, "UP_CREATE_NOTE", note("milk"))
    );
    let completed = [&one, &two].iter().filter(|reply| reply.text().contains("\"completed\"")).count();
    assert_eq!(completed, 1, "{} {}", one.text(), two.text());
    assert_eq!(upstream.take().len(), 1);
    assert_eq!(api.get(&format!("{path}/{id}")).await.expect(200)["state"], "used");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_several_calls_is_made_before_all_are_approved() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let session = asking_session(api, json!({ "tags": { "require_approval": ["createHint"] } })).await;
    upstream.take();
    let arguments = json!({ "tools": [
        { "tool_slug": "UP_LIST_NOTES", "arguments": {} },
        { "tool_slug": "UP_CREATE_NOTE", "arguments": note("milk") },
    ] });
    let asked = run(api, &session, "COMPOSIO_MULTI_EXECUTE_TOOL", arguments.clone()).await.expect(200);
    assert_eq!(asked["result_type"], "input_required");
    assert!(upstream.take().is_empty());
    let slug = "COMPOSIO_MULTI_EXECUTE_TOOL";
    let done = answered(api, &session, slug, &arguments, &asked, decision("approve")).await.expect(200);
    assert_eq!(done["result_type"], "completed", "{done}");
    assert_eq!((&done["data"]["success_count"], &done["data"]["error_count"]), (&json!(2), &json!(0)));
    assert_eq!(upstream.take().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_call_is_refused_where_a_person_would_be_asked() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    upstream.take();
    for policy in [
        json!({ "toolkits": { "require_approval": ["up"] }, "proxy_execute": { "enable": true } }),
        json!({ "experimental": { "permissions": { "default": "ask_every_call" } } }),
    ] {
        let session = asking_session(api, policy).await;
        let body = json!({ "toolkit_slug": "up", "endpoint": "/notes", "method": "GET" });
        on_session(api, &session, "proxy_execute", &body).await.expect_error(403, "HTTP_Forbidden");
    }
    assert!(upstream.take().is_empty());
    upstream.play(http("200 OK", "", b""));
}
