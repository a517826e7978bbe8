//! Two projects, each with everything: an id of the other gets exactly the response of an unknown id,
//! in every place, and changes nothing there (R63); inside a project no user gets another's
//! account (R64).

use serde_json::{Value, json};
use switchboard::api::operations::Keys;
use switchboard::api::table;
use switchboard::id::Kind;

use super::help::{KEY, auth_config, connect_key, finish, on_session, proxy, sql, text, unknown, with_upstream};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

/// A project's things.
struct Graph {
    api: Api,
    session: String,
    account: String,
    shared: String,
    config: String,
    job: String,
    link: String,
    log: String,
}

async fn graph(api: &Api, key: &str) -> Graph {
    let config = auth_config(api, "up", "API_KEY").await;
    let session = api.session("same-user", "up").await;
    super::mounts::upload(api, &session, "own.txt", key.as_bytes()).await;
    super::mounts::upload(api, &session, "results/log_own.json", b"{}").await;
    let made = api.link(&session, "up").await;
    let link = text(&made, "link_token")[..23].to_owned();
    let account = finish(api, &made, &[("generic_api_key", key)]).await;
    let body = json!({ "toolkit": "up", "alias": "all", "account_type": "SHARED", "acl_config_for_shared": { "allow_all_users": true } });
    let made = on_session(api, &session, "link", &body).await.expect(201);
    let shared = finish(api, &made, &[("generic_api_key", key)]).await;
    let made = api.link(&session, "up").await;
    let deleted = finish(api, &made, &[("generic_api_key", key)]).await;
    let job = text(&api.delete(&format!("/connected_accounts/{deleted}")).await.expect(200), "revoke_job_id");
    // A call that changes something is in the log at once.
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST" });
    proxy(api, &session, &body).await.expect(200);
    let log = text(&api.post("/logs/tool_execution", &json!({})).await.expect(200)["logs"][0], "id");
    Graph { api: api.clone(), session, account, shared, config, job, link, log }
}

/// Everything a project owns but the keys' last use.
fn rows(server: &TestServer, project: &str) -> Value {
    let tables = [
        "projects WHERE id",
        "sessions WHERE project_id",
        "connected_accounts WHERE project_id",
        "auth_configs WHERE project_id",
        "links WHERE project_id",
        "attempts WHERE project_id",
        "session_versions WHERE project_id",
        "verifications WHERE project_id",
        "revocations WHERE project_id",
        "jobs WHERE project_id",
        "files WHERE project_id",
        "idempotency_keys WHERE project_id",
        "tool_calls WHERE project_id",
        "approvals WHERE project_id",
        "audit_events WHERE project_id",
    ];
    tables
        .iter()
        .map(|table| sql(&server.database(), &format!("SELECT * FROM {table} = '{project}' ORDER BY 1")))
        .collect()
}

/// The answer without what differs anyway: the id that was asked for, and the request's own.
fn anonymous(reply: &Reply, id: &str) -> (u16, Value) {
    let mut body = reply.json();
    if let Some(error) = body.get_mut("error") {
        error["request_id"] = Value::Null;
    }
    (reply.status, serde_json::from_str(&body.to_string().replace(id, "{ID}")).unwrap())
}

/// Method, path and body with `{ID}`, and the kind of id that stands there.
fn requests() -> Vec<(Kind, &'static str, String, Value)> {
    use Kind::{AuthConfig, ConnectedAccount, Link, RevokeJob, Session, ToolLog};
    let state = json!({ "authScheme": "API_KEY", "val": { "generic_api_key": KEY } });
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    let with = |field: &str, value: Value| {
        let mut body = json!({ "user_id": "same-user" });
        body[field] = value;
        body
    };
    vec![
        (Session, "GET", "/tool_router/session/{ID}".to_owned(), Value::Null),
        (Session, "POST", "/tool_router/session/{ID}/link".to_owned(), json!({ "toolkit": "up" })),
        (Session, "POST", "/tool_router/session/{ID}/proxy_execute".to_owned(), call),
        (Session, "GET", "/tool_router/session/{ID}/tools".to_owned(), Value::Null),
        (Session, "POST", "/tool_router/session/{ID}/execute".to_owned(), json!({ "tool_slug": "SANDBOX_LIST_NOTES" })),
        (
            Session,
            "POST",
            "/tool_router/session/{ID}/execute_meta".to_owned(),
            json!({ "slug": "COMPOSIO_MANAGE_CONNECTIONS", "arguments": { "toolkits": ["sandbox"] } }),
        ),
        (Session, "GET", "/tool_router/session/{ID}/approvals".to_owned(), Value::Null),
        (Session, "GET", "/tool_router/session/{ID}/approvals/own".to_owned(), Value::Null),
        (Session, "POST", "/tool_router/session/{ID}/approvals/own".to_owned(), json!({ "decision": "approve" })),
        (
            Session,
            "POST",
            "/tool_router/session/{ID}/search".to_owned(),
            json!({ "queries": [{ "use_case": "list notes" }] }),
        ),
        (Session, "PATCH", "/tool_router/session/{ID}".to_owned(), json!({ "tags": ["readOnlyHint"] })),
        (Session, "POST", "/tool_router/session/{ID}/attach".to_owned(), json!({})),
        (Session, "GET", "/tool_router/session/{ID}/config_history".to_owned(), Value::Null),
        (Session, "GET", "/tool_router/session/{ID}/toolkits".to_owned(), Value::Null),
        (Session, "GET", "/tool_router/session/{ID}/mounts/files/items".to_owned(), Value::Null),
        (
            Session,
            "POST",
            "/tool_router/session/{ID}/mounts/files/upload_url".to_owned(),
            json!({ "mount_relative_path": "new.txt" }),
        ),
        (
            Session,
            "POST",
            "/tool_router/session/{ID}/mounts/files/download_url".to_owned(),
            json!({ "mount_relative_path": "own.txt" }),
        ),
        (
            Session,
            "POST",
            "/tool_router/session/{ID}/mounts/files/delete".to_owned(),
            json!({ "mount_relative_path": "own.txt" }),
        ),
        (Session, "POST", "/tool_router/session/{ID}/read_result".to_owned(), json!({ "log_id": "log_own" })),
        (Session, "DELETE", "/tool_router/session/{ID}".to_owned(), Value::Null),
        (ConnectedAccount, "GET", "/connected_accounts/{ID}".to_owned(), Value::Null),
        (
            ConnectedAccount,
            "GET",
            "/connected_accounts?account_type=ALL&connected_account_ids={ID}".to_owned(),
            Value::Null,
        ),
        (
            ConnectedAccount,
            "POST",
            "/tool_router/session".to_owned(),
            with("connected_accounts", json!({ "up": ["{ID}"] })),
        ),
        (
            ConnectedAccount,
            "POST",
            "/tool_router/session".to_owned(),
            with("connected_accounts", json!({ "up": "{ID}" })),
        ),
        (
            ConnectedAccount,
            "PATCH",
            "/tool_router/session/{SESSION}".to_owned(),
            json!({ "connected_accounts": { "up": ["{ID}"] } }),
        ),
        (ConnectedAccount, "PATCH", "/connected_accounts/{ID}".to_owned(), json!({ "alias": "renamed" })),
        (ConnectedAccount, "PATCH", "/connected_accounts/{ID}/status".to_owned(), json!({ "enabled": true })),
        (ConnectedAccount, "POST", "/connected_accounts/{ID}/refresh".to_owned(), Value::Null),
        (ConnectedAccount, "POST", "/connected_accounts/{ID}/revoke".to_owned(), Value::Null),
        (ConnectedAccount, "DELETE", "/connected_accounts/{ID}".to_owned(), Value::Null),
        (AuthConfig, "GET", "/auth_configs/{ID}".to_owned(), Value::Null),
        (AuthConfig, "GET", "/auth_configs?show_disabled=true&search={ID}".to_owned(), Value::Null),
        (AuthConfig, "GET", "/connected_accounts?account_type=ALL&auth_config_ids={ID}".to_owned(), Value::Null),
        (AuthConfig, "POST", "/tool_router/session".to_owned(), with("auth_configs", json!({ "up": "{ID}" }))),
        (AuthConfig, "PATCH", "/tool_router/session/{SESSION}".to_owned(), json!({ "auth_configs": { "up": "{ID}" } })),
        (
            AuthConfig,
            "POST",
            "/connected_accounts/link".to_owned(),
            json!({ "auth_config_id": "{ID}", "user_id": "same-user" }),
        ),
        (
            AuthConfig,
            "POST",
            "/connected_accounts".to_owned(),
            json!({ "auth_config": { "id": "{ID}" }, "connection": { "state": state } }),
        ),
        (AuthConfig, "PATCH", "/auth_configs/{ID}".to_owned(), json!({ "type": "custom", "name": "renamed" })),
        (AuthConfig, "PATCH", "/auth_configs/{ID}/DISABLED".to_owned(), Value::Null),
        (AuthConfig, "PATCH", "/auth_configs/{ID}/ENABLED".to_owned(), Value::Null),
        (AuthConfig, "DELETE", "/auth_configs/{ID}".to_owned(), Value::Null),
        (RevokeJob, "GET", "/revoke_jobs/{ID}".to_owned(), Value::Null),
        (ConnectedAccount, "GET", "/connected_accounts/{ID}/explain".to_owned(), Value::Null),
        (Link, "GET", "/links/{ID}/explain".to_owned(), Value::Null),
        (ToolLog, "GET", "/logs/tool_execution/{ID}".to_owned(), Value::Null),
        (ToolLog, "GET", "/logs/tool_execution/{ID}/explain".to_owned(), Value::Null),
        (ToolLog, "GET", "/internal/action_execution/log/{ID}".to_owned(), Value::Null),
    ]
}

async fn send(graph: &Graph, method: &str, path: &str, body: &Value, id: &str) -> Reply {
    let body = if body.is_null() { String::new() } else { body.to_string().replace("{ID}", id) };
    graph.api.call(method, &path.replace("{ID}", id).replace("{SESSION}", &graph.session), body).await
}

fn ids_of(graph: &Graph, kind: Kind) -> Vec<String> {
    match kind {
        Kind::Session => vec![graph.session.clone()],
        Kind::AuthConfig => vec![graph.config.clone()],
        Kind::RevokeJob => vec![graph.job.clone()],
        Kind::Link => vec![graph.link.clone()],
        Kind::ToolLog => vec![graph.log.clone()],
        _ => vec![graph.account.clone(), graph.shared.clone()],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_of_another_project_is_an_unknown_id_everywhere() {
    let (server, upstream) = with_upstream().await;
    let other = server.other_project("Other").await;
    let other_id = text_of(&sql(&server.database(), "SELECT id FROM projects WHERE name='Other'"));
    let mine = graph(&server.api, KEY).await;
    let theirs = graph(&other, "the-others-key").await;
    upstream.take();
    let projects = [(&mine, &theirs, other_id.clone()), (&theirs, &mine, server.project_id.to_string())];
    for (one, two, owner) in projects {
        let before = rows(&server, &owner);
        assert!(before[2].as_array().unwrap().len() == 3 && !before[12].as_array().unwrap().is_empty(), "{before}");
        for (kind, method, path, body) in requests() {
            for foreign in ids_of(two, kind) {
                let nobodys = unknown(kind);
                let theirs = anonymous(&send(one, method, &path, &body, &foreign).await, &foreign);
                let reference = anonymous(&send(one, method, &path, &body, &nobodys).await, &nobodys);
                assert_eq!(theirs, reference, "{method} {path} {body}");
                let is_empty_page = theirs.0 == 200 && theirs.1["total_items"] == 0;
                assert!(is_empty_page || (400..=404).contains(&theirs.0), "{method} {path}: {theirs:?}");
                // No spelling of it gets through either.
                for odd in [
                    foreign.to_uppercase(),
                    foreign.to_lowercase(),
                    format!("{foreign}%00"),
                    format!("{foreign}%20"),
                    format!("%2e%2f{foreign}"),
                ] {
                    let reply = send(one, method, &path, &body, &odd).await;
                    let is_nothing = reply.status == 200 && reply.json()["total_items"] == 0;
                    assert!(
                        is_nothing || (400..=404).contains(&reply.status),
                        "{method} {path} {odd}: {}",
                        reply.text()
                    );
                }
            }
        }
        assert_eq!(rows(&server, &owner), before, "the other project's rows");
    }
    assert!(upstream.take().is_empty(), "nothing was sent with any credential");
}

fn text_of(rows: &Value) -> String {
    rows[0][0].as_str().unwrap().to_owned()
}

/// No operation that takes an id of a project's own can be forgotten here.
#[test]
fn every_operation_with_an_id_of_a_project_is_tested() {
    let tried: Vec<(&str, String)> =
        requests().into_iter().map(|(_, method, path, _)| (method, template(&path))).collect();
    let takes_an_id = |path: &str| path.contains("/{session_id}") || path.ends_with("/{id}") || path.contains("/{id}/");
    let mut count = 0;
    for operation in table::all().filter(|it| it.works_here() && takes_an_id(it.path)) {
        if matches!(operation.keys, Keys::Project | Keys::ProjectOrUser) {
            let path = template(operation.path).replace("/{status}", "/DISABLED");
            assert!(tried.contains(&(operation.method, path)), "not tried: {operation:?}");
            count += 1;
        }
    }
    assert!(count >= 19, "{count}");
}

/// A path with `{}` for every id and without its query.
fn template(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let parts = path.split('/').map(|part| match part {
        "{ID}" | "{SESSION}" | "{id}" | "{session_id}" => "{}",
        "{mount_id}" => "files",
        "{approval_id}" => "own",
        other => other,
    });
    parts.collect::<Vec<&str>>().join("/")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_requests_work_with_the_project_s_own_ids() {
    let (server, _upstream) = with_upstream().await;
    for (kind, method, path, body) in requests() {
        // Fresh for each: some of them delete.
        let own = graph(&server.other_project("Fresh").await, KEY).await;
        let id = ids_of(&own, kind).remove(0);
        let reply = send(&own, method, &path, &body, &id).await;
        if path.ends_with("/refresh") || path.ends_with("/revoke") {
            // Found, and refused for what it is: a key can be neither refreshed nor revoked.
            reply.expect_error(400, "ConnectedAccount_BadRequest");
            continue;
        }
        if path.ends_with("/approvals/own") {
            // The session is found; it has asked for no approval.
            reply.expect_error(404, "ToolRouterV2_ApprovalNotFound");
            continue;
        }
        if path.ends_with("/{ID}/execute") {
            // Found, and refused by its policy.
            reply.expect_error(403, "ToolRouterV2_ToolkitNotAllowed");
            continue;
        }
        assert!((200..300).contains(&reply.status), "{method} {path}: {}", reply.text());
        if path.ends_with("/{ID}/approvals") {
            // There are none.
            continue;
        }
        if path.ends_with("/{ID}/tools") {
            // It preloads none.
            continue;
        }
        assert!(reply.json().get("items").is_none_or(|items| !items.as_array().unwrap().is_empty()), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_filters_and_cursors_stay_inside_the_project() {
    let (server, _upstream) = with_upstream().await;
    let other = server.other_project("Other").await;
    let mine = graph(&server.api, KEY).await;
    let theirs = graph(&other, "the-others-key").await;
    for query in ["", "&user_ids=same-user", "&toolkit_slugs=up", "&statuses=ACTIVE", "&limit=1"] {
        let page = mine.api.get(&format!("/connected_accounts?account_type=ALL{query}")).await.expect(200);
        assert_eq!(page["total_items"], 2, "{query}");
        assert!(!page.to_string().contains(&theirs.account) && !page.to_string().contains(&theirs.shared), "{query}");
    }
    let cursor =
        theirs.api.get("/connected_accounts?account_type=ALL&limit=1").await.expect(200)["next_cursor"].clone();
    let page = mine
        .api
        .get(&format!("/connected_accounts?account_type=ALL&cursor={}", cursor.as_str().unwrap()))
        .await
        .expect(200);
    assert!(!page.to_string().contains(&theirs.account) && !page.to_string().contains(&theirs.shared), "{page}");
    let page = mine.api.get("/auth_configs?search=up").await.expect(200);
    assert_eq!((&page["total_items"], &page["items"][0]["id"]), (&json!(1), &json!(mine.config)));
    assert_eq!(page["items"][0]["no_of_connections"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_an_account_does_not_get_another_user_s_account() {
    let (server, upstream) = with_upstream().await;
    let api = &server.api;
    let (_, account) = connect_key(api, "alice", "up").await;
    let config = text(&api.get(&format!("/connected_accounts/{account}")).await.expect(200)["auth_config"], "id");
    upstream.take();
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    for user in ["bob", "Alice", "alice ", "default", "*", "%", "ali_e"] {
        for body in [json!({ "user_id": user }), json!({ "user_id": user, "auth_configs": { "up": config } })] {
            let session = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
            let error = proxy(api, &session, &call).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
            assert_eq!(error["code"], 4302);
            assert_eq!(error["message"], format!("No active connection found for user ID {user} for toolkit up"));
        }
    }
    assert!(upstream.take().is_empty());
}
