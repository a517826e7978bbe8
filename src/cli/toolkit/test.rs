//! `switchboard toolkit test`: tests a toolkit file, or a tool, against a provider that is simulated from it. The
//! runner is the crate `switchboard-toolkit-tests`; here are the arguments and the real server that it
//! uses (`service.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::Value;
use switchboard_catalog::Toolkit;
use switchboard_toolkit_tests::{ToolCall, ToolkitTest};
use switchboard_tools::{example_answer, example_arguments};

use super::service::{AdjustableClock, Service};
use super::source::{Source, pick_scheme};
use super::tool;
use crate::cli::output;
use crate::cli::tool_arguments::ToolArguments;

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    source: Source,
    /// Scheme to test, such as `API_KEY` [default: the preferred one]
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<String>,
    /// A value that cannot be generated, such as a key; may be repeated.
    #[arg(long, value_name = "NAME=VALUE|NAME=@FILE")]
    set: Vec<String>,
    /// Run this tool against the simulated provider instead, and print its request.
    #[arg(long, value_name = "SLUG")]
    tool: Option<String>,
    #[command(flatten)]
    arguments: ToolArguments,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: TestArgs) -> Result<()> {
    let toolkit = args.source.load()?;
    let scheme = pick_scheme(&toolkit, args.scheme.as_deref())?;
    let call = args.tool.as_deref().map(|slug| tool_call(&toolkit, slug, &args.arguments)).transpose()?;
    let clock = Arc::new(AdjustableClock::default());
    let test = ToolkitTest::start(&toolkit, scheme, &parse_settings(&args.set)?, Arc::clone(&clock) as _).await?;
    let service = Service::open(&toolkit.slug, &args.source, &test, clock).await?;
    let report = match &call {
        Some(call) => test.run_tool(&service, call).await,
        None => test.run(&service).await,
    };
    service.close().await;
    if args.json {
        output::line(serde_json::to_string_pretty(&report.to_json())?)?;
    } else {
        output::print(report.to_text())?;
    }
    match call {
        _ if report.is_success() => Ok(()),
        Some(call) => bail!("{} does not work with {scheme}", call.slug),
        None => bail!("{scheme} of {} does not work", toolkit.slug),
    }
}

/// The call of a tool. Its arguments are made up if there are none; its answer always is.
fn tool_call(toolkit: &Toolkit, slug: &str, arguments: &ToolArguments) -> Result<ToolCall> {
    let tool = tool::find(toolkit, slug)?;
    let arguments = arguments.read()?.unwrap_or_else(|| {
        let mut arguments = example_arguments(tool, false);
        // The server takes no files yet.
        let is_file = |name: &str| tool.input[name].schema.get("file_uploadable") == Some(&Value::Bool(true));
        arguments.retain(|name, _| tool.input[name].required || !is_file(name));
        arguments
    });
    tool::check(tool, &arguments)?;
    let scopes = tool.scopes.iter().min_by_key(|scopes| scopes.len()).cloned().unwrap_or_default();
    Ok(ToolCall { slug: tool.slug.clone(), arguments, scopes, answer: example_answer(tool) })
}

/// `name=value` and `name=@file`.
///
/// # Errors
/// A text that is neither, or a file that cannot be read.
fn parse_settings(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let mut given = BTreeMap::new();
    for text in texts {
        let Some((name, value)) = text.split_once('=') else {
            bail!("--set takes name=value or name=@file");
        };
        let value = match value.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("--set {name}: cannot read {file}"))?,
            None => value.to_owned(),
        };
        given.insert(name.to_owned(), value);
    }
    Ok(given)
}
