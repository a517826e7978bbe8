//! Link requests, compared with a baseline that only writes the same two rows.

use std::process::Command;
use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use crate::baseline;
use crate::load::{Target, request};
use crate::names::BASELINE_LINK;
use crate::open_loop::{self, AtRate};
use crate::process::Process;
use crate::product::{Product, SESSIONS, create_database};
use crate::rounds::{Bench, Comparison};

/// Name of the comparison.
pub const NAME: &str = "link";

/// Runs the measurement: first with a fixed number of requests in flight, then at a fixed rate.
pub async fn measure(bench: &Bench<'_>) -> Result<(Comparison, Vec<AtRate>)> {
    let products = Product::start_all(bench, "link", None)?;
    let baseline = start_baseline(bench, "link-baseline")?;
    let mut targets = vec![baseline_target(&baseline)];
    for (build, product) in bench.builds.iter().zip(&products) {
        let requests = product.link_requests(&product.sessions(SESSIONS).await?).await?;
        targets.push(Target { name: build.name.clone(), process: &product.process, requests: Arc::new(requests) });
    }
    let titles = [NAME, "`POST …/link`: an account and a link, durable"];
    let connections = &bench.options.connections;
    let comparison = Comparison::measure(bench, titles, &[BASELINE_LINK], connections, (&products, &targets)).await?;
    let at_rate = open_loop::measure(bench.options, &comparison.levels, &targets).await?;
    Ok((comparison, at_rate))
}

/// The baseline of two rows.
pub fn baseline_target(baseline: &Process) -> Target<'_> {
    let body = json!({ "toolkit": "sandbox" }).to_string();
    let json = [("content-type", "application/json")];
    let request = request("POST", baseline::LINK, baseline.address(), &json, &body);
    Target { name: BASELINE_LINK.to_owned(), process: baseline, requests: Arc::new(vec![request]) }
}

/// The baseline on a database that the first build created.
pub fn start_baseline(bench: &Bench<'_>, folder: &str) -> Result<Process> {
    let folder = bench.folder.join(folder);
    create_database(bench, &folder)?;
    let mut command = Command::new(&bench.own);
    command.arg("--baseline").arg(folder.join("switchboard.db"));
    Ok(Process::start(&mut command, |printed| printed.trim().parse().ok())?.0)
}
