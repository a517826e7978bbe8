//! The rules of the code's shape, read off the sources: the direction of imports, where SQL and outgoing
//! connections live, that no provider is named in code. `docs/architecture.md` explains them.

mod circles;
mod folders;
mod lexer;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use self::lexer::Line;
pub use self::lexer::code_lines;
use crate::support::tools::root;

const LONGEST_FILE: usize = 400;

/// One file of the product: not a test, not an example.
pub struct Source {
    /// From the root, with slashes.
    pub path: String,
    pub text: String,
    /// Its code, apart from comments.
    pub lines: Vec<Line>,
}

/// All product files: `src/` and `crates/*/src/`, without what `#[cfg(test)]` leaves out.
pub fn sources() -> Vec<Source> {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files);
    for krate in std::fs::read_dir(root().join("crates")).unwrap() {
        rust_files(&krate.unwrap().path().join("src"), &mut files);
    }
    let texts: Vec<(PathBuf, String)> =
        files.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect();
    let in_tests: Vec<PathBuf> = texts.iter().flat_map(|(path, text)| test_modules(path, text)).collect();
    let product = texts.into_iter().filter(|(path, _)| !in_tests.iter().any(|test| path.starts_with(test)));
    let found: Vec<Source> = product
        .map(|(path, text)| Source {
            path: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
            lines: code_lines(&text),
            text,
        })
        .collect();
    assert!(found.len() > 100, "only {} files were found", found.len());
    found
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Files and folders of `#[cfg(test)] mod name;`.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let folder = path.parent().unwrap();
    let folder = if ["lib", "main", "mod"].contains(&stem) { folder.to_owned() } else { folder.join(stem) };
    let mut lines = text.lines();
    let mut found = Vec::new();
    while let Some(line) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            continue;
        }
        let name =
            lines.next().and_then(|next| next.trim().strip_suffix(';')?.rsplit_once("mod ").map(|(_, name)| name));
        if let Some(name) = name {
            found.push(folder.join(format!("{name}.rs")));
            found.push(folder.join(name));
        }
    }
    found
}

/// Fails with every place at which a rule is broken.
#[track_caller]
fn assert_none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}

/// Places whose code, without comments and string contents, meets a condition.
fn places(among: impl Fn(&str) -> bool, breaks: impl Fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| among(&source.path)) {
        for line in source.lines.iter().filter(|line| breaks(&line.code)) {
            broken.push(format!("{}:{}: {}", source.path, line.number, line.code.trim()));
        }
    }
    broken
}

/// Whether a line of code has this path, alone or at the start of a longer one.
fn has_path(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        !before.is_some_and(|c| is_word(c) || c == ':') && !after.is_some_and(is_word)
    })
}

/// Words of an identifier or a text, in lower case.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).map(str::to_ascii_lowercase)
}

#[test]
fn a_leaf_crate_uses_only_the_crates_that_its_manifest_may_name() {
    let allowed = |leaf: &str| -> &[&str] {
        match leaf {
            "auth" => &["switchboard_catalog", "switchboard_vault"],
            // Types that rows, toolkits and services share.
            "catalog" | "store" => &["switchboard_types"],
            "egress" => &["switchboard_repoll"],
            // What it interprets.
            "tools" => &["switchboard_catalog"],
            // What it writes; its tests read that back.
            "openapi" => &["switchboard_catalog", "switchboard_tools"],
            // No leaf: it builds on leaves, and the product builds on it.
            "toolkit-tests" => &["switchboard_auth", "switchboard_catalog", "switchboard_egress", "switchboard_vault"],
            _ => &[],
        }
    };
    let leaves: Vec<String> = std::fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut broken = Vec::new();
    for leaf in &leaves {
        let manifest: toml::Table =
            std::fs::read_to_string(root().join("crates").join(leaf).join("Cargo.toml")).unwrap().parse().unwrap();
        for (table, value) in manifest.iter().filter(|(table, _)| table.ends_with("dependencies")) {
            for name in value.as_table().unwrap().keys().map(|name| name.replace('-', "_")) {
                if name.starts_with("switchboard") && !allowed(leaf).contains(&name.as_str()) {
                    broken.push(format!("crates/{leaf}/Cargo.toml [{table}]: {name}"));
                }
            }
        }
        let names = leaves
            .iter()
            .map(|leaf| format!("switchboard_{}", leaf.replace('-', "_")))
            .chain(["switchboard".to_owned()]);
        for name in names.filter(|name| !allowed(leaf).contains(&name.as_str())) {
            broken
                .extend(places(|path| path.starts_with(&format!("crates/{leaf}/src/")), |code| has_path(code, &name)));
        }
    }
    assert_none(
        "a leaf crate knows neither the root nor another leaf (auth knows catalog and vault, tools knows catalog, openapi knows both, catalog and store know types; toolkit-tests knows leaves)",
        &broken,
    );
}

#[test]
fn no_module_uses_one_above_it() {
    // In the folder of the left, none of the modules of the right.
    let above: [(&str, &[&str]); 6] = [
        ("src/app/", &["api", "pages", "cli", "server"]),
        ("src/api/", &["cli", "server"]),
        ("src/pages/", &["cli", "server"]),
        ("src/error.rs", &["app", "api", "pages", "cli", "server", "config"]),
        ("src/server.rs", &["cli", "api", "pages"]),
        ("src/server/", &["cli", "api", "pages"]),
    ];
    let mut broken = Vec::new();
    for (folder, modules) in above {
        for module in modules {
            let path = format!("crate::{module}");
            broken.extend(places(
                |file| file.starts_with(folder),
                |code| {
                    has_path(code, &path) || (code.contains("use crate::{") && words(code).any(|word| word == *module))
                },
            ));
        }
    }
    assert_none("use goes one way: cli, api, pages → app → leaf crates", &broken);
}

#[test]
fn files_of_one_folder_do_not_use_each_other_in_a_circle() {
    let sources = sources();
    let folders = [
        ("src/", "src/cli/"),
        ("src/", "src/config"),
        ("crates/egress/src/", "crates/egress/src/"),
        ("crates/sandbox/src/", "crates/sandbox/src/"),
        ("crates/toolkit-tests/src/", "crates/toolkit-tests/src/"),
    ];
    let found = folders.iter().flat_map(|(root, folder)| circles::circles(&sources, root, folder));
    let found: Vec<String> = found.map(|circle| circle.join(", ")).collect();
    assert_none("what two files need is in a third, which uses neither", &found);
}

#[test]
fn the_store_is_used_by_the_application_and_by_what_opens_it() {
    // api reads its plain enums; error.rs translates its failures.
    let may = ["src/app/", "src/cli/", "src/server.rs", "src/api/", "src/error.rs", "crates/store/"];
    let broken =
        places(|path| !may.iter().any(|may| path.starts_with(may)), |code| has_path(code, "switchboard_store"));
    assert_none("the store is behind src/app", &broken);
}

#[test]
fn no_provider_is_named_in_code() {
    let toolkits = std::fs::read_dir(root().join("toolkits")).unwrap();
    let names: BTreeSet<String> =
        toolkits.map(|entry| entry.unwrap().file_name().into_string().unwrap()).filter(|it| it != "sandbox").collect();
    assert!(names.contains("github") && names.len() > 10, "{names:?}");
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.path != "crates/catalog/src/builtin.rs") {
        for line in &source.lines {
            let text = format!("{}\n{}", line.code, line.strings.join("\n")).to_ascii_lowercase();
            let said = line.strings.join("\n").to_ascii_lowercase();
            let is_named = |name: &str| match name {
                // Also a word of the language.
                "box" => said.split(|c: char| !c.is_alphanumeric()).any(|word| word == name),
                _ => text.contains(name),
            };
            for name in names.iter().filter(|name| is_named(name)) {
                broken.push(format!("{}:{}: {name}", source.path, line.number));
            }
        }
    }
    assert_none("a provider is data, in toolkits/", &broken);
}

#[test]
fn nothing_outside_tests_unwraps() {
    let broken = places(|_| true, |code| code.contains(".unwrap()") || code.contains(".expect("));
    assert_none("an error is returned, not panicked on", &broken);
}

#[test]
fn nothing_prints_with_a_macro_that_panics() {
    let macros = ["println!", "print!", "eprintln!", "eprint!", "dbg!"];
    let broken = places(|_| true, |code| macros.iter().any(|it| code.contains(it) && !code.contains("writeln!")));
    assert_none("a closed pipe is no panic: src/log.rs and src/cli/output.rs write", &broken);
}

#[test]
fn nothing_asks_the_runtime_for_a_thread() {
    let ways = ["spawn_blocking", "block_in_place", "thread::spawn("];
    // The sandbox is a part of `dev` alone.
    let broken = places(|path| !path.starts_with("crates/sandbox/"), |code| ways.iter().any(|way| code.contains(way)));
    assert_none("want of threads is an error, not a panic: `app::threads`, or `thread::Builder`", &broken);
}

#[test]
fn only_egress_opens_connections() {
    let ways = [
        "reqwest",
        "ureq",
        "hyper_rustls",
        "hyper::client",
        "hyper_util::client",
        "TcpStream::connect",
        "TcpSocket",
        "UdpSocket",
        "UnixStream::connect",
        "lookup_host",
        "ToSocketAddrs",
        "to_socket_addrs",
    ];
    let broken = places(|path| !path.starts_with("crates/egress/"), |code| ways.iter().any(|way| code.contains(way)));
    assert_none("the one way out is crates/egress", &broken);
    let inside = places(|path| path.starts_with("crates/egress/"), |code| ways.iter().any(|way| code.contains(way)));
    assert!(!inside.is_empty(), "what egress itself uses is not among the forbidden words any more");
}

#[test]
fn only_the_store_speaks_sql() {
    let keywords = [
        "SELECT ",
        "INSERT INTO ",
        "INSERT OR ",
        "UPDATE ",
        "DELETE FROM ",
        "PRAGMA ",
        "CREATE TABLE ",
        "BEGIN IMMEDIATE",
    ];
    let speaks = |text: &str| keywords.iter().any(|keyword| text.contains(keyword));
    let mut broken = places(|path| !path.starts_with("crates/store/"), |code| has_path(code, "rusqlite"));
    // The API and the pages ask services, never the database behind them.
    let is_outside = |path: &str| path.starts_with("src/api/") || path.starts_with("src/pages/");
    broken.extend(places(is_outside, |code| code.contains("core.store")));
    let mut of_store = 0;
    for source in sources() {
        for line in source.lines.iter().filter(|line| line.strings.iter().any(|text| speaks(text))) {
            if source.path.starts_with("crates/store/") {
                of_store += 1;
            } else {
                broken.push(format!("{}:{}: {:?}", source.path, line.number, line.strings));
            }
        }
    }
    assert!(of_store > 20, "the search finds SQL where there is some");
    assert_none("SQL stands in crates/store", &broken);
}

#[test]
fn files_are_short_and_say_what_they_are_for() {
    let mut broken = Vec::new();
    for source in sources() {
        let count = source.text.lines().count();
        if count > LONGEST_FILE {
            broken.push(format!("{}: {count} lines", source.path));
        }
        if !source.text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 12) {
            broken.push(format!("{}: does not open with `//!`", source.path));
        }
    }
    assert_none("a file has at most 400 lines and opens with what it is for", &broken);
}
