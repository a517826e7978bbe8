//! Parses and validates the text of a toolkit file: a valid [`Toolkit`], or problems with line numbers.
//!
//! The text is parsed twice: into the typed model, which finds unknown keys and wrong types, and into a tree
//! with positions, which gives the other findings their lines.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::{CatalogError, Problem};
use crate::model::{ToolFile, Toolkit};
use crate::path::{Path, Step};
use crate::plain_http::PlainHttp;
use crate::tool::{self, ToolRow};
use crate::validate::{self, Finding};

/// Parses and validates one file. `plain` are the hosts that it may use with `http`.
pub(crate) fn toolkit(file: &str, text: &str, plain: &PlainHttp) -> Result<Toolkit, CatalogError> {
    read(file, text, folder_of(file), plain)
}

/// Parses and validates a file whose folder may have another name than its slug.
pub(crate) fn loose_toolkit(file: &str, text: &str, plain: &PlainHttp) -> Result<Toolkit, CatalogError> {
    read(file, text, None, plain)
}

/// Parses and validates the tools of a toolkit.
pub(crate) fn tools(file: &str, text: &str, toolkit: &Toolkit) -> Result<Vec<Arc<ToolRow>>, CatalogError> {
    let parsed = checked(file, text, |parsed: &ToolFile| tool::findings(&parsed.tools, toolkit))?;
    Ok(rows(text, parsed))
}

/// Parses tools that were validated when they were stored. The rules may be other ones now.
pub(crate) fn stored_tools(file: &str, text: &str) -> Result<Vec<Arc<ToolRow>>, CatalogError> {
    Ok(rows(text, checked(file, text, |_: &ToolFile| Vec::new())?))
}

fn rows(text: &str, parsed: ToolFile) -> Vec<Arc<ToolRow>> {
    // The same text again as a tree, whose bytes are what a version of a tool is known by.
    let definitions = toml::from_str::<Value>(text).unwrap_or_default();
    let definitions = definitions["tools"].as_array().cloned().unwrap_or_default();
    let rows = parsed.tools.into_iter().zip(definitions);
    let mut rows: Vec<_> = rows.map(|(tool, definition)| Arc::new(ToolRow::new(tool, &definition))).collect();
    rows.sort_by(|one, other| one.slug.cmp(&other.slug));
    rows
}

fn read(file: &str, text: &str, folder: Option<&str>, plain: &PlainHttp) -> Result<Toolkit, CatalogError> {
    checked(file, text, |toolkit| validate::findings(toolkit, folder, plain))
}

/// Parses a file and adds what `findings` finds in it.
fn checked<T: DeserializeOwned>(
    file: &str,
    text: &str,
    findings: impl FnOnce(&T) -> Vec<Finding>,
) -> Result<T, CatalogError> {
    let problem =
        |line: usize, message: String| Problem { file: file.to_owned(), line: Some(line), message: visible(&message) };
    let source = match DeTable::parse(text) {
        Ok(root) => Source { text, root },
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            let line = line_at(text, span.start);
            let mut message = format!("not valid TOML: {}", one_line(error.message()));
            if let Some(key) = text.get(span).filter(|_| error.message() == "duplicate key") {
                message = format!("{message} `{key}`");
            }
            return Err(CatalogError::new(vec![problem(line, message)]));
        }
    };
    let parsed: T = match toml::from_str(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let (line, message) = source.explain(&error);
            return Err(CatalogError::new(vec![problem(line, message)]));
        }
    };
    let mut findings = findings(&parsed);
    source.beyond_json(&mut findings);
    let mut problems: Vec<Problem> =
        findings.into_iter().map(|finding| problem(source.line(&finding.path), finding.to_string())).collect();
    if problems.is_empty() {
        return Ok(parsed);
    }
    problems.sort_by_key(|problem| problem.line);
    Err(CatalogError::new(problems))
}

/// Name of the folder of a file, if the path contains it.
fn folder_of(file: &str) -> Option<&str> {
    std::path::Path::new(file).parent()?.file_name()?.to_str()
}

/// A file as text and as a tree with positions.
struct Source<'t> {
    text: &'t str,
    root: Spanned<DeTable<'t>>,
}

impl Source<'_> {
    /// Line of the deepest part of `path` that exists in the file: a missing key is reported at the start of
    /// its table.
    fn line(&self, path: &Path) -> usize {
        let mut offset = 0;
        let mut table = Some(self.root.get_ref());
        let mut array = None;
        for step in path.steps() {
            let value = match step {
                Step::Key(name) => {
                    let Some((key, value)) = table.and_then(|table| entry(table, name)) else { break };
                    offset = key.span().start;
                    value
                }
                Step::Index(index) => {
                    let Some(value) = array.and_then(|array: &[Spanned<DeValue<'_>>]| array.get(*index)) else {
                        break;
                    };
                    offset = value.span().start;
                    value
                }
            };
            table = value.get_ref().as_table();
            array = value.get_ref().as_array().map(|array| &**array);
        }
        line_at(self.text, offset)
    }

    /// Line and message of a typed parsing error, reworded for toolkit authors.
    ///
    /// Serde's messages are stable, and the only source of the known keys, so they are parsed here. A message
    /// of another form is used as it is.
    fn explain(&self, error: &toml::de::Error) -> (usize, String) {
        let offset = error.span().map_or(0, |span| span.start);
        let line = line_at(self.text, offset);
        let path = self.path_at(offset);
        let message = one_line(error.message());
        let quoted = quoted_names(&message);
        let explained = match quoted.split_first() {
            Some((key, known)) if message.starts_with("unknown field ") => {
                let table = path.steps().split_last().map_or(&[][..], |(_, table)| table);
                format!(
                    "unknown key `{key}` {}; known keys: {}",
                    in_table(table),
                    if known.is_empty() { "none".to_owned() } else { known.join(", ") },
                )
            }
            Some((value, known)) if message.starts_with("unknown variant ") => {
                let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
                format!("{path}: unknown value `{value}`; allowed: {}", known.join(", "))
            }
            Some((key, _)) if message.starts_with("missing field ") => {
                format!("missing key `{key}` {}", in_table(path.steps()))
            }
            _ if path.steps().is_empty() => message,
            _ => format!("{path}: {message}"),
        };
        (line, explained)
    }

    /// Values that JSON does not have. The typed model accepts them as JSON values and would convert them to
    /// something else.
    fn beyond_json(&self, findings: &mut Vec<Finding>) {
        beyond_json_in_table(self.root.get_ref(), &Path::default(), findings);
    }

    /// Path of the innermost key or value at a byte offset.
    fn path_at(&self, offset: usize) -> Path {
        let mut found = Path::default();
        visit_table(self.root.get_ref(), &Path::default(), offset, &mut found);
        found
    }
}

fn entry<'a, 't>(
    table: &'a DeTable<'t>,
    name: &str,
) -> Option<(&'a Spanned<toml::de::DeString<'t>>, &'a Spanned<DeValue<'t>>)> {
    table.iter().find(|(key, _)| key.get_ref() == name)
}

/// The span of `[table]` is its header, so that the table's content may be outside of it.
fn visit_table(table: &DeTable<'_>, path: &Path, offset: usize, found: &mut Path) {
    for (key, value) in table {
        let path = path.key(key.get_ref());
        if key.span().contains(&offset) {
            *found = path.clone();
        }
        visit_value(value, &path, offset, found);
    }
}

fn visit_value(value: &Spanned<DeValue<'_>>, path: &Path, offset: usize, found: &mut Path) {
    if value.span().contains(&offset) {
        *found = path.clone();
    }
    match value.get_ref() {
        DeValue::Table(table) => visit_table(table, path, offset, found),
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                visit_value(element, &path.index(index), offset, found);
            }
        }
        _ => {}
    }
}

fn beyond_json_in_table(table: &DeTable<'_>, path: &Path, findings: &mut Vec<Finding>) {
    for (key, value) in table {
        beyond_json(value.get_ref(), &path.key(key.get_ref()), findings);
    }
}

fn beyond_json(value: &DeValue<'_>, path: &Path, findings: &mut Vec<Finding>) {
    let message = match value {
        DeValue::Table(table) => return beyond_json_in_table(table, path, findings),
        DeValue::Array(array) => {
            for (index, element) in array.iter().enumerate() {
                beyond_json(element.get_ref(), &path.index(index), findings);
            }
            return;
        }
        DeValue::Datetime(_) => "a date is not JSON".to_owned(),
        DeValue::Float(number) if number.as_str().parse::<f64>().is_ok_and(|number| !number.is_finite()) => {
            format!("`{}` is not JSON", number.as_str())
        }
        _ => return,
    };
    findings.push(Finding { path: path.clone(), message });
}

/// The name of a table in messages.
fn in_table(steps: &[Step]) -> String {
    if steps.is_empty() {
        return "at the top level".to_owned();
    }
    let path = steps.iter().fold(Path::default(), |path, step| match step {
        Step::Key(key) => path.key(key),
        Step::Index(index) => path.index(*index),
    });
    format!("in [{path}]")
}

/// The texts between backticks.
fn quoted_names(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join("; ")
}

/// Escapes control characters: a message is one line and must not control the terminal.
fn visible(message: &str) -> String {
    let mut visible = String::with_capacity(message.len());
    for letter in message.chars() {
        if letter.is_control() { visible.extend(letter.escape_default()) } else { visible.push(letter) }
    }
    visible
}

/// Line of a byte offset, from 1.
fn line_at(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}
