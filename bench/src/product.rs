//! Switchboard as a user runs it: its command line, sessions and connect page.

use std::fs::{self, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::access::{Access, json_over, text_at};
use crate::database;
use crate::load::{Connection, request};
use crate::options::Build;
use crate::process::Process;
use crate::rounds::Bench;

/// Number of sessions, each of another user, over which link requests are distributed.
pub const SESSIONS: u64 = 1_000;
/// Number of connections for set-up requests, so that their commits are grouped.
const SETUP_CONNECTIONS: u64 = 16;

const SESSION: &str = "/tool_router/session";

/// `switchboard dev` and the API key that it printed.
#[derive(Debug)]
pub struct Product {
    /// The process.
    pub process: Process,
    /// The key of its first project.
    pub access: Access,
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

    /// The first build with a new database in `data_dir`, and a setting (an environment variable) that is not the
    /// default.
    pub fn start_setting(bench: &Bench<'_>, data_dir: &Path, (name, value): (&str, &str)) -> Result<Self> {
        let mut command = command(bench, bench.first()?)?;
        command.env(name, value);
        Self::start_with(command, data_dir, None)
    }

    fn start_with(command: Command, data_dir: &Path, toolkits: Option<&Path>) -> Result<Self> {
        let (process, printed) = start_dev(command, data_dir, toolkits)?;
        let key = word_after(&printed, "API key").filter(|key| key.starts_with("ak_"));
        let key = key.context("the server printed no API key: is its data folder new?")?;
        let access = Access::project(process.address(), key);
        Ok(Self { process, access })
    }

    /// Stops it, so that `change` can write to its database, and starts it again.
    pub fn restart_after(
        self,
        bench: &Bench<'_>,
        build: &Build,
        (data_dir, toolkits): (&Path, Option<&Path>),
        change: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Self> {
        self.process.stop()?;
        change(&database::path(data_dir))?;
        // The key was printed at the first start only.
        let (process, _) = start_dev(command(bench, build)?, data_dir, toolkits)?;
        let access = self.access.at(process.address());
        Ok(Self { process, access })
    }

    /// Creates one session per user: `user-0000`, `user-0001` and so on.
    pub async fn sessions(&self, number: u64) -> Result<Vec<String>> {
        self.sessions_of(number, |user| format!("user-{user:04}")).await
    }

    /// Creates one session for each of as many users, who are named by `name`.
    pub async fn sessions_of(&self, number: u64, name: fn(u64) -> String) -> Result<Vec<String>> {
        let mut makers = JoinSet::new();
        for first in 0..SETUP_CONNECTIONS.min(number) {
            let access = self.access.clone();
            makers.spawn(async move {
                let mut connection = Connection::open(access.address()).await?;
                let mut made = Vec::new();
                let step = usize::try_from(SETUP_CONNECTIONS)?;
                for user in (first..number).step_by(step) {
                    let body = json!({ "user_id": name(user) });
                    let answer = access.exchange(&mut connection, "POST", SESSION, &body).await?;
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
        self.access.request("POST", &format!("{SESSION}/{session}/{operation}"), body)
    }

    /// Bytes of a request to any operation; `null` for no body.
    pub fn api_request(&self, method: &str, path: &str, body: &Value) -> Vec<u8> {
        self.access.request(method, path, body)
    }

    /// Connects the session's user to a toolkit as a browser does: page, then form. Returns the id of the
    /// account.
    pub async fn connect(&self, session: &str, toolkit: &str, form: &str) -> Result<String> {
        let address = self.process.address();
        let mut connection = Connection::open(address).await?;
        let path = format!("{SESSION}/{session}/link");
        let answer = self.access.exchange(&mut connection, "POST", &path, &json!({ "toolkit": toolkit })).await?;
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
        json_over(&mut Connection::open(self.process.address()).await?, request).await
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

/// A key of the organisation of the first build's server, which has its data in `data_dir` and may be running.
pub fn organization_key(bench: &Bench<'_>, data_dir: &Path) -> Result<String> {
    let mut command = command(bench, bench.first()?)?;
    command.args(["key", "create", "--organization", "--name", "bench", "--json", "--data-dir"]).arg(data_dir);
    let output = command.output().context("cannot start the server's command line")?;
    if !output.status.success() {
        bail!("switchboard key create failed; --server-log FILE shows why");
    }
    text_at(&serde_json::from_slice(&output.stdout)?, "api_key")
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
