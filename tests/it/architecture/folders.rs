//! The folders of `src/app` and `src/api` stand in an order, and each uses those before it only. What
//! still breaks that is listed; a line that is broken no more is taken off.

use std::collections::BTreeSet;

use super::{Source, has_path, sources};

/// Folders of `src/app`: each may use those before it.
const APP: [&str; 15] = [
    "base",
    "audit",
    "account",
    "project",
    "credential",
    "session",
    "auth_config",
    "provider",
    "refresh",
    "connect",
    "execute",
    "explain",
    "revocation",
    "jobs",
    "link",
];

/// Folders of `src/api`: each may use those before it.
const API: [&str; 8] = ["operations", "http", "toolkit", "session", "account", "auth_config", "openapi", "org"];

/// Files of `src/app` that use a folder after their own. It only gets shorter.
const BACKWARDS: [(&str, &str); 14] = [
    ("src/app/audit/facts.rs", "provider"),
    ("src/app/auth_config/mod.rs", "connect"),
    ("src/app/auth_config/mod.rs", "provider"),
    ("src/app/base/settings.rs", "jobs"),
    ("src/app/credential/further_tokens.rs", "provider"),
    ("src/app/credential/reseal/run.rs", "refresh"),
    ("src/app/credential/secret_addresses.rs", "connect"),
    ("src/app/credential/unread.rs", "provider"),
    ("src/app/project/deletion.rs", "revocation"),
    ("src/app/provider/request.rs", "execute"),
    ("src/app/refresh/mod.rs", "connect"),
    ("src/app/session/mod.rs", "link"),
    ("src/app/session/resolve.rs", "link"),
    ("src/app/session/toolkits.rs", "link"),
];

#[test]
fn folders_of_the_application_use_those_before_them() {
    let listed: BTreeSet<(String, String)> =
        BACKWARDS.iter().map(|(file, folder)| ((*file).to_owned(), (*folder).to_owned())).collect();
    let found = backwards("app", &APP);
    let new: Vec<_> = found.difference(&listed).collect();
    assert!(new.is_empty(), "these use a folder after their own: {new:#?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "these do so no more; take them off the list: {gone:#?}");
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
