//! One round: a link, a person, the result, and the end of the account.

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use switchboard_catalog::{Refresh, Toolkit};

use super::super::api_client::ApiClient;
use super::client::SECRET;
use super::redact::Printer;
use crate::app::App;
use crate::cli::output;
use crate::log;

/// Pause between two checks of the account and the file.
const POLL_INTERVAL: Duration = Duration::from_millis(300);
/// Maximum polls for the result of a revocation.
const MAX_POLLS: u32 = 100;
/// The user of the accounts.
const USER: &str = "toolkit-try";

/// The context of a round.
pub(super) struct Trial<'t> {
    pub(super) app: &'t Arc<App>,
    pub(super) client: &'t ApiClient,
    pub(super) slug: &'t str,
    pub(super) config: &'t str,
    pub(super) printer: &'t Printer,
    /// Endpoints to call.
    pub(super) gets: &'t [String],
}

/// How a round ended.
pub(super) enum Ended {
    Works,
    Fails,
    /// The file was changed before the user finished.
    Edited,
    /// Ctrl-C.
    Stopped,
}

impl Trial<'_> {
    pub(super) async fn round(&self, opens: bool) -> Result<Ended> {
        let file = self.file();
        let session = json!({ "user_id": USER, "toolkits": { "enable": [self.slug] },
            "auth_configs": { self.slug: self.config } });
        let session = self.client.call("POST", "/tool_router/session", Some(&session)).await?;
        let session = session["session_id"].as_str().context("a session without an id")?.to_owned();
        let path = format!("/tool_router/session/{session}");
        let body = json!({ "toolkit": self.slug });
        let link = self.client.call("POST", &format!("{path}/link"), Some(&body)).await?;
        let account = link["connected_account_id"].as_str().context("a link without an account")?.to_owned();
        let page = link["redirect_url"].as_str().context("a link without a page")?;
        output::line(format!("\nOpen           {page}"))?;
        if opens {
            open(page);
        }
        let ended = self.wait(&account, file.as_ref()).await?;
        if matches!(ended, Ended::Works) {
            self.use_account(&path, &account, file.as_ref()).await?;
        } else if matches!(ended, Ended::Fails) {
            self.explain(&account).await?;
        }
        self.delete_account(&account).await?;
        Ok(ended)
    }

    /// The toolkit in the current version of the file.
    fn file(&self) -> Option<Arc<Toolkit>> {
        self.app.core.toolkit(self.slug)
    }

    fn is_edited(&self, before: Option<&Arc<Toolkit>>) -> bool {
        match (before, &self.file()) {
            (Some(before), Some(now)) => !Arc::ptr_eq(before, now),
            (before, now) => before.is_some() != now.is_some(),
        }
    }

    /// False when the trial should end.
    pub(super) async fn wait_for_edit(&self) -> bool {
        let before = self.file();
        while self.pause().await {
            if self.is_edited(before.as_ref()) {
                return true;
            }
        }
        false
    }

    async fn pause(&self) -> bool {
        self.app.core.stopping.run_until_cancelled(tokio::time::sleep(POLL_INTERVAL)).await.is_some()
    }

    async fn wait(&self, account: &str, file: Option<&Arc<Toolkit>>) -> Result<Ended> {
        loop {
            let explanation = self.client.call("GET", &format!("/connected_accounts/{account}/explain"), None).await?;
            match explanation["status"].as_str().unwrap_or_default() {
                "ACTIVE" => return Ok(Ended::Works),
                // The page offers a retry, but the file should be corrected first.
                "FAILED" | "EXPIRED" => return Ok(Ended::Fails),
                _ if explanation["timeline"]
                    .as_array()
                    .is_some_and(|all| all.iter().any(|event| event["outcome"] == "failed")) =>
                {
                    return Ok(Ended::Fails);
                }
                _ if self.is_edited(file) => return Ok(Ended::Edited),
                _ => {}
            }
            if !self.pause().await {
                return Ok(Ended::Stopped);
            }
        }
    }

    /// Uses the account: identity, a refresh if possible, and the calls.
    async fn use_account(&self, session: &str, account: &str, file: Option<&Arc<Toolkit>>) -> Result<()> {
        let shown = self.client.call("GET", &format!("/connected_accounts/{account}"), None).await?;
        let scheme = shown["authScheme"].as_str().and_then(|scheme| scheme.parse().ok());
        let mut page = format!("\nConnected, {}\n", shown["authScheme"].as_str().unwrap_or_default());
        for (label, key) in [("Identity", "identity"), ("Scopes", "scopes"), ("Lifetime", "lifetime")] {
            let value = &shown[key];
            let _ = writeln!(
                page,
                "{label:<15}{}",
                if value.is_null() { "nothing known".to_owned() } else { value.to_string() }
            );
        }
        if file.zip(scheme).is_none_or(|(toolkit, scheme)| toolkit.identity_of(scheme).is_none()) {
            page.push_str("               the file has no [identity], so the user of the account is unknown\n");
        }
        output::print(self.printer.apply(&page))?;
        let oauth = file.zip(scheme).and_then(|(toolkit, scheme)| toolkit.oauth(scheme));
        if oauth.is_some_and(|oauth| oauth.refresh != Refresh::None)
            && shown["state"]["val"]["refresh_token"].is_string()
        {
            let path = format!("/connected_accounts/{account}/refresh");
            let outcome = match self.client.call("POST", &path, Some(&json!({}))).await {
                Ok(answer) if answer["redirect_url"].is_null() => "works".to_owned(),
                Ok(_) if self.was_refreshed(account).await? => {
                    "works; the user is asked again all the same, since scopes are missing".to_owned()
                }
                Ok(_) => "does not work: the user would have to connect again".to_owned(),
                Err(error) => format!("does not work: {error:#}"),
            };
            output::line(self.printer.apply(&format!("\nRefreshing     {outcome}")))?;
        }
        for endpoint in self.gets {
            let body = json!({ "toolkit_slug": self.slug, "endpoint": endpoint, "method": "GET" });
            let outcome = match self.client.call("POST", &format!("{session}/proxy_execute"), Some(&body)).await {
                Ok(answer) => format!("answers {}", answer["status"]),
                Err(error) => format!("fails: {error:#}"),
            };
            output::line(self.printer.apply(&format!("\nGET {endpoint}   {outcome}")))?;
        }
        Ok(())
    }

    /// Whether the timeline contains the refresh.
    async fn was_refreshed(&self, account: &str) -> Result<bool> {
        let explanation = self.client.call("GET", &format!("/connected_accounts/{account}/explain"), None).await?;
        let events = explanation["timeline"].as_array();
        Ok(events.is_some_and(|events| events.iter().any(|event| event["event"] == "refreshed")))
    }

    /// The problem, as described by the explain operation.
    async fn explain(&self, account: &str) -> Result<()> {
        let explanation = self.client.call("GET", &format!("/connected_accounts/{account}/explain"), None).await?;
        let mut page = String::from("\nNot connected\n");
        let failed =
            explanation["timeline"].as_array().into_iter().flatten().rfind(|event| event["outcome"] == "failed");
        let event = failed.unwrap_or(&Value::Null);
        for (label, value) in [
            ("What", &explanation["summary"]),
            ("Why", &explanation["cause"]),
            ("To do", &explanation["fix"]),
            ("Last", &event["title"]),
            ("", &event["detail"]),
            ("Provider", &event["provider_message"]),
        ] {
            if let Some(text) = value.as_str() {
                let _ = writeln!(page, "{label:<15}{text}");
            }
        }
        output::print(self.printer.apply(&page))
    }

    /// Deletes the account and revokes it at the provider.
    async fn delete_account(&self, account: &str) -> Result<()> {
        let gone = self.client.call("DELETE", &format!("/connected_accounts/{account}"), None).await?;
        let Some(job) = gone["revoke_job_id"].as_str() else { return Ok(()) };
        for _ in 0..MAX_POLLS {
            let receipt = self.client.call("GET", &format!("/revoke_jobs/{job}"), None).await?;
            if receipt["status"] == "finished" {
                let counts = ["revoked", "failed", "not_supported"].map(|name| format!("{name} {}", receipt[name]));
                return output::line(format!("\nAt the provider  {}", counts.join(", ").replace('_', " ")));
            }
            tokio::time::sleep(POLL_INTERVAL).await;
        }
        log::print_line("the provider did not say in time whether the account is revoked there");
        Ok(())
    }
}

/// Opens a page with the system's browser. Without one, the user opens the printed URL.
fn open(page: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    // The browser's processes live on, and their environment can be read.
    command.arg(page).env_remove(SECRET).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let started = command.spawn();
    if started.is_err() {
        log::print_line(&format!("{program} cannot be started; open the address yourself"));
    }
}
