//! Switchboard as a user runs it: its command line, sessions and connect page.

use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::load::{Connection, request};
use crate::options::Build;
use crate::process::Process;
use crate::rounds::Bench;

/// Number of sessions, each of another user, over which link requests are distributed.
pub const SESSIONS: u64 = 1_000;
/// Number of connections for set-up requests, so that their commits are grouped.
const SETUP_CONNECTIONS: u64 = 16;

const API: &str = "/api/v3.1/tool_router/session";

/// `switchboard dev` and the API key that it printed.
#[derive(Debug)]
pub struct Product {
    /// The process.
    pub process: Process,
    key: Arc<str>,
}

impl Product {
    /// Starts `dev` of one build with a new database in `data_dir`.
    pub fn start(bench: &Bench<'_>, build: &Build, data_dir: &Path, toolkits: Option<&Path>) -> Result<Self> {
        Self::start_with(command(bench, build)?, data_dir, toolkits)
    }

    /// Starts every build, each with a new database of its own.
    pub fn start_all(bench: &Bench<'_>, folder: &str, toolkits: Option<&Path>) -> Result<Vec<Self>> {
        let start = |build: &Build| Self::start(bench, build, &bench.folder.join(folder).join(&build.name), toolkits);
        bench.builds.iter().map(start).collect()
    }

    /// The first build with a new database in `data_dir`, with its log written somewhere.
    pub fn start_logging(bench: &Bench<'_>, data_dir: &Path, toolkits: &Path, log: Stdio) -> Result<Self> {
        let mut command = command(bench, bench.first()?)?;
        command.stderr(log);
        Self::start_with(command, data_dir, Some(toolkits))
    }

    fn start_with(command: Command, data_dir: &Path, toolkits: Option<&Path>) -> Result<Self> {
        let (process, printed) = start_dev(command, data_dir, toolkits)?;
        let key = word_after(&printed, "API key").filter(|key| key.starts_with("ak_"));
        let key = key.context("the server printed no API key: is its data folder new?")?.into();
        Ok(Self { process, key })
    }

    /// Stops it, so that `change` can write to its database, and starts it again.
    pub fn restart_after(
        self,
        bench: &Bench<'_>,
        build: &Build,
        data_dir: &Path,
        change: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        self.process.stop()?;
        change(&data_dir.join("switchboard.db"))?;
        // The key was printed at the first start only.
        let (process, _) = start_dev(command(bench, build)?, data_dir, None)?;
        Ok(Self { process, key: self.key })
    }

    /// Creates one session per user: `user-0000`, `user-0001` and so on.
    pub async fn sessions(&self, number: u64) -> Result<Vec<String>> {
        self.sessions_of(number, |user| format!("user-{user:04}")).await
    }

    /// Creates one session for each of as many users, who are named by `name`.
    pub async fn sessions_of(&self, number: u64, name: fn(u64) -> String) -> Result<Vec<String>> {
        let mut makers = JoinSet::new();
        for first in 0..SETUP_CONNECTIONS.min(number) {
            let (address, key) = (self.process.address(), Arc::clone(&self.key));
            makers.spawn(async move {
                let mut connection = Connection::open(address).await?;
                let mut made = Vec::new();
                let step = usize::try_from(SETUP_CONNECTIONS)?;
                for user in (first..number).step_by(step) {
                    let body = json!({ "user_id": name(user) }).to_string();
                    let answer = post(&mut connection, address, &key, API, &body).await?;
                    made.push(text_at(&answer, "session_id")?);
                }
                anyhow::Ok(made)
            });
        }
        let mut sessions = Vec::new();
        while let Some(made) = makers.join_next().await {
            sessions.extend(made?.context("cannot make a session")?);
        }
        Ok(sessions)
    }

    /// Bytes of a POST to one operation of a session.
    pub fn session_request(&self, session: &str, operation: &str, body: &Value) -> Vec<u8> {
        let path = format!("{API}/{session}/{operation}");
        request("POST", &path, self.process.address(), &headers(&self.key), &body.to_string())
    }

    /// Bytes of a request to any operation; `null` for no body.
    pub fn api_request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        request(method, &format!("/api/v3.1{path}"), self.process.address(), &headers(&self.key), &text)
    }

    /// Connects the session's user to a toolkit as a browser does: page, then form. Returns the id of the
    /// account.
    pub async fn connect(&self, session: &str, toolkit: &str, form: &str) -> Result<String> {
        let address = self.process.address();
        let mut connection = Connection::open(address).await?;
        let path = format!("{API}/{session}/link");
        let answer =
            post(&mut connection, address, &self.key, &path, &json!({ "toolkit": toolkit }).to_string()).await?;
        let page = format!("/link/{}", text_at(&answer, "link_token")?);
        let shown = connection.exchange(&request("GET", &page, address, &[], "")).await?.status;
        let browser = [("sec-fetch-site", "same-origin"), ("content-type", "application/x-www-form-urlencoded")];
        let taken = connection.exchange(&request("POST", &page, address, &browser, form)).await?.status;
        if shown != 200 || !matches!(taken, 200 | 303) {
            bail!("the connect page answered {shown}, its form {taken}");
        }
        text_at(&answer, "connected_account_id")
    }

    /// Requests for links of the sandbox, one per session. The auth config that all use is created here.
    pub async fn link_requests(&self, sessions: &[String]) -> Result<Vec<Vec<u8>>> {
        let body = json!({ "toolkit": "sandbox" });
        let requests: Vec<Vec<u8>> =
            sessions.iter().map(|session| self.session_request(session, "link", &body)).collect();
        let first = requests.first().context("there are no sessions")?;
        self.try_request(first).await.context("a link request failed")?;
        Ok(requests)
    }

    /// Sends one prepared request and returns its JSON response.
    pub async fn try_request(&self, request: &[u8]) -> Result<Value> {
        let mut connection = Connection::open(self.process.address()).await?;
        json_of(connection.exchange(request).await?)
    }
}

/// The lines of `dev` on any database.
fn start_dev(mut command: Command, data_dir: &Path, toolkits: Option<&Path>) -> Result<(Process, String)> {
    command.args(["dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
    if let Some(folder) = toolkits {
        command.arg("--toolkits").arg(folder);
    }
    Process::start(&mut command, |printed| {
        // The key is printed last, when everything is ready.
        word_after(printed, "API key")?;
        word_after(printed, "Server")?.strip_prefix("http://")?.parse().ok()
    })
}

/// Creates a database of the first build with one project, and stops.
pub fn create_database(bench: &Bench<'_>, data_dir: &Path) -> Result<()> {
    let mut command = command(bench, bench.first()?)?;
    command.args(["project", "create", "bench", "--data-dir"]).arg(data_dir).stdout(Stdio::null());
    if !command.status()?.success() {
        bail!("switchboard project create failed; --server-log FILE shows why");
    }
    Ok(())
}

/// `switchboard serve` of one build on an existing database.
pub fn serve(bench: &Bench<'_>, build: &Build, data_dir: &Path) -> Result<Process> {
    // `serve` rejects port 0. A port that was free a moment ago is not reused by others.
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let mut command = command(bench, build)?;
    command.args(["serve", "--listen", &address.to_string(), "--data-dir"]).arg(data_dir);
    Process::start_on(&mut command, address)
}

/// A toolkit whose provider is the benchmark's upstream, with an API key as credential.
pub fn write_toolkit(folder: &Path, slug: &str, upstream: SocketAddr) -> Result<PathBuf> {
    let toolkits = folder.join("toolkits");
    let own = toolkits.join(slug);
    fs::create_dir_all(&own)?;
    let text = format!(
        r##"slug = "{slug}"
name = "Benchmark"
description = "The benchmark's upstream."
categories = ["developer-tools"]
color = "#0f766e"
version = "20261122_00"
base_url = "http://{upstream}"
hosts = ["{upstream}"]

[api_key]
fields = [{{ name = "generic_api_key", display_name = "API key", description = "Any text.", secret = true }}]
apply = [{{ header = "X-Api-Key", value = "{{generic_api_key}}" }}]
"##
    );
    fs::write(own.join("toolkit.toml"), text)?;
    Ok(toolkits)
}

/// A toolkit whose provider is the wave's token endpoint.
pub fn write_oauth_toolkit(folder: &Path, slug: &str, upstream: SocketAddr) -> Result<PathBuf> {
    let toolkits = write_toolkit(folder, slug, upstream)?;
    let file = toolkits.join(slug).join("toolkit.toml");
    let text = fs::read_to_string(&file)?;
    let head = text.split("[api_key]").next().unwrap_or_default();
    let oauth = format!(
        "[oauth2]\nauthorization_url = \"http://{upstream}/authorize\"\ntoken_url = \"http://{upstream}/token\"\nscopes = [\"all\"]\n"
    );
    fs::write(file, format!("{head}{oauth}"))?;
    Ok(toolkits)
}

/// The server, without the settings of this shell's environment.
fn command(bench: &Bench<'_>, build: &Build) -> Result<Command> {
    let mut command = Command::new(&build.path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SWITCHBOARD_") {
            command.env_remove(name);
        }
    }
    // All requests come from one address with one key.
    command.env("SWITCHBOARD_RATE_LIMIT_PER_KEY_PER_MINUTE", "0");
    command.env("SWITCHBOARD_RATE_LIMIT_PER_ADDRESS_PER_MINUTE", "0");
    // Ignore a switchboard.toml in the current folder.
    command.current_dir(&bench.folder);
    if let Some(filter) = &bench.options.log {
        command.env("SWITCHBOARD_LOG", filter);
    }
    command.stderr(match &bench.options.server_log {
        Some(file) => OpenOptions::new()
            .create(true)
            .append(true)
            .open(file)
            .with_context(|| format!("cannot write {}", file.display()))?
            .into(),
        None => Stdio::null(),
    });
    Ok(command)
}

fn headers(key: &str) -> [(&str, &str); 2] {
    [("x-api-key", key), ("content-type", "application/json")]
}

async fn post(connection: &mut Connection, address: SocketAddr, key: &str, path: &str, body: &str) -> Result<Value> {
    json_of(connection.exchange(&request("POST", path, address, &headers(key), body)).await?)
}

fn json_of(answer: crate::load::Answer<'_>) -> Result<Value> {
    let text = String::from_utf8_lossy(answer.body);
    if !(200..300).contains(&answer.status) {
        bail!("the server answered {}: {text}", answer.status);
    }
    serde_json::from_str(&text).context("the server's answer is not JSON")
}

fn text_at(answer: &Value, name: &str) -> Result<String> {
    answer[name].as_str().map(ToOwned::to_owned).with_context(|| format!("the server's answer has no {name}"))
}

/// The word after a label at the beginning of a line.
fn word_after<'a>(printed: &'a str, label: &str) -> Option<&'a str> {
    printed.lines().find_map(|line| line.strip_prefix(label))?.split_whitespace().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dev_prints_is_found() {
        let printed = "\nSwitchboard is running.\n\nServer    http://127.0.0.1:9\nAPI key   ak_x   (shown this once)";
        assert_eq!(word_after(printed, "Server"), Some("http://127.0.0.1:9"));
        assert_eq!(word_after(printed, "API key"), Some("ak_x"));
        assert_eq!(word_after(printed, "Data"), None);
    }
}
