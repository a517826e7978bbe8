//! The history of toolkits: their versions and what changed in each.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use switchboard_catalog::{ToolRow, Toolkit};

use super::ToolVersions;
use crate::app::base::tools::ToolkitVersion;
use crate::error::Result;

/// Maximum number of tools that a change names of each kind.
const MAX_NAMED: usize = 20;

/// A toolkit and its versions, the newest first.
#[derive(Debug)]
pub struct VersionChanges {
    /// The toolkit.
    pub toolkit: Arc<Toolkit>,
    /// Its versions.
    pub versions: Vec<VersionEntry>,
}

/// A version and what changed in it.
#[derive(Debug)]
pub struct VersionEntry {
    /// `YYYYMMDD_NN`.
    pub version: String,
    /// Sentences.
    pub changes: String,
}

impl ToolVersions {
    /// The versions of all toolkits: what their files say, and otherwise how the stored tools differ.
    ///
    /// # Errors
    /// The database does not respond.
    pub async fn changelog(&self) -> Result<Vec<VersionChanges>> {
        let stored = self.stored().await?;
        let mut all = Vec::new();
        for toolkit in self.core.catalog.get().iter() {
            // One release for each version, from the newest to the oldest.
            let mut releases = vec![(toolkit.version.as_str(), None)];
            for label in stored.iter().filter(|label| label.toolkit == toolkit.slug) {
                if !releases.iter().any(|(version, _)| *version == label.version) {
                    releases.push((&label.version, Some(&label.digest)));
                }
            }
            releases.sort_by(|(one, _), (other, _)| other.cmp(one));
            let mut loaded = Vec::with_capacity(releases.len());
            // The tools are needed only to compare them.
            let is_compared = releases.len() > 1;
            for (version, digest) in &releases {
                let tools = match digest {
                    _ if !is_compared => None,
                    None => Some(ToolkitVersion::current(toolkit)),
                    Some(digest) => self.earlier(toolkit, &digest.as_str().into()).await.ok(),
                };
                loaded.push((*version, tools));
            }
            let versions = (0..loaded.len()).map(|index| entry(toolkit, &loaded[index..])).collect();
            all.push(VersionChanges { toolkit: Arc::clone(toolkit), versions });
        }
        Ok(all)
    }
}

/// The first of some versions, which the others precede.
fn entry(toolkit: &Toolkit, versions: &[(&str, Option<ToolkitVersion>)]) -> VersionEntry {
    let version = versions.first().map_or("", |(version, _)| *version);
    let notes: Vec<&str> =
        toolkit.changelog.iter().filter(|note| note.version == version).map(|note| note.text.as_str()).collect();
    let mut changes = match versions {
        _ if !notes.is_empty() => notes.join(" "),
        [(_, Some(new)), (before, Some(old)), ..] => differences(old.tools(), new.tools(), before),
        _ => format!("Version {version} of this toolkit's file."),
    };
    for rule in toolkit.withdrawn.iter().filter(|rule| rule.version == version) {
        let concerned =
            if rule.tools.is_empty() { "Withdrawn".to_owned() } else { format!("{} withdrawn", rule.tools.join(", ")) };
        let replacement = rule.replacement.as_ref().unwrap_or(&toolkit.version);
        let reason = rule.reason.trim_end_matches('.');
        let _ = write!(changes, " {concerned}: {reason}. Use version {replacement}.");
    }
    VersionEntry { version: version.to_owned(), changes }
}

/// How tools differ from those of the version before.
fn differences(old: &[Arc<ToolRow>], new: &[Arc<ToolRow>], before: &str) -> String {
    let find = |rows: &[Arc<ToolRow>], slug: &str| rows.iter().find(|row| row.slug == slug).cloned();
    let added = new.iter().filter(|row| find(old, &row.slug).is_none()).map(|row| row.slug.clone());
    let removed = old.iter().filter(|row| find(new, &row.slug).is_none()).map(|row| row.slug.clone());
    let changed = new.iter().filter_map(|row| {
        let before = find(old, &row.slug)?;
        (before.digest != row.digest).then(|| format!("{}{}", row.slug, of_arguments(&before, row)))
    });
    let parts =
        [part("Added", added.collect()), part("Removed", removed.collect()), part("Changed", changed.collect())];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { format!("The same tools as in version {before}.") } else { parts.join(" ") }
}

fn part(word: &str, mut tools: Vec<String>) -> Option<String> {
    let further = tools.len().saturating_sub(MAX_NAMED);
    tools.truncate(MAX_NAMED);
    let and = if further > 0 { format!(" and {further} more") } else { String::new() };
    (!tools.is_empty()).then(|| format!("{word}: {}{and}.", tools.join(", ")))
}

/// What a caller has to know of a changed tool: its arguments, what it does, the scopes that it needs.
fn of_arguments(old: &ToolRow, new: &ToolRow) -> String {
    let names = |row: &ToolRow| row.input.keys().cloned().collect::<BTreeSet<String>>();
    let required = |row: &ToolRow| -> BTreeSet<String> {
        row.input.iter().filter(|(_, argument)| argument.required).map(|(name, _)| name.clone()).collect()
    };
    let (before, after) = (names(old), names(new));
    let list = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
    let mut facts = Vec::new();
    let newly_required = list(required(new).difference(&required(old)).collect());
    if !newly_required.is_empty() {
        facts.push(format!("now required: {newly_required}"));
    }
    let now = required(new);
    let optional = list(after.difference(&before).filter(|name| !now.contains(*name)).collect());
    if !optional.is_empty() {
        facts.push(format!("new: {optional}"));
    }
    let removed = list(before.difference(&after).collect());
    if !removed.is_empty() {
        facts.push(format!("no longer taken: {removed}"));
    }
    if old.effect != new.effect {
        facts.push("another effect".to_owned());
    }
    if old.scopes != new.scopes {
        facts.push("other scopes".to_owned());
    }
    if facts.is_empty() { String::new() } else { format!(" ({})", facts.join("; ")) }
}
