//! `switchboard answer`: saves token responses that could not be parsed.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use switchboard_types::{AccountId, ProjectId};
use zeroize::Zeroizing;

use super::data::DataArgs;
use super::explain::explain;
use super::output;
use crate::app::Actor;
use crate::config::{Config, Layer};
use crate::server;

/// Writes an account's token responses that could not be parsed to a new file that only its owner can
/// read. They may contain tokens that cannot be requested again, and are kept for seven days. The
/// command is recorded in the audit log. Needs the master key, as `serve` does.
#[derive(Debug, Args)]
pub(super) struct AnswerArgs {
    /// Connected account, `ca_…`.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Project, `pr_…`.
    #[arg(long, value_name = "ID")]
    project: String,
    /// The file to create; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    data: DataArgs,
}

pub(super) async fn run(args: AnswerArgs) -> Result<()> {
    let config = args.data.layer(Layer::default())?.overlay(Layer::defaults()?).check()?;
    if !config.database.exists() {
        bail!("there is no database at {}; name the server's folder with --data-dir", config.database.display());
    }
    // Created before anything is read: if it cannot be written, nothing is opened.
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.out)
        .with_context(|| format!("cannot create {}", args.out.display()))?;
    let answers = match read(config, &args.project.as_str().into(), &args.account.as_str().into()).await {
        Ok(answers) => answers,
        Err(error) => {
            drop(file);
            // An empty file would look like a response.
            std::fs::remove_file(&args.out).with_context(|| format!("cannot remove {}", args.out.display()))?;
            return Err(error);
        }
    };
    for answer in &answers {
        file.write_all(answer).and_then(|()| file.write_all(b"\r\n\r\n")).context("cannot write the file")?;
    }
    file.sync_all().context("cannot write the file")?;
    output::line(format_args!(
        "Responses  {}\nFile       {}   (may hold tokens: delete it when you are done)",
        answers.len(),
        args.out.display()
    ))
}

async fn read(config: Config, project: &ProjectId, account: &AccountId) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    let app = server::open_beside_a_server(config).await?;
    let read = app.credentials.read_unread(&Actor::cli(project), account).await;
    app.core.store.finish();
    read.map_err(|error| explain(&error))
}
