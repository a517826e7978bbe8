//! What is in files, and the URLs and keys that lead to them.

use data_encoding::HEXLOWER;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::canary;
use super::world::World;
use crate::support::http::Reply;

const HANDS_OUT: &[&str] = &["file URL", "file key"];

pub async fn of_tools_and_sessions(world: &mut World) {
    let content = canary("file-content");
    world.secret("file content", &content);
    let session = world.session("echokey", None).await;
    let (link, mut browser) = world.link(&session, "echokey").await;
    let key = canary("key-for-files");
    world.secret("entered credential", &key);
    let reply = browser.submit(&link.url, &[("generic_api_key", &key)]).await;
    world.note("echokey form for files", &reply, &["link token", "browser cookie"]);

    let announced = json!({
        "toolkit_slug": "echokey", "tool_slug": "X", "filename": "a.txt", "mimetype": "text/plain",
        "md5": HEXLOWER.encode(&Md5::digest(&content)),
    });
    let reply = world.api.post("/files/upload/request", &announced).await;
    world.note("announcement of a file", &reply, HANDS_OUT);
    let made = reply.expect(200);
    let file = made["key"].as_str().unwrap().to_owned();
    // Without the id, which is public.
    world.secret("file key", &file[26..]);
    let url = made["new_presigned_url"].as_str().unwrap().to_owned();
    world.secret("file URL", signature(&url));
    for (bytes, url, status) in [
        (format!("not {content}"), url.clone(), 400),
        (content.clone(), format!("{url}x"), 403),
        (content.clone(), url.clone(), 200),
        (content.clone(), url.clone(), 200),
        (format!("not {content}"), url.clone(), 409),
    ] {
        let reply = send(world, "PUT", &url, &bytes).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    let reply = world.api.get("/files/list").await;
    world.note("list of files", &reply, &[]);

    let mount = format!("/tool_router/session/{session}/mounts/files");
    let body = json!({ "mount_relative_path": "out/a.txt" });
    let reply = world.api.post(&format!("{mount}/upload_url"), &body).await;
    world.note("upload to a mount", &reply, HANDS_OUT);
    let url = reply.expect(201)["upload_url"].as_str().unwrap().to_owned();
    world.secret("file URL", signature(&url));
    assert_eq!(send(world, "PUT", &url, &content).await.status, 200);
    let reply = world.api.post(&format!("{mount}/download_url"), &body).await;
    world.note("download from a mount", &reply, HANDS_OUT);
    let url = reply.expect(201)["download_url"].as_str().unwrap().to_owned();
    world.secret("file URL", signature(&url));
    let reply = send(world, "GET", &url, "").await;
    assert_eq!((reply.status, reply.text()), (200, content.clone()));
    let reply = world.api.get(&format!("{mount}/items")).await;
    world.note("files of a mount", &reply, &[]);

    for (given, status) in [
        (Value::from(file), 200),
        ("/mnt/files/out/a.txt".into(), 200),
        (url.into(), 200),
        (format!("data:text/plain;base64,{content}").into(), 400),
        (format!("/home/{content}/a.txt").into(), 400),
        (format!("file_{content}").into(), 400),
    ] {
        let call = json!({
            "toolkit_slug": "echokey", "endpoint": "/text", "method": "POST", "binary_body": { "url": given },
        });
        let reply = world.api.post(&format!("/tool_router/session/{session}/proxy_execute"), &call).await;
        world.note("raw call with a file", &reply, &[]);
        assert_eq!(reply.status, status, "{}", reply.text());
    }
}

fn signature(url: &str) -> &str {
    url.rsplit_once('.').unwrap().1
}

async fn send(world: &mut World, method: &str, url: &str, bytes: &str) -> Reply {
    let reply = world.api.http.send(method, url, &[], bytes.to_owned()).await;
    world.note(&format!("{method} of a file"), &reply, if method == "GET" { &["file content"] } else { &[] });
    reply
}
