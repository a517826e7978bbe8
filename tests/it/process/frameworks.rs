//! The provider packages of the published SDKs, unmodified, with the frameworks of agents that they are for:
//! `tests/sdk/frameworks.{py,mjs}` against `dev` and the scripted model of `tests/sdk/model`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::documents::{assert_generated, read};
use crate::support::process::Dev;
use crate::support::tools::{root, tool};

/// The scripted model. Ended when dropped.
pub(super) struct Model {
    child: Child,
    origin: String,
}

impl Model {
    /// Starts it on a free port.
    pub(super) fn start() -> Self {
        let mut child = Command::new(tool("sdk/python-frameworks/bin/python"))
            .arg("-B")
            .arg(root().join("tests/sdk/model/serve.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut origin = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut origin).unwrap();
        Self { child, origin: origin.trim_end().to_owned() }
    }

    /// Where it listens.
    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// A base URL of its APIs under which it follows a script.
    pub(super) fn base_url(&self, script: &str, run: &str) -> String {
        format!("{}/{script}/{run}/v1", self.origin)
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is tested with an agent: package, where its version is pinned, the framework in words.
const PACKAGES: [(&str, &str, &str); 7] = [
    ("composio_openai", PYTHON, "chat completions and responses of `openai`"),
    ("composio_anthropic", PYTHON, "messages of `anthropic`"),
    ("composio_langchain", PYTHON, "`create_agent` and `bind_tools` of `langchain`"),
    ("@composio/openai", NODE, "chat completions and responses of `openai`"),
    ("@composio/vercel", NODE, "`generateText` and `streamText` of `ai`"),
    ("@composio/langchain", NODE, "`createAgent` of `langchain`"),
    ("@composio/mastra", NODE, "`Agent` of `@mastra/core`"),
];
const PYTHON: &str = "tests/sdk/python-frameworks/requirements.txt";
const NODE: &str = "tests/sdk/node-frameworks/package.json";

/// The version of a package that is installed.
fn pinned(package: &str, list: &str) -> String {
    if list == NODE {
        let manifest: Value = serde_json::from_str(&read(list)).unwrap();
        return manifest["dependencies"][package].as_str().unwrap().to_owned();
    }
    let (start, list) = (format!("{}==", package.replace('_', "-")), read(list));
    list.lines().find_map(|line| line.strip_prefix(&start)).unwrap().to_owned()
}

/// The packages of a list of pins, each with its framework.
fn packages(list: &str) -> BTreeSet<&'static str> {
    PACKAGES.iter().filter(|(_, place, _)| *place == list).map(|(package, ..)| *package).collect()
}

/// Runs every case against a server of its own.
async fn works(mut command: Command, list: &str) {
    let folder = tempfile::tempdir().unwrap();
    // All the people who connect here come from one address.
    let dev = Dev::start(folder.path(), &["--log", "off", "--rate-limit-per-address-per-minute", "0"]);
    let model = Model::start();
    command
        .env("BASE_URL", &dev.url)
        .env("KEY", dev.key.as_deref().unwrap())
        .env("MODEL_URL", &model.origin)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let cases: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let is_ok = |case: &&Value| case["outcome"] == "works";
    let failed: Vec<&Value> = cases.iter().filter(|case| !is_ok(case)).collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(failed.is_empty() && output.status.success(), "{failed:#?}\n{errors}");
    let ran: BTreeSet<&str> =
        cases.iter().map(|case| case["name"].as_str().unwrap().split([' ', ':']).next().unwrap()).collect();
    assert_eq!(ran, packages(list), "{text}\n{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn python() {
    let mut command = Command::new(tool("sdk/python-frameworks/bin/python"));
    command.arg("-B").arg(root().join("tests/sdk/frameworks.py"));
    works(command, PYTHON).await;
}

/// A copy of the script for Node beside the packages, whose modules for `import` it finds by name.
pub(super) fn beside_packages() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for script in ["frameworks.mjs", "person.mjs"] {
        std::fs::copy(root().join("tests/sdk").join(script), folder.path().join(script)).unwrap();
    }
    symlink(tool("sdk/node-frameworks/node_modules"), folder.path().join("node_modules")).unwrap();
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn node() {
    let folder = beside_packages();
    let mut command = Command::new(tool("node/bin/node"));
    command.arg(folder.path().join("frameworks.mjs"));
    works(command, NODE).await;
}

#[test]
fn the_table_of_frameworks_has_the_versions_that_are_installed() {
    let mut table = String::from("| Package | Version | Tested with |\n|---|---|---|\n");
    for (package, list, framework) in PACKAGES {
        writeln!(table, "| `{package}` | {} | {framework} |", pinned(package, list)).unwrap();
    }
    assert_generated("docs/sdk-methods.md", "frameworks", &table);
}
