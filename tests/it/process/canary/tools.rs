//! What models write into arguments, and what is in the files that tools are given: in calls that succeed, fail, are
//! refused and are repeated; with and without a project that keeps the content of calls.

use serde_json::{Value, json};

use super::canary;
use super::world::World;
use crate::support::wait::until;

const REPEATED: &[&str] = &["argument"];

pub async fn with_secret_arguments(world: &mut World) {
    let argument = canary("argument");
    world.secret("argument", &argument);
    let content = canary("file-content");
    world.secret("file content", &content);
    let session = world.session("echokey", None).await;
    let (link, mut browser) = world.link(&session, "echokey").await;
    let key = canary("key-for-tools");
    world.secret("entered credential", &key);
    let reply = browser.submit(&link.url, &[("generic_api_key", &key)]).await;
    world.note("echokey form for tools", &reply, &["link token", "browser cookie"]);
    let mut logged = vec![call(world, &session, &argument, &content).await];
    let settings = json!({ "log_visibility_setting": "show_all" });
    let reply = world.api.call("PATCH", "/org/project/config", settings.to_string()).await;
    world.note("project that keeps content", &reply, &[]);
    reply.expect(200);
    logged.push(call(world, &session, &argument, &content).await);
    refused(world, &session, &argument, &content).await;
    for (id, may) in logged.iter().zip([&[][..], REPEATED]) {
        let path = format!("/logs/tool_execution/{id}");
        until("the call in the log", async || world.api.get(&path).await.status == 200).await;
        let reply = world.api.get(&path).await;
        world.note("a logged call", &reply, may);
        let reply = world.api.get(&format!("{path}/explain")).await;
        world.note("an explained call", &reply, &[]);
        reply.expect(200);
    }
    let reply = world.api.post("/logs/tool_execution", &json!({})).await;
    world.note("the list of calls", &reply, &[]);
}

/// A call that succeeds, its dry run, and one that is repeated with its key.
async fn call(world: &mut World, session: &str, argument: &str, content: &str) -> String {
    let path = format!("/tool_router/session/{session}/execute");
    let file = format!("data:text/plain,{}", form_urlencoded::byte_serialize(content.as_bytes()).collect::<String>());
    let arguments = json!({ "text": argument, "file": { "s3url": file, "name": "a.txt" } });
    let mut body = json!({ "tool_slug": "ECHOKEY_SEND", "arguments": arguments });
    let key = format!("key-{}", rand::random::<u32>());
    let url = format!("{}{path}", world.api.base);
    let headers = [
        ("x-api-key", world.api.key.clone()),
        ("content-type", "application/json".to_owned()),
        ("idempotency-key", key),
    ];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut id = String::new();
    for _ in 0..2 {
        let reply = world.api.http.send("POST", &url, &headers, body.to_string()).await;
        world.note("a call with secret arguments", &reply, &[]);
        let answer = reply.expect(200);
        assert_eq!(answer["result_type"], "completed", "{answer}");
        answer["log_id"].as_str().unwrap().clone_into(&mut id);
    }
    body["dry_run"] = json!(true);
    let reply = world.api.post(&path, &body).await;
    world.note("a dry run with secret arguments", &reply, &["argument", "file content"]);
    reply.expect(200);
    id
}

/// Calls that are refused for their arguments: the error quotes no value.
async fn refused(world: &mut World, session: &str, argument: &str, content: &str) {
    let path = format!("/tool_router/session/{session}/execute");
    let long = argument.repeat(9);
    for arguments in [
        json!({ "text": [argument] }),
        json!({ "text": { "x": argument } }),
        json!({ "text": long }),
        json!({ "text": "x", "number": argument }),
        json!({ "text": "x", "kind": argument }),
        json!({ "text": "x", "file": format!("/home/{content}") }),
        json!({ "text": "x", "file": content }),
        json!({ "text": "x", "file": { "s3url": content } }),
        Value::from(format!("{{\"text\": \"{argument}\"")),
    ] {
        let reply = world.api.post(&path, &json!({ "tool_slug": "ECHOKEY_SEND", "arguments": arguments })).await;
        world.note("a call with wrong arguments", &reply, &[]);
        assert_eq!(reply.status, 400, "{arguments}: {}", reply.text());
    }
    for response in [json!({ "fields": [argument] }), json!({ "max_items": argument }), json!({ "format": argument })] {
        let body = json!({ "tool_slug": "ECHOKEY_SEND", "arguments": { "text": "x" }, "response": response });
        let reply = world.api.post(&path, &body).await;
        world.note("a call with a wrong form of its result", &reply, &[]);
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
    let path = format!("/tool_router/session/{session}/read_result");
    for (id, path_in, word) in [(argument, "$", "x"), ("log_none", argument, "x"), ("log_none", "$", &*long)] {
        let reply = world.api.post(&path, &json!({ "log_id": id, "path": path_in, "contains": word })).await;
        world.note("a part of a result", &reply, &[]);
        assert_eq!(reply.status, 400, "{}", reply.text());
    }
}
