//! The report of an import for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use switchboard_openapi::{Changes, Report};

use crate::cli::toolkit::words::count;

/// Maximum number of lines of one kind.
const MAX_LINES: usize = 20;

/// The report.
pub(super) fn report(report: &Report, folder: &Path, is_dry: bool) -> String {
    let mut page = format!("{}\n", report.document);
    let mut effects: BTreeMap<&str, usize> = BTreeMap::new();
    for imported in &report.imported {
        *effects.entry(&imported.effect).or_default() += 1;
    }
    let effects: Vec<String> = effects.iter().map(|(effect, number)| format!("{number} {effect}")).collect();
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            // Writing to a string cannot fail.
            let _ = writeln!(page, "  {label:<10}{value}");
        }
    };
    line("Imported", &format!("{} ({})", count(report.imported.len(), "tool"), effects.join(", ")));
    line("Hosts", &report.hosts.join(", "));
    line("Schemes", &report.schemes.join(", "));
    line("Scopes", &some(&report.scopes));
    line("Tokens", &format!("about {} for the list of all tools", report.tokens));
    if let Some(largest) = report.largest.first() {
        line("Largest", &format!("{} ({} bytes of arguments)", largest.slug, largest.bytes));
    }
    line("Kept", &some(&report.kept));
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for skipped in &report.skipped {
        reasons.entry(&skipped.reason).or_default().push(&skipped.operation);
    }
    let skipped = reasons.iter().map(|(reason, operations)| match operations.as_slice() {
        [one] => format!("{one}: {reason}"),
        several => format!("{} operations, such as {}: {reason}", several.len(), several[0]),
    });
    section(&mut page, "Skipped", &skipped.collect::<Vec<_>>());
    let renamed = report.renamed.iter().map(|renamed| format!("{} ({})", renamed.slug, renamed.words));
    section(&mut page, "Names that differ from their operations", &renamed.collect::<Vec<_>>());
    let mut findings: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for finding in &report.findings {
        findings.entry(&finding.message).or_default().extend(finding.slug.as_deref());
    }
    let findings = findings.iter().map(|(message, slugs)| match slugs.as_slice() {
        [] => (*message).to_owned(),
        [one] => format!("{one}: {message}"),
        several => format!("{} tools, such as {}: {message}", several.len(), several[0]),
    });
    section(&mut page, "To look at", &findings.collect::<Vec<_>>());
    if let Some(changes) = &report.changes {
        section(&mut page, "Changes since the last import", &changed(changes));
    }
    let verb = if is_dry { "Nothing was written; without --dry-run it goes to" } else { "Written to" };
    let _ = writeln!(page, "\n{verb} {}", folder.display());
    if !is_dry {
        let _ = writeln!(page, "Check it: switchboard toolkit lint {}", folder.display());
    }
    page
}

fn changed(changes: &Changes) -> Vec<String> {
    if changes.is_empty() {
        return vec!["none".to_owned()];
    }
    let mut lines = Vec::new();
    for (sign, items) in [
        ("new host", &changes.added_hosts),
        ("host is gone:", &changes.removed_hosts),
        ("new tool", &changes.added),
        ("tool is gone:", &changes.removed),
    ] {
        lines.extend(items.iter().map(|item| format!("{sign} {item}")));
    }
    lines.extend(changes.changed.iter().map(|change| format!("{}: {}", change.slug, change.differences.join("; "))));
    lines
}

fn section(page: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(page, "\n{title}");
    for line in lines.iter().take(MAX_LINES) {
        let _ = writeln!(page, "  - {line}");
    }
    if lines.len() > MAX_LINES {
        let _ = writeln!(page, "  - and {} more (--json has all)", lines.len() - MAX_LINES);
    }
}

/// The first of several words.
fn some(words: &[String]) -> String {
    let shown = words.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
    if words.len() > 10 { format!("{shown} and {} more", words.len() - 10) } else { shown }
}
