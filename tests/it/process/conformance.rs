//! Every method of the published SDKs, unmodified, against `dev`: `tests/sdk/conformance.{py,mjs}`
//! find the methods and have a case for each; here each SDK line runs, and what its methods did and
//! called is compared with what `tests/sdk/methods/` says, from which `docs/sdk-methods.md` is made.

mod recorder;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use switchboard::api::table;

use self::recorder::Recorder;
use crate::support::documents::assert_generated;
use crate::support::process::{self, Dev};
use crate::support::tools::{root, tool};

/// What one method does: its state in words, and the operations it calls.
type Methods = BTreeMap<String, (String, Vec<String>)>;

/// The SDK lines, with the columns of the table.
const LINES: [(&str, &str); 4] = [
    ("python-current", "composio 0.30.0"),
    ("python-stable", "composio 0.22.0"),
    ("node-current", "@composio/core 0.21.0"),
    ("node-stable", "@composio/core 0.19.0"),
];

/// Where a line's measured result is kept.
fn record(line: &str) -> PathBuf {
    root().join(format!("tests/sdk/methods/{line}.json"))
}

fn command(line: &str) -> Command {
    let scripts = root().join("tests/sdk");
    if line.starts_with("python") {
        let mut command = Command::new(tool(&format!("sdk/{line}/bin/python")));
        // No compiled files beside the scripts.
        command.arg("-B").arg(scripts.join("conformance.py"));
        return command;
    }
    let mut command = Command::new("node");
    command.arg(scripts.join("conformance.mjs")).env("SDK_DIR", tool(&format!("sdk/{line}")));
    command
}

/// The lines of a run, one for each case.
async fn run(line: &'static str) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let recorder = Recorder::bind().await;
    let toolkits = root().join("tests/sdk/toolkits");
    // All the people who connect here come from one address.
    let arguments = [
        ["--log", "off"],
        ["--public-url", &recorder.url],
        ["--toolkits", toolkits.to_str().unwrap()],
        ["--rate-limit-per-address-per-minute", "0"],
    ]
    .concat();
    let listen = process::own_address();
    let dev = Dev::start_on(&listen, folder.path(), &arguments, Stdio::null());
    let (url, taken) = recorder.serve(&format!("http://{listen}"));
    let mut command = command(line);
    command
        .env("BASE_URL", url)
        .env("RECORDER", taken)
        .env("KEY", dev.key.as_deref().unwrap())
        .env("ORG_KEY", new_key(folder.path(), &["--organization"]))
        .env("USER_KEY", new_key(folder.path(), &["--user", "ann@example.com"]))
        .env("LINE", line)
        .stdin(Stdio::null());
    let output: Output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let cases: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(!cases.is_empty(), "{line} ran nothing: {text}\n{}", String::from_utf8_lossy(&output.stderr));
    cases
}

/// A key of the organisation or of a member, made on the command line.
fn new_key(data_dir: &Path, owner: &[&str]) -> String {
    let place = ["--json", "--data-dir", data_dir.to_str().unwrap()];
    let (code, text, error) = process::run(&[&["key", "create"], owner, &place[..]].concat());
    assert_eq!(code, Some(0), "{error}");
    let made: Value = serde_json::from_str(&text).unwrap();
    made["api_key"].as_str().unwrap().to_owned()
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect()
}

/// What each method of a run did: it works when all its cases do, and is absent when none ran.
fn methods(cases: &[Value]) -> Methods {
    let mut methods = Methods::new();
    for case in cases {
        let outcome = case["outcome"].as_str().unwrap();
        for name in words(&case["methods"]) {
            let (state, operations) = methods.entry(name).or_insert_with(|| (outcome.to_owned(), Vec::new()));
            if state == "absent" || outcome == "failed" {
                outcome.clone_into(state);
            }
            for operation in words(&case["operations"]) {
                if !operations.contains(&operation) {
                    operations.push(operation);
                }
            }
        }
    }
    methods
}

async fn conforms(line: &'static str) {
    let cases = run(line).await;
    let failed: Vec<String> = cases
        .iter()
        .filter(|case| case["outcome"] == "failed")
        .map(|case| format!("{} ({}): {}", case["name"], case["operations"], case["note"]))
        .collect();
    assert!(failed.is_empty(), "{line}: {} of {} cases failed\n{}", failed.len(), cases.len(), failed.join("\n"));

    let methods = methods(&cases);
    for (name, (state, operations)) in &methods {
        assert_eq!(state == "501", operations.iter().any(|it| recorder::is_unbuilt(it)), "{name}: {operations:?}");
    }
    let found: BTreeMap<&String, Value> = methods
        .iter()
        .map(|(name, (state, operations))| (name, json!({ "state": state, "operations": operations })))
        .collect();
    let found = format!("{:#}\n", json!({ "cases": cases.len(), "methods": found }));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(record(line), found).unwrap();
    } else {
        let kept = std::fs::read_to_string(record(line)).unwrap_or_default();
        assert!(
            found == kept,
            "{line} is not what {} says: run with UPDATE_DOCS=1 and look at the difference",
            record(line).display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn python_current() {
    conforms("python-current").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_stable() {
    conforms("python-stable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_current() {
    conforms("node-current").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn node_stable() {
    conforms("node-stable").await;
}

/// A line's kept result.
fn kept(line: &str) -> Methods {
    let text = std::fs::read_to_string(record(line)).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    let entry = |(name, it): (&String, &Value)| {
        (name.clone(), (it["state"].as_str().unwrap().to_owned(), words(&it["operations"])))
    };
    json["methods"].as_object().unwrap().iter().map(entry).collect()
}

/// Two lines of a language beside each other. Where they call other operations, the newer one's stand.
fn table(lines: &[(&str, &str)]) -> String {
    let kept: Vec<Methods> = lines.iter().map(|(line, _)| kept(line)).collect();
    let mut names: Vec<&String> = kept.iter().flat_map(BTreeMap::keys).collect();
    names.sort();
    names.dedup();
    let mut table = format!("| Method | {} | {} | Operations |\n|---|---|---|---|\n", lines[0].1, lines[1].1);
    for name in names {
        let found: Vec<_> = kept.iter().map(|methods| methods.get(name)).collect();
        let state = |it: Option<&(String, Vec<String>)>| it.map_or("absent", |(state, _)| state.as_str()).to_owned();
        let operations = found.iter().flatten().map(|(_, operations)| operations).find(|it| !it.is_empty());
        let operations: Vec<String> = operations.into_iter().flatten().map(|it| format!("`{it}`")).collect();
        let (newer, older, operations) = (state(found[0]), state(found[1]), operations.join("<br>"));
        writeln!(table, "| `{name}` | {newer} | {older} | {operations} |").unwrap();
    }
    table
}

/// The methods of a language that call an operation; those of the client packages after the others.
fn callers(lines: &[(&str, &str)], operation: &str) -> String {
    let kept: Vec<Methods> = lines.iter().map(|(line, _)| kept(line)).collect();
    let calls = |(name, (_, operations)): (&String, &(String, Vec<String>))| {
        operations.iter().any(|it| it == operation).then(|| name.clone())
    };
    let mut names: Vec<String> = kept.iter().flatten().filter_map(calls).collect();
    names.sort_by_key(|name| (name.starts_with("client."), name.clone()));
    names.dedup();
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// What calls each operation.
fn by_operation() -> String {
    let mut table = String::from("| Operation | State | Python | TypeScript |\n|---|---|---|---|\n");
    for operation in table::all() {
        let name = format!("{} {}", operation.method, operation.path);
        let state = if operation.works_here() { "works" } else { "501" };
        let (python, typescript) = (callers(&LINES[..2], &name), callers(&LINES[2..], &name));
        writeln!(table, "| `{name}` | {state} | {python} | {typescript} |").unwrap();
    }
    table
}

#[test]
fn the_tables_of_sdk_methods_are_what_was_measured() {
    assert_generated("docs/sdk-methods.md", "python", &table(&LINES[..2]));
    assert_generated("docs/sdk-methods.md", "typescript", &table(&LINES[2..]));
    assert_generated("docs/sdk-methods.md", "callers", &by_operation());
}
