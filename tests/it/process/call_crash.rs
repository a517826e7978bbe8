//! The process dies at every step of a call that changes something. The provider, which counts, never does it twice, and
//! the repeated request is told the truth.

use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::api::help::{TOOLS, Upstream, connect_key, http};
use crate::support::http::{Api, Reply};
use crate::support::process::{Dev, own_address};

const JSON: &str = "content-type: application/json\r\n";

/// Who ends the process.
#[derive(Clone, Copy)]
enum End {
    /// The process itself, at a place in the program.
    At(&'static str),
    /// `kill -9` while the provider has the request and has not answered.
    WhileSent,
    /// `kill -9` after the response.
    AfterResponse,
}

/// The files of a server with the provider as toolkit `up`.
struct Files {
    folder: TempDir,
    listen: String,
}

impl Files {
    fn of(upstream: &Upstream) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let toolkit = folder.path().join("toolkits/up");
        std::fs::create_dir_all(&toolkit).unwrap();
        std::fs::write(toolkit.join("toolkit.toml"), upstream.toolkit("up")).unwrap();
        std::fs::write(toolkit.join("tools.toml"), TOOLS).unwrap();
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
    /// The response of the first one.
    Replayed,
}

/// Crashes one call, repeats it on a new server; the requests that reached the provider in all.
async fn crash(end: End, operation: &str, body: &Value, expected: Expected) -> usize {
    let upstream = Upstream::start().await;
    upstream.play(http("201 Created", JSON, br#"{"note":{"id":7}}"#));
    let files = Files::of(&upstream);
    let mut dev = files.start(None);
    let (key, first) = (dev.key.clone().unwrap(), dev.api());
    let (session, _) = connect_key(&first, "u", "up").await;
    upstream.take();
    let mut earlier = None;
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
        End::WhileSent => {
            let (asked, _held) = upstream.hold();
            let calling = tokio::spawn({
                let (api, session, operation, body) =
                    (first.clone(), session.clone(), operation.to_owned(), body.clone());
                async move { call(&api, &session, &operation, &body).await }
            });
            asked.await.unwrap();
            dev.kill();
            assert!(calling.await.unwrap().is_none());
        }
        End::AfterResponse => {
            earlier = call(&first, &session, operation, body).await;
            dev.kill();
        }
    }
    let dev = files.start(None);
    let reply = call(&Api::new(&dev.url, &key), &session, operation, body).await.unwrap();
    match expected {
        Expected::Made => assert_eq!(reply.expect(200)["result_type"], "completed"),
        Expected::Replayed => assert_eq!(reply.body, earlier.unwrap().body),
        Expected::Unknown if operation == "proxy_execute" => {
            reply.expect_error(409, "Idempotency_CallOutcomeUnknown");
        }
        Expected::Unknown => {
            let told = reply.expect(200);
            assert_eq!(
                (&told["result_type"], &told["data"]["error_code"]),
                (&json!("failed"), &json!("outcome_unknown"))
            );
        }
    }
    upstream.take().len()
}

/// Where the process dies, what the repeated request gets, and how often the provider is asked in all.
const STEPS: [(End, Expected, usize); 7] = [
    (End::At("before_call_row"), Expected::Made, 1),
    (End::At("after_call_row"), Expected::Unknown, 0),
    (End::WhileSent, Expected::Unknown, 1),
    (End::At("after_call_answer_head"), Expected::Unknown, 1),
    (End::At("before_call_end"), Expected::Unknown, 1),
    (End::At("before_call_response"), Expected::Unknown, 1),
    (End::AfterResponse, Expected::Replayed, 1),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_has_no_second_effect_wherever_the_process_dies() {
    let body = json!({ "tool_slug": "UP_DELETE_NOTE", "arguments": { "id": 7 } });
    for (end, expected, requests) in STEPS {
        assert_eq!(crash(end, "execute", &body, expected).await, requests);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_call_has_no_second_effect_wherever_the_process_dies() {
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST" });
    for (end, expected, requests) in STEPS {
        assert_eq!(crash(end, "proxy_execute", &body, expected).await, requests);
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
    ] {
        assert_eq!(crash(end, "execute", &body, Expected::Made).await, requests);
    }
}
