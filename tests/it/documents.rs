//! What is written down twice says the same: the manual of the settings, the list of what is not
//! built, the migrations, the versions of dependencies. (`docs/toolkit.schema.json` is compared in
//! `crates/catalog`.)

mod links;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;
use switchboard::api::operations::State;
use switchboard::api::table;
use switchboard::app::explain::Finding;
use switchboard::config::{DEFAULTS, Layer};
use switchboard::error::Code;

use crate::support::documents::{assert_generated, read};
use crate::support::process::run;
use crate::support::tools::root;

/// Public fields of `Layer`, in the order of the source.
fn layer_fields() -> Vec<String> {
    let source = read("src/config/layer.rs");
    let body = source.split_once("pub struct Layer {").unwrap().1.split_once("\n}").unwrap().0.to_owned();
    let fields = body.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'));
    fields.map(|(name, _)| name.to_owned()).collect()
}

/// The manual with every commented-out setting switched on.
fn whole_manual() -> String {
    let is_setting = |line: &str| {
        let name = line.split(" = ").next().unwrap();
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        (is_name && line.contains(" = ")) || line.starts_with("[managed.") || line == "[s3]"
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
    let manual: toml::Table = DEFAULTS.parse().unwrap();
    let kept = manual["keep"].as_table().unwrap().keys().map(|name| format!("keep_{name}"));
    let plain = layer_fields().into_iter().filter(|field| !["managed", "keep", "s3"].contains(&field.as_str()));
    for field in plain.chain(kept) {
        let flag = format!("--{} <", field.replace('_', "-"));
        assert!(help.contains(&flag), "{flag} is not in:\n{help}");
        let variable = format!("[env: SWITCHBOARD_{}=", field.to_ascii_uppercase());
        assert!(help.contains(&variable), "{variable} is not in:\n{help}");
    }
}

/// Operation → methods of the current Python SDK that were seen to call it, as the conformance suite
/// recorded them (`process/conformance.rs`); those of the client below only where there is no other.
fn sdk_callers() -> BTreeMap<String, Vec<String>> {
    let recorded: Value = serde_json::from_str(&read("tests/sdk/methods/python-current.json")).unwrap();
    let mut callers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, method) in recorded["methods"].as_object().unwrap() {
        for operation in method["operations"].as_array().unwrap() {
            callers.entry(operation.as_str().unwrap().to_owned()).or_default().push(format!("`{name}`"));
        }
    }
    for methods in callers.values_mut() {
        if methods.iter().any(|name| !name.starts_with("`client.")) {
            methods.retain(|name| !name.starts_with("`client."));
        }
    }
    callers
}

#[test]
fn the_table_of_operations_matches_the_router() {
    let callers = sdk_callers();
    let mut table =
        String::from("| Method | Path | State | What, or why not | Called by (Python) |\n|---|---|---|---|---|\n");
    for operation in table::all() {
        let (state, note) = match operation.state {
            State::Works { docs, .. } => ("works", docs().summary),
            State::NotBuilt(waits_for) => ("501", waits_for),
            State::NotApplicable(why) => ("not applicable", why),
        };
        let (method, path) = (operation.method, operation.path);
        let callers = callers.get(&format!("{method} {path}")).cloned().unwrap_or_default().join(", ");
        writeln!(table, "| {method} | `{path}` | {state} | {note} | {callers} |").unwrap();
    }
    assert_generated("docs/compatibility.md", "operations", &table);
}

#[test]
fn the_table_of_errors_matches_the_code() {
    let mut table = String::from("| Code | Slug | Status | Message | What to do |\n|---|---|---|---|---|\n");
    for code in Code::ALL {
        let status = switchboard::api::http::error::status(code.class()).as_u16();
        let (message, fix) = (code.template().replace('|', "\\|"), code.fix());
        writeln!(table, "| {} | `{}` | {status} | {message} | {fix} |", code.number(), code.slug()).unwrap();
    }
    assert_generated("docs/errors.md", "errors", &table);
}

#[test]
fn the_table_of_explanations_matches_the_code() {
    let mut table = String::from("| `code` | Where it stands | Why | What to do |\n|---|---|---|---|\n");
    for finding in Finding::ALL {
        let (code, summary) = (finding.code(), finding.summary_template());
        writeln!(table, "| `{code}` | {summary} | {} | {} |", finding.cause_template(), finding.fix_template())
            .unwrap();
    }
    assert_generated("docs/connecting.md", "explanations", &table);
}

#[test]
fn the_committed_openapi_document_is_the_one_that_is_served() {
    let document =
        switchboard::api::openapi::document(&table::all().collect::<Vec<_>>(), "https://switchboard.example.com");
    let generated = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join("docs/openapi.json"), generated).unwrap();
    } else {
        assert!(
            read("docs/openapi.json") == generated,
            "docs/openapi.json: run `UPDATE_DOCS=1 cargo test -p switchboard --test it documents`"
        );
    }
}

/// Name and version of each package in a lock file.
fn locked(path: &str) -> BTreeSet<(String, String)> {
    let lock: toml::Table = read(path).parse().unwrap();
    let text = |package: &toml::Value, key: &str| package[key].as_str().unwrap().to_owned();
    lock["package"].as_array().unwrap().iter().map(|it| (text(it, "name"), text(it, "version"))).collect()
}

#[test]
fn the_fuzz_targets_use_the_shipped_versions_of_dependencies() {
    let shipped = locked("Cargo.lock");
    let names: BTreeSet<&String> = shipped.iter().map(|(name, _)| name).collect();
    let fuzzed = locked("fuzz/Cargo.lock");
    let other: Vec<_> = fuzzed.difference(&shipped).filter(|(name, _)| names.contains(name)).collect();
    assert!(other.is_empty(), "{other:?}: run `cp Cargo.lock fuzz/Cargo.lock && FUZZ_SECONDS=0 scripts/fuzz`");
    assert!(fuzzed.intersection(&shipped).count() > 50);
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
    let listed: Vec<String> =
        listed.iter().map(|entry| entry.split_once(" }").unwrap().0.trim_end_matches(',').to_owned()).collect();
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
