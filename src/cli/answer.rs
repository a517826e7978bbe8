//! `switchboard answer`: what a token endpoint answered and nobody could read.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use zeroize::Zeroizing;

use super::data::DataArgs;
use super::explain::explain;
use super::output;
use switchboard::app::Actor;
use switchboard::config::{Config, Layer};
use switchboard::server;

/// Writes the answers of an account's token endpoint that could not be read to a new file that its owner
/// alone can read. They may hold tokens that nobody can ask for again, and are kept for seven days. The
/// command is written to the audit log. Needs the master key, as `serve` does.
#[derive(Debug, Args)]
pub(super) struct AnswerArgs {
    /// Connected account, `ca_…`.
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Project, `pr_…`.
    #[arg(long, value_name = "ID")]
    project: String,
    /// The file to make; it must not exist.
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
    // Before anything is read: what cannot be written is not opened.
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&args.out)
        .with_context(|| format!("cannot make {}", args.out.display()))?;
    let answers = match read(config, &args.project, &args.account).await {
        Ok(answers) => answers,
        Err(error) => {
            drop(file);
            // An empty file would look like an answer.
            std::fs::remove_file(&args.out).with_context(|| format!("cannot remove {}", args.out.display()))?;
            return Err(error);
        }
    };
    for answer in &answers {
        file.write_all(answer).and_then(|()| file.write_all(b"\r\n\r\n")).context("cannot write the file")?;
    }
    file.sync_all().context("cannot write the file")?;
    output::line(format_args!(
        "Answers  {}\nFile     {}   (may hold tokens: delete it when you are done)",
        answers.len(),
        args.out.display()
    ))
}

async fn read(config: Config, project: &str, account: &str) -> Result<Vec<Zeroizing<Vec<u8>>>> {
    let app = server::open_beside_a_server(config).await?;
    let read = app.credentials.read_unread(&Actor::cli(project), account).await;
    app.core.store.finish();
    read.map_err(|error| explain(&error))
}
