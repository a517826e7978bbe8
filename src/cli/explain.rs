//! An error of the application, formatted for the command line.

use std::fmt::Write as _;

/// What happened, and how to fix it.
pub(super) fn explain(error: &crate::error::Error) -> anyhow::Error {
    let mut text = error.message().to_owned();
    for line in error.errors() {
        text.push_str("\n  ");
        text.push_str(line);
    }
    if let Some(causes) = error.causes() {
        let _ = write!(text, " ({causes})");
    }
    anyhow::anyhow!("{text}\n  {}", error.suggested_fix())
}
