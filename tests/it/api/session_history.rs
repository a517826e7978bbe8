//! The policies that a session has and had (contract section 2.7).

use std::time::Duration;

use serde_json::{Value, json};

use super::help::text;
use crate::support::server::TestServer;

const SESSIONS: &str = "/tool_router/session";

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_is_listed_newest_first_with_the_time_it_was_set() {
    let server = TestServer::start().await;
    let api = &server.api;
    let made = api.post(SESSIONS, &json!({ "user_id": "u", "toolkits": { "enable": ["github"] } })).await.expect(201);
    let session = text(&made, "session_id");
    let path = format!("{SESSIONS}/{session}/config_history");
    let first = api.get(&path).await.expect(200);
    let born = first["items"][0]["created_at"].clone();
    assert_eq!(
        first,
        json!({
            "items": [{ "version": 1, "created_at": born, "config": made["config"], "is_current": true }],
            "next_cursor": null, "total_pages": 1, "current_page": 1, "total_items": 1,
        })
    );
    server.clock.advance(Duration::from_mins(1));
    let change = json!({ "toolkits": { "disable": ["gmail"] }, "manage_connections": { "enable": false } });
    let changed = api.call("PATCH", &format!("{SESSIONS}/{session}"), change.to_string()).await.expect(200);
    server.clock.advance(Duration::from_mins(1));
    let again = api.call("PATCH", &format!("{SESSIONS}/{session}"), r#"{"toolkits":null}"#).await.expect(200);
    let history = api.get(&path).await.expect(200);
    let items = history["items"].as_array().unwrap();
    assert_eq!(items.len(), 3);
    for (item, (version, config)) in
        items.iter().zip([(3, &again["config"]), (2, &changed["config"]), (1, &made["config"])])
    {
        assert_eq!((&item["version"], &item["config"]), (&json!(version), config));
        assert_eq!(item["is_current"], version == 3);
    }
    assert_eq!(items[2]["created_at"], born);
    let times: Vec<&str> = items.iter().map(|item| item["created_at"].as_str().unwrap()).collect();
    assert!(times[0] > times[1] && times[1] > times[2], "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = text(&api.post(SESSIONS, &json!({ "user_id": "u" })).await.expect(201), "session_id");
    for number in 2..=7 {
        let body = json!({ "experimental": { "number": number } }).to_string();
        api.call("PATCH", &format!("{SESSIONS}/{session}"), body).await.expect(200);
    }
    let path = format!("{SESSIONS}/{session}/config_history");
    let mut seen: Vec<i64> = Vec::new();
    let mut query = "?limit=3".to_owned();
    for page in 1.. {
        let answer = api.get(&format!("{path}{query}")).await.expect(200);
        assert_eq!((&answer["total_pages"], &answer["total_items"]), (&json!(3), &json!(7)));
        assert_eq!(answer["current_page"], page);
        for item in answer["items"].as_array().unwrap() {
            assert_eq!(item["is_current"], seen.is_empty(), "only the first of page 1");
            seen.push(item["version"].as_i64().unwrap());
        }
        let Some(cursor) = answer["next_cursor"].as_str() else { break };
        query = format!("?cursor={cursor}");
    }
    assert_eq!(seen, [7, 6, 5, 4, 3, 2, 1]);
    let beyond = api.get(&format!("{path}?limit=3&cursor=OS0z")).await.expect(200);
    assert_eq!((&beyond["items"], &beyond["next_cursor"]), (&json!([]), &Value::Null));
    assert_eq!(api.get(&format!("{path}?limit=9999")).await.expect(200)["items"].as_array().unwrap().len(), 7);
    for wrong in ["limit=0", "limit=x", "cursor=x", "cursor=LTEtMw=="] {
        api.get(&format!("{path}?{wrong}")).await.expect_error(400, "HTTP_BadRequest");
    }
}
