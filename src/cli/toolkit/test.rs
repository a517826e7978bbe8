//! `switchboard toolkit test`: tests a toolkit file against a provider that is simulated from it. The
//! runner is the crate `switchboard-toolkit-tests`; here are the arguments and the real server that it
//! uses (`service.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use switchboard_toolkit_tests::ToolkitTest;

use super::service::{AdjustableClock, Service};
use super::source::{Source, pick_scheme};
use crate::cli::output;

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
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: TestArgs) -> Result<()> {
    let toolkit = args.source.load()?;
    let scheme = pick_scheme(&toolkit, args.scheme.as_deref())?;
    let clock = Arc::new(AdjustableClock::default());
    let test = ToolkitTest::start(&toolkit, scheme, &parse_settings(&args.set)?, Arc::clone(&clock) as _).await?;
    let service = Service::open(&toolkit.slug, &args.source, &test, clock).await?;
    let report = test.run(&service).await;
    service.close().await;
    if args.json {
        output::line(serde_json::to_string_pretty(&report.to_json())?)?;
    } else {
        output::print(report.to_text())?;
    }
    if report.is_success() { Ok(()) } else { bail!("{scheme} of {} does not work", toolkit.slug) }
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
