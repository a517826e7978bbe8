//! Published clients of MCP, unmodified, also in frameworks of agents: `tests/mcp/clients.{py,mjs}` against sessions of the
//! program and the scripted model of `tests/sdk/model`.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::start;
use crate::process::frameworks::Model;
use crate::support::documents::read;
use crate::support::tools::{root, tool};

/// Runs clients; each has to work.
async fn work(mut command: Command, clients: &[&str]) {
    let (_folder, dev) = start();
    let model = Model::start();
    command
        .args(clients)
        .env("BASE_URL", &dev.url)
        .env("KEY", dev.key.as_deref().unwrap())
        .env("MODEL_URL", model.origin())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let cases: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    for case in &cases {
        assert_eq!(case["outcome"], "works", "{}: {}\n{errors}", case["name"], case["note"].as_str().unwrap());
    }
    let ran: Vec<&str> = cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(ran, clients, "{text}\n{errors}");
}

/// The packages that need `mcp` 1 are in one environment, and those that take `mcp` 2 in another.
fn python(environment: &str) -> Command {
    let mut command = Command::new(tool(&format!("{environment}/bin/python")));
    command.arg("-B").arg(root().join("tests/mcp/clients.py"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn python_with_a_handshake() {
    work(python("sdk/python-frameworks"), &["mcp 1", "langchain-mcp-adapters"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_of_the_newest_revision() {
    work(python("mcp/python"), &["mcp 2", "openai-agents", "pydantic-ai-slim"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    // A copy beside the packages, whose modules for `import` it finds by name.
    let folder = tempfile::tempdir().unwrap();
    for (place, script) in [("tests/mcp", "clients.mjs"), ("tests/sdk", "person.mjs")] {
        std::fs::copy(root().join(place).join(script), folder.path().join(script)).unwrap();
    }
    symlink(tool("sdk/node-frameworks/node_modules"), folder.path().join("node_modules")).unwrap();
    let mut command = Command::new(tool("node/bin/node"));
    command.arg(folder.path().join("clients.mjs"));
    let clients = ["@modelcontextprotocol/sdk", "@modelcontextprotocol/client", "@ai-sdk/mcp", "@mastra/mcp"];
    work(command, &clients).await;
}

#[test]
fn the_page_names_the_versions_that_are_installed() {
    let page = read("docs/mcp.md");
    let page = page.split_once("## Tested with").unwrap().1;
    let is_named = |package: &str, version: &str| {
        let listed = page.split(&format!("`{package}` ")).nth(1).unwrap_or_else(|| panic!("{package} is not named"));
        assert!(listed.starts_with(version), "{package}: {version} is installed");
    };
    for (list, packages) in [
        (
            "tests/mcp/tools/package.json",
            ["@modelcontextprotocol/conformance", "@modelcontextprotocol/inspector"].as_slice(),
        ),
        (
            "tests/sdk/node-frameworks/package.json",
            &["@modelcontextprotocol/sdk", "@modelcontextprotocol/client", "@ai-sdk/mcp", "@mastra/mcp"],
        ),
    ] {
        let manifest: Value = serde_json::from_str(&read(list)).unwrap();
        for package in packages {
            is_named(package, manifest["dependencies"][package].as_str().unwrap());
        }
    }
    for (list, packages) in [
        ("tests/mcp/python/requirements.txt", ["mcp", "openai-agents", "pydantic-ai-slim"].as_slice()),
        ("tests/sdk/python-frameworks/requirements.txt", &["langchain-mcp-adapters"]),
    ] {
        let pins = read(list);
        for package in packages {
            let start = format!("{package}==");
            is_named(package, pins.lines().find_map(|line| line.strip_prefix(&start)).unwrap());
        }
    }
}
