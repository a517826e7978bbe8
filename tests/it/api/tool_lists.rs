//! Lists of tools and calls without a session (contract sections 2.9, 6.5 and 6.6).

use serde_json::{Value, json};

use super::help::{KEY, connect_key, finish, text};
use super::meta_tools::META_TOOLS;
use super::tools::with_tools;
use crate::support::http::Api;

/// The slugs of a list.
async fn slugs(api: &Api, path: &str) -> Vec<String> {
    let page = api.get(path).await.expect(200);
    page["items"].as_array().unwrap().iter().map(|item| text(item, "slug")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_listed_by_toolkit_tag_and_words() {
    let (server, _) = with_tools().await;
    let api = &server.api;
    assert_eq!(slugs(api, "/tools?toolkit_slug=up").await, ["UP_CREATE_NOTE", "UP_DELETE_NOTE", "UP_LIST_NOTES"]);
    assert_eq!(slugs(api, "/tools?toolkit_slug=up&important=true").await.len(), 3);
    assert_eq!(slugs(api, "/tools?toolkit_slug=up&tags=readOnlyHint").await, ["UP_LIST_NOTES"]);
    assert_eq!(slugs(api, "/tools?toolkit_slug=up&query=throw+away+the+note").await[0], "UP_DELETE_NOTE");
    assert_eq!(slugs(api, "/tools?toolkit_slug=up&search=zzzz").await, [""; 0]);
    assert_eq!(slugs(api, "/tools?tool_slugs=up_list_notes,NO_SUCH").await, ["UP_LIST_NOTES"]);
    assert_eq!(slugs(api, "/tools?toolkit_slug=sandbox&scopes=notes:read").await, ["SANDBOX_LIST_NOTES"]);
    api.get("/tools?tags=greenHint").await.expect_error(400, "HTTP_BadRequest");
    let first = api.get("/tools?toolkit_slug=up&limit=2").await.expect(200);
    assert_eq!(first["total_items"], 3);
    let next = text(&first, "next_cursor");
    assert_eq!(slugs(api, &format!("/tools?toolkit_slug=up&limit=2&cursor={next}")).await, ["UP_LIST_NOTES"]);
    let all = api.get("/tools/enum").await.expect(200);
    assert!(all.as_array().unwrap().contains(&json!("UP_LIST_NOTES")));
    assert_eq!(api.get("/toolkits/up").await.expect(200)["meta"]["tools_count"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_shows_what_a_client_needs() {
    let (server, _) = with_tools().await;
    let tool = server.api.get("/tools/up_delete_note").await.expect(200);
    assert_eq!(
        tool,
        json!({
            "slug": "UP_DELETE_NOTE",
            "name": "Delete a note",
            "description": "Deletes a note. It cannot be undone.",
            "human_description": "Delete a note",
            "toolkit": { "slug": "up", "name": "Test up", "logo": format!("{}/assets/toolkits/up.svg", server.url) },
            "input_parameters": {
                "type": "object", "required": ["id"],
                "properties": { "id": { "type": "integer", "description": "Id of the note." } },
            },
            "output_parameters": { "type": "object", "properties": {} },
            "no_auth": false, "scopes": [],
            "tags": ["destructiveHint", "idempotentHint", "openWorldHint"],
            "version": "20261122_00", "available_versions": ["20261122_00"], "is_deprecated": false,
            "deprecated": {
                "displayName": "Delete a note", "version": "20261122_00", "available_versions": ["20261122_00"],
                "is_deprecated": false, "toolkit": { "logo": format!("{}/assets/toolkits/up.svg", server.url) },
            },
        })
    );
    server.api.get("/tools/UP_DELETE_NOTE?version=20261122_00").await.expect(200);
    server.api.get("/tools/UP_DELETE_NOTE?version=20200101_00").await.expect_error(400, "HTTP_BadRequest");
    server.api.get("/tools/UP_GONE").await.expect_error(404, "Tool_ToolNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lists_the_preloaded_tools_that_it_may_use() {
    let (server, _) = with_tools().await;
    let api = &server.api;
    for (policy, expected) in [
        (json!({}), vec![]),
        (
            json!({ "preload": { "tools": ["UP_LIST_NOTES", "up_create_note"] } }),
            vec!["UP_CREATE_NOTE", "UP_LIST_NOTES"],
        ),
        (
            json!({ "toolkits": { "enable": ["up"] }, "preload": { "tools": "all" }, "tags": ["readOnlyHint"] }),
            vec!["UP_LIST_NOTES"],
        ),
    ] {
        let mut body = json!({ "user_id": "u" });
        body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
        let session = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
        let all = [expected, META_TOOLS.to_vec()].concat();
        assert_eq!(slugs(api, &format!("/tool_router/session/{session}/tools?limit=500")).await, all, "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scopes_of_tools_are_told() {
    let (server, _) = with_tools().await;
    let body = json!({ "tools": ["SANDBOX_CREATE_NOTE", "SANDBOX_LIST_NOTES", "SANDBOX_GET_PROFILE"] });
    let answer = server.api.post("/tools/scopes/required", &body).await.expect(200);
    assert_eq!(answer["scopes_required"], json!(["notes:read", "notes:write"]));
    assert_eq!(
        answer["per_tool_requirements"][0],
        json!({ "tool": "SANDBOX_CREATE_NOTE", "scope_requirements": { "all_of": [{ "any_of": ["notes:write"] }] } })
    );
    assert_eq!(answer["per_tool_requirements"][2], json!({ "tool": "SANDBOX_GET_PROFILE" }));
    let mixed = json!({ "tools": ["SANDBOX_CREATE_NOTE", "UP_LIST_NOTES"] });
    server.api.post("/tools/scopes/required", &mixed).await.expect_error(400, "HTTP_BadRequest");
    server.api.post("/tools/scopes/required", &json!({ "tools": [] })).await.expect_error(400, "HTTP_BadRequest");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_not_here_is_refused_where_it_stands() {
    let (server, _) = with_tools().await;
    let api = &server.api;
    let old = "20200101_00";
    let tools = json!({ "tools": ["SANDBOX_LIST_NOTES"], "version": old });
    let toolkit = json!({ "tools": [], "toolkit_version": old });
    let call = json!({ "user_id": "u", "version": old });
    for (place, refused) in [
        ("query.version", api.get(&format!("/toolkits/sandbox?version={old}")).await),
        ("query.version", api.get(&format!("/tools/SANDBOX_LIST_NOTES?version={old}")).await),
        (
            "query.toolkit_version",
            api.get(&format!("/toolkits/sandbox/scopes/grant_context?toolkit_version={old}")).await,
        ),
        ("payload.toolkit_version", api.post("/toolkits/sandbox/scopes/recommended", &toolkit).await),
        ("payload.version", api.post("/tools/scopes/required", &tools).await),
        ("payload.version", api.post("/tools/execute/SANDBOX_LIST_NOTES", &call).await),
    ] {
        let problem = refused.expect_error(400, "HTTP_BadRequest")["errors"][0].clone();
        let problem = problem.as_str().unwrap();
        assert!(problem.starts_with(&format!("Error in {place}: must be latest or ")), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_recommended_for_tools() {
    let upstream = super::help::Upstream::start().await;
    let host = &upstream.host;
    let toolkit = format!(
        "{}[oauth2]\nauthorization_url = \"http://{host}/a\"\ntoken_url = \"http://{host}/t\"\nscopes = [\"a\"]\n",
        super::help::bare("sc", &format!("http://{host}"), host)
    );
    let tool = |name: &str, scopes: &str| {
        format!(
            "[[tools]]\nslug = \"SC_{name}\"\ntitle = \"T\"\ndescription = \"T.\"\nuse_cases = [\"A.\", \"B.\"]\n\
             effect = \"read\"\nmethod = \"GET\"\npath = \"/x\"\nscopes = {scopes}\n"
        )
    };
    let tools = [
        tool("ONE", r#"[["one.read"], ["all"]]"#),
        tool("TWO", r#"[["two.read"], ["all"]]"#),
        tool("BOTH", r#"[["all", "extra"], ["one.read", "two.read"]]"#),
        tool("FREE", "[]"),
    ];
    let server = crate::support::server::TestServer::builder().toolkit("sc", &toolkit).tools("sc", &tools.concat());
    let server = server.start().await;
    let recommend = async |body: Value| server.api.post("/toolkits/sc/scopes/recommended", &body).await;
    for (body, least, fewest) in [
        (json!({ "tools": ["SC_ONE"] }), json!(["one.read"]), json!(["one.read"])),
        (json!({ "tools": ["SC_ONE", "SC_TWO"] }), json!(["one.read", "two.read"]), json!(["all"])),
        (
            json!({ "tools": ["SC_ONE", "SC_TWO"], "exclude": ["all"] }),
            json!(["one.read", "two.read"]),
            json!(["one.read", "two.read"]),
        ),
        (
            json!({ "tools": ["SC_BOTH"], "available_scopes": ["one.read", "two.read"] }),
            json!(["one.read", "two.read"]),
            json!(["one.read", "two.read"]),
        ),
        (json!({ "tools": ["SC_FREE"], "include": ["x"] }), json!(["x"]), json!(["x"])),
    ] {
        let answer = recommend(body.clone()).await.expect(200);
        assert_eq!((&answer["scopes"]["least_privilege"], &answer["scopes"]["fewest"]), (&least, &fewest), "{body}");
        assert_eq!(answer["auth_scheme"], "OAUTH2");
    }
    for body in [
        json!({ "tools": ["SC_ONE"], "exclude": ["all", "one.read"] }),
        json!({ "tools": ["SANDBOX_LIST_NOTES"] }),
        json!({ "tools": [], "auth_scheme": "API_KEY" }),
    ] {
        recommend(body.clone()).await.expect_error(400, "HTTP_BadRequest");
    }
    recommend(json!({ "tools": ["SC_GONE"] })).await.expect_error(404, "Tool_ToolNotFound");
    server.api.get("/toolkits/nope/scopes/grant_context").await.expect_error(404, "Toolkit_NotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_runs_for_a_user_without_a_session() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let (_, account) = connect_key(api, "u", "up").await;
    upstream.take();
    let run = async |body: Value| api.post("/tools/execute/UP_LIST_NOTES", &body).await;
    for body in [
        json!({ "user_id": "u" }),
        json!({ "entity_id": "u", "version": "latest", "arguments": {} }),
        json!({ "user_id": "u", "connected_account_id": account }),
    ] {
        let done = run(body.clone()).await.expect(200);
        assert_eq!(
            (&done["successful"], &done["error"], &done["data"]),
            (&json!(true), &Value::Null, &json!({})),
            "{body}"
        );
        assert_eq!(upstream.take().len(), 1, "{body}");
    }
    for (body, status, slug) in [
        (json!({}), 400, "ActionExecute_ConnectedAccountEntityIdRequired"),
        (json!({ "connected_account_id": account }), 400, "ActionExecute_ConnectedAccountEntityIdRequired"),
        (
            json!({ "user_id": "other", "connected_account_id": account }),
            400,
            "ActionExecute_ConnectedAccountEntityIdMismatch",
        ),
        (json!({ "user_id": "other" }), 404, "ActionExecute_ConnectedAccountNotFound"),
        (
            json!({ "user_id": "u", "connected_account_id": "ca_unknown" }),
            404,
            "ActionExecute_ConnectedAccountNotFound",
        ),
        (json!({ "user_id": "u", "version": "20200101_00" }), 400, "HTTP_BadRequest"),
        (json!({ "user_id": "u", "text": "list my notes" }), 501, "HTTP_NotImplemented"),
        (json!({ "user_id": "u", "arguments": { "lable": 1 } }), 400, "HTTP_BadRequest"),
    ] {
        run(body.clone()).await.expect_error(status, slug);
        assert!(upstream.take().is_empty(), "{body}");
    }
    // Another project has neither the account nor its user.
    let other = server.other_project("other").await;
    let foreign = json!({ "user_id": "u", "connected_account_id": account });
    let reply = other.post("/tools/execute/UP_LIST_NOTES", &foreign).await;
    reply.expect_error(404, "ActionExecute_ConnectedAccountNotFound");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_session_uses_a_shared_account_only_by_its_list() {
    let (server, upstream) = with_tools().await;
    let api = &server.api;
    let session = api.session("owner", "up").await;
    let body = json!({ "toolkit": "up", "experimental": {
        "account_type": "SHARED", "acl_config_for_shared": { "allowed_user_ids": ["friend"] },
    }});
    let link = api.post(&format!("/tool_router/session/{session}/link"), &body).await.expect(201);
    let account = finish(api, &link, &[("generic_api_key", KEY)]).await;
    upstream.take();
    let run = async |user: &str| {
        let body = json!({ "user_id": user, "connected_account_id": account });
        api.post("/tools/execute/UP_LIST_NOTES", &body).await
    };
    run("friend").await.expect(200);
    run("stranger").await.expect_error(403, "ConnectedAccount_SharedAccessDenied");
    assert_eq!(upstream.take().len(), 1);
    // Without its id, a shared account is never used.
    let reply = api.post("/tools/execute/UP_LIST_NOTES", &json!({ "user_id": "owner" })).await;
    reply.expect_error(404, "ActionExecute_ConnectedAccountNotFound");
}
