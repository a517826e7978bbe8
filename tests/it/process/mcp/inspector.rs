//! `@modelcontextprotocol/inspector`: whether clients of all vendors take the schemas of all tools.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{endpoint, start};
use crate::support::tools::tool;

#[tokio::test(flavor = "multi_thread")]
async fn no_schema_of_any_tool_is_one_that_some_client_refuses() {
    let (folder, dev) = start();
    let every = ["readOnlyHint", "createHint", "updateHint", "destructiveHint"];
    let policy = json!({
        "tags": { "enable": every },
        "preload": { "tools": "all" },
        "manage_connections": { "enable": true, "enable_wait_for_connections": true },
        "proxy_execute": { "enable": true },
    });
    let url = endpoint(&dev, policy).await;
    let mut command = Command::new(tool("node/bin/node"));
    command
        .arg(tool("mcp/tools/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"))
        .args([
            "--cli",
            &url,
            "--transport",
            "http",
            "--header",
            &format!("x-api-key: {}", dev.key.as_deref().unwrap()),
        ])
        .args(["--method", "tools/list", "--strict", "--format", "json", "--stored-auth-only"])
        // It reads no settings of the machine.
        .env("HOME", folder.path())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let (printed, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && error.is_empty(), "{:?} {error}", output.status);
    let found: Value = serde_json::from_str(&printed).unwrap();
    assert!(found.get("schemaFindings").is_none(), "{}", found["schemaFindings"]);
    let tools = found["result"]["tools"].as_array().unwrap();
    let is_meta = |tool: &&Value| tool["name"].as_str().unwrap().starts_with("COMPOSIO_");
    assert_eq!(tools.iter().filter(is_meta).count(), 6);
    let listed = dev.api().get("/tools?limit=1").await.expect(200);
    let count = listed["total_items"].as_u64().unwrap();
    assert_eq!(u64::try_from(tools.len()).unwrap(), count + 6, "every tool of every toolkit");
}
