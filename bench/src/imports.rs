//! Imported accounts of a provider whose tokens end, each of another user: for the refresh wave and for the mixed
//! load.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tokio::task::JoinSet;

use crate::access::Access;
use crate::issuer::{self, Seen};
use crate::load::{Connection, request};
use crate::process::Process;
use crate::proxy::start_own;
use crate::rounds::Bench;

/// The provider's toolkit.
pub const TOOLKIT: &str = "wave";
/// Number of connections.
const CONNECTIONS: usize = 16;
/// Number of accounts to measure the import rate.
const SAMPLE: usize = 1_000;
/// All tokens of a wave end within this time.
pub const MINUTE: Duration = Duration::from_mins(1);
/// Time between the last import and the first expiry: room for two refresh margins.
const HEADWAY: Duration = Duration::from_secs(150);

/// Accounts whose tokens end within the same minute.
#[derive(Clone, Copy, Debug)]
pub struct Wave {
    /// Their number.
    pub accounts: usize,
    /// Begin of that minute, in milliseconds since 1970.
    pub first: u128,
}

/// Starts the provider, with the response time of `--provider-ms`.
pub fn start_provider(bench: &Bench<'_>) -> Result<Process> {
    start_own(bench, &["--issuer", &bench.options.provider_ms.to_string()])
}

/// The provider's counters so far.
pub async fn seen(provider: &Process) -> Result<Seen> {
    let mut connection = Connection::open(provider.address()).await?;
    let answer = connection.exchange(&request("GET", "/seen", provider.address(), &[], "")).await?;
    Ok(serde_json::from_slice(answer.body)?)
}

/// Creates an auth config of the provider's toolkit in a project and returns its id.
pub async fn auth_config(access: &Access) -> Result<String> {
    let client = json!({ "client_id": "bench", "client_secret": "bench-secret" });
    let body = json!({ "toolkit": { "slug": TOOLKIT }, "auth_config": {
        "type": "use_custom_auth", "authScheme": "OAUTH2", "credentials": client } });
    let made = access.send("POST", "/auth_configs", &body).await?;
    Ok(made["auth_config"]["id"].as_str().context("no auth config")?.to_owned())
}

/// Name of the user of an account.
pub fn user(number: usize) -> String {
    format!("user-{number:04}")
}

/// An end of tokens that no measurement reaches, in milliseconds since 1970.
pub fn far_end() -> u128 {
    issuer::now() + 86_400_000
}

/// Imports accounts. The last of them are a sample that measures the import rate; all others are the wave.
pub async fn wave(access: &Access, config: &str, accounts: usize) -> Result<Wave> {
    let started = Instant::now();
    let far = far_end();
    let wave = accounts.saturating_sub(SAMPLE);
    import(access, config, wave..accounts, move |_| far).await?;
    let per_account = started.elapsed() / u32::try_from(accounts - wave)?;
    let imports = per_account * u32::try_from(wave)? * 13 / 10;
    let first = issuer::now() + (imports + HEADWAY).as_millis();
    let count = u128::try_from(wave.max(1))?;
    let end = move |number: usize| first + MINUTE.as_millis() * number as u128 / count;
    import(access, config, 0..wave, end).await?;
    eprintln!("{accounts} accounts imported in {:?}", started.elapsed());
    Ok(Wave { accounts: wave, first })
}

/// Imports accounts over several connections. `end` says when the tokens of each end, in milliseconds since 1970.
pub async fn import(
    access: &Access,
    config: &str,
    numbers: Range<usize>,
    end: impl Fn(usize) -> u128 + Copy + Send + 'static,
) -> Result<()> {
    let mut makers = JoinSet::new();
    for first in numbers.start..numbers.end.min(numbers.start + CONNECTIONS) {
        let (access, config, last) = (access.clone(), config.to_owned(), numbers.end);
        makers.spawn(async move {
            let mut connection = Connection::open(access.address()).await?;
            for number in (first..last).step_by(CONNECTIONS) {
                let end = end(number);
                let val = json!({ "status": "ACTIVE", "access_token": issuer::access_token(number, end),
                    "refresh_token": issuer::refresh_token(number, end),
                    "expires_in": u64::try_from(end.saturating_sub(issuer::now()) / 1_000)? });
                let body = json!({ "auth_config": { "id": config }, "connection": {
                    "user_id": user(number), "state": { "authScheme": "OAUTH2", "val": val } } });
                let answer = connection.exchange(&access.request("POST", "/connected_accounts", &body)).await?;
                ensure!(answer.status == 201, "an import answered {}", answer.status);
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = makers.join_next().await {
        done??;
    }
    Ok(())
}
