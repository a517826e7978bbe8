//! The runner of `switchboard toolkit test`: a toolkit file is tested against a provider that is simulated from it.
//!
//! A test connects an account, asks who it is, calls the API, refreshes the token and revokes it, and keeps the exact
//! HTTP of each step. The server is the real one; all of its outgoing connections end at the simulated provider.
//! This crate has the provider and the steps. Who runs it brings the server ([`Server`], [`Clock`]), so that the
//! product can use the runner while the runner does not depend on the product.
//!
//! `values.rs` generates values; `discovery.rs`, `routes.rs` and `document.rs` read the file as a provider would;
//! `provider.rs` and `flow.rs` are its state, `respond.rs`, `checks.rs` and `answers.rs` how it answers;
//! `scenario.rs` has the steps, `exchange.rs` and `report.rs` what is shown of them.

mod answers;
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
mod respond;
mod routes;
mod scenario;
mod server;
#[cfg(test)]
mod tests;
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
pub use self::server::{Clock, Page, Server};
use self::values::Values;

/// A test of one scheme of a toolkit, whose simulated provider listens on this machine.
pub struct ToolkitTest {
    provider: SharedProvider,
    clock: Arc<dyn Clock>,
    address: SocketAddr,
    installation: BTreeMap<String, String>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl ToolkitTest {
    /// Starts the simulated provider. `settings` are values of the author's, by the names of fields.
    ///
    /// # Errors
    /// A value that cannot be generated and was not set, one that is set and unknown or invalid, or a file that no
    /// provider can be simulated from.
    pub async fn start(
        toolkit: &Arc<Toolkit>,
        scheme: Scheme,
        settings: &BTreeMap<String, String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let values = Values::new(toolkit, scheme, settings)?;
        let installation = values.installation();
        let provider = Provider::new(Arc::clone(toolkit), scheme, values, Arc::clone(&clock))?;
        let provider = Arc::new(Mutex::new(provider));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen for the played provider")?;
        let address = listener.local_addr()?;
        let router = respond::router(Arc::clone(&provider));
        let serving = tokio::spawn(axum::serve(listener, router).into_future());
        Ok(Self { provider, clock, address, installation, serving })
    }

    /// Where the simulated provider listens. The server sends all requests there, without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Variables of the installation, for templates: where the built-in sandbox would listen.
    pub fn installation(&self) -> &BTreeMap<String, String> {
        &self.installation
    }

    /// Runs all steps against a server, and ends the simulated provider.
    pub async fn run(self, server: &impl Server) -> Report {
        let mut scenario = Scenario::new(server, &self.provider, self.clock.as_ref());
        let result = scenario.run().await;
        let outcome = std::mem::take(&mut scenario.outcome);
        self.serving.abort();
        Report::new(&self.provider, outcome, result.err().as_ref())
    }
}

/// Its values may be secrets of the author's.
impl fmt::Debug for ToolkitTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolkitTest").field("address", &self.address).finish_non_exhaustive()
    }
}
