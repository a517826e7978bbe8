//! The examples of the reference are answers of this server: each is driven against it, with ids,
//! times and tokens made equal, and compared with the recorded one.
//!
//! `UPDATE_EXAMPLES=1 cargo test -p switchboard --test it api::examples` writes them again; a new
//! operation gets a step here and a name in `src/api/openapi/examples.rs`.

mod equaliser;
mod files;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use switchboard::api::openapi;
use switchboard::api::operations::{Keys, Operation, State};
use switchboard::api::table;
use switchboard::app::project::ProjectSettings;

use self::equaliser::Equaliser;
use super::help::events;
use crate::connect::flow::{deny, press, provider_url};
use crate::support::browser::Browser;
use crate::support::connected::finished;
use crate::support::http::Reply;
use crate::support::server::TestServer;
use crate::support::tools::root;

/// Working operations that have no example, and why.
const WITHOUT_EXAMPLE: &[(&str, &str)] = &[("get_tools_enum", "hundreds of slugs, which change with every tool")];

/// Operations that are not a GET and write no audit event: they read, use an account, or change nothing here.
const UNNOTED: [&str; 20] = [
    "post_logs_tool_execution",
    "post_internal_action_execution_logs",
    "post_project_usage_summary",
    "post_project_usage_entity_type",
    "post_org_usage_summary",
    "post_org_usage_entity_type",
    "post_tool_router_session_session_id_mounts_mount_id_download_url",
    "post_toolkits_slug_scopes_recommended",
    "post_tools_execute_proxy",
    "post_toolkits_multi",
    "post_tool_router_session_session_id_attach",
    "post_tool_router_session_session_id_proxy_execute",
    "post_tool_router_session_session_id_execute",
    "post_tool_router_session_session_id_execute_meta",
    "post_tool_router_session_session_id_read_result",
    "post_tool_router_session_session_id_search",
    "post_tools_execute_tool_slug",
    "post_tools_scopes_required",
    "post_api_key_revocation",
    "patch_auth_configs_id_status",
];

/// One scripted world, and what was said in it.
struct World {
    server: TestServer,
    equal: Equaliser,
    recorded: BTreeMap<String, Value>,
}

/// A call of the script.
#[derive(Default)]
struct Step<'a> {
    path: &'a [(&'a str, &'a str)],
    query: &'a [(&'a str, &'a str)],
    body: Option<Value>,
}

impl World {
    async fn start(project: ProjectSettings) -> Self {
        let server = TestServer::builder().project(project).start().await;
        let equal = Equaliser::new(&server);
        Self { server, equal, recorded: BTreeMap::new() }
    }

    /// Calls an operation as its key's owner and records request and answer.
    async fn call(&mut self, id: &str, step: Step<'_>) -> Value {
        let operation = table::all().find(|it| it.id() == id).unwrap_or_else(|| panic!("no operation {id}"));
        let State::Works { docs, .. } = operation.state else { panic!("{id} is not built") };
        // Lists go by age, so no two things may have the same.
        self.server.clock.advance(Duration::from_secs(1));
        let before = events(&self.server.database());
        let reply = self.send(operation, &step).await;
        let answer = reply.expect(docs().status);
        let changes = operation.method != "GET" && !UNNOTED.contains(&id);
        assert!(!changes || events(&self.server.database()) > before, "{id} left nothing in the audit log (R92)");
        self.record(id, &step, &answer);
        answer
    }

    async fn send(&self, operation: &Operation, step: &Step<'_>) -> Reply {
        let mut url = format!("{}{}", self.server.api.base, operation.path);
        for (name, value) in step.path {
            url = url.replace(&format!("{{{name}}}"), value);
        }
        if !step.query.is_empty() {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(step.query).finish();
            url = format!("{url}?{query}");
        }
        let key = match operation.keys {
            Keys::Organization => Some(("x-org-api-key", self.server.organization_key().await)),
            Keys::User => Some(("x-user-api-key", self.server.user_key("owner@example.com").await)),
            Keys::Public => None,
            Keys::Project | Keys::ProjectOrUser | Keys::Any => Some(("x-api-key", self.server.api.key.clone())),
        };
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(key.as_ref().map(|(name, key)| (*name, key.as_str())));
        let body = step.body.as_ref().map(Value::to_string).unwrap_or_default();
        self.server.api.http.send(operation.method, &url, &headers, body).await
    }

    fn record(&mut self, name: &str, step: &Step<'_>, answer: &Value) {
        let mut example = Map::new();
        for (key, pairs) in [("path", step.path), ("query", step.query)] {
            if !pairs.is_empty() {
                let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
                example.insert(key.to_owned(), Value::Object(pairs));
            }
        }
        if let Some(body) = &step.body {
            example.insert("request".to_owned(), body.clone());
        }
        example.insert("response".to_owned(), answer.clone());
        let example = self.equal.value(&Value::Object(example));
        assert!(self.recorded.insert(name.to_owned(), example).is_none(), "{name} is recorded once");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// A session, a link, a connected account, a call; the session's id and the account's.
async fn first_afternoon(world: &mut World) -> (String, String) {
    let body = json!({
        "user_id": "user-42",
        "toolkits": { "enable": ["sandbox"] },
        "manage_connections": { "callback_url": "https://app.example.com/connected" },
    });
    let session = world.call("post_tool_router_session", body_of(body)).await;
    let session = text(&session["session_id"]);
    let in_session = [("session_id", session.as_str())];
    world.call("get_tool_router_session_session_id", at(&in_session)).await;
    let body = json!({ "toolkit": "sandbox", "alias": "work" });
    let link =
        world.call("post_tool_router_session_session_id_link", Step { body: Some(body), ..at(&in_session) }).await;
    let account = text(&link["connected_account_id"]);
    finish(&link).await;
    assert_eq!(world.server.api.status(&account).await, "ACTIVE");
    let body = json!({ "toolkit_slug": "sandbox", "endpoint": "/me", "method": "GET" });
    let step = Step { body: Some(body), ..at(&in_session) };
    world.call("post_tool_router_session_session_id_proxy_execute", step).await;
    tools(world, &session).await;
    let body = json!({ "connected_account_id": account, "endpoint": "/me", "method": "GET" });
    world.call("post_tools_execute_proxy", body_of(body)).await;
    (session, account)
}

/// A call that a person has to allow, and the answer.
async fn approvals(world: &mut World, session: &str) {
    let user =
        text(&world.server.api.get(&format!("/tool_router/session/{session}")).await.expect(200)["config"]["user_id"]);
    let body = json!({ "user_id": user, "toolkits": { "require_approval": ["sandbox"] } });
    let asking = world.server.api.post("/tool_router/session", &body).await.expect(201);
    let asking = text(&asking["session_id"]);
    let call = json!({ "tool_slug": "SANDBOX_CREATE_NOTE", "arguments": { "text": "The meeting is on Friday." } });
    let path = format!("/tool_router/session/{asking}/execute");
    world.server.api.post(&path, &call).await.expect(200);
    let in_session = [("session_id", asking.as_str())];
    let listed = world.call("get_tool_router_session_session_id_approvals", at(&in_session)).await;
    let id = text(&listed["items"][0]["id"]);
    let at_id = [("session_id", asking.as_str()), ("approval_id", id.as_str())];
    world.call("get_tool_router_session_session_id_approvals_approval_id", at(&at_id)).await;
    let body = json!({ "decision": "approve" });
    let step = Step { body: Some(body), ..at(&at_id) };
    world.call("post_tool_router_session_session_id_approvals_approval_id", step).await;
}

/// Tools: lists and calls.
async fn tools(world: &mut World, session: &str) {
    let call = json!({ "tool_slug": "SANDBOX_CREATE_NOTE", "arguments": { "text": "The meeting is on Friday." } });
    let in_session = [("session_id", session)];
    let step = Step { body: Some(call), ..at(&in_session) };
    world.call("post_tool_router_session_session_id_execute", step).await;
    let meta = json!({ "slug": "COMPOSIO_GET_TOOL_SCHEMAS", "arguments": { "tool_slugs": ["SANDBOX_LIST_NOTES"] } });
    let step = Step { body: Some(meta), ..at(&in_session) };
    world.call("post_tool_router_session_session_id_execute_meta", step).await;
    approvals(world, session).await;
    let queries =
        json!({ "queries": [{ "use_case": "write down when the meeting is", "known_fields": "text:Friday" }] });
    let step = Step { body: Some(queries), ..at(&in_session) };
    world.call("post_tool_router_session_session_id_search", step).await;
    let listed = [("tool_slugs", "SANDBOX_LIST_NOTES")];
    world.call("get_tools", Step { query: &listed, ..Step::default() }).await;
    let slug = [("tool_slug", "SANDBOX_CREATE_NOTE")];
    world.call("get_tools_tool_slug", at(&slug)).await;
    let body = json!({ "tools": ["SANDBOX_CREATE_NOTE"] });
    world.call("post_tools_scopes_required", body_of(body)).await;
    let toolkit = [("slug", "sandbox")];
    world.call("get_toolkits_slug_scopes_grant_context", at(&toolkit)).await;
    let body = json!({ "tools": ["SANDBOX_CREATE_NOTE", "SANDBOX_LIST_NOTES"] });
    world.call("post_toolkits_slug_scopes_recommended", Step { body: Some(body), ..at(&toolkit) }).await;
    let user =
        text(&world.server.api.get(&format!("/tool_router/session/{session}")).await.expect(200)["config"]["user_id"]);
    let body = json!({ "user_id": user, "arguments": {} });
    let slug = [("tool_slug", "SANDBOX_GET_PROFILE")];
    let executed = world.call("post_tools_execute_tool_slug", Step { body: Some(body), ..at(&slug) }).await;
    logs(world, &text(&executed["log_id"])).await;
    let body = json!({ "user_id": user, "preload": { "tools": ["SANDBOX_CREATE_NOTE"] } });
    let preloaded = world.server.api.post("/tool_router/session", &body).await.expect(201);
    let preloaded = text(&preloaded["session_id"]);
    world.call("get_tool_router_session_session_id_tools", at(&[("session_id", &preloaded)])).await;
}

/// The log of the calls so far.
async fn logs(world: &mut World, log: &str) {
    world.server.app.call_log.write().await.unwrap();
    let filter = json!({ "filters": [{ "field": "tool_slug", "operator": "==", "value": "SANDBOX_GET_PROFILE" }] });
    world.call("post_logs_tool_execution", body_of(filter)).await;
    let id = [("id", log)];
    world.call("get_logs_tool_execution_id", at(&id)).await;
    world.call("get_logs_tool_execution_id_explain", at(&id)).await;
    world.call("get_internal_action_execution_fields", Step::default()).await;
    world.call("get_internal_action_execution_log_id", at(&id)).await;
    world.call("post_internal_action_execution_logs", body_of(json!({ "limit": 1 }))).await;
    let tools = [("entity_type", "tool_calls")];
    let by_tool = json!({ "group_by": "tool_slug" });
    for owner in ["project", "org"] {
        world.call(&format!("post_{owner}_usage_summary"), body_of(json!({}))).await;
        let step = Step { body: Some(by_tool.clone()), ..at(&tools) };
        world.call(&format!("post_{owner}_usage_entity_type"), step).await;
    }
}

/// What happens to a session after its creation.
async fn session_changes(world: &mut World, session: &str) {
    let it = [("session_id", session)];
    let change = |body| Step { body: Some(body), ..at(&it) };
    let body = json!({ "expected_config_version": 1, "multi_account": { "enable": true } });
    world.call("patch_tool_router_session_session_id", change(body)).await;
    let body = json!({ "experimental": { "custom_tools": [{
        "slug": "open_ticket", "name": "Open a ticket", "description": "Opens a ticket in our own help desk.",
        "input_schema": { "type": "object", "properties": { "title": { "type": "string" } } },
    }] } });
    world.call("post_tool_router_session_session_id_attach", change(body)).await;
    world.call("get_tool_router_session_session_id_config_history", at(&it)).await;
    world.call("get_tool_router_session_session_id_toolkits", at(&it)).await;
}

/// Projects, their settings and their keys.
async fn organization(world: &mut World) {
    world.call("get_auth_session_info", Step::default()).await;
    world.call("get_org_project_config", Step::default()).await;
    let body = json!({ "display_name": "Example app", "callback_urls": ["https://app.example.com/connected"] });
    world.call("patch_org_project_config", body_of(body)).await;
    world.call("get_org_list", Step::default()).await;
    world.call("get_org_project_list", Step::default()).await;
    world.call("get_org_owner_project_list", Step::default()).await;
    let body = json!({ "name": "staging", "should_create_api_key": true });
    let made = world.call("post_org_owner_project_new", body_of(body)).await;
    let project = text(&made["id"]);
    let it = [("id", project.as_str())];
    world.call("get_org_owner_project_id", at(&it)).await;
    world.call("post_org_owner_project_id_regenerate_api_key", at(&it)).await;
    world.call("delete_org_owner_project_id", at(&it)).await;
    let body = json!({ "api_keys": ["ak_ThisIsAnExampleOfAKeyThatWasLeaked"] });
    world.call("post_api_key_revocation", body_of(body)).await;
}

async fn toolkits(world: &mut World) {
    world.call("get_toolkits", Step { query: &[("search", "sandbox")], ..Step::default() }).await;
    world.call("get_toolkits_slug", at(&[("slug", "sandbox")])).await;
    world.call("get_toolkits_categories", Step::default()).await;
    world.call("get_toolkits_changelog", Step::default()).await;
    world.call("post_toolkits_multi", body_of(json!({ "toolkits": ["sandbox"] }))).await;
}

/// The id of an auth config that takes keys.
async fn auth_configs(world: &mut World) -> String {
    let body = json!({ "toolkit": { "slug": "sandbox" }, "auth_config": {
        "type": "use_custom_auth", "authScheme": "API_KEY", "name": "Sandbox by key", "credentials": {},
    }});
    let config = world.call("post_auth_configs", body_of(body)).await;
    let config = text(&config["auth_config"]["id"]);
    world.call("get_auth_configs", Step { query: &[("toolkit_slug", "sandbox")], ..Step::default() }).await;
    let it = [("id", config.as_str())];
    world.call("get_auth_configs_id", at(&it)).await;
    let body = json!({ "type": "custom", "name": "Sandbox by own key" });
    world.call("patch_auth_configs_id", Step { body: Some(body), ..at(&it) }).await;
    let switch = [("id", config.as_str()), ("status", "ENABLED")];
    world.call("patch_auth_configs_id_status", at(&switch)).await;
    config
}

/// A link whose user says no.
async fn explained_link(world: &mut World) {
    let session = world.server.api.session("user-42", "sandbox").await;
    let link = world.server.api.link(&session, "sandbox").await;
    let mut browser = Browser::new("alice");
    let pressed = press(&mut browser, &text(&link["redirect_url"])).await;
    let callback = deny(&mut browser, &provider_url(&pressed)).await;
    browser.get(&callback).await;
    let id = text(&link["link_token"])[..23].to_owned();
    world.call("get_links_id_explain", at(&[("id", &id)])).await;
}

async fn accounts(world: &mut World, account: &str, config: &str) {
    world.call("get_connected_accounts", Step { query: &[("user_ids", "user-42")], ..Step::default() }).await;
    let it = [("id", account)];
    world.call("get_connected_accounts_id", at(&it)).await;
    world.call("get_connected_accounts_id_explain", at(&it)).await;
    let change = |body| Step { body: Some(body), ..at(&it) };
    world.call("patch_connected_accounts_id", change(json!({ "alias": "private" }))).await;
    world.call("post_connected_accounts_id_refresh", at(&it)).await;
    world.call("patch_connected_accounts_id_status", change(json!({ "enabled": false }))).await;
    let body = json!({ "auth_config_id": config, "user_id": "user-43", "alias": "second" });
    world.call("post_connected_accounts_link", body_of(body)).await;
    let body = json!({ "auth_config": { "id": config }, "connection": {
        "user_id": "user-44",
        "state": { "authScheme": "API_KEY", "val": { "status": "ACTIVE", "generic_api_key": "sandbox_alice_key" } },
    }});
    world.call("post_connected_accounts", body_of(body)).await;
}

/// Needs a project that confirms who finished a link.
async fn confirmation(world: &mut World) {
    let landing = {
        let session = world.server.api.session("user-42", "sandbox").await;
        finish(&world.server.api.link(&session, "sandbox").await).await
    };
    let (_, uri) = landing.query_pairs().find(|(name, _)| name == "session_uri").unwrap();
    let body = json!({ "session_uri": uri, "user_id": "user-42" });
    world.call("post_connected_accounts_complete_auth", body_of(body)).await;
}

async fn deletions(world: &mut World, session: &str, account: &str, config: &str) {
    world.call("delete_auth_configs_id", at(&[("id", config)])).await;
    explained_link(world).await;
    let link = world.server.api.link(session, "sandbox").await;
    finish(&link).await;
    let revoked = text(&link["connected_account_id"]);
    world.call("post_connected_accounts_id_revoke", at(&[("id", &revoked)])).await;
    let deleted = world.call("delete_connected_accounts_id", at(&[("id", account)])).await;
    let job = text(&deleted["revoke_job_id"]);
    finished(&world.server.api, &job).await;
    world.call("get_revoke_jobs_id", at(&[("id", &job)])).await;
    world.call("delete_tool_router_session_session_id", at(&[("session_id", session)])).await;
    let gone = world.server.api.get(&format!("/tool_router/session/{session}")).await;
    world.record("error", &Step::default(), &gone.expect(404));
}

/// Everything, in worlds that go together.
async fn script() -> BTreeMap<String, Value> {
    let mut world = World::start(ProjectSettings::default()).await;
    let (session, account) = first_afternoon(&mut world).await;
    session_changes(&mut world, &session).await;
    files::of_tools_and_sessions(&mut world, &session).await;
    files::large_result(&mut world, &session).await;
    organization(&mut world).await;
    toolkits(&mut world).await;
    let config = auth_configs(&mut world).await;
    accounts(&mut world, &account, &config).await;
    deletions(&mut world, &session, &account, &config).await;
    let verifier = Some("https://app.example.com/verify".to_owned());
    let confirming = ProjectSettings { oauth_callback_verifier_url: verifier, ..ProjectSettings::default() };
    let mut other = World::start(confirming).await;
    confirmation(&mut other).await;
    world.recorded.append(&mut other.recorded);
    world.recorded
}

fn at<'a>(path: &'a [(&'a str, &'a str)]) -> Step<'a> {
    Step { path, ..Step::default() }
}

fn body_of(body: Value) -> Step<'static> {
    Step { body: Some(body), ..Step::default() }
}

/// The user agrees at the provider; where the browser goes then. (The app itself does not exist.)
async fn finish(link: &Value) -> url::Url {
    let url = text(&link["redirect_url"]);
    Browser::new("alice").follow(&url, |url| url.host_str() == Some("app.example.com")).await.url
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_of_the_reference_is_a_response_of_this_server() {
    let recorded = script().await;
    let folder = root().join("src/api/openapi/examples");
    let update = std::env::var_os("UPDATE_EXAMPLES").is_some();
    let mut wrong = Vec::new();
    for (name, example) in &recorded {
        let file = folder.join(format!("{name}.json"));
        let now = serde_json::to_string_pretty(example).unwrap() + "\n";
        if update {
            std::fs::write(&file, now).unwrap();
        } else if std::fs::read_to_string(&file).ok().as_deref() != Some(&now) {
            wrong.push(format!("{name} answers differently now:\n{now}"));
        } else if openapi::example(name).is_none() {
            wrong.push(format!("{name} is not listed in src/api/openapi/examples.rs"));
        }
    }
    for operation in table::all().filter(|operation| operation.works_here()) {
        let (id, method, path) = (operation.id(), operation.method, operation.path);
        let is_excepted = WITHOUT_EXAMPLE.iter().any(|(name, _)| *name == id);
        if recorded.contains_key(&id) == is_excepted {
            wrong.push(format!("{method} {path} ({id}) needs a step in this test, or an entry in WITHOUT_EXAMPLE"));
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE_EXAMPLES=1 and read the difference:\n{}", wrong.join("\n"));
}
