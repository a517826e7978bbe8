//! `switchboard toolkit import openapi`, as the guide says, and from a server.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::documents::read;
use crate::support::process::PROGRAM;

/// A block of the guide's first section.
fn guide(kind: &str) -> String {
    let text = read("docs/importing.md");
    let section = text.split_once("## From a document to a call").unwrap().1.split_once("\n## ").unwrap().0.to_owned();
    let (_, rest) = section.split_once(&format!("```{kind}\n")).unwrap_or_else(|| panic!("no {kind} in the guide"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// Runs the program in a folder: exit code, what it prints, what it says.
fn run_in(folder: &Path, arguments: &[String]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = Command::new(PROGRAM).args(arguments).current_dir(folder).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn words(line: &str) -> Vec<String> {
    // One argument may have quotes.
    let (plain, quoted) = line.split_once('\'').map_or((line, None), |(plain, rest)| (plain, rest.strip_suffix('\'')));
    plain.split_whitespace().skip(1).map(str::to_owned).chain(quoted.map(str::to_owned)).collect()
}

fn acme() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("acme.yaml"), guide("yaml")).unwrap();
    folder
}

fn import(folder: &Path, more: &str) -> (Option<i32>, String, String) {
    let line = format!(
        "switchboard toolkit import openapi acme.yaml --slug acme --base-url https://api.acme.example/v1 {more}"
    );
    run_in(folder, &words(&line))
}

#[test]
fn the_document_of_the_guide_is_imported_checked_shown_and_run() {
    let folder = acme();
    let mut printed = Vec::new();
    for line in guide("sh").lines() {
        let (code, text, errors) = run_in(folder.path(), &words(line));
        assert_eq!(code, Some(0), "{line}: {text}{errors}");
        printed.push(text);
    }
    let [report, linted, request, tested] = printed.as_slice() else { panic!("{printed:?}") };
    for expected in [
        "Acme 1.0\n",
        "  Imported  2 tools (1 create, 1 read)\n",
        "  Hosts     api.acme.example\n",
        "  Schemes   API_KEY\n",
        "Written to ./acme\n",
    ] {
        assert!(report.contains(expected), "{expected}: {report}");
    }
    assert!(linted.contains("1 toolkit, 2 tools, no mistakes"), "{linted}");
    assert!(request.contains("GET /v1/anvils?metal=iron&metal=steel HTTP/1.1"), "{request}");
    assert!(request.contains("X-Acme-Key: "), "{request}");
    assert!(tested.contains("POST /v1/anvils HTTP/1.1") && tested.contains(r#"{"weight":50}"#), "{tested}");
}

#[test]
fn a_later_import_prints_what_changes() {
    let folder = acme();
    let (code, _, errors) = import(folder.path(), "--dry-run");
    assert_eq!((code, folder.path().join("acme").exists()), (Some(0), false), "{errors}");
    assert_eq!(import(folder.path(), "").0, Some(0));
    let document = folder.path().join("acme.yaml");
    let newer = fs::read_to_string(&document).unwrap().replace("required: [weight]", "required: [weight, metal]");
    let newer = newer.replace("properties: { weight", "properties: { metal: { type: string }, weight");
    fs::write(&document, newer).unwrap();
    let (_, report, _) = import(folder.path(), "--dry-run");
    assert!(report.contains("  - ACME_CREATE_ANVIL: argument `metal` is new and required\n"), "{report}");
    let before = fs::read_to_string(folder.path().join("acme/tools.toml")).unwrap();
    let created = before.split("[[tools]]").find(|tool| tool.contains("ACME_CREATE_ANVIL")).unwrap();
    assert!(!created.contains("metal"), "{created}");
    let (_, report, _) = import(folder.path(), "--json");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["changes"]["changed"][0]["slug"], "ACME_CREATE_ANVIL");
    let (_, again, _) = import(folder.path(), "");
    assert!(again.contains("Changes since the last import\n  - none\n"), "{again}");
}

#[test]
fn mistakes_say_what_to_change() {
    let folder = acme();
    let failed = |line: &str| {
        let (code, _, errors) = run_in(folder.path(), &words(line));
        assert_eq!(code, Some(1), "{line}: {errors}");
        errors
    };
    let begin = "switchboard toolkit import openapi";
    assert!(failed(&format!("{begin} acme.yaml --slug acme")).contains("--base-url https://…"));
    assert!(failed(&format!("{begin} missing.yaml --slug acme")).contains("cannot read missing.yaml"));
    assert!(failed(&format!("{begin} acme.yaml --slug Acme")).contains("the slug must be"));
    let local = failed(&format!("{begin} https://127.0.0.1:9/openapi.json --slug acme"));
    assert!(local.contains("cannot fetch the document from https://127.0.0.1:9"), "{local}");
    let secret = failed(&format!("{begin} https://ada:secret@127.0.0.1/openapi.json --slug acme"));
    assert!(secret.contains("a user name or password in it") && !secret.contains("secret@"), "{secret}");
    fs::create_dir(folder.path().join("acme")).unwrap();
    fs::write(folder.path().join("acme/toolkit.toml"), "slug = \"acme\"").unwrap();
    let (code, _, errors) = import(folder.path(), "");
    assert_eq!(code, Some(1));
    assert!(errors.contains("was not imported, and stays as it is"), "{errors}");
}
