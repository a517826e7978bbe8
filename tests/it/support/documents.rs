//! Reading documents, and comparing their generated parts.

use std::path::Path;

use super::tools::root;

/// A file of the project.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares the part of a document between its markers with what is generated from the code;
/// `UPDATE_DOCS=1` writes it instead.
#[track_caller]
pub fn assert_generated(path: &str, name: &str, generated: &str) {
    let document = read(path);
    let (begin, end) = (format!("<!-- {name}: generated -->\n"), format!("<!-- {name}: end -->"));
    let (before, rest) = document.split_once(&begin).unwrap_or_else(|| panic!("{path} has no {begin}"));
    let (found, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{path} has no {end}"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join(path), format!("{before}{begin}{generated}{end}{after}")).unwrap();
    } else {
        assert!(found == generated, "{path}, {name}: run this test with UPDATE_DOCS=1");
    }
}
