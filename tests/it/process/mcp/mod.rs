//! The MCP endpoint of a session of the real program, as others see it: the official conformance suite, the inspector,
//! and published clients.

mod clients;
mod inspector;
mod proxy;
mod suite;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::Dev;

/// A running program without limits on requests.
fn start() -> (TempDir, Dev) {
    let folder = tempfile::tempdir().unwrap();
    let limits = ["--rate-limit-per-key-per-minute", "0", "--rate-limit-per-address-per-minute", "0"];
    let dev = Dev::start(folder.path(), &[&["--log", "off"], limits.as_slice()].concat());
    (folder, dev)
}

/// The URL of the endpoint of a new session with this policy.
async fn endpoint(dev: &Dev, policy: Value) -> String {
    let mut body = json!({ "user_id": "user-1" });
    body.as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    let made = dev.api().post("/tool_router/session", &body).await.expect(201);
    made["mcp"]["url"].as_str().unwrap().to_owned()
}
