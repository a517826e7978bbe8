//! A provider that repeats the credential in every encoding, cut into small pieces: no form of it is in a result, in an
//! error, in a file, or in the log of calls.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::files::get;
use super::help::{Upstream, connect, on_session, proxy, text};
use super::tools::run;
use crate::process::needles::Needles;
use crate::support::server::TestServer;

/// With characters that every encoding writes differently.
const SECRET: &str = "s3cr/et+\"key\"&<ü>=0123";

const TOOLS: &str = r#"
[[tools]]
slug = "UP_READ"
title = "Read"
description = "Reads a thing."
use_cases = ["Read the thing.", "What is in it?"]
effect = "read"
method = "GET"
path = "/thing"
decode = ["decoded"]

[[tools]]
slug = "UP_TAKE"
title = "Take"
description = "Returns a file."
use_cases = ["Take the thing.", "Get the file."]
effect = "read"
method = "GET"
path = "/file"
download = true
"#;

/// The credential in the encodings in which a provider may repeat it.
fn encodings() -> Vec<(&'static str, String)> {
    let percent: String = form_urlencoded::byte_serialize(SECRET.as_bytes()).collect();
    let all = |start: &str, digits: fn(u8) -> String, end: &str| {
        SECRET.bytes().fold(String::new(), |mut all, byte| {
            let _ = write!(all, "{start}{}{end}", digits(byte));
            all
        })
    };
    let base64 = STANDARD.encode(SECRET);
    let units = SECRET.encode_utf16().fold(String::new(), |mut all, unit| {
        let _ = write!(all, "\\u{unit:04X}");
        all
    });
    let numeric = SECRET.chars().fold(String::new(), |mut all, letter| {
        let _ = write!(all, "&#{};", u32::from(letter));
        all
    });
    vec![
        ("plain", SECRET.to_owned()),
        ("percent", percent),
        ("percent, every byte", all("%", |byte| format!("{byte:02x}"), "")),
        ("JSON", serde_json::to_string(SECRET).unwrap().trim_matches('"').to_owned()),
        ("JSON, every character", units),
        ("HTML", SECRET.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")),
        ("HTML, every character", numeric),
        ("base64", base64.clone()),
        ("base64 without padding", STANDARD_NO_PAD.encode(SECRET)),
        ("base64url", URL_SAFE.encode(SECRET)),
        ("base64url inside", URL_SAFE_NO_PAD.encode(format!("x:{SECRET}:y"))),
        ("base64 in lines", [&base64[..10], &base64[10..]].join("\r\n")),
        ("base64 twice", STANDARD.encode(&base64)),
        ("hexadecimal", all("", |byte| format!("{byte:02x}"), "")),
        ("hexadecimal, capital", all("", |byte| format!("{byte:02X}"), "")),
    ]
}

/// An answer in chunks of so many bytes.
fn in_chunks(status: &str, kind: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n")
            .into_bytes();
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn no_encoding_of_the_credential_gets_out_however_the_answer_is_split() {
    let upstream = Upstream::start().await;
    let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).tools("up", TOOLS).start().await;
    let api = &server.api;
    let project = json!({ "log_visibility_setting": "show_all" });
    api.call("PATCH", "/org/project/config", project.to_string()).await.expect(200);
    let (session, _) = connect(api, "u", "up", &[("generic_api_key", SECRET)]).await;
    let mut needles = Needles::default();
    needles.add("credential", SECRET);
    let check = |place: &str, form: &str, bytes: &[u8]| {
        let shown = String::from_utf8_lossy(bytes);
        assert!(!shown.contains(form), "{place}: {shown}");
        needles.assert_none_in(place, bytes, &[]);
    };
    let mut logged = Vec::new();
    for (name, form) in encodings() {
        for size in [1, 7] {
            let json_text = match name {
                // The escapes are those of the JSON text itself.
                "JSON" | "JSON, every character" => format!("{{\"echo\":\"before {form} after\",\"decoded\":\"\"}}"),
                _ => json!({ "echo": format!("before {form} after"), "decoded": form }).to_string(),
            };
            let plain = format!("before {form} after");
            for (kind, body) in [
                ("application/json", json_text.as_str()),
                ("text/plain", &plain),
                ("text/html", &plain),
                ("application/octet-stream", &plain),
            ] {
                let place = format!("{name} in {kind}, by {size}");
                upstream.play(in_chunks("200 OK", kind, body.as_bytes(), size));
                let raw = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
                let answer = proxy(api, &session, &raw).await;
                check(&format!("raw call, {place}"), &form, &answer.body);
                let body_shown = match answer.json()["binary_data"]["url"].as_str() {
                    Some(url) => STANDARD.decode(url.split_once(',').unwrap().1).unwrap(),
                    None => answer.body.to_vec(),
                };
                check(&format!("raw call, {place}"), &form, &body_shown);
                let told = String::from_utf8_lossy(&body_shown).into_owned();
                assert!(told.contains("before ") && told.contains(" after"), "{place}: {told}");
                let result = run(api, &session, "UP_READ", json!({})).await;
                check(&format!("tool, {place}"), &form, &result.body);
                logged.push(text(&result.expect(200), "log_id"));
                let taken = run(api, &session, "UP_TAKE", json!({})).await.expect(200);
                let url = taken["data"]["file"]["url"].as_str().unwrap_or_else(|| panic!("{place}: {taken}"));
                check(&format!("file, {place}"), &form, &get(url).await.body);
                // The provider's own words in an error.
                upstream.play(in_chunks("400 Bad Request", kind, body.as_bytes(), size));
                let failed = run(api, &session, "UP_READ", json!({})).await;
                check(&format!("failure, {place}"), &form, &failed.body);
                assert_eq!(failed.expect(200)["result_type"], "failed");
            }
        }
    }
    assert!(logged.len() >= 12 * 2 * 4);
    for id in logged {
        let path = format!("/logs/tool_execution/{id}");
        crate::support::wait::until("the call in the log", async || api.get(&path).await.status == 200).await;
        for path in [path.clone(), format!("{path}/explain")] {
            needles.assert_none_in(&path, &api.get(&path).await.body, &[]);
        }
    }
    let form = json!({ "fields": ["$..echo"], "format": "csv", "max_bytes": 1_000, "fence": true });
    let echo: Vec<Value> = encodings().into_iter().map(|(_, form)| json!({ "echo": form })).collect();
    upstream.play(in_chunks("200 OK", "application/json", json!({ "rows": echo }).to_string().as_bytes(), 3));
    let call = json!({ "tool_slug": "UP_READ", "arguments": {}, "response": form });
    let shaped = on_session(api, &session, "execute", &call).await;
    needles.assert_none_in("a result in another form", &shaped.body, &[]);
    assert_eq!(shaped.expect(200)["result_type"], "completed");
}
