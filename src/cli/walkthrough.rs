//! The output of `switchboard dev`: the main steps, ready to paste.

use std::path::Path;

use anyhow::Result;

use super::output;

/// Prints to stdout. `key` is present only on the first start.
pub(super) fn print(url: &str, sandbox_url: &str, data_dir: &Path, key: Option<&str>) -> Result<()> {
    output::line(text(url, sandbox_url, data_dir, key))
}

fn text(url: &str, sandbox_url: &str, data_dir: &Path, key: Option<&str>) -> String {
    let data_dir = data_dir.display();
    let key_line = match key {
        Some(key) => format!("API key   {key}   (shown this once)"),
        None => format!(
            "API key   created at the first start. For another one: switchboard project list --data-dir {data_dir},\n          \
             then switchboard key create --data-dir {data_dir} --project ID"
        ),
    };
    let key = key.unwrap_or("ak_…");
    format!(
        r#"
Switchboard is running.

Server    {url}
Sandbox   {sandbox_url}   (a built-in OAuth provider; sign in as alice / alice)
Data      {data_dir}
{key_line}

── curl ─────────────────────────────────────────────────────────────────────
export KEY={key}
SESSION=$(curl -s {url}/api/v3.1/tool_router/session -H "x-api-key: $KEY" \
  -d '{{"user_id":"user-1","toolkits":{{"enable":["sandbox"]}}}}' | sed -E 's/.*"session_id":"([^"]+)".*/\1/')
curl -s {url}/api/v3.1/tool_router/session/$SESSION/link -H "x-api-key: $KEY" -d '{{"toolkit":"sandbox"}}'
#   open the redirect_url in a browser, sign in, allow; then use the account:
curl -s {url}/api/v3.1/tool_router/session/$SESSION/proxy_execute -H "x-api-key: $KEY" \
  -d '{{"toolkit_slug":"sandbox","endpoint":"/me","method":"GET"}}'

── Python (pip install composio) ────────────────────────────────────────────
from composio import Composio
session = Composio(api_key="{key}", base_url="{url}").create(user_id="user-1", toolkits=["sandbox"])
request = session.authorize("sandbox")
print(request.redirect_url)
print(request.wait_for_connection().status)

── TypeScript (npm install @composio/core) ──────────────────────────────────
import {{ Composio }} from "@composio/core";
const composio = new Composio({{ apiKey: "{key}", baseURL: "{url}" }});
const session = await composio.create("user-1", {{ toolkits: ["sandbox"] }});
const request = await session.authorize("sandbox");
console.log(request.redirectUrl);
console.log((await request.waitForConnection()).status);

No callback URLs are registered, so any https:// or loopback URL is accepted.
Stop with Ctrl-C.
"#
    )
}
