//! A scoped key does what the table of operations says, and nothing else (R61): every operation with
//! every right alone, built or not.

use serde_json::json;
use switchboard::api::operations::{Keys, Operation, Permission};
use switchboard::api::table;
use switchboard::app::project::keys::KeyScope;
use switchboard::app::project::permissions::{Access, Permissions, Preset};

use super::help::filled;
use crate::support::http::{Http, Reply};
use crate::support::server::TestServer;

fn only(preset: Preset, access: Access) -> KeyScope {
    KeyScope { permissions: Some(Permissions([(preset, access)].into())), ..KeyScope::default() }
}

/// The refusal for want of a right; an operation may have other reasons to answer 403.
fn lacks_a_right(reply: &Reply) -> bool {
    reply.status == 403 && reply.json()["error"]["message"].as_str().unwrap().starts_with("This API key lacks ")
}

/// What the table says of a key with one right.
fn admits(operation: &Operation, preset: Preset, access: Access) -> bool {
    match operation.permission {
        Permission::Nothing => true,
        Permission::Unscoped => false,
        Permission::AnyOf(needed) => needed.iter().any(|(wanted, needed)| *wanted == preset && access.covers(*needed)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_requires_exactly_the_permissions_of_the_table() {
    let server = TestServer::start().await;
    let http = Http::new();
    let mut wrong = Vec::new();
    let operations: Vec<&Operation> = table::all()
        .filter(|operation| matches!(operation.keys, Keys::Project | Keys::ProjectOrUser | Keys::Any))
        .collect();
    assert!(operations.len() > 80, "{}", operations.len());
    for preset in Preset::ALL {
        for access in Access::ALL {
            let key = server.scoped_key(&only(preset, access)).await;
            for operation in &operations {
                let url = format!("{}{}", server.api.base, filled(operation.path));
                let reply = http.send(operation.method, &url, &[("x-api-key", &key)], "{}").await;
                let expected = admits(operation, preset, access);
                if lacks_a_right(&reply) == expected || reply.status == 401 {
                    wrong.push(format!(
                        "{} {} with {}:{}: {}",
                        operation.method,
                        operation.path,
                        preset.name(),
                        access.name(),
                        reply.text()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for operation in &operations {
        let url = format!("{}{}", server.api.base, filled(operation.path));
        let reply = http.send(operation.method, &url, &[("x-api-key", &server.api.key)], "{}").await;
        assert!(!lacks_a_right(&reply) && reply.status != 401, "{} {}", operation.method, operation.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_the_permission_and_has_no_effect() {
    let server = TestServer::start().await;
    let reader = server.scoped_key(&only(Preset::Sessions, Access::Read)).await;
    let session = server.api.session("user", "sandbox").await;
    let url = format!("{}/tool_router/session/{session}", server.api.base);
    let headers = [("x-api-key", reader.as_str())];
    let error = server.api.http.send("DELETE", &url, &headers, "").await.expect_error(403, "HTTP_Forbidden");
    assert_eq!(error["code"], 10403);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("sessions:write") && message.contains("session_management:write"), "{message}");
    server.api.http.send("GET", &url, &headers, "").await.expect(200);
    let create = format!("{}/tool_router/session", server.api.base);
    let body = json!({ "user_id": "user" }).to_string();
    server.api.http.send("POST", &create, &headers, body.clone()).await.expect_error(403, "HTTP_Forbidden");
    let writer = server.scoped_key(&only(Preset::SessionManagement, Access::Write)).await;
    server.api.http.send("POST", &create, &[("x-api-key", &writer)], body).await.expect(201);
    server.api.http.send("GET", &url, &[("x-api-key", &writer)], "").await.expect_error(403, "HTTP_Forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn running_tools_requires_tool_execution_or_sessions_and_the_proxy_its_own_permission() {
    let server = TestServer::start().await;
    let session = server.api.session("user", "sandbox").await;
    for (preset, runs, proxies) in [
        (Preset::ToolExecution, true, false),
        (Preset::Sessions, true, false),
        (Preset::ProxyExecute, false, true),
        (Preset::ConnectedAccounts, false, false),
    ] {
        let key = server.scoped_key(&only(preset, Access::Write)).await;
        for (operation, admitted) in
            [("execute", runs), ("execute_meta", runs), ("search", runs), ("proxy_execute", proxies)]
        {
            let url = format!("{}/tool_router/session/{session}/{operation}", server.api.base);
            let reply = server.api.http.send("POST", &url, &[("x-api-key", &key)], "{}").await;
            assert_eq!(!lacks_a_right(&reply), admitted, "{} {operation}: {}", preset.name(), reply.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_requires_the_permission_of_get() {
    let server = TestServer::start().await;
    let url = format!("{}/toolkits", server.api.base);
    for (preset, status) in [(Preset::Toolkits, 200), (Preset::Tools, 403)] {
        let key = server.scoped_key(&only(preset, Access::Read)).await;
        assert_eq!(server.api.http.send("HEAD", &url, &[("x-api-key", &key)], "").await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_scope_grants_nothing() {
    let server = TestServer::start().await;
    let key = server.scoped_key(&only(Preset::Toolkits, Access::Read)).await;
    let database = rusqlite::Connection::open(server.database()).unwrap();
    database
        .execute("UPDATE api_keys SET permissions = '{\"everything\":\"read\"}' WHERE permissions IS NOT NULL", [])
        .unwrap();
    let url = format!("{}/toolkits", server.api.base);
    server.api.http.send("GET", &url, &[("x-api-key", &key)], "").await.expect_error(500, "HTTP_InternalServerError");
}
