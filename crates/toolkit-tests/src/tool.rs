//! A test of one tool: connect an account, run the tool, return its result.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use switchboard_catalog::Scheme;

use super::provider::lock;
use super::scenario::Scenario;
use super::server::Server;
use super::tool_call::ToolCall;

impl<S: Server> Scenario<'_, S> {
    /// Runs a tool with a new account. Returns its result.
    ///
    /// # Errors
    /// The first step that failed.
    pub(super) async fn run_tool(&mut self, call: &ToolCall) -> Result<Value> {
        let session = if self.scheme == Scheme::NoAuth {
            self.session(None).await?
        } else {
            let config = self.auth_config(&call.scopes).await?;
            let session = self.session(Some(&config)).await?;
            self.connect(&session, &config).await?;
            session
        };
        {
            let mut provider = lock(self.provider);
            // How an account is connected is another test.
            provider.exchanges.clear();
            provider.tool = Some(call.clone());
        }
        let body = json!({ "tool_slug": call.slug, "arguments": call.arguments });
        let outcome = self.server.call("POST", &format!("/tool_router/session/{session}/execute"), Some(&body)).await;
        self.check_failure()?;
        let outcome = outcome.with_context(|| format!("the call of {}", call.slug))?;
        if outcome["result_type"] != "completed" {
            bail!("{} failed: {}", call.slug, outcome["error"].as_str().unwrap_or_default());
        }
        self.outcome.push(format!("called {}", call.slug));
        Ok(outcome["data"].clone())
    }
}
