//! A client of a running server. The key comes from the environment or a file; never from the command line, which other
//! users of the machine can read.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use bytes::Bytes;
use clap::Args;
use http::{HeaderValue, Request, header};
use serde_json::Value;
use switchboard_egress::{AllowRule, Destination, Egress, EgressConfig, EgressError, Limits};
use switchboard_vault::Secret;
use url::{Host, Url};

use crate::config::{self, Layer};

/// Environment variable with the project's key.
const KEY: &str = "SWITCHBOARD_API_KEY";
/// Longer than a tool may take.
const TIMEOUT: Duration = Duration::from_secs(330);
/// Maximum size of an answer, in bytes.
const MAX_ANSWER: usize = 16 << 20;

/// Which server.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// Origin of the server [default: the configuration file's, else <http://127.0.0.1:8787>]
    #[arg(long, env = "SWITCHBOARD_URL", value_name = "URL")]
    url: Option<String>,
    /// File with the project's API key; the key is also read from the environment variable `SWITCHBOARD_API_KEY`
    #[arg(long, env = "SWITCHBOARD_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// PEM file with additional certificate authorities.
    #[arg(long, env = "SWITCHBOARD_EXTRA_CA_FILE", value_name = "FILE")]
    extra_ca_file: Option<PathBuf>,
    /// Configuration file [default: switchboard.toml, if it exists].
    #[arg(long, env = "SWITCHBOARD_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ServerArgs {
    fn origin(&self) -> Result<Url> {
        let text = match &self.url {
            Some(url) => url.clone(),
            None => self.configured()?,
        };
        let url = Url::parse(text.trim()).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        url.with_context(|| {
            format!("--url: {text:?} is not the origin of a server, such as https://switchboard.example.com")
        })
    }

    /// The origin that the configuration file has.
    fn configured(&self) -> Result<String> {
        let file = config::load_file(self.config.as_deref())?.overlay(Layer::defaults()?);
        let listen = || file.listen.as_deref().map(|listen| format!("http://{}", listen.trim()));
        let public_url = file.public_url.clone().filter(|url| !url.trim().is_empty());
        public_url.or_else(listen).context("--url: is missing")
    }

    fn key(&self) -> Result<Secret> {
        let text = match (&self.api_key_file, std::env::var(KEY)) {
            (Some(path), _) => {
                fs::read_to_string(path).with_context(|| format!("--api-key-file: cannot read {}", path.display()))?
            }
            (None, Ok(key)) => key,
            (None, Err(_)) => String::new(),
        };
        match text.trim() {
            "" => bail!(
                "there is no API key; set {KEY} to a key of the project, ak_…, or name its file with --api-key-file"
            ),
            key => Ok(Secret::from(key)),
        }
    }
}

/// A client of one server with a project's key.
pub(super) struct Client {
    egress: Egress,
    destination: Destination,
    origin: Url,
    key: HeaderValue,
}

crate::redacted_debug!(Client);

impl Client {
    /// Connects to nothing.
    ///
    /// # Errors
    /// An argument that cannot be used, or no key.
    pub(super) fn new(args: &ServerArgs) -> Result<Self> {
        let origin = args.origin()?;
        let mut key =
            HeaderValue::from_str(args.key()?.expose()).context("the API key holds other letters than keys do")?;
        key.set_sensitive(true);
        let pem = args
            .extra_ca_file
            .as_ref()
            .map(|path| fs::read(path).with_context(|| format!("--extra-ca-file: cannot read {}", path.display())));
        // The server may be anywhere, also inside; this client calls no other.
        let host: AllowRule = match origin.host() {
            Some(Host::Ipv6(address)) => address.to_string().parse()?,
            Some(host) => host.to_string().parse()?,
            None => bail!("--url: is not the origin of a server"),
        };
        let egress = Egress::new(EgressConfig {
            allow: vec![host],
            allow_loopback: true,
            plain: vec![origin.origin().ascii_serialization()],
            extra_ca_pem: pem.transpose()?.into_iter().collect(),
            ..EgressConfig::default()
        })?;
        let destination = Destination::new([origin.authority()])?;
        Ok(Self { egress, destination, origin, key })
    }

    /// Calls an operation of the API, by the segments of its path.
    ///
    /// # Errors
    /// The server cannot be reached, or its own message for any status that is not a success.
    pub(super) async fn call(&self, method: &str, path: &[&str], body: Option<&Value>) -> Result<Value> {
        let mut url = self.origin.clone();
        url.set_query(None);
        url.path_segments_mut()
            .map_err(|()| anyhow!("--url: is not the origin of a server"))?
            .clear()
            .extend(["api", "v3.1"])
            .extend(path);
        let request = Request::builder()
            .method(method)
            .uri(url.as_str())
            .header("x-api-key", self.key.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default())?;
        let limits = Limits { total: TIMEOUT, max_body: MAX_ANSWER, ..Limits::default() };
        let response =
            self.egress.send(&self.destination, request, &limits).await.map_err(|error| self.unreachable(&error))?;
        let answer: Option<Value> = serde_json::from_slice(response.body()).ok();
        match answer {
            Some(answer) if response.status().is_success() => Ok(answer),
            Some(answer) => Err(refusal(response.status().as_u16(), &answer["error"])),
            None => bail!(
                "{} answers {}, and not as this program does; is it a Switchboard server?",
                self.origin,
                response.status()
            ),
        }
    }

    fn unreachable(&self, error: &EgressError) -> anyhow::Error {
        anyhow!("{} cannot be called: {error}; does the server run, and is --url right?", self.origin)
    }
}

/// The server's own words.
fn refusal(status: u16, error: &Value) -> anyhow::Error {
    let mut text = format!("the server answers {status}: {}", error["message"].as_str().unwrap_or_default());
    let lines = error["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for line in lines.chain(error["suggested_fix"].as_str()) {
        text.push_str("\n  ");
        text.push_str(line);
    }
    anyhow!(text)
}
