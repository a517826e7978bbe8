//! What callers of one server do at the same time: links, polls, calls and health checks, each at a fixed rate.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::load::Target;
use crate::open_loop::{Records, run_at};
use crate::poll::livez_request;
use crate::product::{Product, SESSIONS};
use crate::proxy::{FORM, TOOLKIT};
use crate::{forward, imports};

/// Names of the operations, in their order.
pub const NAMES: [&str; 4] = ["link", "poll", "proxy_execute", "/livez"];
/// Requests per second of each.
pub const RATES: [u32; 4] = [500, 500, 500, 50];
/// Connections of each.
const CONNECTIONS: [usize; 4] = [32, 32, 32, 8];
/// Number of users who call the upstream, each with an account that was connected with an API key.
const CALLERS: u64 = 50;
/// Number of accounts that are polled.
const POLLED: usize = 200;

/// Requests of each operation, in the order of [`NAMES`].
pub struct Streams<'a>([Target<'a>; 4]);

impl<'a> Streams<'a> {
    /// Of prepared requests for links and calls.
    pub async fn prepare(product: &'a Product, writes: Writes, accounts: Range<usize>) -> Result<Self> {
        let polls = poll_requests(product, accounts).await?;
        let livez = vec![livez_request(product.process.address())];
        let mut names = NAMES.into_iter();
        Ok(Self([writes.links, polls, writes.calls, livez].map(|requests| Target {
            name: names.next().unwrap_or_default().to_owned(),
            process: &product.process,
            requests: Arc::new(requests),
        })))
    }

    /// Sends all of them for a time. Returns their requests in the order of [`NAMES`].
    pub async fn run(&self, duration: Duration) -> Result<[Records; 4]> {
        let [links, polls, calls, livez] = &self.0;
        let [link_rate, poll_rate, call_rate, livez_rate] = RATES.map(f64::from);
        let [of_links, of_polls, of_calls, of_livez] = CONNECTIONS;
        let (links, polls, calls, livez) = tokio::try_join!(
            run_at(links, link_rate, of_links, duration),
            run_at(polls, poll_rate, of_polls, duration),
            run_at(calls, call_rate, of_calls, duration),
            run_at(livez, livez_rate, of_livez, duration),
        )?;
        Ok([links, polls, calls, livez])
    }
}

/// Requests that need sessions, which are created beforehand.
pub struct Writes {
    links: Vec<Vec<u8>>,
    calls: Vec<Vec<u8>>,
}

impl Writes {
    /// Creates sessions, and connects accounts of the users who call the upstream.
    pub async fn prepare(product: &Product) -> Result<Self> {
        let links = product.link_requests(&product.sessions(SESSIONS).await?).await?;
        let call = json!({ "toolkit_slug": TOOLKIT, "endpoint": forward::PATH, "method": "GET" });
        let mut calls = Vec::new();
        for session in product.sessions_of(CALLERS, |user| format!("caller-{user}")).await? {
            product.connect(&session, TOOLKIT, FORM).await?;
            let request = product.session_request(&session, "proxy_execute", &call);
            product.try_request(&request).await.context("a call failed")?;
            calls.push(request);
        }
        Ok(Self { links, calls })
    }
}

/// Requests for imported accounts that are spread over all of them.
async fn poll_requests(product: &Product, accounts: Range<usize>) -> Result<Vec<Vec<u8>>> {
    let step = (accounts.len() / POLLED).max(1);
    let mut requests = Vec::new();
    for number in accounts.step_by(step) {
        let user = imports::user(number);
        let path = format!("/connected_accounts?user_ids={user}&toolkit_slugs={}&limit=1", imports::TOOLKIT);
        let page = product.access.send("GET", &path, &Value::Null).await?;
        let id = page["items"][0]["id"].as_str().context("an imported account is not listed")?;
        requests.push(product.api_request("GET", &format!("/connected_accounts/{id}"), &Value::Null));
    }
    Ok(requests)
}
