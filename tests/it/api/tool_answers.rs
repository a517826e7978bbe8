//! Answers as providers really give them, and arguments as models really leave them out: each is a result that a client
//! can use.

use std::io::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::help::{Upstream, connect_key, http, text};
use super::tools::run;
use crate::support::server::TestServer;

const JSON: &str = "content-type: application/json\r\n";

const TOOLS: &str = r#"
[[tools]]
slug = "UP_READ"
title = "Read"
description = "Reads a thing."
use_cases = ["Read the thing.", "What is in it?"]
effect = "read"
method = "GET"
path = "/thing"
timeout = 1
[tools.output]
n = { type = "integer", description = "A number." }
text = { type = "string", description = "A text." }
list = { type = "array", description = "A list.", items = { type = "string" } }

[[tools]]
slug = "UP_ATTACH"
title = "Attach"
description = "Attaches a file."
use_cases = ["Attach the file.", "Add the file."]
effect = "create"
method = "POST"
path = "/files"
body = "multipart"
[tools.input]
title = { type = "string", description = "Title." }
file = { type = "string", description = "The file.", file_uploadable = true }
"#;

async fn world() -> (TestServer, Upstream, String) {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).tools("up", TOOLS).start().await;
    let (session, _) = connect_key(&server.api, "u", "up").await;
    upstream.take();
    (server, upstream, session)
}

/// The result of the tool that reads, which must be there.
async fn result((server, upstream, session): &(TestServer, Upstream, String), answer: Vec<u8>) -> Value {
    upstream.play(answer);
    let done = run(&server.api, session, "UP_READ", json!({})).await.expect(200);
    assert_eq!((&done["result_type"], &done["error"]), (&json!("completed"), &Value::Null), "{done}");
    done["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_differs_from_its_description_is_passed_on() {
    let world = world().await;
    for body in [
        json!({ "n": null, "text": null, "list": null }),
        json!({ "n": "7", "text": 7, "list": { "a": 1 }, "more": true }),
        json!({}),
    ] {
        let found = result(&world, http("200 OK", JSON, body.to_string().as_bytes())).await;
        assert_eq!(found, body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_value_is_an_empty_result() {
    let world = world().await;
    for answer in [
        http("204 No Content", "", b""),
        http("200 OK", JSON, b""),
        http("200 OK", "", b""),
        http("200 OK", JSON, b"null"),
        http("200 OK", JSON, b" null \n"),
    ] {
        assert_eq!(result(&world, answer).await, json!({}));
    }
    for (body, expected) in
        [("7", json!({ "value": 7 })), ("\"x\"", json!({ "value": "x" })), ("[]", json!({ "items": [] }))]
    {
        assert_eq!(result(&world, http("200 OK", JSON, body.as_bytes())).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_may_be_packed_in_chunks_or_end_with_its_connection() {
    let world = world().await;
    let body = json!({ "n": 1, "text": "é".repeat(2_000) });
    let plain = body.to_string();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(plain.as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    let chunked = |bytes: &[u8], headers: &str| {
        let mut answer = format!("HTTP/1.1 200 OK\r\n{JSON}{headers}transfer-encoding: chunked\r\n\r\n").into_bytes();
        for chunk in bytes.chunks(97) {
            answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            answer.extend_from_slice(chunk);
            answer.extend_from_slice(b"\r\n");
        }
        answer.extend_from_slice(b"0\r\n\r\n");
        answer
    };
    let mut until_the_end = format!("HTTP/1.1 200 OK\r\n{JSON}connection: close\r\n\r\n").into_bytes();
    until_the_end.extend_from_slice(plain.as_bytes());
    for answer in [
        http("200 OK", &format!("{JSON}content-encoding: gzip\r\n"), &packed),
        chunked(plain.as_bytes(), ""),
        chunked(&packed, "content-encoding: gzip\r\n"),
        until_the_end,
    ] {
        assert_eq!(result(&world, answer).await, body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_has_its_own_time() {
    let (server, upstream, session) = world().await;
    let (asked, _held) = upstream.hold();
    let start = Instant::now();
    let failed = run(&server.api, &session, "UP_READ", json!({})).await.expect(200);
    assert!(asked.await.is_ok() && start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(
        (&failed["result_type"], &failed["data"]["error_code"]),
        (&json!("failed"), &json!("provider_timeout")),
        "{failed}"
    );
    assert!(!text(&failed, "error").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_value_for_a_file_is_no_file() {
    let (server, upstream, session) = world().await;
    upstream.play(http("200 OK", JSON, b"{}"));
    for file in [json!(""), json!(null), json!({}), json!({ "name": "", "mimetype": "", "s3key": "" })] {
        let done = run(&server.api, &session, "UP_ATTACH", json!({ "title": "t", "file": file })).await.expect(200);
        assert_eq!(done["result_type"], "completed", "{file}: {done}");
        let seen = upstream.only();
        assert!(seen.contains("name=\"title\"") && !seen.contains("name=\"file\""), "{seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_says_in_one_word_what_it_may_do() {
    let (server, _upstream, _) = world().await;
    let page = server.api.get("/tools?limit=1000").await.expect(200);
    let tools = page["items"].as_array().unwrap();
    assert!(tools.len() > 700, "{}", tools.len());
    let effects = ["readOnlyHint", "createHint", "updateHint", "destructiveHint"];
    for tool in tools {
        let tags: Vec<&str> = tool["tags"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(tags.iter().filter(|tag| effects.contains(tag)).count(), 1, "{}: {tags:?}", tool["slug"]);
    }
}

/// The places of files in a schema that have no title.
fn untitled(place: &str, schema: &Value, found: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if members.get("file_uploadable") == Some(&json!(true))
                && !members.get("title").is_some_and(Value::is_string)
            {
                found.push(place.to_owned());
            }
            members.iter().for_each(|(name, schema)| untitled(&format!("{place}/{name}"), schema, found));
        }
        Value::Array(items) => items.iter().for_each(|schema| untitled(place, schema, found)),
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_argument_that_is_a_file_has_a_title() {
    let (server, _upstream, _) = world().await;
    let page = server.api.get("/tools?limit=1000").await.expect(200);
    let (mut files, mut found) = (0, Vec::new());
    for tool in page["items"].as_array().unwrap() {
        let schema = &tool["input_parameters"];
        files += usize::from(schema.to_string().contains("\"file_uploadable\":true"));
        untitled(tool["slug"].as_str().unwrap(), schema, &mut found);
    }
    assert!(files > 10 && found.is_empty(), "{files} tools, without a title: {found:?}");
    let tool = server.api.get("/tools/UP_ATTACH").await.expect(200);
    assert_eq!(tool["input_parameters"]["properties"]["file"]["title"], "File");
}
