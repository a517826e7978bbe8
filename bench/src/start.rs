//! Start-up time on an existing database, idle memory, size of the binary.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::json;

use crate::load::{Connection, Target, request};
use crate::process::Process;
use crate::product::{Product, SESSIONS, serve};
use crate::rounds::Bench;
use crate::stats::Spread;

/// Starts, of which the median counts.
const STARTS: usize = 11;
/// How long the server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);
/// Links written beforehand, so that the database is not empty.
const FILL: Duration = Duration::from_secs(2);
const FILL_CONNECTIONS: usize = 64;
/// Between two attempts to connect. Trying without pause would take a core from the server.
const POLL: Duration = Duration::from_micros(500);
/// A start that takes this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Start {
    /// Bytes of the database that `serve` was started on.
    pub database_bytes: u64,
    /// Milliseconds from exec to the first 200 of /livez.
    pub ready_ms: Spread,
    /// Resident memory of `serve`, KiB, [`IDLE`] after its start.
    pub idle_kib: u32,
    /// Bytes of the server's file.
    pub binary_bytes: u64,
}

/// Measures.
pub async fn measure(bench: &Bench<'_>) -> Result<Start> {
    let folder = bench.folder.join("start");
    fill(bench, &folder).await.context("cannot fill a database")?;
    let mut times = Vec::with_capacity(STARTS);
    for start in 1..=STARTS {
        eprintln!("start: {start} of {STARTS}");
        let (process, time) = start_once(bench, &folder).await?;
        times.push(time.as_secs_f64() * 1e3);
        process.stop()?;
    }
    let (process, _) = start_once(bench, &folder).await?;
    tokio::time::sleep(IDLE).await;
    Ok(Start {
        database_bytes: fs::metadata(folder.join("switchboard.db"))?.len(),
        ready_ms: Spread::of(times),
        idle_kib: process.resident_kib()?,
        binary_bytes: fs::metadata(&bench.binary)?.len(),
    })
}

/// A database of an orderly stopped server with some ten thousand links.
async fn fill(bench: &Bench<'_>, folder: &Path) -> Result<()> {
    let product = Product::start(bench, folder, None)?;
    let body = json!({ "toolkit": "sandbox" });
    let sessions = product.sessions(SESSIONS).await?;
    let requests = sessions.iter().map(|session| product.session_request(session, "link", &body)).collect();
    let target = Target { name: "switchboard", process: &product.process, requests: Arc::new(requests) };
    target.load(FILL_CONNECTIONS, FILL).await?;
    product.process.stop()
}

async fn start_once(bench: &Bench<'_>, folder: &Path) -> Result<(Process, Duration)> {
    let started = Instant::now();
    let process = serve(bench, folder)?;
    let question = request("GET", "/livez", process.address(), &[], "");
    while started.elapsed() < PATIENCE {
        if let Ok(mut connection) = Connection::open(process.address()).await {
            let status = connection.exchange(&question).await?.status;
            let time = started.elapsed();
            if status == 200 {
                return Ok((process, time));
            }
            bail!("/livez answered {status}");
        }
        tokio::time::sleep(POLL).await;
    }
    bail!("the server did not answer /livez within {PATIENCE:?}")
}
