//! The SDKs, unmodified, with files at a public address: in a network namespace of their own, since they refuse files at
//! any other (`tests/sdk/public_files.py`).

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::process::PROGRAM;
use crate::support::tools::{root, tool};

/// A command beside a server with files at a public address, without its own arguments. None if a container forbids
/// namespaces; `conformance.rs` and `frameworks.rs` still have all that needs none.
fn in_namespace() -> Option<Command> {
    let may = Command::new("unshare").args(["-r", "-n", "true"]).stderr(Stdio::null()).status();
    may.is_ok_and(|status| status.success()).then(|| {
        let mut command = Command::new("unshare");
        command.args(["-r", "-n"]).arg(tool("providers-python/bin/python")).args(["-B"]);
        command.arg(root().join("tests/sdk/public_files.py")).arg(PROGRAM);
        command
    })
}

/// Runs the cases about files of an SDK line.
async fn files_are_moved(line: &'static str) {
    let Some(mut command) = in_namespace() else { return };
    let scripts = root().join("tests/sdk");
    if line.starts_with("python") {
        command.arg(tool(&format!("sdk/{line}/bin/python"))).arg("-B").arg(scripts.join("conformance.py"));
    } else {
        command.arg("node").arg(scripts.join("conformance.mjs")).env("SDK_DIR", tool(&format!("sdk/{line}")));
    }
    command.arg("files").env("LINE", line);
    works(command, line, 7).await;
}

/// At least so many cases run, and all of them work.
async fn works(mut command: Command, line: &str, least: usize) {
    command.env_remove("RECORDER").stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cases: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let wrong: Vec<&Value> = cases.iter().filter(|case| case["outcome"] != "works").collect();
    assert!(wrong.is_empty(), "{line}: {wrong:#?}");
    assert!(cases.len() >= least, "{line} ran {}: {text}\n{}", cases.len(), String::from_utf8_lossy(&output.stderr));
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

/// Runs a script with every framework of agents, beside the scripted model.
async fn agents_move_files(language: &str, program: &Path, script: &Path) {
    let Some(mut command) = in_namespace() else { return };
    command.arg(tool("sdk/python-frameworks/bin/python")).arg("-B").arg(root().join("tests/sdk/model/beside.py"));
    command.arg(program).arg(script);
    // Two cases for each framework.
    works(command, language, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_in_python() {
    let script = root().join("tests/sdk/frameworks.py");
    agents_move_files("agents in Python", &tool("sdk/python-frameworks/bin/python"), &script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_in_node() {
    let folder = super::frameworks::beside_packages();
    let script = folder.path().join("frameworks.mjs");
    agents_move_files("agents in Node", &tool("node/bin/node"), &script).await;
}
