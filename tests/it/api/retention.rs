//! What is over goes after its time, and not before; the history of a session has an end.

use std::time::Duration;

use serde_json::json;

use super::help::{Upstream, connect_key, sql, text};
use crate::support::server::TestServer;

const DAY: Duration = Duration::from_hours(24);

async fn server() -> (TestServer, Upstream) {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).start().await;
    (server, upstream)
}

/// Rows of what is over, by table: links, attempts, accounts, auth configs, sessions, earlier policies.
fn rows(server: &TestServer) -> serde_json::Value {
    sql(
        &server.database(),
        "SELECT (SELECT COUNT(*) FROM links), (SELECT COUNT(*) FROM attempts),
           (SELECT COUNT(*) FROM connected_accounts), (SELECT COUNT(*) FROM auth_configs),
           (SELECT COUNT(*) FROM sessions), (SELECT COUNT(*) FROM session_versions)",
    )[0]
    .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn unfinished_links_and_accounts_are_deleted_after_a_month_and_their_rows_after_another() {
    let (server, _upstream) = server().await;
    let (_, connected) = connect_key(&server.api, "u", "up").await;
    let session = server.api.session("v", "up").await;
    let never = text(&server.api.link(&session, "up").await, "connected_account_id");
    server.clock.advance(Duration::from_hours(1));
    server.app.sweeps.expire_links().await.unwrap();
    assert_eq!(server.api.status(&never).await, "EXPIRED");
    server.clock.advance(29 * DAY);
    assert_eq!(server.app.sweeps.delete_old_rows().await.unwrap(), 0, "nothing goes before its time");
    server.clock.advance(DAY + Duration::from_mins(1));
    assert_eq!(server.app.sweeps.delete_old_rows().await.unwrap(), 3, "two links and an account");
    server
        .api
        .get(&format!("/connected_accounts/{never}"))
        .await
        .expect_error(404, "ConnectedAccount_ResourceNotFound");
    assert_eq!(server.api.status(&connected).await, "ACTIVE", "a connected account stays");
    assert_eq!(rows(&server), json!([0, 0, 2, 1, 2, 0]));
    assert_eq!(server.api.get("/connected_accounts").await.expect(200)["total_items"], 1);
    let told = server.api.get(&format!("/connected_accounts/{never}/explain")).await;
    assert!([200, 404].contains(&told.status), "{}", told.text());
    server.clock.advance(31 * DAY);
    assert_eq!(server.app.sweeps.delete_old_rows().await.unwrap(), 1);
    assert_eq!(rows(&server), json!([0, 0, 1, 1, 2, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_objects_leave_no_rows_after_a_month() {
    let (server, _upstream) = server().await;
    let (session, account) = connect_key(&server.api, "u", "up").await;
    let body = json!({ "manage_connections": { "enable": false } }).to_string();
    server.api.call("PATCH", &format!("/tool_router/session/{session}"), body).await.expect(200);
    let shown = server.api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    let config = text(&shown["auth_config"], "id");
    let deleted = server.api.delete(&format!("/auth_configs/{config}")).await.expect(200);
    assert_eq!(deleted["success"], true);
    server.api.delete(&format!("/tool_router/session/{session}")).await.expect(200);
    assert_eq!(rows(&server), json!([1, 0, 1, 1, 1, 1]));
    server.clock.advance(31 * DAY);
    server.app.sweeps.delete_old_rows().await.unwrap();
    assert_eq!(rows(&server), json!([0, 0, 0, 0, 0, 0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_and_idempotency_keys_are_deleted_after_their_retention_time() {
    let (server, _upstream) = server().await;
    let (_, account) = connect_key(&server.api, "u", "up").await;
    let answer = server.api.delete(&format!("/connected_accounts/{account}")).await.expect(200);
    let job = text(&answer, "revoke_job_id");
    server.api.get(&format!("/revoke_jobs/{job}")).await.expect(200);
    let body = json!({ "user_id": "u" }).to_string();
    let headers = [("idempotency-key", "once")];
    server.api.call_with("POST", "/tool_router/session", &headers, body).await.expect(201);
    let keys = || sql(&server.database(), "SELECT COUNT(*) FROM idempotency_keys");
    server.clock.advance(DAY.checked_sub(Duration::from_mins(1)).unwrap());
    server.app.sweeps.delete_old_rows().await.unwrap();
    assert_eq!(keys(), json!([[1]]));
    server.clock.advance(Duration::from_mins(2));
    server.app.sweeps.delete_old_rows().await.unwrap();
    assert_eq!(keys(), json!([[0]]));
    server.clock.advance(88 * DAY);
    server.app.sweeps.delete_old_rows().await.unwrap();
    server.api.get(&format!("/revoke_jobs/{job}")).await.expect(200);
    server.clock.advance(3 * DAY);
    server.app.sweeps.delete_old_rows().await.unwrap();
    server.api.get(&format!("/revoke_jobs/{job}")).await.expect_error(404, "RevokeJob_NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_a_hundred_earlier_policies_and_a_mebibyte_of_them() {
    let (server, _upstream) = server().await;
    let session =
        text(&server.api.post("/tool_router/session", &json!({ "user_id": "u" })).await.expect(201), "session_id");
    let path = format!("/tool_router/session/{session}");
    for number in 0..110 {
        let body = json!({ "experimental": { "number": number } }).to_string();
        server.api.call("PATCH", &path, body).await.expect(200);
    }
    let history = server.api.get(&format!("{path}/config_history?limit=100")).await.expect(200);
    assert_eq!((&history["total_items"], &history["items"][0]["version"]), (&json!(101), &json!(111)));
    let cursor = text(&history, "next_cursor");
    let last = server.api.get(&format!("{path}/config_history?limit=100&cursor={cursor}")).await.expect(200);
    assert_eq!((&last["items"][0]["version"], &last["next_cursor"]), (&json!(11), &json!(null)));
    for number in 0..12 {
        let body = json!({ "experimental": { "number": number, "filling": "x".repeat(200_000) } }).to_string();
        server.api.call("PATCH", &path, body).await.expect(200);
    }
    let bytes = sql(&server.database(), "SELECT SUM(LENGTH(config)) BETWEEN 800000 AND 1048576 FROM session_versions");
    assert_eq!(bytes, json!([[1]]));
    // One policy that is larger than all that is kept is still there to be looked back on.
    let history = server.api.get(&format!("{path}/config_history?limit=2")).await.expect(200);
    assert_eq!(history["items"][1]["version"], 122);
}
