//! Link requests, compared with a baseline that only writes the same two rows.

use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use crate::baseline;
use crate::load::{Target, request};
use crate::process::Process;
use crate::product::{Product, SESSIONS, create_database};
use crate::rounds::{Bench, Level, interleave};

/// Name of the baseline in tables.
pub const BASELINE: &str = "baseline_link";
/// Name of the server in tables.
pub const PRODUCT: &str = "switchboard";

/// Results.
#[derive(Debug, Serialize)]
pub struct Link {
    /// By number of connections.
    pub levels: Vec<Level>,
    /// Resident memory of the server afterwards, in KiB.
    pub resident_kib: u32,
}

/// Runs the measurement.
pub async fn measure(bench: &Bench<'_>) -> Result<Link> {
    let product = Product::start(bench, &bench.folder.join("link"), None)?;
    let body = json!({ "toolkit": "sandbox" });
    let sessions = product.sessions(SESSIONS).await?;
    let requests: Vec<Vec<u8>> =
        sessions.iter().map(|session| product.session_request(session, "link", &body)).collect();
    // The first request creates the auth config that all others use.
    let first = requests.first().context("there are no sessions")?;
    product.try_request(first).await.context("a link request failed")?;

    let baseline = start_baseline(bench)?;
    let baseline_request =
        request("POST", baseline::PATH, baseline.address(), &[("content-type", "application/json")], &body.to_string());
    let targets = [
        Target { name: BASELINE, process: &baseline, requests: Arc::new(vec![baseline_request]) },
        Target { name: PRODUCT, process: &product.process, requests: Arc::new(requests) },
    ];
    let levels = interleave("link", bench.options, &targets).await?;
    Ok(Link { levels, resident_kib: product.process.resident_kib()? })
}

fn start_baseline(bench: &Bench<'_>) -> Result<Process> {
    let folder = bench.folder.join("baseline");
    create_database(bench, &folder)?;
    let mut command = Command::new(&bench.own);
    command.arg("--baseline").arg(folder.join("switchboard.db"));
    Ok(Process::start(&mut command, |printed| printed.trim().parse().ok())?.0)
}
