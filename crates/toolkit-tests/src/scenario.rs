//! The steps of a test: connect, identify the account, call the API, refresh, revoke.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use chrono::DateTime;
use serde_json::{Value, json};
use switchboard_catalog::{Expiry, Refresh, Scheme};
use url::Url;

use super::provider::{SharedProvider, lock};
use super::responses::DEVICE_POLL_INTERVAL;
use super::routes::{Endpoint, unreachable_reason};
use super::server::{BrowserResponse, Clock, Server};

/// Stands for any endpoint that an agent may call.
const ENDPOINT: &str = "/ENDPOINT";
/// Maximum remaining lifetime of a token when it is refreshed, in milliseconds.
const MAX_REMAINING_LIFETIME: i64 = 20_000;
/// Maximum number of polls for the outcome of a revocation.
const MAX_POLLS: u32 = 1_000;
/// Pause between two polls.
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// A test in progress, with its results so far.
pub(super) struct Scenario<'d, S> {
    pub(super) server: &'d S,
    pub(super) provider: &'d SharedProvider,
    clock: &'d dyn Clock,
    pub(super) scheme: Scheme,
    slug: String,
    /// The steps that succeeded, as text.
    pub(super) outcome: Vec<String>,
}

impl<'d, S: Server> Scenario<'d, S> {
    pub(super) fn new(server: &'d S, provider: &'d SharedProvider, clock: &'d dyn Clock) -> Self {
        let (scheme, slug) = {
            let provider = lock(provider);
            (provider.scheme, provider.toolkit.slug.clone())
        };
        Self { server, provider, clock, scheme, slug, outcome: Vec::new() }
    }

    /// Runs all steps.
    ///
    /// # Errors
    /// The first step that failed.
    pub(super) async fn run(&mut self) -> Result<()> {
        if self.scheme == Scheme::NoAuth {
            let session = self.session(None).await?;
            self.call_api(&session).await?;
            self.outcome.push("called, without any credential".to_owned());
            return Ok(());
        }
        let config = self.auth_config(&[]).await?;
        let session = self.session(Some(&config)).await?;
        let account = self.connect(&session, &config).await?;
        self.identity(&account)?;
        self.call_api(&session).await?;
        self.outcome.push("called the API".to_owned());
        self.refresh(&session, &account).await?;
        self.delete(&account).await
    }

    /// Fails if the provider has recorded a violated rule.
    pub(super) fn check_failure(&self) -> Result<()> {
        match &lock(self.provider).failure {
            Some(reason) => Err(anyhow!("{reason}")),
            None => Ok(()),
        }
    }

    /// An auth config; its id. Links ask for these scopes besides those of the file.
    pub(super) async fn auth_config(&self, scopes: &[String]) -> Result<String> {
        let body = {
            let provider = lock(self.provider);
            let hidden_fields = provider.toolkit.hidden_fields(self.scheme);
            let shared = provider
                .values
                .entered
                .iter()
                .filter(|(field, _)| hidden_fields.iter().any(|hidden| hidden.name == field.name));
            let shared: serde_json::Map<String, Value> =
                shared.map(|(field, value)| (field.name.clone(), value.as_str().into())).collect();
            let mut credentials = json!(provider.values.client);
            if let Some(oauth) = provider.oauth.as_ref().filter(|_| !scopes.is_empty()) {
                let further = scopes.iter().filter(|scope| !oauth.scopes.contains(scope));
                credentials["scopes"] = oauth.scopes.iter().chain(further).cloned().collect();
            }
            json!({ "toolkit": { "slug": self.slug }, "auth_config": {
                "type": "use_custom_auth", "authScheme": self.scheme, "credentials": credentials,
                "shared_connection_fields": shared } })
        };
        let created = self.server.call("POST", "/auth_configs", Some(&body)).await.context("the auth config")?;
        let id = created["auth_config"]["id"].as_str().context("an auth config without an id")?.to_owned();
        let public_url = self.server.public_url();
        let mut provider = lock(self.provider);
        provider.flow.redirect_uri = format!("{public_url}/api/v3.1/toolkits/auth/callback/{id}");
        provider.values.substitutions().add(&id, "auth_config_id");
        if self.scheme == Scheme::CimdOAuth {
            provider.flow.client_id = Some(format!("{public_url}/api/v3.1/toolkits/auth/client/{id}"));
        }
        Ok(id)
    }

    pub(super) async fn session(&self, auth_config: Option<&str>) -> Result<String> {
        let mut body = json!({ "user_id": "ada", "toolkits": { "enable": [self.slug] } });
        if let Some(id) = auth_config {
            body["auth_configs"] = json!({ self.slug.as_str(): id });
        }
        let session = self.server.call("POST", "/tool_router/session", Some(&body)).await.context("the session")?;
        Ok(session["session_id"].as_str().context("a session without an id")?.to_owned())
    }

    /// Connects an account through a link. Returns the active account.
    pub(super) async fn connect(&mut self, session: &str, config: &str) -> Result<Value> {
        let path = format!("/tool_router/session/{session}/link");
        let link = self.server.call("POST", &path, Some(&json!({ "toolkit": self.slug }))).await.context("the link")?;
        let id = link["connected_account_id"].as_str().context("a link without an account")?.to_owned();
        let page = link["redirect_url"].as_str().context("a link without an address")?;
        let page = page.strip_prefix(self.server.public_url()).context("a link of another server")?.to_owned();
        self.server.browse(&page, "", None).await?;
        let form: Vec<(String, String)> = {
            let provider = lock(self.provider);
            let entered = provider.values.entered.iter().map(|(field, value)| (field.name.clone(), value.clone()));
            entered.chain([("action".to_owned(), "continue".to_owned())]).collect()
        };
        let mut reply = self.server.browse(&page, "", Some(&form)).await?;
        let cookies = reply.cookies.clone();
        if lock(self.provider).toolkit.uses_device_code(self.scheme) {
            reply = self.enter_code(reply, &cookies, &id).await?;
        } else if self.scheme.is_redirect() {
            self.check_client_metadata(config).await?;
            let Some(to) = reply.location.filter(|_| reply.status == 303) else {
                return Err(self.connection_error(&id).await);
            };
            let callback = lock(self.provider).authorize(&Url::parse(&to)?);
            self.check_failure()?;
            let callback = callback?;
            let path = &callback[url::Position::BeforePath..url::Position::AfterQuery];
            reply = self.server.browse(path, &cookies, None).await?;
            if (400..500).contains(&reply.status) {
                return Err(self.callback_error(&id, &callback).await);
            }
        }
        self.choose(reply, &cookies).await?;
        self.check_failure()?;
        let account = self.server.call("GET", &format!("/connected_accounts/{id}"), None).await?;
        if account["status"] != "ACTIVE" {
            return Err(self.connection_error(&id).await);
        }
        Ok(account)
    }

    /// Continues after the user has entered the code of the page at the provider.
    async fn enter_code(&self, code_page: BrowserResponse, cookies: &str, account: &str) -> Result<BrowserResponse> {
        let Some(page) = code_page.location.filter(|_| code_page.status == 303) else {
            return Err(self.connection_error(account).await);
        };
        let page = page.strip_prefix(self.server.public_url()).unwrap_or(&page).to_owned();
        self.clock.advance_to(self.clock.now_ms() + i64::from(DEVICE_POLL_INTERVAL) * 1_000);
        // The server polls the provider before it responds.
        let reply = self.server.browse(&format!("{page}?done=1"), cookies, None).await?;
        self.check_failure()?;
        if reply.status == 303 { Ok(reply) } else { Err(self.connection_error(account).await) }
    }

    /// Why the server rejected the callback.
    async fn callback_error(&self, account: &str, callback: &Url) -> anyhow::Error {
        let path = format!("/connected_accounts/{account}");
        if self.server.call("GET", &path, None).await.is_ok_and(|account| account["status"] == "FAILED") {
            return self.connection_error(account).await;
        }
        let callback = lock(self.provider).values.substitutions().apply(callback.as_str());
        let table = self.scheme.table();
        anyhow!("the server makes nothing of what the browser brings back, {callback}; see `callback` in [{table}]")
    }

    /// Checks that the metadata document of a client contains its redirect URI.
    async fn check_client_metadata(&self, config: &str) -> Result<()> {
        if self.scheme != Scheme::CimdOAuth {
            return Ok(());
        }
        let reply = self.server.browse(&format!("/api/v3.1/toolkits/auth/client/{config}"), "", None).await?;
        let uris = reply.json()["redirect_uris"].to_string();
        if uris.contains(&lock(self.provider).flow.redirect_uri) {
            return Ok(());
        }
        bail!("the client's description does not name the redirect URI: {uris}")
    }

    /// Chooses the first item on each choice page.
    async fn choose(&mut self, mut reply: BrowserResponse, cookies: &str) -> Result<()> {
        let questions: Vec<(String, Value)> = {
            let provider = lock(self.provider);
            let steps = provider.toolkit.post_connect_of(self.scheme).map(|(_, step)| step);
            let chosen = steps.filter_map(|step| step.choose.as_ref().map(|choose| (step, choose)));
            let id = |(step, choose): (&switchboard_catalog::PostConnect, &switchboard_catalog::Choice)| {
                let capture = step.capture.iter().find(|capture| capture.at == choose.id);
                let id = capture.and_then(|capture| provider.values.get(&capture.name));
                (choose.title.clone(), json!(id.unwrap_or_else(|| "first".to_owned())))
            };
            chosen.map(id).collect()
        };
        for (title, id) in questions {
            let Some(to) = reply.location.filter(|to| to.contains("/link/choice/")) else { return Ok(()) };
            let path = to.strip_prefix(self.server.public_url()).unwrap_or(&to).to_owned();
            let form = [("choice".to_owned(), id.as_str().unwrap_or_default().to_owned())];
            reply = self.server.browse(&path, cookies, Some(&form)).await?;
            self.outcome.push(format!("asked the user: {title}"));
        }
        Ok(())
    }

    /// Why the account is not active, as the server explains it.
    async fn connection_error(&self, account: &str) -> anyhow::Error {
        if let Err(error) = self.check_failure() {
            return error;
        }
        let explanation = self.server.call("GET", &format!("/connected_accounts/{account}/explain"), None).await;
        let explanation = match explanation {
            Ok(explanation) => explanation,
            Err(error) => return error,
        };
        let mut parts: Vec<&str> = ["summary", "cause", "provider_message"]
            .into_iter()
            .filter_map(|name| explanation[name].as_str())
            .collect();
        let last = explanation["timeline"]
            .as_array()
            .and_then(|events| events.last())
            .and_then(|event| event["detail"].as_str());
        parts.extend(last.filter(|last| !parts.contains(last)));
        anyhow!("not connected: {}", parts.join(" "))
    }

    /// Checks that the server has identified the account.
    fn identity(&mut self, account: &Value) -> Result<()> {
        let provider = lock(self.provider);
        let Some(identity) = provider.toolkit.identity_of(self.scheme) else {
            self.outcome.push("connected; the file does not say who it is".to_owned());
            return Ok(());
        };
        if let Some(id) = account["identity"]["id"].as_str() {
            let name = account["identity"]["email"].as_str().or(account["identity"]["name"].as_str()).unwrap_or(id);
            self.outcome.push(format!("connected as {name}"));
            return Ok(());
        }
        let Some(request) = &identity.request else {
            // Only the response to a code exchange identifies the account.
            if !self.scheme.is_oauth2() {
                self.outcome.push("connected; only the answer to a code says who it is".to_owned());
                return Ok(());
            }
            bail!("the token answer says nothing at `{}`; see [identity]", identity.id);
        };
        match unreachable_reason(&provider.toolkit, self.scheme, request, &|name| provider.variable(name)) {
            Some(reason) => bail!("the account cannot be identified: {reason}; see [identity]"),
            None => bail!("the answer to [identity] was not understood; see `id = \"{}\"`", identity.id),
        }
    }

    /// Calls the API as an agent.
    async fn call_api(&self, session: &str) -> Result<()> {
        let needs_body = {
            let provider = lock(self.provider);
            let placements = provider.toolkit.placements(self.scheme);
            placements.iter().any(|placement| placement.body.is_some())
        };
        let mut call = json!({ "toolkit_slug": self.slug, "endpoint": ENDPOINT, "method": "GET" });
        if needs_body {
            call["method"] = "POST".into();
            call["body"] = json!({ "member": "of the agent" });
        }
        let path = format!("/tool_router/session/{session}/proxy_execute");
        let response = self.server.call("POST", &path, Some(&call)).await;
        self.check_failure()?;
        let response = response.context("a call of the agent")?;
        if response["status"] == 200 {
            return Ok(());
        }
        bail!("a call of the agent is answered with {}", response["status"])
    }

    /// Moves the clock to the end of the token. The next call must refresh it.
    async fn refresh(&mut self, session: &str, account: &Value) -> Result<()> {
        if let Some(reason) = self.no_refresh_reason() {
            self.outcome.push(format!("not refreshed: {reason}"));
            return Ok(());
        }
        let expires_at = account["lifetime"]["access_token_expires_at"].as_str();
        let Some(expires_at) = expires_at.and_then(|text| DateTime::parse_from_rfc3339(text).ok()) else {
            self.outcome.push("not refreshed: neither the answer nor `expires_in` says when the token ends".to_owned());
            return Ok(());
        };
        let expires_at = expires_at.timestamp_millis();
        let remaining = MAX_REMAINING_LIFETIME.min((expires_at - self.clock.now_ms()) / 20);
        self.clock.advance_to(expires_at - remaining);
        let before = lock(self.provider).exchanges.len();
        self.call_api(session).await?;
        let refresh_titles = [Endpoint::Refresh.title(), Endpoint::TokenStep(0).title()];
        let was_refreshed =
            lock(self.provider).exchanges.iter().skip(before).any(|exchange| refresh_titles.contains(&exchange.title));
        if !was_refreshed {
            bail!(
                "the token was not renewed before its end; see `refresh` and `refresh_call` in [{}]",
                self.scheme.table()
            );
        }
        self.outcome.push("refreshed".to_owned());
        Ok(())
    }

    /// Why the token cannot be refreshed; none if it can.
    fn no_refresh_reason(&self) -> Option<&'static str> {
        let provider = lock(self.provider);
        if let Some(tokens) = provider.toolkit.token_scheme(self.scheme) {
            return tokens.assertion.is_some().then_some("the token is signed here, anew before it ends");
        }
        match &provider.oauth {
            None if self.scheme == Scheme::OAuth1 => Some("nothing renews a token of OAuth 1.0a"),
            None => Some("what was entered does not end"),
            Some(oauth) if oauth.refresh == Refresh::None => Some("the file says that nothing renews a token"),
            Some(oauth) if oauth.expiry == Expiry::Never => Some("the file says that tokens do not end"),
            Some(_) => None,
        }
    }

    /// Deletes the account and waits for the revocation.
    async fn delete(&mut self, account: &Value) -> Result<()> {
        let id = account["id"].as_str().unwrap_or_default();
        let deleted =
            self.server.call("DELETE", &format!("/connected_accounts/{id}"), None).await.context("deletion")?;
        let Some(job) = deleted["revoke_job_id"].as_str() else {
            self.outcome.push("deleted; there is nothing to revoke".to_owned());
            return Ok(());
        };
        for _ in 0..MAX_POLLS {
            let receipt = self.server.call("GET", &format!("/revoke_jobs/{job}"), None).await?;
            let item = &receipt["items"][0];
            self.check_failure()?;
            match item["outcome"].as_str() {
                Some("revoked") => {
                    self.outcome.push("revoked".to_owned());
                    return Ok(());
                }
                Some("not_supported") => {
                    self.outcome.push("deleted; the file knows no way to revoke".to_owned());
                    return Ok(());
                }
                Some("failed") => bail!("not revoked: {}", item["detail"].as_str().unwrap_or_default()),
                // An attempt failed and would be retried.
                _ if item["detail"].is_string() => {
                    bail!("not revoked: {}", item["detail"].as_str().unwrap_or_default())
                }
                _ => tokio::time::sleep(POLL_PAUSE).await,
            }
        }
        bail!("not revoked in time")
    }
}
