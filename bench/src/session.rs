//! New sessions, compared with a baseline that only writes their row.

use std::sync::Arc;

use anyhow::Result;
use serde_json::json;

use crate::baseline;
use crate::link::start_baseline;
use crate::load::{Target, request};
use crate::names::BASELINE_SESSION;
use crate::product::{Product, SESSIONS};
use crate::rounds::{Bench, Comparison};

/// Name of the comparison.
pub const NAME: &str = "session";

/// Runs the measurement.
pub async fn measure(bench: &Bench<'_>) -> Result<Comparison> {
    let products = Product::start_all(bench, "session", None)?;
    let baseline = start_baseline(bench, "session-baseline")?;
    let bodies: Vec<_> = (0..SESSIONS).map(|user| json!({ "user_id": format!("user-{user:04}") })).collect();
    let json = [("content-type", "application/json")];
    let floor = bodies
        .iter()
        .map(|body| request("POST", baseline::SESSION, baseline.address(), &json, &body.to_string()))
        .collect();
    let mut targets = vec![Target { name: BASELINE_SESSION.to_owned(), process: &baseline, requests: Arc::new(floor) }];
    for (build, product) in bench.builds.iter().zip(&products) {
        let requests = bodies.iter().map(|body| product.api_request("POST", "/tool_router/session", body)).collect();
        targets.push(Target { name: build.name.clone(), process: &product.process, requests: Arc::new(requests) });
    }
    let titles = [NAME, "`POST /tool_router/session`: a session, durable"];
    let connections = bench.options.few_connections();
    Comparison::measure(bench, titles, &[BASELINE_SESSION], &connections, (&products, &targets)).await
}
