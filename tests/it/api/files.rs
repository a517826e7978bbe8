//! Files: announced, uploaded to a signed URL, listed, downloaded, deleted (contract section 8.3).

use std::time::Duration;

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use switchboard::config::{KeepLayer, Layer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::help::{sql, text};
use crate::support::http::{Api, Http, Reply};
use crate::support::server::TestServer;
use crate::support::wait::until;

/// What files in tests have in them.
pub const CONTENT: &[u8] = b"%PDF-1.7 a report for Friday";

/// MD5 of bytes in hexadecimal digits.
pub fn md5(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Md5::digest(bytes))
}

/// Announces a file.
pub async fn announce(api: &Api, name: &str, mimetype: &str, bytes: &[u8]) -> Value {
    let body = json!({
        "toolkit_slug": "up", "tool_slug": "UP_SEND_FILE", "filename": name, "mimetype": mimetype, "md5": md5(bytes),
    });
    api.post("/files/upload/request", &body).await.expect(200)
}

/// Announces and uploads a file; its key.
pub async fn upload(api: &Api, name: &str, mimetype: &str, bytes: &[u8]) -> String {
    let made = announce(api, name, mimetype, bytes).await;
    assert_eq!(put(&text(&made, "new_presigned_url"), bytes).await.status, 200);
    text(&made, "key")
}

pub async fn put(url: &str, bytes: &[u8]) -> Reply {
    Http::new().send("PUT", url, &[("content-type", "application/pdf")], bytes.to_vec()).await
}

pub async fn get(url: &str) -> Reply {
    Http::new().send("GET", url, &[], "").await
}

/// A request that has announced `length` bytes and sent some of them.
pub async fn begin(url: &str, length: usize, bytes: &[u8]) -> TcpStream {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let head = format!("PUT /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), bytes].concat()).await.unwrap();
    stream
}

/// Waits until so many requests send bytes.
pub async fn arriving(server: &TestServer, count: usize) {
    let begun = "SELECT COUNT(*) FROM files WHERE begun_at IS NOT NULL";
    until("uploads that have begun", async || sql(&server.database(), begun) == json!([[count]])).await;
}

/// The files below the data folder, by name.
pub fn stored(server: &TestServer) -> Vec<String> {
    let folder = server.dir.path().join("files").join(server.project_id.as_str());
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announced_file_is_uploaded_listed_and_kept_for_a_while() {
    let server = TestServer::start().await;
    let api = &server.api;
    let made = announce(api, "../secret folder/report.pdf", "application/pdf", CONTENT).await;
    assert_eq!(made["type"], "new");
    assert_eq!(made["metadata"], json!({ "storage_backend": "s3" }));
    assert_eq!(made["new_presigned_url"], made["newPresignedUrl"]);
    assert!(text(&made, "key").starts_with(&text(&made, "id")));
    let page = api.get("/files/list").await.expect(200);
    assert_eq!((&page["items"], &page["total_items"]), (&json!([]), &json!(0)), "it has no bytes yet");
    let url = text(&made, "new_presigned_url");
    let reply = put(&url, CONTENT).await;
    assert_eq!((reply.status, reply.body.len()), (200, 0));
    assert_eq!(reply.header("etag"), Some(format!("\"{}\"", md5(CONTENT)).as_str()));
    let item = json!({
        "toolkit_slug": "up", "tool_slug": "UP_SEND_FILE", "filename": "report.pdf", "mimetype": "application/pdf",
        "md5": md5(CONTENT),
    });
    let page = api.get("/files/list").await.expect(200);
    assert_eq!((&page["items"], &page["total_items"], &page["next_cursor"]), (&json!([item]), &json!(1), &Value::Null));
    for (query, count) in [("toolkit_slug=up", 1), ("toolkit_slug=x", 0), ("tool_slug=UP_SEND_FILE", 1)] {
        let page = api.get(&format!("/files/list?{query}")).await.expect(200);
        assert_eq!(page["total_items"], count, "{query}");
        assert_eq!(page["items"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(stored(&server).len(), 1);
    // The answer was lost, and the client sends it again.
    assert_eq!(put(&url, CONTENT).await.status, 200);
    put(&url, b"other bytes").await.expect_error(409, "File_Conflict");
    server.clock.advance(Duration::from_hours(24 * 31));
    assert_eq!(server.app.files.delete_expired().await.unwrap(), 1);
    assert_eq!(api.get("/files/list").await.expect(200)["total_items"], 0);
    assert!(stored(&server).is_empty());
    assert_eq!(sql(&server.database(), "SELECT number FROM counts WHERE what = 'file_bytes'"), json!([[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_files_follow_each_other() {
    let server = TestServer::start().await;
    for number in 0..5 {
        upload(&server.api, &format!("{number}.txt"), "text/plain", format!("{number}").as_bytes()).await;
        server.clock.advance(Duration::from_secs(1));
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = server.api.get(&format!("/files/list?limit=2{cursor}")).await.expect(200);
        assert_eq!((&page["total_items"], &page["total_pages"]), (&json!(5), &json!(3)));
        names.extend(page["items"].as_array().unwrap().iter().map(|item| text(item, "filename")));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(names, ["4.txt", "3.txt", "2.txt", "1.txt", "0.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_url_is_for_one_file_method_and_time() {
    let server = TestServer::start().await;
    let made = announce(&server.api, "a.pdf", "application/pdf", CONTENT).await;
    let other = announce(&server.api, "b.pdf", "application/pdf", CONTENT).await;
    let url = text(&made, "new_presigned_url");
    let (path, query) = url.split_once('?').unwrap();
    let (other_path, _) = other["new_presigned_url"].as_str().unwrap().split_once('?').unwrap();
    let last = if query.ends_with('A') { "B" } else { "A" };
    let forged = [
        format!("{other_path}?{query}"),
        path.to_owned(),
        format!("{path}?{}", query.replace("expires=1", "expires=2")),
        format!("{path}?{}{last}", &query[..query.len() - 1]),
        format!("{path}?{}", &query[..query.len() - 4]),
        format!("{path}x?{query}"),
        format!("{}/files/nothing?{query}", server.url),
    ];
    for url in &forged {
        put(url, CONTENT).await.expect_error(403, "File_UrlRefused");
        get(url).await.expect_error(403, "File_UrlRefused");
    }
    get(&url).await.expect_error(403, "File_UrlRefused");
    assert!(stored(&server).is_empty());
    server.clock.advance(Duration::from_hours(1));
    let error = put(&url, CONTENT).await.expect_error(403, "File_UrlRefused");
    assert_eq!(error["message"], "The URL of the file has expired");
    // What was announced and did not come is forgotten.
    server.clock.advance(Duration::from_hours(2));
    assert_eq!(server.app.files.delete_expired().await.unwrap(), 2);
    assert_eq!(sql(&server.database(), "SELECT COUNT(*) FROM files"), json!([[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_bytes_than_announced_too_many_and_a_full_project_are_refused() {
    let layer = Layer { files_max_mib: Some(1), files_per_project_mib: Some(2), ..Layer::default() };
    let server = TestServer::builder().layer(layer).start().await;
    let api = &server.api;
    let made = announce(api, "a.pdf", "application/pdf", CONTENT).await;
    put(&text(&made, "new_presigned_url"), b"other").await.expect_error(400, "File_DigestMismatch");
    assert!(stored(&server).is_empty());
    assert_eq!(put(&text(&made, "new_presigned_url"), CONTENT).await.status, 200, "it can still be sent");
    let large = vec![b'a'; (1 << 20) + 1];
    let made = announce(api, "large.bin", "application/octet-stream", &large).await;
    put(&text(&made, "new_presigned_url"), &large).await.expect_error(413, "File_TooLarge");
    let full = vec![b'b'; 1 << 20];
    upload(api, "full.bin", "application/octet-stream", &full).await;
    let made = announce(api, "more.bin", "application/octet-stream", &full).await;
    put(&text(&made, "new_presigned_url"), &full).await.expect_error(422, "File_QuotaExceeded");
    assert_eq!(stored(&server).len(), 2);
    for (field, value) in [
        ("md5", json!("x")),
        ("mimetype", json!("nonsense")),
        ("toolkit_slug", json!("a/b")),
        ("filename", json!(7)),
        ("filename", json!("")),
        ("filename", json!("é".repeat(1_025))),
    ] {
        let mut body = json!({ "toolkit_slug": "up", "tool_slug": "T", "filename": "a", "mimetype": "text/plain", "md5": md5(b"") });
        body[field] = value;
        let error = api.post("/files/upload/request", &body).await.expect_error(400, "HTTP_BadRequest");
        assert!(error["errors"][0].as_str().unwrap().contains(field), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_a_deleted_project_and_session_are_deleted_with_their_bytes() {
    let server = TestServer::start().await;
    let api = &server.api;
    upload(api, "a.pdf", "application/pdf", CONTENT).await;
    let session = api.session("u", "sandbox").await;
    super::mounts::upload(api, &session, "b.txt", b"b").await;
    assert_eq!(stored(&server).len(), 2);
    api.delete(&format!("/tool_router/session/{session}")).await.expect(200);
    server.app.files.delete_expired().await.unwrap();
    assert_eq!(stored(&server).len(), 1);
    let actor = switchboard::app::Actor::cli(&server.project_id);
    server.app.project_deletion.delete(&actor, &server.project_id, true).await.unwrap();
    server.app.files.delete_expired().await.unwrap();
    assert!(stored(&server).is_empty());
    let left = "SELECT (SELECT COUNT(*) FROM files), (SELECT COUNT(*) FROM projects WHERE emptied_at IS NULL)";
    assert_eq!(sql(&server.database(), left), json!([[0, 0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sets_where_files_are_and_how_long() {
    let folder = tempfile::tempdir().unwrap();
    let layer = Layer {
        files_public_url: Some("https://files.example.com/".to_owned()),
        files_dir: Some(folder.path().join("kept")),
        files_url_seconds: Some(60),
        keep: KeepLayer { files_days: Some(0), ..KeepLayer::default() },
        ..Layer::default()
    };
    let server = TestServer::builder().layer(layer).start().await;
    let made = announce(&server.api, "a.pdf", "application/pdf", CONTENT).await;
    let url = text(&made, "new_presigned_url");
    let rest = url.strip_prefix("https://files.example.com").unwrap();
    let http = Http::new();
    let host = [("host", "files.example.com")];
    let reply = http.send("PUT", &format!("{}{rest}", server.url), &host, CONTENT).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(std::fs::read_dir(folder.path().join("kept")).unwrap().count(), 1);
    server.clock.advance(Duration::from_hours(24 * 4_000));
    assert_eq!(server.app.files.delete_expired().await.unwrap(), 0);
    assert_eq!(http.send("PUT", &format!("{}{rest}", server.url), &host, CONTENT).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_at_a_time_sends_a_file() {
    let server = TestServer::start().await;
    let made = announce(&server.api, "a.pdf", "application/pdf", CONTENT).await;
    let url = text(&made, "new_presigned_url");
    let first = begin(&url, CONTENT.len(), &CONTENT[..4]).await;
    arriving(&server, 1).await;
    let error = put(&url, CONTENT).await.expect_error(409, "File_Conflict");
    assert!(error["message"].as_str().unwrap().starts_with("Another request sends the bytes"), "{error}");
    // A client that has gone leaves no bytes, and holds the file no longer.
    drop(first);
    arriving(&server, 0).await;
    assert!(stored(&server).is_empty());
    assert_eq!(put(&url, CONTENT).await.status, 200);

    // A server that stopped cannot say so: the file waits for a quarter of an hour.
    let made = announce(&server.api, "b.pdf", "application/pdf", CONTENT).await;
    let url = text(&made, "new_presigned_url");
    let mut slow = begin(&url, CONTENT.len(), &CONTENT[..4]).await;
    arriving(&server, 1).await;
    server.clock.advance(Duration::from_secs(14 * 60 + 59));
    put(&url, CONTENT).await.expect_error(409, "File_Conflict");
    server.clock.advance(Duration::from_secs(1));
    assert_eq!(put(&url, CONTENT).await.status, 200);
    slow.write_all(&CONTENT[4..]).await.unwrap();
    until("the end of the slow upload", async || stored(&server).len() == 2).await;
    let page = server.api.get("/files/list").await.expect(200);
    assert_eq!(page["total_items"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_arrive_and_small_files_count_for_the_quota() {
    let layer = Layer { files_max_mib: Some(1), files_per_project_mib: Some(2), ..Layer::default() };
    let server = TestServer::builder().layer(layer).start().await;
    let api = &server.api;
    let full = vec![b'a'; 1 << 20];
    let slow = announce(api, "slow.bin", "application/octet-stream", &full).await;
    let other = announce(api, "other.bin", "application/octet-stream", &full).await;
    let slow = begin(&text(&slow, "new_presigned_url"), full.len(), &full[..9]).await;
    arriving(&server, 1).await;
    let url = text(&other, "new_presigned_url");
    put(&url, &full[..1 << 19]).await.expect_error(400, "File_DigestMismatch");
    let third = announce(api, "third.bin", "application/octet-stream", &full).await;
    put(&url, &full).await.expect_error(422, "File_QuotaExceeded");
    drop(slow);
    arriving(&server, 0).await;
    assert_eq!(put(&url, &full).await.status, 200);
    // Bytes whose number is not announced may be as many as a file may have.
    put(&text(&third, "new_presigned_url"), &full).await.expect_error(422, "File_QuotaExceeded");
    // 4 KiB for each: the three above, and these.
    let mut count = 0;
    loop {
        let body = json!({ "toolkit_slug": "up", "tool_slug": "T", "filename": "a", "mimetype": "text/plain", "md5": md5(b"") });
        let reply = api.post("/files/upload/request", &body).await;
        if reply.status != 200 {
            reply.expect_error(422, "File_QuotaExceeded");
            break;
        }
        count += 1;
    }
    assert_eq!(count, 254);
    server.clock.advance(Duration::from_hours(24 * 31));
    server.app.files.delete_expired().await.unwrap();
    assert_eq!(sql(&server.database(), "SELECT number FROM counts WHERE what = 'file_bytes'"), json!([[0]]));
}

#[tokio::test(flavor = "multi_thread")]
async fn long_names_are_cut_quickly_and_wrong_ids_get_an_error_of_the_api() {
    let server = TestServer::start().await;
    let name = format!("{}.pdf", "é".repeat(1_000));
    let key = upload(&server.api, &name, "application/pdf", CONTENT).await;
    assert!(!key.is_empty());
    let page = server.api.get("/files/list").await.expect(200);
    assert!(page["items"][0]["filename"].as_str().unwrap().ends_with("é.pdf"), "{page}");
    let url = format!("{}/files/%ff?expires=1&signature=x", server.url);
    put(&url, CONTENT).await.expect_error(403, "File_UrlRefused");
    get(&url).await.expect_error(403, "File_UrlRefused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_bytes_come_at_its_end_is_kept() {
    use switchboard_store::{Refusal, Unit, WriteError, files};

    let server = TestServer::start().await;
    let made = announce(&server.api, "a.pdf", "application/pdf", CONTENT).await;
    assert_eq!(put(&text(&made, "new_presigned_url"), CONTENT).await.status, 200);
    // The job found it before the bytes came, when it was to be forgotten.
    let end = server.app.core.now() + Duration::from_hours(3);
    let expired = Unit::new().with(files::expire(&switchboard_types::FileId::from(text(&made, "id").as_str()), end));
    let refused = server.app.core.store.apply(expired).await;
    assert!(matches!(refused, Err(WriteError::Refused(Refusal::FileNotExpired))), "{refused:?}");
    assert_eq!(server.api.get("/files/list").await.expect(200)["total_items"], 1);
}
