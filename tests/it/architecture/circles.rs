//! Which files of a folder use each other in a circle, read off their `use` items and paths.

use std::collections::{BTreeMap, BTreeSet};

use super::Source;
use super::lexer::code_lines;

/// A module by its path from the root of its crate; the root itself is empty.
type Module = Vec<String>;

/// The circles among the files whose paths begin with `folder`: files that use each other, directly or by way of
/// others. `root` is the crate's source folder, such as `crates/sandbox/src/`.
pub fn circles(sources: &[Source], root: &str, folder: &str) -> Vec<Vec<String>> {
    let files: BTreeMap<Module, &Source> = sources
        .iter()
        .filter_map(|source| Some((module(source.path.strip_prefix(root)?), source)))
        .filter(|(_, source)| source.path.starts_with(folder))
        .collect();
    assert!(files.len() > 1, "{folder} has no files to compare");
    let known: BTreeSet<&Module> = files.keys().collect();
    let uses: BTreeMap<&Module, BTreeSet<Module>> = files
        .iter()
        .map(|(from, source)| {
            let code: Vec<&str> = source.lines.iter().map(|line| line.code.as_str()).collect();
            let found = paths(&code.join("\n")).into_iter().filter_map(|path| resolve(from, &path, &known));
            (from, found.filter(|to| to != from).collect())
        })
        .collect();
    let reach: BTreeMap<&Module, BTreeSet<&Module>> = known.iter().map(|from| (*from, reached(from, &uses))).collect();
    let circle = |of: &Module| -> BTreeSet<&Module> {
        known.iter().copied().filter(|other| reach[of].contains(other) && reach[*other].contains(of)).collect()
    };
    let found: BTreeSet<BTreeSet<&Module>> = known.iter().map(|of| circle(of)).filter(|it| it.len() > 1).collect();
    found.iter().map(|circle| circle.iter().map(|module| files[*module].path.clone()).collect()).collect()
}

/// `oauth/mod.rs` and `oauth.rs` are `oauth`; `lib.rs` and `main.rs` are the root.
fn module(path: &str) -> Module {
    let mut parts: Module = path.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let is_root = parts.len() == 1 && ["lib", "main"].contains(&parts[0].as_str());
    if is_root || parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// All modules that a module uses, directly or by way of others.
fn reached<'m>(from: &Module, uses: &'m BTreeMap<&'m Module, BTreeSet<Module>>) -> BTreeSet<&'m Module> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&Module> = uses[from].iter().collect();
    while let Some(module) = next.pop() {
        if found.insert(module) {
            next.extend(uses.get(module).into_iter().flatten());
        }
    }
    found
}

/// The paths that code names: those of its `use` items, one for each name, and those inside the code.
fn paths(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = String::new();
    let begins =
        |line: &str| ["use ", "pub use ", "pub(super) use ", "pub(crate) use "].iter().any(|it| line.starts_with(it));
    for statement in code.split_inclusive(';') {
        // What stands before an item on lines of its own, such as an attribute.
        let at = statement.lines().position(|line| begins(line.trim_start()));
        let Some(at) = at else {
            rest.push_str(statement);
            continue;
        };
        let lines: Vec<&str> = statement.lines().collect();
        rest.push_str(&lines[..at].join("\n"));
        let tree = lines[at..].join(" ");
        let tree = tree.split_once("use ").map_or("", |(_, tree)| tree);
        expand("", tree.trim_end_matches(';'), &mut found);
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    found.extend(rest.split(|c| !is_part(c)).filter(|word| word.contains("::")).map(str::to_owned));
    found
}

/// `a::{b, c::d}` → `a::b`, `a::c::d`.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    let Some((head, body)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or_default();
        found.push(format!("{prefix}{path}"));
        return;
    };
    let prefix = format!("{prefix}{}", head.trim());
    let body = body.trim_end().strip_suffix('}').unwrap_or(body);
    let (mut depth, mut start) = (0, 0);
    for (at, letter) in body.char_indices().chain([(body.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = body.get(start..at).unwrap_or_default();
                if !part.trim().is_empty() {
                    expand(&prefix, part, found);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// The module of this crate that a path leads into.
fn resolve(from: &Module, path: &str, known: &BTreeSet<&Module>) -> Option<Module> {
    let parts: Vec<&str> = path.split("::").collect();
    let mut at: Module = match *parts.first()? {
        "crate" => Vec::new(),
        "self" | "super" => from.clone(),
        // A module below this one; otherwise a crate, or something that was imported.
        first => {
            let child: Module = from.iter().cloned().chain([first.to_owned()]).collect();
            return known.contains(&child).then(|| follow(child, &parts[1..], known));
        }
    };
    let ups = parts.iter().take_while(|part| **part == "super").count();
    at.truncate(at.len().checked_sub(ups)?);
    let module = follow(at, &parts[ups.max(1)..], known);
    known.contains(&module).then_some(module)
}

/// As far down as there are modules.
fn follow(mut at: Module, parts: &[&str], known: &BTreeSet<&Module>) -> Module {
    // A folder need not be among the files that are compared: `crate::cli::output` among those of `cli`.
    let is_on_the_way = |at: &Module| known.iter().any(|module| module.starts_with(at.as_slice()));
    for part in parts {
        at.push((*part).to_owned());
        if !is_on_the_way(&at) {
            at.pop();
            break;
        }
    }
    at
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned(), lines: code_lines(text) }
}

#[test]
fn circles_are_found_whichever_way_a_path_is_written() {
    let found = |a: &str, b: &str| {
        let sources = [source("src/lib.rs", "mod x;"), source("src/x/a.rs", a), source("src/x/b/mod.rs", b)];
        circles(&sources, "src/", "src/")
    };
    let circle = vec![vec!["src/x/a.rs".to_owned(), "src/x/b/mod.rs".to_owned()]];
    for to_b in ["use crate::x::{b::{Thing as Other, c}, d};", "use super::b;", "fn f() { super::b::g() }"] {
        for to_a in ["use super::a::Thing;", "use super::super::x::a;", "fn f() -> crate::x::a::Thing { refuse() }"] {
            assert_eq!(found(to_b, to_a), circle, "{to_b} {to_a}");
        }
        for elsewhere in ["use std::a;", "use crate::y::a;", "// super::a"] {
            assert!(found(to_b, elsewhere).is_empty(), "{to_b} {elsewhere}");
        }
    }
}
