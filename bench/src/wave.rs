//! Many accounts whose tokens expire within one minute: is each refreshed once and in time, and do callers
//! notice?

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

use crate::imports::{self, MINUTE, TOOLKIT};
use crate::issuer::{self, Seen};
use crate::load::{Sample, Target};
use crate::names;
use crate::product::{Product, write_oauth_toolkit};
use crate::rounds::Bench;

/// Number of users who call continuously.
const USERS: u64 = 200;
/// Number of connections for these calls.
const CONNECTIONS: usize = 16;
/// User calls are measured in slices of this length.
const SLICE: Duration = Duration::from_secs(5);

/// Results.
#[derive(Debug, Serialize)]
pub struct Wave {
    /// Number of accounts.
    pub accounts: usize,
    /// Counters of the provider.
    pub seen: Seen,
    /// Number of accounts that are ACTIVE afterwards.
    pub active: u64,
    /// User calls before the wave.
    pub before: Sample,
    /// User calls from the first refresh to the last, in slices.
    pub during: Vec<Sample>,
    /// Resident memory of the server afterwards, in KiB.
    pub resident_kib: u32,
}

/// Runs the measurement.
pub async fn measure(bench: &Bench<'_>, accounts: usize) -> Result<Wave> {
    let upstream = imports::start_provider(bench)?;
    let toolkits = write_oauth_toolkit(&bench.folder, TOOLKIT, upstream.address())?;
    let product = Product::start(bench, bench.first()?, &bench.folder.join("wave"), Some(&toolkits))?;
    let config = imports::auth_config(&product.access).await?;
    let imports::Wave { accounts, first } = imports::wave(&product.access, &config, accounts).await?;

    let target = callers(&product).await?;
    let before = target.load(CONNECTIONS, Duration::from_secs(10)).await?;
    let mut slices = Vec::new();
    while issuer::now() < first + MINUTE.as_millis() {
        slices.push((issuer::now(), target.load(CONNECTIONS, SLICE).await?));
    }
    let seen = imports::seen(&upstream).await?;
    let list = product.api_request("GET", "/connected_accounts?statuses=ACTIVE&limit=1", &Value::Null);
    let active = product.try_request(&list).await?["total_items"].as_u64().context("no total")?;
    let resident_kib = product.process.resident_kib()?;
    let during = slices.into_iter().filter(|(at, _)| seen.lasted(*at, SLICE)).map(|(_, sample)| sample).collect();
    Ok(Wave { accounts, seen, active, before, during, resident_kib })
}

/// Users with an account each, who call their provider.
async fn callers(product: &Product) -> Result<Target<'_>> {
    let call = json!({ "toolkit_slug": TOOLKIT, "endpoint": "/me", "method": "GET" });
    let sessions = product.sessions(USERS).await?;
    let requests = sessions.iter().map(|session| product.session_request(session, "proxy_execute", &call)).collect();
    Ok(Target { name: names::PRODUCT.to_owned(), process: &product.process, requests: Arc::new(requests) })
}

impl Display for Wave {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let peak = self.seen.by_second.values().max().copied().unwrap_or(0);
        let seconds = self.seen.by_second.len();
        writeln!(f, "\nrefresh wave\n")?;
        writeln!(f, "accounts whose tokens ended within a minute   {}", self.accounts)?;
        writeln!(f, "refresh requests                              {}", self.seen.requests)?;
        writeln!(f, "  with a token that was shown before          {}", self.seen.repeated)?;
        writeln!(f, "  after the access token had ended            {}", self.seen.late)?;
        writeln!(f, "  in the busiest second; seconds with any     {peak}; {seconds}")?;
        writeln!(f, "accounts ACTIVE afterwards, with the callers' {}", self.active)?;
        writeln!(f, "  API calls with a token that had ended        {}", self.seen.unauthorized)?;
        let line = |f: &mut Formatter<'_>, name: &str, sample: &Sample| {
            writeln!(
                f,
                "user calls {name}: {:.0}/s, p50 {:.1} ms, p99 {:.1} ms, errors {}",
                sample.per_second,
                sample.p50_us / 1_000.0,
                sample.p99_us / 1_000.0,
                sample.errors
            )
        };
        line(f, "before", &self.before)?;
        let slowest = |one: &&Sample, other: &&Sample| one.p99_us.total_cmp(&other.p99_us);
        writeln!(f, "from the first refresh to the last, in {} slices of {} s:", self.during.len(), SLICE.as_secs())?;
        if let (Some(best), Some(worst)) = (self.during.iter().min_by(slowest), self.during.iter().max_by(slowest)) {
            line(f, "in the best", best)?;
            line(f, "in the worst", worst)?;
        }
        writeln!(
            f,
            "errors in all of them                         {}",
            self.during.iter().map(|sample| sample.errors).sum::<usize>()
        )?;
        writeln!(f, "resident memory afterwards                    {} MiB", self.resident_kib / 1_024)
    }
}
