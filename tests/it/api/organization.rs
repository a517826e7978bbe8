//! Projects from the first to the last day, with an organisation key; what each kind of key says of
//! itself (contract section 8.5).

use std::time::Duration;

use serde_json::{Value, json};

use super::help::{KEY, auth_config, connect_key, finish_oauth, sql, text, with_upstream};
use crate::support::http::{Api, Http, Reply};
use crate::support::server::TestServer;
use crate::support::wait::until;

/// Holder of a key beyond one project.
struct Holder {
    http: Http,
    base: String,
    header: &'static str,
    key: String,
}

impl Holder {
    async fn owner(server: &TestServer) -> Self {
        Self::new(server, "x-org-api-key", server.organization_key().await)
    }

    async fn member(server: &TestServer) -> Self {
        Self::new(server, "x-user-api-key", server.user_key("ada@example.com").await)
    }

    fn new(server: &TestServer, header: &'static str, key: String) -> Self {
        Self { http: Http::new(), base: server.api.base.clone(), header, key }
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> Reply {
        self.http.send(method, &format!("{}{path}", self.base), &[(self.header, &self.key)], body.to_owned()).await
    }

    async fn get(&self, path: &str) -> Value {
        self.call("GET", path, "").await.expect(200)
    }

    async fn create(&self, body: &Value) -> Reply {
        self.call("POST", "/org/owner/project/new", &body.to_string()).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_can_be_created_read_and_deleted() {
    let (server, _upstream) = with_upstream().await;
    let owner = Holder::owner(&server).await;
    let body = json!({ "name": "second-project_1", "should_create_api_key": true });
    // Lists and the audit log go by the time in ids; within a millisecond there is no order.
    server.clock.advance(Duration::from_millis(1));
    let made = owner.create(&body).await.expect(200);
    let (id, key) = (text(&made, "id"), text(&made, "api_key"));
    assert_eq!(made["name"], "second-project_1");
    let api = Api::new(&server.url, &key);
    let config = auth_config(&api, "up", "API_KEY").await;
    let (session, account) = connect_key(&api, "user", "up").await;
    let link = api.link(&session, "up").await;

    let list = owner.get("/org/owner/project/list").await;
    assert_eq!(list["total_items"], 2);
    assert_eq!(list["data"][0]["id"], id.as_str());
    assert_eq!(list["data"][0]["webhook_version"], "V3");
    let detail = owner.get(&format!("/org/owner/project/{id}")).await;
    assert_eq!(detail["api_keys"].as_array().unwrap().len(), 1);
    let shown = text(&detail["api_keys"][0], "key");
    assert!(key.starts_with(shown.trim_end_matches('…')) && shown.ends_with('…') && shown.len() < 16, "{shown}");

    server.clock.advance(Duration::from_millis(1));
    let renewed = owner.call("POST", &format!("/org/owner/project/{id}/regenerate_api_key"), "").await.expect(200);
    api.get("/toolkits").await.expect_error(401, "HTTP_Unauthorized");
    let api = Api::new(&server.url, &text(&renewed["api_key"], "key"));
    api.get(&format!("/connected_accounts/{account}")).await.expect(200);
    let detail = owner.get(&format!("/org/owner/project/{id}")).await;
    assert_eq!(detail["api_keys"][0]["id"], renewed["api_key"]["id"]);
    assert_eq!(detail["api_keys"].as_array().unwrap().len(), 1);

    server.clock.advance(Duration::from_millis(1));
    let path = format!("/org/owner/project/{id}?revoke_on_delete=false");
    let deleted = owner.call("DELETE", &path, "").await.expect(200);
    assert_eq!(deleted, json!({ "status": "success" }));
    for path in ["/toolkits", "/org/project/config", "/auth/session/info", "/connected_accounts"] {
        api.get(path).await.expect_error(401, "HTTP_Unauthorized");
    }
    api.get(&format!("/tool_router/session/{session}")).await.expect_error(401, "HTTP_Unauthorized");
    let page = Http::new().send("GET", &text(&link, "redirect_url"), &[], "").await;
    assert!(!page.text().contains("<form"), "the link is over: {}", page.text());
    for (method, path) in [
        ("GET", format!("/org/owner/project/{id}")),
        ("DELETE", format!("/org/owner/project/{id}")),
        ("POST", format!("/org/owner/project/{id}/regenerate_api_key")),
    ] {
        let error = owner.call(method, &path, "").await.expect_error(404, "Project_NotFound");
        let path = path.replace(&id, "pr_LX9uJKBinWWr");
        let unknown = owner.call(method, &path, "").await.expect_error(404, "Project_NotFound");
        let message = text(&unknown, "message").replace("pr_LX9uJKBinWWr", &id);
        assert_eq!(text(&error, "message"), message);
    }
    assert_eq!(owner.get("/org/owner/project/list").await["total_items"], 1);
    server.api.get("/toolkits").await.expect(200);
    let left = |column: &str, table: &str| {
        let live = format!("SELECT count(*) FROM {table} WHERE project_id = '{id}' AND {column}");
        sql(&server.database(), &live)
    };
    for (column, table) in [
        ("deleted_at IS NULL", "sessions"),
        ("deleted_at IS NULL", "auth_configs"),
        ("credentials_sealed IS NOT NULL", "auth_configs"),
        ("deleted_at IS NULL", "connected_accounts"),
        ("credential_sealed IS NOT NULL", "connected_accounts"),
        ("finished_at IS NULL", "links"),
        ("revoked_at IS NULL", "api_keys"),
    ] {
        assert_eq!(left(column, table), json!([[0]]), "{table} {column}");
    }
    assert!(config.starts_with("ac_") && !KEY.is_empty());
    let events = server.app.core.store.audit_events(&id.as_str().into(), &id).await.unwrap();
    // The last two may be of the same millisecond.
    let mut actions: Vec<&str> = events.iter().map(|event| event.action.as_str()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["api_key.revoke_all", "project.create", "project.delete", "project.empty"]);
    assert!(events.iter().all(|event| event.actor.starts_with("key_") && event.request_id.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_created_with_settings_and_a_scoped_key_or_without_a_key() {
    let server = TestServer::start().await;
    let owner = Holder::owner(&server).await;
    let made = owner.create(&json!({ "name": "plain" })).await.expect(200);
    assert!(made.get("api_key").is_none(), "{made}");
    assert_eq!(owner.get(&format!("/org/owner/project/{}", text(&made, "id"))).await["api_keys"], json!([]));
    let body = json!({
        "name": "scoped",
        "should_create_api_key": true,
        "api_key_permissions": [{ "preset": "toolkits", "access": "read" }, { "preset": "sessions", "access": "none" }],
        "config": { "display_name": "Scoped", "is_2FA_enabled": true },
    });
    let made = owner.create(&body).await.expect(200);
    let api = Api::new(&server.url, &text(&made, "api_key"));
    api.get("/toolkits").await.expect(200);
    api.get("/connected_accounts").await.expect_error(403, "HTTP_Forbidden");
    api.get("/org/project/config").await.expect_error(403, "HTTP_Forbidden");
    let id = text(&made, "id");
    let renewed = owner.call("POST", &format!("/org/owner/project/{id}/regenerate_api_key"), "").await.expect(200);
    let api = Api::new(&server.url, &text(&renewed["api_key"], "key"));
    let config = api.get("/org/project/config").await.expect(200);
    assert_eq!((&config["display_name"], &config["is_2FA_enabled"]), (&json!("Scoped"), &json!(true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_project_is_not_created() {
    let server = TestServer::start().await;
    let owner = Holder::owner(&server).await;
    let with = |field: &str, value: Value| json!({ "name": "fine", "should_create_api_key": true, field: value });
    for (place, body) in [
        ("payload.name", json!({})),
        ("payload.name", with("name", json!("ab"))),
        ("payload.name", with("name", json!("x".repeat(76)))),
        ("payload.name", with("name", json!("with space"))),
        ("payload.name", with("name", json!("ümlaut"))),
        ("payload.api_key_allowed_ips", with("api_key_allowed_ips", json!([]))),
        ("payload.api_key_allowed_ips[1]", with("api_key_allowed_ips", json!(["10.0.0.0/8", "10.0.0.1/8"]))),
        ("payload.api_key_allowed_ips[0]", with("api_key_allowed_ips", json!(["example.com"]))),
        ("payload.api_key_permissions", with("api_key_permissions", json!([]))),
        (
            "payload.api_key_permissions[0].preset",
            with("api_key_permissions", json!([{ "preset": "all", "access": "read" }])),
        ),
        ("payload.api_key_permissions[0].access", with("api_key_permissions", json!([{ "preset": "tools" }]))),
        (
            "payload.api_key_permissions",
            with(
                "api_key_permissions",
                json!([{ "preset": "tools", "access": "read" }, { "preset": "tools", "access": "write" }]),
            ),
        ),
        ("payload.config.display_name", with("config", json!({ "display_name": "x".repeat(101) }))),
        ("payload.config.theme", with("config", json!({ "theme": 5 }))),
        (
            "payload.api_key_permissions",
            json!({ "name": "fine", "api_key_permissions": [{ "preset": "tools", "access": "read" }] }),
        ),
    ] {
        let error = owner.create(&body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().contains(&format!("{place}:")), "{place}: {error}");
    }
    let url = format!("{}/org/owner/project/new", owner.base);
    let headers = [("x-org-api-key", owner.key.as_str()), ("idempotency-key", "k")];
    let reply = owner.http.send("POST", &url, &headers, r#"{"name":"fine"}"#).await;
    reply.expect_error(400, "HTTP_BadRequest");
    assert_eq!(owner.get("/org/owner/project/list").await["total_items"], 1);
    let path = format!("/org/owner/project/{}?revoke_on_delete=maybe", server.project_id);
    owner.call("DELETE", &path, "").await.expect_error(400, "HTTP_BadRequest");
    server.api.get("/toolkits").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_a_deleted_project_are_revoked_at_the_provider() {
    let server = TestServer::start().await;
    let owner = Holder::owner(&server).await;
    let session = server.api.session("u", "sandbox").await;
    let account = finish_oauth(&server.api, &server.api.link(&session, "sandbox").await).await;
    let row = server.app.core.store.account(&server.project_id, &account.as_str().into()).await.unwrap().unwrap();
    let token = server.app.credentials.open_credential(&row).unwrap().get("access_token").unwrap().to_owned();
    let me = async || {
        let bearer = format!("Bearer {token}");
        let url = format!("{}/api/me", server.sandbox_url);
        server.api.http.send("GET", &url, &[("authorization", bearer.as_str())], "").await.status
    };
    assert_eq!(me().await, 200);
    let answer = owner.call("DELETE", &format!("/org/owner/project/{}", server.project_id), "").await.expect(200);
    assert!(text(&answer, "revoke_job_id").starts_with("rvj_"), "{answer}");
    assert_eq!(server.api.get("/toolkits").await.status, 401);
    until("the end of the token", async || me().await != 200).await;
    let left = sql(
        &server.database(),
        "SELECT (SELECT COUNT(*) FROM connected_accounts WHERE deleted_at IS NULL),
                (SELECT COUNT(*) FROM auth_configs WHERE deleted_at IS NULL)",
    );
    assert_eq!(left, json!([[0, 0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged() {
    let server = TestServer::start().await;
    let (owner, member) = (Holder::owner(&server).await, Holder::member(&server).await);
    for number in 0..3 {
        server.clock.advance(Duration::from_millis(1));
        owner.create(&json!({ "name": format!("project-{number}") })).await.expect(200);
    }
    for (holder, path, more) in
        [(&owner, "/org/owner/project/list", ""), (&member, "/org/project/list", "&list_all_org_projects=true")]
    {
        let mut names = Vec::new();
        let mut next = format!("{path}?limit=3{more}");
        loop {
            let page = holder.get(&next).await;
            assert_eq!((&page["total_items"], &page["total_pages"]), (&json!(4), &json!(2)));
            names.extend(page["data"].as_array().unwrap().iter().map(|project| text(project, "name")));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("{path}?cursor={}", cursor.replace('=', "%3D"));
        }
        assert_eq!(names, ["project-2", "project-1", "project-0", "Test project"]);
        holder.call("GET", &format!("{path}?cursor=x"), "").await.expect_error(400, "HTTP_BadRequest");
        assert_eq!(holder.get(&format!("{path}?limit=9999")).await["total_pages"], 1);
    }
    let list = member.get("/org/list").await;
    let organization = text(&list["organizations"][0], "id");
    assert!(organization.starts_with("ok_"), "{list}");
    assert_eq!((&list["total_items"], &list["next_cursor"]), (&json!(1), &Value::Null));
    assert_eq!(member.get("/org/project/list").await["data"][0]["org_id"], organization.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn session_info_describes_the_key_and_never_contains_it() {
    let server = TestServer::start().await;
    let own = server.api.get("/auth/session/info").await.expect(200);
    assert_eq!(own["project"]["id"], server.project_id.as_str());
    assert_eq!(own["project"]["org"]["id"], own["project"]["org_id"]);
    assert_eq!(own["project"]["auto_id"], 0);
    assert_eq!(own["api_key"]["project_id"], server.project_id.as_str());
    assert_eq!((&own["org_member"]["email"], &own["org_member"]["role"]), (&json!(""), &json!("owner")));
    assert!(!own.to_string().contains(&server.api.key), "{own}");
    let member = Holder::member(&server).await;
    let answer = member.get("/auth/session/info").await;
    assert_eq!(
        (&answer["org_member"]["email"], &answer["org_member"]["name"]),
        (&json!("ada@example.com"), &json!("test"))
    );
    assert!(answer.get("project").is_none() && answer.get("api_key").is_none(), "{answer}");
    let owner = Holder::owner(&server).await;
    let answer = owner.get("/auth/session/info").await;
    assert_eq!(answer["org_member"], own["org_member"]);
}
