//! `switchboard toolkit try`: a file with its real provider. The real server runs on loopback in a
//! temporary folder, and a person connects an account in the browser. Each exchange with the provider
//! is printed without secrets (`redact.rs`), then the result (`round.rs`). The file is linked into the
//! server's folder, so that an edit takes effect at once and starts another round. Accounts are revoked
//! at the provider at the end.

mod client;
mod redact;
mod round;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use switchboard_catalog::{Scheme, Toolkit};
use tokio::net::TcpListener;

use self::client::Client;
use self::redact::Printer;
use self::round::{Ended, Trial};
use super::api_client::{ApiClient, TempFolder};
use super::source::{FILE_NAME, Source, TOOLS_FILE_NAME, pick_scheme};
use crate::api::Api;
use crate::app::App;
use crate::app::provider::redirect_uris;
use crate::cli::output;
use crate::cli::serve::stop_on_signal;
use crate::config::Layer;
use crate::log;
use crate::server::{self, Environment};

#[derive(Debug, Args)]
pub(super) struct TryArgs {
    #[command(flatten)]
    source: Source,
    /// Scheme to try, such as `API_KEY` [default: the preferred one]
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<String>,
    #[command(flatten)]
    client: client::ClientArgs,
    /// Address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8787")]
    listen: String,
    /// Origin under which the browser reaches this machine, if it differs from the address: a tunnel's
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Endpoint to call with the account, by GET; may be repeated.
    #[arg(long, value_name = "PATH")]
    get: Vec<String>,
    /// Open the link with the system's browser.
    #[arg(long)]
    open: bool,
    /// End after one round; otherwise each edit of the file starts another one, until Ctrl-C.
    #[arg(long)]
    once: bool,
    /// Addresses and hosts that may be reached although they are not public, as in `serve`
    #[arg(long, value_name = "RULE", value_delimiter = ',')]
    allow_egress: Vec<String>,
    /// Certificate authorities trusted beside the public ones, a PEM file, as in `serve`
    #[arg(long, env = "SWITCHBOARD_EXTRA_CA_FILE", value_name = "FILE")]
    extra_ca_file: Option<PathBuf>,
}

pub(super) async fn run(args: TryArgs) -> Result<()> {
    let toolkit = args.source.load()?;
    let scheme = pick_scheme(&toolkit, args.scheme.as_deref())?;
    if scheme == Scheme::NoAuth {
        bail!("{} needs no account; there is nothing to connect", toolkit.slug);
    }
    log::start("error", false)?;
    let listener = TcpListener::bind(&args.listen).await;
    let listener = listener.with_context(|| format!("--listen: cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        bail!("--listen: takes an address of this machine alone, such as 127.0.0.1:8787");
    }
    let host = address.to_string();
    let public_url = args.public_url.clone().unwrap_or_else(|| format!("http://{host}"));
    // Printed before the client is asked for, because most providers need it to register one.
    let redirect = redirect_uri(&toolkit, scheme, public_url.trim_end_matches('/'));
    if let Some(uri) = &redirect {
        output::line(format!("Redirect URI   {uri}\n               register it at the provider, letter for letter"))?;
    }
    let client = args.client.read(&toolkit, scheme)?;

    let folder = TempFolder::new();
    let printer = Arc::new(Printer::new(client.secrets()));
    let app = open(&args, &toolkit, &folder, &host, &public_url, &printer).await?;
    let api_client = ApiClient::new(&app, "Toolkit try", &host).await?;
    let config = auth_config(&api_client, &toolkit, scheme, &client, redirect.as_deref()).await?;
    stop_on_signal(&app)?;
    let serving = tokio::spawn(server::serve(Arc::clone(&app), Api::new(&app), listener));
    let trial = Trial {
        app: &app,
        client: &api_client,
        slug: &toolkit.slug,
        config: &config,
        printer: &printer,
        gets: &args.get,
    };
    let result = rounds(&trial, args.open, args.once).await;
    app.core.stopping.cancel();
    serving.await??;
    result
}

/// Rounds until the end.
async fn rounds(trial: &Trial<'_>, opens: bool, is_once: bool) -> Result<()> {
    loop {
        let ended = trial.round(opens).await;
        match ended {
            Ok(Ended::Stopped) => return Ok(()),
            Ok(Ended::Works) if is_once => return Ok(()),
            Ok(Ended::Fails) if is_once => bail!("{} could not be connected", trial.slug),
            Ok(Ended::Edited) => output::line("\nThe file was changed: once more.")?,
            Ok(Ended::Works | Ended::Fails) => {
                output::line("\nEdit the file for another round, or end with Ctrl-C.")?;
                if !trial.wait_for_edit().await {
                    return Ok(());
                }
            }
            Err(error) => return Err(anyhow!(trial.printer.apply(&format!("{error:#}")))),
        }
    }
}

/// The redirect URI. There is only one auth config per toolkit here, so the slug identifies it.
fn redirect_uri(toolkit: &Toolkit, scheme: Scheme, public_url: &str) -> Option<String> {
    let (uri, _) = redirect_uris::advice(public_url, toolkit, scheme)?;
    Some(uri.unwrap_or_else(|| redirect_uris::uri(public_url, &format!("{}-try", toolkit.slug))))
}

/// The server, with the file in place of a built-in toolkit.
async fn open(
    args: &TryArgs,
    toolkit: &Toolkit,
    folder: &TempFolder,
    host: &str,
    public_url: &str,
    printer: &Arc<Printer>,
) -> Result<Arc<App>> {
    server::create_private_dir(folder.path())?;
    let mut toolkits = args.source.folders().to_vec();
    if let Some(file) = args.source.file() {
        let own = folder.path().join("toolkits");
        let place = own.join(&toolkit.slug);
        std::fs::create_dir_all(&place).context("cannot make a temporary folder")?;
        let file = std::path::absolute(&file)?;
        // A link, so that the server sees edits of the file.
        std::os::unix::fs::symlink(&file, place.join(FILE_NAME)).context("cannot link the file")?;
        if let Some(tools) = args.source.tools_file() {
            let tools = std::path::absolute(&tools)?;
            std::os::unix::fs::symlink(&tools, place.join(TOOLS_FILE_NAME)).context("cannot link the tools")?;
        }
        toolkits = vec![own];
    }
    let layer = Layer {
        listen: Some(host.to_owned()),
        public_url: Some(public_url.to_owned()),
        data_dir: Some(folder.path().to_owned()),
        toolkits: Some(toolkits),
        allow_egress: Some(args.allow_egress.clone()),
        extra_ca_file: args.extra_ca_file.clone(),
        // A round refreshes explicitly, and other refreshes would mix into its output.
        keep_accounts_alive: Some(false),
        ..Layer::default()
    };
    let config = layer.overlay(Layer::defaults()?).check()?;
    let watch: Arc<Printer> = Arc::clone(printer);
    let environment = Environment { allow_loopback: true, watch: Some(watch), ..Environment::default() };
    server::open(config, environment).await
}

async fn auth_config(
    api_client: &ApiClient,
    toolkit: &Toolkit,
    scheme: Scheme,
    client: &Client,
    redirect: Option<&str>,
) -> Result<String> {
    let mut credentials = client.credentials();
    if let Some(uri) = redirect {
        credentials.insert("oauth_redirect_uri".to_owned(), uri.into());
    }
    let mut auth_config = json!({ "type": "use_custom_auth", "authScheme": scheme, "credentials": credentials });
    if !client.shared.is_empty() {
        auth_config["shared_connection_fields"] = json!(client.shared);
    }
    let body = json!({ "toolkit": { "slug": toolkit.slug }, "auth_config": auth_config });
    let made = api_client.call("POST", "/auth_configs", Some(&body)).await?;
    Ok(made["auth_config"]["id"].as_str().context("an auth config without an id")?.to_owned())
}
