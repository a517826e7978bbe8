//! `POST /tool_router/session/{session_id}/search` (contract section 2.10): which tools are found, and what an agent needs
//! to call them.

use serde_json::{Value, json};
use switchboard::app::tool::search::{SearchRequest, ToolQuery};

use super::help::{auth_config, connect_key, finish, on_session, text};
use super::tools::{run, with_tools};
use crate::support::http::{Api, Reply};

/// A session with this policy besides its user; its id.
async fn session(api: &Api, policy: Value) -> String {
    let mut body = json!({ "user_id": "u" });
    body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    text(&api.post("/tool_router/session", &body).await.expect(201), "session_id")
}

async fn reply(api: &Api, session: &str, body: &Value) -> Reply {
    on_session(api, session, "search", body).await
}

/// The answer to one query.
async fn search(api: &Api, session: &str, use_case: &str) -> Value {
    reply(api, session, &json!({ "queries": [{ "use_case": use_case }] })).await.expect(200)
}

fn slugs(answer: &Value, field: &str) -> Vec<String> {
    let slugs = answer["results"][0][field].as_array().unwrap();
    slugs.iter().map(|slug| slug.as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_returns_tools_with_schemas_connections_and_steps() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({ "toolkits": { "enable": ["up"] } })).await;
    let query = json!({ "use_case": "write a note", "known_fields": "Folder: inbox, colour: red" });
    let body = json!({ "queries": [query], "model": "any", "search_strategy": "auto" });
    let answer = reply(api, &session, &body).await.expect(200);
    assert_eq!((&answer["success"], &answer["error"]), (&json!(true), &Value::Null), "{answer}");
    let result = &answer["results"][0];
    assert_eq!((&result["index"], &result["use_case"]), (&json!(1), &json!("write a note")));
    assert_eq!(result["primary_tool_slugs"][0], "UP_CREATE_NOTE", "{answer}");
    assert_eq!(result["toolkits"], json!(["up"]));
    assert_eq!(
        result["recommended_plan_steps"],
        json!([
            "Connect toolkit up.",
            "Call UP_CREATE_NOTE with `folder` = inbox, `text`.",
            "If the outcome of the call is unknown, check it with UP_LIST_NOTES.",
        ])
    );
    assert_eq!(
        result["known_pitfalls"],
        json!(["UP_DELETE_NOTE can delete something, or have an effect that cannot be undone."])
    );
    let tool = api.get("/tools/UP_CREATE_NOTE").await.expect(200);
    let schema = &answer["tool_schemas"]["UP_CREATE_NOTE"];
    assert_eq!(schema["input_schema"], tool["input_parameters"]);
    assert_eq!((&schema["hasFullSchema"], &schema["toolkit"]), (&json!(true), &json!("up")));
    let status = &answer["toolkit_connection_statuses"][0];
    assert_eq!((&status["toolkit"], &status["has_active_connection"]), (&json!("up"), &json!(false)));
    assert!(text(status, "status_message").contains(&format!("/session/{session}/link")), "{status}");
    assert!(status.get("accounts").is_none() && status.get("connection_details").is_none(), "{status}");
    assert_eq!(answer["session"]["id"], json!(session));
    assert_eq!(answer["session"]["generate_id"], false);
    assert!(answer["time_info"]["current_time_utc_epoch_seconds"].is_i64(), "{answer}");
    assert!(answer["next_steps_guidance"][0].as_str().unwrap().starts_with("Connect up before"), "{answer}");

    let (_, account) = connect_key(api, "u", "up").await;
    let again = reply(api, &session, &body).await.expect(200);
    let status = &again["toolkit_connection_statuses"][0];
    assert_eq!(status["has_active_connection"], true);
    assert_eq!(status["connection_details"]["connected_account_id"], json!(account));
    assert_eq!(
        (&status["account_type"], &status["status_message"]),
        (&json!("PRIVATE"), &json!("The user is connected to toolkit up."))
    );
    assert_eq!(again["results"][0]["recommended_plan_steps"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_session_may_not_run_is_not_found_and_the_reason_is_told() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    for (policy, reason) in [
        (
            json!({ "toolkits": { "enable": ["up"] }, "tags": ["readOnlyHint"] }),
            "The session's policy excludes this tool",
        ),
        (
            json!({ "tools": { "up": { "enable": ["UP_LIST_NOTES"] } }, "toolkits": { "enable": ["up"] } }),
            "The session's policy",
        ),
        (json!({ "toolkits": { "disable": ["up", "sandbox"] } }), "not allowed"),
    ] {
        let session = session(api, policy.clone()).await;
        let answer = search(api, &session, "throw the note of test up away, delete it").await;
        let found: Vec<String> = [slugs(&answer, "primary_tool_slugs"), slugs(&answer, "related_tool_slugs")].concat();
        assert!(!found.contains(&"UP_DELETE_NOTE".to_owned()), "{policy}: {found:?}");
        let notes = answer["results"][0].get("error").unwrap_or(&answer["next_steps_guidance"][0]);
        let notes = notes.as_str().unwrap();
        assert!(notes.contains("of toolkit up would fit") && notes.contains(reason), "{policy}: {notes}");
        assert!(!answer.to_string().contains("UP_DELETE_NOTE"), "{policy}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_can_be_limited_to_toolkits() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({})).await;
    let body = |toolkits: Value| json!({ "queries": [{ "use_case": "list my notes" }], "toolkits": toolkits });
    let answer = reply(api, &session, &body(json!(["SANDBOX"]))).await.expect(200);
    assert_eq!(slugs(&answer, "primary_tool_slugs")[0], "SANDBOX_LIST_NOTES");
    assert_eq!(answer["results"][0]["toolkits"], json!(["sandbox"]));
    reply(api, &session, &body(json!(["no-such"]))).await.expect_error(400, "ToolRouterV2_InvalidToolkitSlugs");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_auth_config_of_the_account_limits_what_is_found() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let config = auth_config(api, "up", "API_KEY").await;
    let session = session(api, json!({ "toolkits": { "enable": ["up"] } })).await;
    finish(api, &api.link(&session, "up").await, &[("generic_api_key", super::help::KEY)]).await;
    let lists =
        json!({ "type": "custom", "tool_access_config": { "tools_available_for_execution": ["UP_LIST_NOTES"] } });
    api.call("PATCH", &format!("/auth_configs/{config}"), lists.to_string()).await.expect(200);
    let answer = search(api, &session, "note").await;
    assert_eq!(slugs(&answer, "primary_tool_slugs"), ["UP_LIST_NOTES"]);
    assert_eq!(slugs(&answer, "related_tool_slugs"), [""; 0]);
    let answer = search(api, &session, "delete a note, throw it away").await;
    let told = answer["next_steps_guidance"][0].as_str().unwrap();
    assert!(told.contains("The account's auth config excludes this tool"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_several_accounts_says_which_there_are() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let policy = json!({ "multi_account": { "enable": true, "require_explicit_selection": true } });
    let session = session(api, policy).await;
    let mut accounts = Vec::new();
    for alias in ["home", "work"] {
        let link = on_session(api, &session, "link", &json!({ "toolkit": "up", "alias": alias })).await.expect(201);
        accounts.push(finish(api, &link, &[("generic_api_key", super::help::KEY)]).await);
        server.clock.advance(std::time::Duration::from_secs(1));
    }
    let answer = search(api, &session, "list notes of test up").await;
    let statuses = answer["toolkit_connection_statuses"].as_array().unwrap();
    let status = statuses.iter().find(|status| status["toolkit"] == "up").unwrap();
    assert_eq!(status["account_selection"], "required");
    let listed: Vec<_> = status["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|account| (text(account, "id"), text(account, "alias"), account["is_default"].as_bool().unwrap()))
        .collect();
    let expected = [(accounts[1].clone(), "work".to_owned(), true), (accounts[0].clone(), "home".to_owned(), false)];
    assert_eq!(listed, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_nothing_fits_fails_alone() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({ "toolkits": { "enable": ["up"] } })).await;
    let body = json!({ "queries": [{ "use_case": "list notes" }, { "use_case": "xylophone zzyzx" }] });
    let answer = reply(api, &session, &body).await.expect(200);
    assert_eq!(answer["success"], false);
    assert_eq!(answer["error"], "1 of 2 queries found no tool; see results[].error");
    assert_eq!(answer["results"][0].get("error"), None);
    assert_eq!(answer["results"][1]["primary_tool_slugs"], json!([]));
    assert!(text(&answer["results"][1], "error").starts_with("No tool fits."), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_checked() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({})).await;
    let query = |use_case: String| json!({ "use_case": use_case });
    for (body, place) in [
        (json!({ "queries": [] }), "payload.queries: must have 1 to 7 queries"),
        (json!({ "queries": vec![query("x".to_owned()); 8] }), "payload.queries: must have 1 to 7 queries"),
        (json!({ "queries": [query(String::new())] }), "payload.queries.0.use_case"),
        (json!({ "queries": [query("x".repeat(1_025))] }), "payload.queries.0.use_case"),
        (
            json!({ "queries": [{ "use_case": "x", "known_fields": "x".repeat(501) }] }),
            "payload.queries.0.known_fields",
        ),
        (json!({ "queries": [query("x".to_owned())], "search_strategy": "magic" }), "search_strategy"),
    ] {
        let refused = reply(api, &session, &body).await.expect(400);
        assert!(refused.to_string().contains(place), "{place}: {refused}");
    }
    let longest = json!({ "queries": vec![query("é".repeat(1_024)); 7] });
    assert_eq!(reply(api, &session, &longest).await.expect(200)["success"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_callers_own_tools_are_found_too() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({ "toolkits": { "enable": ["up"] } })).await;
    let input = json!({ "type": "object", "properties": { "cups": { "type": "integer" } } });
    let brew =
        json!({ "slug": "brew", "name": "Brew coffee", "description": "Makes coffee. Hot.", "input_schema": input });
    let toolkit =
        json!({ "slug": "kitchen", "name": "Kitchen", "description": "Machines of the kitchen.", "tools": [brew] });
    let body = json!({
        "queries": [{ "use_case": "make some coffee" }],
        "experimental": { "custom_toolkits": [toolkit] },
    });
    let answer = reply(api, &session, &body).await.expect(200);
    assert_eq!(slugs(&answer, "primary_tool_slugs")[0], "LOCAL_KITCHEN_BREW");
    assert_eq!(answer["tool_schemas"]["LOCAL_KITCHEN_BREW"]["input_schema"], input);
    let statuses = answer["toolkit_connection_statuses"].as_array().unwrap();
    let status = statuses.iter().find(|status| status["toolkit"] == "kitchen").unwrap();
    assert_eq!(
        (&status["has_active_connection"], &status["description"]),
        (&json!(true), &json!("Machines of the kitchen."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_that_is_found_runs_past_the_policy_of_the_session() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let uses = ["send a mail", "delete the old one", "list everything", "change the title", "create a note"];
    let queries: Vec<Value> = uses.iter().map(|use_case| json!({ "use_case": use_case })).collect();
    for policy in [
        json!({}),
        json!({ "tags": ["readOnlyHint"] }),
        json!({ "tags": { "disable": ["destructiveHint", "createHint"] } }),
        json!({ "toolkits": { "disable": ["slack", "gmail"] }, "tools": { "up": { "disable": ["UP_CREATE_NOTE"] } } }),
        json!({ "toolkits": { "enable": ["github", "up"] }, "tools": { "github": { "tags": ["updateHint"] } } }),
    ] {
        let session = session(api, policy.clone()).await;
        let answer = reply(api, &session, &json!({ "queries": queries })).await.expect(200);
        let found = answer["tool_schemas"].as_object().unwrap();
        assert!(found.len() > 2, "{policy}");
        for slug in found.keys() {
            // Policy and tool are the first checks. A later one refuses: there are no arguments and no account.
            let outcome = run(api, &session, slug, json!({})).await;
            assert!([200, 400].contains(&outcome.status), "{policy}: {slug}: {}", outcome.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_have_a_limit_and_say_where_the_rest_is() {
    let (server, _upstream) = with_tools().await;
    let api = &server.api;
    let session = session(api, json!({})).await;
    let uses = [
        "github issue",
        "send a mail",
        "calendar event",
        "stripe invoice",
        "jira issue",
        "notion page",
        "hubspot deal",
    ];
    let queries: Vec<Value> = uses.iter().map(|use_case| json!({ "use_case": use_case })).collect();
    let answer = reply(api, &session, &json!({ "queries": queries })).await.expect(200);
    let schemas = answer["tool_schemas"].as_object().unwrap();
    let full = schemas.values().filter(|schema| schema["hasFullSchema"] == true);
    let size: usize =
        full.map(|schema| schema["input_schema"].to_string().len() + text(schema, "description").len()).sum();
    assert!(size > 10_000 && size <= 22_000, "{size} bytes");
    let (slug, rest) = schemas.iter().find(|(_, schema)| schema["hasFullSchema"] == false).unwrap();
    assert!(rest.get("input_schema").is_none(), "{rest}");
    assert_eq!(rest["schemaRef"]["tool"], "COMPOSIO_GET_TOOL_SCHEMAS");
    assert_eq!(rest["schemaRef"]["args"]["tool_slugs"], json!([slug]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_of_all_toolkits_are_read_at_once() {
    let (server, _upstream) = with_tools().await;
    for (policy, reads) in [(json!({}), 1), (json!({ "multi_account": { "enable": true } }), 2)] {
        let id = session(&server.api, policy).await;
        let session = server.app.sessions.get(&server.project_id, &id.as_str().into()).await.unwrap();
        let uses = ["send a mail", "create an issue", "list notes", "refund a payment"];
        let queries = uses.map(|use_case| ToolQuery { use_case: use_case.to_owned(), known_fields: None });
        let request = SearchRequest { queries: queries.into(), ..SearchRequest::default() };
        let mut least = u64::MAX;
        for _ in 0..10 {
            let before = server.app.core.store.read_counts();
            let found = server.app.tools.search(&session, &request).await.unwrap();
            assert!(found.toolkit_connection_statuses.len() > 3);
            least = least.min(server.app.core.store.read_counts().reads - before.reads);
        }
        assert_eq!(least, reads);
    }
}
