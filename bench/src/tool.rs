//! Tools: `execute` of one that reads, compared with `proxy_execute` of the same request on the same server, and a page
//! of the list.

use std::fs;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::forward;
use crate::load::{Connection, Target};
use crate::names::{PROXIED, TOOL_LIST};
use crate::product::{Product, write_toolkit};
use crate::proxy::{FORM, start_own};
use crate::rounds::{Bench, Comparison};

/// Name of the comparison.
pub const NAME: &str = "tool";
/// The toolkit of the upstream.
const TOOLKIT: &str = "bench";
/// Number of users with a connected account each.
const USERS: u64 = 16;
/// Its tool, with as many arguments as a simple one of the built-in toolkits has.
const TOOLS: &str = r#"[[tools]]
slug = "BENCH_GET_USER"
title = "Get the user"
description = "Returns the user of the benchmark."
use_cases = ["Who is it?", "Show the user."]
effect = "read"
method = "GET"
path = "/me"
[tools.input]
fields = { type = "array", description = "Only these.", items = { type = "string" }, style = "commas" }
limit = { type = "integer", description = "At most so many.", minimum = 1, maximum = 100 }
order = { type = "string", description = "In this order.", enum = ["oldest", "newest"] }
search = { type = "string", description = "With this text.", maxLength = 100 }
"#;

/// Runs the measurement, of the first build.
pub async fn measure(bench: &Bench<'_>) -> Result<Comparison> {
    let upstream = start_own(bench, &["--upstream"])?;
    let toolkits = write_toolkit(&bench.folder, TOOLKIT, upstream.address())?;
    fs::write(toolkits.join(TOOLKIT).join("tools.toml"), TOOLS)?;
    let build = bench.first()?;
    let product = Product::start(bench, build, &bench.folder.join("tool"), Some(&toolkits))?;
    let query = json!([{ "name": "limit", "value": "10", "type": "query" }]);
    let proxied = json!({ "toolkit_slug": TOOLKIT, "endpoint": forward::PATH, "method": "GET", "parameters": query });
    let tool = json!({ "tool_slug": "BENCH_GET_USER", "arguments": { "limit": 10 } });
    let (mut proxied_calls, mut tool_calls) = (Vec::new(), Vec::new());
    for session in product.sessions(USERS).await? {
        product.connect(&session, TOOLKIT, FORM).await?;
        for (operation, call, requests) in
            [("proxy_execute", &proxied, &mut proxied_calls), ("execute", &tool, &mut tool_calls)]
        {
            let request = product.session_request(&session, operation, call);
            check_answer(Connection::open(product.process.address()).await?, &request).await?;
            requests.push(request);
        }
    }
    let list = product.api_request("GET", "/tools?limit=500", &Value::Null);
    let target = |name: &str, requests| Target {
        name: name.to_owned(),
        requests: Arc::new(requests),
        process: &product.process,
    };
    let targets = [target(PROXIED, proxied_calls), target(&build.name, tool_calls), target(TOOL_LIST, vec![list])];
    let connections = bench.options.few_connections();
    let titles = [NAME, "`execute` of a tool that reads 1 KiB of JSON"];
    Comparison::measure(bench, titles, &[PROXIED], &connections, (std::slice::from_ref(&product), &targets)).await
}

/// A response has the upstream's JSON in its envelope.
async fn check_answer(mut connection: Connection, request: &[u8]) -> Result<()> {
    let answer: Value = serde_json::from_slice(connection.exchange(request).await?.body)?;
    ensure!(answer["data"]["id"] == "user-1", "a call did not bring the upstream's answer: {answer}");
    Ok(())
}
