//! `switchboard key create|list|revoke`.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use switchboard_store::api_keys::ApiKeyRow;

use super::{DataArgs, explain};
use crate::app::Actor;
use crate::time::iso;

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a further API key of a project.
    Create {
        /// Name to recognise it by.
        #[arg(long, default_value = "key")]
        name: String,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// List a project's API keys, without the keys themselves.
    List {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Revoke an API key; servers refuse it from their next request on.
    Revoke {
        /// Identifier of the key, `key_…`.
        id: String,
        #[command(flatten)]
        common: CommonArgs,
    },
}

#[derive(Debug, Args)]
struct CommonArgs {
    /// Project, `pr_…`.
    #[arg(long, value_name = "ID")]
    project: String,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

impl CommonArgs {
    fn actor(&self) -> Actor {
        Actor { project_id: self.project.clone(), name: "cli".to_owned(), request_id: None }
    }
}

pub(super) async fn run(args: KeyArgs) -> Result<()> {
    match args.command {
        KeyCommand::Create { name, common } => create(&name, common).await,
        KeyCommand::List { common } => list(common).await,
        KeyCommand::Revoke { id, common } => revoke(&id, common).await,
    }
}

async fn create(name: &str, common: CommonArgs) -> Result<()> {
    let (actor, json) = (common.actor(), common.json);
    let app = common.data.manage(false)?;
    let (key, row) = app.create_key(&actor, name).await.map_err(|error| explain(&error))?;
    if json {
        println!("{}", json!({ "key_id": row.id, "project_id": row.project_id, "api_key": key.expose() }));
    } else {
        println!("Key      {}\nAPI key  {}   (shown this once)", row.id, key.expose());
    }
    Ok(())
}

async fn list(common: CommonArgs) -> Result<()> {
    let (project, json) = (common.project, common.json);
    let app = common.data.manage(false)?;
    if app.store.project(&project).await?.is_none() {
        bail!("project {project:?} not found; `switchboard project list` shows the projects");
    }
    let keys = app.store.api_keys(&project).await?;
    if json {
        println!("{}", json!({ "items": keys.iter().map(view).collect::<Vec<_>>() }));
        return Ok(());
    }
    for key in keys {
        let state = key.revoked_at.map_or_else(|| "live".to_owned(), |at| format!("revoked {}", iso(at)));
        println!("{}  {}…  {}  {}  {state}", key.id, key.prefix, iso(key.created_at), key.name);
    }
    Ok(())
}

async fn revoke(id: &str, common: CommonArgs) -> Result<()> {
    let (actor, json) = (common.actor(), common.json);
    let app = common.data.manage(false)?;
    app.revoke_key(&actor, id).await.map_err(|error| explain(&error))?;
    if json {
        println!("{}", json!({ "key_id": id, "revoked": true }));
    } else {
        println!("revoked {id}");
    }
    Ok(())
}

fn view(key: &ApiKeyRow) -> Value {
    json!({
        "key_id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "created_at": iso(key.created_at),
        "last_used_at": key.last_used_at.map(iso),
        "expires_at": key.expires_at.map(iso),
        "revoked_at": key.revoked_at.map(iso),
    })
}
