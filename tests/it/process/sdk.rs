//! The published SDKs, unmodified, against `dev`: a person in Chromium finishes what they start.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::chromium::connect;
use crate::support::process::Dev;
use crate::support::tools::{root, tool};

/// Ends with the test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// create → authorize → the person connects → `wait_for_connection` → `proxy_execute`.
async fn connects_and_acts(mut command: Command) {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["--log", "off"]);
    command
        .env("BASE_URL", &dev.url)
        .env("KEY", dev.key.as_deref().unwrap())
        .envs([("TOOLKIT", "sandbox"), ("USER_ID", "sdk-user"), ("PROXY", "/me"), ("WAIT", "30")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut sdk = Ended(command.spawn().unwrap());
    let mut lines = BufReader::new(sdk.0.stdout.take().unwrap()).lines();
    let url = loop {
        let line = lines.next().unwrap_or_else(|| panic!("the SDK ended without a redirect URL")).unwrap();
        if let Some(url) = line.strip_prefix("REDIRECT_URL ") {
            break url.to_owned();
        }
    };
    let report = connect(&url, &[]).await;
    assert_eq!(report["result"], "success", "{report}");
    let mut answers = Vec::new();
    for line in lines {
        answers.extend(serde_json::from_str::<Value>(&line.unwrap()).ok().filter(Value::is_object));
    }
    assert!(sdk.0.wait().unwrap().success(), "{answers:?}");
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(answers[0]["status"], "ACTIVE");
    let id = answers[0]["id"].as_str().unwrap();
    assert_eq!(dev.api().status(id).await, "ACTIVE");
    assert_eq!(answers[1]["proxy_status"], 200, "{answers:?}");
    assert_eq!(answers[1]["data"]["username"], "alice", "{answers:?}");
}

fn python(line: &str) -> Command {
    let mut command = Command::new(tool(&format!("sdk/{line}/bin/python")));
    command.arg(root().join("tests/sdk/connect.py"));
    command
}

fn node(line: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(root().join("tests/sdk/connect.mjs")).env("SDK_DIR", tool(&format!("sdk/{line}")));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn python_current() {
    connects_and_acts(python("python-current")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_stable() {
    connects_and_acts(python("python-stable")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_current() {
    connects_and_acts(node("node-current")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_stable() {
    connects_and_acts(node("node-stable")).await;
}
