//! `proxy_execute`, compared with bare proxies to the same upstream and with the upstream itself.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::forward;
use crate::load::{Connection, Target, request};
use crate::names::{BARE, POST_FLOOR, UPSTREAM};
use crate::process::Process;
use crate::product::{Product, write_toolkit};
use crate::rounds::{Bench, Comparison, Level};
use crate::stats::Spread;

/// Name of the comparison.
pub const NAME: &str = "proxy";
/// The toolkit of the upstream.
pub const TOOLKIT: &str = "bench";
/// Number of users with a connected account each.
const USERS: u64 = 16;
/// As long as the API keys of most providers.
pub const FORM: &str = "generic_api_key=benchmark_0123456789abcdefghijklmnopqrs";
/// Headers of the product's request, for the proxy that takes the same.
const HEADERS: [(&str, &str); 2] =
    [("x-api-key", "ak_0123456789abcdefghijklmnopqrstuvwxyz"), ("content-type", "application/json")];

/// Runs the measurement.
pub async fn measure(bench: &Bench<'_>) -> Result<Comparison> {
    let upstream = start_own(bench, &["--upstream"])?;
    let to = upstream.address().to_string();
    let bare = start_own(bench, &["--bare-proxy", &to])?;
    let post = start_own(bench, &["--bare-proxy", &to])?;
    let toolkits = write_toolkit(&bench.folder, TOOLKIT, upstream.address())?;
    let products = Product::start_all(bench, "proxy", Some(&toolkits))?;
    let call = json!({ "toolkit_slug": TOOLKIT, "endpoint": forward::PATH, "method": "GET" });
    let get = |address: SocketAddr| Arc::new(vec![request("GET", forward::PATH, address, &[], "")]);
    let wrapped = request("POST", forward::EXECUTE, post.address(), &HEADERS, &call.to_string());
    let answer = Connection::open(post.address()).await?;
    check_answer(answer, &wrapped).await?;
    let mut targets = vec![
        Target { name: UPSTREAM.to_owned(), requests: get(upstream.address()), process: &upstream },
        Target { name: BARE.to_owned(), requests: get(bare.address()), process: &bare },
        Target { name: POST_FLOOR.to_owned(), requests: Arc::new(vec![wrapped]), process: &post },
    ];
    for (build, product) in bench.builds.iter().zip(&products) {
        let mut requests = Vec::new();
        for session in product.sessions(USERS).await? {
            product.connect(&session, TOOLKIT, FORM).await?;
            let request = product.session_request(&session, "proxy_execute", &call);
            check_answer(Connection::open(product.process.address()).await?, &request).await?;
            requests.push(request);
        }
        targets.push(Target { name: build.name.clone(), process: &product.process, requests: Arc::new(requests) });
    }
    let titles = [NAME, "`proxy_execute` of a GET of 1 KiB of JSON"];
    let connections = bench.options.few_connections();
    Comparison::measure(bench, titles, &[BARE, POST_FLOOR], &connections, (&products, &targets)).await
}

/// A response has the upstream's JSON in its envelope.
async fn check_answer(mut connection: Connection, request: &[u8]) -> Result<()> {
    let answer: Value = serde_json::from_slice(connection.exchange(request).await?.body)?;
    ensure!(answer["data"]["id"] == "user-1", "a proxy did not bring the upstream's answer: {answer}");
    Ok(())
}

/// Starts this program in one of its server modes.
pub fn start_own(bench: &Bench<'_>, args: &[&str]) -> Result<Process> {
    Ok(Process::start(Command::new(&bench.own).args(args), |printed| printed.trim().parse().ok())?.0)
}

/// Microseconds that a proxy adds to the p50 of the upstream measured in the same round.
pub fn added_us(level: &Level, name: &str) -> Option<Spread> {
    level.compare(name, UPSTREAM, |proxy, direct| proxy.p50_us - direct.p50_us)
}

/// Ratio of the medians of what two proxies add. In a single round the bare proxy may seem to add almost
/// nothing or less, which would give an arbitrary ratio. NaN if that is true of the median, too.
pub fn added_ratio(level: &Level, name: &str, floor: &str) -> Option<f64> {
    let (own, floor) = (added_us(level, name)?.median, added_us(level, floor)?.median);
    Some(if own > 0.0 && floor > 0.0 { own / floor } else { f64::NAN })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Sample;
    use crate::names::PRODUCT;
    use crate::rounds::Run;

    fn level(direct: f64, bare: f64, own: f64) -> Level {
        let run = |name: &str, p50_us| {
            let sample = Sample { per_second: 1.0, p50_us, p99_us: p50_us, cpu_us: 1.0, errors: 0 };
            Run { name: name.to_owned(), samples: vec![sample] }
        };
        Level { connections: 1, runs: vec![run(UPSTREAM, direct), run(BARE, bare), run(PRODUCT, own)] }
    }

    #[test]
    fn added_time_is_over_the_upstreams_own() {
        let ratio = added_ratio(&level(40.0, 140.0, 190.0), PRODUCT, BARE).unwrap();
        assert!((ratio - 1.5).abs() < 1e-9);
    }

    #[test]
    fn a_proxy_measured_faster_than_no_proxy_gives_no_ratio() {
        assert!(added_ratio(&level(40.0, 30.0, 190.0), PRODUCT, BARE).unwrap().is_nan());
    }
}
