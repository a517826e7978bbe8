//! Writes the tables into a document for people. What is outside the markers is kept.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- measured: generated -->\n";
const END: &str = "<!-- measured: end -->";

/// Replaces what the document has between its markers.
pub fn write(file: &Path, tables: &str) -> Result<()> {
    let shown = file.display();
    let document = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    let changed = replaced(&document, tables)
        .with_context(|| format!("{shown} has no lines {} and {END} around what is measured", BEGIN.trim_end()))?;
    fs::write(file, changed).with_context(|| format!("cannot write {shown}"))
}

fn replaced(document: &str, tables: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{}\n\n{END}{after}", tables.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_is_replaced() {
        let document = format!("# Title\n{BEGIN}old\n{END}\nBy hand.\n");
        let changed = replaced(&document, "\n| new |\n").unwrap();
        assert_eq!(changed, format!("# Title\n{BEGIN}\n| new |\n\n{END}\nBy hand.\n"));
        assert_eq!(replaced(&changed, "| new |").unwrap(), changed);
        assert_eq!(replaced("# Title", ""), None);
    }
}
