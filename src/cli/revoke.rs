//! `switchboard revoke`: the emergency switch after a leak (R76).

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;
use switchboard_store::accounts::CredentialFilter;

use super::data::DataArgs;
use super::explain::explain;
use super::output;
use crate::app::Actor;
use crate::config::Layer;
use crate::server;

/// Every connected account that matches becomes REVOKED at once and its credential is erased here. The
/// server then asks the providers to revoke the credentials, and retries for a day; run `switchboard
/// serve` if it is not running. `GET /revoke_jobs/{id}` of the API shows the result of each. Needs the
/// master key, as `serve` does.
#[derive(Debug, Args)]
pub(super) struct RevokeArgs {
    /// Project, `pr_…`.
    #[arg(long, value_name = "ID")]
    project: String,
    /// Only accounts of this toolkit.
    #[arg(long, value_name = "SLUG")]
    toolkit: Option<String>,
    /// Only accounts of this user.
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

pub(super) async fn run(args: RevokeArgs) -> Result<()> {
    let config = args.data.layer(Layer::default())?.overlay(Layer::defaults()?).check()?;
    if !config.database.exists() {
        bail!("there is no database at {}; name the server's folder with --data-dir", config.database.display());
    }
    let app = server::open_beside_a_server(config).await?;
    let filter = CredentialFilter {
        toolkit: args.toolkit.map(|slug| slug.to_ascii_lowercase()),
        user: args.user,
        ..CredentialFilter::default()
    };
    let actor = Actor::cli(&args.project.as_str().into());
    let queued = app.revocations.revoke_accounts(&actor, &filter).await;
    app.core.store.finish();
    let (job, accounts) = queued.map_err(|error| explain(&error))?;
    if args.json {
        return output::line(json!({ "revoke_job_id": job, "accounts": accounts }));
    }
    match job {
        Some(job) => output::line(format_args!("Revoke job  {job}\nAccounts    {accounts}")),
        None => output::line("No connected account matches; nothing was revoked"),
    }
}
