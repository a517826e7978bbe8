//! The official conformance suite (`@modelcontextprotocol/conformance`) against a server with all that the suite calls by
//! name: every scenario that a revision requires, without an exception.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod fixture;
mod prompts;
mod questions;
mod resources;
mod tools;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

/// Longest run.
const LIMIT: Duration = Duration::from_mins(2);

/// A path under the folder that `scripts/setup` fills.
fn tool(path: &str) -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.test");
    let base = std::env::var_os("SWITCHBOARD_TEST_TOOLS").map_or_else(|| root.into(), PathBuf::from);
    let tool = base.join(path);
    assert!(tool.exists(), "{} is missing: run scripts/setup first", tool.display());
    tool
}

/// Scenarios that no revision requires and that fail: extensions, which the protocol layer does not have, and headers that
/// a schema demands, which no schema here does.
const BEYOND: [&str; 10] = [
    "http-custom-header-server-validation",
    "tasks-capability-negotiation",
    "tasks-dispatch-and-envelope",
    "tasks-lifecycle",
    "tasks-mrtr-composition",
    "tasks-mrtr-input",
    "tasks-request-headers",
    "tasks-request-state-removal",
    "tasks-required-task-error",
    "tasks-wire-fields",
];

/// Runs what a revision requires; the scenarios that passed and those that failed.
async fn run(revision: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let url = fixture::start().await;
    let mut command = Command::new(tool("node/bin/node"));
    command
        .arg(tool("mcp/tools/node_modules/@modelcontextprotocol/conformance/dist/index.js"))
        .args(["server", "--url", &url, "--requirements", revision])
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await.unwrap().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let summary = printed.split_once("=== SUMMARY ===").and_then(|(_, summary)| summary.split_once("\nTotal:"));
    let (summary, _) = summary.unwrap_or_else(|| panic!("{printed}{}", String::from_utf8_lossy(&output.stderr)));
    let with_mark = |mark: char| {
        let lines = summary.lines().filter_map(|line| line.trim().strip_prefix(mark)?.trim().split_once(": "));
        lines.map(|(scenario, _)| scenario.to_owned()).collect::<BTreeSet<String>>()
    };
    assert!(!summary.contains("warning"), "{printed}");
    assert!(output.status.success(), "{printed}");
    (with_mark('✓'), with_mark('✗'))
}

/// How many scenarios of a revision's requirements passed, without those that no revision requires.
fn required(passed: &BTreeSet<String>) -> usize {
    let further = [
        "http-header-validation",
        "json-schema-2020-12",
        "server-session-lifecycle",
        "server-sse-polling",
        "tasks-status-notifications",
    ];
    passed.iter().filter(|scenario| !further.contains(&scenario.as_str())).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn stateless_clients_get_all_that_their_revision_requires() {
    let (passed, failed) = run("2026-07-28").await;
    assert_eq!(required(&passed), 37, "{passed:#?}");
    assert_eq!(failed.iter().map(String::as_str).collect::<Vec<_>>(), BEYOND);
    assert!(passed.contains("http-header-validation"), "{passed:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_a_handshake_get_all_that_their_revision_requires() {
    let (passed, failed) = run("2025-11-25").await;
    assert_eq!(required(&passed), 30, "{passed:#?}");
    assert_eq!(failed, BTreeSet::new());
}
