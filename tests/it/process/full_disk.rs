//! A disk that is full while a provider rotates a token (F06, R36): database, spool and log are on it, and
//! nothing but writes fails. Once there is room, everything goes on by itself.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::connected::connect;
use crate::support::http::Http;
use crate::support::process::Dev;
use crate::support::providers::Provider;
use crate::support::wait::{until, within};

/// A file system of 16 mebibytes; unmounted when dropped. None where mounting is not permitted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    /// Takes all the room that is left.
    fn fill(&self) {
        let mut ballast = File::create(self.0.path().join("ballast")).unwrap();
        for size in [65_536, 4_096, 1] {
            while ballast.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_loses_no_token_and_needs_no_restart() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: mounting a tmpfs is not permitted here");
        return;
    };
    // A token that is used twice ends all of its family.
    let provider = Provider::oidc(&["--access-ttl", "4"]);
    let toolkits = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(toolkits.path().join("tk")).unwrap();
    std::fs::write(toolkits.path().join("tk/toolkit.toml"), provider.toolkit("tk", "")).unwrap();
    let log = File::create(disk.path().join("log")).unwrap();
    let arguments = ["--log", "debug", "--toolkits", toolkits.path().to_str().unwrap()];
    let mut dev = Dev::start_on("127.0.0.1:0", &disk.path().join("data"), &arguments, log);
    let api = dev.api();
    provider.auth_config(&api, "tk").await;
    let (session, account) = connect(&api, "user-1", "tk").await;

    // The disk fills between the provider's answer and the commit.
    provider.fault(&json!({ "path": "/token", "delay_ms": 1_500, "times": 1 })).await;
    let before = provider.grants("refresh_token").await;
    until("a refresh without a call", async || provider.grants("refresh_token").await > before).await;
    disk.fill();
    let refused = within(Duration::from_mins(1), "a write that is refused", async || {
        let made = api.post("/tool_router/session", &json!({ "user_id": "u".repeat(200) })).await;
        if made.status == 201 { Err("201") } else { Ok(made) }
    })
    .await;
    refused.expect_error(503, "storage_full");
    // The token is over, and the next one cannot be stored.
    until("a call that cannot be made", async || {
        let status = api.proxy_get(&session, "tk", "/api/me").await.status;
        if status == 503 { Ok(()) } else { Err(status) }
    })
    .await;
    for path in ["/toolkits?limit=1", "/connected_accounts", &format!("/tool_router/session/{session}")] {
        api.get(path).await.expect(200);
    }
    let livez = Http::new().send("GET", &format!("{}/livez", dev.url), &[], "").await;
    assert_eq!(livez.status, 200);
    assert_eq!(api.status(&account).await, "ACTIVE");
    assert_eq!(provider.grants("refresh_token").await, before + 1, "the old refresh token stays at home");

    disk.empty();
    within(Duration::from_mins(1), "a call with the token that waited", async || {
        let status = api.proxy_get(&session, "tk", "/api/me").await.status;
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
    let stored = provider.grants("refresh_token").await;
    within(Duration::from_mins(1), "two refreshes more", async || {
        let refreshes = provider.grants("refresh_token").await;
        if refreshes >= stored + 2 { Ok(()) } else { Err(refreshes) }
    })
    .await;
    assert_eq!(api.status(&account).await, "ACTIVE");
    api.post("/tool_router/session", &json!({ "user_id": "u" })).await.expect(201);
    assert_eq!(dev.terminate(), Some(0));
}
