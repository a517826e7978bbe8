//! `switchboard session mcp`: a key for the MCP endpoint of one session, with the configuration of common clients.

mod clients;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::json;
use switchboard_types::ProjectId;

use self::clients::Client;
use super::data::DataArgs;
use super::explain::explain;
use super::output;
use crate::app::Actor;
use crate::time::{DAY, iso};

/// Longest lifetime of a key, in days.
const MAX_DAYS: i64 = 365;

#[derive(Debug, Args)]
pub(super) struct SessionArgs {
    #[command(subcommand)]
    command: SessionCommand,
}

#[derive(Debug, Subcommand)]
enum SessionCommand {
    /// Create a key for the session's MCP endpoint, and print how clients use it. The key can do nothing else.
    Mcp {
        /// The session, `trs_…`.
        session: String,
        /// Its project, `pr_…`; not needed if there is only one.
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// Days after which the key ends.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(i64).range(1..=MAX_DAYS))]
        days: i64,
        /// Print the configuration of this client only.
        #[arg(long)]
        client: Option<Client>,
        /// The server's address [default: `public_url` of the configuration].
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
}

pub(super) async fn run(args: SessionArgs) -> Result<()> {
    let SessionCommand::Mcp { session, project, days, client, url, json, data } = args.command;
    let app = data.manage(false)?;
    let project: ProjectId = match project {
        Some(project) => project.as_str().into(),
        None => match app.projects.sole().await.map_err(|error| explain(&error))? {
            Some(project) => project.id,
            None => bail!("there is not exactly one project; name one with --project"),
        },
    };
    let session = session.as_str().into();
    app.sessions.get(&project, &session).await.map_err(|error| explain(&error))?;
    let lifetime = DAY * u32::try_from(days).unwrap_or(1);
    let made = app.keys.create_session_key(&Actor::cli(&project), "mcp", &session, lifetime).await;
    let (key, row) = made.map_err(|error| explain(&error))?;
    let origin = url.unwrap_or_else(|| app.core.settings.public_url.clone());
    let url = format!("{}/tool_router/{session}/mcp", origin.trim_end_matches('/'));
    let expires_at = row.expires_at.map(iso);
    if json {
        let configurations: serde_json::Map<_, _> = Client::chosen(client)
            .map(|client| (client.name().to_owned(), client.configuration(&url, key.expose()).into()))
            .collect();
        return output::line(json!({
            "key_id": row.id, "api_key": key.expose(), "session_id": session, "url": url, "expires_at": expires_at,
            "configurations": configurations,
        }));
    }
    output::line(format_args!(
        "MCP endpoint  {url}\nKey           {}\nAPI key       {}   (shown this once, for this session only)\nEnds          {}",
        row.id,
        key.expose(),
        expires_at.unwrap_or_default()
    ))?;
    for client in Client::chosen(client) {
        let configuration = client.configuration(&url, key.expose());
        output::line(format_args!("\n{}\n\n{configuration}", client.place()))?;
    }
    Ok(())
}
