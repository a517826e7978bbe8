//! The command line: `dev`, `serve`, `project`, `key`, `revoke`, `toolkit`, `config`.
//!
//! Every flag is also an environment variable `SWITCHBOARD_<FLAG>` and a key of `switchboard.toml`.

mod dev;
mod key;
mod project;
mod revoke;
mod serve;
mod toolkit;
mod walkthrough;

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::app::App;
use crate::config::{self, DEFAULTS, Layer};
use crate::server;

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
}

impl DataArgs {
    /// Flags and environment over the configuration file.
    fn layer(self, flags: Layer) -> Result<Layer> {
        let file = config::load_file(self.config.as_deref())?;
        let own = Layer {
            data_dir: self.data_dir,
            database_url: self.database_url,
            master_key_file: self.master_key_file,
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
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("switchboard: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("switchboard: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Dev(args) => dev::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Project(args) => project::run(args).await,
        Command::Key(args) => key::run(args).await,
        Command::Revoke(args) => revoke::run(args).await,
        Command::Toolkit(args) => toolkit::run(args).await,
        Command::Config(ConfigArgs { command: ConfigCommand::Print }) => {
            print!("{DEFAULTS}");
            Ok(())
        }
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
