//! The OAuth client for the trial. Its secret comes from the environment, a file or a prompt; never
//! from the command line, which other users of the machine can read.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::{Map, Value};
use switchboard_catalog::{ClientAuthentication, Scheme, Toolkit};
use switchboard_vault::Secret;

use crate::log;

/// Environment variable with the secret.
pub(super) const SECRET: &str = "SWITCHBOARD_TRY_CLIENT_SECRET";

#[derive(Debug, Args)]
pub(super) struct ClientArgs {
    /// Client id of the OAuth client that you registered [default: prompt]
    #[arg(long, env = "SWITCHBOARD_TRY_CLIENT_ID", value_name = "ID")]
    client_id: Option<String>,
    /// File with its secret, or with its private key if the provider requires one; the secret is also
    /// read from the environment variable `SWITCHBOARD_TRY_CLIENT_SECRET` [default: prompt]
    #[arg(long, value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// Id of the private key
    #[arg(long, value_name = "ID")]
    key_id: Option<String>,
    /// A connection field for all accounts, such as the host; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

/// The contents of an auth config.
pub(super) struct Client {
    /// By the names of the API, without secrets.
    plain: Vec<(&'static str, String)>,
    secret: Option<(&'static str, Secret)>,
    /// Connection fields for all accounts.
    pub(super) shared: BTreeMap<String, String>,
}

impl ClientArgs {
    pub(super) fn read(&self, toolkit: &Toolkit, scheme: Scheme) -> Result<Client> {
        let mut client = Client { plain: Vec::new(), secret: None, shared: self.shared()? };
        let (id, secret) = match (scheme, toolkit.oauth(scheme)) {
            (Scheme::OAuth2, Some(oauth)) => match oauth.client_authentication {
                ClientAuthentication::None => ("client_id", None),
                ClientAuthentication::PrivateKeyJwt => ("client_id", Some("private_key")),
                _ => ("client_id", Some("client_secret")),
            },
            (Scheme::OAuth1, _) => ("consumer_key", Some("consumer_secret")),
            // Other schemes have no client, or a registered one.
            _ => return Ok(client),
        };
        let given = self.client_id.clone().map_or_else(|| ask("Client id"), Ok)?;
        client.plain.push((id, given));
        if let Some(name) = secret {
            client.secret = Some((name, self.secret()?));
        }
        if let (Some("private_key"), Some(key_id)) = (secret, &self.key_id) {
            client.plain.push(("key_id", key_id.clone()));
        }
        Ok(client)
    }

    fn secret(&self) -> Result<Secret> {
        if let Some(path) = &self.client_secret_file {
            let text = fs::read_to_string(path);
            let text = text.with_context(|| format!("--client-secret-file: cannot read {}", path.display()))?;
            return Ok(Secret::from(text.trim()));
        }
        match std::env::var(SECRET) {
            Ok(secret) if !secret.trim().is_empty() => Ok(Secret::from(secret.trim())),
            _ => Ok(Secret::from(ask("Client secret")?.as_str())),
        }
    }

    fn shared(&self) -> Result<BTreeMap<String, String>> {
        let pair = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let pairs: Option<BTreeMap<_, _>> = self.set.iter().map(pair).collect();
        pairs.context("--set takes name=value")
    }
}

/// One line of stdin, with a prompt on a terminal.
fn ask(prompt: &str) -> Result<String> {
    if io::stdin().is_terminal() {
        log::print_line(&format!("{prompt} (what you type is seen; end with Enter):"));
    }
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("cannot read stdin")?;
    match line.trim() {
        "" => bail!("{prompt}: nothing was given"),
        given => Ok(given.to_owned()),
    }
}

impl Client {
    /// The form of `POST /auth_configs`.
    pub(super) fn credentials(&self) -> Map<String, Value> {
        let plain = self.plain.iter().map(|(name, value)| ((*name).to_owned(), value.as_str().into()));
        let secret = self.secret.iter().map(|(name, value)| ((*name).to_owned(), value.expose().into()));
        plain.chain(secret).collect()
    }

    /// Values that must not be printed.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&str, &str)> {
        self.secret.iter().map(|(name, value)| (*name, value.expose()))
    }
}

crate::redacted_debug!(Client);
