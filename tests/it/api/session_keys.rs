//! Keys for the MCP endpoint of one session.

use serde_json::json;
use switchboard_types::SessionId;

use super::help::text;
use super::tools::with_tools;
use crate::support::http::Api;
use crate::support::server::TestServer;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;

/// A key for a session's MCP endpoint.
async fn session_key(server: &TestServer, session: &str) -> (String, String) {
    let app = &server.app;
    let project = app.projects.sole().await.unwrap().unwrap().id;
    let actor = switchboard::app::Actor::cli(&project);
    let lifetime = std::time::Duration::from_hours(1);
    let (key, row) = app.keys.create_session_key(&actor, "mcp", &SessionId::from(session), lifetime).await.unwrap();
    (key.expose().to_owned(), row.id)
}

async fn session(api: &Api) -> String {
    text(&api.post("/tool_router/session", &json!({ "user_id": "u" })).await.expect(201), "session_id")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_session_works_at_its_endpoint_and_nowhere_else() {
    let (server, _upstream) = with_tools().await;
    let (own, other) = (session(&server.api).await, session(&server.api).await);
    let (key, key_id) = session_key(&server, &own).await;
    let api = Api::new(&server.url, &key);
    let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
    let mcp = |session: &str| format!("{}/tool_router/{session}/mcp", server.url);
    let http = crate::support::http::Http::new();

    let listed = http.send("POST", &mcp(&own), &headers, PING).await.expect(200);
    assert_eq!(listed["result"]["tools"][0]["name"], "COMPOSIO_SEARCH_TOOLS");
    http.send("POST", &mcp(&other), &headers, PING).await.expect_error(403, "HTTP_Forbidden");
    for (method, path) in [
        ("GET", format!("/tool_router/session/{own}")),
        ("POST", format!("/tool_router/session/{own}/execute")),
        ("GET", "/connected_accounts".to_owned()),
        ("GET", "/nowhere".to_owned()),
    ] {
        api.call(method, &path, "{}").await.expect_error(403, "HTTP_Forbidden");
    }

    let project = server.app.projects.sole().await.unwrap().unwrap().id;
    server.app.keys.revoke(&switchboard::app::Actor::cli(&project), &key_id).await.unwrap();
    http.send("POST", &mcp(&own), &headers, PING).await.expect_error(401, "HTTP_Unauthorized");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_a_session_ends_in_time_and_with_the_session() {
    let (server, _upstream) = with_tools().await;
    let own = session(&server.api).await;
    let (key, _) = session_key(&server, &own).await;
    let headers = [("x-api-key", key.as_str()), ("content-type", "application/json")];
    let url = format!("{}/tool_router/{own}/mcp", server.url);
    let http = crate::support::http::Http::new();
    http.send("POST", &url, &headers, PING).await.expect(200);
    server.api.delete(&format!("/tool_router/session/{own}")).await.expect(200);
    http.send("POST", &url, &headers, PING).await.expect_error(404, "ToolRouterV2_SessionNotFound");
    server.clock.advance(std::time::Duration::from_secs(3_601));
    http.send("POST", &url, &headers, PING).await.expect_error(401, "HTTP_Unauthorized");
}
