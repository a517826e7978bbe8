//! `switchboard jobs`: the state of the queue.

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::data::DataArgs;
use super::explain::explain;
use super::output;
use crate::app::queue::status::{self, KindReport};
use crate::text::truncate_to;

/// Maximum characters of a failure in a line.
const MAX_DETAIL: usize = 300;

/// Shows the jobs that the server works on in the background, by kind: how many wait, are due or run now, and
/// the ten with the most failures. A revocation that cannot be sent is found here, with the reason. Secrets are
/// not shown, and the master key is not needed.
#[derive(Debug, Args)]
pub(super) struct JobsArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    data: DataArgs,
}

pub(super) async fn run(args: JobsArgs) -> Result<()> {
    let app = args.data.manage(false)?;
    let kinds = status::report(&app.core).await.map_err(|error| explain(&error))?;
    if args.json {
        return output::line(json!({ "items": kinds }));
    }
    output::line(kinds.iter().map(report_text).collect::<Vec<_>>().join("\n\n"))
}

fn report_text(report: &KindReport) -> String {
    let since = report.oldest_due_at.as_ref().map(|at| format!(", the oldest since {at}")).unwrap_or_default();
    let mut lines = vec![
        format!("Kind     {}", report.kind),
        format!("Waiting  {}", report.waiting),
        format!("Due      {}{since}", report.due),
        format!("Leased   {}", report.leased),
    ];
    for job in &report.failed {
        let (id, project, lane, tries, next) = (&job.id, &job.project_id, &job.lane, job.tries, &job.next_run_at);
        let detail = truncate_to(&job.detail, MAX_DETAIL);
        lines.push(format!("Failed   {id}  {project}  {lane}  {tries} tries, next {next}: {detail}"));
    }
    lines.join("\n")
}
