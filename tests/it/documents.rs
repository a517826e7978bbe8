//! What is written down twice says the same: the manual of the settings, the list of what is not
//! built, the migrations. (`docs/toolkit.schema.json` is compared in `crates/catalog`.)

use std::collections::BTreeSet;
use std::path::Path;

use switchboard::api::missing::OPERATIONS;
use switchboard::config::{DEFAULTS, Layer};

use crate::support::process::run;
use crate::support::tools::root;

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Public fields of `Layer`, in the order of the source.
fn layer_fields() -> Vec<String> {
    let source = read("src/config.rs");
    let body = source.split_once("pub struct Layer {").unwrap().1.split_once("\n}").unwrap().0.to_owned();
    let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
    fields.map(|(name, _)| name.to_owned()).collect()
}

/// The manual with every commented-out setting switched on.
fn whole_manual() -> String {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().unwrap();
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (is_name && line.contains(" = ")) || line.starts_with("[managed.")
    };
    DEFAULTS
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn the_settings_manual_has_every_setting_and_no_other() {
    let manual: toml::Table = whole_manual().parse().unwrap();
    let described: BTreeSet<&str> = manual.keys().map(String::as_str).collect();
    let fields = layer_fields();
    assert!(fields.len() > 10, "{fields:?}");
    assert_eq!(described, fields.iter().map(String::as_str).collect());
    // With every example switched on it is still a settings file.
    let layer: Layer = toml::from_str(&whole_manual()).unwrap();
    assert!(layer.managed.is_some_and(|managed| managed.contains_key("github")));
}

#[test]
fn every_setting_is_a_flag_and_an_environment_variable() {
    let (code, help, _) = run(&["serve", "--help"]);
    assert_eq!(code, Some(0));
    // Secrets and tables stay out of command lines.
    for field in layer_fields().iter().filter(|field| *field != "managed") {
        let flag = format!("--{} <", field.replace('_', "-"));
        assert!(help.contains(&flag), "{flag} is not in:\n{help}");
        let variable = format!("[env: SWITCHBOARD_{}=", field.to_ascii_uppercase());
        assert!(help.contains(&variable), "{variable} is not in:\n{help}");
    }
}

#[test]
fn the_list_of_what_is_not_built_is_the_router_s_own() {
    let manual = read("docs/compatibility.md");
    let mut described = BTreeSet::new();
    for line in manual.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", method, path, "not built", ..] = cells.as_slice() {
            let path = path.trim_matches('`').to_owned();
            assert!(described.insert(((*method).to_owned(), path)), "twice: {line}");
        }
    }
    let built: BTreeSet<(String, String)> =
        OPERATIONS.iter().map(|(method, path)| ((*method).to_owned(), (*path).to_owned())).collect();
    let missing: Vec<_> = built.difference(&described).collect();
    let surplus: Vec<_> = described.difference(&built).collect();
    assert!(missing.is_empty(), "not in docs/compatibility.md as `| METHOD | `/path` | not built | …`: {missing:?}");
    assert!(surplus.is_empty(), "docs/compatibility.md calls these not built, the router does not: {surplus:?}");
}

#[test]
fn the_migrations_folder_is_the_list_that_the_program_applies() {
    let mut files: Vec<String> = std::fs::read_dir(root().join("migrations/sqlite"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let source = read("crates/store/src/migrate.rs").split_whitespace().collect::<Vec<_>>().join(" ");
    let listed: Vec<&str> =
        source.split("Migration { number: ").skip(1).filter(|it| it.contains("include_str!")).collect();
    let listed: Vec<String> = listed.iter().map(|entry| entry.split_once(" }").unwrap().0.to_owned()).collect();
    let expected: Vec<String> = files
        .iter()
        .enumerate()
        .map(|(index, file)| {
            let (number, name) = file.strip_suffix(".sql").unwrap().split_once('_').unwrap();
            assert_eq!(number, format!("{:04}", index + 1), "{file}: numbers go up by one from 0001");
            format!("{}, name: \"{name}\", sql: include_str!(\"../../../migrations/sqlite/{file}\")", index + 1)
        })
        .collect();
    assert!(!files.is_empty());
    assert_eq!(listed, expected);
}
