//! Reads: an account that is polled, and `/livez`, compared with static JSON of the same size.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::forward;
use crate::load::{Connection, Target, request};
use crate::names::STATIC;
use crate::process::Process;
use crate::product::{Product, write_toolkit};
use crate::proxy::{FORM, TOOLKIT, start_own};
use crate::rounds::{Bench, Comparison};

/// Name of the comparison of accounts.
pub const NAME: &str = "poll";
/// Name of the comparison of `/livez`.
pub const LIVEZ: &str = "livez";
/// `/livez` of the first build, beside the accounts.
pub const FIRST_LIVEZ: &str = "its /livez";

/// Number of accounts, each of another user.
const ACCOUNTS: u64 = 16;

/// Runs the measurement of `GET /connected_accounts/{id}`.
pub async fn measure(bench: &Bench<'_>) -> Result<Comparison> {
    // The provider is never called; the toolkit needs one.
    let upstream = start_own(bench, &["--upstream"])?;
    let toolkits = write_toolkit(&bench.folder, TOOLKIT, upstream.address())?;
    let products = Product::start_all(bench, "poll", Some(&toolkits))?;
    let mut requests = Vec::new();
    for product in &products {
        requests.push(account_requests(product).await?);
    }
    let (first, first_requests) = products.first().zip(requests.first()).context("there is no server")?;
    let request = first_requests.first().context("there is no account")?;
    let floor = start_static(bench, size_of(&first.process, request).await?)?;
    let livez = Arc::new(vec![livez_request(first.process.address())]);
    let mut targets =
        vec![static_target(&floor), Target { name: FIRST_LIVEZ.to_owned(), process: &first.process, requests: livez }];
    for ((build, product), requests) in bench.builds.iter().zip(&products).zip(requests) {
        targets.push(Target { name: build.name.clone(), process: &product.process, requests: Arc::new(requests) });
    }
    let titles = [NAME, "`GET /connected_accounts/{id}` of an ACTIVE account"];
    let connections = bench.options.few_connections();
    Comparison::measure(bench, titles, &[STATIC, FIRST_LIVEZ], &connections, (&products, &targets)).await
}

/// Runs the measurement of `/livez`.
pub async fn measure_livez(bench: &Bench<'_>) -> Result<Comparison> {
    let products = Product::start_all(bench, "livez", None)?;
    let first = products.first().context("there is no server")?;
    let floor = start_static(bench, size_of(&first.process, &livez_request(first.process.address())).await?)?;
    let mut targets = vec![static_target(&floor)];
    for (build, product) in bench.builds.iter().zip(&products) {
        let requests = Arc::new(vec![livez_request(product.process.address())]);
        targets.push(Target { name: build.name.clone(), process: &product.process, requests });
    }
    let titles = [LIVEZ, "`GET /livez`"];
    let connections = bench.options.few_connections();
    Comparison::measure(bench, titles, &[STATIC], &connections, (&products, &targets)).await
}

/// Requests for accounts that were connected with an API key.
async fn account_requests(product: &Product) -> Result<Vec<Vec<u8>>> {
    let mut requests = Vec::new();
    for session in product.sessions(ACCOUNTS).await? {
        let account = product.connect(&session, TOOLKIT, FORM).await?;
        let request = product.api_request("GET", &format!("/connected_accounts/{account}"), &Value::Null);
        let status = &product.try_request(&request).await?["status"];
        ensure!(*status == "ACTIVE", "an account that was connected is {status}");
        requests.push(request);
    }
    Ok(requests)
}

/// Bytes of the response's body.
async fn size_of(process: &Process, request: &[u8]) -> Result<usize> {
    let mut connection = Connection::open(process.address()).await?;
    Ok(connection.exchange(request).await?.body.len())
}

fn start_static(bench: &Bench<'_>, bytes: usize) -> Result<Process> {
    start_own(bench, &["--fixed", &bytes.to_string()])
}

fn static_target(floor: &Process) -> Target<'_> {
    let requests = Arc::new(vec![request("GET", forward::PATH, floor.address(), &[], "")]);
    Target { name: STATIC.to_owned(), process: floor, requests }
}

/// Bytes of a request for `/livez`.
pub fn livez_request(address: SocketAddr) -> Vec<u8> {
    request("GET", "/livez", address, &[], "")
}
