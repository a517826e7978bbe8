//! The runner of `switchboard toolkit test`. It tests a toolkit file against a provider that is simulated from it.
//!
//! A test connects an account, identifies it, calls the API, refreshes the token and revokes it. It records the exact
//! HTTP of each step. The server is the real one; all of its outgoing connections go to the simulated provider.
//! This crate has the provider and the steps. The caller supplies the server ([`Server`], [`Clock`]), so that the
//! runner does not depend on the product.
//!
//! - `values.rs` and `placeholders.rs`: generated values; `raw.rs` prints their names instead
//! - `discovery.rs`, `routes.rs`, `document.rs`: what the file says about the provider
//! - `provider.rs`, `flow.rs`: the state of the provider
//! - `received.rs`, `serve.rs`, `checks.rs`, `responses.rs`, `reply.rs`: requests, their checks and responses
//! - `scenario.rs`, `server.rs`: the steps, and the interface to the server under test
//! - `tool.rs`, `tool_call.rs`: the steps for one tool, and its call
//! - `exchange.rs`, `report.rs`: the report

mod checks;
mod discovery;
mod document;
mod exchange;
mod flow;
pub mod placeholders;
mod provider;
pub mod raw;
mod received;
mod reply;
mod report;
mod responses;
mod routes;
mod scenario;
mod serve;
mod server;
#[cfg(test)]
mod tests;
mod tool;
mod tool_call;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use switchboard_catalog::{Scheme, Toolkit};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::provider::{Provider, SharedProvider};
pub use self::report::Report;
use self::scenario::Scenario;
pub use self::server::{BrowserResponse, Clock, Server};
pub use self::tool_call::ToolCall;
use self::values::Values;

/// A test of one scheme of a toolkit. Its simulated provider listens on a loopback address.
pub struct ToolkitTest {
    provider: SharedProvider,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    installation_variables: BTreeMap<String, String>,
    server_task: JoinHandle<std::io::Result<()>>,
}

impl ToolkitTest {
    /// Starts the simulated provider. `settings` are values from the author, by field name.
    ///
    /// # Errors
    /// A missing value that cannot be generated, a setting that is unknown or invalid, or a file that cannot be
    /// simulated.
    pub async fn start(
        toolkit: &Arc<Toolkit>,
        scheme: Scheme,
        settings: &BTreeMap<String, String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let values = Values::new(toolkit, scheme, settings)?;
        let installation_variables = values.installation_variables();
        let provider = Provider::new(Arc::clone(toolkit), scheme, values, Arc::clone(&clock))?;
        let provider = Arc::new(Mutex::new(provider));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen for the simulated provider")?;
        let address = listener.local_addr()?;
        let router = serve::router(Arc::clone(&provider));
        let server_task = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { provider, clock, address, installation_variables, server_task })
    }

    /// The address of the simulated provider. The server must send all requests to it, without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Template variables of the installation: the address of the built-in sandbox.
    pub fn installation_variables(&self) -> &BTreeMap<String, String> {
        &self.installation_variables
    }

    /// Runs all steps against a server, then stops the simulated provider.
    pub async fn run(self, server: &impl Server) -> Report {
        let mut scenario = Scenario::new(server, &self.provider, self.clock.as_ref());
        let result = scenario.run().await;
        let outcome = std::mem::take(&mut scenario.outcome);
        self.server_task.abort();
        Report::new(&self.provider, outcome, result.map(|()| None))
    }

    /// Connects an account and runs a tool with it, then stops the simulated provider. The report has the requests of the
    /// tool alone, and its result.
    pub async fn run_tool(self, server: &impl Server, call: &ToolCall) -> Report {
        let mut scenario = Scenario::new(server, &self.provider, self.clock.as_ref());
        let result = scenario.run_tool(call).await;
        let outcome = std::mem::take(&mut scenario.outcome);
        self.server_task.abort();
        Report::new(&self.provider, outcome, result.map(Some))
    }
}

/// Without the values: they may be secrets of the author.
impl fmt::Debug for ToolkitTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolkitTest").field("address", &self.address).finish_non_exhaustive()
    }
}
