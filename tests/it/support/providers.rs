//! Real providers, each a process of its own, and the toolkit files that describe them.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde_json::{Value, json};
use url::Url;

use super::http::{Api, Http};
use super::tools::{root, tool};

/// Time for a provider to start on a busy machine. An idle one needs a second.
const START_LIMIT: Duration = Duration::from_mins(1);

/// A running provider. It ends when this is dropped.
pub struct Provider {
    /// What it said of itself: endpoints, client, user.
    pub info: Value,
    child: Child,
    // The provider ends when its stdin does.
    _stdin: ChildStdin,
}

impl Provider {
    /// npm `oidc-provider`: certified, rotating refresh tokens, `iss` in callbacks.
    pub fn oidc(arguments: &[&str]) -> Self {
        tool("providers");
        let script = root().join("tests/providers/oidc-provider.mjs");
        Self::start(Command::new("node").arg(script).args(arguments))
    }

    /// `django-oauth-toolkit`.
    pub fn django(arguments: &[&str]) -> Self {
        let script = root().join("tests/providers/django_provider.py");
        Self::start(Command::new(tool("providers-python/bin/python")).arg(script).args(arguments))
    }

    /// npm `oauth2-mock-server` behind a layer that breaks answers on purpose.
    pub fn mock(arguments: &[&str]) -> Self {
        tool("providers");
        let script = root().join("tests/providers/mock-server.mjs");
        Self::start(Command::new("node").arg(script).args(arguments))
    }

    /// OAuth 1.0a on `oauthlib`.
    pub fn oauth1(arguments: &[&str]) -> Self {
        let script = root().join("tests/providers/oauth1_provider.py");
        Self::start(Command::new(tool("providers-python/bin/python")).arg(script).args(arguments))
    }

    /// npm `s3rver`: a store with the S3 API, behind a check of signatures by npm `aws4`. Its objects are in `folder`.
    pub fn s3(folder: &Path) -> Self {
        let script = root().join("tests/s3/server.mjs");
        Self::start(Command::new("node").arg(script).arg(tool("s3")).arg(folder))
    }

    /// Starts a provider. A runtime that hangs before it listens is killed and started once more.
    fn start(command: &mut Command) -> Self {
        command.args(["--port", "0"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let started = Self::try_start(command).or_else(|| Self::try_start(command));
        started.unwrap_or_else(|| panic!("the provider was not ready within {START_LIMIT:?}, twice: {command:?}"))
    }

    /// None if the provider is not ready in time.
    fn try_start(command: &mut Command) -> Option<Self> {
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|length| length > 0) {
                if let Ok(info) = serde_json::from_str::<Value>(&line)
                    && info["ready"] == true
                {
                    let _ = ready.send(info);
                    return std::io::copy(&mut lines, &mut std::io::sink());
                }
                line.clear();
            }
            Ok(0)
        });
        match is_ready.recv_timeout(START_LIMIT) {
            Ok(info) => Some(Self { info, child, _stdin: stdin }),
            Err(RecvTimeoutError::Disconnected) => panic!("the provider ended before it was ready"),
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                child.wait().unwrap();
                None
            }
        }
    }

    pub fn text(&self, name: &str) -> &str {
        self.info[name].as_str().unwrap_or_else(|| panic!("the provider names no {name}: {}", self.info))
    }

    pub fn origin(&self) -> String {
        Url::parse(self.text("resource")).unwrap().origin().ascii_serialization()
    }

    fn host(&self) -> String {
        self.origin().split_once("://").unwrap().1.to_owned()
    }

    /// A toolkit file for this provider; `more` goes into `[oauth2]`.
    pub fn toolkit(&self, slug: &str, more: &str) -> String {
        let scopes: Vec<&str> = self.text("scope").split(' ').collect();
        format!(
            r##"
slug = "{slug}"
name = "Test provider"
description = "A real provider, started by the test"
categories = ["testing"]
color = "#336699"
version = "20261122_00"
base_url = "{origin}"
hosts = ["{host}"]

[oauth2]
authorization_url = "{authorize}"
token_url = "{token}"
client_authentication = "{authentication}"
scopes = {scopes}
{more}
"##,
            origin = self.origin(),
            host = self.host(),
            authorize = self.text("authorization_endpoint"),
            token = self.text("token_endpoint"),
            authentication = self.text("token_endpoint_auth_method"),
            scopes = json!(scopes),
        )
    }

    /// A toolkit file for a provider that names itself in its answers (RFC 9207) and asks for consent.
    pub fn issuer_toolkit(&self, slug: &str) -> String {
        let issuer = self.text("issuer");
        let prompt = "authorization_parameters = { prompt = \"consent\" }";
        self.toolkit(slug, &format!("issuer = \"{issuer}\"\niss_required = true\n{prompt}"))
    }

    /// An auth config with this provider's client, whose redirect URI the provider then admits.
    pub async fn auth_config(&self, api: &Api, slug: &str) -> String {
        let body = json!({ "toolkit": { "slug": slug }, "auth_config": {
            "type": "use_custom_auth", "authScheme": "OAUTH2", "name": "test",
            "credentials": { "client_id": self.text("client_id"), "client_secret": self.text("client_secret") },
        }});
        let made = api.post("/auth_configs", &body).await.expect(201);
        let id = made["auth_config"]["id"].as_str().unwrap().to_owned();
        self.admit(&format!("{}/toolkits/auth/callback/{id}", api.base)).await;
        id
    }

    /// Registers a redirect URI.
    pub async fn admit(&self, redirect_uri: &str) {
        let url = format!("{}/_control/redirect_uris", self.origin());
        let reply = Http::new().send("POST", &url, &[], json!({ "add": [redirect_uri] }).to_string()).await;
        assert!(reply.status < 300, "{}", reply.text());
    }

    /// Token requests that reached the provider, oldest first.
    pub async fn token_requests(&self) -> Vec<Value> {
        self.seen(Url::parse(self.text("token_endpoint")).unwrap().path()).await
    }

    /// Requests to a path that reached the provider, oldest first.
    pub async fn seen(&self, path: &str) -> Vec<Value> {
        let reply = Http::new().send("GET", &format!("{}/_seen?path={path}", self.origin()), &[], "").await;
        reply.expect(200).as_array().unwrap().clone()
    }

    /// How many token requests had a grant type.
    pub async fn grants(&self, grant_type: &str) -> usize {
        let wanted = format!("grant_type={grant_type}");
        self.token_requests()
            .await
            .iter()
            .filter(|it| it["body"].as_str().is_some_and(|body| body.contains(&wanted)))
            .count()
    }

    /// Breaks the next answers of a path.
    pub async fn fault(&self, fault: &Value) {
        let reply = Http::new().send("POST", &format!("{}/_fault", self.origin()), &[], fault.to_string()).await;
        assert!(reply.status < 300, "{}", reply.text());
    }

    /// Answers as it should again.
    pub async fn heal(&self) {
        Http::new().send("DELETE", &format!("{}/_fault", self.origin()), &[], "").await;
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
