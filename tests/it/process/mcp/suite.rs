//! `@modelcontextprotocol/conformance` against a session: all that a revision requires but what the suite asks for by
//! name, which `tests/mcp/session-*.yml` lists.

use std::process::{Command, Stdio};

use serde_json::json;

use super::{endpoint, proxy, start};
use crate::support::tools::{root, tool};

/// Runs the scenarios that a revision requires; what is printed.
async fn conforms(revision: &str) -> String {
    let (_folder, dev) = start();
    let policy = json!({ "toolkits": { "enable": ["sandbox"] }, "preload": { "tools": "all" } });
    let url = proxy::start(&endpoint(&dev, policy).await, dev.key.as_deref().unwrap()).await;
    let mut command = Command::new(tool("node/bin/node"));
    command
        .arg(tool("mcp/tools/node_modules/@modelcontextprotocol/conformance/dist/index.js"))
        .args(["server", "--url", &url, "--requirements", revision, "--expected-failures"])
        .arg(root().join(format!("tests/mcp/session-{revision}.yml")))
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("Baseline check passed"), "{printed}");
    printed
}

/// Whether scenarios passed without a failed check.
#[track_caller]
fn passed(printed: &str, scenarios: &[&str]) {
    for scenario in scenarios {
        let start = format!("✓ {scenario}: ");
        let line = printed.lines().find(|line| line.starts_with(&start));
        assert!(
            line.is_some_and(|line| line.contains(" 0 failed") && !line.contains("warning")),
            "{scenario}: {printed}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_serves_stateless_clients() {
    let printed = conforms("2026-07-28").await;
    passed(
        &printed,
        &[
            "tools-list",
            "resources-list",
            "prompts-list",
            "caching",
            "dns-rebinding-protection",
            "http-header-validation",
            "sep-2164-resource-not-found",
            "server-sse-multiple-streams",
            "input-required-result-unsupported-methods",
        ],
    );
    // Its other checks need diagnostic tools.
    assert!(printed.contains("server-stateless: 21 passed, 4 failed"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_serves_clients_with_a_handshake() {
    let printed = conforms("2025-11-25").await;
    let scenarios = ["server-initialize", "ping", "tools-list", "resources-list", "prompts-list"];
    passed(&printed, &[&scenarios, ["dns-rebinding-protection", "server-session-lifecycle"].as_slice()].concat());
}
