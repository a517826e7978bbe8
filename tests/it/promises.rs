//! Every promise of `SECURITY.md` has its tests, and every test that is named is there.

use std::collections::BTreeSet;

use crate::support::tools::root;

/// Folders whose paths are written from `tests/it`.
const FOLDERS: [&str; 4] = ["api/", "connect/", "process/", "refresh/"];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The cells of each row of the table below a heading row.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let text = read(document);
    let (_, rest) = text.split_once(&format!("{heading}\n")).unwrap_or_else(|| panic!("{document} has no {heading}"));
    let rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A path as it is written in the table, from the root.
fn from_root(path: &str) -> String {
    let is_ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
    if is_ours { format!("tests/it/{path}") } else { path.to_owned() }
}

/// Whether a source has a test of this name: a function whose attributes, which stand right above it, say that it is one.
fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let is_named = |line: &str| {
        let rest = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        rest.and_then(|rest| rest.strip_prefix(name)).is_some_and(|rest| rest.starts_with('('))
    };
    let is_test = |at: usize| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with('#') || line.starts_with("//"));
        above.into_iter().any(|line| line.starts_with("#[test]") || line.starts_with("#[tokio::test"))
    };
    lines.iter().enumerate().any(|(at, line)| is_named(line) && is_test(at))
}

#[test]
fn every_promise_names_its_tests_and_they_exist() {
    let promises = table("SECURITY.md", "| No. | Promise |");
    let tests = table("docs/promises.md", "| No. | Tests |");
    let numbers = |rows: &[Vec<String>]| rows.iter().map(|row| row[0].clone()).collect::<Vec<_>>();
    assert_eq!(numbers(&promises), numbers(&tests), "the same promises, in one order");
    assert!(promises.len() > 60, "{}", promises.len());
    let mut named = BTreeSet::new();
    for row in &tests {
        let (number, cell) = (&row[0], &row[1]);
        assert_eq!(row.len(), 2, "{number}");
        let mut has_one = false;
        for text in quoted(cell) {
            let Some((path, name)) = text.split_once("::") else {
                assert!(root().join(text).exists(), "{number}: there is no {text}");
                continue;
            };
            let path = from_root(path);
            assert!(has_test(&read(&path), name), "{number}: {path} has no test {name}");
            named.insert(text.to_owned());
            has_one = true;
        }
        assert!(has_one || cell.starts_with("no test: "), "{number} has neither a test nor a reason");
    }
    assert!(named.len() > 150, "{}", named.len());
}

#[test]
fn a_name_is_no_test_without_its_attribute() {
    let source = "#[test]\n/// Why.\n#[ignore]\nfn one() {}\n\nfn two() {}\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn three() {}\n\
                  // fn four() {}\n#[cfg(test)]\nfn five() {}\n";
    let found = ["one", "two", "three", "four", "five", "on", "thre"].map(|name| has_test(source, name));
    assert_eq!(found, [true, false, true, false, false, false, false]);
}
