//! `GET /logs/tool_execution/{id}/explain`: what was decided, sent and answered in a call.

use serde_json::{Value, json};

use crate::api::help::{KEY, Upstream, connect_key, http, on_session, proxy, text};
use crate::api::tools::{run, with_tools};
use crate::support::http::Api;
use crate::support::wait::until;

const JSON: &str = "content-type: application/json\r\n";

/// The explanation of a call, once its end is in the log.
async fn explained(api: &Api, id: &str) -> Value {
    let path = format!("/logs/tool_execution/{id}/explain");
    until("the call in the log", async || {
        let reply = api.get(&path).await;
        if reply.status == 200 && reply.json()["state"] != "sent" { Ok(reply.json()) } else { Err(reply.text()) }
    })
    .await
}

/// A step of an explanation.
fn step<'a>(explanation: &'a Value, name: &str) -> &'a Value {
    let steps = explanation["timeline"].as_array().unwrap();
    steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no {name} in {explanation}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_explained_from_its_policy_to_its_result() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, account) = connect_key(api, "u", "up").await;
    let change = json!({ "tools": { "up": { "enable": ["UP_CREATE_NOTE"] } }, "tags": ["createHint"] });
    api.call("PATCH", &format!("/tool_router/session/{session}"), change.to_string()).await.expect(200);
    upstream.play(http("201 Created", JSON, br#"{"note":{"id":7}}"#));
    let call = json!({ "tool_slug": "UP_CREATE_NOTE", "arguments": { "folder": "f", "text": "milk" } });
    let path = format!("/tool_router/session/{session}/execute");
    let done = api.call_with("POST", &path, &[("idempotency-key", "k")], call.to_string()).await.expect(200);
    // What changes later does not change what counted then.
    server.clock.advance(std::time::Duration::from_secs(1));
    let change = json!({ "tools": null, "tags": null });
    api.call("PATCH", &format!("/tool_router/session/{session}"), change.to_string()).await.expect(200);
    let told = explained(api, &text(&done, "log_id")).await;
    assert_eq!((&told["state"], &told["fix"]), (&json!("completed"), &Value::Null));
    let summary = told["summary"].as_str().unwrap();
    assert!(summary.starts_with("The call of UP_CREATE_NOTE (version ") && summary.ends_with("did what it does."));
    let received = step(&told, "received");
    assert!(received["at"].is_string() && received["detail"].as_str().unwrap().contains(&session), "{received}");
    let allowed = step(&told, "allowed");
    assert_eq!(allowed["title"], "Version 2 of the session's policy allowed it.");
    assert_eq!(
        allowed["detail"],
        "By its rules: toolkits.enable names the toolkit; tools.up.enable names the tool; tags allows its effect."
    );
    let used = step(&told, "account");
    assert_eq!(used["title"], format!("The account was {account}."));
    let why = used["detail"].as_str().unwrap();
    assert!(why.contains("the user's newest ACTIVE one of the toolkit") && why.contains("It is ACTIVE now."), "{why}");
    assert_eq!(step(&told, "sent")["detail"], "The row of the call was stored before its first byte.");
    assert_eq!(step(&told, "answered")["title"], "The provider answered 201.");
    assert_eq!(step(&told, "mapped")["outcome"], "ok");
    assert_eq!(step(&told, "idempotency")["detail"], "The same request gets the stored response, for 24 hours.");
    assert!(step(&told, "ended")["title"].as_str().unwrap().starts_with("It ended as completed after "));
    assert!(!told.to_string().contains("milk") && !told.to_string().contains(KEY), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_lost_answers_and_raw_calls_are_explained() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, account) = connect_key(api, "u", "up").await;
    upstream.play(http("404 Not Found", JSON, br#"{"error":"no such note"}"#));
    let failed = run(api, &session, "UP_DELETE_NOTE", json!({ "id": 7 })).await.expect(200);
    let told = explained(api, &text(&failed, "log_id")).await;
    assert_eq!((&told["state"], &step(&told, "answered")["outcome"]), (&json!("failed"), &json!("failed")));
    assert_eq!(step(&told, "mapped")["title"], "The answer was read as provider_error.");
    assert_eq!(step(&told, "allowed")["detail"], "By its rules: toolkits.enable names the toolkit.");
    assert!(told["fix"].as_str().unwrap().contains("provider's words"), "{told}");
    upstream.play(b"".to_vec());
    let lost = run(api, &session, "UP_DELETE_NOTE", json!({ "id": 7 })).await.expect(200);
    let told = explained(api, &text(&lost, "log_id")).await;
    assert_eq!((&told["state"], &step(&told, "sent")["outcome"]), (&json!("unknown"), &json!("waiting")));
    assert!(told["fix"].as_str().unwrap().starts_with("Look at the provider"), "{told}");
    let other = api.session("stranger", "up").await;
    let unlinked = run(api, &other, "UP_DELETE_NOTE", json!({ "id": 7 })).await.expect(200);
    let told = explained(api, &text(&unlinked, "log_id")).await;
    assert_eq!(step(&told, "account")["title"], "The user had no ACTIVE account of the toolkit.");
    assert_eq!(step(&told, "sent")["title"], "Nothing was sent.");
    let pinned = json!({ "connected_accounts": { "up": [account] } });
    api.call("PATCH", &format!("/tool_router/session/{session}"), pinned.to_string()).await.expect(200);
    upstream.play(http("200 OK", JSON, b"{}"));
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST" });
    proxy(api, &session, &body).await.expect(200);
    let logs = api.post("/logs/tool_execution", &json!({})).await.expect(200)["logs"].clone();
    let raw = logs.as_array().unwrap().iter().find(|log| log["type"] == "proxy_execution").unwrap();
    let told = explained(api, &text(raw, "id")).await;
    assert!(told["summary"].as_str().unwrap().starts_with("The call of a raw POST request to up did"), "{told}");
    let why = step(&told, "account")["detail"].as_str().unwrap();
    assert!(why.starts_with("Why: the session pins it (connected_accounts)."), "{why}");
    api.get("/logs/tool_execution/log_none/explain").await.expect_error(404, "ToolExecutionLog_NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_became_a_file_and_a_deleted_session_are_told() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, _) = connect_key(api, "u", "up").await;
    large(&upstream);
    let call = json!({ "tool_slug": "UP_LIST_NOTES", "arguments": {}, "enable_auto_workbench_offload": true });
    let done = on_session(api, &session, "execute", &call).await.expect(200);
    let id = text(&done, "log_id");
    let told = explained(api, &id).await;
    let stored = step(&told, "off_loaded");
    assert!(stored["detail"].as_str().unwrap().contains(&format!("/mnt/files/results/{id}.json")), "{stored}");
    assert!(stored["at"].is_string(), "{stored}");
    api.delete(&format!("/tool_router/session/{session}")).await.expect(200);
    let told = explained(api, &id).await;
    assert_eq!(step(&told, "allowed")["title"], "The session's policy allowed it.");
    assert!(told["timeline"].as_array().unwrap().iter().all(|step| step["step"] != "off_loaded"), "{told}");
}

fn large(upstream: &Upstream) {
    let notes: Vec<Value> = (0..2_000).map(|id| json!({ "id": id, "text": "a note of the list" })).collect();
    upstream.play(http("200 OK", JSON, json!({ "notes": notes }).to_string().as_bytes()));
}
