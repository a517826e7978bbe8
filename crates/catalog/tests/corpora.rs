//! Runs the checks of the fuzz target for toolkit files (`fuzz/README.md`) over its checked-in corpus and the
//! files that the fuzzer starts from.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop where it stands")]

#[path = "../../../fuzz/src/toolkit.rs"]
mod toolkit;

use std::fs;
use std::path::PathBuf;

fn entries(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry of the folder").path()).collect()
}

#[test]
fn toolkit_files() {
    let mut paths = entries("../../fuzz/corpus/toolkit_file");
    paths.extend(entries("../../toolkits").into_iter().map(|folder| folder.join("toolkit.toml")));
    paths.push(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/acme.toml"));
    assert!(paths.len() > 15, "{paths:?}");
    for path in paths {
        println!("{}", path.display());
        toolkit::file(&fs::read_to_string(path).expect("a text file"));
    }
}
