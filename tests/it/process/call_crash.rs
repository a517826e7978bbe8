//! The process dies at every step of a call that changes something. The provider, which counts, never does it twice, and
//! the repeated request is told the truth.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::stalling::{Stalling, Stop};
use crate::api::help::{TOOLS, connect_key, http};
use crate::support::http::{Api, Reply};
use crate::support::process::{Dev, own_address};
use crate::support::wait::until;

const JSON: &str = "content-type: application/json\r\n";

/// Tools that send and return files, and change something.
const FILE_TOOLS: &str = r#"
[[tools]]
slug = "UP_SEND_FILE"
title = "Send a file"
description = "Replaces the file."
use_cases = ["Send the report.", "Replace the picture."]
effect = "update"
method = "PUT"
path = "/file"
body = "file"
[tools.input]
file = { type = "string", description = "The file.", required = true, file_uploadable = true }

[[tools]]
slug = "UP_PRINT_NOTE"
title = "Print a note"
description = "Prints a note and returns the file."
use_cases = ["Print my note.", "Make a PDF of the note."]
effect = "create"
method = "POST"
path = "/notes/print"
download = true
"#;

/// Bytes that fill every buffer between the server and a provider that reads none.
const FILE: usize = 16 << 20;

/// Who ends the process.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The process itself, at a place in the program.
    At(&'static str),
    /// `kill -9` while the connection to the provider is not established.
    WhileConnecting,
    /// `kill -9` while the request has begun: the provider has its head.
    InRequest,
    /// `kill -9` while the provider has the request and has not answered.
    WhileSent,
    /// `kill -9` while a part of the answer is there.
    InAnswer,
    /// `kill -9` after the response.
    AfterResponse,
}

/// The files of a server with the provider as toolkit `up`.
struct Files {
    folder: TempDir,
    listen: String,
}

impl Files {
    fn of(upstream: &Stalling) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let toolkit = folder.path().join("toolkits/up");
        std::fs::create_dir_all(&toolkit).unwrap();
        std::fs::write(toolkit.join("toolkit.toml"), upstream.toolkit("up")).unwrap();
        std::fs::write(toolkit.join("tools.toml"), [TOOLS, FILE_TOOLS].concat()).unwrap();
        Self { folder, listen: own_address() }
    }

    fn path(&self, name: &str) -> String {
        Path::new(self.folder.path()).join(name).to_str().unwrap().to_owned()
    }

    fn start(&self, place: Option<&str>) -> Dev {
        let (data, toolkits) = (self.path("data"), self.path("toolkits"));
        let arguments = ["--log", "off", "--toolkits", &toolkits];
        match place {
            Some(place) => Dev::start_until(place, &self.listen, Path::new(&data), &arguments),
            None => Dev::start_on(&self.listen, Path::new(&data), &arguments, Stdio::null()),
        }
    }
}

/// A call with a key; none if its server died.
async fn call(api: &Api, session: &str, operation: &str, body: &Value) -> Option<Reply> {
    let url = format!("{}/tool_router/session/{session}/{operation}", api.base);
    let headers = [("x-api-key", api.key.as_str()), ("content-type", "application/json"), ("idempotency-key", "k")];
    api.http.try_send("POST", &url, &headers, body.to_string()).await.ok()
}

/// What the repeated request has to get.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    /// The call is made: it was not before.
    Made,
    /// It may have been made.
    Unknown,
    /// The response of the first one, which did not arrive.
    Kept,
    /// The response of the first one.
    Replayed,
}

/// Uploads a file to the session.
async fn upload(api: &Api, session: &str) {
    let body = json!({ "mount_relative_path": "large.bin" });
    let path = format!("/tool_router/session/{session}/mounts/files/upload_url");
    let made = api.post(&path, &body).await.expect(201);
    let url = made["upload_url"].as_str().unwrap();
    assert_eq!(api.http.send("PUT", url, &[], vec![7; FILE]).await.status, 200);
}

/// Whether a connection to this address waits for the other end, by the kernel's table (state 02 is `SYN_SENT`).
fn is_connecting_to(host: &str) -> bool {
    let port = host.rsplit(':').next().unwrap().parse::<u16>().unwrap();
    let place = format!("0100007F:{port:04X}");
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        columns.get(2) == Some(&place.as_str()) && columns.get(3) == Some(&"02")
    })
}

/// Crashes one call, repeats it on a new server; the requests that reached the provider in all.
async fn crash(end: End, operation: &str, body: &Value, expected: Expected) -> usize {
    crash_with(end, (operation, body), expected, &http("201 Created", JSON, br#"{"note":{"id":7}}"#)).await
}

/// The same with this answer of the provider.
async fn crash_with(end: End, (operation, body): (&str, &Value), expected: Expected, answer: &[u8]) -> usize {
    let upstream = Stalling::start(answer);
    let files = Files::of(&upstream);
    let mut dev = files.start(None);
    let (key, first) = (dev.key.clone().unwrap(), dev.api());
    let (session, _) = connect_key(&first, "u", "up").await;
    if matches!(end, End::InRequest) {
        upload(&first, &session).await;
    }
    upstream.take();
    let mut earlier = None;
    let mut calling = tokio::task::JoinSet::new();
    let mut begin = || {
        let (api, session, operation, body) = (first.clone(), session.clone(), operation.to_owned(), body.clone());
        calling.spawn(async move { call(&api, &session, &operation, &body).await });
    };
    match end {
        End::At(place) => {
            dev.kill();
            dev = files.start(Some(place));
            assert!(
                call(&Api::new(&dev.url, &key), &session, operation, body).await.is_none(),
                "{place} was not reached"
            );
            dev.child.wait().unwrap();
        }
        End::WhileConnecting => {
            let shut = upstream.shut().await;
            begin();
            let connecting = async || is_connecting_to(&upstream.host).then_some(()).ok_or("no connection");
            until("a connection is not established", connecting).await;
            dev.kill();
            drop(shut);
        }
        // With a large body, most of it is still to be sent.
        End::InRequest | End::WhileSent => {
            let stopped = upstream.stop(Stop::AfterHead);
            begin();
            stopped.await.unwrap();
            dev.kill();
        }
        End::InAnswer => {
            // More than the buffers on the way have: the server has read some of it.
            let large = json!({ "notes": vec!["a note"; 100_000] }).to_string();
            let mut beginning = http("200 OK", JSON, large.as_bytes());
            beginning.truncate(large.len());
            let stopped = upstream.stop(Stop::InAnswer(beginning));
            begin();
            stopped.await.unwrap();
            dev.kill();
        }
        End::AfterResponse => {
            earlier = call(&first, &session, operation, body).await;
            dev.kill();
        }
    }
    while let Some(called) = calling.join_next().await {
        assert!(called.unwrap().is_none(), "{end:?}: the call had a response");
    }
    let dev = files.start(None);
    let reply = call(&Api::new(&dev.url, &key), &session, operation, body).await.unwrap();
    match expected {
        Expected::Made => assert_eq!(reply.expect(200)["result_type"], "completed"),
        Expected::Replayed => assert_eq!(reply.body, earlier.unwrap().body),
        Expected::Kept => {
            assert_eq!(reply.header("idempotent-replayed"), Some("true"));
            assert_eq!(reply.expect(200)["result_type"], "completed");
        }
        Expected::Unknown if operation == "proxy_execute" => {
            reply.expect_error(409, "Idempotency_CallOutcomeUnknown");
        }
        Expected::Unknown => {
            let told = reply.expect(200);
            assert_eq!(
                (&told["result_type"], &told["data"]["error_code"]),
                (&json!("failed"), &json!("outcome_unknown")),
                "{end:?}"
            );
        }
    }
    upstream.take()
}

/// Where the process dies, what the repeated request gets, and how often the provider is asked in all.
const STEPS: [(End, Expected, usize); 10] = [
    (End::At("before_call_row"), Expected::Made, 1),
    (End::At("after_call_row"), Expected::Unknown, 0),
    (End::WhileConnecting, Expected::Unknown, 0),
    (End::WhileSent, Expected::Unknown, 1),
    (End::At("after_call_answer_head"), Expected::Unknown, 1),
    (End::InAnswer, Expected::Unknown, 1),
    (End::At("before_call_end"), Expected::Unknown, 1),
    (End::At("before_call_response"), Expected::Unknown, 1),
    (End::At("after_call_end"), Expected::Kept, 1),
    (End::AfterResponse, Expected::Replayed, 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_has_no_second_effect_wherever_the_process_dies() {
    let body = json!({ "tool_slug": "UP_DELETE_NOTE", "arguments": { "id": 7 } });
    for (end, expected, requests) in STEPS {
        assert_eq!(crash(end, "execute", &body, expected).await, requests, "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_has_no_second_effect_if_the_process_dies_with_a_part_of_its_files_or_result() {
    let execute = |body: Value| ("execute", body);
    let (operation, send) =
        execute(json!({ "tool_slug": "UP_SEND_FILE", "arguments": { "file": "/mnt/files/large.bin" } }));
    assert_eq!(crash(End::InRequest, operation, &send, Expected::Unknown).await, 1, "in the request's body");
    let (operation, delete) = execute(
        json!({ "tool_slug": "UP_DELETE_NOTE", "arguments": { "id": 7 }, "enable_auto_workbench_offload": true }),
    );
    let place = End::At("during_call_mapping");
    assert_eq!(crash(place, operation, &delete, Expected::Unknown).await, 1, "in the mapping");
    let large = json!({ "notes": vec!["a note"; 9_000] }).to_string();
    let large = http("200 OK", JSON, large.as_bytes());
    for place in ["during_off_load", "during_file_write"] {
        let made = crash_with(End::At(place), (operation, &delete), Expected::Unknown, &large).await;
        assert_eq!(made, 1, "{place}");
    }
    let (operation, print) = execute(json!({ "tool_slug": "UP_PRINT_NOTE", "arguments": {} }));
    let pdf = http("200 OK", "content-type: application/pdf\r\n", b"%PDF-1.7");
    let place = End::At("during_file_write");
    assert_eq!(crash_with(place, (operation, &print), Expected::Unknown, &pdf).await, 1, "while its file is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_call_has_no_second_effect_wherever_the_process_dies() {
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST" });
    for (end, expected, requests) in STEPS {
        assert_eq!(crash(end, "proxy_execute", &body, expected).await, requests, "{end:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_knows_the_call_by_its_id_is_asked_again() {
    let body = json!({ "tool_slug": "UP_CREATE_NOTE", "arguments": { "folder": "f", "text": "milk" } });
    for (end, requests) in [
        (End::At("after_call_row"), 1),
        (End::WhileSent, 2),
        (End::At("after_call_answer_head"), 2),
        (End::At("before_call_response"), 2),
        (End::WhileConnecting, 1),
        (End::At("during_call_mapping"), 2),
    ] {
        assert_eq!(crash(end, "execute", &body, Expected::Made).await, requests, "{end:?}");
    }
}
