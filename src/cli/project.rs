//! `switchboard project create|list`.

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::json;

use super::data::DataArgs;
use super::explain::explain;
use super::output;
use crate::app::project::ProjectSettings;
use crate::time::iso;

#[derive(Debug, Args)]
pub(super) struct ProjectArgs {
    #[command(subcommand)]
    command: ProjectCommand,
}

#[derive(Debug, Subcommand)]
enum ProjectCommand {
    /// Create a project and its first API key.
    Create {
        /// Shown to end users on the connect page.
        name: String,
        /// Callback URL that links of this project may use; may be repeated. Default: any safe one.
        #[arg(long, value_name = "URL")]
        callback_url: Vec<String>,
        /// Show whole secrets in account responses instead of `REDACTED`.
        #[arg(long)]
        show_secrets: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// List projects.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
}

pub(super) async fn run(args: ProjectArgs) -> Result<()> {
    match args.command {
        ProjectCommand::Create { name, callback_url, show_secrets, json, data } => {
            let settings = ProjectSettings {
                callback_urls: callback_url,
                mask_secret_keys_in_connected_account: !show_secrets,
                ..ProjectSettings::default()
            };
            create(&name, &settings, json, data).await
        }
        ProjectCommand::List { json, data } => list(json, data).await,
    }
}

async fn create(name: &str, settings: &ProjectSettings, json: bool, data: DataArgs) -> Result<()> {
    let app = data.manage(true)?;
    let made = app.projects.create("cli", name, settings).await.map_err(|error| explain(&error))?;
    if json {
        output::line(json!({ "project_id": made.project.id, "api_key": made.key.expose() }))
    } else {
        output::line(format_args!("Project  {}\nAPI key  {}   (shown this once)", made.project.id, made.key.expose()))
    }
}

async fn list(json: bool, data: DataArgs) -> Result<()> {
    let projects = data.manage(false)?.core.store.projects().await?;
    if json {
        let items: Vec<_> = projects
            .iter()
            .map(|project| json!({ "project_id": project.id, "name": project.name, "created_at": iso(project.created_at) }))
            .collect();
        return output::line(json!({ "items": items }));
    }
    for project in projects {
        output::line(format_args!("{}  {}  {}", project.id, iso(project.created_at), project.name))?;
    }
    Ok(())
}
