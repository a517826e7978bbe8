//! Benchmarks with a baseline: the real server runs next to a minimal server for the same job, at the same
//! time on the same disk, and only ratios are judged.
//!
//! `cargo run -p switchboard-bench --release -- [link|proxy|start|wave|all]`; README.md explains the figures.
//! It builds nothing, listens on 127.0.0.1 only and leaves no files behind.

mod baseline;
mod forward;
mod issuer;
mod link;
mod listen;
mod load;
mod process;
mod product;
mod proxy;
mod report;
mod rounds;
mod start;
mod stats;
mod strain;
mod wave;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::report::Report;

/// The same allocator as the server's, so that the baselines have the same costs.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Switchboard against baselines that run next to it.
#[derive(Debug, Parser)]
#[command(name = "switchboard-bench", version)]
struct Cli {
    /// What to measure.
    #[arg(value_enum, default_value_t = Benchmark::All)]
    benchmark: Benchmark,
    #[command(flatten)]
    options: Options,
    #[command(flatten)]
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Benchmark {
    /// Link requests against the baseline of two durable rows.
    Link,
    /// `proxy_execute` against a bare proxy and against no proxy.
    Proxy,
    /// Start-up time, memory, size of the binary.
    Start,
    /// Accounts whose tokens expire within one minute; takes minutes, so it is not part of `all`.
    Wave,
    /// Clients that read nothing, slow clients, too many clients; large responses; a log that is not read.
    Strain,
    /// All but `wave` and `strain`.
    All,
}

/// Options of the measurement.
#[derive(Debug, clap::Args)]
struct Options {
    /// Seconds per measurement, 1 to 60.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Number of rounds, 1 to 25; the median is reported.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=25))]
    rounds: u64,
    /// Numbers of connections.
    #[arg(long, default_values_t = [1, 16, 64, 256], value_delimiter = ',', value_parser = connections)]
    connections: Vec<usize>,
    /// Server to measure [default: the one next to this program].
    #[arg(long, value_name = "PATH")]
    switchboard: Option<PathBuf>,
    /// Folder on the disk to measure; a temporary folder is created in it [default: next to this program].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Log filter of the server [default: the server's own].
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// Number of accounts of `wave`.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(2_000..=1_000_000))]
    accounts: u64,
    /// Response time of the token endpoint of `wave`, in milliseconds.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=5_000))]
    provider_ms: u64,
    /// File for the server's log [default: none].
    #[arg(long, value_name = "FILE")]
    server_log: Option<PathBuf>,
    /// Also write the results as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Modes in which this program starts itself.
#[derive(Debug, clap::Args)]
#[group(multiple = false)]
struct Role {
    /// Serve the link baseline on a database created by Switchboard.
    #[arg(long, hide = true, value_name = "DATABASE")]
    baseline: Option<PathBuf>,
    /// Serve the bare proxy to this address.
    #[arg(long, hide = true, value_name = "ADDR")]
    bare_proxy: Option<std::net::SocketAddr>,
    /// Serve the provider of the wave, with this response time in milliseconds.
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    issuer: Option<u64>,
    /// Serve the upstream.
    #[arg(long, hide = true)]
    upstream: bool,
}

fn connections(text: &str) -> Result<usize, String> {
    let number: usize = text.parse().map_err(|error| format!("{error}"))?;
    if (1..=1_024).contains(&number) { Ok(number) } else { Err("takes 1 to 1024".to_owned()) }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match &cli.role {
        Role { baseline: Some(database), .. } => baseline::run(database),
        Role { bare_proxy: Some(upstream), .. } => forward::run_proxy(*upstream),
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
    let own = std::env::current_exe().context("cannot tell where this program is")?;
    let beside = own.parent().context("this program is in no folder")?;
    let binary = options.switchboard.clone().unwrap_or_else(|| beside.join("switchboard"));
    if !binary.is_file() {
        bail!("no server at {}: build it with the same profile, or name it with --switchboard", binary.display());
    }
    let parent = options.data_dir.as_deref().unwrap_or(beside);
    let folder = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot make a temporary folder in {}", parent.display()))?;
    let bench = rounds::Bench { own, binary, folder: folder.path().to_owned(), options };

    if benchmark == Benchmark::Wave {
        let wave = wave::measure(&bench, usize::try_from(options.accounts)?).await.context("measuring the wave")?;
        print!("{wave}");
        return write_json(options, &wave);
    }
    if benchmark == Benchmark::Strain {
        let strain = strain::measure(&bench).await.context("measuring under strain")?;
        print!("{strain}");
        return write_json(options, &strain);
    }
    let mut report = Report::new(options);
    let wants = |part| benchmark == part || benchmark == Benchmark::All;
    if wants(Benchmark::Start) {
        report.start = Some(start::measure(&bench).await.context("measuring start-up")?);
    }
    if wants(Benchmark::Link) {
        report.link = Some(link::measure(&bench).await.context("measuring links")?);
    }
    if wants(Benchmark::Proxy) {
        report.proxy = Some(proxy::measure(&bench).await.context("measuring the proxy")?);
    }
    report.judge();
    print!("{report}");
    write_json(options, &report)
}

fn write_json(options: &Options, figures: &impl serde::Serialize) -> Result<()> {
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(figures)? + "\n";
        std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
