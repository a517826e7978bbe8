//! The list of tools: its order, its pages, and that its bytes stay the same.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Endpoint, failure, session};
use crate::support::connected::second_server;
use crate::support::server::TestServer;

fn names(result: &Value) -> Vec<String> {
    result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_comes_in_pages_whose_cursors_cannot_be_made() {
    let server = TestServer::start().await;
    let every = ["readOnlyHint", "createHint", "updateHint", "destructiveHint"];
    let policy = || json!({ "tags": { "enable": every }, "preload": { "tools": "all" } });
    let everything = session(&server.api, policy()).await;
    let endpoint = Endpoint::new(&server.api, &everything);
    let first = endpoint.ask("tools/list", json!({})).await;
    assert_eq!(names(&first).len(), 500);
    let cursor = first["nextCursor"].as_str().unwrap();
    let second = endpoint.ask("tools/list", json!({ "cursor": cursor })).await;
    assert!(second.get("nextCursor").is_none());
    let all = [names(&first), names(&second)].concat();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "none twice");
    let (of_apps, meta): (Vec<&String>, Vec<&String>) = all.iter().partition(|name| !name.starts_with("COMPOSIO_"));
    assert!(of_apps.is_sorted() && of_apps.len() > 700, "{}", of_apps.len());
    assert_eq!(&all[all.len() - 4..], meta.into_iter().cloned().collect::<Vec<_>>(), "meta tools come last");

    let other = Endpoint::new(&server.api, &session(&server.api, policy()).await);
    let mut changed = cursor.to_owned();
    changed.replace_range(4..5, if &cursor[4..5] == "A" { "B" } else { "A" });
    for (title, endpoint, cursor) in [
        ("changed", &endpoint, changed.as_str()),
        ("invented", &endpoint, "NTAw"),
        ("of another session", &other, cursor),
        ("nothing", &endpoint, ""),
    ] {
        let reply = endpoint.ask_with(&json!({}), "tools/list", json!({ "cursor": cursor })).await;
        assert_eq!(failure(&reply), (200, -32_602, json!(7)), "{title}");
    }
    let reply = endpoint.ask_with(&json!({}), "tools/list", json!({ "cursor": 500 })).await;
    assert_eq!(failure(&reply), (200, -32_602, json!(7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_lists_are_the_same_bytes_also_after_restarts() {
    let server = TestServer::start().await;
    let policy = json!({ "toolkits": { "enable": ["github", "gmail"] }, "preload": { "tools": "all" } });
    let id = session(&server.api, policy).await;
    let mut bodies = BTreeSet::new();
    let mut digests = BTreeSet::new();
    for (api, times) in
        [(server.api.clone(), 334), (second_server(&server).await, 333), (second_server(&server).await, 333)]
    {
        let endpoint = Endpoint::new(&api, &id);
        for _ in 0..times {
            let reply = endpoint.ask_with(&json!({}), "tools/list", json!({})).await;
            let result = &reply.expect(200)["result"];
            digests.insert(result["_meta"]["dev.switchboard/digest"].as_str().unwrap().to_owned());
            bodies.insert(reply.body);
        }
    }
    assert_eq!((bodies.len(), digests.len()), (1, 1));
    // A handshake changes nothing about the tools.
    let endpoint = Endpoint::new(&server.api, &id);
    let stateless: Value = serde_json::from_slice(bodies.first().unwrap()).unwrap();
    let with_handshake = endpoint.begin("2025-06-18", json!({})).await;
    let listed = endpoint.ask_in("2025-06-18", &with_handshake, "tools/list", json!({})).await.expect(200);
    assert_eq!(listed["result"]["tools"], stateless["result"]["tools"]);
    assert_eq!(listed["result"]["_meta"]["dev.switchboard/digest"], *digests.first().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_policy_changes_only_the_tools_that_it_is_about() {
    let server = TestServer::start().await;
    let policy = |tools: &[&str]| json!({ "toolkits": { "enable": ["sandbox"] }, "preload": { "tools": tools } });
    let id = session(&server.api, policy(&["SANDBOX_LIST_NOTES", "SANDBOX_CREATE_NOTE"])).await;
    let endpoint = Endpoint::new(&server.api, &id);
    let before = endpoint.ask("tools/list", json!({})).await;
    let patch = json!({ "preload": { "tools": ["SANDBOX_LIST_NOTES"] } }).to_string();
    server.api.call("PATCH", &format!("/tool_router/session/{id}"), patch).await.expect(200);
    let after = endpoint.ask("tools/list", json!({})).await;
    let mut left = before["tools"].as_array().unwrap().clone();
    assert_eq!(left.remove(0)["name"], "SANDBOX_CREATE_NOTE");
    assert_eq!(after["tools"], json!(left));
    assert_ne!(before["_meta"]["dev.switchboard/digest"], after["_meta"]["dev.switchboard/digest"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_say_what_they_do() {
    let server = TestServer::start().await;
    let policy = json!({ "toolkits": { "enable": ["sandbox"] }, "preload": { "tools": "all" } });
    let listed = Endpoint::new(&server.api, &session(&server.api, policy).await).ask("tools/list", json!({})).await;
    let annotations = |name: &str| {
        let tools = listed["tools"].as_array().unwrap();
        let tool = tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name}"));
        assert!(tool["title"].is_string() && tool["description"].is_string(), "{tool}");
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        let hint = |name: &str| tool["annotations"][name].as_bool().unwrap();
        [hint("readOnlyHint"), hint("destructiveHint"), hint("idempotentHint"), hint("openWorldHint")]
    };
    assert_eq!(annotations("SANDBOX_LIST_NOTES"), [true, false, true, true]);
    assert_eq!(annotations("SANDBOX_CREATE_NOTE"), [false, false, false, true]);
    assert_eq!(annotations("SANDBOX_DELETE_NOTE"), [false, true, true, true]);
    assert_eq!(annotations("COMPOSIO_GET_TOOL_SCHEMAS"), [true, false, true, false]);
    assert_eq!(annotations("COMPOSIO_MULTI_EXECUTE_TOOL"), [false, true, false, true]);
}
