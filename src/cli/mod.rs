//! The command line: `dev`, `serve`, `project`, `key`, `revoke`, `answer`, `audit`, `toolkit`, `config`.
//!
//! Every flag is also an environment variable `SWITCHBOARD_<FLAG>` and a key of `switchboard.toml`.

mod answer;
mod audit;
mod data;
mod dev;
mod environment;
mod explain;
mod key;
mod output;
mod project;
mod revoke;
mod serve;
mod toolkit;
mod walkthrough;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use self::serve::FLUSH_TIME;
use switchboard::config::DEFAULTS;
use switchboard::log;

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

/// Parses the arguments and runs the command.
pub fn main() -> ExitCode {
    let cli = environment::parse::<Cli>();
    let outcome = run_to_the_end(cli.command);
    if let Err(error) = &outcome {
        log::print_line(&format!("switchboard: {error:#}"));
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
