//! Whatever becomes of stdout and stderr, nothing but the log notices (F06, F08, F30): a reader that
//! has gone, stands still, a disk that is full, a limit of file sizes.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::connected::connect;
use crate::support::http::Http;
use crate::support::process::{Dev, PROGRAM, own_address};
use crate::support::providers::Provider;
use crate::support::wait::{until, within};

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A disk that is always full.
fn full() -> Stdio {
    std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

fn start(folder: &Path, provider: &Provider, log: Stdio) -> Dev {
    std::fs::create_dir_all(folder.join("toolkits/tk")).unwrap();
    std::fs::write(folder.join("toolkits/tk/toolkit.toml"), provider.toolkit("tk", "")).unwrap();
    let toolkits = folder.join("toolkits");
    let arguments = ["--log", "debug", "--toolkits", toolkits.to_str().unwrap()];
    Dev::start_on("127.0.0.1:0", &folder.join("data"), &arguments, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unwritable_log_loses_no_response_and_no_rotated_token() {
    for log in [closed, full] {
        let provider = Provider::mock(&["--access-ttl", "3"]);
        let folder = tempfile::tempdir().unwrap();
        let mut dev = start(folder.path(), &provider, log());
        let api = dev.api();
        provider.auth_config(&api, "tk").await;
        let (session, account) = connect(&api, "user-1", "tk").await;
        for _ in 0..20 {
            api.get("/toolkits?limit=1").await.expect(200);
        }
        let livez = Http::new().send("GET", &format!("{}/livez", dev.url), &[], "").await;
        assert_eq!((livez.status, livez.text().as_str()), (200, "ok"));
        // Each one rotates; the old one is refused from then on.
        within(Duration::from_mins(1), "refreshes without calls", async || {
            let refreshes = provider.grants("refresh_token").await;
            if refreshes >= 3 { Ok(()) } else { Err(refreshes) }
        })
        .await;
        assert_eq!(api.status(&account).await, "ACTIVE");
        let answer = api.proxy_get(&session, "tk", "/api/me").await.expect(200);
        assert_eq!(answer["data"]["sub"], "alice", "{answer}");
        assert_eq!(dev.terminate(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_log_reader_blocks_no_request_and_gets_the_number_of_lost_lines() {
    let folder = tempfile::tempdir().unwrap();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let metrics = own_address();
    let arguments = ["--log", "trace", "--metrics-listen", &metrics];
    let mut dev = Dev::start_on("127.0.0.1:0", folder.path(), &arguments, writer);
    let api = dev.api();
    // More than the pipe and the queue hold.
    within(Duration::from_mins(2), "lost lines", async || {
        for _ in 0..100 {
            api.get("/toolkits?limit=1").await.expect(200);
        }
        let counted = Http::new().send("GET", &format!("http://{metrics}/metrics"), &[], "").await.text();
        let lost =
            counted.lines().find_map(|line| line.strip_prefix("switchboard_log_lines_lost_total ")).map(str::to_owned);
        lost.is_some_and(|lost| lost != "0")
    })
    .await;
    let livez = Http::new().send("GET", &format!("{}/livez", dev.url), &[], "").await;
    assert_eq!(livez.status, 200);
    let reading = std::thread::spawn(move || {
        let mut log = String::new();
        let mut piece = vec![0; 65_536];
        loop {
            let length = reader.read(&mut piece).unwrap();
            if length == 0 {
                return log;
            }
            log.push_str(&String::from_utf8_lossy(&piece[..length]));
        }
    });
    until("calls after the reader went on", async || api.get("/toolkits?limit=1").await.status == 200).await;
    assert_eq!(dev.terminate(), Some(0));
    let log = reading.join().unwrap();
    let told = log.lines().find(|line| line.contains("log lines were lost")).unwrap_or_else(|| panic!("{log:.2000}"));
    let lost = told.split("lines=").nth(1).unwrap_or_else(|| panic!("{told}"));
    assert!(lost.trim().parse::<u64>().unwrap() > 0, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_stops_although_its_log_reader_is_stalled() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut dev = Dev::start_on("127.0.0.1:0", folder.path(), &["--log", "trace"], writer);
    let api = dev.api();
    for _ in 0..100 {
        api.get("/toolkits?limit=1").await.expect(200);
    }
    drop(api);
    let started = Instant::now();
    assert_eq!(dev.terminate(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_the_server_without_waiting() {
    let provider = Provider::mock(&[]);
    let folder = tempfile::tempdir().unwrap();
    let mut dev = start(folder.path(), &provider, Stdio::null());
    let api = dev.api();
    provider.auth_config(&api, "tk").await;
    let (session, _) = connect(&api, "user-1", "tk").await;
    provider.fault(&json!({ "path": "/api/me", "delay_ms": 20_000 })).await;
    let before = provider.seen("/api/me").await.len();
    let call = tokio::spawn({
        let api = api.clone();
        async move {
            api.http
                .try_send(
                    "POST",
                    &format!("{}/tool_router/session/{session}/proxy_execute", api.base),
                    &[("x-api-key", &api.key)],
                    json!({ "toolkit_slug": "tk", "endpoint": "/api/me", "method": "GET" }).to_string(),
                )
                .await
        }
    });
    until("a call that hangs", async || provider.seen("/api/me").await.len() > before).await;
    let started = Instant::now();
    let signal = |dev: &Dev| {
        assert!(Command::new("kill").args(["-TERM", &dev.child.id().to_string()]).status().unwrap().success());
    };
    signal(&dev);
    // Within a second they are one and the same.
    signal(&dev);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(dev.child.try_wait().unwrap().is_none(), "it waits for the call");
    signal(&dev);
    assert_eq!(dev.child.wait().unwrap().code(), Some(1));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(call.await.unwrap().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_can_be_followed_through_its_steps() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log");
    let arguments = ["--log", "switchboard=debug", "--log-format", "json"];
    let log = std::fs::File::create(&file).unwrap();
    let mut dev = Dev::start_on("127.0.0.1:0", &folder.path().join("data"), &arguments, log);
    let api = dev.api();
    let session = api.session("user-1", "sandbox").await;
    api.post(&format!("/tool_router/session/{session}/link"), &json!({ "toolkit": "sandbox" })).await.expect(201);
    assert_eq!(dev.terminate(), Some(0));
    let log = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let request = lines
        .iter()
        .find(|line| line["fields"]["http.route"].as_str().is_some_and(|route| route.ends_with("/link")))
        .unwrap_or_else(|| panic!("{log}"));
    let id = &request["fields"]["request.id"];
    let steps: Vec<&str> = lines
        .iter()
        .filter(|line| line["spans"][0]["request.id"] == *id && line["fields"]["message"] == "close")
        .map(|line| line["span"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(steps, ["authenticate", "replay", "get", "pick", "prepare", "commit", "commit"], "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_size_limit_acts_like_a_full_disk_and_does_not_end_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    // In blocks of 512 bytes: 1 MiB, for the log as well.
    let mut dev = Dev::start_after("ulimit -f 2048", &folder.path().join("data"), &["--log", "trace"], log);
    let api = dev.api();
    let refused = within(Duration::from_mins(2), "a refusal", async || {
        let made = api.post("/tool_router/session", &json!({ "user_id": "u".repeat(200) })).await;
        if made.status == 201 { Err("201") } else { Ok(made) }
    })
    .await;
    refused.expect_error(503, "storage_full");
    api.get("/toolkits?limit=1").await.expect(200);
    api.get("/connected_accounts").await.expect(200);
    assert_eq!(dev.terminate(), Some(0));
}

#[test]
fn output_that_cannot_be_written_is_an_error_and_not_a_panic() {
    for (stdout, arguments) in [(closed(), &["config", "print"][..]), (full(), &["config", "print"])] {
        let output = Command::new(PROGRAM).args(arguments).stdout(stdout).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with("switchboard: cannot write to stdout"), "{stderr}");
    }
    for arguments in [&["--help"][..], &["serve", "--listen", "nonsense"], &["nonsense"]] {
        let output = Command::new(PROGRAM).args(arguments).stdout(closed()).stderr(closed()).status().unwrap();
        assert!(matches!(output.code(), Some(0..=2)), "{arguments:?}: {output}");
    }
}
