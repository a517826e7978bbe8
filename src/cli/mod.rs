//! The command line: `dev`, `serve`, `project`, `key`, `session`, `revoke`, `answer`, `audit`, `jobs`,
//! `toolkit`, `tool`, `explain`, `config`.
//!
//! Every flag is also an environment variable `SWITCHBOARD_<FLAG>` and a key of `switchboard.toml`.

mod answer;
mod audit;
mod client;
mod data;
mod dev;
mod environment;
mod explain;
mod explanation;
mod jobs;
mod key;
mod output;
mod project;
mod revoke;
mod serve;
mod session;
mod tool;
mod tool_arguments;
mod toolkit;
mod walkthrough;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use self::serve::FLUSH_TIME;
use crate::config::DEFAULTS;
use crate::log;

/// How long the exit waits for runtime threads that are still resolving names.
const THREADS_TIMEOUT: Duration = Duration::from_millis(500);

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
    /// Connect agents to a session (also while the server runs).
    Session(session::SessionArgs),
    /// Revoke a project's connected accounts, all or some, here and at their providers.
    Revoke(revoke::RevokeArgs),
    /// Save answers of token endpoints that could not be read.
    Answer(answer::AnswerArgs),
    /// Check the audit log.
    Audit(audit::AuditArgs),
    /// Show the queue of background jobs (also while the server runs).
    Jobs(jobs::JobsArgs),
    /// Work with toolkit files.
    Toolkit(toolkit::ToolkitArgs),
    /// Run tools on a running server.
    Tool(tool::ToolArgs),
    /// Explain what happened in a call, to an account or to a link.
    Explain(explanation::ExplainArgs),
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
    let outcome = run_on_runtime(cli.command);
    if let Err(error) = &outcome {
        log::print_line(&format!("switchboard: {error:#}"));
    }
    log::finish(FLUSH_TIME);
    if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_on_runtime(command: Command) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    let outcome = runtime.block_on(async {
        let _signal = ignore_file_size_signal().context("cannot start")?;
        run(command).await
    });
    runtime.shutdown_timeout(THREADS_TIMEOUT);
    outcome
}

/// Makes a write past the file size limit (`ulimit -f`) fail like a full disk instead of ending the
/// process. Rust programs already ignore SIGPIPE in the same way.
fn ignore_file_size_signal() -> std::io::Result<tokio::signal::unix::Signal> {
    signal(SignalKind::from_raw(libc::SIGXFSZ))
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Dev(args) => dev::run(args).await,
        Command::Serve(args) => serve::run(args).await,
        Command::Project(args) => project::run(args).await,
        Command::Key(args) => key::run(args).await,
        Command::Session(args) => session::run(args).await,
        Command::Revoke(args) => revoke::run(args).await,
        Command::Answer(args) => answer::run(args).await,
        Command::Audit(args) => audit::run(args).await,
        Command::Jobs(args) => jobs::run(args).await,
        Command::Toolkit(args) => toolkit::run(args).await,
        Command::Tool(args) => tool::run(args).await,
        Command::Explain(args) => explanation::run(args).await,
        Command::Config(ConfigArgs { command: ConfigCommand::Print }) => output::print(DEFAULTS),
    }
}
