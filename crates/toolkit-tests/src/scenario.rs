//! The steps of a test: connect, ask who it is, call, refresh, revoke.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use chrono::DateTime;
use serde_json::{Value, json};
use switchboard_catalog::{Expiry, Refresh, Scheme};
use url::Url;

use super::answers::INTERVAL;
use super::provider::{SharedProvider, lock};
use super::routes::{Endpoint, why_unreachable};
use super::server::{Clock, Page, Server};

/// Endpoint that stands for all that an agent may call.
const ENDPOINT: &str = "/ENDPOINT";
/// How long a token of the simulated provider has left when it is refreshed, in milliseconds, at most.
const LEFT: i64 = 20_000;
/// How often, and how long apart, the outcome of a revocation is asked for.
const ASKS: u32 = 1_000;
const PAUSE: Duration = Duration::from_millis(20);

/// A test in progress, with its results so far.
pub(super) struct Scenario<'d, S> {
    server: &'d S,
    provider: &'d SharedProvider,
    clock: &'d dyn Clock,
    scheme: Scheme,
    slug: String,
    /// What went well, in words.
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

    /// From the link to the receipt.
    ///
    /// # Errors
    /// What did not work first.
    pub(super) async fn run(&mut self) -> Result<()> {
        if self.scheme == Scheme::NoAuth {
            let session = self.session(None).await?;
            self.use_it(&session).await?;
            self.outcome.push("called, without any credential".to_owned());
            return Ok(());
        }
        let config = self.auth_config().await?;
        let session = self.session(Some(&config)).await?;
        let account = self.connect(&session, &config).await?;
        self.identity(&account)?;
        self.use_it(&session).await?;
        self.outcome.push("called the API".to_owned());
        self.refresh(&session, &account).await?;
        self.delete(&account).await
    }

    fn broken(&self) -> Result<()> {
        match &lock(self.provider).failure {
            Some(why) => Err(anyhow!("{why}")),
            None => Ok(()),
        }
    }

    async fn auth_config(&self) -> Result<String> {
        let body = {
            let provider = lock(self.provider);
            let developer = provider.toolkit.hidden_fields(self.scheme);
            let shared =
                provider.values.entered.iter().filter(|(field, _)| developer.iter().any(|it| it.name == field.name));
            let shared: serde_json::Map<String, Value> =
                shared.map(|(field, value)| (field.name.clone(), value.as_str().into())).collect();
            json!({ "toolkit": { "slug": self.slug }, "auth_config": {
                "type": "use_custom_auth", "authScheme": self.scheme, "credentials": provider.values.client,
                "shared_connection_fields": shared } })
        };
        let made = self.server.call("POST", "/auth_configs", Some(&body)).await.context("the auth config")?;
        let id = made["auth_config"]["id"].as_str().context("an auth config without an id")?.to_owned();
        let public_url = self.server.public_url();
        let mut provider = lock(self.provider);
        provider.flow.redirect_uri = format!("{public_url}/api/v3.1/toolkits/auth/callback/{id}");
        provider.values.shown().add(&id, "auth_config_id");
        if self.scheme == Scheme::CimdOAuth {
            provider.flow.client_id = Some(format!("{public_url}/api/v3.1/toolkits/auth/client/{id}"));
        }
        Ok(id)
    }

    async fn session(&self, auth_config: Option<&str>) -> Result<String> {
        let mut body = json!({ "user_id": "ada", "toolkits": { "enable": [self.slug] } });
        if let Some(id) = auth_config {
            body["auth_configs"] = json!({ self.slug.as_str(): id });
        }
        let session = self.server.call("POST", "/tool_router/session", Some(&body)).await.context("the session")?;
        Ok(session["session_id"].as_str().context("a session without an id")?.to_owned())
    }

    /// Follows the link to its end; the account, which works then.
    async fn connect(&mut self, session: &str, config: &str) -> Result<Value> {
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
            self.description(config).await?;
            let Some(to) = reply.location.filter(|_| reply.status == 303) else {
                return Err(self.reason(&id).await);
            };
            let back = lock(self.provider).authorize(&Url::parse(&to)?);
            self.broken()?;
            let back = back?;
            let path = &back[url::Position::BeforePath..url::Position::AfterQuery];
            reply = self.server.browse(path, &cookies, None).await?;
            if (400..500).contains(&reply.status) {
                return Err(self.unreturned(&id, &back).await);
            }
        }
        self.choose(reply, &cookies).await?;
        self.broken()?;
        let account = self.server.call("GET", &format!("/connected_accounts/{id}"), None).await?;
        if account["status"] != "ACTIVE" {
            return Err(self.reason(&id).await);
        }
        Ok(account)
    }

    /// The page shows a code, which the user enters at the provider.
    async fn enter_code(&self, shown: Page, cookies: &str, account: &str) -> Result<Page> {
        let Some(page) = shown.location.filter(|_| shown.status == 303) else {
            return Err(self.reason(account).await);
        };
        let page = page.strip_prefix(self.server.public_url()).unwrap_or(&page).to_owned();
        self.clock.advance_to(self.clock.now_ms() + i64::from(INTERVAL) * 1_000);
        // It waits for the provider's word.
        let reply = self.server.browse(&format!("{page}?done=1"), cookies, None).await?;
        self.broken()?;
        if reply.status == 303 { Ok(reply) } else { Err(self.reason(account).await) }
    }

    /// What the browser brought back is not what the server waits for.
    async fn unreturned(&self, account: &str, back: &Url) -> anyhow::Error {
        let path = format!("/connected_accounts/{account}");
        if self.server.call("GET", &path, None).await.is_ok_and(|account| account["status"] == "FAILED") {
            return self.reason(account).await;
        }
        let back = lock(self.provider).values.shown().apply(back.as_str());
        let table = self.scheme.table();
        anyhow!("the server makes nothing of what the browser brings back, {back}; see `callback` in [{table}]")
    }

    /// A client that is named by the URL of its description must be described there.
    async fn description(&self, config: &str) -> Result<()> {
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

    /// Where there are several things, the first is meant.
    async fn choose(&mut self, mut reply: Page, cookies: &str) -> Result<()> {
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

    /// Why an account does not work, as the server explains it.
    async fn reason(&self, account: &str) -> anyhow::Error {
        if let Err(error) = self.broken() {
            return error;
        }
        let told = self.server.call("GET", &format!("/connected_accounts/{account}/explain"), None).await;
        let told = match told {
            Ok(told) => told,
            Err(error) => return error,
        };
        let mut words: Vec<&str> =
            ["summary", "cause", "provider_message"].into_iter().filter_map(|name| told[name].as_str()).collect();
        let last =
            told["timeline"].as_array().and_then(|events| events.last()).and_then(|event| event["detail"].as_str());
        words.extend(last.filter(|last| !words.contains(last)));
        anyhow!("not connected: {}", words.join(" "))
    }

    /// Whether the provider's answer said who it is.
    fn identity(&mut self, account: &Value) -> Result<()> {
        let provider = lock(self.provider);
        let Some(identity) = provider.toolkit.identity_of(self.scheme) else {
            self.outcome.push("connected; the file does not say who it is".to_owned());
            return Ok(());
        };
        if let Some(id) = account["identity"]["id"].as_str() {
            let shown = account["identity"]["email"].as_str().or(account["identity"]["name"].as_str()).unwrap_or(id);
            self.outcome.push(format!("connected as {shown}"));
            return Ok(());
        }
        let Some(request) = &identity.request else {
            // A token answer says it to the code exchange alone.
            if !self.scheme.is_oauth2() {
                self.outcome.push("connected; only the answer to a code says who it is".to_owned());
                return Ok(());
            }
            bail!("the token answer says nothing at `{}`; see [identity]", identity.id);
        };
        match why_unreachable(&provider.toolkit, self.scheme, request, &|name| provider.variable(name)) {
            Some(why) => bail!("nobody can tell who is connected: {why}; see [identity]"),
            None => bail!("the answer to [identity] was not understood; see `id = \"{}\"`", identity.id),
        }
    }

    /// One call of an agent.
    async fn use_it(&self, session: &str) -> Result<()> {
        let needs_body = {
            let provider = lock(self.provider);
            let places = provider.toolkit.placements(self.scheme);
            places.iter().any(|placement| placement.body.is_some())
        };
        let mut call = json!({ "toolkit_slug": self.slug, "endpoint": ENDPOINT, "method": "GET" });
        if needs_body {
            call["method"] = "POST".into();
            call["body"] = json!({ "member": "of the agent" });
        }
        let path = format!("/tool_router/session/{session}/proxy_execute");
        let answer = self.server.call("POST", &path, Some(&call)).await;
        self.broken()?;
        let answer = answer.context("a call of the agent")?;
        if answer["status"] == 200 {
            return Ok(());
        }
        bail!("a call of the agent is answered with {}", answer["status"])
    }

    /// The token ends, and the next call renews it.
    async fn refresh(&mut self, session: &str, account: &Value) -> Result<()> {
        if let Some(why) = self.unrenewed() {
            self.outcome.push(format!("not refreshed: {why}"));
            return Ok(());
        }
        let ends = account["lifetime"]["access_token_expires_at"].as_str();
        let Some(ends) = ends.and_then(|text| DateTime::parse_from_rfc3339(text).ok()) else {
            self.outcome.push("not refreshed: neither the answer nor `expires_in` says when the token ends".to_owned());
            return Ok(());
        };
        let ends = ends.timestamp_millis();
        let left = LEFT.min((ends - self.clock.now_ms()) / 20);
        self.clock.advance_to(ends - left);
        let before = lock(self.provider).exchanges.len();
        self.use_it(session).await?;
        let renews = [Endpoint::Refresh.title(), Endpoint::TokenStep(0).title()];
        let has_renewed =
            lock(self.provider).exchanges.iter().skip(before).any(|exchange| renews.contains(&exchange.title));
        if !has_renewed {
            bail!(
                "the token was not renewed before its end; see `refresh` and `refresh_call` in [{}]",
                self.scheme.table()
            );
        }
        self.outcome.push("refreshed".to_owned());
        Ok(())
    }

    /// Why there is nothing to refresh.
    fn unrenewed(&self) -> Option<&'static str> {
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

    /// The account is deleted, and its provider is told.
    async fn delete(&mut self, account: &Value) -> Result<()> {
        let id = account["id"].as_str().unwrap_or_default();
        let deleted =
            self.server.call("DELETE", &format!("/connected_accounts/{id}"), None).await.context("deletion")?;
        let Some(job) = deleted["revoke_job_id"].as_str() else {
            self.outcome.push("deleted; there is nothing to revoke".to_owned());
            return Ok(());
        };
        for _ in 0..ASKS {
            let receipt = self.server.call("GET", &format!("/revoke_jobs/{job}"), None).await?;
            let item = &receipt["items"][0];
            self.broken()?;
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
                // It was tried, and would be tried again.
                _ if item["detail"].is_string() => {
                    bail!("not revoked: {}", item["detail"].as_str().unwrap_or_default())
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        bail!("not revoked in time")
    }
}
