//! A session keeps the versions of tools that it began with, whatever happens to the toolkit's files.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::help::{TOOLS, Upstream, connect_key, http, on_session, sql, text};
use super::tools::{run, with_tools};
use crate::support::server::TestServer;

const OLD: &str = "20261122_00";
const NEW: &str = "20261201_00";
const DAY: Duration = Duration::from_hours(24);

/// The next version of the tools: one is gone, one is new, one has another path and another argument.
fn new_tools() -> String {
    let create = &TOOLS[TOOLS.find("[[tools]]").unwrap()..TOOLS.find("[[tools]]\nslug = \"UP_DELETE_NOTE\"").unwrap()];
    let list = &TOOLS[TOOLS.find("[[tools]]\nslug = \"UP_LIST_NOTES\"").unwrap()..];
    let read = list.replace("UP_LIST_NOTES", "UP_READ_NOTE").replace("List notes", "Read a note");
    let list = list.replace("\"/notes\"", "\"/v2/notes\"").replace(
        "[tools.input]\n",
        "[tools.input]\nbook = { type = \"string\", description = \"Which book.\", required = true }\n",
    );
    format!("{create}{list}{read}")
}

fn folder(server: &TestServer) -> PathBuf {
    server.database().parent().unwrap().join("toolkits/up")
}

/// Edits the files of the toolkit, as a developer or an upgrade does.
fn edit(server: &TestServer, toolkit: &str, tools: &str) {
    std::fs::write(folder(server).join("toolkit.toml"), toolkit).unwrap();
    std::fs::write(folder(server).join("tools.toml"), tools).unwrap();
    assert!(server.app.core.catalog.reload().problems.is_empty());
}

/// The toolkit's file in a version.
fn toolkit(upstream: &Upstream, version: &str) -> String {
    upstream.toolkit("up").replace(OLD, version)
}

async fn session(server: &TestServer) -> String {
    let body = json!({ "user_id": "u", "toolkits": { "enable": ["up"] }, "preload": { "tools": "all" } });
    text(&server.api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

async fn list(server: &TestServer, session: &str) -> Vec<u8> {
    let listed = server.api.get(&format!("/tool_router/session/{session}/tools")).await;
    listed.expect(200);
    listed.body.to_vec()
}

/// Slugs and versions of a list, without the meta tools.
fn named(list: &[u8]) -> Vec<(String, String)> {
    let page: Value = serde_json::from_slice(list).unwrap();
    let items = page["items"].as_array().unwrap().iter();
    let tools = items.filter(|item| item["toolkit"]["slug"] != "COMPOSIO");
    tools.map(|item| (text(item, "slug"), text(item, "version"))).collect()
}

async fn ask_for(server: &TestServer, session: &str, versions: Value) -> crate::support::http::Reply {
    let body = json!({ "toolkit_versions": versions }).to_string();
    server.api.call("PATCH", &format!("/tool_router/session/{session}"), body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_its_tools_until_it_asks_for_others() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"[]"));
    let session_id = session(&server).await;
    let before = list(&server, &session_id).await;
    assert_eq!(named(&before).len(), 3);

    edit(&server, &toolkit(&upstream, NEW), &new_tools());
    assert_eq!(list(&server, &session_id).await, before, "the same bytes");
    upstream.take();
    let done = run(api, &session_id, "UP_LIST_NOTES", json!({})).await.expect(200);
    assert_eq!(done["error"], Value::Null, "the new version would need an argument");
    assert!(upstream.only().starts_with("GET /base/notes HTTP/1.1\r\n"));
    let log = format!("/logs/tool_execution/{}", text(&done, "log_id"));
    server.app.call_log.write().await.unwrap();
    assert!(api.get(&log).await.text().contains(OLD));
    upstream.play(http("204 No Content", "", b""));
    let deleted = run(api, &session_id, "UP_DELETE_NOTE", json!({ "id": 7 })).await.expect(200);
    assert_eq!(deleted["error"], Value::Null, "{deleted}");
    upstream.take();
    let unknown = run(api, &session_id, "UP_READ_NOTE", json!({})).await;
    let unknown = unknown.expect_error(404, "ToolRouterV2_ToolNotFound");
    let fix = text(&unknown, "suggested_fix");
    for part in [OLD, NEW, session_id.as_str(), r#"{"toolkit_versions":{"up":"latest"}}"#] {
        assert!(fix.contains(part), "{fix}");
    }

    let other = session(&server).await;
    let new = [("UP_CREATE_NOTE", NEW), ("UP_LIST_NOTES", NEW), ("UP_READ_NOTE", NEW)];
    let new = new.map(|(slug, version)| (slug.to_owned(), version.to_owned()));
    assert_eq!(named(&list(&server, &other).await), new);
    // A change of something else moves nothing.
    let patch = json!({ "tags": ["readOnlyHint", "createHint", "destructiveHint"] }).to_string();
    api.call("PATCH", &format!("/tool_router/session/{session_id}"), patch).await.expect(200);
    assert_eq!(list(&server, &session_id).await, before);

    let moved = ask_for(&server, &session_id, json!({ "up": "latest" })).await.expect(200);
    assert_eq!(moved["config_version"], 3);
    assert_eq!(named(&list(&server, &session_id).await), new);
    run(api, &session_id, "UP_LIST_NOTES", json!({})).await.expect_error(400, "HTTP_BadRequest");
    assert!(upstream.take().is_empty());
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"[]"));
    run(api, &session_id, "UP_LIST_NOTES", json!({ "book": "b" })).await.expect(200);
    assert!(upstream.only().starts_with("GET /base/v2/notes?book=b HTTP/1.1\r\n"));
    ask_for(&server, &session_id, json!({ "up": OLD })).await.expect(200);
    assert_eq!(list(&server, &session_id).await, before);
    ask_for(&server, &session_id, json!("latest")).await.expect(200);
    assert_eq!(named(&list(&server, &session_id).await), new);
    for (versions, problem) in [
        (json!({ "up": "20200101_00" }), format!("must be latest or one of the versions here: {NEW}, {OLD}")),
        (json!("20200101_00"), "must be latest, or an object with a version per toolkit".to_owned()),
        (json!({ "nope": "latest" }), "nope".to_owned()),
        (json!(7), "latest".to_owned()),
    ] {
        let refused = ask_for(&server, &session_id, versions.clone()).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{versions}: {}", refused.text());
        assert!(refused.text().contains(&problem), "{versions}: {}", refused.text());
    }
    let body = json!({ "user_id": "u", "toolkits": { "enable": ["up"] }, "preload": { "tools": "all" },
        "toolkit_versions": { "UP": OLD } });
    let pinned = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    assert_eq!(named(&list(&server, &pinned).await), named(&before));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_lists_are_the_same_bytes() {
    let (server, upstream) = with_tools().await;
    let session = session(&server).await;
    let digest = |list: &[u8]| Sha256::digest(list);
    let first = digest(&list(&server, &session).await);
    for number in 0..1_000 {
        if number % 100 == 50 {
            let version = format!("202612{:02}_00", number / 100 + 1);
            edit(&server, &toolkit(&upstream, &version).replace("Test up", &version), &new_tools());
        }
        assert_eq!(digest(&list(&server, &session).await), first, "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_version_is_neither_listed_nor_run() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let session_id = session(&server).await;
    list(&server, &session_id).await;
    upstream.take();
    let withdrawn = |rest: &str| {
        let rule = format!("\n[[withdrawn]]\nversion = \"{OLD}\"\nreason = \"It deleted too much.\"\n{rest}");
        format!("{}{rule}", toolkit(&upstream, NEW))
    };
    edit(&server, &withdrawn(""), &new_tools());
    let listed = api.get(&format!("/tool_router/session/{session_id}/tools")).await;
    let executed = run(api, &session_id, "UP_LIST_NOTES", json!({})).await;
    for refused in [listed, executed] {
        let refused = refused.expect_error(410, "Tool_VersionWithdrawn");
        assert_eq!(
            refused["message"],
            format!("Version {OLD} of toolkit up was withdrawn: It deleted too much. Version {NEW} replaces it")
        );
        let fix = format!(
            "Move the session to it: PATCH /api/v3.1/tool_router/session/{session_id} with \
             {{\"toolkit_versions\":{{\"up\":\"{NEW}\"}}}}."
        );
        assert_eq!(refused["suggested_fix"], fix);
    }
    let direct = json!({ "user_id": "u", "version": OLD });
    api.post("/tools/execute/UP_LIST_NOTES", &direct).await.expect_error(410, "Tool_VersionWithdrawn");
    api.get(&format!("/tools/UP_LIST_NOTES?version={OLD}")).await.expect_error(410, "Tool_VersionWithdrawn");
    ask_for(&server, &session_id, json!({ "up": OLD })).await.expect_error(410, "Tool_VersionWithdrawn");
    assert_eq!(api.get("/tools/UP_LIST_NOTES").await.expect(200)["available_versions"], json!([NEW]));
    assert!(upstream.take().is_empty(), "nothing was sent");
    let changelog = api.get("/toolkits/changelog").await.text();
    assert!(changelog.contains(&format!("Withdrawn: It deleted too much. Use version {NEW}.")), "{changelog}");
    ask_for(&server, &session_id, json!({ "up": NEW })).await.expect(200);
    assert_eq!(named(&list(&server, &session_id).await).len(), 3);

    // Only one of its tools is concerned.
    edit(&server, &withdrawn("tools = [\"UP_DELETE_NOTE\"]\n"), &new_tools());
    let body = json!({ "user_id": "u", "toolkit_versions": { "up": OLD } });
    let old = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    let refused = run(api, &old, "UP_DELETE_NOTE", json!({ "id": 7 })).await;
    refused.expect_error(410, "Tool_VersionWithdrawn");
    assert!(upstream.take().is_empty(), "nothing was sent");
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"[]"));
    assert_eq!(run(api, &old, "UP_LIST_NOTES", json!({})).await.expect(200)["error"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn earlier_versions_are_read_and_run_by_their_names() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"[]"));
    let note = format!("\n[[changelog]]\nversion = \"{OLD}\"\ntext = \"The first tools.\"\n");
    edit(&server, &format!("{}{note}", toolkit(&upstream, NEW)), &new_tools());
    session(&server).await;
    let direct = async |tool: &str, version: &str, arguments: Value| {
        let body = json!({ "user_id": "u", "version": version, "arguments": arguments });
        api.post(&format!("/tools/execute/{tool}"), &body).await
    };
    upstream.take();
    direct("UP_LIST_NOTES", OLD, json!({})).await.expect(200);
    assert!(upstream.only().starts_with("GET /base/notes HTTP/1.1\r\n"));
    for version in [NEW, "latest"] {
        direct("UP_LIST_NOTES", version, json!({ "book": "b" })).await.expect(200);
        assert!(upstream.only().starts_with("GET /base/v2/notes?book=b HTTP/1.1\r\n"));
    }
    let unknown = direct("UP_LIST_NOTES", "20200101_00", json!({})).await.expect_error(400, "HTTP_BadRequest");
    let problem = format!("Error in payload.version: must be latest or one of the versions here: {NEW}, {OLD}");
    assert_eq!(unknown["errors"], json!([problem]));
    direct("UP_READ_NOTE", OLD, json!({})).await.expect_error(404, "Tool_ToolNotFound");

    let read = async |query: &str| api.get(&format!("/tools/UP_LIST_NOTES{query}")).await.expect(200);
    for (query, version, has_book) in [
        ("", NEW, true),
        (&*format!("?version={OLD}"), OLD, false),
        (&format!("?toolkit_versions%5Bup%5D={OLD}"), OLD, false),
        ("?toolkit_versions=latest", NEW, true),
    ] {
        let tool = read(query).await;
        assert_eq!((tool["version"].as_str(), &tool["available_versions"]), (Some(version), &json!([NEW, OLD])));
        assert_eq!(tool["input_parameters"]["properties"]["book"].is_object(), has_book, "{query}");
    }
    let gone = api.get(&format!("/tools/UP_DELETE_NOTE?version={OLD}")).await.expect(200);
    assert_eq!(gone["version"], OLD);
    api.get("/tools/UP_DELETE_NOTE").await.expect_error(404, "Tool_ToolNotFound");
    let listed = api.get(&format!("/tools?toolkit_slug=up&toolkit_versions%5Bup%5D={OLD}")).await.expect(200);
    assert_eq!(listed["total_items"], 3);
    assert_eq!(listed["items"][1]["slug"], "UP_DELETE_NOTE");
    api.get("/tools?toolkit_versions=20261122_00").await.expect_error(400, "HTTP_BadRequest");
    let whole = api.get(&format!("/toolkits/up?version={OLD}")).await.expect(200);
    assert_eq!((&whole["meta"]["version"], &whole["meta"]["available_versions"]), (&json!(OLD), &json!([NEW, OLD])));

    let changelog = api.get("/toolkits/changelog").await.expect(200);
    let up = changelog["items"].as_array().unwrap().iter().find(|item| item["slug"] == "up").unwrap();
    let changes = "Added: UP_READ_NOTE. Removed: UP_DELETE_NOTE. Changed: UP_LIST_NOTES (now required: book).";
    assert_eq!(
        up["versions"],
        json!([{ "version": NEW, "changelog": changes }, { "version": OLD, "changelog": "The first tools." }])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_before_and_a_toolkit_that_gets_its_first_tools_are_kept_from_their_first_use() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    connect_key(api, "u", "up").await;
    let old = session(&server).await;
    sql(&server.database(), "UPDATE sessions SET release_set = NULL");
    tokio::time::sleep(Duration::from_millis(1_100)).await; // what the server remembers of a session
    let before = list(&server, &old).await;
    edit(&server, &toolkit(&upstream, NEW), &new_tools());
    assert_eq!(list(&server, &old).await, before);

    std::fs::remove_file(folder(&server).join("tools.toml")).unwrap();
    server.app.core.catalog.reload();
    let body = json!({ "user_id": "u" });
    let early = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    run(api, &early, "UP_LIST_NOTES", json!({})).await.expect_error(404, "ToolRouterV2_ToolNotFound");
    edit(&server, &toolkit(&upstream, OLD), TOOLS);
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"[]"));
    upstream.take();
    run(api, &early, "UP_LIST_NOTES", json!({})).await.expect(200);
    edit(&server, &toolkit(&upstream, NEW), &new_tools());
    run(api, &early, "UP_LIST_NOTES", json!({})).await.expect(200);
    for seen in upstream.take() {
        assert!(seen.starts_with("GET /base/notes HTTP/1.1\r\n"), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_deleted_a_year_after_the_last_session_that_uses_it() {
    let (server, upstream) = with_tools().await;
    let session_id = session(&server).await;
    let before = list(&server, &session_id).await;
    edit(&server, &toolkit(&upstream, NEW), &new_tools());
    let releases = || sql(&server.database(), "SELECT version FROM toolkit_releases WHERE toolkit = 'up' ORDER BY 1");
    let sweep = async || server.app.sweeps.delete_old_rows().await.unwrap();
    for _ in 0..3 {
        server.clock.advance(200 * DAY);
        sweep().await;
    }
    assert_eq!(releases(), json!([[OLD], [NEW]]), "a session uses it");
    assert_eq!(list(&server, &session_id).await, before);

    server.api.delete(&format!("/tool_router/session/{session_id}")).await.expect(200);
    server.clock.advance(364 * DAY);
    sweep().await;
    assert_eq!(releases(), json!([[OLD], [NEW]]), "not before its time");
    server.clock.advance(2 * DAY);
    sweep().await;
    assert_eq!(releases(), json!([[OLD], [NEW]]), "its set has gone, from which its own time counts");
    server.clock.advance(366 * DAY);
    sweep().await;
    assert_eq!(releases(), json!([[NEW]]));
    let refused = ask_for(&server, &session(&server).await, json!({ "up": OLD })).await;
    assert!(refused.text().contains(&format!("must be latest or one of the versions here: {NEW}")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_and_a_raw_call_do_not_read_versions() {
    let (server, upstream) = with_tools().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    edit(&server, &toolkit(&upstream, NEW), &new_tools());
    sql(&server.database(), "DELETE FROM release_sets");
    sql(&server.database(), "DELETE FROM release_set_members");
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"{}"));
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    on_session(&server.api, &session, "proxy_execute", &body).await.expect(200);
    server.api.link(&session, "up").await;
}
