//! `switchboard tool run`: runs a tool on a running server, through its API.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, ServerArgs};
use super::output;
use super::tool_arguments::ToolArguments;

#[derive(Debug, Args)]
pub(super) struct ToolArgs {
    #[command(subcommand)]
    command: ToolCommand,
}

#[derive(Debug, Subcommand)]
enum ToolCommand {
    /// Run a tool with an account, or show what would be sent.
    Run(RunArgs),
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Slug of the tool, in any case.
    #[arg(value_name = "SLUG")]
    slug: String,
    #[command(flatten)]
    owner: OwnerArgs,
    #[command(flatten)]
    arguments: ToolArguments,
    /// Check everything and build the request, but send nothing to the provider.
    #[arg(long)]
    dry_run: bool,
    /// Print the server's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

/// Whose account is used. A toolkit without accounts needs neither.
#[derive(Debug, Args)]
struct OwnerArgs {
    /// User whose newest account is used.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Connected account, `ca_…`.
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

pub(super) async fn run(args: ToolArgs) -> Result<()> {
    let ToolCommand::Run(args) = args.command;
    let arguments = args.arguments.read()?.unwrap_or_default();
    let client = Client::new(&args.server)?;
    let mut body = json!({ "arguments": arguments });
    if let Some(account) = &args.owner.account {
        body["connected_account_id"] = account.as_str().into();
    }
    if let Some(user) = user(&client, &args.owner).await? {
        body["user_id"] = user.into();
    }
    if args.dry_run {
        body["dry_run"] = true.into();
    }
    let answer = client.call("POST", &["tools", "execute", &args.slug], Some(&body)).await?;
    let failure = answer["error"].as_str().filter(|_| answer["successful"] != true);
    if args.json {
        output::line(serde_json::to_string_pretty(&answer)?)?;
    } else if failure.is_none() && args.dry_run {
        output::print(planned(&answer["data"]))?;
    } else if failure.is_none() {
        output::line(serde_json::to_string_pretty(&answer["data"])?)?;
    }
    match failure {
        None => Ok(()),
        Some(failure) => bail!("{} failed: {failure}", args.slug.to_ascii_uppercase()),
    }
}

/// The user of the call: the named one, else the account's own.
async fn user(client: &Client, owner: &OwnerArgs) -> Result<Option<String>> {
    let Some(account) = owner.account.as_deref().filter(|_| owner.user.is_none()) else {
        return Ok(owner.user.clone());
    };
    let account = client.call("GET", &["connected_accounts", account], None).await?;
    let user = account["user_id"].as_str().context("the server answers an account without a user")?;
    Ok(Some(user.to_owned()))
}

/// A dry run as text: the request, then what else is known of it.
fn planned(data: &Value) -> String {
    let request = &data["request"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    // Writing to a string cannot fail.
    let mut page = format!("{} {}\n", text(&request["method"]), text(&request["url"]));
    for (name, value) in request["headers"].as_object().into_iter().flatten() {
        let _ = writeln!(page, "{name}: {}", text(value));
    }
    match &request["body"] {
        Value::String(body) => drop(writeln!(page, "\n{body}")),
        Value::Null => {}
        binary => drop(writeln!(page, "\n({}, in base64)\n{}", text(&binary["content_type"]), text(&binary["base64"]))),
    }
    let account = &data["account"];
    let account = match account["alias"].as_str() {
        _ if account.is_null() => "none".to_owned(),
        Some(alias) => format!("{} ({alias})", text(&account["id"])),
        None => text(&account["id"]),
    };
    let due = if data["account"]["needs_refresh"] == true { "; its token would be refreshed first" } else { "" };
    let _ = write!(page, "\nNothing was sent.\nEffect       {}\nAccount      {account}{due}\n", text(&data["effect"]));
    if let Some(tool) = data["verify_with"].as_str() {
        let _ = writeln!(page, "Verify with  {tool}");
    }
    page
}
