//! A ceiling of memory (F10): large answers whose callers do not read them stay within their budget, and the
//! process lives.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::api::help::{Upstream, connect_key, http, keyed};
use crate::support::http::{Api, Http};
use crate::support::process::Dev;
use crate::support::wait::within;

/// Address space, in KiB: less than the answers below take when nothing bounds them. The allocator reserves
/// more than a gibibyte of it, and uses little.
const CEILING: &str = "ulimit -v 2097152";
/// Callers at once, each of an answer of ten mebibytes.
const CALLERS: usize = 30;

/// A call whose answer is not read.
async fn unread(api: &Api, session: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let (host, _) = api.base.split_once("://").unwrap().1.split_once('/').unwrap();
    let mut stream = socket.connect(host.parse().unwrap()).await.unwrap();
    let body = json!({ "toolkit_slug": "up", "endpoint": "/x", "method": "GET" }).to_string();
    let head = format!(
        "POST /api/v3.1/tool_router/session/{session}/proxy_execute HTTP/1.1\r\nHost: localhost\r\n\
         x-api-key: {}\r\ncontent-length: {}\r\n\r\n{body}",
        api.key,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The most memory that a process has had, in MiB.
fn most_resident(dev: &Dev) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", dev.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() / 1_024
}

#[tokio::test(flavor = "multi_thread")]
async fn large_unread_responses_do_not_end_the_process() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("toolkits/up")).unwrap();
    let file = keyed("up", &format!("http://{}", upstream.host), &upstream.host);
    std::fs::write(folder.path().join("toolkits/up/toolkit.toml"), file).unwrap();
    let toolkits = folder.path().join("toolkits");
    let arguments = ["--toolkits", toolkits.to_str().unwrap(), "--proxy-memory-mib", "64"];
    let mut dev = Dev::start_after(CEILING, &folder.path().join("data"), &arguments, std::process::Stdio::null());
    let api = dev.api();
    let (session, account) = connect_key(&api, "u", "up").await;
    // Each byte becomes six in the answer.
    upstream.play(http("200 OK", "content-type: text/plain\r\n", &vec![1; 10 << 20]));
    let mut callers = Vec::new();
    for _ in 0..CALLERS {
        callers.push(unread(&api, &session).await);
    }
    let livez = format!("{}/livez", dev.url);
    // Each gets a response, or a 503 with `Retry-After`.
    for caller in &mut callers {
        let mut first = [0; 12];
        within(Duration::from_mins(2), "the first bytes of an answer", async || {
            assert_eq!(Http::new().send("GET", &livez, &[], "").await.status, 200);
            let read = tokio::time::timeout(Duration::from_secs(1), caller.peek(&mut first)).await;
            match read {
                Ok(Ok(12..)) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        caller.read_exact(&mut first).await.unwrap();
        assert!([&b"HTTP/1.1 200"[..], b"HTTP/1.1 503"].contains(&&first[..]), "{}", String::from_utf8_lossy(&first));
    }
    let resident = most_resident(&dev);
    assert!(resident <= 256, "{resident} MiB");
    drop(callers);
    upstream.play(http("200 OK", "content-type: application/json\r\n", b"{\"small\":1}"));
    within(Duration::from_mins(1), "a call as before", async || {
        let reply = api.proxy_get(&session, "up", "/x").await;
        if reply.status == 200 && reply.json()["data"]["small"] == 1 { Ok(()) } else { Err(reply.status) }
    })
    .await;
    assert_eq!(api.status(&account).await, "ACTIVE");
    assert_eq!(dev.terminate(), Some(0));
}
