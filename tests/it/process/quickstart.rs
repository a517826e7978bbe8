//! The examples run as they stand, with the server named in the environment and nowhere else.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use super::frameworks::Model;
use crate::support::browser::Browser;
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

/// What an example prints, while a person opens the link that it asks to be opened.
async fn printed(dev: &Dev, mut command: Command) -> String {
    let cache = tempfile::tempdir().unwrap();
    command
        .env("COMPOSIO_BASE_URL", &dev.url)
        .env("COMPOSIO_API_KEY", dev.key.as_deref().unwrap())
        .env("COMPOSIO_CACHE_DIR", cache.path())
        .env("TELEMETRY_DISABLED", "true")
        .env("COMPOSIO_DISABLE_TELEMETRY", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut example = Ended(command.spawn().unwrap());
    let mut printed = String::new();
    for line in BufReader::new(example.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(url) = line.strip_prefix("open ") {
            Browser::new("alice").follow(url, |_| false).await;
        }
        printed.push_str(&line);
        printed.push('\n');
    }
    assert!(example.0.wait().unwrap().success(), "{printed}");
    printed
}

/// The first run connects, the second finds the account.
async fn connects_once(command: impl Fn() -> Command) {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["--log", "off"]);
    for word in ["\nconnected: ca_", "already connected: ca_"] {
        let printed = printed(&dev, command()).await;
        assert!(printed.contains(word), "{word}: {printed}");
        assert!(printed.contains("Sandbox connects with ") && printed.contains("OAUTH2"), "{printed}");
        assert_eq!(printed.matches("of sandbox is ACTIVE").count(), 1, "{printed}");
        assert!(printed.contains("/me answered 200") && printed.contains("alice"), "{printed}");
        assert!(printed.contains("used again: trs_"), "{printed}");
    }
}

async fn python(line: &str) {
    connects_once(|| {
        let mut command = Command::new(tool(&format!("sdk/{line}/bin/python")));
        command.arg(root().join("examples/quickstart-python/main.py"));
        command
    })
    .await;
}

/// A copy beside the packages that `npm install` would put there.
async fn typescript(line: &str) {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("main.mjs");
    std::fs::copy(root().join("examples/quickstart-typescript/main.mjs"), &main).unwrap();
    symlink(tool(&format!("sdk/{line}/node_modules")), folder.path().join("node_modules")).unwrap();
    connects_once(|| {
        let mut command = Command::new("node");
        command.arg(&main);
        command
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_runs_with_the_current_sdk() {
    python("python-current").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_example_runs_with_the_stable_sdk() {
    python("python-stable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_example_runs_with_the_current_sdk() {
    typescript("node-current").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_example_runs_with_the_stable_sdk() {
    typescript("node-stable").await;
}

/// The model creates a note, lists and deletes it, and deletes it once more, which fails.
#[tokio::test(flavor = "multi_thread")]
async fn the_agent_example_keeps_notes() {
    let folder = tempfile::tempdir().unwrap();
    let dev = Dev::start(folder.path(), &["--log", "off"]);
    let model = Model::start();
    let command = || {
        let mut command = Command::new(tool("sdk/python-frameworks/bin/python"));
        command
            .arg("-B")
            .arg(root().join("examples/agent-python/main.py"))
            .env("OPENAI_BASE_URL", model.base_url("notes", "example"))
            .env("OPENAI_API_KEY", "sk-test");
        command
    };
    for is_connected in [false, true] {
        let printed = printed(&dev, command()).await;
        assert_eq!(printed.starts_with("open http"), !is_connected, "{printed}");
        assert_eq!(printed.matches(": ok\n").count(), 5, "{printed}");
        assert_eq!(printed.matches("SANDBOX_DELETE_NOTE").count(), 2, "{printed}");
        assert_eq!(printed.matches("404").count(), 1, "{printed}");
        assert!(printed.contains("agent: created and deleted note_"), "{printed}");
    }
}
