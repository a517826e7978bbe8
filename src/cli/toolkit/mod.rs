//! `switchboard toolkit`: tools for authors of toolkit files.

mod advice;
mod api_client;
mod draft;
mod import;
mod lint;
mod requests;
mod service;
mod show;
mod source;
mod test;
mod tool;
mod tool_request;
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
    /// Show a toolkit, or one of its tools, and the requests that it results in.
    Show(show::ShowArgs),
    /// Test a toolkit file without its provider: connect, call, refresh and revoke against a simulated
    /// provider, or run a tool, and print the exact HTTP.
    Test(test::TestArgs),
    /// Try a toolkit file with its real provider: connect an account in the browser, and print the
    /// exchanged requests and responses, without secrets.
    Try(trial::TryArgs),
    /// Draft a toolkit file from the metadata of an issuer or an MCP server.
    New(draft::NewArgs),
    /// Make a toolkit with its tools from an API's own document.
    Import(import::ImportArgs),
}

pub(super) async fn run(args: ToolkitArgs) -> Result<()> {
    match args.command {
        ToolkitCommand::Lint(args) => lint::run(&args),
        ToolkitCommand::Show(args) => show::run(&args),
        ToolkitCommand::Test(args) => test::run(args).await,
        ToolkitCommand::Try(args) => trial::run(args).await,
        ToolkitCommand::New(args) => draft::run(args).await,
        ToolkitCommand::Import(args) => import::run(args).await,
    }
}
