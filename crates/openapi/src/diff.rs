//! What a later import changes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Map, Value};

/// What a later import changes, for people who decide whether they take it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Changes {
    /// Slugs of new tools.
    pub added: Vec<String>,
    /// Slugs of tools that are gone.
    pub removed: Vec<String>,
    /// Tools that are others now.
    pub changed: Vec<ToolChange>,
    /// New hosts, which get the credential.
    pub added_hosts: Vec<String>,
    /// Hosts that are gone.
    pub removed_hosts: Vec<String>,
}

/// What is different in a tool.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolChange {
    /// The tool.
    pub slug: String,
    /// Each difference in words, such as `argument `limit` is required now`.
    pub differences: Vec<String>,
}

impl Changes {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The changes from the tools and hosts of one import to those of another.
pub(crate) fn changes(before: &[Value], after: &[Value], hosts: (&[String], &[String])) -> Changes {
    let by_slug = |tools: &'_ [Value]| -> BTreeMap<String, Value> {
        tools.iter().filter_map(|tool| Some((tool["slug"].as_str()?.to_owned(), tool.clone()))).collect()
    };
    let (before, after) = (by_slug(before), by_slug(after));
    let changed = after.iter().filter_map(|(slug, tool)| {
        let differences = differences(before.get(slug)?, tool);
        (!differences.is_empty()).then(|| ToolChange { slug: slug.clone(), differences })
    });
    let missing = |from: &[String], of: &[String]| of.iter().filter(|host| !from.contains(host)).cloned().collect();
    Changes {
        added: after.keys().filter(|slug| !before.contains_key(*slug)).cloned().collect(),
        removed: before.keys().filter(|slug| !after.contains_key(*slug)).cloned().collect(),
        changed: changed.collect(),
        added_hosts: missing(hosts.0, hosts.1),
        removed_hosts: missing(hosts.1, hosts.0),
    }
}

fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for key in ["effect", "method", "path", "body", "content_type"] {
        let text = |tool: &Value| tool[key].as_str().unwrap_or("none").to_owned();
        if before[key] != after[key] {
            found.push(format!("{key} is {}, was {}", text(after), text(before)));
        }
    }
    let nothing = Map::new();
    let arguments = |tool: &'_ Value| tool["input"].as_object().cloned().unwrap_or_else(|| nothing.clone());
    let (old, new) = (arguments(before), arguments(after));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        match (old.get(name), new.get(name)) {
            (None, Some(argument)) if argument["required"] == true => {
                found.push(format!("argument `{name}` is new and required"));
            }
            (None, Some(_)) => found.push(format!("argument `{name}` is new")),
            (Some(_), None) => found.push(format!("argument `{name}` is gone")),
            (Some(old), Some(new)) if old != new => found.push(argument(name, old, new)),
            _ => {}
        }
    }
    for key in
        ["title", "description", "scopes", "output", "paging", "query", "template", "wrap", "download", "deprecated"]
    {
        if before[key] != after[key] {
            found.push(format!("{key} is another one"));
        }
    }
    found
}

fn argument(name: &str, old: &Value, new: &Value) -> String {
    match (old["required"] == true, new["required"] == true) {
        (false, true) => return format!("argument `{name}` is required now"),
        (true, false) => return format!("argument `{name}` is optional now"),
        _ => {}
    }
    let keys: BTreeSet<&String> = [old, new].into_iter().filter_map(Value::as_object).flat_map(Map::keys).collect();
    let differing: Vec<&str> =
        keys.into_iter().filter(|key| old[key.as_str()] != new[key.as_str()]).map(String::as_str).collect();
    format!("argument `{name}` has another {}", differing.join(", "))
}
