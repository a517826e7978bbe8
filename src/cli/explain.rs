//! An error of the application, as the command line shows it.

use std::fmt::Write as _;

/// What happened, and what to do.
pub(super) fn explain(error: &switchboard::error::Error) -> anyhow::Error {
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
