//! The log of calls: what is in it, who may read it, and numbers of calls.

use serde_json::{Value, json};

use super::help::{KEY, connect_key, http, proxy, sql, text};
use super::tools::{run, with_tools};
use crate::support::http::Api;
use crate::support::wait::until;

const LOGS: &str = "/logs/tool_execution";
const JSON: &str = "content-type: application/json\r\n";

/// The calls that meet a filter, once there are as many as expected.
async fn logged(api: &Api, filters: Value, count: usize) -> Vec<Value> {
    let body = json!({ "filters": filters });
    until(&format!("{count} calls"), async || {
        let page = api.post(LOGS, &body).await.expect(200);
        let logs = page["logs"].as_array().unwrap().clone();
        if logs.len() == count { Ok(logs) } else { Err(page) }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_and_raw_calls_are_logged_with_how_they_went() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, account) = connect_key(api, "u", "up").await;
    let arguments = json!({ "folder": "f", "text": "milk-canary" });
    upstream.play(http("201 Created", JSON, br#"{"note":{"id":7}}"#));
    let created = run(api, &session, "UP_CREATE_NOTE", arguments.clone()).await.expect(200);
    upstream.play(http("404 Not Found", JSON, br#"{"error":"no such note"}"#));
    let deleted = run(api, &session, "UP_DELETE_NOTE", json!({ "id": 7 })).await.expect(200);
    upstream.play(http("200 OK", JSON, b"[]"));
    let listed = run(api, &session, "UP_LIST_NOTES", json!({})).await.expect(200);
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "PATCH" });
    proxy(api, &session, &body).await.expect(200);
    run(api, &session, "UP_LIST_NOTES", json!({ "wrong": 1 })).await.expect_error(400, "HTTP_BadRequest");

    let logs = logged(api, json!([]), 4).await;
    let of = |id: &Value| logs.iter().find(|log| log["id"] == *id).unwrap();
    let log = of(&created["log_id"]);
    assert_eq!(
        (&log["status"], &log["level"], &log["type"]),
        (&json!("success"), &json!("info"), &json!("tool_execution"))
    );
    let metadata = &log["metadata"];
    assert_eq!(metadata["state"], "completed");
    assert_eq!(metadata["tool_slug"], "UP_CREATE_NOTE");
    assert_eq!((&metadata["effect"], &metadata["method"]), (&json!("create"), &json!("POST")));
    assert_eq!((&metadata["http_status"], &metadata["error_code"]), (&json!(201), &Value::Null));
    assert_eq!((&metadata["user_id"], &metadata["session_id"]), (&json!("u"), &json!(session)));
    assert_eq!(metadata["connected_account_id"], json!(account));
    assert!(log["metrics"]["duration_ms"].as_i64().unwrap() >= 0, "{log}");
    let log = of(&deleted["log_id"]);
    assert_eq!((&log["status"], &log["message"]), (&json!("failed"), &json!("provider_error")));
    assert_eq!(log["metadata"]["http_status"], 404);
    assert_eq!(of(&listed["log_id"])["metadata"]["effect"], "read");
    let raw = logs.iter().find(|log| log["type"] == "proxy_execution").unwrap();
    assert_eq!((&raw["metadata"]["tool_slug"], &raw["metadata"]["method"]), (&Value::Null, &json!("PATCH")));
    assert_eq!((&raw["metadata"]["effect"], &raw["metadata"]["state"]), (&json!("unknown"), &json!("completed")));

    let id = text(&created, "log_id");
    let detail = api.get(&format!("{LOGS}/{id}")).await.expect(200);
    assert_eq!(detail["data"], json!({}), "arguments and answers are kept only if the project wants it");
    assert!(detail["timings"]["end_time"].as_i64() >= detail["timings"]["start_time"].as_i64(), "{detail}");
    assert_eq!(detail["context"]["session_id"], json!(session));
    let internal = api.get(&format!("/internal/action_execution/log/{id}")).await.expect(200);
    assert_eq!((&internal["status"], &internal["actionId"]), (&json!("success"), &json!("UP_CREATE_NOTE")));
    let other = server.other_project("Other").await;
    other.get(&format!("{LOGS}/{id}")).await.expect_error(404, "ToolExecutionLog_NotFound");
    other.get(&format!("/internal/action_execution/log/{id}")).await.expect_error(404, "ToolExecutionLog_NotFound");
    assert_eq!(other.post(LOGS, &json!({})).await.expect(200)["logs"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_changes_something_is_in_the_log_before_it_is_sent() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, _) = connect_key(api, "u", "up").await;
    // Another connection to the database sees the row while the provider has the request.
    let database = server.database();
    let (asked, hold) = upstream.hold();
    let calling = tokio::spawn({
        let (api, session) = (api.clone(), session.clone());
        async move { run(&api, &session, "UP_DELETE_NOTE", json!({ "id": 7 })).await }
    });
    asked.await.unwrap();
    assert_eq!(
        sql(&database, "SELECT state, tool, ended_at FROM tool_calls"),
        json!([["sent", "UP_DELETE_NOTE", null]])
    );
    let logs = logged(api, json!([]), 1).await;
    assert_eq!(
        (&logs[0]["metadata"]["state"], &logs[0]["message"]),
        (&json!("sent"), &json!("The call is on its way"))
    );
    hold.send(()).unwrap();
    let done = calling.await.unwrap().expect(200);
    assert_eq!(done["log_id"], logs[0]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_and_answers_are_kept_sealed_if_the_project_wants_it() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, _) = connect_key(api, "u", "up").await;
    let settings = json!({ "log_visibility_setting": "show_all" });
    api.call("PATCH", "/org/project/config", settings.to_string()).await.expect(200);
    upstream.play(http("201 Created", JSON, format!(r#"{{"note":{{"id":7,"echo":"{KEY}"}}}}"#).as_bytes()));
    let created =
        run(api, &session, "UP_CREATE_NOTE", json!({ "folder": "f", "text": "milk-canary" })).await.expect(200);
    let id = text(&created, "log_id");
    logged(api, json!([{ "field": "status", "operator": "==", "value": "success" }]), 1).await;
    let detail = api.get(&format!("{LOGS}/{id}")).await.expect(200);
    assert_eq!(detail["data"]["arguments"]["text"], "milk-canary");
    assert_eq!(detail["data"]["answer"], created["data"]);
    assert!(!detail.to_string().contains(KEY), "{detail}");
    let internal = api.get(&format!("/internal/action_execution/log/{id}")).await.expect(200);
    assert_eq!(internal["payloadReceived"]["text"], "milk-canary");
    assert_eq!(internal["response"], created["data"]);
    for file in std::fs::read_dir(server.database().parent().unwrap()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(11).any(|it| it == b"milk-canary"), "{}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_times_and_pages_select_calls() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, account) = connect_key(api, "u", "up").await;
    let (other, _) = connect_key(api, "Vera", "up").await;
    upstream.play(http("200 OK", JSON, b"{}"));
    for (session, tool, arguments) in [
        (&session, "UP_LIST_NOTES", json!({})),
        (&session, "UP_DELETE_NOTE", json!({ "id": 1 })),
        (&other, "UP_LIST_NOTES", json!({})),
    ] {
        run(api, session, tool, arguments).await.expect(200);
    }
    proxy(api, &session, &json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" })).await.expect(200);
    logged(api, json!([]), 4).await;
    for (field, operator, value, count) in [
        ("tool_slug", "==", "up_list_notes", 2),
        ("tool_slug", "!=", "UP_LIST_NOTES", 2),
        ("tool_slug", "contains", "NOTE", 3),
        ("tool_slug", "not_contains", "LIST", 2),
        ("toolkit_slug", "==", "up", 4),
        ("connected_account_id", "==", account.as_str(), 3),
        ("user_id", "==", "Vera", 1),
        ("user_id", "==", "vera", 0),
        ("session_id", "!=", session.as_str(), 1),
        ("status", "==", "success", 4),
        ("status", "!=", "success", 0),
        ("status", "==", "failed", 0),
        ("sandbox_id", "==", "x", 0),
        ("sandbox_id", "!=", "x", 4),
    ] {
        let filters = json!([{ "field": field, "operator": operator, "value": value }]);
        logged(api, filters, count).await;
    }
    let ignoring = json!({ "case_sensitive": false, "search_params": [{ "field": "user_id", "operation": "==", "value": "vera" }] });
    let found = api.post("/internal/action_execution/logs", &ignoring).await.expect(200);
    assert_eq!(found["data"].as_array().unwrap().len(), 1, "{found}");

    let first = api.post(LOGS, &json!({ "limit": 3 })).await.expect(200);
    let second = api.post(LOGS, &json!({ "limit": 3, "cursor": first["next_cursor"] })).await.expect(200);
    let ids =
        |page: &Value| -> Vec<String> { page["logs"].as_array().unwrap().iter().map(|log| text(log, "id")).collect() };
    let mut all = [ids(&first), ids(&second)].concat();
    assert_eq!((ids(&first).len(), ids(&second).len(), &second["next_cursor"]), (3, 1, &Value::Null));
    assert!(all.is_sorted_by(|left, right| left > right), "{all:?}");
    all.dedup();
    assert_eq!(all.len(), 4);
    let first = api.post("/internal/action_execution/logs", &json!({ "limit": 3 })).await.expect(200);
    let second = json!({ "limit": 3, "cursor": first["nextCursor"] });
    let second = api.post("/internal/action_execution/logs", &second).await.expect(200);
    assert_eq!((second["data"].as_array().unwrap().len(), &second["nextCursor"]), (1, &Value::Null));

    let time = first["data"][0]["createdAt"].as_i64().unwrap();
    for (from, to, count) in [(0, time + 1, 4), (time + 1, time + 1_000, 0), (0, 1, 0)] {
        let page = api.post(LOGS, &json!({ "time_range": { "from": from, "to": to } })).await.expect(200);
        assert_eq!(page["logs"].as_array().unwrap().len(), count, "{from} {to}");
    }
    for (body, place) in [
        (json!({ "filters": [{ "field": "status", "operator": "==", "value": "maybe" }] }), "filters[0].value"),
        (json!({ "filters": [{ "field": "colour", "operator": "==", "value": "x" }] }), "filters[0].field"),
        (json!({ "filters": [{ "field": "status", "operator": "~", "value": "x" }] }), "filters[0].operator"),
        (json!({ "limit": 0 }), "limit"),
        (json!({ "cursor": "x" }), "cursor"),
    ] {
        let error = api.post(LOGS, &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().contains(place), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_counted_by_group() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (session, _) = connect_key(api, "u", "up").await;
    let (other, _) = connect_key(api, "v", "up").await;
    upstream.play(http("200 OK", JSON, b"{}"));
    for (session, tool) in [(&session, "UP_LIST_NOTES"), (&session, "UP_LIST_NOTES"), (&other, "UP_LIST_NOTES")] {
        run(api, session, tool, json!({})).await.expect(200);
    }
    run(api, &session, "UP_DELETE_NOTE", json!({ "id": 1 })).await.expect(200);
    proxy(api, &session, &json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" })).await.expect(200);
    logged(api, json!([]), 5).await;
    let summary = api.post("/project/usage/summary", &json!({})).await.expect(200);
    assert_eq!(summary["entities"]["tool_calls"], json!({ "unit": "call", "total_quantity": "4", "event_count": 4 }));
    assert_eq!(summary["entities"]["proxy_calls"]["event_count"], 1);
    let body = json!({ "group_by": "tool_slug", "order_by": "event_count", "order_direction": "desc" });
    let usage = api.post("/project/usage/tool_calls", &body).await.expect(200);
    assert_eq!(
        usage["groups"],
        json!([
            { "key": "UP_LIST_NOTES", "total_quantity": "3", "event_count": 3 },
            { "key": "UP_DELETE_NOTE", "total_quantity": "1", "event_count": 1 },
        ])
    );
    let body = json!({ "filters": { "user_id": ["v"] } });
    let usage = api.post("/project/usage/tool_calls", &body).await.expect(200);
    assert_eq!(usage["groups"], json!([{ "key": "UP_LIST_NOTES", "total_quantity": "1", "event_count": 1 }]));
    let body = json!({ "filters": { "session_id": [session] }, "from": 0, "to": 1 });
    assert_eq!(api.post("/project/usage/tool_calls", &body).await.expect(200)["event_count"], 0);
    api.post("/project/usage/rockets", &json!({})).await.expect_error(400, "HTTP_BadRequest");
    let body = json!({ "filters": { "project_id": ["pr_x"] } });
    api.post("/project/usage/summary", &body).await.expect_error(400, "HTTP_BadRequest");
}
