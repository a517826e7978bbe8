//! Calls of tools: their results, and what is refused.

use serde_json::{Value, json};

use super::{Endpoint, connected, failure, said, session};
use crate::api::help::http;

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_is_not_listed_runs_if_the_session_may_use_it() {
    let (_server, upstream, _, endpoint) = connected().await;
    let listed = endpoint.ask("tools/list", json!({})).await;
    assert!(!listed.to_string().contains("UP_LIST_NOTES"), "{listed}");
    upstream.play(http("200 OK", JSON, br#"[{"id":7}]"#));
    let called = endpoint.call("up_list_notes", json!({ "labels": ["x"] })).await;
    assert!(upstream.only().starts_with("GET /base/notes?labels=x HTTP/1.1\r\n"));
    assert_eq!(called["isError"], false);
    let structured = &called["structuredContent"];
    assert_eq!(structured["data"], json!({ "items": [{ "id": 7 }] }));
    assert_eq!((&structured["successful"], &structured["error"]), (&json!(true), &Value::Null));
    assert!(structured["log_id"].as_str().unwrap().starts_with("log_"), "{called}");
    assert_eq!(said(&called), structured.to_string(), "the same object as text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_of_the_provider_is_a_result_without_structured_content() {
    let (_server, upstream, _, endpoint) = connected().await;
    upstream.play(http("404 Not Found", JSON, br#"{"message":"no such note"}"#));
    let called = endpoint.call("UP_DELETE_NOTE", json!({ "id": 7 })).await;
    assert_eq!(called["isError"], true);
    assert!(called.get("structuredContent").is_none(), "{called}");
    let answer: Value = serde_json::from_str(&said(&called)).unwrap();
    assert_eq!((&answer["successful"], &answer["data"]["http_status"]), (&json!(false), &json!(404)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_arguments_are_results_that_a_model_can_act_upon() {
    let (_server, upstream, _, endpoint) = connected().await;
    for (tool, arguments, expected) in [
        (
            "UP_CREATE_NOTE",
            json!({ "folder": "f", "txt": "x" }),
            "arguments.txt: is no argument of this tool; did you mean `text`? arguments.text: is required.",
        ),
        (
            "UP_CREATE_NOTE",
            json!({ "folder": "f", "text": "x".repeat(21) }),
            "arguments.text: must have at most 20 characters.",
        ),
        ("UP_CREATE_NOTE", json!("no object"), "arguments: must be an object."),
        ("UP_DELETE_NOTE", json!({ "id": "x" }), "arguments.id: must be of type integer, not string."),
        ("COMPOSIO_MANAGE_CONNECTIONS", json!({}), "arguments.toolkits: is required."),
    ] {
        let called = endpoint.call(tool, arguments).await;
        assert_eq!((&called["isError"], said(&called).as_str()), (&json!(true), expected), "{tool}");
    }
    assert_eq!(upstream.take(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_tool_is_answered_with_those_that_are_like_it() {
    let (_server, upstream, _, endpoint) = connected().await;
    let call = |name: &str| json!({ "name": name, "arguments": {} });
    let reply = endpoint.ask_with(&json!({}), "tools/call", call("UP_LIST_NOTS")).await;
    assert_eq!(failure(&reply), (200, -32_602, json!(7)));
    let error = reply.json()["error"].clone();
    assert_eq!(error["data"]["suggestions"][0], "UP_LIST_NOTES", "{error}");
    assert!(error["message"].as_str().unwrap().contains("Did you mean UP_LIST_NOTES"), "{error}");
    for name in ["COMPOSIO_NO_SUCH_TOOL", "no tool at all", ""] {
        let reply = endpoint.ask_with(&json!({}), "tools/call", call(name)).await;
        let is_named = !name.is_empty();
        // An empty name is no value of a header.
        let expected = if is_named { (200, -32_602, json!(7)) } else { (400, -32_020, json!(7)) };
        assert_eq!(failure(&reply), expected, "{name:?}: {}", reply.text());
    }
    assert_eq!(upstream.take(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_that_the_session_excludes_does_not_run() {
    let (server, upstream, ..) = connected().await;
    for policy in [
        json!({ "toolkits": { "enable": ["sandbox"] } }),
        json!({ "tools": { "up": { "disable": ["UP_DELETE_NOTE"] } } }),
        json!({ "tags": { "disable": ["destructiveHint"] } }),
    ] {
        let endpoint = Endpoint::new(&server.api, &session(&server.api, policy.clone()).await);
        let called = endpoint.call("UP_DELETE_NOTE", json!({ "id": 7 })).await;
        assert_eq!(called["isError"], true, "{policy}");
        let policy_says = said(&called);
        assert!(policy_says.contains("is not allowed") || policy_says.contains("excludes this tool"), "{called}");
    }
    assert_eq!(upstream.take(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_a_key_is_made_once() {
    let (_server, upstream, _, endpoint) = connected().await;
    upstream.play(http("201 Created", JSON, br#"{"note":{"id":7}}"#));
    let call = |key: &str, text: &str| {
        json!({
            "name": "UP_CREATE_NOTE",
            "arguments": { "folder": "f", "text": text },
            "_meta": { "dev.switchboard/idempotencyKey": key },
        })
    };
    let first = endpoint.ask("tools/call", call("k", "milk")).await;
    upstream.only();
    let again = endpoint.ask("tools/call", call("k", "milk")).await;
    assert_eq!(again, first, "the same log_id, too");
    assert_eq!(upstream.take(), Vec::<String>::new());
    let other = endpoint.ask("tools/call", call("k", "eggs")).await;
    assert_eq!(other["isError"], true, "{other}");
    assert_eq!(upstream.take(), Vec::<String>::new());
    endpoint.ask("tools/call", call("l", "milk")).await;
    upstream.only();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_sends_nothing() {
    let (_server, upstream, _, endpoint) = connected().await;
    let call = json!({
        "name": "UP_DELETE_NOTE",
        "arguments": { "id": 7 },
        "_meta": { "dev.switchboard/dryRun": true },
    });
    let called = endpoint.ask("tools/call", call).await;
    assert_eq!(called["isError"], false, "{called}");
    assert!(said(&called).contains("/base/notes/7"), "{called}");
    assert_eq!(upstream.take(), Vec::<String>::new());
}
