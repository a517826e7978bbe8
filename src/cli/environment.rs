//! Flags from the environment. An empty variable counts as unset for every setting: Compose files
//! (`VAR=${VAR}`) and charts pass unset variables as empty ones.

use std::fmt::Display;
use std::str::FromStr;

use clap::builder::{OsStr, Resettable};
use clap::{Command, Parser};

/// Parses the arguments and the environment; exits with a message if they are invalid.
pub(super) fn parse<T: Parser>() -> T {
    let mut command = without_empty_variables(T::command());
    let mut matches = command.get_matches_mut();
    T::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.format(&mut command).exit())
}

/// Parses a number or boolean with optional blanks around it: `value_parser` of such settings.
pub(super) fn trimmed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.trim().parse().map_err(|error: T::Err| error.to_string())
}

/// The command and its subcommands, with flags that ignore blank variables.
fn without_empty_variables(command: Command) -> Command {
    let command = command.mut_args(|argument| {
        let value = argument.get_env().and_then(std::env::var_os);
        let is_empty = value.is_some_and(|value| value.to_str().is_some_and(|text| text.trim().is_empty()));
        if is_empty { argument.env(Resettable::<OsStr>::Reset) } else { argument }
    });
    command.mut_subcommands(without_empty_variables)
}
