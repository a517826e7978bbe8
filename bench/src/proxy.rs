//! `proxy_execute`, compared with a bare proxy to the same upstream and with the upstream itself.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde::Serialize;
use serde_json::json;

use crate::forward;
use crate::load::{Target, request};
use crate::process::Process;
use crate::product::{Product, write_toolkit};
use crate::rounds::{Bench, Level, interleave};

/// Names in tables.
pub const DIRECT: &str = "upstream";
/// See [`DIRECT`].
pub const BARE: &str = "bare proxy";
/// See [`DIRECT`].
pub const PRODUCT: &str = "switchboard";

/// The toolkit of the upstream.
pub const TOOLKIT: &str = "bench";
/// Number of users with a connected account each.
const USERS: u64 = 16;
/// As long as the API keys of most providers.
pub const FORM: &str = "generic_api_key=benchmark_0123456789abcdefghijklmnopqrs";

/// Results.
#[derive(Debug, Serialize)]
pub struct Proxy {
    /// By number of connections.
    pub levels: Vec<Level>,
    /// Resident memory of the server afterwards, in KiB.
    pub resident_kib: u32,
}

/// Runs the measurement.
pub async fn measure(bench: &Bench<'_>) -> Result<Proxy> {
    let upstream = start_own(bench, &["--upstream"])?;
    let bare = start_own(bench, &["--bare-proxy", &upstream.address().to_string()])?;
    let toolkits = write_toolkit(&bench.folder, TOOLKIT, upstream.address())?;
    let product = Product::start(bench, &bench.folder.join("proxy"), Some(&toolkits))?;
    let mut requests = Vec::new();
    for session in product.sessions(USERS).await? {
        product.connect(&session, TOOLKIT, FORM).await?;
        let body = json!({ "toolkit_slug": TOOLKIT, "endpoint": forward::PATH, "method": "GET" });
        requests.push(product.session_request(&session, "proxy_execute", &body));
    }
    for request in &requests {
        let answer = product.try_request(request).await?;
        ensure!(answer["data"]["id"] == "user-1", "proxy_execute did not bring the upstream's answer");
    }

    let get = |address: SocketAddr| Arc::new(vec![request("GET", forward::PATH, address, &[], "")]);
    let targets = [
        Target { name: DIRECT, requests: get(upstream.address()), process: &upstream },
        Target { name: BARE, requests: get(bare.address()), process: &bare },
        Target { name: PRODUCT, requests: Arc::new(requests), process: &product.process },
    ];
    let levels = interleave("proxy", bench.options, &targets).await?;
    Ok(Proxy { levels, resident_kib: product.process.resident_kib()? })
}

/// Starts this program in one of its server modes.
pub fn start_own(bench: &Bench<'_>, args: &[&str]) -> Result<Process> {
    Ok(Process::start(Command::new(&bench.own).args(args), |printed| printed.trim().parse().ok())?.0)
}
