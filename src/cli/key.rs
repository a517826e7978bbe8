//! `switchboard key create|list|revoke`.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use switchboard_store::api_keys::ApiKeyRow;
use switchboard_store::organization_keys::OrganizationKeyRow;
use switchboard_types::{ProjectId, SessionId, Timestamp};

use super::data::DataArgs;
use super::explain::explain;
use super::output;
use crate::app::Actor;
use crate::app::base::networks::Network;
use crate::app::project::keys::{KeyOwner, KeyScope, permissions_from};
use crate::app::project::permissions::{PermissionArg, Permissions};
use crate::time::iso;

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Create another API key of a project, of a member, or of the organisation.
    Create {
        /// Name to recognise it by.
        #[arg(long, default_value = "key")]
        name: String,
        /// Permission of a project's key, such as `sessions=read_write`; may be repeated. Default:
        /// everything.
        #[arg(long, value_name = "PRESET=ACCESS", conflicts_with_all = ["organization", "user"])]
        permission: Vec<PermissionArg>,
        /// Address or CIDR range that may use a project's key; may be repeated. Default: any.
        #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["organization", "user"])]
        allow_ip: Vec<Network>,
        #[command(flatten)]
        common: CommonArgs,
    },
    /// List API keys, without the keys themselves.
    List {
        #[command(flatten)]
        common: CommonArgs,
    },
    /// Revoke an API key; servers reject it from their next request on.
    Revoke {
        /// Identifier of the key, `key_…`.
        id: String,
        #[command(flatten)]
        common: CommonArgs,
    },
}

#[derive(Debug, Args)]
struct CommonArgs {
    #[command(flatten)]
    owner: OwnerArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

/// The owner of a key.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OwnerArgs {
    /// Project, `pr_…`: keys `ak_…`, for `x-api-key`.
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// The organisation: keys `oak_…`, for `x-org-api-key`. They manage projects.
    #[arg(long)]
    organization: bool,
    /// Member: keys `uak_…`, for `x-user-api-key`. They act in every project.
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

/// The owner of a key, for the application.
enum Owner {
    Project(String),
    Organization(KeyOwner),
}

impl OwnerArgs {
    fn owner(self) -> Owner {
        match (self.project, self.user) {
            (Some(project), _) => Owner::Project(project),
            (None, Some(email)) => Owner::Organization(KeyOwner::User { email }),
            (None, None) => Owner::Organization(KeyOwner::Organization),
        }
    }
}

fn actor(project_id: &ProjectId) -> Actor {
    Actor::cli(project_id)
}

pub(super) async fn run(args: KeyArgs) -> Result<()> {
    match args.command {
        KeyCommand::Create { name, permission, allow_ip, common } => {
            create(&name, scope(&permission, allow_ip)?, common).await
        }
        KeyCommand::List { common } => list(common).await,
        KeyCommand::Revoke { id, common } => revoke(&id, common).await,
    }
}

fn scope(grants: &[PermissionArg], networks: Vec<Network>) -> Result<KeyScope> {
    let pairs: Vec<_> = grants.iter().map(|grant| (grant.0, grant.1)).collect();
    let permissions: Option<Permissions> = (!pairs.is_empty())
        .then(|| permissions_from("permission", &pairs))
        .transpose()
        .map_err(|error| explain(&error))?;
    Ok(KeyScope { permissions, allowed_ips: (!networks.is_empty()).then_some(networks), session: None })
}

async fn create(name: &str, scope: KeyScope, common: CommonArgs) -> Result<()> {
    let json = common.json;
    let app = common.data.manage(false)?;
    let (key, id, owner) = match common.owner.owner() {
        Owner::Project(project) => {
            let made = app.keys.create_scoped_key(&actor(&project.as_str().into()), name, &scope).await;
            let (key, row) = made.map_err(|error| explain(&error))?;
            (key, row.id, ("project_id", project))
        }
        Owner::Organization(reach) => {
            let made = app.keys.create_organization_key(&actor(&"".into()), name, &reach).await;
            let (key, row) = made.map_err(|error| explain(&error))?;
            let organization = app.projects.organization().await.map_err(|error| explain(&error))?;
            (key, row.id, ("organization_id", organization.id))
        }
    };
    if json {
        output::line(json!({ "key_id": id, owner.0: owner.1, "api_key": key.expose() }))
    } else {
        output::line(format_args!("Key      {id}\nAPI key  {}   (shown this once)", key.expose()))
    }
}

async fn list(common: CommonArgs) -> Result<()> {
    let json = common.json;
    let app = common.data.manage(false)?;
    let keys: Vec<KeySummary> = match common.owner.owner() {
        Owner::Project(project) => {
            if app.core.store.project(&project.as_str().into()).await?.is_none() {
                bail!("project {project:?} not found; `switchboard project list` shows the projects");
            }
            app.core.store.api_keys(&project.as_str().into()).await?.into_iter().map(KeySummary::from).collect()
        }
        Owner::Organization(reach) => {
            let keys = app.keys.organization_keys(&reach).await.map_err(|error| explain(&error))?;
            keys.into_iter().map(KeySummary::from).collect()
        }
    };
    if json {
        return output::line(json!({ "items": keys.iter().map(KeySummary::view).collect::<Vec<_>>() }));
    }
    for key in keys {
        let state = key.revoked_at.map_or_else(|| "live".to_owned(), |at| format!("revoked {}", iso(at)));
        output::line(format_args!("{}  {}…  {}  {}  {state}", key.id, key.prefix, iso(key.created_at), key.name))?;
    }
    Ok(())
}

async fn revoke(id: &str, common: CommonArgs) -> Result<()> {
    let json = common.json;
    let app = common.data.manage(false)?;
    let revoked = match common.owner.owner() {
        Owner::Project(project) => app.keys.revoke(&actor(&project.as_str().into()), id).await,
        Owner::Organization(reach) => app.keys.revoke_organization_key(&actor(&"".into()), &reach, id).await,
    };
    revoked.map_err(|error| explain(&error))?;
    if json {
        output::line(json!({ "key_id": id, "revoked": true }))
    } else {
        output::line(format_args!("revoked {id}"))
    }
}

/// A key of either table.
struct KeySummary {
    id: String,
    name: String,
    prefix: String,
    created_at: Timestamp,
    last_used_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    revoked_at: Option<Timestamp>,
    /// JSON, as stored.
    permissions: Option<String>,
    /// JSON, as stored.
    allowed_ips: Option<String>,
    /// The session whose MCP endpoint it is for.
    session_id: Option<SessionId>,
}

impl KeySummary {
    fn view(&self) -> Value {
        let parsed = |text: &Option<String>| text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        json!({
            "key_id": self.id,
            "name": self.name,
            "prefix": self.prefix,
            "created_at": iso(self.created_at),
            "last_used_at": self.last_used_at.map(iso),
            "expires_at": self.expires_at.map(iso),
            "revoked_at": self.revoked_at.map(iso),
            "permissions": parsed(&self.permissions),
            "allowed_ips": parsed(&self.allowed_ips),
            "session_id": self.session_id,
        })
    }
}

impl From<ApiKeyRow> for KeySummary {
    fn from(row: ApiKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            permissions: row.permissions,
            allowed_ips: row.allowed_ips,
            session_id: row.session_id,
        }
    }
}

impl From<OrganizationKeyRow> for KeySummary {
    fn from(row: OrganizationKeyRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            permissions: None,
            allowed_ips: None,
            session_id: None,
        }
    }
}
