//! Files of tools and of raw API calls: arguments that name a file, and answers that are one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use switchboard::config::Layer;

use super::files::{CONTENT, get, md5, stored, upload};
use super::help::{KEY, Upstream, connect_key, http, proxy, sql, text};
use super::tools::run;
use crate::support::http::{Api, Http};
use crate::support::server::TestServer;

const TOOLS: &str = r#"
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
slug = "UP_ATTACH_FILE"
title = "Attach a file"
description = "Attaches a file to a note."
use_cases = ["Attach the report.", "Add the picture to the note."]
effect = "create"
method = "POST"
path = "/notes/{id}/files"
body = "multipart"
[tools.input]
id = { type = "integer", description = "Id of the note.", required = true }
title = { type = "string", description = "Title.", maxLength = 9 }
file = { type = "string", description = "The file.", file_uploadable = true }

[[tools]]
slug = "UP_LIST_ROWS"
title = "List rows"
description = "Lists rows."
use_cases = ["Show the rows.", "What is in the table?"]
effect = "read"
method = "GET"
path = "/rows"

[[tools]]
slug = "UP_TAKE_FILE"
title = "Take a file"
description = "Returns the file."
use_cases = ["Get the report.", "Show the picture."]
effect = "read"
method = "GET"
path = "/file"
download = true
error_when = { pointer = "/ok", equals = false, message = "/error" }
"#;

/// A server with these tools, a connected session and the provider.
struct World {
    server: TestServer,
    upstream: Upstream,
    session: String,
}

impl World {
    async fn start() -> Self {
        Self::with(Layer::default()).await
    }

    async fn with(layer: Layer) -> Self {
        let upstream = Upstream::start().await;
        let server = TestServer::builder().toolkit("up", &upstream.toolkit("up")).tools("up", TOOLS).layer(layer);
        let server = server.start().await;
        let (session, _) = connect_key(&server.api, "u", "up").await;
        upstream.take();
        Self { server, upstream, session }
    }

    fn api(&self) -> &Api {
        &self.server.api
    }

    /// Sends a file; the request that the provider got.
    async fn send(&self, file: Value) -> String {
        let sent = run(self.api(), &self.session, "UP_SEND_FILE", json!({ "file": file })).await.expect(200);
        assert_eq!(sent["result_type"], "completed", "{sent}");
        self.upstream.only()
    }

    /// A file that is refused before anything is sent to the provider; the line of the error.
    async fn refused(&self, file: Value) -> String {
        let reply = run(self.api(), &self.session, "UP_SEND_FILE", json!({ "file": file })).await;
        let error = reply.expect_error(400, "HTTP_BadRequest");
        assert!(self.upstream.take().is_empty(), "nothing was sent");
        let line = error["errors"][0].as_str().unwrap();
        line.strip_prefix("Error in payload.arguments.file: ").unwrap_or_else(|| panic!("{error}")).to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_names_an_upload_a_url_bytes_or_a_file_of_the_session() {
    let world = World::start().await;
    let api = world.api();
    let key = upload(api, "report.pdf", "application/pdf", CONTENT).await;
    super::mounts::upload(api, &world.session, "out/notes.txt", b"from the mount").await;
    let own = super::mounts::download_url(api, &world.session, "out/notes.txt").await;
    let elsewhere = Upstream::start().await;
    elsewhere.play(http("200 OK", "content-type: application/octet-stream\r\n", CONTENT));
    let data = format!("data:text/csv;base64,{}", STANDARD.encode("a,b"));
    let pdf = std::str::from_utf8(CONTENT).unwrap();
    for (file, kind, body) in [
        (json!(key), "application/pdf", pdf),
        (json!({ "name": "x.pdf", "mimetype": "application/pdf", "s3key": key }), "application/pdf", pdf),
        (json!({ "s3key": key, "mimetype": "text/plain" }), "text/plain", pdf),
        (json!(data), "text/csv", "a,b"),
        (json!(STANDARD.encode([b'a'; 60])), "application/octet-stream", "aaaaaaaa"),
        (json!("/mnt/files/out/notes.txt"), "text/plain", "from the mount"),
        (json!(own), "text/plain", "from the mount"),
        (json!({ "name": "n.txt", "mimetype": "text/plain", "s3url": own }), "text/plain", "from the mount"),
        (json!(format!("http://{}/report.pdf?x=1", elsewhere.host)), "application/pdf", pdf),
    ] {
        let seen = world.send(file.clone()).await;
        assert!(seen.starts_with("PUT /base/file HTTP/1.1\r\n"), "{file}: {seen}");
        assert!(seen.contains(&format!("content-type: {kind}\r\n")), "{file}: {seen}");
        assert!(seen.ends_with(body), "{file}: {seen}");
    }
    let fetched = elsewhere.only();
    assert!(fetched.starts_with("GET /report.pdf?x=1 HTTP/1.1\r\n"), "{fetched}");
    assert!(!fetched.contains(KEY) && !fetched.to_ascii_lowercase().contains("authorization"), "{fetched}");

    let arguments = json!({ "id": 7, "title": "t", "file": key });
    run(api, &world.session, "UP_ATTACH_FILE", arguments).await.expect(200);
    let seen = world.upstream.only();
    let part = "Content-Disposition: form-data; name=\"file\"; filename=\"report.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF";
    assert!(seen.contains(part), "{seen}");
    for empty in [json!(""), Value::Null, json!(" \n"), json!({}), json!({ "name": "", "mimetype": " ", "s3key": "" })]
    {
        run(api, &world.session, "UP_ATTACH_FILE", json!({ "id": 7, "file": empty })).await.expect(200);
        assert!(!world.upstream.only().contains("filename"), "an empty value is no file");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_names_no_file_is_refused_with_what_to_give_instead() {
    let world = World::start().await;
    for path in ["/home/ada/report.pdf", "report.pdf", "C:\\report.pdf"] {
        let line = world.refused(json!(path)).await;
        assert!(line.starts_with("looks like a path of your own computer"), "{line}");
        assert!(line.contains("POST /files/upload/request") && line.contains("https://"), "{line}");
    }
    let key = upload(world.api(), "report.pdf", "application/pdf", CONTENT).await;
    let unknown = format!("{}x", &key[..key.len() - 1]);
    assert!(world.refused(json!(unknown)).await.starts_with("There is no file with this key"));
    // The id stands in every URL of the file.
    for id in [json!(&key[..25]), json!({ "s3key": &key[..25] }), json!({ "id": &key[..25] })] {
        let line = world.refused(id).await;
        assert!(line.starts_with("names no file") || line.starts_with("must have one of s3key"), "{line}");
    }
    assert!(world.refused(json!("/mnt/files/none.txt")).await.starts_with("The session has no file at"));
    assert!(world.refused(json!("/mnt/files/../x")).await.contains("must not have"));
    let other = world.server.other_project("Other").await;
    let foreign = upload(&other, "theirs.pdf", "application/pdf", CONTENT).await;
    assert!(world.refused(json!(foreign)).await.starts_with("There is no file with this key"));
    let session = other.session("u", "sandbox").await;
    super::mounts::upload(&other, &session, "a.txt", b"theirs").await;
    let foreign = super::mounts::download_url(&other, &session, "a.txt").await;
    assert!(world.refused(json!(foreign)).await.contains("no valid signature"));
    world.server.clock.advance(std::time::Duration::from_hours(24 * 30));
    assert!(world.refused(json!(key)).await.contains("not there any more"));
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_of_files_are_limited_checked_and_followed() {
    let world = World::start().await;
    let elsewhere = Upstream::start().await;
    let url = format!("http://{}/report.pdf", elsewhere.host);
    for (answer, line) in [
        (http("404 Not Found", "", b""), "it answers 404"),
        (http("200 OK", "content-type: text/html\r\n", b"<html>sign in"), "leads to a page for people"),
        (http("302 Found", "location: http://127.0.0.1:1/x\r\n", b""), "could not be reached"),
        (http("302 Found", "location: http://10.0.0.1/x\r\n", b""), ""),
        (http("302 Found", "location: file:///etc/passwd\r\n", b""), ""),
        (http("302 Found", "", b""), "redirects to no URL"),
        (http("302 Found", &format!("location: http://{}/again\r\n", elsewhere.host), b""), "redirects too often"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\nx".to_vec(), "larger than 52428800 bytes"),
    ] {
        elsewhere.play(answer.clone());
        let reply = run(world.api(), &world.session, "UP_SEND_FILE", json!({ "file": url })).await;
        let error = reply.expect(if reply.status == 403 { 403 } else { 400 });
        assert!(error.to_string().contains(line), "{error}");
        assert!(!error.to_string().contains("10.0.0.1"), "{error}");
        assert!(world.upstream.take().is_empty());
    }
    let target = Upstream::start().await;
    target.play(http("200 OK", "content-disposition: attachment; filename=\"q.csv\"\r\n", b"a,b"));
    elsewhere.play(http("302 Found", &format!("location: http://{}/signed\r\n", target.host), b""));
    let seen = world.send(json!(url)).await;
    assert!(seen.contains("content-type: text/csv\r\n") && seen.ends_with("a,b"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_checked_before_a_file_is_fetched() {
    let world = World::start().await;
    let elsewhere = Upstream::start().await;
    let url = format!("http://{}/report.pdf", elsewhere.host);
    let api = world.api();
    // The arguments.
    let arguments = json!({ "id": 7, "title": "much too long", "file": url });
    run(api, &world.session, "UP_ATTACH_FILE", arguments).await.expect_error(400, "HTTP_BadRequest");
    // The policy.
    let body = json!({ "user_id": "u", "tools": { "up": { "disable": ["UP_SEND_FILE"] } } });
    let narrow = text(&api.post("/tool_router/session", &body).await.expect(201), "session_id");
    assert_eq!(run(api, &narrow, "UP_SEND_FILE", json!({ "file": url })).await.status, 403);
    // The account.
    let nobodys = api.session("someone else", "up").await;
    let needed = run(api, &nobodys, "UP_SEND_FILE", json!({ "file": url })).await.expect(200);
    assert_eq!(needed["data"]["error_code"], "no_active_connection");
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST", "binary_body": { "url": url } });
    proxy(api, &nobodys, &call).await.expect_error(404, "ToolRouterV2_NoActiveConnection");
    let mut elsewhere_call = call.clone();
    elsewhere_call["endpoint"] = json!("https://evil.example.com/");
    proxy(api, &world.session, &elsewhere_call).await.expect_error(400, "OriginMismatch");
    assert!(elsewhere.take().is_empty(), "the file was not fetched");
    assert!(world.upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_a_file_is_stored() {
    let world = World::start().await;
    let api = world.api();
    let json_file = br#"{"rows":[1,2]}"#;
    for (answer, name, kind, bytes) in [
        (
            http(
                "200 OK",
                "content-type: application/pdf\r\ncontent-disposition: attachment; filename=\"../r.pdf\"\r\n",
                CONTENT,
            ),
            "r.pdf",
            "application/pdf",
            CONTENT,
        ),
        (
            http("200 OK", "content-type: application/json\r\n", json_file),
            "up_take_file.json",
            "application/json",
            json_file,
        ),
        (http("200 OK", "content-type: text/csv; charset=utf-8\r\n", b"a,b"), "up_take_file.csv", "text/csv", b"a,b"),
        (http("200 OK", "content-type: image/png\r\n", b""), "up_take_file.png", "image/png", b""),
    ] {
        world.upstream.play(answer);
        let taken = run(api, &world.session, "UP_TAKE_FILE", json!({})).await.expect(200);
        assert_eq!(taken["result_type"], "completed", "{taken}");
        let file = &taken["data"]["file"];
        assert_eq!(
            (&file["name"], &file["mimetype"], &file["size"]),
            (&json!(name), &json!(kind), &json!(bytes.len()))
        );
        assert!(file.get("s3url").is_none(), "SDKs would refuse to fetch from this machine: {file}");
        let reply = get(&text(file, "url")).await;
        assert_eq!((reply.status, &reply.body[..], reply.header("content-type")), (200, bytes, Some(kind)));
        world.upstream.take();
        // The result can be given to another tool.
        world.upstream.play(http("200 OK", "content-type: application/json\r\n", b"{}"));
        assert!(world.send(file.clone()).await.as_bytes().ends_with(bytes));
    }
    assert_eq!(stored(&world.server).len(), 4);
    world.upstream.play(http("404 Not Found", "content-type: application/json\r\n", br#"{"message":"No such file"}"#));
    let failed = run(api, &world.session, "UP_TAKE_FILE", json!({})).await.expect(200);
    assert_eq!((&failed["result_type"], &failed["data"]["http_status"]), (&json!("failed"), &json!(404)));
    world.upstream.play(http("200 OK", "content-type: application/json\r\n", br#"{"ok":false,"error":"gone"}"#));
    let failed = run(api, &world.session, "UP_TAKE_FILE", json!({})).await.expect(200);
    assert!(failed["error"].as_str().unwrap().contains("gone"), "{failed}");
    assert_eq!(stored(&world.server).len(), 4);
    let listed = api.get("/files/list?tool_slug=UP_TAKE_FILE").await.expect(200);
    assert_eq!(listed["total_items"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_may_answer_with_the_address_of_the_file() {
    let world = World::start().await;
    let elsewhere = Upstream::start().await;
    elsewhere.play(http("200 OK", "content-type: application/pdf\r\n", CONTENT));
    world.upstream.play(http(
        "302 Found",
        &format!("location: http://{}/a/contract.pdf?sig=1\r\n", elsewhere.host),
        b"",
    ));
    let taken = run(world.api(), &world.session, "UP_TAKE_FILE", json!({})).await.expect(200);
    assert_eq!(taken["data"]["file"]["name"], "contract.pdf", "{taken}");
    let seen = elsewhere.only();
    assert!(!seen.contains(KEY), "{seen}");
    assert_eq!(get(&text(&taken["data"]["file"], "url")).await.body, CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_stored_is_a_failure_and_no_error() {
    let world = World::with(Layer { files_per_project_mib: Some(1), ..Layer::default() }).await;
    world.upstream.play(http("200 OK", "content-type: application/pdf\r\n", &vec![b'a'; (1 << 20) + 1]));
    let failed = run(world.api(), &world.session, "UP_TAKE_FILE", json!({})).await.expect(200);
    assert_eq!((&failed["result_type"], &failed["data"]["error_code"]), (&json!("failed"), &json!("unusable_answer")));
    assert!(failed["error"].as_str().unwrap().contains("files would be larger than 1048576 bytes"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_public_origin_results_are_what_sdks_fetch() {
    let layer = Layer { files_public_url: Some("https://files.example.com".to_owned()), ..Layer::default() };
    let world = World::with(layer).await;
    world.upstream.play(http("200 OK", "content-type: application/pdf\r\n", CONTENT));
    let taken = run(world.api(), &world.session, "UP_TAKE_FILE", json!({})).await.expect(200);
    let url = text(&taken["data"]["file"], "s3url");
    let rest = url.strip_prefix("https://files.example.com").unwrap();
    let reply =
        Http::new().send("GET", &format!("{}{rest}", world.server.url), &[("host", "files.example.com")], "").await;
    assert_eq!((reply.status, &reply.body[..]), (200, CONTENT));
    let tool = world.api().get("/tools/UP_TAKE_FILE").await.expect(200);
    let file = &tool["output_parameters"]["properties"]["file"];
    assert_eq!((&file["file_downloadable"], &file["type"]), (&json!(true), &json!("object")));
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_calls_send_files_and_return_large_answers_as_files() {
    let world = World::start().await;
    let api = world.api();
    let key = upload(api, "report.pdf", "application/pdf", CONTENT).await;
    let mut call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "POST", "binary_body": { "url": key } });
    proxy(api, &world.session, &call).await.expect(200);
    let seen = world.upstream.only();
    assert!(seen.contains("content-type: application/pdf\r\n") && seen.contains("%PDF-1.7"), "{seen}");
    call["binary_body"]["content_type"] = json!("image/png");
    proxy(api, &world.session, &call).await.expect(200);
    assert!(world.upstream.only().contains("content-type: image/png\r\n"));
    for (url, line) in [
        ("/etc/passwd", "Error in payload.binary_body.url: looks like a path of your own computer"),
        ("http://127.0.0.1:1/x", "Error in payload.binary_body.url: The URL of the file cannot be fetched"),
        ("/mnt/files/none", "Error in payload.binary_body.url: The session has no file"),
    ] {
        call["binary_body"] = json!({ "url": url });
        let error = proxy(api, &world.session, &call).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().starts_with(line), "{error}");
    }
    assert!(world.upstream.take().is_empty());
    let large = [&b"\x89PNG\r\n\x1a\n"[..], &vec![7; 1 << 20]].concat();
    world.upstream.play(http("200 OK", "content-type: image/png\r\n", &large));
    let call = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" });
    let answer = proxy(api, &world.session, &call).await.expect(200);
    let binary = &answer["binary_data"];
    assert_eq!((&binary["size"], &binary["content_type"]), (&json!(large.len()), &json!("image/png")));
    assert!(binary["expires_at"].as_str().unwrap().ends_with('Z'), "{binary}");
    let reply = get(&text(binary, "url")).await;
    assert_eq!((reply.status, md5(&reply.body)), (200, md5(&large)));
    assert_eq!(sql(&world.server.database(), "SELECT COUNT(*) FROM files WHERE state = 'stored'"), json!([[2]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_result_becomes_a_file_for_those_who_ask() {
    let world = World::start().await;
    let rows: Vec<Value> = (0..2_000).map(|id| json!({ "id": id, "text": "a row of the result" })).collect();
    let whole = json!({ "rows": rows, "next": "page 2" });
    world.upstream.play(http("200 OK", "content-type: application/json\r\n", whole.to_string().as_bytes()));
    let mut call = json!({ "tool_slug": "UP_LIST_ROWS", "arguments": {} });
    let path = format!("/tool_router/session/{}/execute", world.session);
    let plain = world.api().post(&path, &call).await.expect(200);
    assert_eq!(plain["data"], whole);
    call["enable_auto_workbench_offload"] = json!(true);
    let answer = world.api().post(&path, &call).await.expect(200);
    let data = &answer["data"];
    assert_eq!((&answer["result_type"], &data["truncated"]), (&json!("completed"), &json!(true)));
    assert_eq!(
        (&data["total_items"], &data["total_bytes"]),
        (&json!({ "rows": 2_000 }), &json!(whole.to_string().len()))
    );
    assert_eq!(data["preview"]["rows"][0], rows[0]);
    assert_eq!(data["schema_sketch"], json!({ "rows": [{ "id": "number", "text": "string" }], "next": "string" }));
    assert!(data.to_string().len() < 20_000, "{}", data.to_string().len());
    let file = &data["remote_file_info"];
    assert_eq!(file["path"], format!("/mnt/files/results/{}.json", text(&answer, "log_id")));
    assert_eq!(get(&text(file, "download_url")).await.json(), whole);
    // It is a file as any other of the session, for as long as results are kept.
    world.upstream.take();
    assert!(world.send(file["path"].clone()).await.contains("content-type: application/json\r\n"));
    world.server.clock.advance(std::time::Duration::from_hours(24 * 31));
    assert!(world.refused(file["path"].clone()).await.starts_with("The session has no file"));
    world.upstream.play(http("200 OK", "content-type: application/json\r\n", b"{\"rows\":[]}"));
    assert_eq!(world.api().post(&path, &call).await.expect(200)["data"], json!({ "rows": [] }), "a small one stays");
}
