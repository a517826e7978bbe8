//! `switchboard toolkit test`: the whole dance of a toolkit file against a provider that is played as the
//! file says, with the exact HTTP of each step.
//!
//! The server is the real one, in a folder that is thrown away; its connections all end at the played
//! provider. `values.rs` makes values up, `discovery.rs`, `routes.rs` and `document.rs` read the file as
//! a provider would be, `provider.rs`, `flow.rs`, `checks.rs` and `answers.rs` play it, `service.rs` is
//! the server, `dance.rs` the steps, `exchange.rs` what is printed of them.

mod answers;
mod checks;
mod dance;
mod discovery;
mod document;
mod exchange;
mod flow;
mod provider;
mod routes;
mod seen;
mod service;
#[cfg(test)]
mod tests;
mod values;

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use serde_json::json;
use switchboard_catalog::{Scheme, Toolkit};
use tokio::net::TcpListener;

use self::dance::Dance;
use self::provider::{Play, Shared, of};
use self::service::{Ahead, Service};
use self::values::{Values, parse_settings};
use super::source::Source;
use crate::cli::output;

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    source: Source,
    /// Which of its schemes, such as `API_KEY` [default: the preferred one]
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<String>,
    /// A value that cannot be made up, such as a key; may be repeated.
    #[arg(long, value_name = "NAME=VALUE|NAME=@FILE")]
    set: Vec<String>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: TestArgs) -> Result<()> {
    let toolkit = args.source.load()?;
    let scheme = chosen(&toolkit, args.scheme.as_deref())?;
    let values = Values::new(&toolkit, scheme, &parse_settings(&args.set)?)?;
    let installation = values.installation();
    let clock = Arc::new(Ahead::default());
    let play = Play::new(Arc::clone(&toolkit), scheme, values, Arc::clone(&clock) as _)?;
    let play: Shared = Arc::new(Mutex::new(play));

    let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen for the played provider")?;
    let played_at = listener.local_addr()?;
    let serving = tokio::spawn(axum::serve(listener, provider::router(Arc::clone(&play))).into_future());
    let file = args.source.file();
    let folders = args.source.folders();
    let service =
        Service::open(&toolkit.slug, file.as_deref(), folders, played_at, installation, Arc::clone(&clock)).await?;
    let mut dance = Dance::new(&service, &play, clock);
    let result = dance.run().await;
    let outcome = std::mem::take(&mut dance.outcome);
    service.close().await;
    serving.abort();
    print(&play, &outcome, result.as_ref().err(), args.json)?;
    result.map_err(|_| anyhow!("{} of {} does not work", scheme, toolkit.slug))
}

/// The scheme that is meant.
pub(super) fn chosen(toolkit: &Toolkit, named: Option<&str>) -> Result<Scheme> {
    let schemes = toolkit.schemes();
    let Some(name) = named else { return schemes.first().copied().context("a toolkit without a scheme") };
    let scheme: Scheme = name.to_ascii_uppercase().parse()?;
    // A token of one's own is taken by every toolkit with OAuth 2.0.
    let imports = scheme == Scheme::BearerToken && toolkit.oauth2.is_some();
    if schemes.contains(&scheme) || imports {
        return Ok(scheme);
    }
    let known: Vec<&str> = schemes.iter().map(|scheme| scheme.as_str()).collect();
    bail!("{} has no {scheme}; it has {}", toolkit.slug, known.join(", "))
}

/// Everything that was sent, and what it came to.
fn print(play: &Shared, outcome: &[String], failure: Option<&anyhow::Error>, as_json: bool) -> Result<()> {
    let mut play = of(play);
    let scheme = play.scheme;
    let slug = play.toolkit.slug.clone();
    let shown = play.values.shown().clone();
    let failure = failure.map(|error| shown.apply(&format!("{error:#}")));
    let mut page = String::new();
    if as_json {
        let steps = play.exchanges.iter().map(|exchange| {
            json!({
                "title": exchange.title,
                "request": exchange.request(&shown),
                "status": exchange.status,
                "answer": exchange.answer(&shown),
                "notes": exchange.notes(&shown),
            })
        });
        let steps: Vec<_> = steps.collect();
        let whole = json!({
            "toolkit": slug, "scheme": scheme, "ok": failure.is_none(),
            "steps": steps, "outcome": outcome, "failure": failure,
        });
        writeln!(page, "{}", serde_json::to_string_pretty(&whole)?)?;
        return output::print(page);
    }
    writeln!(page, "{slug}, {scheme}: a provider that is played as the file says; all values are made up")?;
    for (number, exchange) in play.exchanges.iter().enumerate() {
        write!(page, "\n── {}. {} ──\n{}", number + 1, exchange.title, exchange.request(&shown))?;
        for note in exchange.notes(&shown) {
            writeln!(page, "({note})")?;
        }
        writeln!(page, "→ {}\n{}", exchange.status, exchange.answer(&shown))?;
    }
    writeln!(page)?;
    for line in outcome {
        writeln!(page, "{line}")?;
    }
    if let Some(failure) = failure {
        writeln!(page, "failed: {failure}")?;
    }
    let others: Vec<&str> = play.toolkit.schemes().iter().filter(|it| **it != scheme).map(|it| it.as_str()).collect();
    if !others.is_empty() {
        writeln!(page, "other schemes, with --scheme: {}", others.join(", "))?;
    }
    output::print(page)
}
