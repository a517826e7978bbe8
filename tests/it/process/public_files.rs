//! The SDKs, unmodified, with files at a public address: in a network namespace of their own, since they refuse files at
//! any other (`tests/sdk/public_files.py`).

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::process::PROGRAM;
use crate::support::tools::{root, tool};

/// Runs the cases about files of an SDK line.
async fn files_are_moved(line: &'static str) {
    let may = Command::new("unshare").args(["-r", "-n", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        // A container may forbid it; `conformance.rs` still has the requests.
        return;
    }
    let scripts = root().join("tests/sdk");
    let mut command = Command::new("unshare");
    command.args(["-r", "-n"]).arg(tool("providers-python/bin/python")).args(["-B"]);
    command.arg(scripts.join("public_files.py")).arg(PROGRAM);
    if line.starts_with("python") {
        command.arg(tool(&format!("sdk/{line}/bin/python"))).arg("-B").arg(scripts.join("conformance.py"));
    } else {
        command.arg("node").arg(scripts.join("conformance.mjs")).env("SDK_DIR", tool(&format!("sdk/{line}")));
    }
    command.arg("files").env("LINE", line).env_remove("RECORDER").stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cases: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let wrong: Vec<&Value> = cases.iter().filter(|case| case["outcome"] != "works").collect();
    assert!(wrong.is_empty(), "{line}: {wrong:#?}");
    assert!(cases.len() >= 7, "{line} ran {}: {text}\n{}", cases.len(), String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn python_current() {
    files_are_moved("python-current").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_stable() {
    files_are_moved("python-stable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_current() {
    files_are_moved("node-current").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_stable() {
    files_are_moved("node-stable").await;
}
