//! Do callers notice the work that a server does for others? While a wave of refreshes is due, a project is deleted
//! and all accounts are listed, links, polls and calls are measured at fixed rates, and compared with the same
//! rates on the same server before.

use std::fmt::{self, Display, Formatter};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use serde_json::{Value, json};

use crate::access::{Access, text_at};
use crate::goals::met;
use crate::imports::{self, MINUTE};
use crate::issuer::{self, Seen};
use crate::lists::{Listed, Lister};
use crate::open_loop::{RateSample, Records};
use crate::process::Process;
use crate::product::{Product, organization_key, write_oauth_toolkit, write_toolkit};
use crate::proxy::{TOOLKIT, start_own};
use crate::rounds::Bench;
use crate::scale::{self, Inserted};
use crate::streams::{NAMES, RATES, Streams, Writes};
use crate::{database, stats};

/// Before the first measurement, at the same rates.
const WARM_UP: Duration = Duration::from_secs(3);
/// The measurement without other work.
const IDLE: Duration = Duration::from_secs(10);
/// The one with other work is also summed up in slices of this length.
const SLICE: Duration = Duration::from_secs(5);
/// Accounts of the deleted project: this part of `--accounts`.
const LEAVING_PART: usize = 5;
/// Accounts that are only listed: so many times `--accounts`.
const LISTED_TIMES: usize = 2;
/// Bar of the p99 with other work, over that without.
const RATIO_BAR: f64 = 3.0;
/// Bar of the longest `/livez` with other work, in milliseconds.
const LIVEZ_BAR_MS: f64 = 100.0;

/// Results.
#[derive(Debug, Serialize)]
pub struct Mixed {
    /// Accounts whose tokens ended within a minute.
    pub refreshed: usize,
    /// Accounts that were inserted to be listed.
    pub inserted: usize,
    /// Accounts of the deleted project.
    pub leaving: usize,
    /// Of these, gone at the end.
    pub gone: usize,
    /// How long the request for the deletion took, in seconds.
    pub deletion_s: f64,
    /// Seconds with other work.
    pub loaded_s: u64,
    /// Counters of the provider.
    pub seen: Seen,
    /// What was listed meanwhile.
    pub listed: Listed,
    /// In the order of [`NAMES`].
    pub operations: Vec<Operation>,
    /// Resident memory of the server at the end, in KiB.
    pub resident_kib: u32,
}

/// One operation.
#[derive(Debug, Serialize)]
pub struct Operation {
    /// What was requested.
    pub name: &'static str,
    /// Requests per second.
    pub rate: u32,
    /// Without other work.
    pub idle: RateSample,
    /// With other work.
    pub loaded: RateSample,
    /// The same in slices. One without any answer is missing.
    pub slices: Vec<RateSample>,
}

impl Operation {
    fn new(name: &'static str, rate: u32, idle: &Records, loaded: &Records, duration: Duration) -> Result<Self> {
        let sample = |records: &Records| records.sample().with_context(|| format!("{name}: no answer of status 2xx"));
        let starts = (0..).map(|number| SLICE * number).take_while(|start| *start < duration);
        let slices = starts.filter_map(|start| loaded.sample_of(&(start..start + SLICE))).collect();
        Ok(Self { name, rate, idle: sample(idle)?, loaded: sample(loaded)?, slices })
    }

    /// The p99 with other work over that without.
    fn ratio(&self) -> f64 {
        self.loaded.p99_us / self.idle.p99_us
    }

    /// The p99 of the worst slice, in milliseconds.
    fn worst_ms(&self) -> f64 {
        stats::Spread::of(self.slices.iter().map(|slice| slice.p99_us / 1e3)).max
    }

    /// Requests that fail are not quick.
    fn has_errors(&self) -> bool {
        self.idle.errors + self.loaded.errors > 0
    }
}

/// A project of another key, and the key that may delete it.
struct Leaving {
    id: String,
    accounts: usize,
    organization: Access,
}

/// Runs the measurement.
pub async fn measure(bench: &Bench<'_>, accounts: usize) -> Result<Mixed> {
    let data_dir = bench.folder.join("mixed");
    let provider = imports::start_provider(bench)?;
    let upstream = start_own(bench, &["--upstream"])?;
    write_toolkit(&bench.folder, TOOLKIT, upstream.address())?;
    let toolkits = write_oauth_toolkit(&bench.folder, imports::TOOLKIT, provider.address())?;
    let inserted = accounts * LISTED_TIMES;
    let product = start(bench, &data_dir, &toolkits, inserted).await?;
    let leaving = prepare_leaving(bench, &product, &data_dir, accounts / LEAVING_PART).await?;
    let writes = Writes::prepare(&product).await?;
    // Last: from here on, the first refreshes approach.
    let config = imports::auth_config(&product.access).await?;
    let wave = imports::wave(&product.access, &config, accounts).await?;
    let streams = Streams::prepare(&product, writes, 0..wave.accounts).await?;

    streams.run(WARM_UP).await?;
    eprintln!("mixed: without other work");
    let idle = streams.run(IDLE).await?;
    ensure!(imports::seen(&provider).await?.requests == 0, "refreshes were due before the measurement without them");
    wait_for_refresh(&provider, wave.first).await?;

    let end = wave.first + MINUTE.as_millis();
    let left = Duration::from_millis(u64::try_from(end.saturating_sub(issuer::now()))?).max(MINUTE);
    eprintln!("mixed: with other work, for {} s", left.as_secs());
    let client = Lister::start(product.access.clone())?;
    let outcome = tokio::try_join!(streams.run(left), delete(&leaving));
    let listed = client.finish();
    let (loaded, deletion) = outcome?;
    let mut operations = Vec::new();
    for (((name, rate), idle), loaded) in NAMES.into_iter().zip(RATES).zip(&idle).zip(&loaded) {
        operations.push(Operation::new(name, rate, idle, loaded, left)?);
    }
    Ok(Mixed {
        refreshed: wave.accounts,
        inserted,
        leaving: leaving.accounts,
        gone: leaving.accounts.saturating_sub(database::live_accounts(&data_dir, &leaving.id)?),
        deletion_s: deletion.as_secs_f64(),
        loaded_s: left.as_secs(),
        seen: imports::seen(&provider).await?,
        listed: listed?,
        operations,
        resident_kib: product.process.resident_kib()?,
    })
}

/// A server with accounts that are there to be listed.
async fn start(bench: &Bench<'_>, data_dir: &Path, toolkits: &Path, inserted: usize) -> Result<Product> {
    let build = bench.first()?;
    let product = Product::start(bench, build, data_dir, Some(toolkits))?;
    // The accounts need an auth config, which the first link creates.
    product.link_requests(&product.sessions(1).await?).await?;
    let inserted = u64::try_from(inserted)?;
    product.restart_after(bench, build, (data_dir, Some(toolkits)), |database| {
        scale::insert(database, inserted, Inserted::Expired)
    })
}

/// Creates a second project and imports accounts into it.
async fn prepare_leaving(bench: &Bench<'_>, product: &Product, data_dir: &Path, accounts: usize) -> Result<Leaving> {
    let address = product.process.address();
    let organization = Access::organization(address, &organization_key(bench, data_dir)?);
    let body = json!({ "name": "leaving", "should_create_api_key": true });
    let made = organization.send("POST", "/org/owner/project/new", &body).await?;
    let project = Access::project(address, &text_at(&made, "api_key")?);
    let config = imports::auth_config(&project).await?;
    let far = imports::far_end();
    imports::import(&project, &config, 0..accounts, move |_| far).await?;
    Ok(Leaving { id: text_at(&made, "id")?, accounts, organization })
}

/// Waits until the provider is asked for the first refresh.
async fn wait_for_refresh(provider: &Process, first: u128) -> Result<()> {
    while imports::seen(provider).await?.requests == 0 {
        ensure!(issuer::now() < first + MINUTE.as_millis(), "no token was refreshed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Deletes the second project, after a slice. Returns how long the request took.
async fn delete(leaving: &Leaving) -> Result<Duration> {
    tokio::time::sleep(SLICE).await;
    let started = Instant::now();
    let path = format!("/org/owner/project/{}", leaving.id);
    leaving.organization.send("DELETE", &path, &Value::Null).await.context("deleting the project")?;
    Ok(started.elapsed())
}

impl Display for Mixed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n### mixed load\n")?;
        writeln!(f, "| | idle p99 ms | loaded p99 ms | in the worst {} s | ratio | bar | |", SLICE.as_secs())?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---|")?;
        let (livez, others) = self.operations.split_last().ok_or(fmt::Error)?;
        for operation in others {
            let verdict = met(operation.ratio() <= RATIO_BAR && !operation.has_errors());
            writeln!(
                f,
                "| {} | {:.2} | {:.2} | {:.2} | {:.2} | ≤ {RATIO_BAR} | {verdict} |",
                operation.name,
                operation.idle.p99_us / 1e3,
                operation.loaded.p99_us / 1e3,
                operation.worst_ms(),
                operation.ratio(),
            )?;
        }
        let longest = livez.loaded.max_us / 1e3;
        writeln!(
            f,
            "\n{}: longest while loaded {longest:.1} ms, bar < {LIVEZ_BAR_MS} ms: {}\n",
            livez.name,
            met(longest < LIVEZ_BAR_MS && !livez.has_errors())
        )?;
        self.write_all_figures(f)?;
        self.write_work(f)
    }
}

impl Mixed {
    fn write_all_figures(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | | requests/s | p50 ms | p99 ms | p99.9 ms | longest ms | longest stall ms | sent late, p99 ms | errors |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for Operation { name, rate, idle, loaded, .. } in &self.operations {
            for (when, sample) in [("idle", idle), ("loaded", loaded)] {
                let times =
                    [sample.p50_us, sample.p99_us, sample.p999_us, sample.max_us, sample.stall_us, sample.late_p99_us];
                let times = times.map(|time| format!("{:.2}", time / 1e3)).join(" | ");
                writeln!(f, "| {name} | {when} | {rate} | {times} | {} |", sample.errors)?;
            }
        }
        Ok(())
    }

    fn write_work(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { refreshed, inserted, leaving, gone, deletion_s, loaded_s, seen, listed, .. } = self;
        writeln!(f, "\nOther work in {loaded_s} s:\n")?;
        writeln!(f, "- refresh requests: {} for {refreshed} accounts whose tokens ended", seen.requests)?;
        writeln!(f, "  - with a token that was shown before: {}; late: {}", seen.repeated, seen.late)?;
        writeln!(
            f,
            "- list pages: {}, {} lists to their end, {} errors; {inserted} accounts were inserted to be listed",
            listed.pages, listed.lists, listed.errors
        )?;
        writeln!(f, "- accounts of the deleted project: {gone} of {leaving} gone; answered in {deletion_s:.1} s")?;
        writeln!(f, "- resident memory of the server at the end: {} MiB", self.resident_kib / 1_024)
    }
}
