//! Flags from the environment. An empty variable is as good as none, for every setting alike: Compose
//! files (`VAR=${VAR}`) and charts pass variables that nobody has set.

use std::fmt::Display;
use std::str::FromStr;

use clap::builder::{OsStr, Resettable};
use clap::{Command, Parser};

/// Reads the arguments, and what the environment says beside them; ends the process with a message
/// where they are wrong.
pub(super) fn parse<T: Parser>() -> T {
    let mut command = without_empty_variables(T::command());
    let mut matches = command.get_matches_mut();
    T::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// A number or a switch, with blanks around it or without: `value_parser` of such settings.
pub(super) fn trimmed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|error: T::Err| error.to_string())
}

/// The command and all below it, where no flag reads a variable that holds nothing but blanks.
fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let value = argument.get_env().and_then(std::env::var_os);
        let is_empty = value.is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty()));
        if is_empty { argument.env(Resettable::<OsStr>::Reset) } else { argument }
    });
    command.mut_subcommands(without_empty_variables)
}
