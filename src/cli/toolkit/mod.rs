//! `switchboard toolkit`: what an author does with a toolkit file.

mod advice;
mod draft;
mod inside;
mod lint;
mod requests;
mod service;
mod show;
mod source;
mod test;
mod trial;
mod words;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(super) struct ToolkitArgs {
    #[command(subcommand)]
    command: ToolkitCommand,
}

#[derive(Debug, Subcommand)]
enum ToolkitCommand {
    /// Check toolkit files; names file, line and key of every mistake.
    Lint(lint::LintArgs),
    /// Show what a toolkit is, and the requests that it leads to.
    Show(show::ShowArgs),
    /// Try a toolkit file without its provider: connect, call, refresh and revoke against a provider that is
    /// played as the file says, and print the exact HTTP.
    Test(test::TestArgs),
    /// Try a toolkit file with its real provider: connect an account in the browser, and see what is sent and
    /// answered, without secrets.
    Try(trial::TryArgs),
    /// Draft a toolkit file from what an issuer or an MCP server says of itself.
    New(draft::NewArgs),
}

pub(super) async fn run(args: ToolkitArgs) -> Result<()> {
    match args.command {
        ToolkitCommand::Lint(args) => lint::run(&args),
        ToolkitCommand::Show(args) => show::run(&args),
        ToolkitCommand::Test(args) => test::run(args).await,
        ToolkitCommand::Try(args) => trial::run(args).await,
        ToolkitCommand::New(args) => draft::run(args).await,
    }
}
