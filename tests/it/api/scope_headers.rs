//! Which project a member's key acts in: the scope headers, or the only project there is (contract
//! section 1.2).

use serde_json::{Value, json};
use switchboard::app::Actor;

use super::help::text;
use crate::support::http::Reply;
use crate::support::server::TestServer;

struct Member<'a> {
    server: &'a TestServer,
    key: String,
}

impl Member<'_> {
    async fn call(&self, method: &str, path: &str, scope: &[(&str, &str)], body: &Value) -> Reply {
        let mut headers = vec![("x-user-api-key", self.key.as_str())];
        headers.extend_from_slice(scope);
        let url = format!("{}{path}", self.server.api.base);
        self.server.api.http.send(method, &url, &headers, body.to_string()).await
    }

    async fn organization(&self) -> String {
        let list = self.call("GET", "/org/list", &[], &Value::Null).await.expect(200);
        text(&list["organizations"][0], "id")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_project_need_not_be_named_and_one_of_several_must_be() {
    let server = TestServer::start().await;
    let member = Member { server: &server, key: server.user_key("ada@example.com").await };
    let made = member.call("POST", "/tool_router/session", &[], &json!({ "user_id": "u" })).await.expect(201);
    let session = text(&made, "session_id");
    let path = format!("/tool_router/session/{session}");
    server.api.get(&path).await.expect(200);
    // The audit log names the member's key.
    let events = server.app.core.store.audit_events(&server.project_id, &session).await.unwrap();
    let keys = server
        .app
        .core
        .store
        .organization_keys(switchboard_store::organization_keys::OrganizationKeyKind::User, Some("ada@example.com"));
    assert_eq!(events[0].actor, keys.await.unwrap()[0].id);

    let other = server.other_project("Other").await;
    let error = member.call("GET", &path, &[], &Value::Null).await.expect_error(400, "HTTP_BadRequest");
    assert!(error["errors"][0].as_str().unwrap().contains("x-project-id"), "{error}");
    let organization = member.organization().await;
    let scope = [("x-org-id", organization.as_str()), ("x-project-id", server.project_id.as_str())];
    member.call("GET", &path, &scope, &Value::Null).await.expect(200);
    let info = other.get("/auth/session/info").await.expect(200);
    let elsewhere = text(&info["project"], "id");
    let scope = [("X-Org-Id", organization.as_str()), ("X-Project-Id", elsewhere.as_str())];
    member.call("GET", &path, &scope, &Value::Null).await.expect_error(404, "ToolRouterV2_SessionNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_scope_header_alone_and_uuids_are_refused_and_missing_projects_are_unknown() {
    let server = TestServer::start().await;
    let member = Member { server: &server, key: server.user_key("ada@example.com").await };
    let organization = member.organization().await;
    let (org, project) = (organization.as_str(), server.project_id.as_str());
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    for scope in [
        vec![("x-org-id", org)],
        vec![("x-project-id", project)],
        vec![("x-org-id", org), ("x-project-id", uuid)],
        vec![("x-org-id", uuid), ("x-project-id", project)],
        vec![("x-org-id", org), ("x-project-id", "")],
        vec![("x-org-id", org), ("x-project-id", project), ("x-project-id", project)],
    ] {
        let reply = member.call("GET", "/toolkits", &scope, &Value::Null).await;
        let error = reply.expect_error(400, "HTTP_BadRequest");
        assert_eq!(error["code"], 10400, "{scope:?}");
        assert!(error["suggested_fix"].as_str().unwrap().contains("x-org-id"), "{scope:?}");
    }
    for scope in [
        vec![("x-org-id", org), ("x-project-id", "pr_LX9uJKBinWWr")],
        vec![("x-org-id", "ok_LX9uJKBinWWr"), ("x-project-id", project)],
    ] {
        member.call("GET", "/toolkits", &scope, &Value::Null).await.expect_error(404, "Project_NotFound");
    }
    // Operations beyond a project take no scope, and project keys bring theirs.
    member.call("GET", "/org/list", &[("x-org-id", "nonsense")], &Value::Null).await.expect(200);
    let headers = [("x-org-id", "nonsense")];
    server.api.call_with("GET", "/toolkits", &headers, "").await.expect(200);
    let actor = Actor::cli(&"".into());
    server.app.project_deletion.delete(&actor, &project.into(), true).await.unwrap();
    let scope = [("x-org-id", org), ("x-project-id", project)];
    member.call("GET", "/toolkits", &scope, &Value::Null).await.expect_error(404, "Project_NotFound");
    member.call("GET", "/toolkits", &[], &Value::Null).await.expect_error(400, "HTTP_BadRequest");
}
