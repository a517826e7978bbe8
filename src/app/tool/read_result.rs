//! Reads parts of a result that became a file of its session: a slice of its JSON text, items of one of its lists, or
//! where it has a word.

use std::time::{Duration, Instant};

use serde_json::Value;
use switchboard_tools::{check_path, is_singular};

use super::Tools;
use super::off_load::path_of;
use crate::app::file::source::{FileSource, NamedFile};
use crate::app::session::Session;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::text::truncate;

/// Maximum size of a file that is read, in bytes. Results are smaller.
const MAX_FILE: u64 = 32 * 1024 * 1024;
/// How long the file may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a text in one answer, by default and at most.
const TEXT: (usize, usize) = (20_000, 100_000);
/// Items in one answer, by default and at most.
const ITEMS: (usize, usize) = (100, 1_000);
/// Matches in one answer, by default and at most.
const MATCHES: (usize, usize) = (20, 100);
/// Bytes of JSON that items of one answer have together.
const MAX_BYTES: usize = 100_000;
/// Bytes before and after a word that is found.
const AROUND: usize = 100;
/// Maximum length of a word that is looked for, in bytes.
const MAX_WORD: usize = 200;

/// Which part of a result is wanted.
#[derive(Debug)]
pub struct PartOfResult {
    /// `log_…` of the call.
    pub log_id: String,
    /// JSONPath of a value, or of several, which make a list; the whole result if it is left out.
    pub path: Option<String>,
    /// Where the part begins: the item, or the byte of a text.
    pub offset: usize,
    /// How many items or bytes.
    pub limit: Option<usize>,
    /// Only items with this text; for a text, the places at which it is. ASCII letters in either case.
    pub contains: Option<String>,
}

/// A part of a result.
pub struct ResultPart {
    /// What it is.
    pub content: PartContent,
    /// Where it begins.
    pub offset: usize,
    /// Where the next part begins; none at the end.
    pub next_offset: Option<usize>,
    /// Items, matches or bytes in all.
    pub total: usize,
}

/// What a part is.
pub enum PartContent {
    /// A slice of a text, or of the JSON of a value that is none.
    Text(String),
    /// Items of a list.
    Items(Vec<Value>),
    /// Where a text has a word: the byte, and what is around it.
    Matches(Vec<(usize, String)>),
}

crate::redacted_debug!(ResultPart, PartContent);

impl Tools {
    /// Reads a part of a result of this session.
    ///
    /// # Errors
    /// The session has no such result, or it is not there any more; or the path selects nothing in it.
    pub async fn read_result(&self, session: &Session, part: PartOfResult) -> Result<ResultPart> {
        if !Kind::ToolLog.admits(&part.log_id) {
            return Err(Error::field("log_id", "must be the log_id of a call, such as log_…"));
        }
        if part.contains.as_ref().is_some_and(|word| word.is_empty() || word.len() > MAX_WORD) {
            return Err(Error::field("contains", format!("must be a text of 1 to {MAX_WORD} bytes")));
        }
        let path = match &part.path {
            Some(text) => Some(check_path(text).map_err(|problem| Error::field("path", problem))?),
            None => None,
        };
        let named = NamedFile { source: FileSource::Mount(path_of(&part.log_id)), name: None, mimetype: None };
        let loaded = self.files.load(session, named, MAX_FILE, Instant::now() + TIMEOUT).await;
        let loaded = loaded.map_err(|error| not_there(error, &part.log_id))?;
        let text = std::str::from_utf8(&loaded.bytes).map_err(|_| no_result())?;
        let (Some(text_of_path), Some(path)) = (&part.path, path) else { return of_text(text, &part) };
        let root: Value = serde_json::from_str(text).map_err(|_| no_result())?;
        let found = path.query(&root).all();
        match found.as_slice() {
            [] => {
                Err(Error::field("path", "selects nothing in this result").fix("Read the result without path first."))
            }
            [one] if is_singular(text_of_path) => match one {
                Value::Array(items) => of_items(&items.iter().collect::<Vec<_>>(), &part),
                Value::String(text) => of_text(text, &part),
                value => of_text(&value.to_string(), &part),
            },
            several => of_items(several, &part),
        }
    }
}

/// A part of a text.
fn of_text(text: &str, part: &PartOfResult) -> Result<ResultPart> {
    if let Some(word) = &part.contains {
        return of_matches(text, word, part);
    }
    let limit = limit(part, TEXT)?;
    if part.offset > text.len() || !text.is_char_boundary(part.offset) {
        return Err(Error::field(
            "offset",
            format!("must be a next_offset, or another first byte of a character up to {}", text.len()),
        ));
    }
    let mut end = text.len().min(part.offset.saturating_add(limit));
    // At least one character, so that next_offset always goes forward.
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let slice = text.get(part.offset..end).unwrap_or_default().to_owned();
    let next_offset = (end < text.len()).then_some(end);
    Ok(ResultPart { content: PartContent::Text(slice), offset: part.offset, next_offset, total: text.len() })
}

/// The places of a word from the one with the number `offset`.
fn of_matches(text: &str, word: &str, part: &PartOfResult) -> Result<ResultPart> {
    let limit = limit(part, MATCHES)?;
    let (lower, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let places: Vec<usize> = lower.match_indices(&word).map(|(at, _)| at).collect();
    let shown = places.iter().skip(part.offset).take(limit);
    let matches: Vec<(usize, String)> = shown.map(|at| (*at, around(text, *at, word.len()))).collect();
    let next_offset = next(part.offset, matches.len(), places.len());
    Ok(ResultPart { content: PartContent::Matches(matches), offset: part.offset, next_offset, total: places.len() })
}

/// What stands around a word.
fn around(text: &str, at: usize, length: usize) -> String {
    let (mut start, mut end) = (at.saturating_sub(AROUND), text.len().min(at + length + AROUND));
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    text.get(start..end).unwrap_or_default().to_owned()
}

/// Some of the items that are wanted, as many as fit into one answer.
fn of_items(items: &[&Value], part: &PartOfResult) -> Result<ResultPart> {
    let limit = limit(part, ITEMS)?;
    let word = part.contains.as_ref().map(|word| word.to_ascii_lowercase());
    let wanted: Vec<&Value> = items
        .iter()
        .filter(|item| word.as_ref().is_none_or(|word| item.to_string().to_ascii_lowercase().contains(word.as_str())))
        .copied()
        .collect();
    let mut shown: Vec<Value> = Vec::new();
    let mut left = MAX_BYTES;
    for item in wanted.iter().skip(part.offset).take(limit) {
        let Some(rest) = left.checked_sub(item.to_string().len()) else { break };
        left = rest;
        shown.push((*item).clone());
    }
    if shown.is_empty() && part.offset < wanted.len() {
        return Err(Error::field("path", format!("item {} has more than {MAX_BYTES} bytes", part.offset))
            .fix("Add the number of the item in brackets to the path, and read it as a text."));
    }
    let next_offset = next(part.offset, shown.len(), wanted.len());
    Ok(ResultPart { content: PartContent::Items(shown), offset: part.offset, next_offset, total: wanted.len() })
}

/// Where the next part begins; none at the end.
fn next(offset: usize, shown: usize, total: usize) -> Option<usize> {
    Some(offset.saturating_add(shown)).filter(|end| *end < total)
}

/// The limit of a part, by default and at most.
fn limit(part: &PartOfResult, (default, max): (usize, usize)) -> Result<usize> {
    match part.limit {
        None => Ok(default),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(Error::field("limit", format!("must be a number from 1 to {max} here"))),
    }
}

fn not_there(error: Error, log_id: &str) -> Error {
    match error.code() {
        Code::FileNotFound => {
            Error::of(Code::FileNotFound, &[("reason", &format!("The session has no stored result of {}", truncate(log_id)))])
                .fix("Only results that became files of this session can be read, until their expires_at. Call the tool again with enable_auto_workbench_offload.")
        }
        _ => error,
    }
}

fn no_result() -> Error {
    Error::field("log_id", "the session's file of this name is no result of a tool")
}
