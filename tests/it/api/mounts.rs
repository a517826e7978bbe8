//! The files of a session: list, upload, download, delete (contract section 2.15).

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::files::{get, put, stored};
use super::help::{sql, text};
use crate::support::http::{Api, Reply};
use crate::support::server::TestServer;

async fn post(api: &Api, session: &str, operation: &str, path: &str) -> Reply {
    let body = json!({ "mount_relative_path": path });
    api.post(&format!("/tool_router/session/{session}/mounts/files/{operation}"), &body).await
}

/// Uploads a file of a session.
pub async fn upload(api: &Api, session: &str, path: &str, bytes: &[u8]) {
    let made = post(api, session, "upload_url", path).await.expect(201);
    assert_eq!(put(&text(&made, "upload_url"), bytes).await.status, 200);
}

/// Where a file of a session can be fetched.
pub async fn download_url(api: &Api, session: &str, path: &str) -> String {
    text(&post(api, session, "download_url", path).await.expect(201), "download_url")
}

async fn items(api: &Api, session: &str, query: &str) -> Value {
    api.get(&format!("/tool_router/session/{session}/mounts/files/items{query}")).await.expect(200)
}

fn paths(page: &Value) -> Vec<String> {
    page["items"].as_array().unwrap().iter().map(|item| text(item, "mount_relative_path")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_files_by_path() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = api.session("u", "sandbox").await;
    assert_eq!(items(api, &session, "").await, json!({ "items": [] }), "no cursor, not even null");
    let made = post(api, &session, "upload_url", "out/report.html").await.expect(201);
    assert_eq!(
        (&made["mount_relative_path"], &made["sandbox_mount_prefix"]),
        (&json!("out/report.html"), &json!("/mnt/files"))
    );
    assert!(made["expires_at"].as_str().unwrap().ends_with('Z'));
    post(api, &session, "download_url", "out/report.html").await.expect_error(404, "File_NotFound");
    let page = b"<html><script>alert(1)</script>";
    assert_eq!(put(&text(&made, "upload_url"), page).await.status, 200);
    let found = items(api, &session, "").await;
    assert_eq!(found["items"][0]["size"], page.len());
    assert_eq!(paths(&found), ["out/report.html"]);

    let made = post(api, &session, "download_url", "out/report.html").await.expect(201);
    let reply = get(&text(&made, "download_url")).await;
    assert_eq!((reply.status, &reply.body[..]), (200, &page[..]));
    for (name, value) in [
        ("content-type", "text/html"),
        ("content-disposition", "attachment; filename=\"report.html\"; filename*=UTF-8''report%2Ehtml"),
        ("x-content-type-options", "nosniff"),
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("cache-control", "private, no-store"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    put(&text(&made, "download_url"), b"x").await.expect_error(403, "File_UrlRefused");

    // Another file at the path replaces it; an earlier URL leads to nothing then.
    upload(api, &session, "out/report.html", b"second").await;
    assert_eq!(items(api, &session, "").await["items"][0]["size"], 6);
    get(&text(&made, "download_url")).await.expect_error(404, "File_NotFound");
    server.app.files.delete_expired().await.unwrap();
    assert_eq!(stored(&server).len(), 1);

    post(api, &session, "delete", "out/report.html").await.expect(200);
    post(api, &session, "delete", "out/report.html").await.expect_error(404, "File_NotFound");
    assert_eq!(items(api, &session, "").await, json!({ "items": [] }));
    server.app.files.delete_expired().await.unwrap();
    assert!(stored(&server).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages_and_prefixes_and_folders_can_be_deleted() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = api.session("u", "sandbox").await;
    for path in ["a/1.txt", "a/2.txt", "a.txt", "ab/3.txt", "b.txt"] {
        upload(api, &session, path, path.as_bytes()).await;
    }
    let first = items(api, &session, "?limit=2").await;
    assert_eq!(paths(&first), ["a.txt", "a/1.txt"]);
    let second = items(api, &session, &format!("?limit=3&cursor={}", text(&first, "next_cursor"))).await;
    assert_eq!(paths(&second), ["a/2.txt", "ab/3.txt", "b.txt"]);
    assert!(second.get("next_cursor").is_none(), "{second}");
    assert_eq!(paths(&items(api, &session, "?mount_relative_prefix=a/").await), ["a/1.txt", "a/2.txt"]);
    assert_eq!(paths(&items(api, &session, "?mount_relative_prefix=/mnt/files/b").await), ["b.txt"]);
    assert_eq!(paths(&items(api, &session, "?mount_relative_prefix=/mnt/files").await).len(), 5);
    post(api, &session, "delete", "a").await.expect(200);
    assert_eq!(paths(&items(api, &session, "").await), ["a.txt", "ab/3.txt", "b.txt"]);
    for query in ["?limit=0", "?cursor=%ff", "?cursor=!!", "?prefix=a"] {
        let path = format!("/tool_router/session/{session}/mounts/files/items{query}");
        api.get(&path).await.expect_error(400, "HTTP_BadRequest");
    }
    // They live as long as the session, not as long as uploads.
    server.clock.advance(Duration::from_hours(24 * 400));
    server.app.files.delete_expired().await.unwrap();
    assert_eq!(paths(&items(api, &session, "").await).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_lead_out_of_the_mount_are_refused() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = api.session("u", "sandbox").await;
    for path in [
        "",
        "/",
        "../x",
        "/../x",
        "//etc/passwd",
        "a/../../b",
        "a\\..\\b",
        "%2e%2e/x",
        "a%2fb",
        "a//b",
        "a\u{0}b",
        "./a",
        "a/",
    ] {
        for operation in ["upload_url", "download_url", "delete"] {
            let error = post(api, &session, operation, path).await.expect_error(400, "HTTP_BadRequest");
            assert!(
                error["errors"][0].as_str().unwrap().starts_with("Error in payload.mount_relative_path"),
                "{error}"
            );
        }
    }
    let body = json!({ "mount_relative_path": "a", "mimetype": "" });
    let reply = api.post(&format!("/tool_router/session/{session}/mounts/files/upload_url"), &body).await;
    reply.expect_error(400, "HTTP_BadRequest");
    let body = json!({ "mount_relative_path": "a" });
    let error = api.post(&format!("/tool_router/session/{session}/mounts/other/upload_url"), &body).await;
    error.expect_error(404, "HTTP_NotFound");
    let another = api.session("u", "sandbox").await;
    upload(api, &session, "mine.txt", b"mine").await;
    post(api, &another, "download_url", "mine.txt").await.expect_error(404, "File_NotFound");
    post(api, &another, "delete", "mine.txt").await.expect_error(404, "File_NotFound");
    assert_eq!(paths(&items(api, &session, "").await), ["mine.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_uploaded_to_a_session_that_is_deleted() {
    let server = TestServer::start().await;
    let api = &server.api;
    let session = api.session("u", "sandbox").await;
    let made = post(api, &session, "upload_url", "a.txt").await.expect(201);
    let arrives = post(api, &session, "upload_url", "b.txt").await.expect(201);
    let mut slow = super::files::begin(&text(&arrives, "upload_url"), 4, b"ab").await;
    super::files::arriving(&server, 1).await;
    api.delete(&format!("/tool_router/session/{session}")).await.expect(200);
    put(&text(&made, "upload_url"), b"late").await.expect_error(404, "File_NotFound");
    slow.write_all(b"cd").await.unwrap();
    let mut answer = String::new();
    let mut piece = [0; 512];
    while !answer.contains("session of the file was deleted") {
        let length = slow.read(&mut piece).await.unwrap();
        assert!(length > 0, "{answer}");
        answer.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(stored(&server).is_empty());
    server.app.files.delete_expired().await.unwrap();
    assert_eq!(sql(&server.database(), "SELECT COUNT(*) FROM files"), json!([[0]]));
    assert_eq!(sql(&server.database(), "SELECT number FROM counts WHERE what = 'file_bytes'"), json!([[0]]));
}
