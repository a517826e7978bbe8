//! `switchboard audit check|accept-head`: verifies the integrity of the audit log.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use super::data::DataArgs;
use super::explain::explain;
use super::output;
use crate::app::App;
use crate::app::audit::check::Report;
use crate::config::Layer;
use crate::server;
use crate::time::iso;

#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// Compare the audit log with its sealed segments and with the head file (also while the server
    /// runs). Exits with 0 only if nothing was changed and nothing is missing. Needs the master key.
    Check {
        /// Compare only the events of this project.
        #[arg(long, value_name = "ID")]
        project: Option<String>,
        /// Head file to compare with, such as a copy that is stored elsewhere [default: the server's].
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: DataArgs,
    },
    /// Accept the database's newest segment as the head, after a backup was restored or the head file
    /// was lost. Recorded in the audit log.
    AcceptHead {
        #[command(flatten)]
        data: DataArgs,
    },
}

pub(super) async fn run(args: AuditArgs) -> Result<()> {
    match args.command {
        AuditCommand::Check { project, head, json, data } => check(project, head, json, data).await,
        AuditCommand::AcceptHead { data } => accept_head(data).await,
    }
}

async fn open(data: DataArgs) -> Result<std::sync::Arc<App>> {
    let config = data.layer(Layer::default())?.overlay(Layer::defaults()?).check()?;
    if !config.database.exists() {
        bail!("there is no database at {}; name the server's folder with --data-dir", config.database.display());
    }
    server::open_for_audit(config).await
}

async fn check(project: Option<String>, head: Option<PathBuf>, json: bool, data: DataArgs) -> Result<()> {
    let app = open(data).await?;
    let head = head.unwrap_or_else(|| app.audit_log.head_file().to_owned());
    let report = app.audit_log.check(project.as_deref(), &head).await.map_err(|error| explain(&error))?;
    output::line(if json { serde_json::to_string(&report)? } else { report_text(&report) })?;
    if report.intact {
        return Ok(());
    }
    bail!("the audit log does not match its seals: {} findings", report.findings.len())
}

fn report_text(report: &Report) -> String {
    let since = report.unsealed_since.map(|at| format!(", the oldest of {}", iso(at))).unwrap_or_default();
    let mut lines = vec![
        format!("Sealed          {} events in segments up to {}", report.sealed_events, report.newest_segment),
        format!("Not yet sealed  {} events{since}", report.unsealed_events),
    ];
    if report.dropped_events > 0 {
        lines.push(format!("Dropped         {} events, by retention", report.dropped_events));
    }
    lines.extend(report.findings.iter().map(|finding| format!("{:15} {}", word(finding.kind), finding.message)));
    if report.intact {
        lines.push("Nothing was changed, and nothing is missing".to_owned());
    }
    lines.join("\n")
}

fn word(kind: crate::app::audit::check::Kind) -> String {
    let name = serde_json::to_value(kind).ok();
    let name = name.as_ref().and_then(|name| name.as_str()).unwrap_or_default();
    crate::text::capital(&name.replace('_', " "))
}

async fn accept_head(data: DataArgs) -> Result<()> {
    let app = open(data).await?;
    let head = app.audit_log.accept_head().await.map_err(|error| explain(&error))?;
    app.core.store.finish();
    output::line(format_args!("Head  segment {}\nFile  {}", head.segment, app.audit_log.head_file().display()))
}
