//! Start-up time with an existing database, idle memory, size of the binary.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::load::{Connection, Target, request};
use crate::options::Build;
use crate::process::{Memory, Process};
use crate::product::{Product, SESSIONS, serve};
use crate::rounds::Bench;
use crate::stats::Spread;

/// Number of starts; the median is reported.
const STARTS: usize = 11;
/// Idle time before the memory is measured.
const IDLE: Duration = Duration::from_secs(2);
/// How long links are created first, so that the database is not empty.
const FILL: Duration = Duration::from_secs(2);
const FILL_CONNECTIONS: usize = 64;
/// Pause between attempts to connect. Without it, polling would take a core from the server.
const POLL: Duration = Duration::from_micros(500);
/// Timeout of a start.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Results of one build.
#[derive(Debug, Serialize)]
pub struct Start {
    /// The build.
    pub name: String,
    /// Size of the database in bytes.
    pub database_bytes: u64,
    /// Milliseconds from exec to the first 200 of /livez.
    pub ready_ms: Spread,
    /// Memory of `serve` [`IDLE`] after its start.
    pub idle: Memory,
    /// Size of the binary in bytes.
    pub binary_bytes: u64,
}

/// Runs the measurement: the builds start in turn.
pub async fn measure(bench: &Bench<'_>) -> Result<Vec<Start>> {
    let folder = |build: &Build| bench.folder.join("start").join(&build.name);
    for build in &bench.builds {
        fill(bench, build, &folder(build)).await.context("cannot fill a database")?;
    }
    let mut times = vec![Vec::with_capacity(STARTS); bench.builds.len()];
    for start in 1..=STARTS {
        eprintln!("start: {start} of {STARTS}");
        for (build, times) in bench.builds.iter().zip(&mut times) {
            let (process, time) = start_once(bench, build, &folder(build)).await?;
            times.push(time.as_secs_f64() * 1e3);
            process.stop()?;
        }
    }
    let mut starts = Vec::new();
    for (build, times) in bench.builds.iter().zip(times) {
        let folder = folder(build);
        let (process, _) = start_once(bench, build, &folder).await?;
        tokio::time::sleep(IDLE).await;
        starts.push(Start {
            name: build.name.clone(),
            database_bytes: fs::metadata(folder.join("switchboard.db"))?.len(),
            ready_ms: Spread::of(times),
            idle: process.memory()?,
            binary_bytes: fs::metadata(&build.path)?.len(),
        });
    }
    Ok(starts)
}

/// A database of a gracefully stopped server with some ten thousand links.
async fn fill(bench: &Bench<'_>, build: &Build, folder: &Path) -> Result<()> {
    let product = Product::start(bench, build, folder, None)?;
    let requests = product.link_requests(&product.sessions(SESSIONS).await?).await?;
    let target = Target { name: build.name.clone(), process: &product.process, requests: Arc::new(requests) };
    target.load(FILL_CONNECTIONS, FILL).await?;
    product.process.stop()
}

async fn start_once(bench: &Bench<'_>, build: &Build, folder: &Path) -> Result<(Process, Duration)> {
    let started = Instant::now();
    let process = serve(bench, build, folder)?;
    let question = request("GET", "/livez", process.address(), &[], "");
    while started.elapsed() < TIMEOUT {
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
    bail!("the server did not answer /livez within {TIMEOUT:?}")
}
