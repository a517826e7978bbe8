//! The folders of `src/app` and `src/api` stand in an order, and each uses those before it only: there is no
//! circle, neither between folders nor between files of different folders.

use std::collections::BTreeSet;

use super::{Source, has_path, sources};

/// Folders of `src/app`: each may use those before it.
const APP: [&str; 29] = [
    "model",
    "base",
    "tool_versions",
    "object_store",
    "audit",
    "project",
    "credential",
    "provider",
    "provider_limits",
    "spool",
    "reseal",
    "queue",
    "revocation",
    "refresh",
    "auth_config",
    "account",
    "toolkit",
    "session",
    "file",
    "link",
    "connect",
    "call_log",
    "execute",
    "approval",
    "tool",
    "meta",
    "explain",
    "project_deletion",
    "jobs",
];

/// Folders of `src/api`: each may use those before it.
const API: [&str; 13] = [
    "operations",
    "http",
    "toolkit",
    "logs",
    "approval",
    "tool",
    "session",
    "mcp",
    "file",
    "account",
    "auth_config",
    "openapi",
    "org",
];

#[test]
fn folders_of_the_application_use_those_before_them() {
    let found = backwards("app", &APP);
    assert!(found.is_empty(), "these use a folder after their own: {found:#?}");
}

#[test]
fn folders_of_the_api_use_those_before_them() {
    let found = backwards("api", &API);
    assert!(found.is_empty(), "these use a folder after their own: {found:#?}");
}

#[test]
fn every_form_of_a_path_is_found() {
    for (file, code) in [
        ("src/app/link/mod.rs", "use crate::app::audit;"),
        ("src/app/link/mod.rs", "use crate::app::{App, audit};"),
        ("src/app/link/mod.rs", "use crate::app::{\n    App, link::{Link, Other},\n    audit::Facts,\n};"),
        ("src/app/link/direct.rs", "fn it() { crate::app::audit::run() }"),
        ("src/app/link/mod.rs", "use super::{Actor, App, audit};"),
        ("src/app/link/mod.rs", "fn it() { super::audit::run() }"),
        ("src/app/link/direct.rs", "use crate::{app::audit, error::Error};"),
        ("src/app/link/direct.rs", "use super::super::audit::Facts;"),
    ] {
        assert!(uses(file, code, "app", "audit"), "{code}");
    }
    for (file, code) in [
        ("src/app/link/mod.rs", "fn it() { self.audit(x) }"),
        ("src/app/link/direct.rs", "use super::audit::Facts;"),
        ("src/app/link/direct.rs", "use crate::app::auditor;"),
        ("src/app/link/direct.rs", "use crate::app::{App, link::audit};"),
        ("src/app/link/direct.rs", "use switchboard_store::audit;"),
    ] {
        assert!(!uses(file, code, "app", "audit"), "{code}");
    }
}

/// Files below `src/<top>` with each folder after their own that they use.
fn backwards(top: &str, order: &[&str]) -> BTreeSet<(String, String)> {
    let root = format!("src/{top}/");
    let mut found = BTreeSet::new();
    let mut seen = BTreeSet::new();
    for Source { path, lines, .. } in sources() {
        let Some((folder, _)) = path.strip_prefix(&root).and_then(|rest| rest.split_once('/')) else { continue };
        let place = order.iter().position(|known| *known == folder);
        let place = place.unwrap_or_else(|| panic!("{root}{folder}/ has no place in the order"));
        seen.insert(place);
        let code: Vec<&str> = lines.iter().map(|line| line.code.as_str()).collect();
        let code = code.join("\n");
        for after in order[place + 1..].iter().filter(|after| uses(&path, &code, top, after)) {
            found.insert((path.clone(), (*after).to_owned()));
        }
    }
    assert_eq!(seen.len(), order.len(), "a folder of the order is gone from {root}");
    found
}

/// Whether code of a file names a folder of `src/<top>`.
fn uses(file: &str, code: &str, top: &str, folder: &str) -> bool {
    // `super` once for each level between the file's module and `top`.
    let levels = file.split('/').count() - 3 + usize::from(!file.ends_with("/mod.rs"));
    let supers = vec!["super"; levels].join("::");
    [format!("crate::{top}"), supers].iter().any(|above| {
        has_path(code, &format!("{above}::{folder}"))
            || code.match_indices(&format!("{above}::{{")).any(|(at, opening)| {
                let is_start = !code[..at].ends_with(':');
                is_start && first_segments(&code[at + opening.len()..]).contains(&folder)
            })
    }) || code.match_indices("crate::{").any(|(at, opening)| {
        let tree = tree(&code[at + opening.len()..]);
        has_path(tree, &format!("{top}::{folder}"))
            || tree
                .match_indices(&format!("{top}::{{"))
                .any(|(at, opening)| first_segments(&tree[at + opening.len()..]).contains(&folder))
    })
}

/// What stands before the brace that closes a tree of `use`.
fn tree(after_brace: &str) -> &str {
    let mut depth = 1;
    for (at, c) in after_brace.char_indices() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return &after_brace[..at];
        }
    }
    after_brace
}

/// First segments of the members of a tree of `use`.
fn first_segments(after_brace: &str) -> Vec<&str> {
    let tree = tree(after_brace);
    let mut depth = 0;
    let members = tree.split(|c| {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        c == ',' && depth == 0
    });
    members.filter_map(|member| member.trim().split("::").next()).collect()
}

/// `App` holds the services and nothing else: what can be done is a method of the service that does it.
#[test]
fn the_application_itself_has_no_logic() {
    let blocks: Vec<String> = sources()
        .iter()
        .flat_map(|source| source.lines.iter().map(|line| (source.path.clone(), line.code.trim().to_owned())))
        .filter(|(_, code)| code.starts_with("impl App ") || code.contains(" for App "))
        .map(|(path, code)| format!("{path}: {code}"))
        .collect();
    assert!(blocks.len() <= 3, "{blocks:#?}");
}
