//! Benchmarks with a baseline: the real server runs next to a minimal server for the same job, at the same
//! time on the same disk, and only ratios are judged.
//!
//! `cargo run -p switchboard-bench --release -- [WHAT]`; README.md lists what can be measured and explains the
//! figures. It builds nothing, listens on 127.0.0.1 only and leaves no files behind.

mod access;
mod backlog;
mod baseline;
#[cfg(target_os = "linux")]
mod calls;
mod counts;
mod database;
mod document;
mod forward;
mod goals;
mod imports;
mod issuer;
mod link;
mod listen;
mod lists;
mod load;
mod machine;
mod mixed;
mod names;
mod open_loop;
mod options;
mod poll;
mod process;
mod product;
mod proxy;
mod report;
mod rounds;
mod scale;
mod search;
mod session;
mod start;
mod stats;
mod strain;
mod streams;
mod sweep;
mod tool;
mod wave;

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::options::{Benchmark, Cli, Options, Role};
use crate::report::Report;
use crate::rounds::Bench;

/// The same allocator as the server's, so that the baselines have the same costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.role {
        Role { baseline: Some(database), .. } => baseline::run(database),
        Role { bare_proxy: Some(upstream), .. } => forward::run_proxy(*upstream),
        Role { fixed: Some(bytes), .. } => forward::run_fixed(*bytes),
        Role { issuer: Some(delay), .. } => issuer::run(std::time::Duration::from_millis(*delay)),
        Role { upstream: true, .. } => forward::run_upstream(),
        _ => measure(cli.benchmark, &cli.options),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("switchboard-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure(benchmark: Benchmark, options: &Options) -> Result<()> {
    // A single thread: with few cores, a second one would take more from the servers than it gives.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = run(benchmark, options) => outcome,
            // Returning drops the servers and the temporary folder.
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

async fn run(benchmark: Benchmark, options: &Options) -> Result<()> {
    if benchmark == Benchmark::Search {
        return show(options, &search::measure(&options.search_data).context("measuring the search")?);
    }
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let beside = own.parent().context("this program is in no folder")?;
    let builds = options.builds(beside)?;
    let parent = options.data_dir.clone().unwrap_or_else(|| beside.to_owned());
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&parent)
        .with_context(|| format!("cannot make a temporary folder in {}", parent.display()))?;
    let bench = Bench { own, builds, folder: folder.path().to_owned(), options };
    match benchmark {
        Benchmark::Wave => {
            let accounts = usize::try_from(options.accounts)?;
            show(options, &wave::measure(&bench, accounts).await.context("measuring the wave")?)
        }
        Benchmark::Strain => show(options, &strain::measure(&bench).await.context("measuring under strain")?),
        Benchmark::Mixed => {
            let accounts = usize::try_from(options.accounts)?;
            show(options, &mixed::measure(&bench, accounts).await.context("measuring the mixed load")?)
        }
        Benchmark::Sweep => show(options, &sweep::measure(&bench).await.context("measuring the sweep")?),
        _ => {
            let report = compare(benchmark, &bench).await?;
            if let Some(file) = &options.write {
                document::write(file, &report.to_string())?;
            }
            show(options, &report)
        }
    }
}

async fn compare(benchmark: Benchmark, bench: &Bench<'_>) -> Result<Report> {
    let mut report = Report::new(bench);
    let wants = |part| benchmark == part || benchmark == Benchmark::All;
    if wants(Benchmark::Start) {
        report.starts = start::measure(bench).await.context("measuring start-up")?;
    }
    if wants(Benchmark::Link) {
        let (link, at_rate) = link::measure(bench).await.context("measuring links")?;
        report.comparisons.push(link);
        report.at_rate = at_rate;
    }
    if wants(Benchmark::Session) {
        report.comparisons.push(session::measure(bench).await.context("measuring sessions")?);
    }
    if wants(Benchmark::Poll) {
        report.comparisons.push(poll::measure(bench).await.context("measuring the account poll")?);
    }
    if wants(Benchmark::Livez) {
        report.comparisons.push(poll::measure_livez(bench).await.context("measuring /livez")?);
    }
    if wants(Benchmark::Proxy) {
        report.comparisons.push(proxy::measure(bench).await.context("measuring the proxy")?);
    }
    if wants(Benchmark::Tool) {
        report.comparisons.push(tool::measure(bench).await.context("measuring tools")?);
    }
    if wants(Benchmark::Counts) {
        report.counts = counts::measure(bench).await.context("counting system calls")?;
    }
    if wants(Benchmark::Scale) {
        report.scale = Some(scale::measure(bench).await.context("measuring with many accounts")?);
    }
    report.judge();
    Ok(report)
}

/// Prints figures, and writes them as JSON if that is wanted.
fn show(options: &Options, figures: &(impl Display + Serialize)) -> Result<()> {
    print!("{figures}");
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(figures)? + "\n";
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
