//! Runs the checks of the fuzz targets (`fuzz/README.md`) over their checked-in corpora.
#![expect(clippy::expect_used, reason = "a test that cannot go on should stop where it stands")]

#[path = "../../../fuzz/src/callback.rs"]
mod callback;
#[path = "../../../fuzz/src/shown.rs"]
mod shown;
#[path = "../../../fuzz/src/tokens.rs"]
mod tokens;

/// Runs a check on every input of one target.
fn each_input(target: &str, check: impl Fn(&[u8])) {
    let folder = format!("{}/../../fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the target's folder") {
        let path = entry.expect("an entry of the folder").path();
        println!("{}", path.display());
        check(&std::fs::read(path).expect("a file"));
        count += 1;
    }
    assert!(count > 3, "{count} inputs for {target}");
}

#[test]
fn answers_to_token_requests_that_succeeded() {
    each_input("token_response", tokens::response);
}

#[test]
fn answers_to_token_requests_that_failed() {
    each_input("token_error", tokens::error);
}

#[test]
fn queries_of_callbacks() {
    each_input("callback_query", |bytes| callback::query(std::str::from_utf8(bytes).expect("text")));
}
