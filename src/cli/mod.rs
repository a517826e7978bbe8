//! The command line: `dev`, `serve`, `project`, `key`, `revoke`, `answer`, `audit`, `toolkit`, `config`.
//!
//! Every flag is also an environment variable `SWITCHBOARD_<FLAG>` and a key of `switchboard.toml`.

mod answer;
mod audit;
mod dev;
mod environment;
mod key;
mod output;
mod project;
mod revoke;
mod serve;
mod toolkit;
mod walkthrough;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::config::{self, DEFAULTS, Layer};
use crate::{log, server};

/// How long the end waits for the log to be written.
const FLUSH_TIME: Duration = Duration::from_millis(500);
/// How long the end waits for threads of the runtime that are still looking up names.
const THREADS_TIME: Duration = Duration::from_millis(500);

/// Self-hosted tool router: lets AI agents act with their users' own accounts.
#[derive(Debug, Parser)]
#[command(name = "switchboard", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything for development: database, key, project, and a sandbox provider to try it with.
    Dev(dev::DevArgs),
    /// Run the server.
    Serve(serve::ServeArgs),
    /// Manage projects (also while the server runs).
    Project(project::ProjectArgs),
    /// Manage API keys (also while the server runs).
    Key(key::KeyArgs),
    /// Revoke a project's connected accounts, all or some, here and at their providers.
    Revoke(revoke::RevokeArgs),
    /// Save answers of token endpoints that could not be read.
    Answer(answer::AnswerArgs),
    /// Check the audit log.
    Audit(audit::AuditArgs),
    /// Work with toolkit files.
    Toolkit(toolkit::ToolkitArgs),
    /// Show the configuration manual.
    Config(ConfigArgs),
}

#[derive(Debug, Args)]
struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting with its default and meaning.
    Print,
}

/// Where the data is; shared by all commands that touch it.
#[derive(Debug, Default, Args)]
struct DataArgs {
    /// Configuration file [default: switchboard.toml, if it is there].
    #[arg(long, env = "SWITCHBOARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder for the database and the master key [default: switchboard-data].
    #[arg(long, env = "SWITCHBOARD_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Database, such as <sqlite:/var/lib/switchboard/switchboard.db> [default: in the data folder].
    #[arg(long, env = "SWITCHBOARD_DATABASE_URL", value_name = "URL")]
    database_url: Option<String>,
    /// Master key file [default: master.key in the data folder].
    #[arg(long, env = "SWITCHBOARD_MASTER_KEY_FILE", value_name = "FILE")]
    master_key_file: Option<PathBuf>,
    /// The audit log's head [default: the database's name with .audit-head].
    #[arg(long, env = "SWITCHBOARD_AUDIT_HEAD_FILE", value_name = "FILE")]
    audit_head_file: Option<PathBuf>,
}

impl DataArgs {
    /// Flags and environment over the configuration file.
    fn layer(self, flags: Layer) -> Result<Layer> {
        let file = config::load_file(self.config.as_deref())?;
        let own = Layer {
            data_dir: self.data_dir,
            database_url: self.database_url,
            master_key_file: self.master_key_file,
            audit_head_file: self.audit_head_file,
            ..flags
        };
        Ok(own.over(file))
    }

    /// The application without a server and without the master key, for commands that manage
    /// projects and keys: neither needs a sealed value. Unless `create`, the database must exist.
    fn manage(self, create: bool) -> Result<Arc<App>> {
        let config = self.layer(Layer::default())?.over(Layer::defaults()?).check()?;
        if !create && !config.database.exists() {
            bail!("there is no database at {}; name the server's folder with --data-dir", config.database.display());
        }
        server::open_for_management(config)
    }
}

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = environment::parse::<Cli>();
    let outcome = run_to_the_end(cli.command);
    if let Err(error) = &outcome {
        log::say(&format!("switchboard: {error:#}"));
    }
    log::finish(FLUSH_TIME);
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_to_the_end(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let outcome = runtime.block_on(async {
        let _signal = outlive_file_size_limit().context("cannot start")?;
        run(command).await
    });
    runtime.shutdown_timeout(THREADS_TIME);
    outcome
}

/// A write past the limit of file sizes (`ulimit -f`) then fails, as on a full disk, and does not end
/// the process. The same goes for SIGPIPE, which Rust programs ignore from the start.
fn outlive_file_size_limit() -> std::io::Result<tokio::signal::unix::Signal> {
    signal(SignalKind::from_raw(libc::SIGXFSZ))
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Dev(args) => dev::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Project(args) => project::run(args).await,
        Command::Key(args) => key::run(args).await,
        Command::Revoke(args) => revoke::run(args).await,
        Command::Answer(args) => answer::run(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Toolkit(args) => toolkit::run(args).await,
        Command::Config(ConfigArgs { command: ConfigCommand::Print }) => output::print(DEFAULTS),
    }
}

/// An application error as the command line shows it: what happened, what to do.
fn explain(error: &crate::error::Error) -> anyhow::Error {
    let mut text = error.message().to_owned();
    for line in error.errors() {
        text.push_str("\n  ");
        text.push_str(line);
    }
    if let Some(causes) = error.causes() {
        let _ = write!(text, " ({causes})");
    }
    anyhow::anyhow!("{text}\n  {}", error.suggested_fix())
}
