//! Many accounts whose tokens expire within one minute: is each refreshed once and in time, and do callers
//! notice?

use std::fmt::{self, Display, Formatter};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::issuer::{self, Seen};
use crate::load::{Connection, Sample, Target, request};
use crate::names;
use crate::process::Process;
use crate::product::{Product, write_oauth_toolkit};
use crate::rounds::Bench;

const TOOLKIT: &str = "wave";
/// Number of users who call continuously.
const USERS: u64 = 200;
/// Number of connections for these calls and for set-up.
const CONNECTIONS: usize = 16;
/// Number of accounts to measure the import rate.
const SAMPLE: usize = 1_000;
/// All tokens expire within this time.
const MINUTE: Duration = Duration::from_mins(1);
/// User calls are measured in slices of this length.
const SLICE: Duration = Duration::from_secs(5);
/// Time between the last import and the first expiry: room for two refresh margins.
const HEADWAY: Duration = Duration::from_secs(150);

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
    let delay = bench.options.provider_ms.to_string();
    let upstream =
        Process::start(Command::new(&bench.own).args(["--issuer", &delay]), |printed| printed.trim().parse().ok())?.0;
    let toolkits = write_oauth_toolkit(&bench.folder, TOOLKIT, upstream.address())?;
    let product = Arc::new(Product::start(bench, bench.first()?, &bench.folder.join("wave"), Some(&toolkits))?);
    let client = json!({ "client_id": "bench", "client_secret": "bench-secret" });
    let body = json!({ "toolkit": { "slug": TOOLKIT }, "auth_config": {
        "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": client } });
    let made = product.try_request(&product.api_request("POST", "/auth_configs", &body)).await?;
    let config = made["auth_config"]["id"].as_str().context("no auth config")?.to_owned();

    let started = Instant::now();
    let far = issuer::now() + 86_400_000;
    // The last accounts are the sample; all others, including those of the calling users, are the wave.
    let wave = accounts.saturating_sub(SAMPLE);
    import(&product, &config, wave..accounts, move |_| far).await?;
    let per_account = started.elapsed() / u32::try_from(accounts - wave)?;
    let imports = per_account * u32::try_from(wave)? * 13 / 10;
    let first = issuer::now() + (imports + HEADWAY).as_millis();
    let count = u128::try_from(wave.max(1))?;
    let end = move |number: usize| first + MINUTE.as_millis() * number as u128 / count;
    import(&product, &config, 0..wave, end).await?;
    eprintln!("wave: {accounts} accounts imported in {:?}", started.elapsed());

    let target = callers(&product).await?;
    let before = target.load(CONNECTIONS, Duration::from_secs(10)).await?;
    let mut slices = Vec::new();
    while issuer::now() < first + MINUTE.as_millis() {
        slices.push((issuer::now(), target.load(CONNECTIONS, SLICE).await?));
    }
    let seen = Connection::open(upstream.address())
        .await?
        .exchange(&request("GET", "/seen", upstream.address(), &[], ""))
        .await
        .and_then(|answer| Ok(serde_json::from_slice(answer.body)?))?;
    let list = product.api_request("GET", "/connected_accounts?statuses=ACTIVE&limit=1", &Value::Null);
    let active = product.try_request(&list).await?["total_items"].as_u64().context("no total")?;
    let resident_kib = product.process.resident_kib()?;
    let seen: Seen = seen;
    let during = slices.into_iter().filter(|(at, _)| seen.lasted(*at, SLICE)).map(|(_, sample)| sample).collect();
    Ok(Wave { accounts: wave, seen, active, before, during, resident_kib })
}

/// Imports accounts over several connections.
async fn import(
    product: &Arc<Product>,
    config: &str,
    numbers: std::ops::Range<usize>,
    end: impl Fn(usize) -> u128 + Copy + Send + 'static,
) -> Result<()> {
    let mut makers = JoinSet::new();
    for first in numbers.start..numbers.end.min(numbers.start + CONNECTIONS) {
        let (product, config, last) = (Arc::clone(product), config.to_owned(), numbers.end);
        makers.spawn(async move {
            let mut connection = Connection::open(product.process.address()).await?;
            for number in (first..last).step_by(CONNECTIONS) {
                let end = end(number);
                let val = json!({ "status": "ACTIVE", "access_token": issuer::access_token(number, end),
                    "refresh_token": issuer::refresh_token(number, end),
                    "expires_in": u64::try_from(end.saturating_sub(issuer::now()) / 1_000)? });
                let body = json!({ "auth_config": { "id": config }, "connection": {
                    "user_id": format!("user-{number:04}"), "state": { "authScheme": "OAUTH2", "val": val } } });
                let answer = connection.exchange(&product.api_request("POST", "/connected_accounts", &body)).await?;
                anyhow::ensure!(answer.status == 201, "an import answered {}", answer.status);
            }
            Ok(())
        });
    }
    while let Some(done) = makers.join_next().await {
        done??;
    }
    Ok(())
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
