//! `switchboard explain`: what happened in a call, to an account or to a link, from a running server.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;

use super::client::{Client, ServerArgs};
use super::output;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// `log_…` of a call, `ca_…` of an account, or `lt_…` of a link (the first 23 characters of its token).
    #[arg(value_name = "ID")]
    id: String,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(args: ExplainArgs) -> Result<()> {
    let path = match args.id.split_once('_') {
        Some(("log", _)) => vec!["logs", "tool_execution", &args.id, "explain"],
        Some(("ca", _)) => vec!["connected_accounts", &args.id, "explain"],
        Some(("lt", _)) => vec!["links", &args.id, "explain"],
        _ => bail!("{:?} is no id of a call (log_…), an account (ca_…) or a link (lt_…)", args.id),
    };
    let answer = Client::new(&args.server)?.call("GET", &path, None).await?;
    if args.json {
        return output::line(serde_json::to_string_pretty(&answer)?);
    }
    output::print(printed(&answer))
}

/// An explanation for people.
fn printed(answer: &Value) -> String {
    let mut text = String::new();
    for (label, member) in [("", "summary"), ("Why: ", "cause"), ("What to do: ", "fix")] {
        if let Some(line) = answer[member].as_str() {
            let _ = writeln!(text, "{label}{line}");
        }
    }
    text.push('\n');
    for entry in answer["timeline"].as_array().into_iter().flatten() {
        let mark = if entry["outcome"] == "failed" { "!" } else { " " };
        let at = entry["at"].as_str().unwrap_or_default();
        let _ = writeln!(text, "{mark} {at:24}  {}", entry["title"].as_str().unwrap_or_default());
        if let Some(detail) = entry["detail"].as_str() {
            // A provider's words may have line ends.
            let _ = writeln!(text, "  {:24}  {}", "", detail.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    text
}
