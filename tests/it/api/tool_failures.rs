//! Whatever a provider answers to a tool is an outcome with a code and words, and never an error of this server.

use serde_json::{Value, json};

use super::help::{KEY, connect_key, http};
use super::tools::{run, with_tools};

const JSON: &str = "content-type: application/json\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_of_a_provider_is_an_outcome() {
    let (server, upstream) = with_tools().await;
    upstream.take();
    let page = "content-type: text/html\r\n";
    let slow = format!("{JSON}retry-after: 120\r\n");
    let cases: [(Vec<u8>, &str, Value, &str); 13] = [
        (
            http("404 Not Found", JSON, br#"{"message":"no folder f"}"#),
            "provider_error",
            json!(404),
            "Test up answered 404: no folder f. Check the ids in the arguments; the account may not see what they name.",
        ),
        (
            http("422 Unprocessable Entity", JSON, br#"{"errors":[{"message":"text is bad."}]}"#),
            "provider_error",
            json!(422),
            "Test up answered 422: text is bad. Correct the arguments as the provider says.",
        ),
        (
            http("403 Forbidden", JSON, b"{}"),
            "provider_error",
            json!(403),
            "Test up answered 403: Forbidden. The account may not do this at the provider.",
        ),
        (
            http("401 Unauthorized", JSON, b"{}"),
            "provider_unauthorized",
            json!(401),
            "Test up answered 401: Unauthorized. The user has to connect the account again.",
        ),
        (
            http("429 Too Many Requests", &slow, br#"{"message":"slow down"}"#),
            "rate_limited",
            json!(429),
            "Test up answered 429: slow down. This is the provider's limit, not this server's. Call again in 120 s.",
        ),
        (
            http("500 Internal Server Error", page, b"<html>oops</html>"),
            "provider_unavailable",
            json!(500),
            "Test up answered 500: Internal Server Error. The call may have been carried out: look with UP_LIST_NOTES before you call again.",
        ),
        (
            http("200 OK", page, b"<html>Sign in</html>"),
            "unusable_answer",
            json!(200),
            "Test up answered 200: a page for people instead of data. The call may have been carried out: look with UP_LIST_NOTES before you call again.",
        ),
        (
            http("302 Found", "location: https://elsewhere.example/\r\n", b""),
            "provider_error",
            json!(302),
            "Test up answered 302: Found. Correct the arguments as the provider says.",
        ),
        (
            http("201 Created", JSON, format!("{}1{}", "[".repeat(200), "]".repeat(200)).as_bytes()),
            "unusable_answer",
            json!(201),
            "Test up answered 201: JSON that cannot be read. The call may have been carried out: look with UP_LIST_NOTES before you call again.",
        ),
        (
            http("201 Created", JSON, format!("[{}1]", "{\"\":0},".repeat(100_000)).as_bytes()),
            "unusable_answer",
            json!(201),
            "Test up answered 201: too much data. The call may have been carried out: look with UP_LIST_NOTES before you call again.",
        ),
        (
            http("429 Too Many Requests", &format!("{JSON}retry-after: 18446744073709551615\r\n"), b"{}"),
            "rate_limited",
            json!(429),
            "Test up answered 429: Too Many Requests. This is the provider's limit, not this server's. Call again later.",
        ),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\ncontent-type: application/json\r\n\r\n{".to_vec(),
            "outcome_unknown",
            Value::Null,
            "",
        ),
        (b"not HTTP".to_vec(), "outcome_unknown", Value::Null, ""),
    ];
    for (number, (answer, code, status, message)) in cases.into_iter().enumerate() {
        // A limit of one account is none of another.
        let (session, _) = connect_key(&server.api, &format!("u{number}"), "up").await;
        upstream.take();
        let shown: String = String::from_utf8_lossy(&answer).chars().take(200).collect();
        upstream.play(answer);
        let failed =
            run(&server.api, &session, "UP_CREATE_NOTE", json!({ "folder": "f", "text": "x" })).await.expect(200);
        assert_eq!(failed["result_type"], "failed", "{shown}");
        assert_eq!(failed["data"]["error_code"], code, "{shown} {failed}");
        assert_eq!(failed["data"].get("http_status").cloned().unwrap_or_default(), status, "{shown}");
        let error = failed["error"].as_str().unwrap();
        let unknown = "The call may have been carried out: look with UP_LIST_NOTES before you call again.";
        let is_expected = if message.is_empty() { error.ends_with(unknown) } else { error == message };
        assert!(is_expected, "{shown} {error}");
        assert_eq!(upstream.take().len(), 1, "sent once: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_tool_that_reads_is_sent_again() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    upstream.play(http("503 Service Unavailable", "", b""));
    for (tool, arguments, sent) in [
        ("UP_LIST_NOTES", json!({}), 3),
        ("UP_DELETE_NOTE", json!({ "id": 1 }), 1),
        ("UP_CREATE_NOTE", json!({ "folder": "f", "text": "x" }), 1),
    ] {
        let failed = run(&server.api, &session, tool, arguments).await.expect(200);
        assert_eq!(failed["data"]["error_code"], "provider_unavailable");
        assert_eq!(upstream.take().len(), sent, "{tool}");
    }
    // A pause that is too long is the caller's.
    upstream.play(http("429 Too Many Requests", "retry-after: 60\r\n", b""));
    let failed = run(&server.api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(failed["data"]["retry_after_ms"], 60_000);
    assert_eq!(failed["data"]["limit_owner"], "provider");
    assert_eq!(upstream.take().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_that_says_it_failed_is_a_failure() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.play(http("200 OK", JSON, br#"{"ok":false,"error":"no notebook"}"#));
    let failed = run(&server.api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(failed["result_type"], "failed");
    assert!(failed["error"].as_str().unwrap().contains("no notebook"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_is_in_no_outcome() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    for status in ["200 OK", "400 Bad Request"] {
        upstream.play(http(status, JSON, format!("{{\"message\":\"{KEY}\"}}").as_bytes()));
        let reply = run(&server.api, &session, "UP_LIST_NOTES", json!({})).await;
        assert!(!reply.text().contains(KEY), "{}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_was_cut_within_a_character_is_a_result() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.play(http("201 Created", JSON, br#"{"note":{"text":"hi \ud83d"}}"#));
    let done = run(&server.api, &session, "UP_CREATE_NOTE", json!({ "folder": "f", "text": "x" })).await.expect(200);
    assert_eq!((&done["result_type"], &done["data"]), (&json!("completed"), &json!({ "text": "hi \u{fffd}" })));
}
