//! Output of commands on stdout. A closed pipe or a full disk is an error of the command; `println!`
//! would panic.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::{Context, Result};

/// Writes a line.
pub(super) fn line(text: impl Display) -> Result<()> {
    print(format_args!("{text}\n"))
}

/// Writes a text unchanged.
pub(super) fn print(text: impl Display) -> Result<()> {
    let mut stdout = io::stdout().lock();
    write!(stdout, "{text}").and_then(|()| stdout.flush()).context("cannot write to stdout")
}
